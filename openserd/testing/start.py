"""Puts a server together that has no sockets and no processes, for one script."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from openserd.core.context import Core
from openserd.core.module import Module
from openserd.core.network.dns import Resolver, literal
from openserd.core.params import Endpoint
from openserd.errors import ConfigError
from openserd.script import CHECK, Surroundings, load
from openserd.server.assembly import Server, read_text
from openserd.server.listening import know_myself
from openserd.server.loader import ModuleLoader
from openserd.server.options import Options
from openserd.testing.places import is_address
from openserd.testing.sent import KeepingListener, Wire, shown

SERVER: Final = "198.51.100.1"  #: where the server is when the script names no address (RFC 5737)
MEGABYTES: Final = 16
FIRST_RANK: Final = 1


@dataclass
class Setup:
    """What the script may ask of the machine while it is read: definitions (`-A`) and the environment."""

    definitions: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


class NoNetwork(Resolver):
    """Knows the names that a test has given it; several addresses of one have blanks between them."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self.names = names

    def addresses(self, host: bytes) -> tuple[str, ...]:
        """The addresses of `host`; no name but the test's own has one."""
        written = literal(host)
        return (written,) if written else tuple(self.names.get(shown(host).lower().rstrip("."), "").split())


def start_server(core: Core, text: str, file: str, setup: Setup, wire: Wire) -> list[str]:
    """Compiles a script and has its modules prepare themselves; its warnings. Raises ConfigErrors, OpenserError."""

    def configured(modules: list[Module]) -> None:
        core.modules = {module.name: module for module in modules}
        add_listeners(core, wire)

    core.environment = dict(setup.environment)
    around = Surroundings(read_text, setup.definitions, core.environment)
    made = load(text, file, core, ModuleLoader(), CHECK, configured, around)
    core.routes = made.routes
    try:
        Server(core, Options(config=file, argv=["openserd", "-f", file], megabytes=MEGABYTES)).furnish(1)
        core.memory.enter(0)
        for module in core.modules.values():
            module.on_child(FIRST_RANK)
    except BaseException:
        if core.shared is not None:
            core.shared.close()
        raise
    return [str(warning) for warning in made.warnings]


def add_listeners(core: Core, wire: Wire) -> None:
    """Listeners for `listen`; a name or an interface there stands for the address that tests have."""
    params = core.params
    for written in params.listen or [Endpoint("udp", SERVER, 0)]:
        host = written.host if is_address(written.host) else SERVER
        port = written.port or params.port
        if written.proto not in (None, "udp") or core.listening.find("udp", host, port) is not None:
            continue
        core.listening.add(KeepingListener(host, port, wire, params.advertised_address, params.advertised_port))
    if not core.listening.all:
        raise ConfigError("the script listens on no UDP address")
    know_myself(core)
