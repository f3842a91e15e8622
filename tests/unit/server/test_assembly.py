"""How declarations of modules become parts of a server, before anything is forked or bound."""

from pathlib import Path

import pytest

from openserd.core.arguments import Str
from openserd.core.context import Core
from openserd.core.management.mi import Reply
from openserd.core.management.statistics import Statistic
from openserd.core.module import Every, Mi, Module, Process, param, stat
from openserd.core.network.transport import Listener
from openserd.errors import ConfigError
from openserd.script import ConfigErrors
from openserd.server.assembly import SHMEM_STATISTICS, Server, announce, interval, mi_command, read_configuration
from openserd.server.options import Options
from openserd.server.processes import RANK_MASTER, RANK_MODULE, RANK_TIMER
from openserd.server.udp import UdpListener
from openserd.shm.memory import SharedMemory


class Sample(Module):
    """A module with one of everything that a server has to pick up."""

    name = "sample"
    pause: int = param(7)
    mi = {
        "s_none": Mi(),
        "s_some": Mi(Str("a"), Str("b", optional=True)),
        "s_any": Mi(Str("first"), rest=True),
    }
    timers = {"tick": Every("pause"), "fast": Every(0.1)}
    hooks = ("ack_in",)
    processes = {"helper": Process("SAMPLE helper")}
    seen = stat("seen")
    size = stat("size", computed=True)

    def on_init(self, core: Core) -> None:
        assert self.core is core
        core.publish("sample", self)

    def mi_s_none(self) -> Reply:
        return Reply(reason="none")

    def mi_s_some(self, a: str, b: str = "-") -> Reply:
        return Reply(reason=a + b)

    def mi_s_any(self, *words: str) -> Reply:
        return Reply(reason=" ".join(words))

    def timer_tick(self) -> None:
        """Nothing."""

    def timer_fast(self) -> None:
        """Nothing."""

    def on_ack_in(self, msg: object) -> bool:
        return True

    def process_helper(self) -> None:
        """Nothing."""

    def stat_size(self) -> int:
        return 42


@pytest.fixture
def server() -> Server:
    core = Core()
    core.params.set("children", [2])
    for port in (5060, 5070):
        core.listening.add(UdpListener("udp", "127.0.0.1", port))
    core.modules["sample"] = Sample(pause=9)
    return Server(core, Options())


def test_an_interval_is_a_number_or_the_value_of_a_parameter() -> None:
    assert interval(Sample(), Every(0.1)) == 0.1
    assert interval(Sample(pause=9), Every("pause")) == 9.0


@pytest.mark.parametrize(
    ("name", "arguments", "code", "reason"),
    [
        ("s_none", [], 200, "none"),
        ("s_none", ["x"], 400, "Too few or too many arguments"),
        ("s_some", ["x"], 200, "x-"),
        ("s_some", ["x", "y"], 200, "xy"),
        ("s_some", [], 400, "Too few or too many arguments"),
        ("s_some", ["x", "y", "z"], 400, "Too few or too many arguments"),
        ("s_any", ["x", "y", "z"], 200, "x y z"),
        ("s_any", [], 400, "Too few or too many arguments"),
    ],
)
def test_an_mi_command_takes_as_many_arguments_as_declared(
    name: str, arguments: list[str], code: int, reason: str
) -> None:
    module = Sample()
    command = mi_command(module, name, module.mi[name])
    assert (command.name, command.module, command.no_input) == (name, "sample", name == "s_none")
    reply = command.call(arguments)
    assert (reply.code, reply.reason) == (code, reason)


def test_a_module_s_declarations_join_the_registries_of_the_server(server: Server) -> None:
    core, module = server.core, server.core.modules["sample"]
    server.initialise(module)
    assert core.published["sample"] is module
    assert {"s_none", "s_some", "s_any"} <= set(core.mi.commands)
    assert [(name, seconds) for name, seconds, _ in core.timers] == [("sample tick", 9.0), ("sample fast", 0.1)]
    assert core.ack_in == [module.on_ack_in]  # type: ignore[attr-defined]
    size, seen = (next(core.statistics.select(f"sample:{name}")) for name in ("size", "seen"))
    assert (size.value(), size.resettable, seen.value(), seen.resettable) == (42, False, 0, True)


def test_processes_stand_in_openser_s_order_with_its_titles(server: Server) -> None:
    server.add_roles()
    assert [(role.rank, role.title) for role in server.table.roles] == [
        (RANK_MASTER, "attendant"),
        (1, "receiver child=0 sock= 127.0.0.1:5060"),
        (2, "receiver child=1 sock= 127.0.0.1:5060"),
        (3, "receiver child=0 sock= 127.0.0.1:5070"),
        (4, "receiver child=1 sock= 127.0.0.1:5070"),
        (RANK_TIMER, "timer"),
        (RANK_MODULE, "SAMPLE helper"),
    ]


def test_without_fork_one_process_receives_on_the_first_listener(server: Server) -> None:
    server.core.params.set("fork", [0])
    server.add_roles()
    assert [role.title for role in server.table.roles] == [
        "stand-alone receiver @ 127.0.0.1:5060",
        "timer",
        "SAMPLE helper",
    ]


def test_assembling_binds_makes_memory_and_shares_every_statistic(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[Core] = []
    monkeypatch.setattr("openserd.server.assembly.bind", bound.append)
    server.options.megabytes = 4
    server.assemble()
    core = server.core
    assert bound == [core]
    assert core.memory.is_sealed
    assert len(server.processes()) == core.memory.n_processes == 7
    shared = [one for one in core.statistics.by_name.values() if one.compute is None]
    assert shared and all(one.counters is not None for one in shared)
    for name in SHMEM_STATISTICS:
        assert next(core.statistics.select(f"shmem:{name}")).value() >= 0
    assert next(core.statistics.select("shmem:total_size")).value() == 4 << 20
    assert {"ps", "uptime", "s_none"} <= set(core.mi.commands)
    assert core.timers[-1][1] <= 60, "shared memory is swept"
    server.table.words = None
    core.memory.close()


def test_a_sweep_that_frees_nothing_says_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.core.shared = SharedMemory(1, 1)
    server.core.memory.seal()
    with caplog.at_level("INFO", "openserd"):
        server.sweep()
    assert caplog.messages == []
    server.core.memory.close()


SCRIPT = """
listen=udp:127.0.0.1:5060
children=3
loadmodule "sl.so"
route { sl_send_reply("404", "Not here"); }
"""


def written(tmp_path: Path, text: str) -> Options:
    path = tmp_path / "openser.cfg"
    path.write_text(text)
    return Options(config=str(path))


def test_a_script_becomes_a_core_with_parameters_listeners_modules_and_routes(tmp_path: Path) -> None:
    options = written(tmp_path, SCRIPT)
    options.children = 5
    core, script = read_configuration(options)
    assert core.params.children == 5, "the command line wins"
    assert [str(one) for one in core.listening.all] == ["udp:127.0.0.1:5060"]
    assert list(core.modules) == ["sl"]
    assert core.routes is script.routes and core.routes.request is not None


def test_a_script_that_cannot_be_read_is_named_with_the_option_for_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_configuration(Options(config=str(tmp_path / "absent.cfg")))
    assert str(refused.value) == (
        f"cannot read {tmp_path}/absent.cfg: No such file or directory\n"
        "  hint: name the configuration file with -f FILE"
    )


def test_a_script_with_mistakes_tells_all_of_them_with_their_places(tmp_path: Path) -> None:
    options = written(tmp_path, SCRIPT.replace("sl_send_reply", "sl_send_repl") + "route[1] { nothing(); }\n")
    with pytest.raises(ConfigErrors) as refused:
        read_configuration(options)
    assert f"{options.config}:5:9: unknown function sl_send_repl" in str(refused.value)
    assert f"{options.config}:6:12: unknown function nothing" in str(refused.value)


def test_bytes_that_are_no_utf_8_do_not_stop_the_reading(tmp_path: Path) -> None:
    options = written(tmp_path, SCRIPT)
    Path(options.config).write_bytes(b"# caf\xe9\n" + SCRIPT.encode())
    read_configuration(options)


def test_the_announcement_names_listeners_and_where_to_register(capsys: pytest.CaptureFixture[str]) -> None:
    core = Core()
    for host, port in (("127.0.0.1", 5060), ("192.0.2.5", 5060)):
        core.listening.add(UdpListener("udp", host, port))
    announce(core)
    said = capsys.readouterr().err
    assert "    udp:127.0.0.1:5060\n    udp:192.0.2.5:5060\n" in said
    assert "registrar 192.0.2.5 (UDP)" in said, "a phone on another machine cannot use the loopback"


def test_the_announcement_names_a_port_that_is_not_the_usual_one(capsys: pytest.CaptureFixture[str]) -> None:
    core = Core()
    core.listening.add(UdpListener("udp", "127.0.0.1", 5070))
    announce(core)
    assert "registrar 127.0.0.1:5070 (UDP)" in capsys.readouterr().err


def test_statistics_of_a_module_are_those_on_its_bound_object() -> None:
    module = Sample()
    assert isinstance(module.seen, Statistic) and isinstance(module.size, Statistic)
    assert issubclass(UdpListener, Listener)
