"""One record: what it says of a request and its answer, as a line of the log and as rows of a table."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from openserd.core.database import Value, moment
from openserd.errors import SipError

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

ANSWERED: Final = b"transaction answered"
ACKNOWLEDGED: Final = b"request acknowledged"
MISSED: Final = b"call missed"
REQUESTED: Final = b"request accounted"

LOG_NAMES: Final = (b"method", b"from_tag", b"to_tag", b"call_id", b"code", b"reason")
MAX_LINE: Final = 65_536
#: How many characters the columns of 1.2's tables have room for: method, tags, Call-ID, code, reason.
WIDTHS: Final = (16, 64, 64, 128, 3, 32)
#: Bytes that would break a line of the log in two, or hide a part of it.
CONTROL: Final = bytes.maketrans(bytes(range(32)), b" " * 32)


class Answer(NamedTuple):
    """How a request was answered: `to_tag` as in the reply."""

    code: bytes
    reason: bytes
    to_tag: bytes


class Record(NamedTuple):
    """The six values of a request and its answer, in the order of LOG_NAMES, and when it was made."""

    values: tuple[bytes, ...]
    at: int


def make_record(msg: "SipMsg", answer: Answer, is_upstream: bool) -> Record:
    """The record of `msg`; the tags change places where the request goes from callee to caller. Raises SipError."""
    tags = (msg.from_tag or b"", answer.to_tag)
    if is_upstream:
        tags = tags[::-1]
    return Record((msg.method, *tags, msg.call_id, answer.code, answer.reason), int(time.time()))


def own_to_tag(msg: "SipMsg") -> bytes:
    """The To tag of a message, empty where it has none or cannot be read."""
    try:
        return msg.to_tag or b""
    except SipError:
        return b""


def log_text(kind: bytes, record: Record, more: Iterable[tuple[str, bytes]]) -> bytes:
    """A record as a line of the log; it ends before the first value that would make it too long."""
    line = b"ACC: %b: timestamp=%d" % (kind, record.at)
    named = [*zip(LOG_NAMES, record.values, strict=True), *((name.encode(), value) for name, value in more)]
    for name, value in named:
        piece = b";%b=%b" % (name, value.translate(CONTROL))
        if len(line) + len(piece) > MAX_LINE:
            break
        line += piece
    return line


def row_of(record: Record, columns: tuple[str, ...], more: Iterable[tuple[str, bytes]]) -> dict[str, Value]:
    """A record as a row; `columns` are those of the six values and of the time."""
    row: dict[str, Value] = dict(zip(columns, record.values, strict=False))
    row[columns[-1]] = moment(record.at)
    row.update(more)
    return row


def clipped(record: Record) -> Record:
    """A record whose values fit into the columns of 1.2's tables."""
    return record._replace(values=tuple(map(clip, record.values, WIDTHS)))


def clip(value: bytes, width: int) -> bytes:
    """The first `width` characters, whatever is no UTF-8 counting one a byte."""
    return value.decode("utf-8", "surrogateescape")[:width].encode("utf-8", "surrogateescape")
