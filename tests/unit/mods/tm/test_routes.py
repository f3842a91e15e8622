"""Branch routes and onreply routes of transactions, their timers, and what a script may ask."""

import pytest

from openserd.core.arguments import posix_regex
from openserd.core.destinations import Branch, append_branch
from openserd.core.message import SipMsg
from openserd.core.module import BRANCH, ONREPLY
from openserd.core.routes import run
from openserd.errors import ConfigError
from openserd.shm.memory import SharedMemory
from openserd.testing import Script
from tests.unit.mods.tm.conftest import CALLEE, CALLER, SECOND_CALLEE, World
from tests.unit.mods.tm.test_calls import start, statuses

SECOND = b"sip:bob@192.0.2.21"


# -- branch routes ----------


def test_a_branch_route_runs_over_each_branch_and_its_edits_are_for_that_branch_only(world: World) -> None:
    seen: list[tuple[int, bytes]] = []

    def route(msg: SipMsg) -> int:
        assert msg.route_kind == BRANCH
        seen.append((world.tm.pv_T_branch_idx(msg), msg.ruri))
        msg.add_header(b"X-Branch", b"%d" % len(seen))
        return 1

    world.block("branch", route)
    msg = world.request()
    msg.branches.append(Branch(SECOND))
    world.tm.t_on_branch(msg, b"1")
    assert world.tm.t_relay(msg) == 1
    sent = {a: m for a, m in world.take() if m.method == b"INVITE"}
    assert seen == [(1, b"sip:bob@192.0.2.20"), (2, SECOND)]
    for number, address in enumerate((CALLEE, SECOND_CALLEE), 1):
        message = sent[address]
        assert [message.value(i) for i in message.indexes_named(b"X-Branch")] == [b"%d" % number]
    assert (msg.lumps, msg.ruri, world.tm.pv_T_branch_idx(msg)) == ([], b"sip:bob@192.0.2.20", 0)


def test_a_branch_route_may_send_its_branch_elsewhere(world: World) -> None:
    world.block("branch", lambda msg: msg.set_ruri(SECOND) or 1)
    msg = world.request()
    world.tm.t_on_branch(msg, b"1")
    world.tm.t_relay(msg)
    assert world.take_to(SECOND_CALLEE)[0].ruri == SECOND


def test_a_dropped_branch_is_left_out(world: World) -> None:
    def route(msg: SipMsg) -> int:
        msg.dropped = msg.ruri != SECOND
        return 0

    world.block("branch", route)
    msg = world.request()
    msg.branches.append(Branch(SECOND))
    world.tm.t_on_branch(msg, b"1")
    assert world.tm.t_relay(msg) == 1
    assert [a for a, m in world.take() if m.method] == [SECOND_CALLEE]


def test_a_request_whose_branches_are_all_dropped_is_answered_500(world: World) -> None:
    def route(msg: SipMsg) -> int:
        msg.dropped = True
        return 0

    world.block("branch", route)
    msg = world.request()
    world.tm.t_on_branch(msg, b"1")
    assert world.tm.t_relay(msg) == 0
    assert statuses(world) == [100, 500]


def test_the_caller_is_told_100_before_the_branch_route_has_its_say(world: World) -> None:
    before: list[list[int]] = []
    world.block("branch", lambda msg: before.append(statuses(world)) or 1)
    msg = world.request()
    world.tm.t_on_branch(msg, b"1")
    world.tm.t_relay(msg)
    assert before == [[100]]


def test_a_retransmission_runs_no_branch_route(world: World) -> None:
    seen: list[int] = []
    world.block("branch", lambda msg: seen.append(1) or 1)
    for expected in (1, 0):
        msg = world.request()
        world.tm.t_on_branch(msg, b"1")
        assert world.tm.t_relay(msg) == expected
    assert len(seen) == 1


def test_the_branches_of_a_failure_route_have_their_branch_route(world: World) -> None:
    seen: list[int] = []

    def failure(msg: SipMsg) -> int:
        append_branch(msg, SECOND)
        world.tm.t_relay(msg)
        return 1

    world.block("branch", lambda msg: seen.append(world.tm.pv_T_branch_idx(msg)) or 1)
    world.block("failure", failure)
    msg = world.request()
    world.tm.t_on_branch(msg, b"1")
    world.tm.t_on_failure(msg, b"1")
    world.tm.t_relay(msg)
    world.reply(world.take_to(CALLEE)[0], 486)
    assert seen == [1, 2]


def test_a_cancel_between_creation_and_forwarding_is_answered_487(world: World) -> None:
    world.block("branch", lambda msg: world.tm.t_relay(world.request("CANCEL")))
    msg = world.request()
    world.tm.t_on_branch(msg, b"1")
    assert world.tm.t_relay(msg) == -1
    sent = [(m.cseq.method, m.status) for _, m in world.take()]
    assert sent == [(b"INVITE", 100), (b"CANCEL", 200), (b"INVITE", 487)]


# -- onreply routes ----------


def with_onreply(world: World, route: object, name: bytes = b"1") -> SipMsg:
    """A call about to be relayed, its onreply_route armed."""
    world.block("onreply", route, name.decode())  # type: ignore[arg-type]
    msg = world.request()
    world.tm.t_on_reply(msg, name)
    return msg


def test_an_onreply_route_sees_every_reply_before_it_is_relayed(world: World) -> None:
    seen: list[int] = []

    def route(msg: SipMsg) -> int:
        assert msg.route_kind == ONREPLY
        seen.append(world.tm.pv_T_reply_code(msg))
        msg.add_header(b"X-Seen", b"%d" % msg.status)
        return 1

    world.tm.t_relay(with_onreply(world, route))
    invite = world.take_to(CALLEE)[0]
    for status in (100, 180, 200, 200):
        world.reply(invite, status)
    assert seen == [100, 180, 200, 200]
    assert [m.value(m.indexes_named(b"X-Seen")[0]) for m in world.take_to(CALLER)] == [b"180", b"200", b"200"]


def test_drop_discards_provisional_replies_only(world: World) -> None:
    def route(msg: SipMsg) -> int:
        msg.dropped = True
        return 0

    world.tm.t_relay(with_onreply(world, route))
    invite = world.take_to(CALLEE)[0]
    world.reply(invite, 180)
    assert statuses(world) == []
    world.reply(invite, 486)
    assert [(a, m.method or m.status) for a, m in world.take()] == [(CALLEE, b"ACK"), (CALLER, 486)]


def test_a_negative_reply_is_acknowledged_before_the_route_and_once(world: World) -> None:
    before: list[int] = []
    world.tm.t_relay(with_onreply(world, lambda msg: before.append(len(world.take_to(CALLEE))) or 1))
    world.reply(world.take_to(CALLEE)[0], 486)
    assert before == [1]
    assert [a for a, _ in world.take()] == [CALLER]


def test_flags_go_to_the_reply_and_back(world: World) -> None:
    seen: list[tuple[int, int]] = []

    def route(msg: SipMsg) -> int:
        seen.append((msg.flags, msg.branch_flags))
        msg.flags |= 8
        msg.branch_flags |= 16
        return 1

    msg = with_onreply(world, route)
    msg.flags, msg.branch_flags = 1, 2
    world.tm.t_relay(msg)
    invite = world.take_to(CALLEE)[0]
    world.reply(invite, 180)
    world.reply(invite, 180)
    assert seen == [(1, 2), (9, 18)]


@pytest.mark.parametrize(("mode", "seen"), [(0, [None, None]), (1, [b"a", b"b"])])
def test_onreply_avp_mode_1_gives_the_route_the_avps_of_the_transaction(
    memory: SharedMemory, mode: int, seen: list[object]
) -> None:
    world = World(memory, onreply_avp_mode=mode)
    values: list[object] = []

    def route(msg: SipMsg) -> int:
        values.append(msg.avps.get(b"x"))
        msg.avps.add(b"x", b"b")
        return 1

    msg = with_onreply(world, route)
    msg.avps.add(b"x", b"a")
    world.tm.t_relay(msg)
    invite = world.take_to(CALLEE)[0]
    world.reply(invite, 180)
    world.reply(invite, 180)
    assert values == seen


def test_an_onreply_route_may_arm_a_failure_route(world: World) -> None:
    seen: list[int] = []
    world.block("failure", lambda msg: seen.append(msg.status) or 1)
    world.tm.t_relay(with_onreply(world, lambda msg: world.tm.t_on_failure(msg, b"1")))
    world.reply(world.take_to(CALLEE)[0], 486)
    assert len(seen) == 1


def test_a_reply_to_a_cancel_runs_no_route(world: World) -> None:
    seen: list[int] = []
    world.tm.t_relay(with_onreply(world, lambda msg: seen.append(msg.status) or 1))
    invite = world.take_to(CALLEE)[0]
    world.reply(invite, 180)
    world.tm.t_relay(world.request("CANCEL"))
    world.reply(world.take_to(CALLEE)[0], 200)
    assert seen == [180]


def test_a_call_whose_reply_route_dies_still_ends(world: World) -> None:
    def route(msg: SipMsg) -> int:
        raise KeyError("script")

    world.tm.t_relay(with_onreply(world, route))
    with pytest.raises(KeyError):
        world.reply(world.take_to(CALLEE)[0], 486)
    world.advance(30_100)
    assert statuses(world)[0] == 408


# -- timers ----------


def test_avps_set_the_timers_of_one_call(memory: SharedMemory) -> None:
    world = World(memory, fr_timer_avp="$avp(i:708)", fr_inv_timer_avp="$avp(s:ring)", noisy_ctimer=0)
    msg = world.request()
    msg.avps.add(708, 3)
    msg.avps.add(b"ring", b"20")
    world.tm.t_relay(msg)
    world.take()
    world.advance(3_100)
    assert statuses(world) == [408]
    msg = world.request(branch="z9hG4bKother")
    msg.avps.add(b"ring", b"20")
    world.tm.t_relay(msg)
    world.reply(world.take_to(CALLEE)[0], 180)
    world.advance(20_100)
    assert 408 in statuses(world)
    assert world.tm.t_relay(world.request(branch="z9hG4bKthird")) == 1
    assert world.transactions()[-1].script is None


def test_a_name_that_is_no_avp_is_refused(memory: SharedMemory) -> None:
    with pytest.raises(ConfigError):
        World(memory, fr_timer_avp="ring")


@pytest.mark.parametrize(("restart", "ended"), [(1, False), (0, True)])
def test_restart_fr_on_each_reply_0_lets_only_a_higher_provisional_give_more_time(
    memory: SharedMemory, restart: int, ended: bool
) -> None:
    world = World(memory, restart_fr_on_each_reply=restart)
    [invite] = start(world)
    world.reply(invite, 183)
    world.advance(100_000)
    world.reply(invite, 180)
    world.advance(100_000)
    assert (408 in statuses(world)) is ended


# -- questions ----------


def test_t_check_status_in_a_request_route_is_about_the_last_reply_sent(world: World) -> None:
    tm = world.tm
    assert tm.t_check_status(world.request(), posix_regex(".*")) == -1
    [invite] = start(world)
    world.reply(invite, 183)
    assert tm.t_check_status(world.request(), posix_regex("^18")) == 1
    assert tm.t_check_status(world.request("CANCEL"), posix_regex("183")) == 1
    assert tm.pv_T_reply_code(world.request()) == 183
    assert tm.t_local_replied(world.request(), "all") == -1
    assert tm.t_local_replied(world.request(), "last") == -1


def test_t_flush_flags_gives_the_transaction_the_flags_of_now(world: World) -> None:
    msg = world.request()
    assert world.tm.t_flush_flags(msg) == -1
    world.tm.t_newtran(msg)
    msg.flags = 4
    assert world.tm.t_flush_flags(msg) == 1
    assert world.transactions()[0].server.msg_flags == 4


def test_t_was_cancelled_in_the_route_of_replies(world: World) -> None:
    seen: list[int] = []
    world.tm.t_relay(with_onreply(world, lambda msg: seen.append(world.tm.t_was_cancelled(msg)) or 1))
    invite = world.take_to(CALLEE)[0]
    world.reply(invite, 180)
    world.tm.t_relay(world.request("CANCEL"))
    world.reply(invite, 487)
    assert seen == [-1, 1]


def test_the_unnumbered_onreply_route_can_ask_too(world: World) -> None:
    [invite] = start(world)
    reply = world.reply_to(invite, 180)
    seen: list[object] = []

    def route(msg: SipMsg) -> int:
        seen.extend((world.tm.pv_T_reply_code(msg), world.tm.t_was_cancelled(msg)))
        world.tm.t_on_failure(msg, b"1")
        return 1

    run(route, reply, ONREPLY)
    assert world.tm.on_reply_in(reply)
    assert seen == [180, -1]
    [t] = world.transactions()
    assert t.script is not None
    assert t.script.on_failure == b"1"


# -- a whole script ----------

HUNT = """
loadmodule "tm.so"
loadmodule "textops.so"
route {
    if (method == "INVITE") {
        t_on_failure("1");
        t_on_branch("mark");
        t_on_reply("seen");
    }
    t_relay();
}
failure_route[1] {
    if (t_was_cancelled()) exit;
    if (t_check_status("486|408")) {
        $var(tried) = $T_reply_code;
        append_branch("sip:voicemail@192.0.2.30");
        t_on_failure("0");
        t_relay();
    }
}
branch_route[mark] { append_hf("X-Branch: $T_branch_idx\\r\\n"); }
onreply_route[seen] { if (status == "183") drop; }
"""


def test_a_script_hunts_to_its_voicemail() -> None:
    with Script.text(HUNT) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        assert call.request.header("X-Branch") == "1"
        assert script.reply(call.request, 183).replies == []
        busy = script.reply(call.request, 486)
        voicemail = next(one for one in busy.forwarded if one.method == "INVITE")
        assert (voicemail.uri, voicemail.headers("X-Branch")) == ("sip:voicemail@192.0.2.30", ["2"])
        assert script.reply(voicemail, 200).reply.status == 200


def test_a_route_that_does_not_exist_is_found_when_the_script_is_read() -> None:
    from openserd.errors import OpenserError

    with (
        pytest.raises((OpenserError, ExceptionGroup)),
        Script.text(HUNT.replace("failure_route[1]", "failure_route[2]")),
    ):
        pass
