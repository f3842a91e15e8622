"""avp_db_query: SQL text of the script, with variables.

What variables hold never becomes part of the statement.  A piece of text in quotes with variables in it, such as
`'$tu'` or `'%$rU'`, is sent beside the statement as one value.  A variable outside of quotes may hold a number or a
word, nothing else; a whole statement in one variable is run as it is.
"""

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from openserd.core.database import Database, Value, seconds
from openserd.errors import ConfigError
from openserd.mods.avpops.names import AvpRef, wrapped
from openserd.script.variables.syntax import match_variable

if TYPE_CHECKING:
    from datetime import datetime

    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

Part = Callable[["SipMsg"], "tuple[bytes, list[Value]]"]  #: a piece of the statement and the values it needs

QUOTED: Final = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")
WORD: Final = re.compile(rb"[A-Za-z0-9_.+-]+")


class Unsafe(ValueError):
    """A variable outside of quotes holds more than a word."""


class Statement:
    """A compiled statement."""

    __slots__ = ("parts", "text")

    def __init__(self, text: str, parts: list[Part]) -> None:
        self.text = text
        self.parts = parts

    def build(self, msg: "SipMsg") -> tuple[str, list[Value]]:
        """The statement for a message, and its values. Raises Unsafe."""
        texts: list[bytes] = []
        values: list[Value] = []
        for part in self.parts:
            text, more = part(msg)
            texts.append(text)
            values += more
        return b"".join(texts).decode("utf-8", "surrogateescape"), values


def compile_statement(text: str, context: Any) -> Statement:
    """The first argument of avp_db_query. Raises ConfigError."""
    if not text.strip():
        raise ConfigError("the statement is empty", expected="a statement in SQL")
    if text.strip().startswith("$") and match_variable(text.strip(), 0) == len(text.strip()):
        return Statement(text, [as_it_is(context.format(text.strip()))])
    parts: list[Part] = []
    start = 0
    for quoted in QUOTED.finditer(text):
        parts += (outside(text[start : quoted.start()], context), inside(quoted, context))
        start = quoted.end()
    return Statement(text, [*parts, outside(text[start:], context)])


def as_it_is(value: Any) -> Part:
    """The whole statement from a variable."""
    return lambda msg: (value(msg) if callable(value) else value, [])


def inside(quoted: "re.Match[str]", context: Any) -> Part:
    """A piece in quotes: a value where it holds a variable."""
    quote = quoted[0][0]
    value = context.format((quoted[1] if quote == "'" else quoted[2]).replace(quote * 2, quote))
    if not callable(value):
        text = quoted[0].replace("$$", "$").encode("utf-8", "surrogateescape")
        return lambda msg: (text, [])
    return lambda msg: (b"?", [value(msg)])


def outside(text: str, context: Any) -> Part:
    """A piece without quotes."""
    pieces: list[Any] = []
    start = 0
    while (at := text.find("$", start)) >= 0:
        end = at + 2 if text.startswith("$$", at) else match_variable(text, at)
        pieces += (text[start:at].encode("utf-8", "surrogateescape"), context.format(text[at:end]))
        start = end
    pieces.append(text[start:].encode("utf-8", "surrogateescape"))

    def part(msg: "SipMsg") -> tuple[bytes, list[Value]]:
        return b"".join(word(piece(msg)) if callable(piece) else piece for piece in pieces), []

    return part


def word(value: bytes) -> bytes:
    """A value that may stand in a statement. Raises Unsafe."""
    if WORD.fullmatch(value) is None:
        raise Unsafe(value)
    return value


def run(database: Database, statement: Statement, msg: "SipMsg", names: list[AvpRef] | None) -> int:
    """Puts the columns of the result into AVPs, the first row in front; how many rows there were.

    Column n goes to the n-th name, or to $avp(i:n) where none are given.  Raises DatabaseError, Unsafe.
    """
    text, values = statement.build(msg)
    rows = database.raw_query(text, values)
    for row in reversed(rows):
        refs = names or [AvpRef(number, 0) for number in range(1, len(row) + 1)]
        for ref, found in zip(refs, row, strict=False):
            value = scalar(found)
            if value is not None:
                msg.avps.add(ref.name, value, ref.flags)
    return len(rows)


def scalar(found: "bytes | int | float | datetime | None") -> int | bytes | None:
    """A value of a row as that of an AVP: a moment as seconds since 1970; None for nothing and for empty text."""
    if isinstance(found, bytes) or found is None:
        return found or None
    if isinstance(found, float):
        return repr(found).encode()
    return wrapped(found if isinstance(found, int) else seconds(found))
