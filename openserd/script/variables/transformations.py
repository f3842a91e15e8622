"""Transformations: what `{class.func,argument,...}` behind a variable makes of its value, one by one.

    $(ru{uri.user}{s.len})   $(hdr(Via){s.select,0,;})   $(var(x){s.substr,$var(from),3})

Names ignore case, arguments may be variables.  An absent value stays absent, and so it becomes where a
transformation cannot be done: the text is no URI, an offset lies outside (OpenSER 1.2: transformations.c).
`uri.port` and `uri.headers`, which the parser of 1.2 does not accept although its engine has them, work.
"""

import hashlib
import re
from binascii import Error as HexError
from binascii import unhexlify
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

import regex

from openserd.core.arguments import Value
from openserd.errors import ConfigError, SipError
from openserd.parser.params import unquote
from openserd.parser.uri import Uri, escape_user, parse_uri
from openserd.script.variables.variable import Getter, Variable, as_bytes

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

Step = Callable[["SipMsg", bytes], Value]
NUMBER: Final = "a number"
NAME: Final = "a name"
CHARACTER: Final = "one character"


class Transformation(NamedTuple):
    """One of the table: a function of the text and of arguments of these kinds."""

    apply: Callable[..., Value]
    kinds: tuple[str, ...] = ()


# -- text ---------------------------------------------------------------------------------------------------

_LEADING_NUMBER: Final = re.compile(rb"\s*([+-]?[0-9]+)")
_COMMON_ESCAPES: Final = {0x27: b"\\'", 0x22: b'\\"', 0x5C: b"\\\\", 0: b"\\0"}
_COMMON_SPECIAL: Final = re.compile(rb"['\"\\\x00]")
_COMMON_PAIR: Final = re.compile(rb"\\(['\"\\0])")
_PERCENT: Final = re.compile(rb"%(..?)?", re.DOTALL)
_HEX_PAIR: Final = re.compile(rb"[0-9A-Fa-f]{2}")


def number_in(text: bytes) -> Value:
    """{s.int}: the signed number that the text begins with."""
    match = _LEADING_NUMBER.match(text)
    return int(match[1]) if match else None


def md5(text: bytes) -> Value:
    """{s.md5}: MD5 in lower-case hexadecimal."""
    return hashlib.md5(text, usedforsecurity=False).hexdigest().encode()


def from_hexadecimal(text: bytes) -> Value:
    """{s.decode.hexa}: the bytes that the digits stand for; a last single digit is left out."""
    try:
        return unhexlify(text[: len(text) & ~1])
    except HexError:
        return None


def escape_common(text: bytes) -> Value:
    """{s.escape.common}: a backslash in front of quotes and backslashes, NUL as \\0."""
    return _COMMON_SPECIAL.sub(lambda match: _COMMON_ESCAPES[match[0][0]], text)


def unescape_common(text: bytes) -> Value:
    """{s.unescape.common}: the reverse; other backslashes stay."""
    return _COMMON_PAIR.sub(lambda match: b"\0" if match[1] == b"0" else match[1], text)


def unescape_user(text: bytes) -> Value:
    """{s.unescape.user}: %HH undone; absent where a % is malformed or stands for a control character."""
    pieces: list[bytes] = []
    start = 0
    for match in _PERCENT.finditer(text):
        if not match[1] or not _HEX_PAIR.fullmatch(match[1]):
            return None
        byte = int(match[1], 16)
        if byte < 0x20 or byte == 0x7F:
            return None
        pieces += (text[start : match.start()], bytes((byte,)))
        start = match.end()
    return b"".join(pieces) + text[start:]


def part_of(text: bytes, offset: int, length: int) -> Value:
    """{s.substr,offset,length}: a part, its offset negative from the end, to the end for length 0 or one too
    large."""
    start = offset if offset >= 0 else len(text) + offset
    if length < 0 or start < 0 or (offset >= 0 and start >= len(text)):
        return None
    return text[start : start + length] if length else text[start:]


def field_of(text: bytes, index: int, separator: bytes) -> Value:
    """{s.select,index,separator}: one field, its index negative from the end; empty where there is none."""
    fields = text.split(separator)
    return fields[index] if -len(fields) <= index < len(fields) else b""


# -- URIs ---------------------------------------------------------------------------------------------------


def of_uri(part: Callable[..., Value]) -> Callable[..., Value]:
    """A transformation of text that is a URI; absent where it is none."""

    def apply(text: bytes, *arguments: object) -> Value:
        try:
            return part(parse_uri(text), *arguments)
        except SipError:
            return None

    return apply


def parameter(name: bytes) -> Transformation:
    """A transformation to the value of one well-known URI parameter, empty where it is absent."""
    return Transformation(of_uri(lambda uri: uri.param(name) or b""))


def uri_parameter(uri: Uri, name: bytes) -> Value:
    """{uri.param,name}: the value of one parameter, empty where it is absent."""
    return uri.param(name) or b""


# -- lists of name=value ------------------------------------------------------------------------------------

_ENTRY: Final = re.compile(rb'[\s;]*+([^\s=;]++)\s*+(?:=\s*+("(?:[^"\\]|\\.)*+"|[^;]*+))?+\s*+(?=;|\Z)', re.DOTALL)


def entries(text: bytes) -> list[tuple[bytes, bytes]] | None:
    """The entries of a list separated by `;`, quotes taken off; None where it is malformed or empty."""
    found: list[tuple[bytes, bytes]] = []
    rest = text.rstrip(b" \t\r\n;")
    position = 0
    while position < len(rest):
        match = _ENTRY.match(rest, position)
        if match is None:
            return None
        found.append((match[1], unquote((match[2] or b"").strip())))
        position = match.end()
    return found or None


def entry_value(text: bytes, name: bytes) -> Value:
    """{param.value,name}: the value of the named entry, its case ignored; empty where there is none."""
    listed = entries(text)
    if listed is None:
        return None
    wanted = name.lower()
    return next((value for known, value in listed if known.lower() == wanted), b"")


def entry_name(text: bytes, index: int) -> Value:
    """{param.name,index}: the name of one entry, its index negative from the end; empty where there is
    none."""
    listed = entries(text)
    if listed is None:
        return None
    return listed[index][0] if -len(listed) <= index < len(listed) else b""


TRANSFORMATIONS: Final = {
    "param.name": Transformation(entry_name, (NUMBER,)),
    "param.value": Transformation(entry_value, (NAME,)),
    "s.decode.hexa": Transformation(from_hexadecimal),
    "s.encode.hexa": Transformation(lambda text: text.hex().encode()),
    "s.escape.common": Transformation(escape_common),
    "s.escape.user": Transformation(escape_user),
    "s.int": Transformation(number_in),
    "s.len": Transformation(len),
    "s.md5": Transformation(md5),
    "s.select": Transformation(field_of, (NUMBER, CHARACTER)),
    "s.substr": Transformation(part_of, (NUMBER, NUMBER)),
    "s.unescape.common": Transformation(unescape_common),
    "s.unescape.user": Transformation(unescape_user),
    "uri.domain": Transformation(of_uri(lambda uri: uri.host)),
    "uri.headers": Transformation(of_uri(lambda uri: uri.headers[1:])),
    "uri.host": Transformation(of_uri(lambda uri: uri.host)),
    "uri.lr": parameter(b"lr"),
    "uri.maddr": parameter(b"maddr"),
    "uri.method": parameter(b"method"),
    "uri.param": Transformation(of_uri(uri_parameter), (NAME,)),
    "uri.params": Transformation(of_uri(lambda uri: uri.params[1:])),
    "uri.passwd": Transformation(of_uri(lambda uri: uri.password or b"")),
    "uri.port": Transformation(of_uri(lambda uri: uri.port)),
    "uri.r2": parameter(b"r2"),
    "uri.transport": parameter(b"transport"),
    "uri.ttl": parameter(b"ttl"),
    "uri.uparam": parameter(b"user"),
    "uri.user": Transformation(of_uri(lambda uri: uri.user or b"")),
}


# -- compiling ----------------------------------------------------------------------------------------------

CompileVariable = Callable[[str], Variable]
#: Arguments are separated by commas, but not by those inside a variable.
_ARGUMENT: Final = regex.compile(r"(?<paren>\((?:[^()]|(?&paren))*+\)){0}(?:\$[\w.]*+(?&paren)|[^,])*+")


def compile_transformations(steps: tuple[str, ...], base: Variable, variable: CompileVariable) -> Getter:
    """A getter of what `base` yields after all `steps`, each as written between braces. Raises
    ConfigError."""
    compiled = [compile_step(step, variable) for step in steps]

    def get(msg: "SipMsg") -> Value:
        value = base.printed(msg)
        for step in compiled:
            if value is None:
                return None
            value = step(msg, value if isinstance(value, bytes) else b"%d" % value)
        return value

    return get


def compile_step(step: str, variable: CompileVariable) -> Step:
    """One transformation. Raises ConfigError for an unknown name or arguments that do not fit."""
    name, comma, rest = step.partition(",")
    key = name.strip().lower()
    known = TRANSFORMATIONS.get(key)
    if known is None:
        near = get_close_matches(key, TRANSFORMATIONS, 1)
        raise ConfigError(
            f"unknown transformation '{name.strip()}'",
            hint=f"is {{{near[0]}}} meant?" if near else "classes are s, uri and param",
        )
    given = split_arguments(rest, known.kinds) if comma else []
    if len(given) != len(known.kinds):
        wanted = ",".join(known.kinds)
        raise ConfigError(
            f"{{{key}}} takes {len(known.kinds)} argument(s), given are {len(given)}",
            expected=f"{{{key}{',' if wanted else ''}{wanted}}}",
        )
    return bind(known, [compile_argument(text, kind, variable) for text, kind in zip(given, known.kinds, strict=True)])


def split_arguments(text: str, kinds: tuple[str, ...]) -> list[str]:
    """Arguments between commas; a last one that is a character may be the comma itself."""
    if kinds[-1:] == (CHARACTER,) and len(text) > 1 and text[-2] == ",":
        return [*split_arguments(text[:-2], kinds[:-1]), text[-1]]
    arguments: list[str] = []
    position = 0
    while True:
        match = _ARGUMENT.match(text, position)
        assert match is not None
        arguments.append(match[0])
        if match.end() >= len(text):
            return arguments
        position = match.end() + 1


Argument = int | bytes | Variable


def compile_argument(text: str, kind: str, variable: CompileVariable) -> Argument:
    """An argument as a constant or a variable. Raises ConfigError."""
    word = text if kind == CHARACTER else text.strip()
    if word.startswith("$") and kind != CHARACTER:
        return variable(word)
    if kind == NUMBER:
        try:
            return int(word, 10)
        except ValueError:
            raise ConfigError(f"'{word}' is no number", expected="a number or a variable") from None
    if not word or (kind == CHARACTER and len(word) != 1):
        raise ConfigError(f"'{word}' does not fit here", expected=kind)
    return word.encode("utf-8", "surrogateescape")


def bind(transformation: Transformation, arguments: list[Argument]) -> Step:
    """The transformation with its arguments, constants once and for all."""
    apply = transformation.apply
    if not arguments:
        return lambda msg, text: apply(text)
    if not any(isinstance(argument, Variable) for argument in arguments):
        return lambda msg, text: apply(text, *arguments)
    readers = [argument_reader(argument, kind) for argument, kind in zip(arguments, transformation.kinds, strict=True)]

    def step(msg: "SipMsg", text: bytes) -> Value:
        values = [read(msg) for read in readers]
        return None if None in values else apply(text, *values)

    return step


def argument_reader(argument: Argument, kind: str) -> Getter:
    """What yields an argument for a message: None where a variable is absent or holds no number where one is
    due."""
    if not isinstance(argument, Variable):
        constant = argument
        return lambda msg: constant
    get = argument.get
    if kind != NUMBER:
        return lambda msg: None if (value := get(msg)) is None else as_bytes(value) or None

    def number(msg: "SipMsg") -> Value:
        value = get(msg)
        return number_in(value) if isinstance(value, bytes) else value

    return number
