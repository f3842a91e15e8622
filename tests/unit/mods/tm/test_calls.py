"""Calls through the transaction layer, in virtual time: what goes out for what comes in."""

import pytest

from openserd.core.destinations import Branch, append_branch
from openserd.core.message import SipMsg
from openserd.mods.tm.memory.store import Transaction
from openserd.parser import names
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory
from tests.unit.mods.tm.conftest import CALLEE, CALLER, SECOND_CALLEE, World


def start(world: World, *more: str, method: str = "INVITE") -> list[Message]:
    """Relays a call to bob (and to further URIs); the requests as sent, the caller's 100 checked and taken away."""
    msg = world.request(method)
    msg.branches += [Branch(uri.encode()) for uri in more]
    assert world.tm.t_relay(msg) == 1
    sent = world.take()
    if method == "INVITE":
        address, trying = sent.pop(0)
        assert (address, trying.status, trying.reason) == (CALLER, 100, b"Giving a try")
    return [message for _, message in sent]


def statuses(world: World) -> list[int]:
    """Status codes that have gone to the caller."""
    return [message.status for message in world.take_to(CALLER)]


def is_gone(world: World) -> bool:
    """Whether nothing is left of any transaction, in table and memory."""
    return not world.transactions() and not world.blobs()


def test_a_call_is_relayed_and_its_record_goes_after_the_time_in_which_the_200_may_come_again(world: World) -> None:
    [invite] = start(world)
    assert invite.ruri == b"sip:bob@192.0.2.20"
    assert [via.host for via in invite.vias()] == [b"192.0.2.1", b"192.0.2.10"]
    assert world.reply(invite, 180)
    assert world.reply(invite, 200)
    replies = world.take_to(CALLER)
    assert [reply.status for reply in replies] == [180, 200]
    assert all(len(reply.vias()) == 1 for reply in replies)
    world.advance(31_900)
    assert world.transactions()
    world.advance(200)
    assert is_gone(world)


def test_accepted_timer_0_keeps_an_answered_call_for_the_wait_timer(memory: SharedMemory) -> None:
    world = World(memory, accepted_timer=0)
    [invite] = start(world)
    world.reply(invite, 200)
    world.advance(4_900)
    assert world.transactions()
    world.advance(200)
    assert is_gone(world)


@pytest.mark.conformance("ACC-01", "ACC-02")
def test_a_2xx_is_passed_on_and_the_invite_absorbed_for_as_long_as_either_may_come_again(world: World) -> None:
    [invite] = start(world)
    for wait in (0, 500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000):
        world.advance(wait)
        world.reply(invite, 200)
        assert world.tm.t_relay(world.request()) == 0
        assert [(a, m.status) for a, m in world.take() if m.status != 100] == [(CALLER, 200)]


@pytest.mark.conformance("PRX-24", "TRN-04")
def test_the_request_is_repeated_until_a_provisional_reply_then_no_more(world: World) -> None:
    [invite] = start(world)
    world.advance(3_600)  # 500, 1500, 3500
    again = world.take()
    assert [address for address, _ in again] == [CALLEE] * 3
    assert all(message.buf == invite.buf for _, message in again)
    world.reply(invite, 180)
    world.take()
    world.advance(10_000)
    assert world.take() == []


@pytest.mark.conformance("TRN-03", "PRX-42")
def test_no_reply_at_all_is_408_after_fr_timer(world: World) -> None:
    start(world)
    world.advance(29_900)
    assert statuses(world) == []
    world.advance(200)
    assert statuses(world) == [408]


@pytest.mark.conformance("PRX-26", "PRX-42")
def test_no_final_reply_is_408_after_fr_inv_timer_and_the_callee_is_cancelled(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 180)
    world.take()
    world.advance(185_100)
    sent = world.take()
    assert [(address, m.method or m.status) for address, m in sent] == [(CALLEE, b"CANCEL"), (CALLER, 408)]


def test_noisy_ctimer_0_drops_a_call_that_rings_too_long_without_a_word(memory: SharedMemory) -> None:
    world = World(memory, noisy_ctimer=0)
    [invite] = start(world)
    world.reply(invite, 180)
    world.take()
    world.advance(185_100)
    assert world.take() == []
    assert is_gone(world)


@pytest.mark.conformance("TRN-22")
def test_a_repeated_cancel_gets_the_same_answer_and_sends_nothing_on(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 180)
    world.take()
    world.tm.t_relay(world.request("CANCEL"))
    first = world.take()
    world.tm.t_relay(world.request("CANCEL"))
    assert [m.buf for _, m in world.take()] == [m.buf for a, m in first if a == CALLER]


@pytest.mark.conformance("PRX-28")
def test_each_provisional_reply_starts_fr_inv_timer_anew(world: World) -> None:
    [invite] = start(world)
    for _ in range(3):
        world.reply(invite, 180)
        world.advance(184_000)
    assert 408 not in statuses(world)
    world.advance(2_000)
    assert 408 in statuses(world)


@pytest.mark.conformance("PRX-28")
def test_a_100_does_not_start_fr_inv_timer_anew(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 100)
    world.advance(184_000)
    world.reply(invite, 100)
    assert statuses(world) == []
    world.advance(2_000)
    assert statuses(world)[0] == 408


@pytest.mark.conformance("PRX-26")
def test_timer_c_runs_for_more_than_three_minutes_unless_set_otherwise(memory: SharedMemory) -> None:
    world = World(memory)
    assert world.tm.fr_inv_timer > 180
    world.tm.proxy.driver.timing.fr_inv = 120_000
    world.reply(start(world)[0], 180)
    world.advance(120_100)
    assert statuses(world) == [180, 408]


def test_the_cancel_of_a_call_that_rang_too_long_is_repeated_for_fr_timer_only(world: World) -> None:
    def route(msg: SipMsg) -> int:
        append_branch(msg, b"sip:bob@192.0.2.21")
        return world.tm.t_relay(msg)

    world.block("failure", route)
    msg = world.request()
    world.tm.t_on_failure(msg, b"1")
    world.tm.t_relay(msg)
    world.reply(world.take_to(CALLEE)[0], 180)
    world.advance(185_100)
    second = world.take_to(SECOND_CALLEE)[0]
    world.reply(second, 180)
    world.advance(29_000)
    assert [m.method for m in world.take_to(CALLEE)] == [b"CANCEL"] * 9
    world.advance(60_000)
    assert world.take_to(CALLEE) == []
    world.reply(second, 200)
    world.advance(32_200)
    assert is_gone(world)


@pytest.mark.parametrize("status", [487, 200])
def test_an_answer_after_timer_c_is_acknowledged_or_goes_on(world: World, status: int) -> None:
    [invite] = start(world)
    world.reply(invite, 180)
    world.advance(185_100)
    world.take()
    world.reply(invite, status)
    assert [m.method or m.status for _, m in world.take()] == [b"ACK" if status == 487 else 200]


@pytest.mark.conformance("TRN-05")
def test_busy_goes_to_the_caller_and_is_acknowledged_to_the_callee(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 486)
    sent = world.take()
    assert [(address, m.method or m.status) for address, m in sent] == [(CALLEE, b"ACK"), (CALLER, 486)]
    ack = sent[0][1]
    assert ack.ruri == invite.ruri
    assert ack.top_via().branch == invite.top_via().branch
    assert len(ack.vias()) == 1
    assert (ack.to_tag, ack.cseq.number, ack.cseq.method) == (b"b", 1, b"ACK")


def test_the_callers_ack_ends_the_repetition_of_a_negative_reply(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 486)
    world.take()
    world.advance(1_600)
    assert statuses(world) == [486, 486]
    assert world.tm.t_relay(world.request("ACK", to_tag="b")) == 1
    assert world.take() == []
    world.advance(4_000)
    assert statuses(world) == []
    world.advance(1_200)
    assert is_gone(world)


def test_a_negative_reply_without_ack_is_given_up_after_fr_timer(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 486)
    world.take()
    world.advance(30_000)
    assert statuses(world) == [486] * 9  # 0.5, 1.5, 3.5, then each 4 s
    world.advance(5_200)
    assert is_gone(world)


@pytest.mark.conformance("TRN-07")
def test_a_repeated_negative_reply_is_acknowledged_again_and_not_relayed(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 486)
    first_ack = world.take()[0][1]
    world.reply(invite, 486)
    sent = world.take()
    assert [(address, m.buf) for address, m in sent] == [(CALLEE, first_ack.buf)]


@pytest.mark.conformance("ACC-02")
def test_a_repeated_2xx_is_relayed_again(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 200)
    world.reply(invite, 200)
    assert statuses(world) == [200, 200]


@pytest.mark.conformance("TRN-15")
def test_a_repeated_invite_gets_the_last_reply_and_is_not_sent_on(world: World) -> None:
    [invite] = start(world)
    assert world.tm.t_relay(world.request()) == 0
    assert [(a, m.status) for a, m in world.take()] == [(CALLER, 100)]
    world.reply(invite, 180)
    world.take()
    assert world.tm.t_relay(world.request()) == 0
    assert [(a, m.status) for a, m in world.take()] == [(CALLER, 180)]
    assert len(world.transactions()) == 1


def test_a_repeated_invite_after_2xx_is_swallowed(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 200)
    world.take()
    assert world.tm.t_relay(world.request()) == 0
    assert world.take() == []


@pytest.mark.conformance("NIT-02")
def test_requests_other_than_invite_get_no_100_and_repeat_at_t2_after_a_provisional(world: World) -> None:
    [bye] = start(world, method="BYE")
    world.reply(bye, 100)
    world.take()
    world.advance(8_100)
    assert [m.method for m in world.take_to(CALLEE)] == [b"BYE", b"BYE"]
    world.reply(bye, 200)
    assert statuses(world) == [200]
    world.advance(10_000)
    assert is_gone(world)


@pytest.mark.conformance("TRN-19")
def test_a_repeated_request_other_than_invite_gets_its_final_reply_again(world: World) -> None:
    [bye] = start(world, method="BYE")
    world.reply(bye, 200)
    first = world.take_to(CALLER)[0]
    assert world.tm.t_relay(world.request("BYE")) == 0
    assert [m.buf for m in world.take_to(CALLER)] == [first.buf]


@pytest.mark.conformance("TRN-25")
def test_cancel_before_any_reply_answers_487_here_and_cancels_when_the_callee_rings(world: World) -> None:
    [invite] = start(world)
    assert world.tm.t_relay(world.request("CANCEL")) == 1
    sent = world.take()
    assert [(a, m.status, m.cseq.method) for a, m in sent] == [(CALLER, 487, b"INVITE"), (CALLER, 200, b"CANCEL")]
    assert sent[1][1].reason == b"canceling"
    assert sent[0][1].to_tag == sent[1][1].to_tag
    world.reply(invite, 180)
    assert [m.method for m in world.take_to(CALLEE)] == [b"CANCEL"]


@pytest.mark.conformance("TRN-24")
def test_cancel_after_ringing_goes_to_the_callee_whose_487_goes_to_the_caller(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 180)
    world.take()
    cancel_reason = 'Reason: SIP;cause=200;text="elsewhere"\r\n'
    assert world.tm.t_relay(world.request("CANCEL", extra=cancel_reason)) == 1
    sent = dict(world.take())
    cancel = sent[CALLEE]
    assert (cancel.method, cancel.ruri, cancel.top_via().branch) == (b"CANCEL", invite.ruri, invite.top_via().branch)
    assert (cancel.cseq.number, cancel.to_tag, cancel.header(names.REASON)) == (
        1,
        None,
        b'SIP;cause=200;text="elsewhere"',
    )
    assert (sent[CALLER].status, sent[CALLER].cseq.method) == (200, b"CANCEL")
    assert world.reply(cancel, 200)
    assert world.take() == []
    world.reply(invite, 487)
    assert [(a, m.method or m.status) for a, m in world.take()] == [(CALLEE, b"ACK"), (CALLER, 487)]


def test_cancel_is_repeated_until_it_is_answered(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 180)
    world.tm.t_relay(world.request("CANCEL"))
    cancel = world.take_to(CALLEE)[0]
    world.advance(3_600)
    assert [m.buf for m in world.take_to(CALLEE)] == [cancel.buf] * 3
    world.reply(cancel, 200)
    world.advance(3_600)
    assert world.take_to(CALLEE) == []


def test_a_callee_that_never_answers_a_cancel_ends_the_call_with_487(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 180)
    world.tm.t_relay(world.request("CANCEL"))
    world.take()
    world.advance(30_100)
    assert 487 in statuses(world)


@pytest.mark.conformance("TRN-26")
def test_cancel_that_crosses_the_200_changes_nothing(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 180)
    world.reply(invite, 200)
    world.take()
    assert world.tm.t_relay(world.request("CANCEL")) == 1
    sent = world.take()
    assert [(a, m.status, m.reason) for a, m in sent] == [(CALLER, 200, b"ok -- no more pending branches")]


def test_a_200_that_crosses_the_cancel_still_reaches_the_caller(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 180)
    world.tm.t_relay(world.request("CANCEL"))
    world.take()
    world.reply(invite, 200)
    assert statuses(world) == [200]


def test_a_cancel_without_invite_is_relayed_like_any_request(world: World) -> None:
    [cancel] = start(world, method="CANCEL")
    assert cancel.method == b"CANCEL"


def test_the_first_to_answer_has_the_call_and_the_others_are_cancelled(world: World) -> None:
    first, second = start(world, "sip:bob@192.0.2.21")
    assert first.top_via().branch != second.top_via().branch
    world.reply(first, 180)
    world.reply(second, 180)
    world.take()
    world.reply(second, 200)
    sent = world.take()
    assert [(a, m.method or m.status) for a, m in sent] == [(CALLER, 200), (CALLEE, b"CANCEL")]
    world.reply(first, 487)
    assert [(a, m.method) for a, m in world.take()] == [(CALLEE, b"ACK")]
    world.advance(32_200)
    assert is_gone(world)


@pytest.mark.conformance("PRX-33", "ACC-03")
def test_both_answers_reach_the_caller_when_two_pick_up_at_once(world: World) -> None:
    first, second = start(world, "sip:bob@192.0.2.21")
    world.reply(first, 200, "one")
    world.reply(second, 200, "two")
    assert [m.to_tag for m in world.take_to(CALLER)] == [b"one", b"two"]


def test_a_branch_without_reply_is_cancelled_once_it_rings_after_another_has_answered(world: World) -> None:
    first, second = start(world, "sip:bob@192.0.2.21")
    world.reply(second, 200)
    world.take()
    world.reply(first, 180)
    assert [(a, m.method) for a, m in world.take()] == [(CALLEE, b"CANCEL")]


@pytest.mark.conformance("PRX-36")
@pytest.mark.parametrize(("one", "two", "chosen"), [(486, 404, 404), (408, 500, 408), (302, 404, 302)])
def test_the_lowest_negative_reply_goes_on_when_all_have_answered(
    world: World, one: int, two: int, chosen: int
) -> None:
    first, second = start(world, "sip:bob@192.0.2.21")
    world.reply(first, one)
    assert statuses(world) == []
    world.reply(second, two)
    assert statuses(world) == [chosen]


def test_487_goes_on_before_all_others_when_the_caller_has_cancelled(world: World) -> None:
    first, second = start(world, "sip:bob@192.0.2.21")
    world.reply(first, 180)
    world.reply(second, 404)
    world.tm.t_relay(world.request("CANCEL"))
    world.take()
    world.reply(first, 487)
    assert statuses(world) == [487]


def test_a_branch_that_times_out_counts_as_408(world: World) -> None:
    first, _ = start(world, "sip:bob@192.0.2.21")
    world.reply(first, 486)
    world.advance(30_100)
    assert statuses(world) == [408]


@pytest.mark.conformance("PRX-43")
@pytest.mark.parametrize(("other", "chosen"), [(486, 486), (504, 504), (503, 500)])
def test_a_destination_that_the_system_refuses_counts_as_503(world: World, other: int, chosen: int) -> None:
    world.wire.broken.add(SECOND_CALLEE)
    msg = world.request()
    msg.branches.append(Branch(b"sip:bob@192.0.2.21"))
    assert world.tm.t_relay(msg) == 1
    invite = world.take()[1][1]
    world.reply(invite, other)
    assert statuses(world) == [chosen]


def test_a_call_none_of_whose_destinations_can_be_sent_to_is_answered_477(world: World) -> None:
    world.wire.broken |= {CALLEE, SECOND_CALLEE}
    msg = world.request()
    msg.branches.append(Branch(b"sip:bob@192.0.2.21"))
    world.tm.t_relay(msg)
    assert statuses(world) == [100, 477]


def test_a_next_hop_that_cannot_be_found_is_answered(world: World) -> None:
    assert world.tm.t_relay(world.request(uri="sip:bob@[::1]")) == 0
    [reply] = world.take_to(CALLER)
    assert (reply.status, reply.reason) == (477, b"Send failed (477/TM)")


def test_flag_2_leaves_the_answer_to_the_script(world: World) -> None:
    msg = world.request(uri="sip:bob@[::1]")
    assert world.tm.t_relay(msg, 2) < 0
    assert world.take() == []
    assert msg.error is not None
    assert msg.error.code == 477


def test_flag_1_sends_no_100(world: World) -> None:
    assert world.tm.t_relay(world.request(), 1) == 1
    assert [m.method for _, m in world.take()] == [b"INVITE"]


def test_a_destination_in_the_script_overrules_the_uri(world: World) -> None:
    destination = world.tm.fix_relay("udp:192.0.2.99:5090")
    assert world.tm.t_relay(world.request(), destination) == 1
    assert world.take()[1][0] == ("192.0.2.99", 5090)


def test_a_destination_and_flags_can_be_given_together(world: World) -> None:
    destination = world.tm.fix_relay("udp:192.0.2.99:5090")
    assert world.tm.t_relay(world.request(), destination, 1) == 1
    assert [(a, m.method) for a, m in world.take()] == [(("192.0.2.99", 5090), b"INVITE")]


def test_t_newtran_and_t_reply_answer_with_a_tag_that_stays(world: World) -> None:
    msg = world.request()
    assert world.tm.t_newtran(msg) == 1
    assert world.tm.t_reply(msg, 180, b"Ringing") == 1
    assert world.tm.t_reply(msg, 404, b"Not Found") == 1
    ringing, missing = world.take_to(CALLER)
    assert (ringing.status, missing.status) == (180, 404)
    assert ringing.to_tag == missing.to_tag != None  # noqa: E711
    assert world.tm.t_reply(msg, 500, b"Too late") == -1
    assert world.tm.t_newtran(world.request()) == 0
    assert statuses(world) == [404]


def test_t_reply_makes_the_transaction_it_needs(world: World) -> None:
    assert world.tm.t_reply(world.request("OPTIONS"), 200, b"OK") == 1
    assert world.tm.t_reply(world.request("OPTIONS"), 200, b"OK") == 0
    assert statuses(world) == [200, 200]
    assert len(world.transactions()) == 1


def test_t_relay_after_t_newtran_uses_its_transaction(world: World) -> None:
    msg = world.request()
    assert world.tm.t_newtran(msg) == 1
    assert world.tm.t_relay(msg) == 1
    assert [m.method or m.status for _, m in world.take()] == [100, b"INVITE"]
    assert len(world.transactions()) == 1


def test_t_newtran_that_is_never_answered_leaves_nothing(world: World) -> None:
    world.tm.t_newtran(world.request("OPTIONS"))
    world.advance(30_200)
    assert is_gone(world)


def test_t_release_lets_a_transaction_go_after_the_wait_timer(world: World) -> None:
    msg = world.request("OPTIONS")
    assert world.tm.t_release(msg) == -1
    world.tm.t_newtran(msg)
    assert world.tm.t_release(msg) == 1
    world.advance(5_200)
    assert is_gone(world)


def test_t_retransmit_reply_sends_the_last_reply_again(world: World) -> None:
    msg = world.request("OPTIONS")
    assert world.tm.t_retransmit_reply(msg) == -1
    world.tm.t_newtran(msg)
    assert world.tm.t_retransmit_reply(msg) == -1
    world.tm.t_reply(msg, 183, b"Session Progress")
    assert world.tm.t_retransmit_reply(msg) == 1
    assert statuses(world) == [183, 183]


def test_t_check_trans_knows_what_belongs_together(world: World) -> None:
    assert world.tm.t_check_trans(world.request()) == -1
    [invite] = start(world)
    assert world.tm.t_check_trans(world.request("CANCEL")) == 1
    assert world.tm.t_check_trans(world.request("CANCEL", branch="z9hG4bKother")) == -1
    assert world.tm.t_check_trans(world.request()) == 0
    assert statuses(world) == [100]
    world.reply(invite, 404)
    assert world.tm.t_check_trans(world.request("ACK", to_tag="b")) == 1


@pytest.mark.conformance("PRX-49")
def test_an_ack_for_a_2xx_is_passed_on_without_state(world: World) -> None:
    assert world.tm.t_relay(world.request("ACK", branch="z9hG4bKack", to_tag="b")) == 1
    assert [(a, m.method) for a, m in world.take()] == [(CALLEE, b"ACK")]
    assert not world.transactions()


def test_an_ack_for_a_2xx_that_repeats_the_branch_of_its_invite_is_passed_on(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 200)
    world.take()
    assert world.tm.t_check_trans(world.request("ACK", to_tag="b")) == -1
    assert world.tm.t_relay(world.request("ACK", to_tag="b")) == 1
    assert [(a, m.method) for a, m in world.take()] == [(CALLEE, b"ACK")]


@pytest.mark.conformance("TRN-23")
def test_requests_older_than_rfc_3261_find_their_transaction_by_their_fields(world: World) -> None:
    assert world.tm.t_relay(world.request(branch="1")) == 1
    world.take()
    assert world.tm.t_relay(world.request(branch="1")) == 0
    assert statuses(world) == [100]
    assert world.tm.t_relay(world.request("CANCEL", branch="1")) == 1


def test_two_requests_whose_branch_is_only_the_cookie_are_not_taken_for_one(world: World) -> None:
    assert world.tm.t_relay(world.request("OPTIONS", branch="z9hG4bK", cseq=1)) == 1
    assert world.tm.t_relay(world.request("OPTIONS", branch="z9hG4bK", cseq=2)) == 1
    assert len(world.transactions()) == 2


def test_a_reply_to_a_branch_that_is_not_ours_is_left_to_others(world: World) -> None:
    [invite] = start(world)
    stray = world.reply_to(invite, 200)
    stray.top_via().branch = b"z9hG4bKsomebody"
    assert not world.tm.on_reply_in(stray)


@pytest.mark.conformance("TRN-12")
@pytest.mark.parametrize(("request_method", "reply_method"), [("INVITE", b"BYE"), ("BYE", b"INVITE")])
def test_a_reply_to_another_method_is_no_reply_to_this_request(
    world: World, request_method: str, reply_method: bytes
) -> None:
    [sent] = start(world, method=request_method)
    stray = world.reply_to(sent, 200).buf.replace(b"CSeq: 1 " + sent.method, b"CSeq: 1 " + reply_method)
    assert world.tm.on_reply_in(SipMsg(stray, CALLEE, world.wire))
    assert statuses(world) == []
    world.reply(sent, 200)
    assert statuses(world) == [200]


@pytest.mark.conformance("PRX-27", "ACC-04")
@pytest.mark.parametrize("branch", [b"z9hG4bK1.00000000.0", None])
@pytest.mark.parametrize("forwarded", [0, 1])
def test_a_reply_to_a_branch_that_does_not_exist_goes_no_further(
    memory: SharedMemory, branch: bytes | None, forwarded: int
) -> None:
    world = World(memory, forward_stray_replies=forwarded)
    [invite] = start(world)
    stray = world.reply_to(invite, 200)
    assert stray.top_via().branch is not None
    stray.top_via().branch = branch or stray.top_via().branch[:-1] + b"7"
    assert world.tm.on_reply_in(stray) is not bool(forwarded)
    assert world.take() == []


def fill(world: World) -> int:
    """Relays calls until there is no room for another; what the one without room was told."""
    for number in range(600):
        result = world.tm.t_relay(world.request(branch=f"z9hG4bK{number}"))
        if result != 1:
            return result
    raise AssertionError("the table is never full")


@pytest.mark.conformance("HRD-05")
def test_a_full_table_refuses_new_calls_and_keeps_the_running_ones(memory: SharedMemory) -> None:
    world = World(memory)
    [first] = start(world)
    assert fill(world) == 0
    world.take()
    assert world.tm.t_newtran(world.request("OPTIONS", branch="z9hG4bKlast")) == 0
    [refusal] = world.take_to(CALLER)
    assert (refusal.status, refusal.value(refusal.indexes_named(b"Retry-After")[0])) == (503, b"10")
    assert refusal.to_tag is not None
    assert world.count("refused_requests") == 2
    assert world.reply(first, 200)
    assert statuses(world) == [200]


@pytest.mark.parametrize("reserve", [10, 30])
def test_new_calls_leave_memory_for_those_there_are(memory: SharedMemory, reserve: int) -> None:
    world = World(memory, memory_reserve=reserve, max_transactions=8192)
    [first] = start(world)
    world.tm.t_relay(world.request(branch="z9hG4bKsecond"))
    second_sent = world.take_to(CALLEE)[0]
    filler = f"X-Filler: {'x' * 3000}\r\n"
    for number in range(8192):
        if world.tm.t_relay(world.request(branch=f"z9hG4bK{number}", extra=filler)) == 0:
            break
    assert world.take_to(CALLER)[-1].status == 503
    assert world.count("refused_requests") == 1
    left = memory.blobs.heap_bytes - memory.blobs.used_bytes
    assert abs(left / memory.blobs.heap_bytes - reserve / 100) < 0.02
    for status in (180, 486):
        world.reply(first, status)
        world.reply(second_sent, status)
    assert statuses(world) == [180, 180, 486, 486]
    world.advance(70_000)
    assert is_gone(world)


def test_retry_after_0_leaves_a_full_table_to_the_script(memory: SharedMemory) -> None:
    world = World(memory, retry_after=0)
    assert fill(world) == -1
    msg = world.request(branch="z9hG4bKlast")
    assert world.tm.t_reply(msg, 200, b"OK") == -1
    assert msg.error is not None
    assert msg.error.code == 500


def test_statistics_count_what_happened(world: World) -> None:
    first, second = start(world, "sip:bob@192.0.2.21")
    world.reply(first, 180)
    world.reply(first, 486)
    world.reply(second, 500)
    assert {
        name: world.count(name)
        for name in (
            "UAS_transactions",
            "UAC_transactions",
            "received_replies",
            "relayed_replies",
            "4xx_transactions",
            "inuse_transactions",
            "local_replies",
        )
    } == {
        "UAS_transactions": 1,
        "UAC_transactions": 2,
        "received_replies": 3,
        "relayed_replies": 2,
        "4xx_transactions": 1,
        "inuse_transactions": 1,
        "local_replies": 0,
    }


def test_syn_branch_0_puts_a_digest_into_the_branch_and_replies_still_match(memory: SharedMemory) -> None:
    world = World(memory, syn_branch=0)
    [invite] = start(world)
    assert invite.top_via().branch is not None
    assert len(invite.top_via().branch) > 40
    assert world.reply(invite, 200)


def test_timers_survive_the_wrap_of_the_clock(world: World) -> None:
    world.clock = 2**32 - 700
    world.tm.store.now = lambda: world.clock & 0xFFFFFFFF
    start(world)
    world.advance(1_600)
    assert len(world.take_to(CALLEE)) == 2


def test_a_process_that_has_not_seen_the_request_takes_the_reply(world: World) -> None:
    [invite] = start(world)
    world.core.process = 1
    assert world.reply(invite, 180)
    assert world.count("other_process_replies") == 1
    world.tm.t_relay(world.request())
    assert world.count("other_process_requests") == 1


def test_the_refs_of_a_packed_transaction_are_all_its_blobs(world: World) -> None:
    from openserd.mods.tm.memory.record import payload_refs

    [invite] = start(world)
    world.reply(invite, 180)
    [t] = world.transactions()
    assert isinstance(t, Transaction)
    assert sorted(payload_refs(t.pack())) == sorted([t.server.request, t.server.reply, t.branches[0].sent])
