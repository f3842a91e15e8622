"""Core functions that write to the log, and the stop-watch (OpenSER: builds with timing)."""

import time
from typing import TYPE_CHECKING, Any, Final

from openserd.core import log
from openserd.core.arguments import Str
from openserd.core.module import ANY_ROUTE, OK, Fn
from openserd.script.commands.command import Command, Function, LevelArg, by_name, plain

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg


def shown(text: bytes) -> str:
    """Script text as a log line: what is no UTF-8 is escaped, the line end that scripts write is taken
    off."""
    return text.decode("utf-8", "backslashreplace").rstrip("\r\n")


def write_log(msg: "SipMsg", *arguments: Any) -> int:
    """log("text") or log(level, "text"): 1; a text alone is at the level of debugging."""
    level, text = arguments if len(arguments) > 1 else (log.L_DBG, *arguments)
    if log.is_active(level):
        log.log_line(level, shown(text))
    return OK


def error(msg: "SipMsg", code: bytes, reason: bytes) -> int:
    """error: 1; only logs that it was called, as in OpenSER."""
    log.log_line(log.L_WARN, f'error("{shown(code)}", "{shown(reason)}") does nothing')
    return OK


def set_debug(core: "Core") -> Function:
    """setdebug(level), or setdebug() for the level of the configuration: what this process logs from now on.
    1."""

    def set_level(msg: "SipMsg", level: int | None = None) -> int:
        log.set_debug(core.params.debug if level is None else level)
        return OK

    return set_level


class StopWatch:
    """The stop-watch of one process: a label and when it was started, in nanoseconds."""

    def __init__(self) -> None:
        self.label = b""
        self.started = 0

    def start(self, msg: "SipMsg", label: bytes) -> int:
        """set_time_stamp: 1."""
        self.label = label
        self.started = time.perf_counter_ns()
        return OK

    def restart(self, msg: "SipMsg") -> int:
        """reset_time_stamp: 1."""
        self.started = time.perf_counter_ns()
        return OK

    def report(self, msg: "SipMsg", level: int, label: bytes) -> int:
        """diff_time_stamp: 1; logs the microseconds since the stop-watch was started, 0 where it never
        was."""
        elapsed = (time.perf_counter_ns() - self.started) // 1000 if self.started else 0
        log.log_line(level, f"{shown(label)}: {elapsed} us since {shown(self.label) or 'start'}")
        return OK


stop_watch: Final = StopWatch()

TEXT: Final = Fn(Str("text"), routes=ANY_ROUTE)
LEVEL_AND_TEXT: Final = Fn(LevelArg("level"), Str("text"), routes=ANY_ROUTE)

COMMANDS: Final = by_name(
    Command("diff_time_stamp", (), Fn(LevelArg("level"), Str("label"), routes=ANY_ROUTE), plain(stop_watch.report)),
    Command("error", (), Fn(Str("code"), Str("reason"), routes=ANY_ROUTE), plain(error)),
    Command(
        "log",
        (),
        Fn(Str("level or text"), Str("text", optional=True), routes=ANY_ROUTE),
        plain(write_log),
        forms=(TEXT, LEVEL_AND_TEXT),
    ),
    Command("reset_time_stamp", (), Fn(routes=ANY_ROUTE), plain(stop_watch.restart)),
    Command("set_time_stamp", (), Fn(Str("label"), routes=ANY_ROUTE), plain(stop_watch.start)),
    Command("setdebug", (), Fn(LevelArg("level", optional=True), routes=ANY_ROUTE), set_debug),
)
