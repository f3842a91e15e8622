"""The compiled script as the rest of the server sees it: one function per route block.

A route function takes the message and returns OpenSER's code; 0 means that the script has ended.  `run` is the one way
in for everybody who starts a block: the receiver, a transaction, a timer.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

RouteFn = Callable[["SipMsg"], int]


class ScriptExit(Exception):
    """Ends the script from inside an expression (a function there returned 0)."""


class Routes:
    """The blocks of one script: `request` is `route`, `reply` the unnumbered `onreply_route`; the others by name."""

    __slots__ = ("branch", "error", "failure", "onreply", "reply", "request")

    def __init__(self, request: RouteFn | None = None) -> None:
        self.request = request
        self.reply: RouteFn | None = None
        self.error: RouteFn | None = None
        self.failure: dict[str, RouteFn] = {}
        self.onreply: dict[str, RouteFn] = {}
        self.branch: dict[str, RouteFn] = {}


def run(route: RouteFn, msg: "SipMsg", kind: int) -> int:
    """Runs a top-level block over `msg`: script flags start at 0, `kind` is what functions see as the place of call."""
    before = msg.route_kind
    msg.route_kind = kind
    msg.script_flags = 0
    msg.dropped = False
    try:
        return route(msg)
    except ScriptExit:
        return 0
    finally:
        msg.route_kind = before
