"""Forwarding: the next hop of a URI, the request as it leaves, and stateless relaying."""

import pytest

from openserd.core.context import Core
from openserd.core.destinations import ruri_branch
from openserd.core.forward import MOST_HOPS, build_request, forward, hop_to, next_hop, stateless_branch
from openserd.core.message import SipMsg
from openserd.core.network.transport import Listener
from openserd.errors import SipError
from openserd.testing import Script
from tests.support.recording import CALLER, RecordingListener, forwarded, lines_of, make_core, request

UDP = RecordingListener("udp", "198.51.100.1", 5060)
OTHER = RecordingListener("udp", "198.51.100.1", 5070)
SIX = RecordingListener("udp", "2001:db8::1", 5060)


@pytest.fixture
def core() -> Core:
    """A server with three listeners whose resolver knows one name."""
    for listener in (UDP, OTHER, SIX):
        listener.sent.clear()
        listener.broken = False
    core = make_core(UDP, OTHER, SIX)
    core.resolver.hosts = {
        "gw.example.com": ("192.0.2.44",),
        "both.example.com": ("192.0.2.44", "192.0.2.45", "2001:db8::9"),
    }
    core.resolver.asks_again_at = float("inf")
    return core


@pytest.mark.parametrize(
    ("uri", "address", "listener"),
    [
        (b"sip:bob@192.0.2.4", ("192.0.2.4", 5060), UDP),
        (b"sip:bob@192.0.2.4:5099", ("192.0.2.4", 5099), UDP),
        (b"sip:bob@gw.example.com;transport=UDP", ("192.0.2.44", 5060), UDP),
        (b"sip:bob@biloxi.example;maddr=192.0.2.5", ("192.0.2.5", 5060), UDP),
        (b"sip:bob@192.0.2.4;maddr=gw.example.com", ("192.0.2.44", 5060), UDP),
        (b"sip:[2001:db8::9]:5080", ("2001:db8::9", 5080), SIX),
    ],
)
def test_the_next_hop_is_maddr_or_host_with_port_and_a_listener_that_fits(
    core: Core, uri: bytes, address: tuple[str, int], listener: Listener
) -> None:
    hop = next_hop(core, uri, None, None)
    assert hop.address == address
    assert hop.listener is listener


def test_a_hop_to_a_literal_address_is_made_once(core: Core) -> None:
    hop = next_hop(core, b"sip:bob@192.0.2.4", None, None)
    assert next_hop(core, b"sip:bob@192.0.2.4", None, None) is hop
    assert next_hop(core, b"sip:bob@192.0.2.4", OTHER, None).listener is OTHER
    assert next_hop(core, b"sip:bob@192.0.2.4", None, OTHER).listener is OTHER
    assert next_hop(core, b"sip:bob@192.0.2.4", None, None) is hop


def test_a_hop_to_a_name_is_looked_for_each_time(core: Core) -> None:
    next_hop(core, b"sip:bob@gw.example.com", None, None)
    assert not core.direct_hops


def test_a_hop_is_chosen_each_time_where_the_system_s_routes_decide(core: Core) -> None:
    core.listening.mhomed = True
    next_hop(core, b"sip:bob@192.0.2.4", None, None)
    assert not core.direct_hops


def test_no_more_hops_are_kept_than_there_is_room_for(core: Core) -> None:
    for number in range(MOST_HOPS + 2):
        next_hop(core, b"sip:bob@192.0.2.4:%d" % (number + 1), None, None)
    assert len(core.direct_hops) == 2


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        (b"sip:bob@", 475),
        (b"nonsense", 475),
        (b"tel:+15551234", 416),
        (b"sip:bob@no-such-host.example", 476),
        (b"sip:bob@[:::::]", 476),
        (b"sip:bob@192.0.2.4;transport=tcp", 477),
        (b"sips:bob@192.0.2.4", 477),
    ],
)
def test_a_destination_that_cannot_be_reached_earns_its_code(core: Core, uri: bytes, code: int) -> None:
    with pytest.raises(SipError) as refused:
        next_hop(core, uri, None, None)
    assert refused.value.code == code


def test_the_forced_listener_sends_else_the_one_the_message_came_in_by(core: Core) -> None:
    assert next_hop(core, b"sip:192.0.2.4", OTHER, UDP).listener is OTHER
    assert next_hop(core, b"sip:192.0.2.4", None, OTHER).listener is OTHER
    assert next_hop(core, b"sip:[2001:db8::9]", OTHER, OTHER).listener is SIX


def test_a_given_destination_may_be_an_address_or_a_name(core: Core) -> None:
    assert hop_to(core, "udp", ("192.0.2.4", 5099), None, None).address == ("192.0.2.4", 5099)
    assert hop_to(core, "udp", ("2001:db8::9", 5060), None, None).address == ("2001:db8::9", 5060)
    assert hop_to(core, "udp", ("gw.example.com", 5099), None, None).address == ("192.0.2.44", 5099)
    with pytest.raises(SipError) as refused:
        hop_to(core, "udp", ("no-such-host.example", 5060), None, None)
    assert refused.value.code == 476


def test_a_name_with_several_addresses_has_the_others_behind_the_first(core: Core) -> None:
    for hop in (
        next_hop(core, b"sip:both.example.com:5070", None, OTHER),
        hop_to(core, "udp", ("both.example.com", 5070), None, OTHER),
    ):
        assert [(one.address, one.listener) for one in (hop, *hop.others)] == [
            (("192.0.2.44", 5070), OTHER),
            (("192.0.2.45", 5070), OTHER),
            (("2001:db8::9", 5070), SIX),
        ]


def test_addresses_that_no_listener_reaches_are_left_out(core: Core) -> None:
    core.listeners.remove(SIX)
    hop = next_hop(core, b"sip:both.example.com", None, None)
    assert [one.address[0] for one in (hop, *hop.others)] == ["192.0.2.44", "192.0.2.45"]
    core.listeners.clear()
    core.listeners.append(SIX)
    assert next_hop(core, b"sip:both.example.com", None, None).address[0] == "2001:db8::9"
    core.listeners.clear()
    with pytest.raises(SipError) as refused:
        next_hop(core, b"sip:both.example.com", None, None)
    assert refused.value.code == 477


def test_disable_dns_failover_leaves_the_first_address(core: Core) -> None:
    core.params.disable_dns_failover = True
    hop = next_hop(core, b"sip:both.example.com", None, None)
    assert (hop.address[0], hop.others) == ("192.0.2.44", [])


def test_a_stateless_request_goes_to_the_next_address_where_it_cannot_be_sent(core: Core) -> None:
    msg = SipMsg(request().buf, CALLER, UDP)
    msg.set_ruri(b"sip:bob@both.example.com")
    UDP.broken = True
    assert forward(core, msg)
    assert [where for _, where in SIX.sent] == [("2001:db8::9", 5060)]
    assert lines_of(SIX.sent[0][0], "Via")[0].startswith("SIP/2.0/UDP [2001:db8::1];")
    SIX.broken = True
    assert not forward(core, msg)
    assert msg.error is not None and msg.error.code == 477


@pytest.mark.parametrize(("off", "gone_to"), [("no", ["192.0.2.51"]), ("yes", [])])
def test_disable_dns_failover_is_for_forward_too(off: str, gone_to: list[str]) -> None:
    text = f"disable_dns_failover={off} route {{ forward(); }}"
    with Script.text(text, hosts={"gw.example.com": "192.0.2.50 192.0.2.51"}) as script:
        script.unreachable.add("192.0.2.50:5060")
        assert [sent.destination[0] for sent in script.request("OPTIONS sip:gw.example.com").forwarded] == gone_to


def test_a_request_leaves_with_a_new_line_our_via_on_top_and_the_rest_as_received() -> None:
    msg = request(headers=["X-Odd:   as  written"], body="v=0\r\n")
    msg.set_ruri(b"sip:bob@192.0.2.4")
    lines = forwarded(msg).split(b"\r\n")
    assert lines[:4] == [
        b"INVITE sip:bob@192.0.2.4 SIP/2.0",
        b"Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKserver",
        b"Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller",
        b"X-Odd:   as  written",
    ]
    assert lines[3:] == msg.buf.split(b"\r\n")[2:]


@pytest.mark.conformance("PTH-05")
def test_path_becomes_a_route_and_edits_are_applied() -> None:
    msg = request()
    msg.path = b"<sip:edge.example;lr>"
    msg.add_header(b"P-hint", b"outbound")
    data = forwarded(msg)
    assert lines_of(data, "Route") == ["<sip:edge.example;lr>"]
    assert lines_of(data, "P-hint") == ["outbound"]
    assert data.count(b"\r\n\r\n") == 1


@pytest.mark.conformance("MSG-18")
def test_received_is_added_to_the_via_of_a_peer_that_names_another_host() -> None:
    msg = SipMsg(request().buf, ("192.0.2.99", 7000), UDP)
    assert lines_of(forwarded(msg), "Via")[1] == (
        "SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller;received=192.0.2.99"
    )


def test_an_advertised_address_is_written_into_our_via_of_this_message_only() -> None:
    msg = request()
    msg.advertised_host, msg.advertised_port = b"sip.example.com", 5999
    assert lines_of(forwarded(msg), "Via")[0] == "SIP/2.0/UDP sip.example.com:5999;branch=z9hG4bKserver"
    assert lines_of(forwarded(request()), "Via")[0].startswith("SIP/2.0/UDP 198.51.100.1;")


def test_rport_is_asked_for_where_the_script_wants_it() -> None:
    msg = request()
    msg.local_rport = True
    assert lines_of(forwarded(msg), "Via")[0].endswith(";branch=z9hG4bKserver;rport")


@pytest.mark.conformance("MSG-23")
def test_bytes_behind_content_length_are_not_sent_on() -> None:
    msg = request(body="v=0\r\n")
    longer = SipMsg(msg.buf + b"GARBAGE", CALLER, UDP)
    assert forwarded(longer).endswith(b"\r\n\r\nv=0\r\n")


@pytest.mark.conformance("PRX-46")
def test_a_retransmission_gets_the_same_branch_and_another_request_another_one() -> None:
    first = stateless_branch(request())
    assert first == stateless_branch(request())
    assert first.startswith(b"z9hG4bK")
    other = SipMsg(request().buf.replace(b"z9hG4bKcaller", b"z9hG4bKother"), CALLER, UDP)
    moved = request()
    moved.set_ruri(b"sip:carol@biloxi.example")
    assert len({first, stateless_branch(other), stateless_branch(moved)}) == 3


def test_requests_of_old_clients_are_told_apart_by_their_fields() -> None:
    def old(call_id: bytes, cseq: bytes = b"7 INVITE") -> bytes:
        text = request().buf.replace(b";branch=z9hG4bKcaller", b"").replace(b"1@atlanta", call_id)
        return stateless_branch(SipMsg(text.replace(b"7 INVITE", cseq), CALLER, UDP))

    assert old(b"1@atlanta") == old(b"1@atlanta")
    assert len({old(b"1@atlanta"), old(b"2@atlanta"), old(b"1@atlanta", b"8 INVITE")}) == 3


def test_forwarding_sends_to_the_request_uri_and_counts(core: Core) -> None:
    msg = request(uri="sip:bob@192.0.2.4:5099", listener=UDP)
    assert forward(core, msg)
    ((data, destination),) = UDP.sent
    assert destination == ("192.0.2.4", 5099)
    assert data.startswith(b"INVITE sip:bob@192.0.2.4:5099 SIP/2.0\r\nVia: ")
    assert core.stats.fwd_requests.value() == 1


def test_the_destination_uri_comes_before_the_request_uri(core: Core) -> None:
    msg = request(listener=UDP)
    msg.dst_uri = b"sip:192.0.2.9:5098"
    assert forward(core, msg)
    assert UDP.sent[0][1] == ("192.0.2.9", 5098)
    assert UDP.sent[0][0].startswith(b"INVITE sip:bob@biloxi.example SIP/2.0\r\n")


def test_a_given_address_comes_before_both(core: Core) -> None:
    msg = request(listener=UDP)
    msg.dst_uri = b"sip:192.0.2.9:5098"
    assert forward(core, msg, ("192.0.2.7", 5097))
    assert UDP.sent[0][1] == ("192.0.2.7", 5097)


@pytest.mark.parametrize(("uri", "code"), [("sip:bob@no-such-host.example", 476), ("sip:192.0.2.4;transport=tls", 477)])
def test_what_cannot_be_forwarded_leaves_its_error_on_the_message(core: Core, uri: str, code: int) -> None:
    msg = request(uri=uri, listener=UDP)
    assert not forward(core, msg)
    assert msg.error is not None and msg.error.code == code
    assert core.stats.fwd_requests.value() == 0


def test_a_refusal_of_the_system_is_477(core: Core) -> None:
    msg = request(uri="sip:192.0.2.4", listener=UDP)
    UDP.broken = True
    assert not forward(core, msg)
    assert msg.error is not None and msg.error.code == 477


def test_a_branch_s_own_listener_writes_its_address() -> None:
    msg = request()
    built = build_request(msg, ruri_branch(msg), b"z9hG4bKx", OTHER)
    assert lines_of(built, "Via")[0] == "SIP/2.0/UDP 198.51.100.1:5070;branch=z9hG4bKx"
