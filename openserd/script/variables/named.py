"""Pseudo-variables with a name in parentheses: AVPs, header fields, script variables; and colours.

$avp(s:text) $avp(i:12) $avp(i3:12) $avp(alias) $avp($alias)   newest value first
$hdr(Via)    $var(counter)
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from openserd.core.arguments import Value
from openserd.core.avp import Name
from openserd.errors import ConfigError
from openserd.parser.names import header_id, is_header_name
from openserd.script.variables.variable import Env, Index, Variable, pick

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

AvpName = tuple[Name, int]  #: the name and the mask of its classes
AvpAliases = dict[str, AvpName]

_TYPED: Final = re.compile(r"([sSiI])([0-9]*):(.+)", re.DOTALL)
_ALIAS: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.+?)\s*")
MAX_CLASS: Final = 31

#: OpenSER knows the list of `serialize_branches` by this name.
BUILT_IN_ALIASES: Final[AvpAliases] = {"serial_branch": (0xFF3434, 0)}


def parse_avp_name(text: str, aliases: AvpAliases | None = None) -> AvpName:
    """An AVP's name as written between the parentheses of `$avp(...)`. Raises ConfigError.

    Without a type it is an alias where one is defined, otherwise text; `$name` is an alias in any case.
    """
    name = text.strip()
    known = BUILT_IN_ALIASES | (aliases or {})
    if name.startswith("$"):
        if name[1:] not in known:
            raise ConfigError(f"unknown AVP alias '{name}'", hint="aliases are defined with avp_aliases")
        return known[name[1:]]
    if name in known:
        return known[name]
    match = _TYPED.fullmatch(name)
    if match is not None:
        return typed_name(match[1].lower(), match[2], match[3].strip())
    if not name:
        raise ConfigError("an AVP needs a name", expected="s:text, i:number or an alias")
    return encoded(name), 0


def typed_name(kind: str, avp_class: str, name: str) -> AvpName:
    """A name with its type written: `s:text`, `i:number`, either with a class number before the colon."""
    if avp_class and int(avp_class) > MAX_CLASS:
        raise ConfigError(f"AVP class {avp_class} is out of range", expected=f"a number from 0 to {MAX_CLASS}")
    flags = 1 << int(avp_class) if avp_class else 0
    if kind == "s":
        return encoded(name), flags
    try:
        return int(name, 0), flags
    except ValueError:
        raise ConfigError(f"'{name}' is no number of an AVP", expected="i:number, s:text or an alias") from None


def parse_avp_aliases(text: str) -> AvpAliases:
    """The value of `avp_aliases`: `email=s:email;uuid=i:660`. Raises ConfigError."""
    aliases: AvpAliases = {}
    for piece in filter(str.strip, text.split(";")):
        match = _ALIAS.fullmatch(piece)
        if match is None or match[2].startswith("$"):
            raise ConfigError(f"bad AVP alias '{piece.strip()}'", expected="alias=s:text or alias=i:number")
        aliases[match[1]] = parse_avp_name(match[2])
    return aliases


def avp_param(text: str, aliases: AvpAliases | str = "") -> AvpName | None:
    """The AVP that a module's parameter names, `$avp(...)`, None where it is empty; `aliases` as parsed or as in
    `avp_aliases`. Raises ConfigError."""
    spec = text.strip()
    if not spec:
        return None
    if not (spec.startswith("$avp(") and spec.endswith(")")):
        raise ConfigError(f"'{text}' is no AVP", expected="an AVP such as $avp(s:name) or $avp(i:42)")
    return parse_avp_name(spec[len("$avp(") : -1], parse_avp_aliases(aliases) if isinstance(aliases, str) else aliases)


def avp_variable(spelling: str, inner: str, index: Index, env: Env) -> Variable:
    """$avp(name): the newest value, or that at `index`; assigning adds a value whatever the index, null removes all."""
    aliases = parse_avp_aliases(text_param(env, "avp_aliases"))
    name, flags = parse_avp_name(inner, aliases)

    def get(msg: "SipMsg") -> Value:
        return msg.avps.get(name, flags)

    def put(msg: "SipMsg", value: Value) -> None:
        if value is None:
            msg.avps.drop(name, flags=flags)
        else:
            msg.avps.add(name, value, flags)

    if index is not None:
        position = index
        return Variable(spelling, lambda msg: pick(msg.avps.all(name, flags), position), put)
    return Variable(spelling, get, put)


def text_param(env: Env, name: str) -> str:
    """A global parameter that holds text, "" where it is not set."""
    value: Any = getattr(getattr(env.core, "params", None), name, None)
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value or ""


def hdr_variable(spelling: str, inner: str, index: Index, env: Env) -> Variable:
    """$hdr(name): the first header field of that name, or the one at `index`; all of them joined for `*`."""
    name = encoded(inner.strip())
    if not is_header_name(name):
        raise ConfigError(f"'{inner}' is no name of a header field", expected="$hdr(name) or $hdr(name[index])")
    hid = header_id(name)
    if hid and index is None:
        return Variable(spelling, lambda msg: msg.header(hid))
    position = 0 if index is None else index
    return Variable(spelling, lambda msg: pick([msg.value(i) for i in msg.indexes_named(name)], position))


#: The script variables of this process, each a list of its one value; they live across messages.
SCRIPT_VARIABLES: Final[dict[str, list[Value]]] = {}


def script_variable(spelling: str, inner: str, index: Index, env: Env) -> Variable:
    """$var(name): 0 until the script assigns to it in this process; null makes it 0 again."""
    if not inner or index is not None:
        raise ConfigError(f"{spelling} is no script variable", expected="$var(name)")
    cell = SCRIPT_VARIABLES.setdefault(inner, [0])

    def get(msg: "SipMsg") -> Value:
        return cell[0]

    def put(msg: "SipMsg", value: Value) -> None:
        cell[0] = 0 if value is None else value

    return Variable(spelling, get, put)


def environment_variable(spelling: str, inner: str, index: Index, env: Env) -> Variable:
    """$env(NAME): the value that the environment of the server had at start; absent where it had none."""
    if not inner or index is not None:
        raise ConfigError(f"{spelling} is no variable of the environment", expected="$env(NAME)")
    value = getattr(env.core, "environment", {}).get(inner)
    constant = None if value is None else encoded(value)
    return Variable(spelling, lambda msg: constant)


Family = Callable[[str, str, Index, Env], Variable]

#: $avp and its short forms; the letters t g s p of 1.1 once chose a list and are read as one.
_AVP_NAMES: Final = ("avp", "a", "avpt", "avpg", "avps", "avpp", "at", "ag", "as", "ap")
FAMILIES: Final[dict[str, Family]] = {
    **dict.fromkeys(_AVP_NAMES, avp_variable),
    "env": environment_variable,
    "hdr": hdr_variable,
    "h": hdr_variable,
    "var": script_variable,
    "v": script_variable,
}


#: Letters of $Cxy, in the order of the terminal's colour numbers; x is the default, s its explicit form.
_COLOURS: Final = {"s": 0, "r": 1, "g": 2, "y": 3, "b": 4, "p": 5, "c": 6, "w": 7}
_COLOUR_NAME: Final = re.compile(r"C([xXsSrRgGyYbBpPcCwW])([xsrgybpcw])")


def is_colour(name: str) -> bool:
    """Whether `name` is one of the colours $Cxy."""
    return _COLOUR_NAME.fullmatch(name) is not None


def colour_variable(name: str) -> Variable:
    """$Cxy: the escape sequence for foreground x, bold in upper case, and background y."""
    match = _COLOUR_NAME.fullmatch(name)
    assert match is not None
    letter, background = match[1], match[2]
    codes = ["1" if letter.isupper() else "0"]
    codes.append(colour_code(letter.lower(), 30))
    codes.append(colour_code(background, 40))
    sequence = f"\x1b[{';'.join(codes)}m".encode()
    return Variable(f"${name}", lambda msg: sequence)


def colour_code(letter: str, base: int) -> str:
    """The number of one colour in a terminal's escape sequence, 39 or 49 for the default."""
    return str(base + _COLOURS.get(letter, 9))


def encoded(text: str) -> bytes:
    """Script text as the bytes it was."""
    return text.encode("utf-8", "surrogateescape")
