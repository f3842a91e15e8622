"""From a host name to its addresses: literals, the hosts file, then one bounded question to the resolver.

An answer is kept for a minute, a failure for ten seconds, per process.  Services and priorities (RFC 3263) are not
looked at: a name without a port means its addresses and the default port.  What several addresses are for is
`forward.py`'s.

A question blocks its worker, so names in hostile messages must not keep a worker waiting: after a slow answer, or
none, nothing is asked for three times as long as it took.  Meanwhile unknown names have no address and known ones keep
the one they had.  A silent resolver costs a worker a quarter of its time at most.
"""

import re
import time
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

import dns.exception
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA  # these are otherwise loaded with the first answer, which a chroot would not allow
import dns.resolver

ANSWER_SECONDS: Final = 60.0
FAILURE_SECONDS: Final = 10.0
LOOKUP_SECONDS: Final = 2.0
SLOW_SECONDS: Final = 0.1  #: an answer that takes longer is followed by a pause
PAUSE_FACTOR: Final = 3.0
MOST_NAMES: Final = 4096
MOST_ADDRESSES: Final = 12  #: of one name
HOSTS_FILE: Final = Path("/etc/hosts")

_IPV4: Final = re.compile(rb"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!\Z)|\Z)){4}\Z")


def literal(host: bytes) -> str | None:
    """The address that `host` is, IPv6 in brackets; None for a name, and for brackets around anything else."""
    if _IPV4.match(host):
        return host.decode()
    if host.startswith(b"["):
        try:
            return str(IPv6Address(host[1:-1].decode("latin-1")))
        except ValueError:
            return None
    return None


class Resolver:
    """Host names to IP addresses, for one process."""

    def __init__(self, hosts_file: Path = HOSTS_FILE) -> None:
        self.hosts_file = hosts_file
        self.hosts: dict[str, tuple[str, ...]] | None = None
        self.known: dict[bytes, tuple[float, tuple[str, ...]]] = {}  #: name -> (good until, addresses), oldest first
        self.asks_again_at = 0.0

    def address(self, host: bytes) -> str | None:
        """The first address of `host`, None where there is none."""
        found = self.addresses(host)
        return found[0] if found else None

    def addresses(self, host: bytes) -> tuple[str, ...]:
        """The addresses of `host` (a literal, with brackets when IPv6, or a name) in the order in which to try them."""
        written = literal(host)
        if written is not None:
            return (written,)
        found = self.known.get(host)
        now = time.monotonic()
        if found is not None and found[0] >= now:
            return found[1]
        name = host.decode("latin-1").lower().rstrip(".")
        answer = self.of_hosts_file(name)
        if not answer:
            if host.startswith(b"[") or now < self.asks_again_at:
                return found[1] if found is not None else ()
            answer = self.ask(name)
            end = time.monotonic()
            if end - now > SLOW_SECONDS:
                self.asks_again_at = end + PAUSE_FACTOR * (end - now)
        answer = answer[:MOST_ADDRESSES]
        self.keep(host, answer, now + (ANSWER_SECONDS if answer else FAILURE_SECONDS))
        return answer

    def keep(self, host: bytes, answer: tuple[str, ...], until: float) -> None:
        """Remembers an answer, in the place of the oldest one when there are very many."""
        self.known.pop(host, None)
        if len(self.known) >= MOST_NAMES:
            del self.known[next(iter(self.known))]
        self.known[host] = (until, answer)

    def of_hosts_file(self, name: str) -> tuple[str, ...]:
        """The addresses that the hosts file gives `name`."""
        if self.hosts is None:
            self.hosts = read_hosts(self.hosts_file)
        return self.hosts.get(name, ())

    @staticmethod
    def ask(name: str) -> tuple[str, ...]:
        """What the resolver says: A, else AAAA; blocks for LOOKUP_SECONDS at most."""
        deadline = time.monotonic() + LOOKUP_SECONDS
        for kind in ("A", "AAAA"):
            lifetime = deadline - time.monotonic()
            if lifetime <= 0:
                break
            try:
                found = tuple(str(record) for record in dns.resolver.resolve(name, kind, lifetime=lifetime))
            except (dns.exception.DNSException, OSError, UnicodeError):
                continue
            if found:
                return found
        return ()


def read_hosts(path: Path) -> dict[str, tuple[str, ...]]:
    """Names of a hosts file, in lower case, to their addresses; IPv4 before IPv6."""
    names: dict[str, list[str]] = {}
    try:
        lines = path.read_text("latin-1").splitlines()
    except OSError:
        return {}
    for line in lines:
        address, *aliases = line.partition("#")[0].split() or [""]
        for alias in aliases:
            names.setdefault(alias.lower(), []).append(address)
    return {
        name: tuple(sorted(dict.fromkeys(addresses), key=lambda address: ":" in address))
        for name, addresses in names.items()
    }
