"""Rewriting parts of a request URI: what is not rewritten stays, what cannot be is left alone."""

from collections.abc import Callable
from typing import Any

import pytest

from openserd.core import ruri
from openserd.core.message import SipMsg
from tests.unit.script.pv_samples import BARE, REPLY, message

FULL = b"sips:bob:pw@biloxi.example:5070;transport=tcp?a=b"
CASES: list[tuple[Callable[..., bool], tuple[Any, ...], bytes, bytes]] = [
    (ruri.set_user, (b"carol",), FULL, b"sips:carol:pw@biloxi.example:5070;transport=tcp?a=b"),
    (ruri.set_user, (b"",), FULL, b"sips:biloxi.example:5070;transport=tcp?a=b"),
    (ruri.set_user, (b"carol",), b"sip:x", b"sip:carol@x"),
    (ruri.set_user, (b"+44",), b"tel:+1555;phone-context=x", b"tel:+44;phone-context=x"),
    (ruri.set_user_and_password, (b"carol",), FULL, b"sips:carol@biloxi.example:5070;transport=tcp?a=b"),
    (ruri.set_user_and_password, (b"c:pw2",), FULL, b"sips:c:pw2@biloxi.example:5070;transport=tcp?a=b"),
    (ruri.set_host, (b"gw.example",), FULL, b"sips:bob:pw@gw.example:5070;transport=tcp?a=b"),
    (ruri.set_host, (b"gw.example",), b"tel:+1555", b"sip:+1555@gw.example"),
    (ruri.set_host_and_port, (b"gw.example",), FULL, b"sips:bob:pw@gw.example;transport=tcp?a=b"),
    (ruri.set_host_and_port, (b"gw.example:5080",), FULL, b"sips:bob:pw@gw.example:5080;transport=tcp?a=b"),
    (ruri.set_host_and_port, (b"[2001:db8::1]",), b"sip:x:1", b"sip:[2001:db8::1]"),
    (ruri.set_host_and_port, (b"[2001:db8::1]:5062",), b"sip:x:1", b"sip:[2001:db8::1]:5062"),
    (ruri.set_port, (5080,), FULL, b"sips:bob:pw@biloxi.example:5080;transport=tcp?a=b"),
    (ruri.set_port, (0,), FULL, b"sips:bob:pw@biloxi.example;transport=tcp?a=b"),
    (ruri.add_prefix, (b"00",), FULL, b"sips:00bob:pw@biloxi.example:5070;transport=tcp?a=b"),
    (ruri.add_prefix, (b"00",), b"sip:x", b"sip:00@x"),
    (ruri.strip_user, (1,), FULL, b"sips:ob:pw@biloxi.example:5070;transport=tcp?a=b"),
    (ruri.strip_user, (0,), FULL, FULL),
    (ruri.strip_user, (3,), b"sip:bob@x", b"sip:x"),
    (ruri.strip_user, (9,), b"sip:bob:pw@x", b"sip:x"),
    (ruri.strip_user, (0, 1), FULL, b"sips:bo:pw@biloxi.example:5070;transport=tcp?a=b"),
    (ruri.strip_user, (0, 9), b"sip:bob@x", b"sip:x"),
    (ruri.strip_user, (1,), b"sip:x", b"sip:x"),
]


def with_ruri(uri: bytes) -> SipMsg:
    return message(BARE.replace(b"sip:biloxi.example SIP", uri + b" SIP"))


@pytest.mark.parametrize(("function", "arguments", "before", "after"), CASES)
def test_one_part_changes(
    function: Callable[..., bool], arguments: tuple[Any, ...], before: bytes, after: bytes
) -> None:
    msg = with_ruri(before)
    assert function(msg, *arguments)
    assert (msg.ruri, msg.uri.raw, msg.original_ruri) == (after, after, before)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (ruri.set_user, (b"a b",)),
        (ruri.set_user, (b"a@b",)),
        (ruri.set_user_and_password, (b"a:b@c",)),
        (ruri.set_host, (b"",)),
        (ruri.set_host, (b"no host",)),
        (ruri.set_host, (b"2001:db8::1",)),
        (ruri.set_host_and_port, (b"x:port",)),
        (ruri.set_host_and_port, (b"x:70000",)),
        (ruri.set_port, (70000,)),
        (ruri.add_prefix, (b" ",)),
    ],
)
def test_what_would_be_no_uri_is_left_alone(function: Callable[..., bool], arguments: tuple[Any, ...]) -> None:
    msg = with_ruri(FULL)
    assert not function(msg, *arguments)
    assert msg.ruri == FULL


@pytest.mark.parametrize("uri", [b"urn:service:sos", b"<none>"])
def test_a_uri_without_parts_is_left_alone(uri: bytes) -> None:
    msg = with_ruri(uri)
    assert not ruri.set_user(msg, b"x") and not ruri.set_host(msg, b"x") and not ruri.strip_user(msg, 1)
    assert msg.ruri == uri


def test_a_reply_has_no_request_uri() -> None:
    assert not ruri.set_user(message(REPLY), b"x")


def test_reverting_brings_back_what_was_received() -> None:
    msg = with_ruri(FULL)
    ruri.set_host(msg, b"elsewhere")
    ruri.revert(msg)
    assert (msg.ruri, msg.uri.host) == (FULL, b"biloxi.example")
