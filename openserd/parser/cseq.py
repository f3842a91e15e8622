"""CSeq: sequence number and method (RFC 3261 section 20.16)."""

import re
from typing import Final

from openserd.errors import SipError
from openserd.parser.learned import Learned
from openserd.parser.numbers import read_number
from openserd.parser.params import TOKEN

#: RFC 3261 section 8.1.1.5 asks for less than 2**31 of a sender; what fits 32 bits is accepted.
MAX_CSEQ: Final = 2**32 - 1

_CSEQ: Final = re.compile(rb"([0-9]++)[ \t]++(" + TOKEN + rb"++)")


class CSeq:
    """A CSeq value: `number`, 0 to 2**32-1, and `method` as received; shared by messages, so never changed."""

    __slots__ = ("method", "number")

    def __init__(self, number: int, method: bytes) -> None:
        self.number = number
        self.method = method

    def __repr__(self) -> str:
        return f"CSeq({self.number}, {self.method!r})"


_USUAL_LINE: Final = re.compile(rb"[^:]++:[ \t]*+([0-9]{1,9}+)[ \t]++([A-Z]++)\r\n")


def usual_cseq(line: bytes) -> CSeq | None:
    """The CSeq of a header line in the form that almost everyone writes; None for any other."""
    match = _USUAL_LINE.fullmatch(line)
    return None if match is None else CSeq(int(match[1]), match[2])


#: Small numbers come again and again (0.9 -> 0.1 us).
CSEQ_LINES: Final = Learned(usual_cseq)


def parse_cseq(value: bytes, offset: int = 0) -> CSeq:
    """The CSeq in `value`, which has no white space at its ends and begins at `offset` of the datagram.

    Raises SipError where it is malformed or above 2**32-1.
    """
    match = _CSEQ.fullmatch(value)
    if match is None:
        raise SipError("Malformed CSeq", offset)
    number = read_number(match[1], MAX_CSEQ)
    if number is None:
        raise SipError("CSeq number too large", offset)
    return CSeq(number, match[2])
