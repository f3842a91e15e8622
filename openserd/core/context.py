"""Core: everything that one server knows, handed to modules and to whoever runs a route.

Made by the master while it reads the configuration, complete before the fork, then the same in every process.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from openserd import __version__
from openserd.core.management.mi import MiRegistry
from openserd.core.management.statistics import Statistic, Statistics
from openserd.core.network.addresses import Listeners, Myself
from openserd.core.network.blacklists import Blacklists
from openserd.core.network.dns import Resolver
from openserd.core.params import GlobalParams
from openserd.core.routes import Routes
from openserd.errors import ConfigError
from openserd.shm.memory import SharedMemory

if TYPE_CHECKING:
    from openserd.core.forward import NextHop, Way
    from openserd.core.message import SipMsg
    from openserd.core.module import Module

log = logging.getLogger("openserd")

SERVER_NAME = f"OpenSER ({__version__} openserd)"

CORE_STATISTICS = (
    "rcv_requests", "rcv_replies", "fwd_requests", "fwd_replies", "drop_requests", "drop_replies", "err_requests",
    "err_replies", "bad_URIs_rcvd", "unsupported_methods", "bad_msg_hdr",
)  # fmt: skip


class CoreStats:
    """The statistics of the group `core`, one attribute each (OpenSER: core_stats.c)."""

    rcv_requests: Statistic
    rcv_replies: Statistic
    fwd_requests: Statistic
    fwd_replies: Statistic
    drop_requests: Statistic
    drop_replies: Statistic
    err_requests: Statistic
    err_replies: Statistic
    bad_URIs_rcvd: Statistic
    unsupported_methods: Statistic
    bad_msg_hdr: Statistic

    def __init__(self, statistics: Statistics) -> None:
        for name in CORE_STATISTICS:
            setattr(self, name, statistics.add(Statistic("core", name)))


class Core:
    """One server: its parameters, addresses, shared memory, modules, routes and registries.

    `process` is this process's row in every shared table, `rank` its OpenSER rank (0 master, -1 timer, workers from 1).
    """

    def __init__(self, params: GlobalParams | None = None) -> None:
        self.params = params or GlobalParams()
        self.myself = Myself()
        self.is_myself = self.myself.matches  #: whether host and port (0 when not written) are this server's
        self.listening = Listeners()
        self.resolver = Resolver()
        self.statistics = Statistics()
        self.stats = CoreStats(self.statistics)
        #: how a reply made here ends when nothing is added to it and it has no body; b"" before the first
        self.reply_end = b""
        self.mi = MiRegistry()
        self.routes = Routes()
        self.direct_hops: dict[
            Way, NextHop
        ] = {}  #: ways to literal addresses that were taken before (`core/forward.py`)
        self.blacklists: Blacklists | None = None  #: there once the script uses one
        self.modules: dict[str, Module] = {}
        self.published: dict[str, object] = {}
        self.ack_in: list[Callable[[SipMsg], bool]] = []
        self.request_out: list[Callable[[SipMsg], None]] = []
        self.reply_in: list[Callable[[SipMsg], bool]] = []
        self.timers: list[tuple[str, float, Callable[[], None]]] = []
        self.shared: SharedMemory | None = None
        self.process = 0
        self.rank = 0
        self.environment: dict[str, str] = {}  #: what `$env(NAME)` reads
        self.script = ""  #: the path of the configuration file; data files without a folder are beside it

    @property
    def memory(self) -> SharedMemory:
        """The shared memory; made before modules are initialised."""
        assert self.shared is not None, "shared memory is not there yet"
        return self.shared

    @property
    def listeners(self) -> list[Any]:
        """All listeners in their order."""
        return self.listening.all

    def publish(self, name: str, thing: object) -> None:
        """Makes `thing` available to other modules by `name`."""
        self.published[name] = thing

    def require(self, name: str) -> Any:
        """What another module published. Raises ConfigError where it is not loaded."""
        if name not in self.published:
            raise ConfigError(f"module {name} is needed but not loaded", hint=f'add loadmodule "{name}.so" before')
        return cast(Any, self.published[name])

    @property
    def server_header(self) -> bytes:
        """The Server header line of replies made here, b"" when `server_signature` is off."""
        if not self.params.server_signature:
            return b""
        return (self.params.server_header or f"Server: {SERVER_NAME}").encode() + b"\r\n"

    def make_reply_end(self) -> bytes:
        """Makes `reply_end`, once all parameters are known; no property keeps it, as that would make a dict of this
        object, and every attribute of it slower."""
        self.reply_end = self.server_header + b"Content-Length: 0\r\n\r\n"
        return self.reply_end
