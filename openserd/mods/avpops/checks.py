"""avp_check: comparisons of values, of the same kind always: a number never equals text."""

import fnmatch
import logging
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from openserd.core.line_regex import line_regex, matches
from openserd.errors import ConfigError
from openserd.mods.avpops.names import AvpRef, avp_ref, constant, flags_of, is_avp_text, split

if TYPE_CHECKING:
    import regex

    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

Scalar = int | bytes
Values = Callable[["SipMsg"], list[Scalar]]

EXPECTED: Final = "operator/value or operator/value/flags, such as eq/s:alice/i"


@lru_cache(maxsize=256)
def shell_pattern(pattern: bytes) -> "re.Pattern[bytes]":
    """A pattern with * ? [...] and \\ as fnmatch(3) has it, as an expression; one with errors matches only itself."""
    plain = re.sub(rb"\\(.)", rb"[\1]", pattern, flags=re.DOTALL).replace(b"[^", b"[!")
    try:
        return re.compile(fnmatch.translate(plain.decode("latin-1")).encode("latin-1"))
    except re.error:
        return re.compile(re.escape(pattern) + rb"\Z")


NUMBERS: Final[dict[str, Callable[[int, int], bool]]] = {
    "eq": lambda one, two: one == two,
    "ne": lambda one, two: one != two,
    "lt": lambda one, two: one < two,
    "le": lambda one, two: one <= two,
    "gt": lambda one, two: one > two,
    "ge": lambda one, two: one >= two,
    "and": lambda one, two: bool(one & two),
    "or": lambda one, two: bool(one | two),
    "xor": lambda one, two: bool(one ^ two),
}
#: What is less or greater is decided whatever the case.
TEXTS: Final[dict[str, Callable[[bytes, bytes], bool]]] = {
    "eq": lambda one, two: one == two,
    "ne": lambda one, two: one != two,
    "lt": lambda one, two: one.lower() < two.lower(),
    "le": lambda one, two: one.lower() <= two.lower(),
    "gt": lambda one, two: one.lower() > two.lower(),
    "ge": lambda one, two: one.lower() >= two.lower(),
    "fm": lambda one, two: shell_pattern(two).match(one) is not None,
}
OPERATORS: Final = (*NUMBERS, "re", "fm")


class Check:
    """A compiled comparison."""

    __slots__ = ("every", "ignore_case", "operator", "pattern", "values")

    def __init__(
        self, operator: str, values: Values, pattern: "regex.Pattern[bytes] | None", every: bool, ignore_case: bool
    ) -> None:
        self.operator = operator
        self.values = values
        self.pattern = pattern
        self.every = every
        self.ignore_case = ignore_case

    def holds(self, msg: "SipMsg", found: list[Scalar]) -> bool:
        """Whether the first of `found`, or any with the flag `g`, compares with any of the values."""
        return any(self.compares(one, msg) for one in (found if self.every else found[:1]))

    def compares(self, one: Scalar, msg: "SipMsg") -> bool:
        """Whether a value compares with any of those in the argument."""
        if self.pattern is not None:
            return isinstance(one, bytes) and bool(matches(self.pattern, one))
        return any(self.is_true(one, two) for two in self.values(msg))

    def is_true(self, one: Scalar, two: Scalar) -> bool:
        """Whether two values compare."""
        if isinstance(one, int) and isinstance(two, int):
            number = NUMBERS.get(self.operator)
            return number is not None and number(one, two)
        if isinstance(one, bytes) and isinstance(two, bytes):
            text = TEXTS.get(self.operator)
            if self.ignore_case and self.operator in ("eq", "ne"):
                one, two = one.lower(), two.lower()
            return text is not None and text(one, two)
        log.info("avpops: avp_check compares a number with text, which is never true")
        return False


def compile_check(text: str, context: Any) -> Check:
    """The second argument of avp_check. Raises ConfigError."""
    operator, value, flags = parts_of(text, OPERATORS, EXPECTED)
    found = flags_of(flags, "gi")
    fixed = None if value.startswith("$") else constant(value)
    pattern = None
    if operator == "re":
        if not isinstance(fixed, bytes):
            raise ConfigError("re takes the expression itself", expected="re/expression")
        pattern = line_regex(fixed.decode("utf-8", "surrogateescape"))
    if operator == "fm" and isinstance(fixed, int):
        raise ConfigError("fm takes text", expected="fm/pattern or fm/$avp(name)")
    if operator in ("and", "or", "xor") and isinstance(fixed, bytes):
        raise ConfigError(f"{operator} takes a number", expected=f"{operator}/i:{value}")
    return Check(operator, values_of(value, fixed, context), pattern, "g" in found, "i" in found)


def parts_of(text: str, operators: tuple[str, ...], expected: str) -> tuple[str, str, str]:
    """Operator, value and flags of an argument. Raises ConfigError."""
    operator, *rest = split(text.strip())
    operator = operator.lower()
    if operator not in operators:
        raise ConfigError(f"'{operator}' is no operator", expected=f"{', '.join(operators)}: {expected}")
    if not rest or not rest[0] or len(rest) > 2:
        raise ConfigError(f"'{text}' is not possible here", expected=expected)
    return operator, rest[0], rest[1] if len(rest) > 1 else ""


def values_of(text: str, fixed: Scalar | None, context: Any) -> Values:
    """What gives all values that an argument stands for. Raises ConfigError."""
    if fixed is not None:
        only = [fixed]
        return lambda msg: only
    if is_avp_text(text):
        return avp_values(avp_ref(text, context))
    get = context.variable(text).get

    def value(msg: "SipMsg") -> list[Scalar]:
        found = get(msg)
        return [] if found is None else [found]

    return value


def avp_values(ref: AvpRef) -> Values:
    """What gives all values of an AVP."""
    return lambda msg: [avp[1] for avp in ref.find(msg.avps)]
