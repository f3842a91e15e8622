"""Numbers in header fields: digits only, bounded before they become an int."""

from typing import Final

from openserd.parser.learned import Learned

#: Header fields carry seconds as 32 bits; a larger number is read as the largest (RFC 3261 section 20.19).
MAX_SECONDS: Final = 2**32 - 1

_MAX_DIGITS: Final = 10
MAX_LENGTH: Final = 2**31 - 1  #: the largest number of a header line that is a number and nothing else
NO_NUMBER: Final = -1


def read_number(value: bytes, limit: int) -> int | None:
    """The number in `value`, leading zeros allowed; None when it is no number or above `limit`.

    `limit` has at most ten digits.
    """
    if not value.isdigit():
        return None
    if len(value) > _MAX_DIGITS:
        value = value.lstrip(b"0") or b"0"
        if len(value) > _MAX_DIGITS:
            return None
    number = int(value)
    return number if number <= limit else None


def read_seconds(value: bytes) -> int | None:
    """A number of seconds, at most 2**32-1 however large it is written; None when it is no number."""
    if not value.isdigit():
        return None
    seconds = read_number(value, MAX_SECONDS)
    return MAX_SECONDS if seconds is None else seconds


def line_number(line: bytes) -> int:
    """The number that is the value of a header line; NO_NUMBER where it is none or above MAX_LENGTH."""
    number = read_number(line.partition(b":")[2].strip(b" \t\r\n"), MAX_LENGTH)
    return NO_NUMBER if number is None else number


#: Max-Forwards, Content-Length and Expires come in few lines (0.5 -> 0.1 us).
LINE_NUMBERS: Final = Learned(line_number)
