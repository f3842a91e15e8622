"""Running a route block: what functions see of the place of call, and how a script ends."""

import pytest

from openserd.core.message import SipMsg
from openserd.core.module import BRANCH, FAILURE, REQUEST
from openserd.core.routes import Routes, ScriptExit, run
from tests.support.recording import request


def test_a_block_sees_its_kind_and_clean_script_flags() -> None:
    msg = request()
    msg.script_flags, msg.dropped = 5, True
    seen: list[tuple[int, int, bool]] = []

    def route(msg: SipMsg) -> int:
        seen.append((msg.route_kind, msg.script_flags, msg.dropped))
        return 7

    assert run(route, msg, REQUEST) == 7
    assert seen == [(REQUEST, 0, False)]


def test_a_block_within_a_block_gives_the_outer_kind_back() -> None:
    msg = request()
    kinds: list[int] = []

    def inner(msg: SipMsg) -> int:
        kinds.append(msg.route_kind)
        return 1

    def outer(msg: SipMsg) -> int:
        run(inner, msg, BRANCH)
        kinds.append(msg.route_kind)
        return 1

    run(outer, msg, FAILURE)
    assert (kinds, msg.route_kind) == ([BRANCH, FAILURE], 0)


def test_a_script_that_ends_inside_an_expression_comes_to_0() -> None:
    def route(msg: SipMsg) -> int:
        raise ScriptExit

    msg = request()
    assert run(route, msg, REQUEST) == 0
    assert msg.route_kind == 0


def test_a_fault_of_the_script_is_seen_by_the_caller_and_leaves_no_kind_behind() -> None:
    def route(msg: SipMsg) -> int:
        raise RuntimeError("broken")

    msg = request()
    with pytest.raises(RuntimeError):
        run(route, msg, REQUEST)
    assert msg.route_kind == 0


def test_a_script_without_blocks_has_none() -> None:
    routes = Routes()
    assert (routes.request, routes.reply, routes.error) == (None, None, None)
    assert routes.failure == routes.onreply == routes.branch == {}
