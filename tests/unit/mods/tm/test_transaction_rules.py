"""RFC 3261 section 17, RFC 6026 and RFC 4320: transactions by the clock, where no scenario shows it."""

import pytest

from openserd.core.message import SipMsg
from openserd.parser import names
from openserd.shm.memory import SharedMemory
from openserd.testing import Script
from tests.unit.mods.tm.conftest import CALLEE, CALLER, World
from tests.unit.mods.tm.test_calls import is_gone, start, statuses


def times_of(world: World, milliseconds: int, address: tuple[str, int] = CALLEE) -> list[int]:
    """When, in ms from now, something was sent to `address`, within the 100 ms of the timer process."""
    began, times = world.clock, []
    while world.clock < began + milliseconds:
        world.advance(100)
        times += [world.clock - began] * len(world.take_to(address))
    return times


# -- client transactions ----------


@pytest.mark.conformance("TRN-01")
def test_an_invite_that_nobody_answers_is_repeated_after_t1_and_doubled_gaps(world: World) -> None:
    start(world)
    assert times_of(world, 8_000) == [500, 1_500, 3_500, 7_500]


@pytest.mark.conformance("TRN-04")
def test_a_100_after_700_ms_ends_the_repetition_of_an_invite(world: World) -> None:
    [invite] = start(world)
    assert times_of(world, 700) == [500]
    world.reply(invite, 100)
    assert times_of(world, 29_000) == []


@pytest.mark.conformance("TRN-03", "PRX-42")
@pytest.mark.parametrize("seconds", [10, 32])
def test_an_invite_that_nobody_answers_is_given_up_at_fr_timer_and_not_before(
    memory: SharedMemory, seconds: int
) -> None:
    world = World(memory, fr_timer=seconds)
    start(world)
    assert times_of(world, seconds * 1000 + 100, CALLER) == [seconds * 1000]


@pytest.mark.conformance("TRN-09")
def test_another_request_is_repeated_with_gaps_doubled_up_to_t2(world: World) -> None:
    start(world, method="OPTIONS")
    assert times_of(world, 20_000) == [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500]


@pytest.mark.conformance("TRN-10")
def test_a_100_makes_the_gap_of_another_request_t2(world: World) -> None:
    [options] = start(world, method="OPTIONS")
    assert times_of(world, 600) == [500]
    world.reply(options, 100)
    assert times_of(world, 13_000) == [4_000, 8_000, 12_000]


@pytest.mark.conformance("TRN-11", "NIT-03")
@pytest.mark.parametrize("late_408", [0, 1])
def test_another_request_ends_at_fr_timer(memory: SharedMemory, late_408: int) -> None:
    world = World(memory, fr_timer=32, late_408=late_408)
    start(world, method="OPTIONS")
    assert times_of(world, 33_000, CALLER) == [32_000] * late_408
    assert times_of(world, 5_000) == []
    assert is_gone(world)


@pytest.mark.conformance("TRN-05", "TRN-06")
def test_the_ack_to_a_refusal_is_made_of_the_invite_with_its_route_and_the_to_of_the_reply(world: World) -> None:
    route = "Route: <sip:192.0.2.20;lr>, <sip:far.example;lr>\r\n"
    assert world.tm.t_relay(world.request(extra=route)) == 1
    invite = world.take_to(CALLEE)[0]
    world.reply(invite, 486)
    [ack] = world.take_to(CALLEE)
    for of in (lambda m: m.ruri, lambda m: m.top_via().branch, lambda m: m.call_id, lambda m: m.cseq.number):
        assert of(ack) == of(invite)
    assert ack.value(ack.find(names.FROM)) == invite.value(invite.find(names.FROM))
    assert ack.value(ack.find(names.ROUTE)) == invite.value(invite.find(names.ROUTE))
    assert (len(ack.vias()), ack.to_tag, ack.cseq.method) == (1, b"b", b"ACK")


@pytest.mark.conformance("TRN-07", "TRN-08")
@pytest.mark.parametrize(("wt_timer", "acknowledged"), [(5, [4]), (32, [4, 20, 31])])
def test_a_refusal_that_comes_again_is_acknowledged_as_long_as_the_transaction_is_kept(
    memory: SharedMemory, wt_timer: int, acknowledged: list[int]
) -> None:
    world = World(memory, wt_timer=wt_timer)
    [invite] = start(world)
    world.reply(invite, 486)
    world.tm.t_relay(world.request("ACK", to_tag="b"))
    world.take()
    seen = []
    for second in range(1, 40):
        world.advance(1_000)
        if second in (4, 20, 31, 36):
            world.reply(invite, 486)
            seen += [second for a, m in world.take() if (a, m.method) == (CALLEE, b"ACK")]
    assert seen == acknowledged


@pytest.mark.conformance("TRN-13")
def test_a_refusal_of_the_system_ends_the_transaction_at_once(world: World) -> None:
    world.wire.broken.add(CALLEE)
    world.tm.t_relay(world.request())
    assert statuses(world) == [100, 477]


@pytest.mark.conformance("TRN-30", "TRN-29", "ACC-05", "MSG-17")
def test_replies_are_never_answered_and_strays_go_nowhere() -> None:
    text = 'loadmodule "sl.so" loadmodule "tm.so" route { t_relay(); }'
    with Script.text(text) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        ours, theirs = (
            script.reply(call.request, 180).received,
            b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKa\r\n",
        )
        branch = call.request.message.top_via().branch or b""
        stray = ours.replace(branch, b"z9hG4bK1.00000000.0")
        changed = (
            stray.replace(b" 180 ", b" 200 "),
            stray.replace(b"\r\nFrom", b"\r\n" + theirs + theirs + b"From"),
            ours.replace(b"CSeq: 1", b"CSeq: x"),
            ours.replace(b" 180 ", b" 99 "),
            ours.replace(branch, b""),
            *(ours[:length] for length in range(0, ours.index(b"\r\n\r\n"), 2)),
            *(stray.replace(b"SIP/2.0 180", b"SIP/2.0 2%02d" % number) for number in range(100)),
        )
        assert len(changed) > 200
        for _ in range(4):
            for data in changed:
                assert script.receive(data, source="192.0.2.66:5060").sent == []


# -- server transactions ----------


@pytest.mark.conformance("TRN-14")
def test_an_invite_is_answered_100_in_the_step_that_relays_it(world: World) -> None:
    assert world.tm.t_relay(world.request()) == 1
    assert [m.status for a, m in world.take() if a == CALLER] == [100]


@pytest.mark.conformance("TRN-15")
def test_an_invite_that_comes_five_times_goes_on_once_and_is_answered_each_time(world: World) -> None:
    for _ in range(5):
        world.tm.t_relay(world.request())
    assert [m.method or m.status for _, m in world.take()] == [100, b"INVITE", 100, 100, 100, 100]


@pytest.mark.conformance("TRN-16", "TRN-17")
def test_a_refusal_is_repeated_at_doubled_gaps_up_to_t2_until_64_t1_and_then_forgotten(memory: SharedMemory) -> None:
    world = World(memory, fr_timer=32)
    [invite] = start(world)
    world.reply(invite, 486)
    assert statuses(world) == [486]
    expected = [500, 1_500, *range(3_500, 32_000, 4_000)]
    assert times_of(world, 60_000, CALLER) == expected
    assert is_gone(world)


@pytest.mark.conformance("TRN-18", "PRX-50")
def test_an_ack_after_the_third_refusal_ends_them_and_a_second_ack_draws_nothing(world: World) -> None:
    [invite] = start(world)
    world.reply(invite, 486)
    world.take()
    assert times_of(world, 1_600, CALLER) == [500, 1_500]
    for _ in range(2):
        assert world.tm.t_relay(world.request("ACK", to_tag="b")) == 1
        assert world.take() == []
    assert times_of(world, 4_000, CALLER) == []


@pytest.mark.conformance("TRN-20")
def test_after_the_wait_timer_the_same_branch_is_another_transaction(world: World) -> None:
    [first] = start(world, method="OPTIONS")
    world.reply(first, 200)
    world.take()
    world.advance(5_200)
    [again] = start(world, method="OPTIONS")
    assert again.top_via().branch != first.top_via().branch


@pytest.mark.conformance("TRN-21")
def test_branch_sent_by_and_method_tell_transactions_apart(world: World) -> None:
    requests = [world.request("OPTIONS"), world.request("MESSAGE")]
    requests.append(SipMsg(requests[0].buf.replace(b"192.0.2.10;", b"192.0.2.10:5070;"), CALLER, world.wire))
    assert [world.tm.t_relay(one) for one in requests] == [1, 1, 1]
    assert [world.tm.t_relay(world.request(method)) for method in ("OPTIONS", "MESSAGE")] == [0, 0]
    assert len(world.transactions()) == 3


@pytest.mark.conformance("TRN-23")
def test_a_request_older_than_rfc_3261_is_another_one_with_another_top_via(world: World) -> None:
    assert [world.tm.t_relay(world.request(branch=branch)) for branch in ("1", "1", "2")] == [1, 0, 1]


# -- the Accepted state (RFC 6026) ----------


@pytest.mark.conformance("ACC-01", "ACC-02", "ACC-03")
def test_for_64_t1_every_2xx_goes_up_with_its_own_tag_and_the_invite_is_absorbed(world: World) -> None:
    [invite] = start(world)
    for number in range(1, 32):
        world.reply(invite, 200, f"tag{number % 3}")
        assert world.tm.t_relay(world.request()) == 0
        assert [(a, m.status, m.to_tag) for a, m in world.take()] == [(CALLER, 200, b"tag%d" % (number % 3))]
        world.advance(1_000)
    world.advance(2_000)
    assert is_gone(world)


@pytest.mark.conformance("ACC-04", "PRX-27")
@pytest.mark.parametrize("status", [180, 200, 486])
def test_a_reply_whose_transaction_has_gone_goes_nowhere(world: World, status: int) -> None:
    [invite] = start(world)
    world.reply(invite, 200)
    world.advance(33_000)
    world.take()
    assert world.reply(invite, status), "nor is it left to be forwarded without state"
    assert world.take() == []


# -- requests other than INVITE (RFC 4320) ----------


@pytest.mark.conformance("NIT-01", "NIT-02", "MSG-08")
def test_a_message_to_a_slow_phone_draws_no_provisional_reply(world: World) -> None:
    [message] = start(world, method="MESSAGE")
    for _ in range(4):
        assert times_of(world, 1_000, CALLER) == []
        world.tm.t_relay(world.request("MESSAGE"))
    assert statuses(world) == []
    world.reply(message, 100)
    assert statuses(world) == []


@pytest.mark.conformance("NIT-04")
def test_an_answer_to_another_request_after_its_time_out_is_dropped(world: World) -> None:
    [message] = start(world, method="MESSAGE")
    world.advance(30_100)
    world.reply(message, 200)
    world.advance(10_000)
    assert world.reply(message, 200)
    assert statuses(world) == []
