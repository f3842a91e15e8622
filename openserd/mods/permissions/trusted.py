"""Trusted peers: rows of source address, transport protocol, expression for the URI of From, and tag."""

import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from openserd.core.arguments import REGEX_SECONDS
from openserd.core.database.reader import text_of
from openserd.core.database.values import Row, Value
from openserd.errors import ConfigError
from openserd.mods.permissions.basic import basic_regex

if TYPE_CHECKING:
    import regex

    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

PROTOCOLS: Final = {"any": 0, "udp": 1, "tcp": 2, "tls": 3, "sctp": 4}
NEVER: Final = "none"  #: the protocol of a row that is switched off


def shown(text: bytes | None) -> str:
    """A text of the table in `trusted_dump`."""
    return "NULL" if text is None else text.decode("utf-8", "backslashreplace")


class Peer(NamedTuple):
    """One row; `pattern` and `tag` are None for NULL."""

    source: str
    proto: str
    pattern: bytes | None
    tag: bytes | None

    def matches(self, msg: "SipMsg") -> bool:
        """Whether the transport protocol and the URI of From are the peer's. Raises SipError."""
        if self.proto not in ("any", msg.listener.proto):
            return False
        return self.pattern is None or is_found(self.pattern, msg.from_.uri)

    def shown(self, slot: int) -> str:
        """The row in `trusted_dump`."""
        return f"{slot:4d} <{self.source}, {PROTOCOLS[self.proto]}, {shown(self.pattern)}, {shown(self.tag)}>"


@lru_cache(maxsize=4096)
def compiled(pattern: bytes) -> "regex.Pattern[bytes]":
    """An expression, compiled. Raises ConfigError."""
    return basic_regex(pattern.decode("utf-8", "surrogateescape"))


def is_found(pattern: bytes, uri: bytes) -> bool:
    """Whether an expression is found in a URI; one that is none, or takes too long, is not."""
    try:
        return compiled(pattern).search(uri, timeout=REGEX_SECONDS) is not None
    except ConfigError as error:
        log.error("permissions: trusted peers, %r: %s", pattern, error.message)
    except TimeoutError:
        log.warning("permissions: trusted peers, %r took longer than %s s", pattern, REGEX_SECONDS)
    return False


def peer_of(source: str, row: Sequence[Value]) -> Peer | None:
    """The peer in the columns protocol, expression and tag of a row, None where it is switched off. Raises
    ConfigError."""
    proto, pattern, tag = (None if value is None else text_of(value) for value in row)
    word = (proto or b"").decode("latin-1").lower()
    if word == NEVER:
        return None
    if word not in PROTOCOLS:
        raise ConfigError(
            f"permissions: trusted peer {source} has protocol '{word}'", expected=", ".join((*PROTOCOLS, NEVER))
        )
    return Peer(source, word, pattern, tag)


class TrustedPeers:
    """All peers of the table by source address, the last row first (OpenSER). Raises ConfigError for a row that cannot
    be used."""

    __slots__ = ("by_source",)

    def __init__(self, rows: Sequence[Row]) -> None:
        self.by_source: dict[str, list[Peer]] = {}
        for source, *row in reversed(rows):
            place = normal_address(text_of(source).decode("latin-1"))
            peer = peer_of(place, row)
            if peer is None:
                continue
            if peer.pattern is not None:
                compiled(peer.pattern)
            self.by_source.setdefault(place, []).append(peer)

    def __iter__(self) -> Iterator[Peer]:
        """All peers."""
        return (peer for peers in self.by_source.values() for peer in peers)

    def of(self, source: str) -> list[Peer]:
        """The peers with a source address."""
        return self.by_source.get(source, [])


def normal_address(text: str) -> str:
    """An IP address in the form in which the system writes it; any other text as it is."""
    try:
        return str(ip_address(text.strip().strip("[]")))
    except ValueError:
        return text


def usable(source: str, rows: Sequence[Row]) -> Iterator[Peer]:
    """The peers in rows of the database, one after the other; one that cannot be used is passed over."""
    for row in rows:
        try:
            peer = peer_of(source, row)
        except ConfigError as error:
            log.error("%s", error.message)
            continue
        if peer is not None:
            yield peer
