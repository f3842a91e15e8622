"""What avpops does with values: copies, arithmetic, substitution, writing them into the request."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from openserd.core import ruri
from openserd.core.avp import Avp
from openserd.core.destinations import append_branch
from openserd.errors import ConfigError, SipError
from openserd.mods.avpops.checks import Values, parts_of, values_of
from openserd.mods.avpops.names import AvpRef, Group, avp_or_group, avp_ref, constant, flags_of, split, wrapped
from openserd.parser.uri import parse_uri
from openserd.script.variables.variable import as_bytes

if TYPE_CHECKING:
    from openserd.core.message import SipMsg
    from openserd.core.substitution import Substitution

log = logging.getLogger("openserd")


class Flagged(NamedTuple):
    """A first name, a second where one is written, and flags."""

    source: AvpRef
    target: AvpRef | None
    flags: str


# -- avp_delete ----------------------------------------------------------------------------------------------


def compile_delete(text: str, context: Any) -> tuple[AvpRef | Group, bool]:
    """Which AVPs avp_delete drops, and whether all of them. Raises ConfigError."""
    name, *rest = split(text)
    if len(rest) > 1:
        raise ConfigError(f"'{text}' has too many slashes", expected="name or name/g")
    which = avp_or_group(name, context)
    every = "g" in flags_of("".join(rest), "g")
    return which, every or isinstance(which, Group)


def delete(msg: "SipMsg", which: AvpRef | Group, every: bool) -> bool:
    """Drops AVPs; whether there was one."""
    found = which.find(msg.avps)
    for avp in found if every else found[:1]:
        msg.avps.discard(avp)
    return bool(found)


# -- avp_copy ------------------------------------------------------------------------------------------------


def compile_target(text: str, context: Any) -> Flagged:
    """The second argument of avp_copy. Raises ConfigError."""
    name, *rest = split(text)
    if len(rest) > 1:
        raise ConfigError(f"'{text}' has too many slashes", expected="$avp(name) or $avp(name)/flags")
    ref = avp_ref(name, context)
    return Flagged(ref, ref, flags_of("".join(rest), "gdns"))


def copy(msg: "SipMsg", source: AvpRef, target: Flagged) -> bool:
    """Copies the newest value, or all of them, to another name; whether there was one, and all could be converted."""
    found = source.find(msg.avps)
    for avp in found if "g" in target.flags else found[:1]:
        value = converted(avp[1], target.flags)
        if value is None:
            log.error("avpops: %r is no number, nothing more is copied", avp[1])
            return False
        msg.avps.add(target.source.name, value, target.source.flags)
        if "d" in target.flags:
            msg.avps.discard(avp)
    return bool(found)


def converted(value: int | bytes, flags: str) -> int | bytes | None:
    """A value as number or text where the flags ask for it; None where it is no number."""
    if isinstance(value, bytes) and "n" in flags:
        return wrapped(int(value)) if value.isdigit() else None
    return as_bytes(value) if "s" in flags else value


# -- avp_op --------------------------------------------------------------------------------------------------

ARITHMETIC: Final[dict[str, Callable[[int, int], int]]] = {
    "add": lambda one, two: one + two,
    "sub": lambda one, two: one - two,
    "mul": lambda one, two: one * two,
    "div": lambda one, two: quotient(one, two),
    "mod": lambda one, two: one - two * quotient(one, two) if two else quotient(one, two),
    "and": lambda one, two: one & two,
    "or": lambda one, two: one | two,
    "xor": lambda one, two: one ^ two,
    "not": lambda one, two: ~two,
}
OP_EXPECTED: Final = "operator/value or operator/value/flags, such as add/i:5/d"


def quotient(one: int, two: int) -> int:
    """A quotient rounded towards zero; 0 for a division by zero, which is said in the log."""
    if two == 0:
        log.error("avpops: avp_op divides by 0")
        return 0
    result = abs(one) // abs(two)
    return result if (one < 0) == (two < 0) else -result


class Operation(NamedTuple):
    """The second argument of avp_op."""

    apply: Callable[[int, int], int]
    values: Values
    flags: str


def compile_pair(text: str, context: Any) -> Flagged:
    """The first argument of avp_op: source, and target where one is written. Raises ConfigError."""
    source, *rest = split(text)
    if len(rest) > 1:
        raise ConfigError(f"'{text}' has too many slashes", expected="$avp(source) or $avp(source)/$avp(target)")
    return Flagged(avp_ref(source, context), avp_ref(rest[0], context) if rest and rest[0] else None, "")


def compile_operation(text: str, context: Any) -> Operation:
    """The second argument of avp_op. Raises ConfigError."""
    operator, value, flags = parts_of(text, tuple(ARITHMETIC), OP_EXPECTED)
    fixed = None if value.startswith("$") else constant(value)
    if isinstance(fixed, bytes):
        raise ConfigError(f"{operator} takes a number", expected=f"{operator}/i:number or {operator}/$avp(name)")
    return Operation(ARITHMETIC[operator], values_of(value, fixed, context), flags_of(flags, "gd"))


def operate(msg: "SipMsg", names: Flagged, operation: Operation) -> bool:
    """Calculates with every number that the source has; each result is a further value of the target.

    Where the second operand has several numbers, each result is calculated on with.  OpenSER: the flag `g` makes no
    difference, all values are used without it too.
    """
    target = names.target or names.source
    numbers = [avp for avp in names.source.find(msg.avps) if isinstance(avp[1], int)]
    if not numbers:
        return False
    for avp in numbers:
        operands = [value for value in operation.values(msg) if isinstance(value, int)]
        if not operands:
            return False
        result = avp[1]
        for operand in operands:
            assert isinstance(result, int)
            result = wrapped(operation.apply(result, operand))
            msg.avps.add(target.name, result, target.flags)
        if "d" in operation.flags:
            msg.avps.discard(avp)
    return True


# -- avp_subst -----------------------------------------------------------------------------------------------


def compile_subst_names(text: str, context: Any) -> Flagged:
    """The first argument of avp_subst: `source[/target[/flags]]`, `source/flags` too. Raises ConfigError."""
    source, *rest = split(text)
    target = None
    if rest and rest[0].startswith("$"):
        first = rest.pop(0)
        target = None if first == "$" else avp_ref(first, context)
    if len(rest) > 1:
        raise ConfigError(f"'{text}' has too many slashes", expected="$avp(source)/$avp(target)/flags")
    return Flagged(avp_ref(source, context), target, flags_of("".join(rest), "gd"))


def substitute(msg: "SipMsg", names: Flagged, substitution: "Substitution") -> bool:
    """Substitutes in the newest text that matches, or in all; whether one did."""
    target = names.target or names.source
    done = False
    for avp in names.source.find(msg.avps):
        text = substitution.apply(avp[1], msg) if isinstance(avp[1], bytes) else None
        if text is None:
            continue
        msg.avps.add(target.name, text, target.flags)
        if names.target is None or "d" in names.flags:
            msg.avps.discard(avp)
        done = True
        if "g" not in names.flags:
            break
    return done


# -- is_avp_set ----------------------------------------------------------------------------------------------


class Presence(NamedTuple):
    """The argument of is_avp_set."""

    ref: AvpRef
    flags: str


def compile_presence(text: str, context: Any) -> Presence:
    """The argument of is_avp_set. Raises ConfigError."""
    name, *rest = split(text)
    flags = flags_of("".join(rest), "esn")
    if len(rest) > 1 or ("s" in flags and "n" in flags):
        raise ConfigError(f"'{text}' is not possible here", expected="$avp(name)/flags with e, and s or n")
    return Presence(avp_ref(name, context, indexed=True), flags)


def is_set(msg: "SipMsg", wanted: Presence) -> bool:
    """Whether there is a value at the index, 0 the newest (also for -1 and *), and is of the kind."""
    found = wanted.ref.find(msg.avps)
    index = max(0, wanted.ref.nth) if isinstance(wanted.ref.nth, int) else 0
    return index < len(found) and is_kind(found[index], wanted.flags)


def is_kind(avp: Avp, flags: str) -> bool:
    """Whether a value is text (`s`) or a number (`n`), and empty or 0 (`e`)."""
    value = avp[1]
    if ("s" in flags and isinstance(value, int)) or ("n" in flags and isinstance(value, bytes)):
        return False
    return not value if "e" in flags else True


# -- avp_pushto ----------------------------------------------------------------------------------------------

Push = Callable[["SipMsg", int | bytes, int], bool]  #: writes a value, the n-th from 0; whether it could

PUSH_EXPECTED: Final = "$ru, $ru/username, $ru/domain, $du or $br"


def push_to_ruri(write: Callable[["SipMsg", bytes], bool]) -> Push:
    """Writes the request URI or a part of it; what it was after one value becomes a branch with the next."""

    def push(msg: "SipMsg", value: int | bytes, position: int) -> bool:
        if position and not append_branch(msg, msg.ruri):
            log.error("avpops: there are too many branches")
            return False
        return write(msg, as_bytes(value))

    return push


def push_next_hop(msg: "SipMsg", value: int | bytes, position: int) -> bool:
    """Makes text that is a URI the next hop."""
    if not isinstance(value, bytes) or not is_uri(value):
        return False
    msg.dst_uri = value
    return True


def push_branch(msg: "SipMsg", value: int | bytes, position: int) -> bool:
    """Makes text that is a URI one more branch."""
    if not isinstance(value, bytes) or not is_uri(value) or not append_branch(msg, value):
        return False
    msg.branches[-1].listener = msg.force_listener
    return True


def is_uri(text: bytes) -> bool:
    """Whether text is a URI."""
    try:
        parse_uri(text)
    except SipError:
        return False
    return True


PUSHES: Final[dict[str, Push]] = {
    "$ru": push_to_ruri(ruri.put),
    "$ru/username": push_to_ruri(ruri.set_user),
    "$ru/domain": push_to_ruri(ruri.set_host),
    "$du": push_next_hop,
    "$br": push_branch,
}


def compile_push(text: str) -> Push:
    """Where avp_pushto writes. Raises ConfigError."""
    name, slash, part = text.strip().partition("/")
    spoken = {"$ruri": "$ru", "$duri": "$du", "$(ru)": "$ru", "$(du)": "$du", "$(br)": "$br"}
    found = PUSHES.get(spoken.get(name, name) + slash + part.lower())
    if found is None:
        hint = "textops has append_hf() and append_to_reply()" if name.startswith(("$hdr", "$(hdr")) else ""
        raise ConfigError(f"nothing can be written to '{text}'", expected=PUSH_EXPECTED, hint=hint)
    return found


def compile_pushed(text: str, context: Any) -> tuple[Values, bool]:
    """What avp_pushto writes, and whether all values of it. Raises ConfigError."""
    name, *rest = split(text)
    if not name.startswith("$") or len(rest) > 1:
        raise ConfigError(f"'{text}' is no pseudo-variable", expected="a pseudo-variable, or $avp(name)/g")
    return values_of(name, None, context), "g" in flags_of("".join(rest), "g")


def push(msg: "SipMsg", write: Push, values: Values, every: bool) -> bool:
    """Writes the newest value, or all; False where there is none or one cannot be written."""
    found = values(msg) if msg.is_request else []
    for position, value in enumerate(found if every else found[:1]):
        if not write(msg, value, position):
            return False
    return bool(found)
