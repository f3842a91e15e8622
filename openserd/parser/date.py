"""Date: RFC 1123 form in GMT, the only one SIP allows (RFC 3261 sections 20.17 and 25.1)."""

import re
from calendar import monthrange, timegm
from time import gmtime
from typing import Final

from openserd.errors import SipError

_DAYS: Final = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS: Final = (
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
)  # fmt: skip
_DATE: Final = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2})"
    rb" (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([0-9]{4})"
    rb" ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
#: The first and the last second that four digits of year can write.
MIN_TIME: Final = -62135596800
MAX_TIME: Final = 253402300799


def parse_date(value: bytes, offset: int = 0) -> int:
    """Seconds since 1970 of a Date value; the name of the day is not checked against the date.

    Raises SipError, at `offset`, for another form or zone, or a day or time that does not exist.
    """
    match = _DATE.fullmatch(value)
    if match is None:
        raise SipError("Malformed date", offset)
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    month = _MONTHS.index(match[2]) + 1
    if year < 1 or not 1 <= day <= monthrange(year, month)[1] or hour > 23 or minute > 59 or second > 60:
        raise SipError("Impossible date", offset)
    return timegm((year, month, day, hour, minute, second))


def format_date(seconds: int) -> bytes:
    """The Date value of a time in seconds since 1970, between MIN_TIME and MAX_TIME."""
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(seconds)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAYS[weekday], day, _MONTHS[month - 1], year, hour, minute, second,
    )  # fmt: skip
