"""POSIX basic regular expressions, which the table of trusted peers has: `\\(` groups and `(` is a parenthesis."""

import re
from typing import TYPE_CHECKING, Final

import regex

from openserd.core.arguments import posix_regex

if TYPE_CHECKING:
    Pattern = regex.Pattern[bytes]

_PIECE: Final = re.compile(r"\\.|\[\^?\]?(?:\[[:.=].*?[:.=]\]|[^\]])*\]|.", re.DOTALL)
_SWAPPED: Final = frozenset("(){}|+?")


def basic_regex(pattern: str) -> "Pattern":
    """A basic regular expression over bytes, which tells cases apart. Raises ConfigError."""
    return posix_regex(extended(pattern), regex.POSIX)


def extended(pattern: str) -> str:
    """A basic regular expression as an extended one; `\\|`, `\\+` and `\\?` are operators, as in the GNU C library."""
    pieces: list[str] = _PIECE.findall(pattern)
    written: list[str] = []
    is_first = True  #: whether an expression begins here: a star is one, and a caret an anchor
    for index, piece in enumerate(pieces):
        following = pieces[index + 1] if index + 1 < len(pieces) else ""
        ends = index + 1 == len(pieces) or following in (r"\)", r"\|")
        written.append(translated(piece, is_first, ends))
        is_first = piece in (r"\(", r"\|") or (is_first and piece == "^")
    return "".join(written)


def translated(piece: str, is_first: bool, ends: bool) -> str:
    """One piece: an escape, a bracket expression or a character."""
    if piece[0] == "[" and len(piece) > 1:
        return piece.replace("\\", "\\\\")
    if len(piece) == 2:
        return piece[1] if piece[1] in _SWAPPED else piece
    is_plain = piece in _SWAPPED or (piece == "*" and is_first) or (piece == "^" and not is_first)
    if is_plain or (piece == "$" and not ends) or piece in "[\\":
        return "\\" + piece
    return piece
