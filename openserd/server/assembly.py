"""Puts a server together: configuration, listeners, shared memory, modules, roles; all that precedes the first fork."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from openserd.core.context import Core
from openserd.core.management.commands import register
from openserd.core.management.mi import Command
from openserd.core.management.statistics import Statistic
from openserd.core.module import Every, Mi, Module
from openserd.core.params import GlobalParams
from openserd.core.receive import Receiver
from openserd.errors import ConfigError
from openserd.script import Script, Surroundings, load
from openserd.server.control_socket import TITLE, ControlSocket, settings_of
from openserd.server.fatal import FatalMessages
from openserd.server.gathering import LOOK_SECONDS, Gathering, can_steer
from openserd.server.in_hand import InHand
from openserd.server.listening import bind, make_listeners
from openserd.server.loader import ModuleLoader
from openserd.server.options import Options
from openserd.server.processes import RANK_CONTROL, RANK_MASTER, RANK_MODULE, RANK_TIMER, ProcessTable, Role
from openserd.server.timer import TimerLoop
from openserd.server.udp import UdpListener, UdpReceiver, udp_listeners
from openserd.shm.memory import SharedMemory

log = logging.getLogger("openserd")

SWEEP_SECONDS = 30.0
SHMEM_STATISTICS = ("total_size", "used_size", "real_used_size", "max_used_size", "free_size", "fragments")


def read_text(path: str) -> str:
    """The text of a script's file."""
    return Path(path).read_text("utf-8", "surrogateescape")


def read_configuration(options: Options) -> tuple[Core, Script]:
    """The script of `options.config`, compiled, in a core of its own. Raises ConfigError or ConfigErrors."""
    core = Core(GlobalParams())
    options.override(core.params)
    try:
        text = read_text(options.config)
    except OSError as error:
        raise ConfigError(
            f"cannot read {options.config}: {error.strerror}", hint="name the configuration file with -f FILE"
        ) from None

    def configured(modules: list[Module]) -> None:
        core.modules = {module.name: module for module in modules}
        make_listeners(core)

    core.environment = dict(os.environ)
    around = Surroundings(read_text, options.definitions, core.environment)
    script = load(text, options.config, core, ModuleLoader(), options.check, configured, around)
    core.routes = script.routes
    return core, script


class Server:
    """A server whose processes have not been forked yet."""

    def __init__(self, core: Core, options: Options) -> None:
        self.core = core
        self.options = options
        self.table = ProcessTable()
        self.started_at = time.time()
        settings = settings_of(core.params)
        self.control = ControlSocket(core.mi, settings) if settings.path else None

    def assemble(self) -> None:
        """Binds, makes shared memory, initialises modules, decides who does what. Raises OpenserError."""
        bind(self.core)
        self.add_roles()
        self.furnish(len(self.table.roles))
        if self.control is not None:
            self.control.open()

    def close(self) -> None:
        """Takes away what stands in the file system; in the master, at the end."""
        if self.control is not None:
            self.control.close()

    def furnish(self, n_processes: int) -> None:
        """Shared memory and everything in it: modules, statistics, management. Raises OpenserError."""
        core = self.core
        core.shared = SharedMemory(self.options.megabytes, n_processes)
        for module in core.modules.values():
            self.initialise(module)
        register(core, self)
        for name in SHMEM_STATISTICS:
            core.statistics.add(Statistic("shmem", name, compute=partial(shmem_value, core, name)))
        for module in core.modules.values():
            module.on_ready(core)
        core.timers.append(("sweep of shared memory", SWEEP_SECONDS, self.sweep))
        core.statistics.share(core.memory.counters)
        self.table.share(core.memory)
        core.memory.seal()

    # -- modules --------------------------------------------------------------------------------------------

    def initialise(self, module: Module) -> None:
        """Lets a module prepare itself and joins its declarations to the server's registries."""
        core = self.core
        module.core = core
        module.on_init(core)
        for declared in module.statistics():
            statistic: Statistic = getattr(module, declared.attribute)
            statistic.resettable = declared.resettable
            if declared.computed:
                statistic.compute = getattr(module, f"stat_{declared.attribute}")
            core.statistics.add(statistic)
        for name, command in module.mi.items():
            core.mi.add(mi_command(module, name, command))
        for name, every in module.timers.items():
            core.timers.append((f"{module.name} {name}", interval(module, every), getattr(module, f"timer_{name}")))
        for hook in module.hooks:
            getattr(core, hook).append(getattr(module, f"on_{hook}"))

    def sweep(self) -> None:
        """Frees what killed processes have left in shared memory, and what nobody uses any more."""
        slots, blobs = self.core.memory.tidy()
        if slots or blobs:
            log.info(
                "sweep of shared memory: freed %d records and %d blocks that dead processes had left", slots, blobs
            )

    # -- roles ----------------------------------------------------------------------------------------------

    def add_roles(self) -> None:
        """Decides which processes there are, in OpenSER's order."""
        params = self.core.params
        listeners = udp_listeners(self.core.listening.all)
        first = listeners[0]
        master = "attendant" if params.fork else f"stand-alone receiver @ {first.host}:{first.port}"
        self.table.add(Role(master, RANK_MASTER, self.nothing))
        if self.control is not None:
            for _ in range(params.unix_sock_children):
                self.table.add(Role(TITLE, RANK_CONTROL, self.control.serve))
        if params.fork:
            self.add_receivers(listeners)
        self.table.add(Role("timer", RANK_TIMER, self.run_timer))
        for module in self.core.modules.values():
            for name, process in module.own_processes().items():
                self.table.add(Role(process.title, RANK_MODULE, getattr(module, f"process_{name}")))

    def add_receivers(self, listeners: list[UdpListener]) -> None:
        """The receivers of each listener, ranked from 1 on."""
        rank = 0
        fatal = FatalMessages()
        for listener in listeners:
            rows = []
            for number in range(self.core.params.children):
                rank += 1
                title = f"receiver child={number} sock= {listener.host}:{listener.port}"
                in_hand = InHand(fatal)
                run = self.receiver(listener, number, in_hand)
                rows.append(self.table.add(Role(title, rank, run, in_hand)))
            if self.core.params.gather_load and can_steer(listener):
                self.gather(listener, rows)

    def gather(self, listener: UdpListener, rows: list[int]) -> None:
        """Lets the timer process decide how many of a listener's receivers, in `rows`, get its datagrams."""
        gathering = Gathering(listener, lambda: [self.table.pid(row) for row in rows])
        self.core.timers.append((f"load of {listener}", LOOK_SECONDS, lambda: gathering.look(time.monotonic())))

    def receiver(self, listener: UdpListener, number: int, in_hand: InHand) -> Callable[[], None]:
        """The life of receiver `number` of `listener`."""

        def run() -> None:
            self.core.listening.serving = listener
            for one in udp_listeners(self.core.listening.all):
                one.use(number)
            loop = UdpReceiver(listener, Receiver(self.core), in_hand)
            signal.signal(signal.SIGTERM, lambda *_: loop.stop())
            loop.run()

        return run

    def run_timer(self) -> None:
        """The life of the timer process."""
        loop = TimerLoop(self.core.timers, time.monotonic())
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        loop.run()

    @staticmethod
    def nothing() -> None:
        """The master's row: it runs no role."""

    # -- what management asks -------------------------------------------------------------------------------

    @property
    def argv(self) -> list[str]:
        """The command line."""
        return self.options.argv

    def processes(self) -> list[tuple[int, int, str]]:
        """(row, pid, title) of all processes."""
        return self.table.processes()

    def stop(self) -> None:
        """Ends the server (MI `kill`)."""
        os.kill(self.table.pid(0), signal.SIGTERM)


def shmem_value(core: Core, name: str) -> int:
    """One statistic of group shmem."""
    return core.memory.statistics()[name]


def mi_command(module: Module, name: str, declared: Mi) -> Command:
    """A module's MI command as the registry keeps it."""
    required = sum(not argument.optional for argument in declared.args)
    most = None if declared.rest else len(declared.args)
    return Command(name, getattr(module, f"mi_{name}"), required, most, module.name, declared.later)


def interval(module: Module, every: Every) -> float:
    """Seconds between two runs of a timer."""
    return float(getattr(module, every.seconds) if isinstance(every.seconds, str) else every.seconds)


def announce(core: Core) -> None:
    """Prints what the server listens on and how a phone registers, for whoever started it in a terminal."""
    lines = ["openserd is running.  Listening on"]
    lines += [f"    {listener}" for listener in core.listening.all]
    first = core.listening.all[0]
    host = next((one.host for one in core.listening.all if not one.host.startswith("127.")), first.host)
    port = "" if first.port == 5060 else f":{first.port}"
    lines += [
        "Register a phone: any user name, no password, domain and registrar "
        f"{host}{port} (UDP), then call another user of this server.",
        "Stop with Ctrl-C.",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)
