r"""Substitutions as sed writes them: `/expression/replacement/flags`, any character but \ for the slash.

The replacement may hold \0 to \9 (what a group matched), \u (the request URI), \n \r \t \$ \\ and
pseudo-variables.  Flags: `i` ignores case, `g` replaces every match, `s` lets the expression work on the text
as a whole, not by lines.  (OpenSER: re.c.)
"""

from typing import TYPE_CHECKING, Final

import regex

from openserd.core.arguments import NULL_TEXT, Context, Dynamic, DynamicValue, Value, posix_regex
from openserd.core.line_regex import line_regex, matches
from openserd.core.message import SipMsg
from openserd.errors import ConfigError

if TYPE_CHECKING:
    Pattern = regex.Pattern[bytes]
    Match = regex.Match[bytes]

#: One piece of a replacement: text, the number of a group, or what depends on the message.
Piece = bytes | int | Dynamic

EXPECTED: Final = "/expression/replacement/flags"
_CONTROL: Final = {"n": b"\n", "r": b"\r", "t": b"\t"}
_REQUEST_URI: Final = DynamicValue(lambda msg: msg.ruri)


class Substitution:
    """A compiled substitution."""

    __slots__ = ("every", "pattern", "pieces")

    def __init__(self, pattern: "Pattern", pieces: list[Piece], every: bool) -> None:
        self.pattern = pattern
        self.pieces = pieces
        self.every = every

    def edits(self, text: bytes, msg: SipMsg) -> list[tuple[int, int, bytes]]:
        """Where `text` changes, and into what: (start, end, replacement), in order."""
        return [
            (match.start(), match.end(), self.expand(match, msg))
            for match in matches(self.pattern, text, self.every)
            if match.end() > match.start()
        ]

    def apply(self, text: bytes, msg: SipMsg) -> bytes | None:
        """`text` as it becomes, None where nothing matches."""
        pieces: list[bytes] = []
        position = 0
        for start, end, replacement in self.edits(text, msg):
            pieces += (text[position:start], replacement)
            position = end
        return b"".join((*pieces, text[position:])) if pieces else None

    def expand(self, match: "Match", msg: SipMsg) -> bytes:
        """The replacement for one match; a group that is not there or matched nothing is empty."""
        out: list[bytes] = []
        for piece in self.pieces:
            if isinstance(piece, bytes):
                out.append(piece)
            elif isinstance(piece, int):
                out.append((match[piece] or b"") if piece <= self.pattern.groups else b"")
            else:
                out.append(as_text(piece(msg)))
        return b"".join(out)


def as_text(value: Value) -> bytes:
    """A value as it stands in formatted text."""
    if isinstance(value, bytes):
        return value
    return NULL_TEXT if value is None else b"%d" % value


def compile_substitution(text: str, context: Context) -> Substitution:
    """What a script writes, compiled. Raises ConfigError."""
    if len(text) < 3 or text[0] == "\\":
        raise ConfigError(f"'{text}' is no substitution", expected=EXPECTED)
    delimiter = text[0]
    end = 1
    while end < len(text) and (text[end] != delimiter or text[end - 1] == "\\"):
        end += 1
    pieces, flags_at = read_replacement(text, end + 1, delimiter, context)
    flags = text[flags_at:]
    if set(flags) - set("igs"):
        raise ConfigError(f"unknown flag in '{flags}'", expected="i, g and s")
    case = regex.IGNORECASE if "i" in flags else 0
    expression = text[1:end]
    pattern = posix_regex(expression, case | regex.DOTALL) if "s" in flags else line_regex(expression, case)
    return Substitution(pattern, pieces, "g" in flags)


def read_replacement(text: str, pos: int, delimiter: str, context: Context) -> tuple[list[Piece], int]:
    """The pieces of the replacement that begins at `pos`, and where the flags begin. Raises ConfigError."""
    pieces: list[Piece] = []
    plain: list[str] = []
    while pos < len(text):
        char = text[pos]
        if char == "\\" and pos + 1 < len(text):
            pieces += (context.format("".join(plain)), escaped(text[pos + 1]))
            plain.clear()
            pos += 2
        elif char == delimiter:
            pieces.append(context.format("".join(plain)))
            return [piece for piece in pieces if piece != b""], pos + 1
        else:
            end = variable_end(text, pos) if char == "$" else pos + 1
            plain.append(text[pos:end])
            pos = end
    raise ConfigError(f"'{text}' has no '{delimiter}' after the replacement", expected=EXPECTED)


def escaped(char: str) -> Piece:
    """What a backslash and `char` stand for."""
    if char in _CONTROL:
        return _CONTROL[char]
    if char == "u":
        return _REQUEST_URI
    return int(char) if char in "0123456789" else char.encode("utf-8", "surrogateescape")


def variable_end(text: str, pos: int) -> int:
    """The end of the `$` at `pos`, with all that its parentheses hold: a delimiter in there ends nothing."""
    end = pos + 1
    if text.startswith("$$", pos):
        return end + 1
    while end < len(text) and (text[end].isalnum() or text[end] in "_."):
        end += 1
    if end == len(text) or text[end] != "(":
        return pos + 1
    depth = 0
    while end < len(text):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
        if depth == 0:
            return end
    return pos + 1
