"""RFC 3261 section 16: what a proxy does with requests and replies, seen from outside, where no scenario shows it."""

import re
from collections import deque

import pytest

from openserd.core.destinations import Branch
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory
from openserd.testing import Script
from tests.unit.mods.tm.conftest import CALLEE, CALLER, SECOND_CALLEE, World
from tests.unit.mods.tm.flow_kit import Net
from tests.unit.mods.tm.test_calls import is_gone, start, statuses
from tests.unit.mods.tm.test_rfc3665 import ALICE, BOB, SDP, SS1, SS2, SS3, TO, established

FORK = ("sip:bob@192.0.2.21", "sip:bob@192.0.2.22")
NEXT = "sip:bob@192.0.2.20"

# -- requests ----------

STATELESS = """
loadmodule "sl.so"
loadmodule "maxfwd.so"
route { forward(); }
"""
RELAY = """
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "auth.so"
alias="example.com"
route {
    if (!mf_process_maxfwd_header("70")) {
        sl_send_reply("483", "Too Many Hops");
        exit;
    }
    if (is_present_hf("Proxy-Require")) {
        append_to_reply("Unsupported: $hdr(Proxy-Require)\\r\\n");
        sl_send_reply("420", "Bad Extension");
        exit;
    }
    if (uri =~ "^sip:closed@") {
        proxy_challenge("example.com", "0");
        exit;
    }
    append_hf("P-hint: relayed\\r\\n");
    if (!loose_route() && uri == myself) {
        rewritehostport("192.0.2.20");
        append_branch("sip:bob@192.0.2.21");
    }
    if (!t_relay()) sl_reply_error();
}
"""


@pytest.mark.conformance("PRX-01", "PRX-51")
def test_each_destination_of_a_fork_gets_its_own_branch_of_the_same_request(world: World) -> None:
    copies = start(world, *FORK)
    assert [copy.ruri.decode() for copy in copies] == [NEXT, *FORK]
    assert len({copy.top_via().branch for copy in copies}) == 3
    assert len({(copy.call_id, copy.from_tag, copy.cseq.number) for copy in copies}) == 1


@pytest.mark.conformance("PRX-02", "PRX-47")
def test_without_state_each_datagram_goes_on_alone_and_nothing_comes_back() -> None:
    with Script.text(STATELESS) as script:
        first = script.request(f"INVITE {NEXT}")
        copies = [first.request.data, *(script.repeat(first).request.data for _ in range(4))]
        assert len(set(copies)) == 1
        assert first.replies == []


@pytest.mark.conformance("PRX-46")
def test_without_state_ack_and_cancel_get_the_branch_of_their_invite() -> None:
    with Script.text(STATELESS) as script:
        invite = script.request(f"INVITE {NEXT}")
        refusal = script.reply(invite.request, 486).reply
        assert refusal.status == 486
        others = [script.cancel(invite), script.ack(invite, refusal)]
        assert [one.request.method for one in others] == ["CANCEL", "ACK"]
        assert {one.request.message.top_via().branch for one in others} == {invite.request.message.top_via().branch}


BAD = [
    ("INVITE sip:bob@192.0.2.20", {"CSeq": "x INVITE"}, 400),
    ("INVITE tel:+15551234", {}, 416),
    ("INVITE sip:bob@192.0.2.20", {"Max-Forwards": "0"}, 483),
    ("INVITE sip:bob@192.0.2.20", {"Proxy-Require": "foo"}, 420),
    ("INVITE sip:closed@192.0.2.20", {}, 407),
]


@pytest.mark.conformance("PRX-03", "PRX-05", "PRX-07", "PRX-08", "MSG-07")
@pytest.mark.parametrize(("line", "headers", "code"), BAD)
def test_a_request_that_must_not_go_on_is_answered_and_goes_nowhere(
    line: str, headers: dict[str, str], code: int
) -> None:
    with Script.text(RELAY) as script:
        refused = script.request(line, headers=headers)
        assert (refused.reply.status, refused.forwarded) == (code, [])
        assert (refused.reply.header("Unsupported") == "foo") is (code == 420)
        assert (refused.reply.header("Proxy-Authenticate") is not None) is (code == 407)


@pytest.mark.conformance("PRX-04")
def test_faults_in_fields_that_routing_does_not_need_go_on_with_the_request() -> None:
    odd = {"Date": "never, 99 Foo", "Subject": ';;;"<', "Contact": "<sip:alice@192.0.2.10>"}
    with Script.text(RELAY) as script:
        sent = script.request(f"INVITE {NEXT}", headers=odd).request
        assert {name: sent.header(name) for name in odd} == odd


@pytest.mark.conformance("PRX-12", "PRX-16")
def test_a_request_for_another_domain_goes_to_it_and_one_for_ours_to_its_targets() -> None:
    with Script.text(RELAY, hosts={"other.example": "192.0.2.77"}) as script:
        away = script.request("OPTIONS sip:carol@other.example").request
        assert (away.uri, away.next_hop) == ("sip:carol@other.example", "192.0.2.77:5060")
        home = script.request("INVITE sip:bob@example.com").forwarded
        assert [one.uri for one in home] == [NEXT, FORK[0]]


@pytest.mark.conformance("PRX-13")
def test_a_contact_that_was_registered_by_two_call_ids_is_one_target() -> None:
    text = """
    loadmodule "sl.so" loadmodule "tm.so" loadmodule "usrloc.so" loadmodule "registrar.so"
    route {
        if (method == "REGISTER") { save("location"); exit; }
        if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
        t_relay();
    }
    """
    with Script.text(text) as script:
        for call_id in ("one", "two"):
            script.register("bob", "sip:bob@192.0.2.20", headers={"Call-ID": call_id})
        script.register("bob", "<sip:bob@192.0.2.21>;q=1", headers={"Call-ID": "three"})
        sent = script.request(f"INVITE sip:bob@{script.domain}").forwarded
        assert sorted(one.uri for one in sent) == [NEXT, FORK[0]]


@pytest.mark.conformance("PRX-15", "PRX-20", "PRX-23", "MSG-29")
def test_what_the_proxy_does_not_act_on_goes_on_byte_for_byte() -> None:
    fields = {f"X-Unknown-{number}": f'  <;="{number}\\" ,, é;a=%41' for number in range(30)}
    body = "".join(map(chr, range(1, 128)))
    with Script.text(RELAY) as script:
        first = script.request("INVITE sip:bob@example.com", headers=fields, body=body)
        received = first.received.partition(b"X-Unknown-0")
        for copy in first.forwarded:
            head, name, rest = copy.data.partition(b"X-Unknown-0")
            assert name + re.sub(rb"(P-hint|Max-Breadth): \w+\r\n", b"", rest) == b"".join(received[1:])
            assert copy.headers("P-hint") == ["relayed"]
            assert head.startswith(
                b"INVITE " + copy.uri.encode() + b" SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK"
            )
            assert head.count(b"\r\nVia:") == 2


@pytest.mark.conformance("PRX-17")
@pytest.mark.parametrize(("given", "sent"), [("17", "16"), (None, "70"), ("1", "0")])
def test_max_forwards_goes_down_by_one_or_is_added(given: str | None, sent: str) -> None:
    with Script.text(RELAY) as script:
        assert script.request(f"INVITE {NEXT}", headers={"Max-Forwards": given}).request.header("Max-Forwards") == sent


@pytest.mark.conformance("PRX-22")
def test_the_first_route_says_where_a_request_goes_not_its_uri() -> None:
    with Script.text(RELAY) as script:
        route = {"Route": "<sip:192.0.2.50:5099;lr>"}
        sent = script.request(f"INVITE {NEXT}", to_tag="b", headers=route).request
        assert (sent.next_hop, sent.uri, sent.header("Route")) == ("192.0.2.50:5099", NEXT, route["Route"])


@pytest.mark.conformance("PRX-48")
def test_the_request_uri_survives_a_chain_of_loose_routers() -> None:
    with Net() as net:
        net.server("ss1", SS1, f'rewritehostport("{SS2}:5060");')
        net.server("ss2", SS2, f'rewritehostport("{SS3}:5060");')
        net.server("ss3", SS3, f'rewritehostport("{BOB}:5060");')
        alice, bob = net.phone("alice", ALICE, SS1), net.phone("bob", BOB, SS3)
        invite, answer, _ = established(net, alice, bob)
        net.taken()
        alice.within(invite, answer, "BYE")
        assert net.taken() == ["BYE alice ss1", "BYE ss1 ss2", "BYE ss2 ss3", "BYE ss3 bob"]
        assert bob.take("BYE").ruri == bob.contact.encode()


@pytest.mark.conformance("PRX-49", "PRX-52")
def test_a_dialog_follows_its_route_set_though_the_callee_is_registered_no_more() -> None:
    text = """
    loadmodule "sl.so" loadmodule "tm.so" loadmodule "rr.so" loadmodule "usrloc.so" loadmodule "registrar.so"
    route {
        if (loose_route()) { t_relay(); exit; }
        if (method == "REGISTER") { save("location"); exit; }
        record_route();
        if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
        t_relay();
    }
    """
    with Script.text(text) as script:
        script.register("bob", "sip:bob@192.0.2.20")
        invite = script.request(f"INVITE sip:bob@{script.domain}")
        answer = script.reply(invite.request, 200).reply
        script.register("bob", "sip:bob@192.0.2.20", expires=0)
        assert script.request(f"INVITE sip:bob@{script.domain}").reply.status == 404
        ack, bye = script.within(invite, answer, "ACK", cseq=0), script.within(invite, answer, "BYE")
        assert [one.request.next_hop for one in (ack, bye)] == ["192.0.2.20:5060"] * 2
        assert script.statistic("tm:UAS_transactions") == 2, "the INVITE and the BYE"


# -- replies ----------


@pytest.mark.conformance("PRX-30", "PRX-34")
def test_of_three_refusals_one_goes_up_and_no_later_one(world: World) -> None:
    copies = start(world, *FORK)
    for copy, status in zip(copies, (486, 404, 603), strict=True):
        assert statuses(world) == []
        world.reply(copy, status)
    assert len(statuses(world)) == 1
    for copy in copies:
        world.reply(copy, 404)
    assert statuses(world) == []


@pytest.mark.conformance("PRX-34")
def test_a_refusal_after_the_time_out_that_ended_the_call_goes_nowhere(world: World) -> None:
    first, second = start(world, FORK[0])
    world.reply(first, 486)
    world.advance(30_100)
    assert statuses(world) == [408]
    world.reply(second, 404)
    assert statuses(world) == []


@pytest.mark.conformance("PRX-31", "PRX-32")
def test_every_provisional_but_100_goes_up_at_once(world: World) -> None:
    first, second, third = start(world, *FORK)
    for copy, status in ((first, 100), (second, 183), (first, 180), (third, 199), (second, 100), (second, 180)):
        world.reply(copy, status)
        assert statuses(world) == [status] * (status != 100)


@pytest.mark.conformance("PRX-41")
def test_the_answer_of_one_of_three_cancels_the_others(world: World) -> None:
    copies = start(world, *FORK)
    for copy in copies:
        world.reply(copy, 180)
    world.take()
    world.reply(copies[0], 200)
    assert [(a, m.method or m.status) for a, m in world.take()] == [
        (CALLER, 200),
        (SECOND_CALLEE, b"CANCEL"),
        (("192.0.2.22", 5060), b"CANCEL"),
    ]


@pytest.mark.conformance("PRX-43")
def test_a_destination_that_the_system_refuses_is_503_and_the_other_goes_on(world: World) -> None:
    world.wire.broken.add(CALLEE)
    msg = world.request()
    msg.branches.append(Branch(FORK[0].encode()))
    assert world.tm.t_relay(msg) == 1
    sent = [m for a, m in world.take() if a == SECOND_CALLEE]
    world.reply(sent[0], 200)
    assert statuses(world) == [200]


@pytest.mark.conformance("PRX-45")
def test_a_cancel_without_invite_goes_on_and_leaves_nothing_behind(world: World) -> None:
    [cancel] = start(world, method="CANCEL")
    world.reply(cancel, 481)
    assert statuses(world) == [481]
    world.advance(5_200)
    assert is_gone(world)


# -- forks (RFC 5393) ----------

LOOP = """
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "maxfwd.so"
{params}
alias="example.com"
route {{
    if (!mf_process_maxfwd_header("{hops}")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    rewriteuri("sip:{first}@example.com");
    append_branch("sip:{second}@example.com");
    if (!t_relay()) sl_reply_error();
}}
"""
BLIND = 'modparam("tm", "loop_detection", 0) modparam("tm", "max_breadth", 0)'


def echoes(script: Script, line: str, most: int, max_forwards: int = 70) -> tuple[int, list[int]]:
    """All that comes of a request whose copies come back: number of datagrams, and the replies to its caller."""
    own = "198.51.100.1:5060"
    waiting = deque(script.request(line, headers={"Max-Forwards": str(max_forwards)}).sent)
    n_sent, answers = 0, []
    while waiting:
        one = waiting.popleft()
        n_sent += 1
        assert n_sent <= most, "the request multiplies"
        if one.next_hop == own:
            waiting += script.receive(one.data, source=own).sent
        elif not one.is_request:
            answers.append(one.status)
    return n_sent, answers


@pytest.mark.conformance("LOOP-01", "LOOP-02")
def test_a_fork_whose_branches_come_back_is_refused_as_a_loop() -> None:
    hosts = {"example.com": "198.51.100.1"}
    with Script.text(LOOP.format(params="", hops=70, first="a", second="a"), hosts=hosts) as script:
        n_sent, answers = echoes(script, "INVITE sip:a@example.com", 50)
        assert answers == [100, 482]
        assert n_sent < 20


@pytest.mark.conformance("LOOP-04")
def test_two_users_who_forward_to_each_other_cannot_be_used_to_multiply_a_request() -> None:
    hosts = {"example.com": "198.51.100.1"}
    with Script.text(LOOP.format(params="", hops=70, first="a", second="b"), hosts=hosts) as script:
        _, answers = echoes(script, "INVITE sip:a@example.com", 100)
        assert answers == [100, 482]
        script.advance(60)
        assert script.statistic("tm:inuse_transactions") == 0


@pytest.mark.conformance("LOOP-05")
def test_without_loop_detection_max_forwards_ends_the_loop() -> None:
    hops = 6
    hosts = {"example.com": "198.51.100.1"}
    with Script.text(LOOP.format(params=BLIND, hops=hops, first="a", second="b"), hosts=hosts) as script:
        n_branches = sum(2**hop for hop in range(1, hops + 1))
        n_sent, answers = echoes(script, "INVITE sip:a@example.com", 6 * n_branches, max_forwards=hops)
        assert answers == [100, 483]
        assert n_sent > n_branches, "all of them were made"


@pytest.mark.conformance("PRX-23", "TRN-28")
def test_ten_thousand_transactions_at_once_have_their_own_branches_and_replies() -> None:
    n_calls = 10_000
    memory = SharedMemory(96, 2)
    try:
        world = World(memory, max_transactions=16_384)
        for number in range(n_calls):
            body = f"X-Token: {number}\r\n"
            assert world.tm.t_relay(world.request(branch=f"z9hG4bK{number}", extra=body), 1) == 1
        sent = {one.top_via().branch: one for _, one in world.take()}
        assert len(sent) == n_calls
        assert all(branch.startswith(b"z9hG4bK") for branch in sent if branch)
        for one in reversed(sent.values()):
            answer = world.reply_to(one, 404, tag=token_of(one))
            assert world.tm.on_reply_in(answer)
        replies = world.take_to(CALLER)
        assert len(replies) == n_calls
        assert all(reply.top_via().branch == b"z9hG4bK" + (reply.to_tag or b"") for reply in replies)
    finally:
        memory.close()


def token_of(request: Message) -> str:
    """What tells a request from all others."""
    return request.value(request.indexes_named(b"X-Token")[0]).decode()


@pytest.mark.conformance("PRX-26", "PRX-28", "PRX-42")
def test_a_phone_that_rings_every_100_s_is_waited_for_and_one_that_falls_silent_is_cancelled(world: World) -> None:
    [invite] = start(world)
    for _ in range(5):
        world.reply(invite, 180)
        world.advance(100_000)
    assert {m.method or m.status for _, m in world.take()} == {180}
    world.advance(85_100)
    assert [(a, m.method or m.status) for a, m in world.take()] == [(CALLEE, b"CANCEL"), (CALLER, 408)]


@pytest.mark.conformance("PRX-39", "PRX-40")
def test_a_reply_walks_back_by_its_vias_and_keeps_the_record_routes_of_others() -> None:
    with Net() as net:
        net.server("ss1", SS1, f'rewritehostport("{SS2}:5060");')
        net.server("ss2", SS2, f'rewritehostport("{BOB}:5060");')
        alice, bob = net.phone("alice", ALICE, SS1), net.phone("bob", BOB, SS2)
        invite = alice.request("INVITE", TO, SDP, Record_Route="<sip:foreign.example;lr;x=1>")
        incoming = bob.take("INVITE")
        bob.reply(incoming, 200, SDP)
        assert net.taken()[-3:] == ["200 bob ss2", "200 ss2 ss1", "200 ss1 alice"]
        answer = alice.got(200)
        assert [value.uri for value in answer.record_routes] == [value.uri for value in incoming.record_routes]
        assert answer.record_routes[-1].uri == b"sip:foreign.example;lr;x=1"
        assert [via.branch for via in answer.vias()] == [invite.top_via().branch]
