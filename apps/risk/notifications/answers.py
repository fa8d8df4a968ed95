"""What a web server's answer to a message means."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from django.utils import timezone

from apps.risk.errors_alerts import NotDeliveredError

LONGEST_RETRY_AFTER_SECONDS = 300.0

# These are worth another try; every other 4xx says that the message itself is not wanted.
_PASSING_4XX = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` are looked up in small letters."""

    status: int
    headers: Mapping[str, str]
    text: str


def said_by(answer: Answer) -> str:
    """Status and first 500 characters: what is kept of an answer."""
    return f"{answer.status} {answer.text.strip()[:500]}".strip()


def refuse_unless_taken(answer: Answer) -> None:
    """Raises NotDeliveredError for anything but a 2xx."""
    if 200 <= answer.status < 300:
        return
    if 300 <= answer.status < 400:
        raise NotDeliveredError(
            f"{answer.status}, a redirect to {answer.headers.get('location', 'nowhere')[:200]}.",
            "Redirects are not followed: give the channel the address where it leads.",
        )
    raise NotDeliveredError(
        said_by(answer),
        permanent=400 <= answer.status < 500 and answer.status not in _PASSING_4XX,
        retry_after_seconds=retry_after(answer.headers),
    )


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the far side wants to be left alone, 300 at most; 0 where it does not say."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), LONGEST_RETRY_AFTER_SECONDS)
    try:
        seconds = (parsedate_to_datetime(text) - timezone.now()).total_seconds()
    except (ValueError, TypeError):  # no date, or one without a zone
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
