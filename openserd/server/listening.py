"""From `listen`, `port`, `alias` and the command line to listeners and to what counts as `myself`."""

import logging
import socket
from ipaddress import ip_address

from openserd.core.context import Core
from openserd.core.network.dns import HOSTS_FILE, read_hosts
from openserd.core.params import Endpoint
from openserd.errors import ConfigError, ResourceError
from openserd.server.interfaces import addresses_of, all_addresses
from openserd.server.udp import Multicast, UdpListener, udp_listeners

log = logging.getLogger("openserd")


def make_listeners(core: Core) -> None:
    """Fills `core.listening` and `core.myself` from the parameters. Raises ConfigError, ResourceError."""
    params = core.params
    for endpoint in params.listen or [Endpoint("udp", address, 0) for address in all_addresses()]:
        if endpoint.proto not in (None, "udp"):
            log.warning("listen=%s:%s: this version receives by UDP only", endpoint.proto, endpoint.host)
            continue
        for address in resolve(endpoint.host):
            port = endpoint.port or params.port
            if core.listening.find("udp", address, port) is None:
                core.listening.add(
                    UdpListener(
                        "udp",
                        address,
                        port,
                        advertised_host=params.advertised_address,
                        advertised_port=params.advertised_port,
                    )
                )
    if not core.listening.all:
        raise ResourceError("there is no address to listen on: name one with listen=ADDRESS or -l ADDRESS")
    core.listening.mhomed = params.mhomed
    know_myself(core)


def resolve(host: str) -> list[str]:
    """The addresses that `host` in `listen` stands for: itself, those of an interface, or that of a name."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    of_interface = addresses_of(host)
    if of_interface:
        return of_interface
    try:
        return [str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0])]
    except OSError:
        raise ConfigError(
            f"cannot listen on '{host}'", expected="an address, an interface of this machine or a host name"
        ) from None


def know_myself(core: Core) -> None:
    """Makes listeners, aliases and, with `auto_aliases`, their names in the hosts file count as this server."""
    params = core.params
    for listener in core.listening.all:
        core.myself.add(listener.host.encode(), listener.port)
    for alias in params.alias:
        core.myself.add(alias.host.encode(), alias.port)
    if params.auto_aliases:
        hosts = read_hosts(HOSTS_FILE)
        for name, addresses in hosts.items():
            for listener in core.listening.all:
                if listener.host in addresses:
                    core.myself.add(name.encode(), listener.port)


def bind(core: Core) -> None:
    """Opens every listener's sockets: one for each receiver, or one that all share. Raises ResourceError."""
    params = core.params
    multicast = Multicast(params.mcast_loopback, params.mcast_ttl)
    n_sockets = params.children if params.fork and params.socket_mode == "reuseport" else 1
    for listener in udp_listeners(core.listening.all):
        listener.bind(n_sockets, params.maxbuffer, params.tos, multicast)
