"""path: Path of a REGISTER, and the way back by the address in it (RFC 3327)."""

import logging

import pytest

from openserd.core.message import SipMsg
from openserd.errors import ConfigError
from openserd.mods.path import PathModule
from openserd.mods.registrar.path import path_vector, received_of
from openserd.mods.rr import Rr
from openserd.script.problems import ConfigErrors
from openserd.testing import Script
from tests.support.recording import RecordingListener, call, forwarded, lines_of, make_core, request

OUTSIDE = RecordingListener("udp", "198.51.100.1", 5060)
INSIDE = RecordingListener("udp", "10.0.0.1", 5080)
TCP = RecordingListener("tcp", "198.51.100.1", 5060)
CORE = make_core(OUTSIDE, INSIDE, TCP)


def register(*headers: str, **options: object) -> SipMsg:
    return request("REGISTER", "sip:biloxi.example", headers, **options)  # type: ignore[arg-type]


def paths(name: str, msg: SipMsg, *texts: str, leaving: RecordingListener = OUTSIDE) -> list[str]:
    assert call(PathModule(), CORE, name, msg, *texts) == 1
    return lines_of(forwarded(msg, leaving), "Path")


def test_add_path_writes_the_address_that_the_request_leaves_by() -> None:
    assert paths("add_path", register()) == ["<sip:198.51.100.1;lr>"]
    assert paths("add_path", register(), leaving=INSIDE) == ["<sip:10.0.0.1:5080;lr>"]
    assert paths("add_path", register(), leaving=TCP) == ["<sip:198.51.100.1;transport=tcp;lr>"]


def test_add_path_writes_a_user() -> None:
    assert paths("add_path", register(), "edge") == ["<sip:edge@198.51.100.1;lr>"]
    for wrong in ("a b", "a@b", "", "a>"):
        with pytest.raises(ConfigError, match="cannot be the user"):
            paths("add_path", register(), wrong)


def test_add_path_received_tells_where_the_request_came_from() -> None:
    expected = "received=sip:192.0.2.10:5062>"
    assert paths("add_path_received", register()) == [f"<sip:198.51.100.1;lr;{expected}"]
    assert paths("add_path_received", register(), "edge") == [f"<sip:edge@198.51.100.1;lr;{expected}"]
    six = register()
    six.source_host = "2001:db8::1"
    assert paths("add_path_received", six) == ["<sip:198.51.100.1;lr;received=sip:[2001:db8::1]:5062>"]


def test_received_of_a_connection_names_its_transport() -> None:
    (value,) = paths("add_path_received", register(listener=TCP))
    assert value == "<sip:198.51.100.1;lr;received=sip:192.0.2.10:5062%3Btransport%3Dtcp>"
    assert received_of(value.encode()) == b"sip:192.0.2.10:5062;transport=tcp"


@pytest.mark.conformance("PTH-04")
def test_the_own_path_comes_before_those_that_are_there() -> None:
    msg = register("Path: <sip:first.example;lr>", "Supported: path", "Path: <sip:second.example;lr>")
    assert paths("add_path", msg) == ["<sip:198.51.100.1;lr>", "<sip:first.example;lr>", "<sip:second.example;lr>"]


def test_a_first_path_follows_the_other_header_fields() -> None:
    msg = register()
    paths("add_path", msg)
    head = forwarded(msg, OUTSIDE).partition(b"\r\n\r\n")[0]
    assert head.endswith(b"\r\nPath: <sip:198.51.100.1;lr>")


def test_a_registrar_can_read_it() -> None:
    msg = register()
    paths("add_path_received", msg)
    arrived = SipMsg(forwarded(msg, OUTSIDE), ("198.51.100.1", 5060), OUTSIDE)
    assert received_of(path_vector(arrived)) == b"sip:192.0.2.10:5062"


def test_the_functions_may_be_called_in_request_routes_only() -> None:
    for name in ("add_path", "add_path_received"):
        with pytest.raises(ConfigErrors, match="cannot be used in failure_route"):
            Script.text(f"route {{ }} failure_route[1] {{ {name}(); }}", ["path"])


# -- use_received -----------------------------------------------------------------------------------------------


def routed(route: str, use_received: int = 1, **parts: str) -> bytes | None:
    """The next hop of a request that comes by a Route."""
    core = make_core(OUTSIDE)
    rr, path = Rr(), PathModule(use_received=use_received)
    for module in (path, rr):
        module.core = core
        module.on_init(core)
    path.on_ready(core)
    msg = request("INVITE", "sip:bob@10.1.1.1", [f"Route: {route}"], **parts)  # type: ignore[arg-type]
    call(rr, core, "loose_route", msg)
    return msg.dst_uri


def test_a_request_follows_the_received_parameter_of_the_own_route() -> None:
    route = "<sip:198.51.100.1;lr;received=sip:192.0.2.10:5062>"
    assert routed(route) == b"sip:192.0.2.10:5062"
    assert routed(route, to_tag="to1") == b"sip:192.0.2.10:5062"
    assert routed(route, use_received=0) is None
    assert routed(f"{route}, <sip:far.example;lr>") == b"sip:192.0.2.10:5062"
    assert routed("<sip:198.51.100.1;lr;received=sip:192.0.2.10:5062%3Btransport%3Dtcp>") == (
        b"sip:192.0.2.10:5062;transport=tcp"
    )


def test_other_routes_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    assert routed("<sip:198.51.100.1;lr>") is None
    assert routed("<sip:far.example;lr;received=sip:192.0.2.10>") == b"sip:far.example;lr;received=sip:192.0.2.10"
    with caplog.at_level(logging.INFO):
        assert routed("<sip:198.51.100.1;lr;received=what>") is None
    assert "is no URI" in caplog.text


def test_use_received_needs_rr() -> None:
    script = 'modparam("path", "use_received", 1) route { add_path(); }'
    with pytest.raises(ConfigError, match="module rr is needed"):
        Script.text(script, ["path"])
    Script.text(script, ["path", "rr"]).close()
    Script.text(script.replace(", 1)", ", 0)"), ["path"]).close()
