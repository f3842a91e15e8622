"""Argument kinds: what a script's text becomes, and what is said about text that does not fit."""

from types import SimpleNamespace
from typing import Any

import pytest

from openserd.core.arguments import (
    Arg,
    Choice,
    DynamicValue,
    Fixup,
    Int,
    PvInt,
    PvName,
    PvStr,
    Regex,
    RouteRef,
    Str,
    Uri,
    Value,
    posix_regex,
)
from openserd.core.message import SipMsg
from openserd.core.module import BRANCH, Context
from openserd.errors import ConfigError
from tests.support.recording import request


class Script:
    """What a compiler tells a kind: a module, formats in which `$x` varies, routes that are asked for."""

    def __init__(self) -> None:
        self.module: Any = SimpleNamespace(most=9, fix_word=str.upper, fix_place=self.fix_place)
        self.core: Any = None
        self.routes: list[tuple[int, str]] = []
        self.value: Value = b"42"

    def fix_place(self, text: str, context: Context) -> str:
        assert context is self
        return f"<{text}>"

    def format(self, text: str) -> bytes | DynamicValue:
        return DynamicValue(lambda msg: self.value) if "$" in text else text.encode()

    def variable(self, text: str) -> str:
        return f"variable {text}"

    def route(self, kind: int, name: str) -> str:
        self.routes.append((kind, name))
        return name


@pytest.fixture
def script() -> Script:
    return Script()


def refusal(kind: Arg, text: str, script: Script) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        kind.compile(text, script)
    assert (refused.value.file, refused.value.line) == ("", 0), "the place is the compiler's business"
    return refused.value


def test_text_is_bytes_whatever_it_holds(script: Script) -> None:
    assert Str("x").compile("caf\xe9 \udcff", script) == b"caf\xc3\xa9 \xff"


@pytest.mark.parametrize(("text", "value"), [("10", 10), (" 7 ", 7), ("0x10", 16), ("-3", -3)])
def test_a_number_is_read_in_any_base(script: Script, text: str, value: int) -> None:
    assert Int("n").compile(text, script) == value


@pytest.mark.parametrize("text", ["", "ten", "1.5", "010"])
def test_what_is_no_number_is_refused(script: Script, text: str) -> None:
    error = refusal(Int("n"), text, script)
    assert (error.message, error.expected) == (f"'{text}' is not a number", "a number")


def test_bounds_are_numbers_or_parameters_of_the_module(script: Script) -> None:
    kind = Int("limit", lo=1, hi="most")
    assert (kind.compile("1", script), kind.compile("9", script)) == (1, 9)
    for text in ("0", "10"):
        error = refusal(kind, text, script)
        assert (error.message, error.expected) == (f"limit {text} is out of range", "a number from 1 to 9")


def test_a_format_stays_what_the_compiler_makes_of_it(script: Script) -> None:
    assert PvStr("x").compile("hello", script) == b"hello"
    value = PvStr("x").compile("$x", script)
    assert isinstance(value, DynamicValue) and value(request()) == b"42"


@pytest.mark.parametrize(("value", "number"), [(b"42", 42), (7, 7), (None, -1), (b"text", -1), (b"", -1), (b"-5", -5)])
def test_a_variable_number_is_minus_1_where_there_is_none(script: Script, value: Value, number: int) -> None:
    compiled: Any = PvInt("n").compile("$x", script)
    script.value = value
    assert compiled(request()) == number


def test_a_constant_number_is_read_while_the_script_is(script: Script) -> None:
    assert PvInt("n").compile(" 486 ", script) == 486
    assert refusal(PvInt("n"), "busy", script).message == "'busy' is not a number"


def test_a_variable_s_name_is_looked_up_by_the_compiler(script: Script) -> None:
    assert PvName("v").compile("$avp(s:x)", script) == "variable $avp(s:x)"


def test_a_regular_expression_arrives_compiled_ignores_case_and_takes_the_longest(script: Script) -> None:
    pattern: Any = Regex("r").compile("^SIP:(a|ab)[[:digit:]]*", script)
    assert pattern.search(b"sip:ab12").group() == b"sip:ab12"
    assert pattern.search(b"sips:ab") is None


@pytest.mark.parametrize(("text", "found"), [(b"a word b", True), (b"sword", False), (b"words", False)])
def test_gnu_word_boundaries_are_known(text: bytes, found: bool) -> None:
    assert bool(posix_regex(r"\<word\>").search(text)) is found


def test_a_bad_regular_expression_is_refused_with_the_reason(script: Script) -> None:
    assert refusal(Regex("r"), "a(b", script).message.startswith("bad regular expression: missing )")


def test_a_uri_has_to_parse(script: Script) -> None:
    assert Uri("u").compile("sip:a@b:5080;lr", script) == b"sip:a@b:5080;lr"
    error = refusal(Uri("u"), "sip:", script)
    assert error.message.startswith("'sip:' is not a URI: ") and "sip:user@host" in error.expected


def test_a_choice_is_one_of_its_words_whatever_the_case(script: Script) -> None:
    kind = Choice("mode", ("Contact", "To"))
    assert kind.compile(" contact ", script) == "Contact"
    assert refusal(kind, "From", script).expected == "Contact or To"


def test_a_route_is_asked_of_the_compiler_by_kind_and_name(script: Script) -> None:
    assert RouteRef("r", BRANCH).compile(" 1 ", script) == "1"
    assert script.routes == [(BRANCH, "1")]


def test_a_fixup_is_a_method_of_the_module_with_or_without_the_compiler(script: Script) -> None:
    assert Fixup("w", "fix_word").compile("abc", script) == "ABC"
    assert Fixup("p", "fix_place").compile("abc", script) == "<abc>"


def test_a_dynamic_value_sees_the_message() -> None:
    def host(msg: SipMsg) -> Value:
        return msg.source_host.encode()

    assert DynamicValue(host)(request(source=("192.0.2.99", 5060))) == b"192.0.2.99"


def test_a_kind_of_no_kind_does_not_compile(script: Script) -> None:
    with pytest.raises(AssertionError, match="Arg does not compile"):
        Arg("x").compile("text", script)
