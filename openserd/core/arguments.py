"""Argument kinds: how the text of a script function's argument becomes the value the function receives.

A kind compiles its text once, while the script is read (OpenSER: a fixup), and is where a bad argument is reported.
What comes back is either the value itself or a `Dynamic`, which the compiled route evaluates per message; the function
only ever sees final values.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import regex

from openserd.errors import ConfigError, SipError
from openserd.parser.uri import parse_uri

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

Value = bytes | int | None
REGEX_SECONDS: Final = 0.25
NULL_TEXT: Final = b"<null>"


class Dynamic(Protocol):
    """A value that depends on the message."""

    def __call__(self, msg: "SipMsg") -> Value:
        """The value for `msg`; None where a variable is absent."""


class Context(Protocol):
    """What a kind may ask of whoever compiles the script."""

    module: Any  #: the module instance whose function is called
    n_args: int  #: how many arguments the call has

    @property
    def core(self) -> Any:
        """The server that the script is compiled for."""

    def format(self, text: str) -> bytes | Dynamic:
        """Text with pseudo-variables: a constant, or what evaluates it to bytes. Raises ConfigError."""

    def variable(self, text: str) -> Any:
        """One pseudo-variable such as `$avp(s:x)`, as an object with get(msg) and set(msg, value)."""

    def route(self, kind: int, name: str) -> str:
        """The canonical name of a route block that is referred to; its absence is reported by the compiler."""


def posix_regex(pattern: str, flags: int = 0) -> "regex.Pattern[bytes]":
    """A POSIX extended regular expression over bytes, ignoring case by default as OpenSER does.

    Raises ConfigError.  Leftmost-longest matching and [[:classes:]] as in the C library; `\\<` and `\\>` are
    translated to the library's word boundaries.
    """
    text = pattern.replace(r"\<", r"\m").replace(r"\>", r"\M")
    try:
        return regex.compile(text.encode("utf-8", "surrogateescape"), regex.POSIX | (flags or regex.IGNORECASE))
    except regex.error as error:
        raise ConfigError(f"bad regular expression: {error}") from None


class Arg:
    """Base of all kinds: `name` for messages and manuals, `optional` arguments come last."""

    expects = "text"

    def __init__(self, name: str, *, optional: bool = False) -> None:
        self.name = name
        self.optional = optional

    def compile(self, text: str, context: Context) -> object:
        """The value for `text`. Raises ConfigError without a position; the compiler adds it."""
        raise AssertionError(f"{type(self).__name__} does not compile")


class Str(Arg):
    """Literal text, as bytes."""

    def compile(self, text: str, context: Context) -> object:
        return text.encode("utf-8", "surrogateescape")


class Int(Arg):
    """An integer between `lo` and `hi`; a bound may be the name of a module parameter."""

    expects = "a number"

    def __init__(
        self, name: str, *, lo: int | str | None = None, hi: int | str | None = None, optional: bool = False
    ) -> None:
        super().__init__(name, optional=optional)
        self.lo = lo
        self.hi = hi

    def compile(self, text: str, context: Context) -> object:
        try:
            value = int(text.strip(), 0)
        except ValueError:
            raise ConfigError(f"'{text}' is not a number", expected=self.expects) from None
        low, high = (
            getattr(context.module, bound) if isinstance(bound, str) else bound for bound in (self.lo, self.hi)
        )
        if (low is not None and value < low) or (high is not None and value > high):
            wanted = f"a number from {low}" if high is None else f"a number from {low} to {high}"
            raise ConfigError(f"{self.name} {value} is out of range", expected=wanted)
        return value


class PvStr(Arg):
    """Text that may hold pseudo-variables; arrives as bytes."""

    expects = "text, with pseudo-variables where wanted"

    def compile(self, text: str, context: Context) -> object:
        return context.format(text)


class PvInt(Arg):
    """A number, or pseudo-variables that yield one; arrives as int, or -1 where the variable holds none."""

    expects = "a number or a pseudo-variable"

    def compile(self, text: str, context: Context) -> object:
        value = context.format(text)
        if isinstance(value, bytes):
            if not re.fullmatch(rb"\s*-?\d+\s*", value):
                raise ConfigError(f"'{text}' is not a number", expected=self.expects)
            return int(value)
        inner = value

        def number(msg: "SipMsg") -> Value:
            got = inner(msg)
            try:
                return int(got) if got is not None else -1
            except ValueError:
                return -1

        return DynamicValue(number)


class DynamicValue:
    """A Dynamic made of a plain function."""

    __slots__ = ("evaluate",)

    def __init__(self, evaluate: Callable[["SipMsg"], Value]) -> None:
        self.evaluate = evaluate

    def __call__(self, msg: "SipMsg") -> Value:
        return self.evaluate(msg)


class PvName(Arg):
    """The name of one pseudo-variable; arrives as an object with get(msg) and set(msg, value)."""

    expects = "a pseudo-variable such as $avp(s:name)"

    def compile(self, text: str, context: Context) -> object:
        return context.variable(text)


class Regex(Arg):
    """A POSIX extended regular expression; arrives compiled, over bytes."""

    expects = "a POSIX extended regular expression"

    def compile(self, text: str, context: Context) -> object:
        return posix_regex(text)


class Uri(Arg):
    """A SIP URI; arrives as bytes that parse."""

    expects = "a SIP URI such as sip:user@host:5060"

    def compile(self, text: str, context: Context) -> object:
        raw = text.encode("utf-8", "surrogateescape")
        try:
            parse_uri(raw)
        except SipError as error:
            raise ConfigError(f"'{text}' is not a URI: {error.reason}", expected=self.expects) from None
        return raw


class Choice(Arg):
    """One of a few words, whatever the case; arrives as the word declared."""

    def __init__(self, name: str, words: tuple[str, ...], *, optional: bool = False) -> None:
        super().__init__(name, optional=optional)
        self.words = words
        self.expects = " or ".join(words)

    def compile(self, text: str, context: Context) -> object:
        for word in self.words:
            if word.lower() == text.strip().lower():
                return word
        raise ConfigError(f"'{text}' is not possible here", expected=self.expects)


class RouteRef(Arg):
    """The number or name of a route block of `kind`; arrives as its name."""

    expects = "the number or name of a route block"

    def __init__(self, name: str, kind: int) -> None:
        super().__init__(name)
        self.kind = kind

    def compile(self, text: str, context: Context) -> object:
        return context.route(self.kind, text.strip())


class Fixup(Arg):
    """What a method of the module itself makes of the text: `fix_table(self, text) -> value`."""

    def __init__(self, name: str, method: str, *, expects: str = "text", optional: bool = False) -> None:
        super().__init__(name, optional=optional)
        self.method = method
        self.expects = expects

    def compile(self, text: str, context: Context) -> object:
        fix: Callable[..., object] = getattr(context.module, self.method)
        return fix(text, context) if self.wants_context(fix) else fix(text)

    @staticmethod
    def wants_context(fix: Callable[..., object]) -> bool:
        """Whether the method asks for the compiler's context too (to compile formats inside its text)."""
        code = getattr(fix, "__code__", None)
        return code is not None and code.co_argcount > 2
