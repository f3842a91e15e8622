"""Path: stored with the binding, echoed or refused, used on the way back (RFC 3327)."""

import pytest

from openserd.parser import names
from openserd.parser.message import Message
from tests.unit.mods.location_kit import Site

A = "<sip:alice@192.0.2.10>"
TWO = ["Path: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>", "Path: <sip:p3.example.com;lr>"]
VECTOR = b"<sip:p1.example.com;lr>, <sip:p2.example.com;lr>,<sip:p3.example.com;lr>"
SUPPORTED = "Supported: 100rel, path"


def path_site(**params: int | str) -> Site:
    return Site(registrar={"use_path": 1, **params}, usrloc={"nat_bflag": 6})


def stored(site: Site) -> bytes:
    return site.location.get(site.table, b"alice")[0].path


def header(reply: Message, name: bytes) -> list[bytes]:
    return [reply.value(index) for index in reply.indexes_named(name)]


def test_without_use_path_path_is_ignored() -> None:
    site = Site()
    reply = site.register([A], headers=[*TWO, SUPPORTED])
    assert (stored(site), header(reply, b"Path")) == (b"", [])
    site.close()


@pytest.mark.conformance("PTH-02", "PTH-03")
@pytest.mark.parametrize(
    ("mode", "supported", "status", "echoed"),
    [(0, False, 200, []), (0, True, 200, []), (1, False, 200, []), (1, True, 200, [VECTOR]),
     (2, True, 200, [VECTOR])],
)  # fmt: skip
def test_path_mode_decides_whether_the_reply_has_the_path(
    mode: int, supported: bool, status: int, echoed: list[bytes]
) -> None:
    site = path_site(path_mode=mode)
    reply = site.register([A], headers=[*TWO, *([SUPPORTED] if supported else [])])
    assert (reply.status, header(reply, b"Path"), stored(site)) == (status, echoed, VECTOR)
    site.close()


@pytest.mark.conformance("PTH-02")
def test_strict_mode_refuses_phones_that_do_not_know_path_and_binds_nothing() -> None:
    site = path_site(path_mode=2)
    reply = site.register([A], headers=TWO)
    assert (reply.status, reply.reason) == (420, b"Bad Extension")
    assert header(reply, b"Unsupported") == [b"path"]
    assert header(reply, b"Path") == [VECTOR]
    assert header(reply, b"P-Registrar-Error") == [b"No support for found Path indicated"]
    assert site.location.get(site.table, b"alice") == []
    site.close()


def test_strict_mode_does_not_ask_for_support_where_there_is_no_path() -> None:
    site = path_site(path_mode=2)
    assert site.register([A]).status == 200
    site.close()


@pytest.mark.parametrize(
    "path",
    ["<sip:p1.example.com>", "<sip:p1.example.com;lr", "<mailto:p1;lr>", "<sip:" + "p" * 250 + ";lr>"],
)
def test_a_path_that_cannot_be_followed_is_refused(path: str) -> None:
    site = path_site(path_mode=0)
    reply = site.register([A], headers=[f"Path: {path}"])
    assert (reply.status, header(reply, b"P-Registrar-Error")) == (400, [b"Path parse error"])
    assert site.location.get(site.table, b"alice") == []
    site.close()


@pytest.mark.conformance("PTH-01", "PTH-05")
def test_lookup_goes_to_the_first_proxy_and_keeps_the_whole_path() -> None:
    site = path_site(path_mode=0)
    site.register(
        [A + ";q=1;received=sip:203.0.113.9", "<sip:b@h>"],
        headers=['Path: "P" <sip:p1.example.com;lr>, <sip:p2;lr>'],
    )
    msg = site.request()
    assert site.registrar.lookup(msg, site.table) == 1
    assert (msg.ruri, msg.dst_uri) == (b"sip:alice@192.0.2.10", b"sip:p1.example.com;lr")
    assert msg.path == b'"P" <sip:p1.example.com;lr>, <sip:p2;lr>'
    assert (msg.branches[0].dst_uri, msg.branches[0].path) == (msg.dst_uri, msg.path)
    site.close()


@pytest.mark.parametrize(
    ("use_received", "received", "cflags"), [(1, b"sip:203.0.113.9:1024;transport=tcp", 64), (0, b"", 0)]
)
def test_path_use_received_takes_the_received_parameter_and_marks_nat(
    use_received: int, received: bytes, cflags: int
) -> None:
    site = path_site(path_mode=0, path_use_received=use_received)
    reply = site.register([A], headers=["Path: <sip:p1.example.com;lr;received=sip:203.0.113.9:1024%3Btransport=tcp>"])
    (binding,) = site.location.get(site.table, b"alice")
    assert (binding.received, binding.cflags) == (received, cflags)
    assert (b"received=" in (reply.header(names.CONTACT) or b"")) is bool(use_received)
    site.close()


def test_a_path_without_received_leaves_received_to_the_contact() -> None:
    site = path_site(path_mode=0, path_use_received=1)
    site.register([A + ";received=sip:203.0.113.7"], headers=TWO)
    (binding,) = site.location.get(site.table, b"alice")
    assert (binding.received, binding.cflags) == (b"sip:203.0.113.7", 0)
    site.close()
