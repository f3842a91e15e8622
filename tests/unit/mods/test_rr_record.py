"""rr, Record-Route: what is written, on which side, once."""

import pickle
from typing import Any

import pytest

from openserd.core.message import SipMsg
from openserd.core.module import BRANCH, FAILURE, REQUEST
from openserd.core.network.transport import Listener
from openserd.errors import ConfigError
from openserd.mods.rr import Rr
from openserd.mods.rr.record import RecordRoute
from tests.support.recording import RecordingListener, call, forwarded, lines_of, make_core, request

OUTSIDE = RecordingListener("udp", "198.51.100.1", 5060)
INSIDE = RecordingListener("udp", "10.0.0.1", 5080)
TCP = RecordingListener("tcp", "198.51.100.1", 5060)
TLS6 = RecordingListener("tls", "2001:db8::1", 5061)
CORE = make_core(OUTSIDE, INSIDE, TCP, TLS6)


def rr(**params: Any) -> Rr:
    module = Rr(**params)
    module.core = CORE
    module.on_init(CORE)
    return module


def recorded(msg: SipMsg, out: Listener = OUTSIDE) -> list[str]:
    return lines_of(forwarded(msg, out), "Record-Route")


def invite(**options: Any) -> SipMsg:
    return request(listener=options.pop("listener", OUTSIDE), **options)


def test_one_value_where_both_sides_are_the_same() -> None:
    msg = invite()
    assert call(rr(), CORE, "record_route", msg) == 1
    assert recorded(msg) == ["<sip:198.51.100.1;lr;ftag=from1>"]


@pytest.mark.conformance("PRX-18")
def test_it_goes_before_those_of_others() -> None:
    msg = invite(headers=["Record-Route: <sip:other.example;lr>"])
    call(rr(), CORE, "record_route", msg)
    assert recorded(msg) == ["<sip:198.51.100.1;lr;ftag=from1>", "<sip:other.example;lr>"]


def test_two_values_between_two_listeners_the_outgoing_one_first() -> None:
    msg = invite()
    call(rr(), CORE, "record_route", msg)
    assert recorded(msg, INSIDE) == [
        "<sip:10.0.0.1:5080;r2=on;lr;ftag=from1>",
        "<sip:198.51.100.1;r2=on;lr;ftag=from1>",
    ]


@pytest.mark.conformance("PRX-19")
def test_another_transport_is_another_side() -> None:
    msg = invite()
    call(rr(), CORE, "record_route", msg)
    assert recorded(msg, TCP) == [
        "<sip:198.51.100.1;transport=tcp;r2=on;lr;ftag=from1>",
        "<sip:198.51.100.1;r2=on;lr;ftag=from1>",
    ]


def test_ipv6_and_tls() -> None:
    msg = invite(listener=TLS6)
    call(rr(), CORE, "record_route", msg)
    assert recorded(msg, TLS6) == ["<sip:[2001:db8::1]:5061;transport=tls;lr;ftag=from1>"]


def test_each_branch_gets_the_values_of_its_listener() -> None:
    msg = invite()
    call(rr(), CORE, "record_route", msg)
    assert [len(recorded(msg, out)) for out in (OUTSIDE, INSIDE, OUTSIDE)] == [1, 2, 1]


def test_without_double_rr_the_receiving_side_is_written() -> None:
    msg = invite()
    call(rr(enable_double_rr=0), CORE, "record_route", msg)
    assert recorded(msg, INSIDE) == ["<sip:198.51.100.1;lr;ftag=from1>"]


def test_full_lr() -> None:
    msg = invite()
    call(rr(enable_full_lr=1), CORE, "record_route", msg)
    assert recorded(msg) == ["<sip:198.51.100.1;lr=on;ftag=from1>"]


def test_without_fromtag() -> None:
    msg = invite()
    call(rr(append_fromtag=0), CORE, "record_route", msg)
    assert recorded(msg) == ["<sip:198.51.100.1;lr>"]


def test_the_user_of_the_received_uri_is_written() -> None:
    msg = invite()
    msg.set_ruri(b"sip:other@biloxi.example")
    call(rr(add_username=1), CORE, "record_route", msg)
    assert recorded(msg) == ["<sip:bob@198.51.100.1;lr;ftag=from1>"]


def test_the_user_of_the_current_uri_where_the_received_one_has_none() -> None:
    msg = invite(uri="sip:biloxi.example")
    module = rr(add_username=1)
    msg.set_ruri(b"sip:other@biloxi.example")
    call(module, CORE, "record_route", msg)
    assert recorded(msg) == ["<sip:other@198.51.100.1;lr;ftag=from1>"]


def test_no_user_anywhere() -> None:
    msg = invite(uri="sip:biloxi.example")
    call(rr(add_username=1), CORE, "record_route", msg)
    assert recorded(msg) == ["<sip:198.51.100.1;lr;ftag=from1>"]


def test_the_ignored_user_is_not_written_as_it_is() -> None:
    msg = invite()
    call(rr(add_username=1, ignore_user="bob"), CORE, "record_route", msg)
    assert recorded(msg) == ["<sip:xob@198.51.100.1;lr;ftag=from1>"]


def test_parameters_of_the_call_follow_the_tag() -> None:
    msg = invite()
    call(rr(), CORE, "record_route", msg, ";who=$fU")
    assert recorded(msg) == ["<sip:198.51.100.1;lr;ftag=from1;who=alice>"]


def test_it_works_once_for_a_message() -> None:
    msg = invite()
    module = rr()
    assert [
        call(module, CORE, "record_route", msg),
        call(module, CORE, "record_route", msg),
        call(module, CORE, "record_route_preset", msg, "a.example"),
    ] == [1, -1, -1]
    assert len(recorded(msg)) == 1


def test_an_edit_of_one_branch_does_not_hinder_the_next() -> None:
    msg = invite()
    module = rr()
    before = list(msg.lumps)
    assert call(module, CORE, "record_route", msg) == 1
    msg.lumps = before
    assert call(module, CORE, "record_route", msg) == 1


# -- preset -------------------------------------------------------------------------------------------------


def test_preset_writes_the_given_address() -> None:
    msg = invite()
    module = rr(add_username=1)
    assert call(module, CORE, "record_route_preset", msg, "$Ri.example:5070") == 1
    assert recorded(msg, INSIDE) == ["<sip:bob@198.51.100.1.example:5070;ftag=from1;lr>"]
    assert call(module, CORE, "record_route", msg) == -1


# -- parameters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("add_rr_param", "record_route"), ("record_route", "add_rr_param")])
def test_parameters_are_added_before_and_after(order: tuple[str, str]) -> None:
    msg = invite()
    module = rr()
    for name in order:
        assert call(module, CORE, name, msg, *([";nat=$fU"] if name == "add_rr_param" else [])) == 1
    assert recorded(msg, INSIDE) == [
        "<sip:10.0.0.1:5080;r2=on;lr;ftag=from1;nat=alice>",
        "<sip:198.51.100.1;r2=on;lr;ftag=from1;nat=alice>",
    ]


def test_several_parameters_keep_their_order() -> None:
    msg = invite()
    module = rr()
    call(module, CORE, "add_rr_param", msg, ";a=1")
    call(module, CORE, "add_rr_param", msg, ";b=2")
    call(module, CORE, "record_route", msg)
    call(module, CORE, "add_rr_param", msg, ";c=3")
    assert recorded(msg) == ["<sip:198.51.100.1;lr;ftag=from1;a=1;b=2;c=3>"]


def test_more_than_512_bytes_of_parameters_are_refused() -> None:
    msg = invite()
    module = rr()
    assert call(module, CORE, "add_rr_param", msg, ";" + "a" * 511) == 1
    assert call(module, CORE, "add_rr_param", msg, ";") == -1
    call(module, CORE, "record_route", msg)
    assert call(module, CORE, "add_rr_param", msg, ";") == -1


def test_parameters_belong_to_one_message() -> None:
    module = rr()
    call(module, CORE, "add_rr_param", invite(), ";a=1")
    msg = invite()
    call(module, CORE, "record_route", msg)
    assert recorded(msg) == ["<sip:198.51.100.1;lr;ftag=from1>"]


# -- advertised addresses -------------------------------------------------------------------------------------


def test_the_address_a_listener_advertises_is_written() -> None:
    behind_nat = RecordingListener("udp", "10.0.0.2", 5060, advertised_host="203.0.113.5", advertised_port=5070)
    msg = invite(listener=behind_nat)
    call(rr(), CORE, "record_route", msg)
    assert recorded(msg, behind_nat) == ["<sip:203.0.113.5:5070;lr;ftag=from1>"]


def test_the_address_advertised_for_one_message_is_written_even_if_set_later() -> None:
    msg = invite()
    call(rr(), CORE, "record_route", msg)
    msg.advertised_host, msg.advertised_port = b"203.0.113.5", 5070
    assert recorded(msg) == ["<sip:203.0.113.5:5070;lr;ftag=from1>"]
    assert lines_of(forwarded(msg), "Via")[0].startswith("SIP/2.0/UDP 203.0.113.5:5070;branch=")
    assert recorded(msg, INSIDE) == [
        "<sip:203.0.113.5:5070;r2=on;lr;ftag=from1>",
        "<sip:198.51.100.1;r2=on;lr;ftag=from1>",
    ]


# -- shape ----------------------------------------------------------------------------------------------------


def test_a_record_route_survives_storage() -> None:
    made = RecordRoute(b"", b";lr", b";a", OUTSIDE, True)
    copy = pickle.loads(pickle.dumps(made))
    assert copy(INSIDE) == made(INSIDE)


def test_a_malformed_from_is_an_error() -> None:
    msg = SipMsg(b"INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <<\r\n\r\n", ("a", 1), OUTSIDE)
    assert call(rr(), CORE, "record_route", msg) == -1
    assert not msg.lumps and msg.error is not None


def test_routes_are_those_of_openser() -> None:
    for name in ("record_route", "record_route_preset", "add_rr_param"):
        assert Rr.functions[name].routes == REQUEST | FAILURE | BRANCH
    for name in ("loose_route", "check_route_param", "is_direction"):
        assert Rr.functions[name].routes == REQUEST
    assert list(Rr.functions["record_route"].arities) == [0, 1]


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(ConfigError):
        rr(enable_quadruple_rr=1)
