"""Failure routes: when they run, over what, and what may come of them."""

import os

import pytest

from openserd.core.avp import AvpList
from openserd.core.destinations import Branch, append_branch
from openserd.core.message import SipMsg
from openserd.core.module import FAILURE
from openserd.core.network.transport import Listener
from openserd.core.serial_forking import next_branches, serialize_branches
from openserd.errors import ResourceError
from openserd.mods.tm.memory.record import FAILING
from openserd.parser import names
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory
from tests.unit.mods.tm.conftest import CALLEE, CALLER, SECOND_CALLEE, World
from tests.unit.mods.tm.test_calls import is_gone, statuses

THIRD_CALLEE = ("192.0.2.22", 5060)
SECOND = b"sip:bob@192.0.2.21"
THIRD = b"sip:bob@192.0.2.22"


class Hunt:
    """A failure route that tries one URI after the other; `seen` is what it was called with."""

    def __init__(self, world: World, *uris: bytes, arm_again: bool = True) -> None:
        self.world = world
        self.uris = list(uris)
        self.arm_again = arm_again
        self.seen: list[tuple[int, bytes]] = []
        self.messages: list[SipMsg] = []
        world.block("failure", self)

    def __call__(self, msg: SipMsg) -> int:
        tm = self.world.tm
        assert msg.route_kind == FAILURE
        self.seen.append((tm.pv_T_reply_code(msg), msg.ruri))
        self.messages.append(msg)
        if self.uris:
            append_branch(msg, self.uris.pop(0))
            if self.arm_again:
                tm.t_on_failure(msg, b"1")
            assert tm.t_relay(msg) == 1
        return 1


def armed(world: World, msg: SipMsg | None = None) -> Message:
    """Relays a call with the failure route armed; the request as sent."""
    msg = msg or world.request()
    world.tm.t_on_failure(msg, b"1")
    assert world.tm.t_relay(msg) == 1
    return world.take_to(CALLEE)[0]


def test_the_next_destination_is_tried_and_its_answer_reaches_the_caller(world: World) -> None:
    hunt = Hunt(world, SECOND)
    invite = armed(world)
    world.reply(invite, 486)
    assert hunt.seen == [(486, b"sip:bob@192.0.2.20")]
    sent = world.take()
    assert [(a, m.method) for a, m in sent] == [(CALLEE, b"ACK"), (SECOND_CALLEE, b"INVITE")]
    assert sent[1][1].ruri == SECOND
    world.reply(sent[1][1], 200)
    assert statuses(world) == [200]
    world.advance(32_200)
    assert is_gone(world)


def test_without_new_branches_the_chosen_reply_goes_on(world: World) -> None:
    hunt = Hunt(world)
    world.reply(armed(world), 486)
    assert [status for status, _ in hunt.seen] == [486]
    assert statuses(world) == [486]


def test_the_route_is_disarmed_before_it_runs(world: World) -> None:
    hunt = Hunt(world, SECOND, THIRD, arm_again=False)
    world.reply(armed(world), 486)
    second = world.take_to(SECOND_CALLEE)[0]
    world.reply(second, 404)
    assert len(hunt.seen) == 1
    assert statuses(world) == [404]


def test_only_the_latest_round_counts_for_the_choice(world: World) -> None:
    Hunt(world, SECOND, arm_again=False)
    world.reply(armed(world), 404)
    world.reply(world.take_to(SECOND_CALLEE)[0], 486)
    assert statuses(world) == [486]


def test_three_destinations_that_never_answer_are_tried_one_after_the_other(world: World) -> None:
    hunt = Hunt(world, SECOND, THIRD)
    armed(world)
    world.advance(30_100)
    assert len(world.take_to(SECOND_CALLEE)) == 1
    world.advance(30_100)
    assert len(world.take_to(THIRD_CALLEE)) == 1
    world.advance(30_100)
    assert statuses(world) == [408]
    assert [status for status, _ in hunt.seen] == [408, 408, 408]


def test_t_reply_in_the_route_ends_the_transaction(world: World) -> None:
    def answer(msg: SipMsg) -> int:
        assert world.tm.t_reply(msg, 480, b"Nobody home") == 1
        assert world.tm.t_reply(msg, 481, b"Too late") == -1
        assert world.tm.t_relay(msg) == -1
        return 1

    world.block("failure", answer)
    world.reply(armed(world), 486)
    replies = world.take_to(CALLER)
    assert [(m.status, m.reason) for m in replies] == [(480, b"Nobody home")]
    assert world.tm.t_relay(world.request("ACK")) == 1
    world.advance(5_200)
    assert is_gone(world)


def test_the_route_runs_once_although_the_reply_comes_again(world: World) -> None:
    hunt = Hunt(world, SECOND)
    invite = armed(world)
    for _ in range(3):
        world.reply(invite, 486)
    assert len(hunt.seen) == 1
    assert [m.method for m in world.take_to(SECOND_CALLEE)] == [b"INVITE"]


def test_a_reply_that_comes_while_the_route_runs_in_another_process_does_not_run_it_again(world: World) -> None:
    first_seen: list[int] = []

    def route(msg: SipMsg) -> int:
        first_seen.append(msg.route_kind)
        if len(first_seen) == 1:
            world.reply(second, 404)  # the same, late, from another branch
            world.advance(400)
        return 1

    world.block("failure", route)
    msg = world.request()
    msg.branches.append(Branch(SECOND))
    world.tm.t_on_failure(msg, b"1")
    world.tm.t_relay(msg)
    first, second = [m for _, m in world.take() if m.method == b"INVITE"]
    world.reply(second, 404)
    world.reply(first, 486)
    assert len(first_seen) == 1
    assert statuses(world) == [404]


def test_new_branches_that_fail_while_the_route_still_runs_come_to_the_next_route(world: World) -> None:
    seen: list[int] = []

    def first(msg: SipMsg) -> int:
        append_branch(msg, SECOND)
        world.tm.t_on_failure(msg, b"2")
        world.tm.t_relay(msg)
        world.reply(world.take_to(SECOND_CALLEE)[0], 480)
        assert seen == []
        return 1

    def second(msg: SipMsg) -> int:
        seen.append(world.tm.pv_T_reply_code(msg))
        return 1

    world.block("failure", first)
    world.block("failure", second, "2")
    world.reply(armed(world), 486)
    assert seen == [480]
    assert statuses(world) == [480]


@pytest.mark.parametrize("dies_in_both", [False, True])
def test_a_route_whose_process_dies_is_run_again_by_the_timer_and_then_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch, dies_in_both: bool
) -> None:
    class Killed(BaseException):
        pass

    runs: list[int] = []
    hunt = Hunt(world, SECOND)

    def dying(msg: SipMsg) -> int:
        runs.append(1)
        if len(runs) == 1 or dies_in_both:
            raise Killed
        return hunt(msg)

    world.block("failure", dying)
    monkeypatch.setattr("openserd.mods.tm.replies.failure.Failures.conclude", lambda *a: None)
    invite = armed(world)
    with pytest.raises(Killed):
        world.reply(invite, 486)
    [t] = world.transactions()
    assert t.server.flags & FAILING
    monkeypatch.undo()
    monkeypatch.setattr("openserd.mods.tm.replies.proxy.lives", lambda pid, since: False)
    if dies_in_both:
        monkeypatch.setattr("openserd.mods.tm.replies.failure.Failures.conclude", lambda *a: None)
        with pytest.raises(Killed):
            world.advance(600)
        world.advance(600)
        assert statuses(world) == [486]
        assert len(runs) == 2
    else:
        world.advance(600)
        assert len(world.take_to(SECOND_CALLEE)) == 1
        world.advance(600)
        assert len(runs) == 2


def test_a_process_that_dies_after_its_new_branch_has_gone_leaves_that_to_its_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    hunt = Hunt(world, SECOND, THIRD)

    def dying(msg: SipMsg) -> int:
        hunt(msg)
        if len(hunt.seen) == 1:
            raise Killed
        return 1

    world.block("failure", dying)
    invite = armed(world)
    monkeypatch.setattr("openserd.mods.tm.replies.failure.Failures.conclude", lambda *a: None)
    with pytest.raises(Killed):
        world.reply(invite, 486)
    monkeypatch.undo()
    monkeypatch.setattr("openserd.mods.tm.replies.proxy.lives", lambda pid, since: False)
    second = world.take_to(SECOND_CALLEE)[0]
    world.advance(600)
    world.reply(second, 480)
    assert [status for status, _ in hunt.seen] == [486, 480]
    assert len(world.take_to(THIRD_CALLEE)) == 1


def test_a_route_that_takes_minutes_in_a_living_process_is_run_once_and_keeps_its_say(world: World) -> None:
    runs: list[int] = []

    def slow(msg: SipMsg) -> int:
        runs.append(os.getpid())
        world.advance(600_000)
        append_branch(msg, SECOND)
        assert world.tm.t_relay(msg) == 1
        return 1

    world.block("failure", slow)
    world.reply(armed(world), 486)
    assert len(runs) == 1
    world.reply(world.take_to(SECOND_CALLEE)[0], 480)
    assert statuses(world) == [480]


def test_a_route_whose_end_finds_no_memory_is_not_run_again_and_the_chosen_reply_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hunt = Hunt(world)
    invite = armed(world)

    def full(*_: object) -> None:
        raise ResourceError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("openserd.mods.tm.replies.failure.Failures.conclude", full)
        with pytest.raises(ResourceError):
            world.reply(invite, 486)
    assert statuses(world) == []
    world.advance(600)
    assert statuses(world) == [486]
    assert len(hunt.seen) == 1


def test_a_route_that_another_process_has_been_given_has_no_say_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    results: list[int] = []

    def slow(msg: SipMsg) -> int:
        runs.append(1)
        if len(runs) == 1:
            with monkeypatch.context() as patch:
                patch.setattr("os.getpid", lambda: 99_999)
                patch.setattr("openserd.mods.tm.replies.proxy.lives", lambda pid, since: pid == 99_999)
                world.advance(600)  # the timer process takes it for dead and runs the route
            append_branch(msg, SECOND)
            results.extend((world.tm.t_relay(msg), world.tm.t_reply(msg, 500, b"late")))
        return 1

    world.block("failure", slow)
    world.reply(armed(world), 486)
    assert len(runs) == 2
    assert results == [-1, -1]
    assert statuses(world)[0] == 486
    assert set(statuses(world)) <= {486}


def test_a_route_that_raises_ends_with_the_chosen_reply(world: World) -> None:
    def broken(msg: SipMsg) -> int:
        raise ValueError("script")

    world.block("failure", broken)
    world.reply(armed(world), 486)
    assert statuses(world) == [486]


def test_edits_flags_avps_and_record_route_of_the_request_route_are_there(world: World) -> None:
    def record_route(listener: Listener) -> bytes:
        return b"Record-Route: <sip:%b;lr>\r\n" % listener.sent_by

    hunt = Hunt(world, SECOND)
    msg = world.request(extra="Subject: secret\r\nMax-Forwards: 70\r\n")
    msg.insert_line(record_route)
    msg.remove_lines(msg.indexes(names.SUBJECT))
    msg.add_header(b"X-Hint", b"yes")
    msg.flags, msg.branch_flags = 5, 2
    msg.avps.add(b"limit", 7)
    msg.attach("auth", b"1 2")
    msg.reply_headers.append(b"X-Reply: 1\r\n")
    msg.rport_forced = True
    invite = armed(world, msg)
    world.reply(invite, 486)
    again = world.take_to(SECOND_CALLEE)[0]
    assert again.value(again.find(names.RECORD_ROUTE)) == invite.value(invite.find(names.RECORD_ROUTE))
    assert again.find(names.SUBJECT) < 0
    assert b"X-Hint: yes\r\n" in again.buf
    [seen] = hunt.messages
    assert (seen.flags, seen.branch_flags, seen.avps.get(b"limit")) == (5, 2, 7)
    assert (seen.attached("auth"), seen.dst_uri, seen.original_ruri) == (b"1 2", None, msg.original_ruri)
    assert again.vias()[1].received == invite.vias()[1].received


def test_edits_in_the_route_are_for_its_branches_only_and_avps_stay(world: World) -> None:
    hunt = Hunt(world, SECOND, THIRD)

    def editing(msg: SipMsg) -> int:
        msg.add_header(b"X-Round", b"%d" % len(hunt.seen))
        msg.avps.add(b"round", len(hunt.seen))
        msg.flags |= 1 << len(hunt.seen)
        return hunt(msg)

    world.block("failure", editing)
    world.reply(armed(world), 486)
    second = world.take_to(SECOND_CALLEE)[0]
    world.reply(second, 486)
    third = world.take_to(THIRD_CALLEE)[0]
    assert [third.value(i) for i in third.indexes_named(b"X-Round")] == [b"1"]
    assert hunt.messages[1].avps.all(b"round") == [1, 0]
    assert hunt.messages[1].flags == 3


def test_t_relay_needs_additional_branches_in_a_failure_route(world: World) -> None:
    results: list[int] = []
    world.block("failure", lambda msg: results.append(world.tm.t_relay(msg)) or 1)
    world.reply(armed(world), 486)
    assert results == [-1]
    assert statuses(world) == [486]


def test_a_next_hop_that_cannot_be_reached_is_told_to_the_route(world: World) -> None:
    results: list[int] = []

    def route(msg: SipMsg) -> int:
        append_branch(msg, b"sip:bob@[::1]")
        results.append(world.tm.t_relay(msg))
        return 1

    world.block("failure", route)
    world.reply(armed(world), 486)
    assert results == [-477]
    assert statuses(world) == [486]


def test_a_next_hop_that_the_system_refuses_comes_to_the_next_route(world: World) -> None:
    hunt = Hunt(world, SECOND, THIRD)
    world.wire.broken.add(SECOND_CALLEE)
    world.reply(armed(world), 486)
    assert [status for status, _ in hunt.seen] == [486, 503]
    assert len(world.take_to(THIRD_CALLEE)) == 1


def test_a_cancelled_call_gets_no_new_branches(world: World) -> None:
    results: list[object] = []

    def route(msg: SipMsg) -> int:
        append_branch(msg, SECOND)
        results.extend((world.tm.t_was_cancelled(msg), world.tm.t_relay(msg)))
        return 1

    world.block("failure", route)
    invite = armed(world)
    world.reply(invite, 180)
    world.tm.t_relay(world.request("CANCEL"))
    world.take()
    world.reply(invite, 487)
    assert results == [1, -1]
    assert statuses(world) == [487]


def test_a_cancel_while_the_route_runs_stops_the_hunt(world: World) -> None:
    def route(msg: SipMsg) -> int:
        world.tm.t_relay(world.request("CANCEL"))
        append_branch(msg, SECOND)
        assert world.tm.t_relay(msg) == -1
        return 1

    world.block("failure", route)
    world.reply(armed(world), 486)
    assert statuses(world) == [200, 486]


def test_t_on_failure_0_disarms(world: World) -> None:
    hunt = Hunt(world)
    msg = world.request()
    world.tm.t_on_failure(msg, b"1")
    world.tm.t_on_failure(msg, b"")
    world.tm.t_relay(msg)
    world.reply(world.take_to(CALLEE)[0], 486)
    assert hunt.seen == []
    assert statuses(world) == [486]


def test_a_route_armed_after_t_relay_counts(world: World) -> None:
    hunt = Hunt(world)
    msg = world.request()
    world.tm.t_relay(msg)
    world.tm.t_on_failure(msg, b"1")
    world.reply(world.take_to(CALLEE)[0], 486)
    assert len(hunt.seen) == 1


def test_requests_other_than_invite_have_failure_routes_too(world: World) -> None:
    Hunt(world, SECOND)
    world.reply(armed(world, world.request("OPTIONS")), 404)
    second = world.take_to(SECOND_CALLEE)[0]
    assert second.method == b"OPTIONS"
    world.reply(second, 200)
    assert statuses(world) == [200]


def test_t_check_status_and_t_local_replied_look_at_the_chosen_branch(world: World) -> None:
    from openserd.core.arguments import posix_regex

    seen: list[int] = []

    def route(msg: SipMsg) -> int:
        tm = world.tm
        seen.extend(tm.t_check_status(msg, posix_regex(text)) for text in ("408", "4[08]8|486", "^5"))
        seen.extend(tm.t_local_replied(msg, which) for which in ("all", "branch", "last"))
        return 1

    world.block("failure", route)
    armed(world)
    world.advance(30_100)
    assert seen == [1, 1, -1, 1, 1, -1]


def test_serial_forking_takes_group_after_group(world: World) -> None:
    def route(msg: SipMsg) -> int:
        if next_branches(msg, world.core.listeners, replace_ruri=False):
            world.tm.t_on_failure(msg, b"1")
            world.tm.t_relay(msg)
        return 1

    world.block("failure", route)
    msg = world.request()
    msg.q = 900
    msg.branches += [Branch(SECOND, 500), Branch(THIRD, 500), Branch(b"sip:bob@192.0.2.23", 100)]
    serialize_branches(msg, clean_before=True)
    assert next_branches(msg, world.core.listeners, replace_ruri=True)
    world.reply(armed(world, msg), 480)
    sent = {address: m for address, m in world.take() if m.method == b"INVITE"}
    assert set(sent) == {SECOND_CALLEE, THIRD_CALLEE}
    for message in sent.values():
        world.reply(message, 480)
    assert len(world.take_to(("192.0.2.23", 5060))) == 1


def test_what_travels_comes_back_as_it_was(world: World) -> None:
    from openserd.mods.tm.memory.travel import Armed, capture, restore

    msg = world.request()
    msg.add_header(b"A", b"1")
    msg.delete(5, 9)
    msg.insert_line(lambda listener: b"X: %b\r\n" % listener.sent_by)
    msg.avps = AvpList([(1, b"x", 0), (b"n", 2, 3)])
    msg.own_route, msg.rr_params, msg.local_rport = b"", b";a", True
    msg.advertised_host, msg.advertised_port = b"example.com", 5070
    msg.set_max_forwards(12)
    script = type(capture(msg, Armed(), world.core.listeners)).unpack(
        capture(msg, Armed(), world.core.listeners).pack()
    )
    again = world.request()
    restore(again, script, world.core.listeners)
    plain = [(s, e, d if isinstance(d, bytes) else d(world.wire)) for s, e, d in again.lumps]
    assert [lump[:2] for lump in msg.lumps] == [lump[:2] for lump in plain]
    assert (b"X: example.com:5070\r\n") in [lump[2] for lump in plain]
    assert again.avps == msg.avps
    assert (again.own_route, again.rr_params, again.local_rport) == (b"", b";a", True)
    assert (again.advertised_host, again.advertised_port, again.max_forwards) == (b"example.com", 5070, 12)


def test_nothing_of_a_hunt_stays_in_memory(memory: SharedMemory) -> None:
    world = World(memory)
    Hunt(world, SECOND, THIRD)
    world.reply(armed(world), 486)
    world.reply(world.take_to(SECOND_CALLEE)[0], 486)
    world.reply(world.take_to(THIRD_CALLEE)[0], 486)
    assert statuses(world) == [486]
    world.advance(40_000)
    assert is_gone(world)
