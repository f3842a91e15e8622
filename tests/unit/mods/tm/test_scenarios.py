"""What can happen to calls over time: hunting, redirects, early media, CANCEL in every state, late, repeated and lost
messages, long calls.  Whole servers with real scripts, in virtual time."""

import time

import pytest

from openserd.parser import names
from tests.unit.mods.tm.flow_kit import Net, Phone
from tests.unit.mods.tm.test_rfc3665 import ALICE, BOB, NOT_INVITE_WAIT, SDP, SS1, TO, established, flow, two_proxies

FIRST, SECOND, THIRD = "192.0.2.201", "192.0.2.202", "192.0.2.203"

HUNT = f"""
failure_route[1] {{
    if (t_was_cancelled()) exit;
    append_branch("sip:second@{SECOND}");
    t_on_failure("2");
    t_relay();
}}
failure_route[2] {{
    if (t_was_cancelled()) exit;
    append_branch("sip:third@{THIRD}");
    t_relay();
}}
"""
TIMERS = 'modparam("tm", "fr_timer", 5) modparam("tm", "fr_inv_timer", 20)'


def hunting(net: Net, blocks: str = HUNT) -> tuple[Phone, Phone, Phone, Phone]:
    """alice, and three phones that are tried one after the other."""
    net.server("ss1", SS1, f't_on_failure("1"); rewritehostport("{FIRST}:5060");', blocks=blocks, params=TIMERS)
    alice = net.phone("alice", ALICE, SS1)
    first, second, third = (
        net.phone(name, ip, SS1) for name, ip in (("one", FIRST), ("two", SECOND), ("three", THIRD))
    )
    return alice, first, second, third


# -- hunting ----------


def test_three_destinations_are_tried_one_silent_one_ringing_on_and_the_third_answers() -> None:
    with Net() as net:
        alice, _, second, third = hunting(net)
        invite = alice.request("INVITE", TO, SDP)
        net.advance(5.1)
        second.reply(second.take("INVITE"), 180)
        net.advance(20.1)
        cancel = second.take("CANCEL")
        second.reply(cancel, 200)
        last = third.take("INVITE")
        assert last.ruri == f"sip:third@{THIRD}".encode()
        assert len(last.record_routes) == 1
        third.reply(last, 200, SDP)
        alice.ack(invite, alice.got(200))
        assert third.take("ACK").cseq.number == 1
        assert [line for line in net.taken() if line.endswith("alice")] == [
            "100 ss1 alice",
            "180 ss1 alice",
            "200 ss1 alice",
        ]
        net.advance(40)
        assert net.rest() == [0]


def test_three_destinations_that_fail_end_with_the_reply_of_the_last() -> None:
    with Net() as net:
        alice, first, second, third = hunting(net)
        invite = alice.request("INVITE", TO, SDP)
        for phone, status in ((first, 486), (second, 404), (third, 480)):
            phone.reply(phone.take("INVITE"), status)
            phone.take("ACK")
        alice.ack(invite, alice.got(480))
        net.advance(NOT_INVITE_WAIT)
        assert net.rest() == [0]


def test_a_late_answer_of_an_earlier_destination_still_wins_the_call() -> None:
    with Net() as net:
        alice, first, second, _ = hunting(net)
        invite = alice.request("INVITE", TO, SDP)
        net.advance(5.1)
        incoming = second.take("INVITE")
        second.reply(incoming, 180)
        first.reply(first.take("INVITE"), 200, SDP)
        assert alice.statuses().count(200) == 1
        alice.ack(invite, alice.got(200))
        second.reply(second.take("CANCEL"), 200)
        second.reply(incoming, 487)
        second.take("ACK")
        assert 487 not in alice.statuses()
        net.advance(40)
        assert net.rest() == [0]


def test_a_redirect_is_followed_by_the_failure_route() -> None:
    follow = f"""
    failure_route[1] {{
        if (t_check_status("302")) {{
            append_branch("sip:moved@{SECOND}");
            t_relay();
        }}
    }}
    """
    with Net() as net:
        alice, first, second, _ = hunting(net, follow)
        alice.request("INVITE", TO, SDP)
        first.reply(first.take("INVITE"), 302, Contact=f"<sip:moved@{SECOND}>")
        second.reply(second.take("INVITE"), 200, SDP)
        assert alice.statuses() == [100, 200]


def test_early_media_then_busy_then_the_next() -> None:
    with Net() as net:
        alice, first, second, _ = hunting(net)
        alice.request("INVITE", TO, SDP)
        incoming = first.take("INVITE")
        first.reply(incoming, 183, SDP)
        net.advance(10)
        first.reply(incoming, 486)
        second.reply(second.take("INVITE"), 180)
        assert alice.statuses() == [100, 183, 180]


def test_a_hunt_survives_the_loss_and_the_repetition_of_its_messages() -> None:
    with Net() as net:
        alice, first, second, _ = hunting(net)
        seen: dict[str, int] = {}

        def every_second_is_lost(line: str) -> bool:
            seen[line] = seen.get(line, 0) + 1
            return seen[line] % 2 == 1 and not line.startswith(("100", "ACK alice"))

        invite = alice.request("INVITE", TO, SDP)
        net.loses = every_second_is_lost
        busy = first.take("INVITE")
        for _ in range(3):
            first.reply(busy, 486)
            net.advance(0.5)
        incoming = second.take("INVITE")
        for _ in range(4):
            second.reply(incoming, 200, SDP)
            net.advance(0.5)
        answer = alice.got(200)
        net.loses = lambda line: False
        alice.ack(invite, answer)
        assert second.take("ACK").to_tag == answer.to_tag
        assert [m for m, _ in second.inbox if m.is_request and m.method == b"INVITE"] == []
        net.advance(40)
        assert net.rest() == [0]


# -- CANCEL in every state ----------


def cancelled(state: str) -> list[str]:
    """What happens from a CANCEL on, when the call is in that state."""
    with Net() as net:
        alice, bob = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        incoming = bob.take("INVITE")
        statuses = {"calling": [], "trying": [100], "ringing": [180], "refused": [486], "answered": [200]}[state]
        for status in statuses:
            bob.reply(incoming, status, SDP if status == 200 else "")
        net.taken()
        alice.cancel(invite)
        if state in ("trying", "ringing"):
            bob.reply(bob.take("CANCEL"), 200)
            bob.reply(incoming, 487)
        result = net.taken()
        for status in (486, 487):
            if status in alice.statuses():
                alice.ack(invite, alice.got(status))
        net.advance(70)
        assert net.rest() == [0, 0]
        return result


@pytest.mark.parametrize("state", ["trying", "ringing"])
def test_a_cancel_while_bob_thinks_or_rings_goes_all_the_way(state: str) -> None:
    lines = cancelled(state)
    assert [line for line in lines if line.startswith("CANCEL")] == flow("""
        CANCEL alice ss1
        CANCEL ss1 ss2
        CANCEL ss2 bob
    """)
    assert lines[-5:] == flow("""
        487 bob ss2
        ACK ss2 bob
        487 ss2 ss1
        ACK ss1 ss2
        487 ss1 alice
    """)


def test_a_cancel_before_any_answer_of_bob_is_answered_without_him() -> None:
    lines = cancelled("calling")
    assert "CANCEL ss2 bob" not in lines
    assert "487 ss1 alice" in lines


@pytest.mark.parametrize("state", ["refused", "answered"])
def test_a_cancel_after_the_final_reply_changes_nothing(state: str) -> None:
    assert cancelled(state) == ["CANCEL alice ss1", "200 ss1 alice"]


def test_a_bob_who_was_cancelled_before_he_said_anything_is_cancelled_when_he_rings() -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        incoming = bob.take("INVITE")
        alice.cancel(invite)
        bob.reply(incoming, 180)
        assert bob.take("CANCEL").top_via().branch == incoming.top_via().branch
        assert 180 not in alice.statuses()


def test_a_cancel_that_is_repeated_is_answered_again_and_sent_once() -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        bob.reply(bob.take("INVITE"), 180)
        net.taken()
        for _ in range(3):
            alice.cancel(invite)
        lines = net.taken()
        assert lines.count("200 ss1 alice") == 3
        assert lines.count("CANCEL ss1 ss2") == 1


def test_a_hunt_ends_with_a_cancel() -> None:
    with Net() as net:
        alice, first, second, third = hunting(net)
        invite = alice.request("INVITE", TO, SDP)
        first.reply(first.take("INVITE"), 486)
        incoming = second.take("INVITE")
        second.reply(incoming, 180)
        alice.cancel(invite)
        second.reply(second.take("CANCEL"), 200)
        second.reply(incoming, 487)
        assert alice.statuses()[-1] == 487
        assert third.inbox == []


# -- late, repeated and lost messages ----------


def test_a_200_that_is_lost_comes_again_and_its_ack_goes_on_each_time() -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        incoming = bob.take("INVITE")
        net.loses = lambda line: line == "200 ss1 alice"
        bob.reply(incoming, 200, SDP)
        net.loses = lambda line: False
        for _ in range(2):
            bob.reply(incoming, 200, SDP)
            alice.ack(invite, alice.got(200))
        assert net.taken().count("ACK ss2 bob") == 2


def test_an_ack_to_a_refusal_that_is_lost_is_asked_for_again() -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        bob.reply(bob.take("INVITE"), 486)
        net.loses = lambda line: line == "ACK alice ss1"
        alice.ack(invite, alice.got(486))
        net.loses = lambda line: False
        net.advance(0.6)
        alice.ack(invite, alice.got(486))
        net.advance(10)
        assert alice.statuses() == [100]


def test_everything_that_comes_twice_is_taken_once() -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        net.repeats = lambda line: True
        invite = alice.request("INVITE", TO, SDP)
        incoming = bob.take("INVITE")
        bob.reply(incoming, 180)
        bob.reply(incoming, 486)
        alice.ack(invite, alice.got(486))
        assert [
            m
            for m, _ in bob.inbox
            if m.is_request and m.method == b"INVITE" and m.top_via().branch != incoming.top_via().branch
        ] == []
        net.advance(NOT_INVITE_WAIT)
        assert net.rest() == [0, 0]


@pytest.mark.parametrize("status", [180, 200, 486])
def test_a_reply_that_comes_when_the_transaction_has_gone_goes_nowhere(status: int) -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        incoming = bob.take("INVITE")
        bob.reply(incoming, 486)
        alice.ack(invite, alice.got(486))
        net.advance(60)
        net.taken()
        bob.reply(incoming, status)
        assert net.taken() == [f"{status} bob ss2"]


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "INFO", "REFER", "PUBLISH"])
def test_other_requests_go_through_both_proxies(method: str) -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        alice.request(method, TO)
        bob.reply(bob.take(method), 200)
        assert net.taken() == flow(f"""
            {method} alice ss1
            {method} ss1 ss2
            {method} ss2 bob
            200 bob ss2
            200 ss2 ss1
            200 ss1 alice
        """)
        net.advance(NOT_INVITE_WAIT)
        assert net.rest() == [0, 0]


@pytest.mark.parametrize("method", ["PRACK", "UPDATE"])
def test_requests_within_an_early_dialog_find_their_way(method: str) -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        bob.reply(bob.take("INVITE"), 183, SDP)
        alice.within(invite, alice.got(183), method)
        bob.reply(bob.take(method), 200)
        assert alice.statuses() == [100, 200]


# -- long calls ----------


def test_two_hours_of_a_call_pass_in_moments() -> None:
    began = time.perf_counter()
    with Net() as net:
        alice, bob = two_proxies(net)
        invite, answer, _ = established(net, alice, bob)
        net.advance(60)
        assert net.rest() == [0, 0], "a call in progress has no transaction"
        for server in net.servers.values():
            server.advance(7_200)
        alice.within(invite, answer, "BYE")
        bob.reply(bob.take("BYE"), 200)
        assert alice.got(200).find(names.CSEQ) >= 0
        net.advance(NOT_INVITE_WAIT)
        assert net.rest() == [0, 0]
    assert time.perf_counter() - began < 10


def test_a_phone_that_rings_for_two_hours_is_left_alone_while_it_says_so() -> None:
    with Net() as net:
        net.server("ss1", SS1, f'rewritehostport("{BOB}:5060");')
        alice, bob = net.phone("alice", ALICE, SS1), net.phone("bob", BOB, SS1)
        alice.request("INVITE", TO, SDP)
        incoming = bob.take("INVITE")
        for _ in range(72):
            bob.reply(incoming, 180)
            net.servers[SS1].advance(100)
        bob.reply(incoming, 200, SDP)
        assert alice.statuses()[-1] == 200
        assert set(alice.statuses()) == {100, 180, 200}
