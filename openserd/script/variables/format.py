"""Formatted text: literal text with pseudo-variables in it, `$$` for a dollar, `<null>` for what is
absent."""

from typing import TYPE_CHECKING, Final

from openserd.core.arguments import NULL_TEXT, Dynamic
from openserd.script.variables.compile import DOLLAR, Env, read_variable
from openserd.script.variables.named import encoded
from openserd.script.variables.variable import Getter

if TYPE_CHECKING:
    from openserd.core.message import SipMsg


class TextFormat:
    """Formatted text with variables; calling it with a message gives the text as bytes.

    `template` has a `%b` for each of `getters`.
    """

    __slots__ = ("getters", "template")

    def __init__(self, template: bytes, getters: list[Getter]) -> None:
        self.template: Final = template
        self.getters: Final = getters

    def __call__(self, msg: "SipMsg") -> bytes:
        """The text for `msg`."""
        values: list[bytes] = []
        for get in self.getters:
            value = get(msg)
            if isinstance(value, bytes):
                values.append(value)
            else:
                values.append(NULL_TEXT if value is None else b"%d" % value)
        return self.template % tuple(values)


def compile_format(text: str, env: Env, *, colours: bool = True) -> bytes | Dynamic:
    """`text` as bytes where it holds no variable, else an object that evaluates it to bytes. Raises
    ConfigError."""
    literal: list[str] = []
    template: list[bytes] = []
    getters: list[Getter] = []
    start = 0
    while (at := text.find("$", start)) >= 0:
        variable, end = read_variable(text, at, env, colours=colours)
        literal.append(text[start:at])
        start = end
        if variable is DOLLAR:
            literal.append("$")
            continue
        template += (escaped("".join(literal)), b"%b")
        getters.append(variable.printed)
        literal.clear()
    literal.append(text[start:])
    if not getters:
        return encoded("".join(literal))
    return TextFormat(b"".join((*template, escaped("".join(literal)))), getters)


def escaped(text: str) -> bytes:
    """Literal text as part of a template."""
    return encoded(text).replace(b"%", b"%%")
