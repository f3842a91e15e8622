"""What a function of the core is to the compiler, and the argument kinds that only these functions have.

A core function is called as f(msg, *values), as a module's is; `bind` gives it the server it belongs to.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from openserd.core.arguments import Arg, Context, Int
from openserd.core.log import LEVEL_NAMES
from openserd.core.module import Fn
from openserd.core.network.addresses import normal_host
from openserd.core.network.transport import DEFAULT_PORT, Listener
from openserd.errors import ConfigError, SipError
from openserd.parser.qvalue import parse_q

if TYPE_CHECKING:
    from openserd.core.context import Core

Function = Callable[..., int]
Factory = Callable[["Core"], Function]


class Command:
    """One function of the core: `name` and `aliases`, its arguments in `fn`, and what makes it for a server.

    `forms` are the arguments by their number where they mean something else than in `fn`; `unavailable` says
    why the function cannot be used, "" where it can.
    """

    def __init__(
        self,
        name: str,
        aliases: tuple[str, ...],
        fn: Fn,
        factory: Factory,
        *,
        forms: tuple[Fn, ...] = (),
        unavailable: str = "",
    ) -> None:
        self.name = name
        self.aliases = aliases
        self.fn = fn
        self.factory = factory
        self.forms = forms
        self.unavailable = unavailable

    def form(self, n_args: int) -> Fn:
        """The arguments of a call with `n_args` of them; `fn` where no form has that number."""
        return next((form for form in self.forms if n_args in form.arities), self.fn)

    def bind(self, core: "Core") -> Function:
        """The function for one server."""
        return self.factory(core)


def plain(function: Function) -> Factory:
    """The factory of a function that does not ask which server it belongs to."""
    return lambda core: function


def by_name(*commands: Command) -> dict[str, Command]:
    """Commands under their names and aliases."""
    return {name: command for command in commands for name in (command.name, *command.aliases)}


# -- argument kinds -----------------------------------------------------------------------------------------

_ADDRESS: Final = re.compile(
    r"(?:(udp|tcp|tls|any):)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE
)
MAX_PORT: Final = 65535


class Peer(NamedTuple):
    """A fixed address in the script: `proto` "" where none is written, `port` 0 likewise; IPv6 without
    brackets."""

    proto: str
    host: str
    port: int

    @property
    def transport(self) -> str:
        """The transport to use."""
        return self.proto or "udp"

    @property
    def port_used(self) -> int:
        """The port to use."""
        return self.port or DEFAULT_PORT[self.transport]


class PeerArg(Arg):
    """`[proto:]host[:port]`; arrives as a Peer."""

    expects = "[proto:]host[:port], proto one of udp, tcp, tls"

    def compile(self, text: str, context: Context) -> object:
        return self.read(text)

    def read(self, text: str) -> Peer:
        """The address in `text`. Raises ConfigError."""
        match = _ADDRESS.fullmatch(text.strip())
        if match is None or int(match[3] or 0) > MAX_PORT:
            raise ConfigError(f"'{text}' is no address", expected=self.expects)
        proto = (match[1] or "").lower()
        return Peer("" if proto == "any" else proto, match[2].strip("[]"), int(match[3] or 0))


class SocketArg(PeerArg):
    """`[proto:]host[:port]` of a socket that the server listens on; arrives as the Listener.

    Looks at the listeners of the server that the compiler works for: `core` of the context or of its module.
    """

    def compile(self, text: str, context: Context) -> object:
        peer = self.read(text)
        core: Any = getattr(context, "core", None) or context.module.core
        found = find_listener(core, peer)
        if found is None:
            known = ", ".join(map(str, core.listeners))
            raise ConfigError(
                f"the server does not listen on {text.strip()}",
                expected=f"one of {known or 'the sockets the server listens on'}",
                hint="listen= adds a socket",
            )
        return found


def find_listener(core: Any, peer: Peer) -> Listener | None:
    """The first listener of the server with that host and, where they are written, transport and port."""
    hosts = {normal_host(peer.host.encode())}
    if not any(normal_host(one.host.encode()) in hosts for one in core.listeners):
        address = core.resolver.address(peer.host.encode())
        hosts |= {normal_host(address.encode())} if address else set()
    listeners: list[Listener] = core.listeners
    return next(
        (
            one
            for one in listeners
            if normal_host(one.host.encode()) in hosts and peer.proto in ("", one.proto) and peer.port in (0, one.port)
        ),
        None,
    )


class PreferenceArg(Arg):
    """A q value from 0 to 1 with up to three decimals; arrives in thousandths."""

    expects = "a number from 0 to 1 with up to three decimals"

    def compile(self, text: str, context: Context) -> object:
        try:
            return parse_q(text.strip().encode())
        except SipError as error:
            raise ConfigError(f"'{text}' is no q value: {error.reason}", expected=self.expects) from None


class PortArg(Arg):
    """A port as text, empty to have none; arrives as a number, 0 for none."""

    expects = "a port from 1 to 65535"

    def compile(self, text: str, context: Context) -> object:
        word = text.strip()
        if word and not (word.isdigit() and 0 < int(word) <= MAX_PORT):
            raise ConfigError(f"'{text}' is no port", expected=self.expects)
        return int(word or 0)


class LevelArg(Int):
    """A log level, as number or by its name L_ERR ...; arrives as OpenSER's number."""

    expects = f"a number from -3 to 4, or one of {', '.join(LEVEL_NAMES)}"

    def compile(self, text: str, context: Context) -> object:
        level = LEVEL_NAMES.get(text.strip())
        return super().compile(text, context) if level is None else level
