"""What is recorded beside the six values that every record has: `label=$variable;label=$variable`.

`multi_leg_info` has AVPs only: the n-th values of all of them together are the n-th leg of the call.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from openserd.errors import ConfigError
from openserd.script.variables.compile import compile_variable, read_variable
from openserd.script.variables.named import FAMILIES, avp_variable, parse_avp_aliases, parse_avp_name, text_param
from openserd.script.variables.syntax import spelling_at
from openserd.script.variables.variable import as_bytes

if TYPE_CHECKING:
    from openserd.core.avp import Name
    from openserd.core.context import Core
    from openserd.core.message import SipMsg

MAX_EXTRAS: Final = 64
MAX_LEGS: Final = 16  #: AVPs of a leg

Extra = tuple[str, Callable[["SipMsg"], bytes]]  #: label, and what gives its text


class Surroundings:
    """What compiling a variable asks for."""

    def __init__(self, core: "Core") -> None:
        self.core = core
        self.modules = core.modules


class LegValue(NamedTuple):
    """One AVP of a leg."""

    label: str
    name: "Name"
    flags: int


def parse_extras(core: "Core", text: str, what: str) -> list[Extra]:
    """The extras of a parameter. Raises ConfigError."""
    surroundings = Surroundings(core)
    extras: list[Extra] = []
    for label, variable in pairs(text, surroundings, what, MAX_EXTRAS):
        extras.append((label, text_getter(surroundings, variable)))
    return extras


def text_getter(surroundings: Surroundings, text: str) -> Callable[["SipMsg"], bytes]:
    """What gives a variable as text, empty where it is absent. Raises ConfigError."""
    printed = compile_variable(text, surroundings, colours=False).printed

    def get(msg: "SipMsg") -> bytes:
        value = printed(msg)
        return b"" if value is None else as_bytes(value)

    return get


def parse_legs(core: "Core", text: str) -> list[LegValue]:
    """The AVPs of a leg. Raises ConfigError."""
    surroundings = Surroundings(core)
    aliases = parse_avp_aliases(text_param(surroundings, "avp_aliases"))
    legs = []
    for label, variable in pairs(text, surroundings, "multi_leg_info", MAX_LEGS):
        found = spelling_at(variable, 0, is_avp, is_avp)
        if not is_avp(found.name) or found.inner is None or found.nth is not None or found.steps:
            raise ConfigError(f"acc: multi_leg_info has {variable}", expected="AVPs such as $avp(s:source)")
        legs.append(LegValue(label, *parse_avp_name(found.inner, aliases)))
    return legs


def is_avp(name: str) -> bool:
    """Whether a variable of that name is an AVP."""
    return FAMILIES.get(name) is avp_variable


def pairs(text: str, surroundings: Surroundings, what: str, most: int) -> list[tuple[str, str]]:
    """Labels and variables of a parameter. Raises ConfigError."""
    found: list[tuple[str, str]] = []
    rest = text.strip()
    while rest:
        label, equals, tail = rest.partition("=")
        tail = tail.lstrip()
        if not equals or not label.strip() or ";" in label or not tail.startswith("$"):
            raise malformed(text, what)
        _, end = read_variable(tail, 0, surroundings, colours=False)
        found.append((label.strip(), tail[:end]))
        rest = tail[end:].lstrip()
        if rest and not rest.startswith(";"):
            raise malformed(text, what)
        rest = rest[1:].lstrip()
    if len(found) > most:
        raise ConfigError(f"acc: {what} has {len(found)} values", expected=f"at most {most}")
    return found


def malformed(text: str, what: str) -> ConfigError:
    """The error for a parameter that cannot be read."""
    return ConfigError(f"acc: {what} cannot be {text!r}", expected="label=$variable;label=$variable")


def legs_of(msg: "SipMsg", legs: list[LegValue]) -> list[list[bytes]]:
    """The values of each leg of a call, the newest first; one leg of empty values where there is none."""
    columns = [msg.avps.all(leg.name, leg.flags) for leg in legs]
    n_legs = max(1, *map(len, columns))
    return [[as_bytes(column[n]) if n < len(column) else b"" for column in columns] for n in range(n_legs)]
