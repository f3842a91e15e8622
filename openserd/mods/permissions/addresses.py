"""Groups of addresses: rows of group, IP address, mask in bits and port, where port 0 is any.

Single addresses are found by their number, subnets by one look for each length of mask there is.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from openserd.core.database.cached import number_of
from openserd.core.database.reader import text_of
from openserd.core.database.values import Row
from openserd.errors import ConfigError

Address = IPv4Address | IPv6Address

#: the addresses of peers come again and again
known_address = lru_cache(maxsize=4096)(ip_address)


class Entry(NamedTuple):
    """One row; of a subnet `address` is the first."""

    group: int
    address: Address
    mask: int
    port: int


class AddressGroups:
    """All rows of the table. Raises ConfigError for one that cannot be used."""

    __slots__ = ("by_shift", "hosts", "subnets")

    def __init__(self, rows: Sequence[Row]) -> None:
        self.by_shift: dict[tuple[int, int], set[tuple[int, int, int]]] = {}
        entries = [entry_of(row) for row in rows]
        self.hosts = [one for one in entries if one.mask == one.address.max_prefixlen]
        subnets = [one for one in entries if one.mask < one.address.max_prefixlen]
        self.subnets = sorted(subnets, key=lambda one: one.group)
        for one in entries:
            shift = one.address.max_prefixlen - one.mask
            known = self.by_shift.setdefault((one.address.version, shift), set())
            known.add((one.group, int(one.address) >> shift, one.port))

    def has(self, group: int, host: str, port: int) -> bool:
        """Whether the group has a host and port; False for what is no IP address."""
        try:
            address = known_address(host)
        except ValueError:
            return False
        number = int(address)
        for (version, shift), known in self.by_shift.items():
            if version == address.version:
                prefix = number >> shift
                if (group, prefix, 0) in known or (group, prefix, port) in known:
                    return True
        return False


def entry_of(row: Row) -> Entry:
    """The entry in a row. Raises ConfigError."""
    group, mask, port = (number_of(row[index]) for index in (0, 2, 3))
    try:
        address = ip_address(text_of(row[1]).decode("latin-1").strip())
    except ValueError:
        raise bad_row(row, "an IP address") from None
    if group is None or group < 0 or port is None or not 0 <= port <= 65535:
        raise bad_row(row, "numbers of group and port")
    if mask is None or not 0 < mask <= address.max_prefixlen:
        raise bad_row(row, f"a mask of 1 to {address.max_prefixlen} bits")
    shift = address.max_prefixlen - mask
    return Entry(group, type(address)(int(address) >> shift << shift), mask, port)


def bad_row(row: Row, expected: str) -> ConfigError:
    """What is wrong with a row."""
    shown = ", ".join(text_of(value).decode("utf-8", "backslashreplace") for value in row)
    return ConfigError(f"permissions: the address <{shown}> cannot be used", expected=expected)


def shown_host(slot: int, entry: Entry) -> str:
    """A single address in `address_dump`."""
    return f"{slot:4d} <{entry.group}, {entry.address}, {entry.port}>"


def shown_subnet(index: int, entry: Entry) -> str:
    """A subnet in `subnet_dump`."""
    return f"{index:4d} <{entry.group}, {entry.address}, {entry.mask}, {entry.port}>"
