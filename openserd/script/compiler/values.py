"""What generated code does with script values (bytes, int, or None where absent): comparing, matching, reckoning.

A comparison with an absent value is false, whatever the operator.  Two integers compare as numbers, everything else as
text whose case does not matter.  Numbers wrap at 32 bits as in OpenSER.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from openserd.core.arguments import REGEX_SECONDS, Value, posix_regex
from openserd.errors import ConfigError

if TYPE_CHECKING:
    import regex

log = logging.getLogger(__name__)

Present = bytes | int


def text(value: Present) -> bytes:
    """A value as text."""
    return value if isinstance(value, bytes) else b"%d" % value


def equals(value: Value, other: Value) -> bool:
    """`==`."""
    if value is None or other is None:
        return False
    if isinstance(value, int) and isinstance(other, int):
        return value == other
    return text(value).lower() == text(other).lower()


def differs(value: Value, other: Value) -> bool:
    """`!=`; false too where one side is absent."""
    return value is not None and other is not None and not equals(value, other)


def equals_text(value: Value, lowered: bytes) -> bool:
    """`==` with a constant in lower case."""
    if isinstance(value, bytes):
        return value.lower() == lowered
    return value is not None and b"%d" % value == lowered


def differs_text(value: Value, lowered: bytes) -> bool:
    """`!=` with a constant in lower case."""
    return value is not None and text(value).lower() != lowered


def order(value: Value, other: Value) -> int | None:
    """-1, 0 or 1 as `value` is below, at or above `other`; None where one is absent."""
    if value is None or other is None:
        return None
    if isinstance(value, int) and isinstance(other, int):
        return (value > other) - (value < other)
    left, right = text(value).lower(), text(other).lower()
    return (left > right) - (left < right)


def below(value: Value, other: Value) -> bool:
    """`<`."""
    return order(value, other) == -1


def above(value: Value, other: Value) -> bool:
    """`>`."""
    return order(value, other) == 1


def at_most(value: Value, other: Value) -> bool:
    """`<=`."""
    return order(value, other) in (-1, 0)


def at_least(value: Value, other: Value) -> bool:
    """`>=`."""
    return order(value, other) in (0, 1)


# -- regular expressions ----------------------------------------------------------------------------------------


def matches(value: Value, pattern: "regex.Pattern[bytes]") -> bool:
    """`=~`; false where the search takes too long."""
    if value is None:
        return False
    try:
        return pattern.search(text(value), timeout=REGEX_SECONDS) is not None
    except TimeoutError:
        log.error("regular expression %r took more than %s s, taken as false", pattern.pattern, REGEX_SECONDS)
        return False


def matches_not(value: Value, pattern: "regex.Pattern[bytes]") -> bool:
    """`!~`; false where the search takes too long."""
    if value is None:
        return False
    try:
        return pattern.search(text(value), timeout=REGEX_SECONDS) is None
    except TimeoutError:
        log.error("regular expression %r took more than %s s, taken as false", pattern.pattern, REGEX_SECONDS)
        return False


@lru_cache(maxsize=256)
def pattern_of(source: bytes) -> "regex.Pattern[bytes] | None":
    """The compiled form of an expression that a variable holds, None where it is none."""
    try:
        return posix_regex(source.decode("latin-1"))
    except ConfigError as error:
        log.error("%s in a variable: %r", error.message, source)
        return None


def matches_variable(value: Value, source: Value) -> bool:
    """`=~` with an expression held in a variable."""
    pattern = pattern_of(text(source)) if source is not None else None
    return pattern is not None and matches(value, pattern)


def matches_variable_not(value: Value, source: Value) -> bool:
    """`!~` with an expression held in a variable."""
    pattern = pattern_of(text(source)) if source is not None else None
    return pattern is not None and matches_not(value, pattern)


# -- arithmetic ---------------------------------------------------------------------------------------------------


def wrapped(value: int) -> int:
    """A number within 32 bits, signed."""
    return value if -0x80000000 <= value <= 0x7FFFFFFF else (value + 0x80000000) % 0x100000000 - 0x80000000


def as_number(value: Value) -> int | None:
    """A value as an integer: text counts when it is one in decimal."""
    if isinstance(value, bytes):
        digits = value[1:] if value[:1] in (b"-", b"+") else value
        return int(value) if digits.isdigit() and len(digits) < 20 else None
    return value


def plus(left: Value, right: Value) -> Value:
    """Sum of two numbers, or both texts one after the other; None where one is absent."""
    if left is None or right is None:
        return None
    if isinstance(left, bytes):
        return left + text(right)
    number = as_number(right)
    return wrapped(left + number) if number is not None else None


def reckoning(operation: Callable[[int, int], int | None]) -> Callable[[Value, Value], Value]:
    """`operation` on script values; None where one is no number."""

    def compute(left: Value, right: Value) -> Value:
        one, other = as_number(left), as_number(right)
        if one is None or other is None:
            return None
        result = operation(one, other)
        return wrapped(result) if result is not None else None

    return compute


def quotient(left: int, right: int) -> int | None:
    """Integer division towards zero, as in C; None by zero."""
    if not right:
        return None
    result = abs(left) // abs(right)
    return result if (left < 0) == (right < 0) else -result


def remainder(left: int, right: int) -> int | None:
    """What `quotient` leaves, with the sign of `left`; None by zero."""
    whole = quotient(left, right)
    return None if whole is None else left - whole * right


minus: Final = reckoning(lambda left, right: left - right)
times: Final = reckoning(lambda left, right: left * right)
divided: Final = reckoning(quotient)
modulo: Final = reckoning(remainder)
bits_and: Final = reckoning(lambda left, right: left & right)
bits_or: Final = reckoning(lambda left, right: left | right)
bits_xor: Final = reckoning(lambda left, right: left ^ right)


def negative(value: Value) -> Value:
    """Unary minus; None where the value is no number."""
    number = as_number(value)
    return wrapped(-number) if number is not None else None


def positive(value: Value) -> Value:
    """Unary plus; None where the value is no number."""
    return as_number(value)


def bits_not(value: Value) -> Value:
    """Complement of the bits; None where the value is no number."""
    number = as_number(value)
    return wrapped(~number) if number is not None else None


def switch_key(value: Value) -> bytes | None:
    """A value as the cases of a switch are found: text in lower case."""
    return None if value is None else text(value).lower()
