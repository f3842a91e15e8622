"""Formatted text: constants stay constants, variables end where they end, absent ones print as <null>."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.errors import ConfigError
from openserd.script.variables.format import compile_format
from tests.unit.script.pv_samples import BARE, environment, message

ENV = environment()


def formatted(text: str, msg: Any = None) -> bytes:
    """What `text` is for a message."""
    result = compile_format(text, ENV)
    return result if isinstance(result, bytes) else result(msg or message())  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b""),
        ("plain 100% {text} (x) [y]", b"plain 100% {text} (x) [y]"),
        ("5$$", b"5$"),
        ("$$ru", b"$ru"),
        ("caf\xe9", "caf\xe9".encode()),
        ("\udcff", b"\xff"),
    ],
)
def test_text_without_variables_is_a_constant(text: str, expected: bytes) -> None:
    assert compile_format(text, ENV) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$rm", b"INVITE"),
        ("$rm $ci", b"INVITE a84b4c76e66710"),
        ("$rm$ci", b"INVITEa84b4c76e66710"),
        ("$rm_$ci", b"INVITE_a84b4c76e66710"),
        ("Call from $fU.", b"Call from alice."),
        ("sip:$rU.example.com", b"sip:bob.example.com"),
        ("$rU@$rd", b"bob@biloxi.example"),
        ("$from.user", b"alice"),
        ("$from.user.", b"alice."),
        ("$from.userx", b"sip:alice@atlanta.example;user=phone.userx"),
        ("$rm($ci)", b"INVITE(a84b4c76e66710)"),
        ("$(rm)x", b"INVITEx"),
        ("[$rm[1]]", b"[INVITE[1]]"),
        ("$hdr(X-Colour)[1]", b"green"),
        ("$hdr(X-Colour)[x]", b"red[x]"),
        ("$hdr(X-Colour[-1])!", b"blue!"),
        ("$(ru{uri.port})%", b"5070%"),
        ("$cl 100%%", b"5 100%%"),
        ("%b$rm%s", b"%bINVITE%s"),
        ("$rs", b"<null>"),
        ("$rs/$avp(s:x)/$rm", b"<null>/<null>/INVITE"),
        ("$du", b""),
        ("$mF", b"00000000"),
        ("$sp", b"5099"),
        ("$$$rm$$", b"$INVITE$"),
        ("$Crxred$Cxx", b"\x1b[0;31;49mred\x1b[0;39;49m"),
        ("$avp(s:a b)", b"<null>"),
        ("<$fu>;tag=$ft\r\n", b"<sip:alice@atlanta.example;user=phone>;tag=from1\r\n"),
        ("é$rmé", "éINVITEé".encode()),
    ],
)
def test_variables_are_replaced(text: str, expected: bytes) -> None:
    assert formatted(text) == expected


def test_each_message_gives_its_own_text() -> None:
    format_ = compile_format("$rm $cs", ENV)
    assert not isinstance(format_, bytes)
    assert (format_(message()), format_(message(BARE))) == (b"INVITE 314159", b"OPTIONS 7")


@pytest.mark.parametrize(
    "text", ["costs 5$", "$", "a $ b", "$1", "$(ru", "$nothing", "$ruu", "$hdr x", "$(ru{s.nothing})", "$(hdr(Via)"]
)
def test_a_dollar_that_begins_no_variable_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        compile_format(text, ENV)


def test_a_lone_dollar_is_told_how_to_be_written() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_format("costs 5$", ENV)
    assert "$$" in caught.value.hint


def test_colours_are_refused_where_the_caller_disables_them() -> None:
    with pytest.raises(ConfigError, match="colour"):
        compile_format("$Crx", ENV, colours=False)


@given(st.text(st.characters(exclude_characters="$", exclude_categories=("Cs",))))
def test_any_text_without_dollar_is_itself(text: str) -> None:
    assert compile_format(text, ENV) == text.encode()
    assert formatted(f"{text}$(rm){text}") == text.encode() + b"INVITE" + text.encode()
