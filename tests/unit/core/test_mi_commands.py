"""The core's MI commands over a server that only tells of itself."""

import os
import re
import time

import pytest

from openserd.core.context import SERVER_NAME, Core
from openserd.core.management.commands import register
from openserd.core.management.mi import Command, Node, Reply
from openserd.core.management.statistics import Statistic


class Info:
    """A server with two processes."""

    def __init__(self) -> None:
        self.started_at = time.time() - 90
        self.argv = ["openserd", "-f", "openser.cfg"]
        self.stopped = False

    def processes(self) -> list[tuple[int, int, str]]:
        return [(0, 100, "attendant"), (1, 101, "receiver child=0 sock= 127.0.0.1:5060")]

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def info() -> Info:
    return Info()


@pytest.fixture
def core(info: Info) -> Core:
    core = Core()
    register(core, info)
    return core


def call(core: Core, name: str, *arguments: str) -> Reply:
    command = core.mi.find(name)
    assert command is not None
    return command.call(list(arguments))


def values(reply: Reply) -> list[object]:
    return [node.value for node in reply.nodes]


def test_every_core_command_is_there_and_reads_what_it_should(core: Core) -> None:
    no_input = {name for name, command in core.mi.commands.items() if command.no_input}
    assert no_input == {"uptime", "version", "pwd", "arg", "which", "ps", "kill", "list_blacklists"}
    assert set(core.mi.commands) - no_input == {"get_statistics", "reset_statistics"}


def test_ps_tells_id_pid_and_type(core: Core) -> None:
    assert call(core, "ps").nodes == [
        Node("Process", "", {"ID": 0, "PID": 100, "Type": "attendant"}),
        Node("Process", "", {"ID": 1, "PID": 101, "Type": "receiver child=0 sock= 127.0.0.1:5060"}),
    ]


def test_which_tells_all_names_also_those_of_modules(core: Core) -> None:
    core.mi.add(Command("ul_dump", Reply, module="usrloc"))
    assert values(call(core, "which")) == list(core.mi.commands)
    assert "ul_dump" in values(call(core, "which"))


def test_version_names_the_server(core: Core) -> None:
    assert call(core, "version").nodes == [Node("Server", SERVER_NAME)]


def test_uptime_tells_two_moments_and_their_distance(core: Core) -> None:
    now, since, up = call(core, "uptime").nodes
    assert (now.name, since.name, up.name) == ("Now", "Up since", "Up time")
    assert len(str(now.value)) == len(str(since.value)) == 24
    assert re.fullmatch(r"9[01] \[sec\]", str(up.value))


def test_uptime_is_never_negative(core: Core, info: Info) -> None:
    info.started_at = time.time() + 1000
    assert call(core, "uptime").nodes[2].value == "0 [sec]"


def test_pwd_tells_the_working_directory(core: Core) -> None:
    assert call(core, "pwd").nodes == [Node("WD", os.getcwd())]


def test_arg_tells_the_command_line(core: Core) -> None:
    assert values(call(core, "arg")) == ["openserd", "-f", "openser.cfg"]


def test_kill_answers_before_the_server_ends(core: Core, info: Info) -> None:
    reply = call(core, "kill")
    assert (reply.code, info.stopped) == (200, False)
    assert reply.after is not None
    reply.after()
    assert info.stopped


def test_get_statistics_takes_names_groups_and_all(core: Core) -> None:
    core.statistics.add(Statistic("tm", "2xx_transactions")).bump(3)
    core.statistics.add(Statistic("tm", "inuse_transactions", compute=lambda: 7))
    core.stats.rcv_requests.bump()
    assert values(call(core, "get_statistics", "tm:")) == [
        "tm:2xx_transactions = 3",
        "tm:inuse_transactions = 7",
    ]
    assert values(call(core, "get_statistics", "RCV_requests", "", "nothing")) == ["core:rcv_requests = 1"]
    assert len(values(call(core, "get_statistics", "all"))) == len(core.statistics.by_name)


@pytest.mark.parametrize("command", ["get_statistics", "reset_statistics"])
def test_statistics_that_are_not_there(core: Core, command: str) -> None:
    assert (call(core, command).code, call(core, command, "nothing").code) == (400, 404)
    assert call(core, command, "nothing").reason == "Statistics Not Found"
    assert call(core, command, "").code == 404


def test_reset_sets_to_zero_what_can_be_reset(core: Core) -> None:
    core.statistics.add(Statistic("usrloc", "users", resettable=False)).bump(5)
    core.stats.rcv_requests.bump(2)
    assert call(core, "reset_statistics", "rcv_requests", "users").code == 200
    assert values(call(core, "get_statistics", "rcv_requests", "users")) == [
        "core:rcv_requests = 0",
        "usrloc:users = 5",
    ]
