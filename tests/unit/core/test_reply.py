"""Replies: made here to a request, and those of others on their way back."""

import pytest

from openserd.core.context import Core
from openserd.core.destinations import append_branch
from openserd.core.message import SipMsg
from openserd.core.network.transport import Address
from openserd.core.reply import (
    build_forwarded_reply,
    build_reply,
    forward_reply,
    is_broadcast,
    reject,
    reply_destination,
    send_reply,
    via_destination,
)
from openserd.errors import SipError
from tests.support.recording import CALLER, RecordingListener, lines_of, make_core, reply, request


@pytest.fixture
def listener() -> RecordingListener:
    return RecordingListener()


@pytest.fixture
def core(listener: RecordingListener) -> Core:
    core = make_core(listener, RecordingListener("udp", "2001:db8::1", 5060))
    core.resolver.hosts = {"pc33.example.com": ("192.0.2.33",)}
    core.resolver.asks_again_at = float("inf")
    return core


def with_via(via: str, source: Address = CALLER, listener: RecordingListener | None = None) -> SipMsg:
    text = request().buf.replace(b"SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller", via.encode())
    return SipMsg(text, source, listener or RecordingListener())


def names_of(data: bytes) -> list[str]:
    return [line.partition(":")[0] for line in data.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]]


@pytest.mark.conformance("MSG-09")
def test_a_reply_takes_over_what_identifies_the_request_in_its_order(core: Core) -> None:
    msg = request(headers=["Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKfirst", "Max-Forwards: 70", "X-Other: 1"])
    data = build_reply(core, msg, 404, b"Not Found", b"ours")
    assert data.startswith(b"SIP/2.0 404 Not Found\r\n")
    assert names_of(data) == ["Via", "Via", "From", "To", "Call-ID", "CSeq", "Server", "Content-Length"]
    assert lines_of(data, "To") == ["<sip:bob@biloxi.example>;tag=ours"]
    assert lines_of(data, "Content-Length") == ["0"]
    assert data.endswith(b"\r\n\r\n")


@pytest.mark.conformance("MSG-12")
def test_the_tag_of_the_request_stays_and_100_gets_none(core: Core) -> None:
    assert lines_of(build_reply(core, request(to_tag="theirs"), 481, b"x", b"ours"), "To") == [
        "<sip:bob@biloxi.example>;tag=theirs"
    ]
    assert lines_of(build_reply(core, request(), 100, b"Trying", b"ours"), "To") == ["<sip:bob@biloxi.example>"]
    assert lines_of(build_reply(core, request(), 183, b"x", b"ours"), "To") == ["<sip:bob@biloxi.example>;tag=ours"]
    assert lines_of(build_reply(core, request(), 404, b"x"), "To") == ["<sip:bob@biloxi.example>"]


@pytest.mark.parametrize(
    ("code", "copied"), [(100, False), (180, True), (200, True), (299, True), (302, False), (486, False)]
)
def test_record_route_goes_into_replies_that_make_a_dialog(core: Core, code: int, copied: bool) -> None:
    msg = request(headers=["Record-Route: <sip:192.0.2.1;lr>"])
    assert ("Record-Route" in names_of(build_reply(core, msg, code, b"x"))) is copied


def test_a_redirection_tells_the_branches(core: Core) -> None:
    msg = request()
    append_branch(msg, b"sip:carol@chicago.example", 500)
    assert lines_of(build_reply(core, msg, 302, b"Moved"), "Contact") == ["<sip:carol@chicago.example>;q=0.5"]
    assert lines_of(build_reply(core, msg, 404, b"x"), "Contact") == []


def test_header_lines_left_by_the_script_headers_and_body_are_added(core: Core) -> None:
    msg = request()
    msg.reply_headers.append(b"P-One: 1\r\n")
    data = build_reply(core, msg, 200, b"OK", b"t", b"P-Two: 2\r\n", b"body")
    assert names_of(data)[-4:] == ["P-One", "P-Two", "Server", "Content-Length"]
    assert lines_of(data, "Content-Length") == ["4"] and data.endswith(b"\r\n\r\nbody")


def test_server_and_warning_are_written_as_the_parameters_say(core: Core) -> None:
    core.params.set("server_header", ["Server: My Own"])
    core.params.set("sip_warning", [1])
    data = build_reply(core, request(), 404, b"x")
    assert lines_of(data, "Server") == ["My Own"]
    assert lines_of(data, "Warning") == [
        '392 198.51.100.1 "Noisy feedback tells: req_src_ip=192.0.2.10 req_src_port=5062 '
        'in_uri=sip:bob@biloxi.example out_uri=sip:bob@biloxi.example via_cnt=1"'
    ]


def test_server_signature_off_leaves_the_server_header_out(core: Core) -> None:
    core.params.set("server_signature", [0])
    assert lines_of(build_reply(core, request(), 404, b"x"), "Server") == []


@pytest.mark.conformance("MSG-18", "RPT-02", "RPT-06")
@pytest.mark.parametrize(
    ("via", "added"),
    [
        ("SIP/2.0/UDP 192.0.2.10:5062;branch=z9", "SIP/2.0/UDP 192.0.2.10:5062;branch=z9"),
        ("SIP/2.0/UDP 10.0.0.1;branch=z9", "SIP/2.0/UDP 10.0.0.1;branch=z9;received=192.0.2.10"),
        (
            "SIP/2.0/UDP 10.0.0.1;rport;branch=z9",
            "SIP/2.0/UDP 10.0.0.1;rport=5062;branch=z9;received=192.0.2.10",
        ),
    ],
)
def test_the_top_via_tells_where_the_request_came_from(core: Core, via: str, added: str) -> None:
    assert lines_of(build_reply(core, with_via(via), 200, b"OK"), "Via") == [added]


@pytest.mark.conformance("MSG-21", "RPT-01", "RPT-04")
@pytest.mark.parametrize(
    ("via", "destination"),
    [
        ("SIP/2.0/UDP 10.0.0.1;branch=z9", ("192.0.2.10", 5060)),
        ("SIP/2.0/UDP 10.0.0.1:5099;branch=z9", ("192.0.2.10", 5099)),
        ("SIP/2.0/UDP 10.0.0.1:5099;rport;branch=z9", ("192.0.2.10", 5062)),
        ("SIP/2.0/UDP 10.0.0.1:5099;maddr=192.0.2.50;branch=z9", ("192.0.2.50", 5099)),
        ("SIP/2.0/UDP 10.0.0.1:5099;maddr=nowhere.example;branch=z9", ("192.0.2.10", 5099)),
    ],
)
def test_a_reply_goes_to_the_source_and_to_the_port_of_via_or_rport(core: Core, via: str, destination: Address) -> None:
    assert reply_destination(with_via(via), core) == destination


def test_force_rport_answers_the_source_port(core: Core) -> None:
    msg = with_via("SIP/2.0/UDP 10.0.0.1:5099;branch=z9")
    msg.rport_forced = True
    assert reply_destination(msg, core) == CALLER


def test_with_reply_to_via_the_via_alone_decides_where_it_can_be_resolved(core: Core) -> None:
    core.params.set("reply_to_via", [1])
    assert reply_destination(with_via("SIP/2.0/UDP pc33.example.com:5099;branch=z9"), core) == ("192.0.2.33", 5099)
    assert reply_destination(with_via("SIP/2.0/UDP nowhere.example:5099;branch=z9"), core) == ("192.0.2.10", 5099)


@pytest.mark.conformance("RPT-03")
def test_a_reply_is_sent_by_the_listener_that_the_request_came_in_by(core: Core, listener: RecordingListener) -> None:
    assert send_reply(core, request(listener=listener), 404, b"Not Found", b"t")
    ((data, destination),) = listener.sent
    assert data.startswith(b"SIP/2.0 404 ") and destination == CALLER


@pytest.mark.parametrize(
    ("second_via", "destination"),
    [
        ("SIP/2.0/UDP 192.0.2.10", ("192.0.2.10", 5060)),
        ("SIP/2.0/UDP 192.0.2.10:5062", ("192.0.2.10", 5062)),
        ("SIP/2.0/UDP 10.0.0.1:5062;received=192.0.2.10", ("192.0.2.10", 5062)),
        ("SIP/2.0/UDP 10.0.0.1:5062;received=192.0.2.10;rport=7000", ("192.0.2.10", 7000)),
        ("SIP/2.0/UDP 10.0.0.1:5062;maddr=192.0.2.12", ("192.0.2.12", 5062)),
        ("SIP/2.0/UDP [2001:db8::9]:5062", ("2001:db8::9", 5062)),
        ("SIP/2.0/UDP x;received=2001:db8::9", ("2001:db8::9", 5060)),
        ("SIP/2.0/UDP x;received=[2001:db8::9]", ("2001:db8::9", 5060)),
        ("SIP/2.0/UDP nowhere.example", None),
        ("SIP/2.0/UDP x;received=:::::", None),
    ],
)
def test_a_reply_on_its_way_back_goes_where_its_via_says(
    core: Core, second_via: str, destination: Address | None
) -> None:
    assert via_destination(core, with_via(second_via).top_via()) == destination


def test_a_reply_goes_on_without_our_via_and_with_edits(core: Core, listener: RecordingListener) -> None:
    msg = SipMsg(reply(200, body="v=0\r\n").buf, CALLER, listener)
    msg.add_header(b"P-hint", b"back")
    assert forward_reply(core, msg)
    ((data, destination),) = listener.sent
    assert destination == ("192.0.2.10", 5062)
    assert lines_of(data, "Via") == ["SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller"]
    assert lines_of(data, "P-hint") == ["back"]
    assert data.endswith(b"\r\n\r\nv=0\r\n")
    assert core.stats.fwd_replies.value() == 1


def test_our_via_is_taken_out_of_a_line_that_holds_several() -> None:
    buf = reply().buf.replace(b"z9hG4bKserver\r\nVia: ", b"z9hG4bKserver, ")
    data = build_forwarded_reply(SipMsg(buf, CALLER, RecordingListener()))
    assert lines_of(data, "Via") == ["SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller"]


@pytest.mark.parametrize("host", ["nowhere.example", "224.0.1.75", "255.255.255.255", "[ff02::1]"])
def test_a_reply_is_not_sent_nowhere_or_to_many(core: Core, listener: RecordingListener, host: str) -> None:
    buf = reply().buf.replace(b"192.0.2.10:5062", host.encode())
    assert not forward_reply(core, SipMsg(buf, CALLER, listener))
    assert listener.sent == [] and core.stats.fwd_replies.value() == 0


@pytest.mark.conformance("PRX-29")
def test_a_reply_with_our_via_only_goes_no_further(core: Core, listener: RecordingListener) -> None:
    buf = reply().buf.replace(b"Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller\r\n", b"")
    assert not forward_reply(core, SipMsg(buf, CALLER, listener))
    assert listener.sent == []


def test_a_reply_for_a_transport_without_a_listener_goes_no_further(core: Core) -> None:
    buf = reply().buf.replace(b"SIP/2.0/UDP 192.0.2.10", b"SIP/2.0/TCP 192.0.2.10")
    assert not forward_reply(core, SipMsg(buf, CALLER, RecordingListener()))


@pytest.mark.parametrize(
    ("host", "many"),
    [
        ("255.255.255.255", True), ("224.0.0.1", True), ("239.255.255.255", True), ("FF02::1", True),
        ("223.255.255.255", False), ("240.0.0.1", False), ("127.0.0.1", False), ("fe80::1", False), ("::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_those_of_many(host: str, many: bool) -> None:
    assert is_broadcast(host) is many


def test_a_bad_request_is_answered_with_its_error(core: Core, listener: RecordingListener) -> None:
    reject(core, request(listener=listener), SipError("Bad CSeq \xe9", 10, 400))
    assert listener.sent[0][0].startswith("SIP/2.0 400 Bad CSeq \xe9\r\n".encode())


def test_an_ack_is_never_answered(core: Core, listener: RecordingListener) -> None:
    reject(core, request("ACK", listener=listener), SipError("Bad", 0, 400))
    assert listener.sent == []


def test_a_request_that_cannot_be_answered_is_left_alone(core: Core, listener: RecordingListener) -> None:
    msg = with_via("nonsense", listener=listener)
    reject(core, msg, SipError("Bad Via", 0, 400))
    assert listener.sent == []
