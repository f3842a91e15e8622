"""The commands that every server has, whatever modules it loads (OpenSER: mi/mi_core.c, statistics.c).

Each is a function over the core or over what the server tells of itself.
"""

import os
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

from openserd.core.context import SERVER_NAME, Core
from openserd.core.management.mi import Command, MiRegistry, Reply
from openserd.core.management.statistics import Statistic, Statistics
from openserd.core.network.blacklists import list_blacklists

NOT_FOUND = "Statistics Not Found"


class ServerInfo(Protocol):
    """What the server tells of itself."""

    @property
    def started_at(self) -> float:
        """When it was started, wall clock seconds."""

    @property
    def argv(self) -> Sequence[str]:
        """Its command line."""

    def processes(self) -> Iterable[tuple[int, int, str]]:
        """(id, pid, title) of each process."""

    def stop(self) -> None:
        """Ends the server, as SIGTERM does."""


def register(core: Core, info: ServerInfo) -> None:
    """Adds the core's commands to the registry."""
    for command in (
        Command("uptime", partial(uptime, info)),
        Command("version", version),
        Command("pwd", pwd),
        Command("arg", partial(arg, info)),
        Command("which", partial(which, core.mi)),
        Command("ps", partial(ps, info)),
        Command("kill", partial(kill, info)),
        Command("list_blacklists", partial(list_blacklists, core.params.blacklists)),
        Command("get_statistics", partial(get_statistics, core.statistics), 1, None),
        Command("reset_statistics", partial(reset_statistics, core.statistics), 1, None),
    ):
        core.mi.add(command)


def uptime(info: ServerInfo) -> Reply:
    """The time now, the time of the start, the seconds between them."""
    now = time.time()
    reply = Reply()
    reply.add("Now", time.ctime(now))
    reply.add("Up since", time.ctime(info.started_at))
    reply.add("Up time", f"{max(0, int(now) - int(info.started_at))} [sec]")
    return reply


def version() -> Reply:
    """Name and version of the server."""
    reply = Reply()
    reply.add("Server", SERVER_NAME)
    return reply


def pwd() -> Reply:
    """The directory that the server works in."""
    reply = Reply()
    reply.add("WD", os.getcwd())
    return reply


def arg(info: ServerInfo) -> Reply:
    """The command line, one node an argument."""
    reply = Reply()
    for argument in info.argv:
        reply.add(value=argument)
    return reply


def which(registry: MiRegistry) -> Reply:
    """The names of all commands."""
    reply = Reply()
    for name in registry.commands:
        reply.add(value=name)
    return reply


def ps(info: ServerInfo) -> Reply:
    """The processes of the server."""
    reply = Reply()
    for number, pid, title in info.processes():
        reply.add("Process", ID=number, PID=pid, Type=title)
    return reply


def kill(info: ServerInfo) -> Reply:
    """Ends the server once this is answered (OpenSER: answers nothing)."""
    return Reply(after=info.stop)


def get_statistics(statistics: Statistics, *words: str) -> Reply:
    """The statistics that `words` name: `all`, `group:` or a name; 404 where they name none."""
    reply = Reply()
    for statistic in selected(statistics, words):
        reply.add(value=f"{statistic.group}:{statistic.name} = {statistic.value()}")
    return reply if reply.nodes else Reply(404, NOT_FOUND)


def reset_statistics(statistics: Statistics, *words: str) -> Reply:
    """Sets the statistics that `words` name to zero where that is possible; 404 where they name none.

    OpenSER takes single names only; here a group and `all` are understood as well.
    """
    chosen = selected(statistics, words)
    for statistic in chosen:
        statistic.reset()
    return Reply() if chosen else Reply(404, NOT_FOUND)


def selected(statistics: Statistics, words: Iterable[str]) -> list[Statistic]:
    """The statistics that `words` name, in their order; empty words name none."""
    return [statistic for word in words if word for statistic in statistics.select(word)]
