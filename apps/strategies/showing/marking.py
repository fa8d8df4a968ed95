"""Two texts beside each other, with the words in which they differ."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
# Word by word takes time that grows with the square: a longer line is marked as a whole.
LONGEST_WORD_BY_WORD = 400


def marked_words(left: str, right: str) -> tuple[SafeString, SafeString]:
    """Both texts as HTML, with <mark> around what the other does not have."""
    if max(len(left), len(right)) > LONGEST_WORD_BY_WORD:
        return _html([(left, True)]), _html([(right, True)])
    ours, theirs = _WORDS.findall(left), _WORDS.findall(right)
    same = SequenceMatcher(a=ours, b=theirs, autojunk=False).get_matching_blocks()
    return _html(_parts(ours, [(at.a, at.size) for at in same])), _html(
        _parts(theirs, [(at.b, at.size) for at in same])
    )


def _parts(words: Sequence[str], same: Sequence[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Runs of words, each with whether it differs; `same` are the places and lengths of those that do not."""
    done = 0
    for at, size in same:
        yield "".join(words[done:at]), True
        yield "".join(words[at : at + size]), False
        done = at + size


def _html(parts: Iterable[tuple[str, bool]]) -> SafeString:
    shown = (format_html("<mark>{}</mark>", text) if differs else text for text, differs in parts if text)
    return format_html_join("", "{}", ((part,) for part in shown))
