"""Regular expressions of scripts that work by lines, as with POSIX REG_NEWLINE.

`^` and `$` match at every line, `.` and `[^...]` do not match a line feed.  An expression that takes longer than
REGEX_SECONDS matches nothing.
"""

import logging
import re
from typing import TYPE_CHECKING, Final

import regex

from openserd.core.arguments import REGEX_SECONDS, posix_regex

if TYPE_CHECKING:
    Pattern = regex.Pattern[bytes]
    Match = regex.Match[bytes]

log = logging.getLogger("openserd")

#: An escaped character, or a bracket expression; in one, "]" may come first and [:classes:] may occur.
_PIECE: Final = re.compile(r"\\.|\[(\^?)(\]?)((?:\[[:.=].*?[:.=]\]|\\.|[^\]\\])*)\]", re.DOTALL)


def line_regex(text: str, flags: int = regex.IGNORECASE) -> "Pattern":
    """A POSIX extended expression that works by lines. Raises ConfigError."""
    return posix_regex(_PIECE.sub(without_line_feed, text), flags | regex.MULTILINE)


def without_line_feed(match: "re.Match[str]") -> str:
    """A piece of an expression, with a line feed added to what a [^...] leaves out."""
    if not match[1]:
        return match[0]
    return f"[^{match[2]}\n{match[3]}]"


def matches(pattern: "Pattern", text: bytes, every: bool = False) -> "list[Match]":
    """The first match in `text`, or every one that is not empty; an empty text has none."""
    if not text:
        return []
    try:
        if every:
            found = pattern.finditer(text, timeout=REGEX_SECONDS)
            return [match for match in found if match.end() > match.start()]
        match = pattern.search(text, timeout=REGEX_SECONDS)
        return [] if match is None else [match]
    except TimeoutError:
        log.warning("%r took longer than %s s", pattern.pattern, REGEX_SECONDS)
        return []
