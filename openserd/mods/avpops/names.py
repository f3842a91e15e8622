"""Arguments of avpops: names of AVPs, what follows them behind a slash, constants.

$avp(s:name)   $avp(i3:12)   $avp(alias)   $(avp(s:name)[2])      one name
i   s3   a   *                                                    every AVP with a number, with text, any name
i:12   i:0xff   s:text   text                                     constants
"""

from typing import Any, Final, NamedTuple

from openserd.core.avp import Avp, AvpList, Name
from openserd.errors import ConfigError
from openserd.script.variables.named import (
    FAMILIES,
    avp_variable,
    encoded,
    parse_avp_aliases,
    parse_avp_name,
    text_param,
)
from openserd.script.variables.syntax import match_variable, spelling_at
from openserd.script.variables.variable import Index

AVP_EXPECTED: Final = "an AVP such as $avp(s:name), $avp(i:12) or $avp(alias)"
GROUP_EXPECTED: Final = "$avp(name), or i, s or a for every AVP with a number, with text or with any as its name"
INT_BITS: Final = 32


class AvpRef(NamedTuple):
    """A name as an argument gives it: with the mask of its classes, and an index where one is written."""

    name: Name
    flags: int
    nth: Index = None

    def find(self, avps: AvpList) -> list[Avp]:
        """The AVPs of that name, newest first."""
        return avps.matching(self.name, self.flags)


class Group(NamedTuple):
    """AVPs by the kind of their name, int, bytes or None for both, and by their classes."""

    kind: type | None
    flags: int

    def find(self, avps: AvpList) -> list[Avp]:
        """The AVPs that belong to it, newest first."""
        return [avp for avp in reversed(avps) if self.holds(avp)]

    def holds(self, avp: Avp) -> bool:
        """Whether an AVP belongs to it."""
        return (self.kind is None or isinstance(avp[0], self.kind)) and (not self.flags or bool(self.flags & avp[2]))


def is_avp(name: str) -> bool:
    """Whether a variable's name is one of those that AVPs have: `avp`, `a` and their kin."""
    return FAMILIES.get(name) is avp_variable


def avp_ref(text: str, context: Any, *, indexed: bool = False) -> AvpRef:
    """The AVP that `text` names. Raises ConfigError."""
    word = text.strip()
    found = spelling_at(word, 0, is_avp, is_avp) if word.startswith("$") else None
    if found is None or found.end < len(word) or not is_avp(found.name) or found.inner is None or found.steps:
        raise ConfigError(f"'{text}' is no AVP", expected=AVP_EXPECTED)
    if found.nth is not None and not indexed:
        raise ConfigError(f"'{text}' has an index, which means nothing here", expected=AVP_EXPECTED)
    name, flags = parse_avp_name(found.inner, parse_avp_aliases(text_param(context, "avp_aliases")))
    return AvpRef(name, flags, found.nth)


def is_avp_text(text: str) -> bool:
    """Whether an argument is an AVP and nothing else, so that all of its values are meant."""
    if not text.startswith("$"):
        return False
    found = spelling_at(text, 0, is_avp, is_avp)
    return is_avp(found.name) and found.end == len(text) and found.nth is None and not found.steps


def avp_or_group(text: str, context: Any) -> AvpRef | Group:
    """One name, or a kind of names. Raises ConfigError."""
    word = text.strip()
    if word.startswith("$"):
        return avp_ref(word, context)
    kinds = {"i": int, "s": bytes, "a": None, "*": None}
    letter, number = word[:1].lower(), word[1:]
    if letter not in kinds or (number and not number.isdigit()):
        raise ConfigError(f"'{text}' names no AVP", expected=GROUP_EXPECTED)
    return Group(kinds[letter], parse_avp_name(f"i{number}:0")[1])


def split(text: str) -> list[str]:
    """The parts of an argument, between slashes; those in the parentheses of a variable separate nothing."""
    parts: list[str] = []
    start = at = 0
    while at < len(text):
        if text[at] == "$" and text[at : at + 2] != "$$" and at == start:
            at = variable_end(text, at)
        elif text[at] == "/":
            parts.append(text[start:at])
            start = at = at + 1
        else:
            at += 1
    return [*parts, text[start:]]


def variable_end(text: str, start: int) -> int:
    """The end of the variable at `start`, of which something may be wrong that is reported elsewhere."""
    try:
        return max(match_variable(text, start), start + 1)
    except ConfigError:
        return start + 1


def flags_of(text: str, allowed: str) -> str:
    """Flags behind the last slash, in lower case. Raises ConfigError for one that does not exist here."""
    found = text.strip().lower()
    for flag in found:
        if flag not in allowed:
            raise ConfigError(f"there is no flag '{flag}' here", expected=" and ".join(allowed))
    return found


def constant(text: str) -> int | bytes:
    """What `i:number`, `s:text` or text is. Raises ConfigError."""
    kind, value = text[:2].lower(), text[2:]
    if kind == "s:":
        return encoded(value)
    if kind != "i:":
        if text[1:2] == ":":
            raise ConfigError(f"'{text}' has no type that exists", expected="i:number, s:text or text")
        return encoded(text)
    try:
        return wrapped(int(value, 16 if value.lower().startswith("0x") else 10))
    except ValueError:
        raise ConfigError(f"'{value}' is no number", expected="i:12, i:-12 or i:0xff") from None


def wrapped(value: int) -> int:
    """A number as a C int holds it: what does not fit begins again at the other end."""
    return (value + (1 << INT_BITS - 1)) % (1 << INT_BITS) - (1 << INT_BITS - 1)


def list_of(text: str, context: Any) -> list[AvpRef]:
    """AVPs with semicolons between them. Raises ConfigError."""
    refs = [avp_ref(piece, context) for piece in text.split(";") if piece.strip()]
    if not refs:
        raise ConfigError("no AVP is named", expected="$avp(s:one);$avp(s:two)")
    return refs
