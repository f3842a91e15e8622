"""Other layouts of tables: `name:table=subscriber;uuid_col=username;value_col=email;value_type=string`."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from openserd.core.database import name_check
from openserd.errors import ConfigError

EXPECTED: Final = (
    "name:element;element with uuid_col=, username_col=, domain_col=, value_col=, table=, "
    "value_type=string or value_type=integer"
)
ELEMENTS: Final = frozenset(("uuid_col", "username_col", "domain_col", "value_col", "table", "value_type"))
_ELEMENT: Final = re.compile(r"\s*([^\s=;]+)\s*=\s*([^\s;]+)\s*")


class Scheme(NamedTuple):
    """One layout; empty for what the module's parameters say."""

    name: str
    uuid_col: str = ""
    username_col: str = ""
    domain_col: str = ""
    value_col: str = ""
    table: str = ""
    is_integer: bool = False


def parse_scheme(text: str) -> Scheme:
    """A layout as `db_scheme` has it. Raises ConfigError."""
    name, colon, rest = text.partition(":")
    elements: dict[str, str] = {}
    pieces = rest.removesuffix(";").split(";")
    for piece in pieces:
        match = _ELEMENT.fullmatch(piece)
        if not colon or not name.strip() or match is None or match[1].lower() not in ELEMENTS:
            raise ConfigError(f"'{text}' is no scheme", expected=EXPECTED)
        elements[match[1].lower()] = match[2]
    kind = elements.pop("value_type", "string").lower()
    if kind not in ("string", "integer"):
        raise ConfigError(f"'{kind}' is no type of a value", expected="string or integer")
    for element, value in elements.items():
        if problem := name_check(value):
            raise ConfigError(f"{element}={value} is not possible", expected=problem)
    return Scheme(name.strip(), is_integer=kind == "integer", **elements)


def problem_with(text: str) -> str | None:
    """A check of the parameter."""
    try:
        parse_scheme(text)
    except ConfigError as error:
        return error.expected
    return None


def find_scheme(texts: Sequence[str], name: str) -> Scheme:
    """The layout of that name, whatever its case. Raises ConfigError."""
    for scheme in map(parse_scheme, texts):
        if scheme.name.lower() == name.lower():
            return scheme
    raise ConfigError(f"there is no scheme '{name}'", hint="schemes are defined with the parameter db_scheme")
