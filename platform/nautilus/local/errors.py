"""What can go wrong before the platform itself runs; every error says the value and the way out."""

from pathlib import Path

TAIL_LINES = 25


class LocalError(Exception):
    """The one-machine set-up cannot go on."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail} {remedy}")
        self.detail = detail
        self.remedy = remedy


class BadSettingError(LocalError):
    """An environment variable or a file of the home folder has a value that cannot be used."""


class HomeInUseError(LocalError):
    """Another launcher holds the home folder."""


class PortTakenError(LocalError):
    """Somebody else listens where we must."""


class ServerFailedError(LocalError):
    """A process ended, or did not answer in time."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        super().__init__(f"{name} {what}.", f"The end of its log, {log}:\n{tail(log)}")


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, indented; says so where there are none."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (empty)"
