"""q: preference between 0 and 1, kept as whole thousandths (RFC 3261 section 25.1, qvalue)."""

import re
from typing import Final

from openserd.errors import SipError

MAX_Q: Final = 1000

_Q: Final = re.compile(rb"(?:0*(1)|0+)?(?:\.([0-9]{0,3})0*)?")


def parse_q(value: bytes, offset: int = 0) -> int:
    """`value` in thousandths: 0.5 is 500; more than three decimals are refused unless they are zero.

    Raises SipError, at `offset`, when it is no number or above 1.
    """
    match = _Q.fullmatch(value)
    if match is None or value in (b"", b"."):
        raise SipError("Malformed q", offset)
    thousandths = int(match[1] or b"0") * MAX_Q + int((match[2] or b"").ljust(3, b"0"))
    if thousandths > MAX_Q:
        raise SipError("q above 1", offset)
    return thousandths


def format_q(thousandths: int) -> bytes:
    """The shortest text of a preference: 1000 is 1, 500 is 0.5, 0 is 0."""
    whole, rest = divmod(thousandths, MAX_Q)
    return b"%d.%b" % (whole, (b"%03d" % rest).rstrip(b"0")) if rest else b"%d" % whole
