"""uri: questions about URIs and changes of the request URI."""

import pytest

from openserd.core.message import SipMsg
from openserd.mods.uri import UriModule
from openserd.testing import Result, Script
from tests.support.recording import make_core, request


def run(statement: str, line: str = "INVITE sip:bob@example.com", **options: object) -> Result:
    """What a message comes to whose script is one call: "yes" in the log where it returned true."""
    with Script.text(f'route {{ if ({statement}) log(1, "yes"); else log(1, "no"); }}', ["uri"]) as script:
        return script.request(line, **options)  # type: ignore[arg-type]


def holds(statement: str, line: str = "INVITE sip:bob@example.com", **options: object) -> bool:
    return run(statement, line, **options).log == ["yes"]


def test_has_totag_tells_a_request_in_a_dialog() -> None:
    assert holds("has_totag()", to_tag="x")
    assert not holds("has_totag()")


@pytest.mark.parametrize(
    ("call", "params", "expected"),
    [
        ('uri_param("lr")', ";lr", True),
        ('uri_param("LR")', ";transport=udp;lr", True),
        ('uri_param("lr")', ";lr=on", False),
        ('uri_param("lr")', "", False),
        ('uri_param("x", "a")', ";x=a", True),
        ('uri_param("x", "a")', ";x=A", False),
        ('uri_param("x", "a")', ";x=b;x=a", False),
        ('uri_param("x", "a")', ";x", False),
    ],
)
def test_uri_param_asks_for_a_parameter_or_its_value(call: str, params: str, expected: bool) -> None:
    assert holds(call, f"INVITE sip:bob@example.com{params}") is expected


@pytest.mark.parametrize(
    ("uri", "param", "expected"),
    [
        ("sip:bob@example.com", "user=phone", "sip:bob@example.com;user=phone"),
        ("sips:bob@example.com:5061;a=1", "b", "sips:bob@example.com:5061;a=1;b"),
        ("sip:bob@example.com", "", "sip:bob@example.com"),
    ],
)
def test_add_uri_param_puts_one_behind_the_others(uri: str, param: str, expected: str) -> None:
    result = run(f'add_uri_param("{param}")', f"INVITE {uri}")
    assert (result.variable("$ru"), result.log) == (expected, ["yes"])


def test_add_uri_param_keeps_the_header_part_behind() -> None:
    msg = request(uri="sip:bob@example.com?Subject=x")
    assert UriModule().add_uri_param(msg, b"a=1") == 1
    assert msg.ruri == b"sip:bob@example.com;a=1?Subject=x"
    assert UriModule().add_uri_param(msg, b"a b") == -1
    assert msg.ruri == b"sip:bob@example.com;a=1?Subject=x"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("tel:+43-1-9876", "sip:+43-1-9876@home.example;user=phone"),
        ("tel:123;phone-context=+43", "sip:123;phone-context=+43@home.example;user=phone"),
        ("sip:bob@example.com", "sip:bob@example.com"),
    ],
)
def test_tel2sip_makes_a_sip_uri_of_the_caller_s_domain(uri: str, expected: str) -> None:
    result = run("tel2sip()", f"INVITE {uri}", from_="sip:alice@home.example:5070")
    assert (result.variable("$ru"), result.log) == (expected, ["yes"])


def test_tel2sip_needs_a_host_in_from() -> None:
    result = run("tel2sip()", "INVITE tel:123", from_="tel:456")
    assert (result.variable("$ru"), result.log) == ("tel:123", ["no"])


@pytest.mark.parametrize(
    ("user", "expected"),
    [("+43", True), ("+1234567890123456", False), ("+123456789012345", True), ("+4", False), ("43", False),
     ("+43x", False), ("bob", False)],
)  # fmt: skip
def test_e164_is_a_plus_and_2_to_15_digits(user: str, expected: bool) -> None:
    assert holds('is_uri_user_e164("$ru")', f"INVITE sip:{user}@example.com") is expected


def test_what_holds_no_uri_is_no_e164_number() -> None:
    assert not holds('is_uri_user_e164("$avp(s:absent)")')
    assert not holds('is_uri_user_e164("$cs")')
    assert not holds('is_uri_user_e164("$ci")')


class Auth:
    """A module that has found credentials right."""

    def authorized_user(self, msg: SipMsg) -> bytes | None:
        return b"alice"


def test_is_user_asks_whoever_has_checked_the_credentials() -> None:
    module = UriModule()
    module.core = make_core()
    assert module.is_user(request(), b"alice") == -1
    module.core.publish("auth", Auth())
    assert module.is_user(request(), b"alice") == 1
    assert module.is_user(request(), b"bob") == -1
