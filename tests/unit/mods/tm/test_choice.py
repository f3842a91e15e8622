"""Which of several final replies goes to the caller, and what a 6xx does to the other branches."""

import itertools

import pytest

from openserd.core.destinations import append_branch
from openserd.core.message import SipMsg
from openserd.mods.tm.replies.choice import Preference, with_challenges
from openserd.parser import names
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory
from tests.unit.mods.tm.conftest import CALLEE, CALLER, SECOND_CALLEE, World
from tests.unit.mods.tm.test_calls import is_gone, start, statuses

SECOND = "sip:bob@192.0.2.21"
THIRD = "sip:bob@192.0.2.22"
OPENSER = {"reply_choice": 0, "disable_6xx_block": 1, "aggregate_challenges": 0, "forward_503": 1}


def best(*found: int, cancelled: bool = False, by_class: bool = True, decline_first: bool = True) -> int:
    """The one of some statuses that goes on."""
    preference = Preference(by_class, decline_first)
    return min(found, key=lambda status: preference.rank(status, cancelled))


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ((404, 603, 302), 603),
        ((600, 603), 600),
        ((500, 486, 302), 302),
        ((500, 486), 486),
        ((403, 401), 401),
        ((404, 407), 407),
        ((407, 401), 401),
        ((400, 415), 415),
        ((400, 420), 420),
        ((404, 484), 484),
        ((408, 486), 408),
        ((503, 504), 504),
        ((503, 486), 486),
        ((503,), 503),
    ],
)
@pytest.mark.conformance("PRX-36")
def test_the_best_reply_is_the_one_that_rfc_3261_prefers(found: tuple[int, ...], chosen: int) -> None:
    for order in itertools.permutations(found):
        assert best(*order) == chosen


def test_the_order_of_all_replies_is_total() -> None:
    codes = range(300, 700)
    ranks = {Preference().rank(code, cancelled=False) for code in codes}
    assert len(ranks) == len(codes)


@pytest.mark.parametrize(("found", "chosen"), [((404, 487), 487), ((302, 487), 487), ((603, 487), 603)])
def test_487_goes_before_all_but_6xx_once_the_caller_has_cancelled(found: tuple[int, ...], chosen: int) -> None:
    assert best(*found, cancelled=True) == chosen


def test_by_number_the_lowest_goes_on_as_in_openser() -> None:
    assert best(603, 486, 404, 407, by_class=False, decline_first=False) == 404
    assert best(503, 504, 603, by_class=False, decline_first=False) == 503
    assert best(503, 486, 603, by_class=False) == 603


@pytest.mark.conformance("PRX-36")
def test_the_best_reply_reaches_the_caller_whatever_the_order(world: World) -> None:
    invites = start(world, SECOND, THIRD)
    for invite, status in zip(invites, (500, 486, 407), strict=True):
        world.reply(invite, status)
    assert statuses(world) == [407]


# -- 6xx --------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("PRX-35", "PRX-41")
def test_a_6xx_cancels_what_rings_and_goes_on_once_all_have_ended(world: World) -> None:
    first, second = start(world, SECOND)
    world.reply(second, 180)
    world.take()
    world.reply(first, 603)
    sent = world.take()
    assert [(a, m.method) for a, m in sent] == [(CALLEE, b"ACK"), (SECOND_CALLEE, b"CANCEL")]
    world.reply(second, 487)
    assert statuses(world) == [603]


def test_a_branch_without_any_reply_is_cancelled_once_it_has_one(world: World) -> None:
    first, second = start(world, SECOND)
    world.reply(first, 603)
    assert [m.method for _, m in world.take()] == [b"ACK"]
    world.reply(second, 180)
    assert (SECOND_CALLEE, b"CANCEL") in [(a, m.method) for a, m in world.take()]
    world.reply(second, 486)
    assert statuses(world) == [603]


def test_a_2xx_that_crosses_the_cancel_after_a_6xx_wins(world: World) -> None:
    first, second = start(world, SECOND)
    world.reply(second, 180)
    world.reply(first, 603)
    world.take()
    world.reply(second, 200)
    assert statuses(world) == [200]


@pytest.mark.parametrize(("disabled", "result", "told"), [(0, -1, [603]), (1, 1, [])])
def test_after_a_6xx_the_failure_route_makes_no_new_branches(
    memory: SharedMemory, caplog: pytest.LogCaptureFixture, disabled: int, result: int, told: list[int]
) -> None:
    world = World(memory, disable_6xx_block=disabled)
    results: list[int] = []

    def route(msg: SipMsg) -> int:
        assert world.tm.pv_T_reply_code(msg) == 603
        append_branch(msg, SECOND.encode())
        results.append(world.tm.t_relay(msg))
        return 1

    world.block("failure", route)
    msg = world.request()
    world.tm.t_on_failure(msg, b"1")
    world.tm.t_relay(msg)
    world.reply(world.take_to(CALLEE)[0], 603)
    assert results == [result]
    assert statuses(world) == told
    assert ("disable_6xx_block" in caplog.text) is not bool(disabled)


def test_a_6xx_to_a_request_that_is_no_invite_waits_for_the_others(world: World) -> None:
    first, second = start(world, SECOND, method="OPTIONS")
    world.reply(first, 600)
    assert world.take() == []
    world.reply(second, 404)
    assert statuses(world) == [600]


def test_a_6xx_is_a_failure_like_others_with_disable_6xx_block(memory: SharedMemory) -> None:
    world = World(memory, **OPENSER)
    first, second = start(world, SECOND)
    world.reply(second, 180)
    world.take()
    world.reply(first, 603)
    assert [m.method for _, m in world.take()] == [b"ACK"]
    world.reply(second, 486)
    assert statuses(world) == [486]


# -- 503 --------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("PRX-37")
def test_a_503_goes_on_as_500_and_the_failure_route_sees_503(world: World) -> None:
    seen: list[int] = []
    world.block("failure", lambda msg: seen.append(world.tm.pv_T_reply_code(msg)) or 1)
    msg = world.request()
    world.tm.t_on_failure(msg, b"1")
    world.tm.t_relay(msg)
    world.reply(world.take_to(CALLEE)[0], 503)
    [reply] = world.take_to(CALLER)
    assert (seen, reply.status, reply.reason) == ([503], 500, b"Server Internal Error")
    assert reply.to_tag is not None
    world.tm.t_relay(world.request("ACK"))
    world.advance(5_200)
    assert is_gone(world)


def test_forward_503_leaves_a_503_as_it_is(memory: SharedMemory) -> None:
    world = World(memory, forward_503=1)
    world.reply(start(world)[0], 503)
    [reply] = world.take_to(CALLER)
    assert (reply.status, reply.reason) == (503, b"Because")


# -- challenges -------------------------------------------------------------------------------------------------


def challenged(world: World, sent: Message, status: int, *lines: bytes) -> None:
    """A challenge from a callee."""
    plain = world.reply_to(sent, status).buf
    world.tm.on_reply_in(
        SipMsg(plain.replace(b"Content-Length", b"".join(lines) + b"Content-Length"), CALLEE, world.wire)
    )


ONE = b'Proxy-Authenticate: Digest realm="one", nonce="1"\r\n'
TWO = b'WWW-Authenticate: Digest realm="two", nonce="2"\r\n'
ALSO_TWO = b'WWW-Authenticate: Digest realm="two", nonce="2", algorithm=SHA-256\r\n'


@pytest.mark.conformance("PRX-38")
def test_the_challenges_of_all_branches_reach_the_caller(world: World) -> None:
    first, second, third = start(world, SECOND, THIRD)
    challenged(world, second, 401, TWO, ALSO_TWO)
    challenged(world, third, 404, b'WWW-Authenticate: Digest realm="no"\r\n')
    challenged(world, first, 407, ONE)
    [reply] = world.take_to(CALLER)
    assert reply.status == 401
    assert TWO + ALSO_TWO + ONE in reply.buf
    assert b'"no"' not in reply.buf
    assert reply.header(names.CONTENT_LENGTH) == b"0"


def test_aggregate_challenges_0_leaves_a_challenge_as_it_is(memory: SharedMemory) -> None:
    world = World(memory, aggregate_challenges=0)
    first, second = start(world, SECOND)
    challenged(world, first, 407, ONE)
    challenged(world, second, 401, TWO)
    [reply] = world.take_to(CALLER)
    assert TWO in reply.buf and ONE not in reply.buf


def test_challenges_of_an_earlier_round_do_not_come_back(world: World) -> None:
    def route(msg: SipMsg) -> int:
        append_branch(msg, SECOND.encode())
        return world.tm.t_relay(msg)

    world.block("failure", route)
    msg = world.request()
    world.tm.t_on_failure(msg, b"1")
    world.tm.t_relay(msg)
    challenged(world, world.take_to(CALLEE)[0], 407, ONE)
    challenged(world, world.take_to(SECOND_CALLEE)[0], 401, TWO)
    [reply] = world.take_to(CALLER)
    assert ONE not in reply.buf


def test_a_challenge_without_challenges_gets_those_of_others_at_its_end() -> None:
    bare = b"SIP/2.0 407 Now\r\nTo: <sip:a@b>\r\n\r\nbody"
    other = b"SIP/2.0 401 Then\r\n" + TWO + b"\r\n"
    assert with_challenges(bare, [other]) == b"SIP/2.0 407 Now\r\nTo: <sip:a@b>\r\n" + TWO + b"\r\nbody"
    assert with_challenges(other, [bare]) == other
