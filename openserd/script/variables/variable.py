"""What a pseudo-variable is once the script is compiled: a name and functions that read, print and write it.

Values are bytes, int, or None where absent.  Most variables print as their value; those with a text form of
their own (`$mF`: flags as a number, printed in hexadecimal) have a `printed` that differs from `get`.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from openserd.core.arguments import NULL_TEXT, Value
from openserd.errors import ScriptError, SipError

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

Getter = Callable[["SipMsg"], Value]
Setter = Callable[["SipMsg", Value], None]


class Env(Protocol):
    """What compiling a variable asks of its surroundings."""

    @property
    def modules(self) -> Any:
        """The loaded modules: instances, or a mapping with them as values."""

    @property
    def core(self) -> Any:
        """The server; its `params.avp_aliases` are read."""


class Variable:
    """One compiled pseudo-variable; calling it is `get`.

    `writable` says whether a script may assign to it; `set` raises ScriptError where that cannot be done.
    """

    __slots__ = ("get", "name", "printed", "set", "writable")

    def __init__(
        self,
        name: str,
        get: Getter,
        set: Setter | None = None,
        printed: Getter | None = None,
        *,
        writable: bool | None = None,
    ) -> None:
        self.name = name
        self.get = get
        self.printed = printed or get
        self.set = set or refusing(name)
        self.writable = set is not None if writable is None else writable

    def __call__(self, msg: "SipMsg") -> Value:
        """The value for `msg`."""
        return self.get(msg)

    def text(self, msg: "SipMsg") -> bytes:
        """The value as formatted text shows it, `<null>` where it is absent."""
        return as_text(self.printed(msg))

    def __repr__(self) -> str:
        return f"Variable({self.name!r})"


class Definition(NamedTuple):
    """A variable without a name in parentheses, as the tables of the core list it."""

    get: Getter
    set: Setter | None = None
    printed: Getter | None = None
    aliases: tuple[str, ...] = ()
    writable: bool | None = None  #: False where only modules may call `set`


def as_text(value: Value) -> bytes:
    """A value as formatted text shows it."""
    if isinstance(value, bytes):
        return value
    return NULL_TEXT if value is None else b"%d" % value


def as_bytes(value: bytes | int) -> bytes:
    """A value that is there, as text."""
    return value if isinstance(value, bytes) else b"%d" % value


def refusing(name: str) -> Setter:
    """The setter of a variable that can only be read."""

    def refuse(msg: "SipMsg", value: Value) -> None:
        raise ScriptError(f"{name} cannot be written")

    return refuse


def reading(getter: Getter) -> Getter:
    """`getter`, with what it cannot parse absent and the error noted on the message."""

    @wraps(getter)
    def get(msg: "SipMsg") -> Value:
        try:
            return getter(msg)
        except SipError as error:
            msg.error = error
            return None

    return get


ALL: Final = "*"
Index = int | str | None  #: a position, `ALL`, or None where none is written


def pick(values: "list[bytes] | list[bytes | int]", index: int | str) -> Value:
    """The value at `index`, negative from the end, or all of them joined; None where there is none."""
    if isinstance(index, str):
        return b", ".join(as_bytes(value) for value in values) if values else None
    return values[index] if -len(values) <= index < len(values) else None
