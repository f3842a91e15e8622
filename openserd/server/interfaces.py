"""The machine's own addresses: what no `listen` and interface names in `listen` stand for."""

import array
import fcntl
import socket
import struct
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

SIOCGIFCONF: Final = 0x8912
IFREQ_BYTES: Final = 40  #: 16 of name, then a sockaddr
MOST_ADDRESSES: Final = 256
IF_INET6: Final = Path("/proc/net/if_inet6")
LINK_LOCAL_SCOPE: Final = "20"


def ipv4_addresses() -> list[tuple[str, str]]:
    """(interface, address) of every IPv4 address of this machine, in the system's order (netdevice(7))."""
    space = array.array("B", bytes(IFREQ_BYTES * MOST_ADDRESSES))
    place, size = space.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe.fileno(), SIOCGIFCONF, struct.pack("iL", size, place))
    rows = space.tobytes()[: struct.unpack("iL", answer)[0]]
    return [
        (rows[at : at + 16].partition(b"\0")[0].decode(), socket.inet_ntoa(rows[at + 20 : at + 24]))
        for at in range(0, len(rows), IFREQ_BYTES)
    ]


def ipv6_addresses() -> list[tuple[str, str]]:
    """(interface, address) of every IPv6 address that is not link-local."""
    try:
        lines = IF_INET6.read_text().splitlines()
    except OSError:
        return []
    rows = (line.split() for line in lines)
    return [(row[5], str(IPv6Address(int(row[0], 16)))) for row in rows if row[3] != LINK_LOCAL_SCOPE]


def all_addresses() -> list[str]:
    """What a server without `listen` listens on: every IPv4 address (OpenSER), once each."""
    return list(dict.fromkeys(address for _, address in ipv4_addresses()))


def addresses_of(interface: str) -> list[str]:
    """Every address of one interface; none where there is no such interface."""
    return [address for name, address in ipv4_addresses() + ipv6_addresses() if name.partition(":")[0] == interface]
