"""Core functions on flags: of the message, of a branch, of the script. There are 32 of each kind."""

from typing import TYPE_CHECKING, Final

from openserd.core.arguments import Int
from openserd.core.destinations import MAX_BRANCHES
from openserd.core.module import ANY_ROUTE, FALSE, OK, Fn
from openserd.script.commands.command import Command, by_name, plain

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

MAX_FLAG: Final = 31


def set_flag(msg: "SipMsg", flag: int) -> int:
    """setflag: 1."""
    msg.flags |= 1 << flag
    return OK


def reset_flag(msg: "SipMsg", flag: int) -> int:
    """resetflag: 1."""
    msg.flags &= ~(1 << flag)
    return OK


def is_flag_set(msg: "SipMsg", flag: int) -> int:
    """isflagset: 1 set, -1 not."""
    return OK if msg.flags & (1 << flag) else FALSE


def set_script_flag(msg: "SipMsg", flag: int) -> int:
    """setsflag: 1."""
    msg.script_flags |= 1 << flag
    return OK


def reset_script_flag(msg: "SipMsg", flag: int) -> int:
    """resetsflag: 1."""
    msg.script_flags &= ~(1 << flag)
    return OK


def is_script_flag_set(msg: "SipMsg", flag: int) -> int:
    """issflagset: 1 set, -1 not."""
    return OK if msg.script_flags & (1 << flag) else FALSE


def branch_flags(msg: "SipMsg", branch: int) -> int | None:
    """The flags of a branch, 0 being the request URI; None where there is no such branch."""
    if branch == 0:
        return msg.branch_flags
    return msg.branches[branch - 1].flags if branch <= len(msg.branches) else None


def write_branch_flags(msg: "SipMsg", branch: int, flags: int) -> None:
    """Replaces the flags of a branch that exists."""
    if branch == 0:
        msg.branch_flags = flags
    else:
        msg.branches[branch - 1].flags = flags


def set_branch_flag(msg: "SipMsg", first: int, second: int | None = None) -> int:
    """setbflag(flag) or (branch, flag): 1, -1 where there is no such branch."""
    branch, flag = (0, first) if second is None else (first, second)
    flags = branch_flags(msg, branch)
    if flags is None:
        return FALSE
    write_branch_flags(msg, branch, flags | 1 << flag)
    return OK


def reset_branch_flag(msg: "SipMsg", first: int, second: int | None = None) -> int:
    """resetbflag(flag) or (branch, flag): 1, -1 where there is no such branch."""
    branch, flag = (0, first) if second is None else (first, second)
    flags = branch_flags(msg, branch)
    if flags is None:
        return FALSE
    write_branch_flags(msg, branch, flags & ~(1 << flag))
    return OK


def is_branch_flag_set(msg: "SipMsg", first: int, second: int | None = None) -> int:
    """isbflagset(flag) or (branch, flag): 1 set, -1 not, or no such branch."""
    branch, flag = (0, first) if second is None else (first, second)
    flags = branch_flags(msg, branch)
    return OK if flags is not None and flags & (1 << flag) else FALSE


FLAG: Final = Fn(Int("flag", lo=0, hi=MAX_FLAG), routes=ANY_ROUTE)
BRANCH_AND_FLAG: Final = Fn(Int("branch", lo=0, hi=MAX_BRANCHES - 1), Int("flag", lo=0, hi=MAX_FLAG), routes=ANY_ROUTE)
FLAG_OF_BRANCH: Final = Fn(
    Int("flag or branch", lo=0, hi=MAX_FLAG), Int("flag", lo=0, hi=MAX_FLAG, optional=True), routes=ANY_ROUTE
)
FORMS: Final = (FLAG, BRANCH_AND_FLAG)

COMMANDS: Final = by_name(
    Command("isbflagset", ("isbranchflagset",), FLAG_OF_BRANCH, plain(is_branch_flag_set), forms=FORMS),
    Command("isflagset", (), FLAG, plain(is_flag_set)),
    Command("issflagset", ("isscriptflagset",), FLAG, plain(is_script_flag_set)),
    Command("resetbflag", ("resetbranchflag",), FLAG_OF_BRANCH, plain(reset_branch_flag), forms=FORMS),
    Command("resetflag", (), FLAG, plain(reset_flag)),
    Command("resetsflag", ("resetscriptflag",), FLAG, plain(reset_script_flag)),
    Command("setbflag", ("setbranchflag",), FLAG_OF_BRANCH, plain(set_branch_flag), forms=FORMS),
    Command("setflag", (), FLAG, plain(set_flag)),
    Command("setsflag", ("setscriptflag",), FLAG, plain(set_script_flag)),
)
