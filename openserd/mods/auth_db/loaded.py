"""load_credentials: columns of a user's row that become AVPs once the credentials have been found right."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openserd.core.avp import Name
from openserd.core.database.values import Value, check_name
from openserd.errors import ConfigError, ResourceError
from openserd.script.variables.named import avp_param

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")


class Loaded:
    """One column, and the AVP that it goes into."""

    __slots__ = ("classes", "column", "name")

    def __init__(self, column: str, name: Name, classes: int) -> None:
        self.column = column
        self.name = name
        self.classes = classes


def parse_loaded(text: str, aliases: str = "") -> list[Loaded]:
    """The parameter: `[$avp(...)=]column` separated by semicolons; without an AVP, one named as the column.

    Raises ConfigError.
    """
    pieces = text.strip()
    return [parse_one(piece, aliases) for piece in pieces.removesuffix(";").split(";")] if pieces else []


def parse_one(piece: str, aliases: str) -> Loaded:
    """One `[$avp(...)=]column`. Raises ConfigError."""
    before, equals, after = piece.partition("=")
    column = (after if equals else before).strip()
    try:
        check_name(column)
    except ResourceError:
        raise ConfigError(f"'{piece}' names no column", expected="[$avp(...)=]column, separated by ;") from None
    name = avp_param(before, aliases) if equals else (column.encode(), 0)
    if name is None:
        raise ConfigError(f"'{piece}' names no AVP", expected="[$avp(...)=]column, separated by ;")
    return Loaded(column, *name)


def load(msg: "SipMsg", loaded: Sequence[Loaded], values: Sequence[Value]) -> None:
    """Sets the AVPs: text and numbers as they are, nothing for NULL or an empty text.

    The AVP named first is set last, and so the newest where two go into the same one (OpenSER).
    """
    for one, value in reversed(list(zip(loaded, values, strict=True))):
        if isinstance(value, bytes | int):
            if value != b"":
                msg.avps.add(one.name, value, one.classes)
        elif value is not None:
            log.error("auth_db: column %s holds neither text nor a number, and no AVP is made of it", one.column)
