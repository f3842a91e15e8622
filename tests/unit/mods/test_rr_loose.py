"""rr, Route: what becomes of a request that brings one (RFC 3261 sections 16.4, 16.6 item 6, 16.12)."""

from typing import Any

import pytest

from openserd.core.message import SipMsg
from openserd.errors import ConfigError
from openserd.mods.rr import RouteApi, Rr
from tests.support.recording import RecordingListener, call, forwarded, lines_of, make_core, request

OUTSIDE = RecordingListener("udp", "198.51.100.1", 5060)
INSIDE = RecordingListener("udp", "10.0.0.1", 5080)
TCP = RecordingListener("tcp", "198.51.100.1", 5060)
HIDDEN = RecordingListener("udp", "10.0.0.3", 5060, advertised_host="203.0.113.7")
CORE = make_core(OUTSIDE, INSIDE, TCP, HIDDEN)
CORE.myself.add(b"atlanta.example", 0)
CORE.myself.add(b"203.0.113.7", 5060)

BOB = "sip:bob@192.0.2.20"
OWN = "<sip:198.51.100.1;lr>"
PROXY = "<sip:proxy.example;lr>"
FAR = "<sip:far.example;lr>"
STRICT = "<sip:strict.example>"


def rr(**params: Any) -> Rr:
    module = Rr(**params)
    module.core = CORE
    module.on_init(CORE)
    return module


def bye(*routes: str, uri: str = BOB, to_tag: str = "to1", **options: Any) -> SipMsg:
    return request("BYE", uri, [f"Route: {line}" for line in routes], to_tag=to_tag, listener=OUTSIDE, **options)


def loose_route(msg: SipMsg, **params: Any) -> int:
    return call(rr(**params), CORE, "loose_route", msg)


def route_of(msg: SipMsg) -> list[str]:
    return lines_of(forwarded(msg), "Route")


# -- loose routers on both sides --------------------------------------------------------------------------------


def test_without_route_there_is_nothing_to_follow() -> None:
    msg = bye()
    assert loose_route(msg) == -1
    assert not msg.lumps and msg.dst_uri is None and msg.own_route is None


@pytest.mark.conformance("PRX-11")
def test_the_own_value_goes_and_the_request_uri_decides() -> None:
    msg = bye(OWN)
    assert loose_route(msg) == 1
    assert (msg.ruri, msg.dst_uri, route_of(msg)) == (BOB.encode(), None, [])


@pytest.mark.conformance("PRX-22")
def test_the_next_value_is_the_next_hop_and_stays() -> None:
    msg = bye(OWN, PROXY, FAR)
    assert loose_route(msg) == 1
    assert (msg.ruri, msg.dst_uri) == (BOB.encode(), b"sip:proxy.example;lr")
    assert route_of(msg) == [PROXY, FAR]


def test_values_on_one_line_are_taken_apart() -> None:
    msg = bye(f"{OWN}, {PROXY},{FAR}")
    assert loose_route(msg) == 1
    assert msg.dst_uri == b"sip:proxy.example;lr"
    assert route_of(msg) == [f"{PROXY},{FAR}"]


def test_a_name_and_parameters_go_with_the_value() -> None:
    msg = bye(f'"Our, proxy" {OWN};x=1 , {PROXY};y=2')
    assert loose_route(msg) == 1
    assert route_of(msg) == [f"{PROXY};y=2"]


def test_the_whole_message_is_as_it_was_but_for_the_route() -> None:
    msg = bye(OWN)
    loose_route(msg)
    assert forwarded(msg) == (
        b"BYE sip:bob@192.0.2.20 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKserver\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller\r\n"
        b"From: <sip:alice@atlanta.example>;tag=from1\r\n"
        b"To: <sip:bob@biloxi.example>;tag=to1\r\n"
        b"Call-ID: 1@atlanta\r\n"
        b"CSeq: 7 BYE\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    "own",
    [
        "<sip:198.51.100.1:5060;lr=on>",
        "<sip:x@ATLANTA.example:7000;LR>",
        "<sip:198.51.100.1;transport=tcp;lr>",
        "<sip:10.0.0.1:5080;lr>",
    ],
)
def test_own_values_are_recognised_by_host_and_port(own: str) -> None:
    msg = bye(own)
    assert loose_route(msg) == 1 and route_of(msg) == []


@pytest.mark.parametrize("foreign", ["<sip:198.51.100.1:5070;lr>", "<sip:198.51.100.2;lr>", "<sip:10.0.0.1;lr>"])
def test_a_foreign_first_value_stays_and_is_the_next_hop(foreign: str) -> None:
    msg = bye(foreign, FAR)
    assert loose_route(msg) == 1
    assert f"<{(msg.dst_uri or b'').decode()}>" == foreign
    assert route_of(msg) == [foreign, FAR] and msg.own_route is None


def test_a_malformed_route_is_false() -> None:
    msg = bye("<sip:198.51.100.1")
    assert loose_route(msg) == -1
    assert msg.error is not None and not msg.lumps


def test_a_next_hop_with_maddr_keeps_it() -> None:
    msg = bye(OWN, "<sip:proxy.example;maddr=192.0.2.99;lr>")
    loose_route(msg)
    assert msg.dst_uri == b"sip:proxy.example;maddr=192.0.2.99;lr"


def test_maddr_names_this_server_too() -> None:
    msg = bye("<sip:cluster.example;maddr=198.51.100.1;lr>", PROXY)
    assert loose_route(msg) == 1
    assert route_of(msg) == [PROXY]


# -- preloaded --------------------------------------------------------------------------------------------------


def test_a_preloaded_route_with_more_than_ours_is_followed() -> None:
    msg = bye(OWN, PROXY, to_tag="")
    assert loose_route(msg) == 1
    assert (msg.dst_uri, route_of(msg)) == (b"sip:proxy.example;lr", [PROXY])


def test_a_preloaded_route_that_is_only_ours_is_removed_and_false() -> None:
    msg = bye(OWN, to_tag="")
    assert loose_route(msg) == -1
    assert (msg.dst_uri, route_of(msg)) == (None, [])


def test_outside_a_dialog_an_own_request_uri_is_no_sign_of_a_strict_router() -> None:
    msg = bye(OWN, PROXY, uri="sip:bob@atlanta.example", to_tag="")
    assert loose_route(msg) == 1
    assert msg.ruri == b"sip:bob@atlanta.example"


# -- double Record-Route ----------------------------------------------------------------------------------------


@pytest.mark.conformance("PRX-19")
def test_both_halves_go_and_the_second_chooses_the_listener() -> None:
    msg = bye("<sip:198.51.100.1;r2=on;lr>", "<sip:10.0.0.1:5080;r2=on;lr>", PROXY)
    assert loose_route(msg) == 1
    assert (msg.dst_uri, msg.force_listener, route_of(msg)) == (b"sip:proxy.example;lr", INSIDE, [PROXY])


def test_both_halves_on_one_line_with_nothing_after() -> None:
    msg = bye("<sip:198.51.100.1;r2=on;lr>, <sip:198.51.100.1;transport=tcp;r2=on;lr>")
    assert loose_route(msg) == 1
    assert (msg.dst_uri, msg.force_listener, route_of(msg)) == (None, TCP, [])


def test_preloaded_both_halves_only() -> None:
    msg = bye("<sip:198.51.100.1;r2=on;lr>", "<sip:10.0.0.1:5080;r2=on;lr>", to_tag="")
    assert loose_route(msg) == -1
    assert route_of(msg) == [] and msg.force_listener is INSIDE


def test_the_second_half_may_name_an_advertised_address() -> None:
    msg = bye("<sip:198.51.100.1;r2=on;lr>", "<sip:203.0.113.7;r2=on;lr>")
    assert loose_route(msg) == 1
    assert msg.force_listener is HIDDEN


def test_a_second_half_without_a_listener_is_removed_all_the_same() -> None:
    msg = bye("<sip:198.51.100.1;r2=on;lr>", "<sip:atlanta.example;r2=on;lr>", PROXY)
    assert loose_route(msg) == 1
    assert msg.force_listener is None and route_of(msg) == [PROXY]


def test_a_foreign_value_after_r2_is_not_ours_to_remove() -> None:
    msg = bye("<sip:198.51.100.1;r2=on;lr>", PROXY)
    assert loose_route(msg) == 1
    assert (msg.dst_uri, route_of(msg)) == (b"sip:proxy.example;lr", [PROXY])


def test_without_double_rr_one_value_goes() -> None:
    msg = bye("<sip:198.51.100.1;r2=on;lr>", "<sip:10.0.0.1:5080;r2=on;lr>")
    assert loose_route(msg, enable_double_rr=0) == 1
    assert msg.dst_uri == b"sip:10.0.0.1:5080;r2=on;lr" and msg.force_listener is None


# -- strict routers ---------------------------------------------------------------------------------------------


@pytest.mark.conformance("PRX-21")
def test_towards_a_strict_router_the_request_uri_becomes_the_last_route() -> None:
    msg = bye(OWN, STRICT, FAR)
    assert loose_route(msg) == 1
    assert (msg.ruri, msg.dst_uri) == (b"sip:strict.example", None)
    assert route_of(msg) == [FAR, f"<{BOB}>"]


def test_towards_a_strict_router_from_one_line() -> None:
    msg = bye(f"{OWN},{STRICT} , {FAR}")
    assert loose_route(msg) == 1
    assert route_of(msg) == [FAR, f"<{BOB}>"]


def test_a_strict_router_first_without_any_own_value() -> None:
    msg = bye(STRICT, to_tag="")
    assert loose_route(msg) == 1
    assert (msg.ruri, route_of(msg)) == (b"sip:strict.example", [f"<{BOB}>"])


@pytest.mark.conformance("PRX-09")
def test_after_a_strict_router_the_target_is_restored() -> None:
    msg = bye(PROXY, FAR, f"<{BOB}>", uri="sip:198.51.100.1;lr;ftag=from1")
    assert loose_route(msg) == 1
    assert (msg.ruri, msg.dst_uri) == (BOB.encode(), b"sip:proxy.example;lr")
    assert route_of(msg) == [PROXY, FAR]
    assert msg.own_route == b";lr;ftag=from1"


def test_after_a_strict_router_from_one_line() -> None:
    msg = bye(f"{PROXY}, <{BOB}>", uri="sip:198.51.100.1;lr")
    assert loose_route(msg) == 1
    assert (msg.ruri, route_of(msg)) == (BOB.encode(), [PROXY])


def test_between_two_strict_routers() -> None:
    msg = bye(STRICT, f"<{BOB}>", uri="sip:198.51.100.1;lr")
    assert loose_route(msg) == 1
    assert (msg.ruri, msg.dst_uri, route_of(msg)) == (b"sip:strict.example", None, [f"<{BOB}>"])


def test_after_a_strict_router_with_only_the_target_left() -> None:
    msg = bye(f"<{BOB}>", uri="sip:198.51.100.1;lr")
    assert loose_route(msg) == 1
    assert (msg.ruri, msg.dst_uri, route_of(msg)) == (BOB.encode(), None, [])


def test_a_strict_router_may_drop_our_parameters() -> None:
    msg = bye(f"{PROXY}, <{BOB}>", uri="sip:198.51.100.1")
    assert loose_route(msg) == 1
    assert msg.ruri == BOB.encode()


def test_after_a_strict_router_the_second_half_goes_too() -> None:
    msg = bye("<sip:10.0.0.1:5080;r2=on;lr>", PROXY, f"<{BOB}>", uri="sip:198.51.100.1;r2=on;lr")
    assert loose_route(msg) == 1
    assert (msg.ruri, msg.dst_uri, msg.force_listener) == (BOB.encode(), b"sip:proxy.example;lr", INSIDE)
    assert route_of(msg) == [PROXY]


def test_after_a_strict_router_with_nothing_but_the_second_half() -> None:
    msg = bye("<sip:10.0.0.1:5080;r2=on;lr>", uri="sip:198.51.100.1;r2=on;lr")
    assert loose_route(msg) == -1
    assert route_of(msg) == []


def test_a_dialog_with_this_server_is_not_taken_for_strict_routing() -> None:
    msg = bye(OWN, uri="sip:presence@198.51.100.1")
    assert loose_route(msg) == 1
    assert (msg.ruri, msg.dst_uri, route_of(msg)) == (b"sip:presence@198.51.100.1", None, [])


# -- an ignored user ----------------------------------------------------------------------------------------------


def test_a_value_with_the_ignored_user_is_not_ours() -> None:
    msg = bye("<sip:trunk@198.51.100.1;lr>", PROXY)
    assert loose_route(msg, ignore_user="trunk") == -1
    assert not msg.lumps and msg.dst_uri is None


def test_a_value_with_another_user_is_ours() -> None:
    msg = bye("<sip:xrunk@198.51.100.1;lr>")
    assert loose_route(msg, ignore_user="trunk") == 1


# -- parameters and direction -------------------------------------------------------------------------------------


def test_check_route_param_looks_at_our_own_value() -> None:
    module = rr()
    msg = bye("<sip:198.51.100.1;lr;nat=yes;ftag=from1>", "<sip:proxy.example;lr;foo=1>")
    assert call(module, CORE, "check_route_param", msg, "nat=yes") == -1
    call(module, CORE, "loose_route", msg)
    assert call(module, CORE, "check_route_param", msg, ";NAT=y") == 1
    assert call(module, CORE, "check_route_param", msg, "foo") == -1


def test_check_route_param_is_false_where_no_route_is_ours() -> None:
    module = rr()
    msg = bye("<sip:proxy.example;lr;foo=1>")
    call(module, CORE, "loose_route", msg)
    assert call(module, CORE, "check_route_param", msg, "foo") == -1


def direction(msg: SipMsg, word: str) -> int:
    module = rr()
    call(module, CORE, "loose_route", msg)
    return call(module, CORE, "is_direction", msg, word)


@pytest.mark.parametrize(("ftag", "upstream"), [("from1", False), ("to1", True)])
def test_direction_is_known_by_the_from_tag(ftag: str, upstream: bool) -> None:
    route = f"<sip:198.51.100.1;lr;ftag={ftag}>"
    assert direction(bye(route), "upstream") == (1 if upstream else -1)
    assert direction(bye(route), "Downstream") == (-1 if upstream else 1)


@pytest.mark.parametrize("routes", [[], [OWN], [PROXY], ["<sip:198.51.100.1;lr;ftag=>"]])
def test_without_a_tag_the_direction_is_downstream(routes: list[str]) -> None:
    assert direction(bye(*routes), "downstream") == 1
    assert direction(bye(*routes), "upstream") == -1


def test_is_direction_is_checked_when_the_script_is_read() -> None:
    with pytest.raises(ConfigError, match="no direction"):
        call(rr(), CORE, "is_direction", bye(), "sideways")
    with pytest.raises(ConfigError, match="append_fromtag"):
        call(rr(append_fromtag=0), CORE, "is_direction", bye(), "upstream")


# -- other modules ------------------------------------------------------------------------------------------------


def test_other_modules_are_told_of_routed_requests() -> None:
    module = rr()
    api: RouteApi = CORE.require("rr")
    told: list[tuple[SipMsg, bytes]] = []
    api.register(lambda msg, params: told.append((msg, params)))
    own, foreign, none = bye("<sip:198.51.100.1;lr;did=1.2>"), bye(PROXY), bye()
    for msg in (own, foreign, none):
        call(module, CORE, "loose_route", msg)
    assert told == [(own, b";lr;did=1.2"), (foreign, b"")]


def test_other_modules_read_and_add_parameters() -> None:
    module = rr()
    api: RouteApi = CORE.require("rr")
    msg = bye("<sip:198.51.100.1;lr;did=1.2;flag;ftag=to1>")
    call(module, CORE, "loose_route", msg)
    assert [api.get_route_param(msg, name) for name in (b"did", b"flag", b"di")] == [b"1.2", b"", None]
    assert api.is_upstream(msg)
    assert api.add_rr_param(msg, b";vsf=abc")
    call(module, CORE, "record_route", msg)
    assert lines_of(forwarded(msg), "Record-Route") == ["<sip:198.51.100.1;lr;ftag=from1;vsf=abc>"]


@pytest.mark.conformance("HRD-09")
def test_a_hundred_routes_are_handled() -> None:
    msg = bye(OWN, *[f"<sip:p{i}.example;lr>" for i in range(100)])
    assert loose_route(msg) == 1
    assert len(route_of(msg)) == 100
