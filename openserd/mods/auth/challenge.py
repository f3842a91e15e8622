"""Challenges: the header lines that ask a phone for credentials (RFC 3261 section 22, RFC 7616 3.3, RFC 8760 2.4)."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from openserd.mods.auth.digest import ALGORITHMS, AUTH, AUTH_INT, MD5, Algorithm
from openserd.parser.params import quote

if TYPE_CHECKING:
    from openserd.mods.auth.nonce import Nonces

WWW: Final = b"WWW-Authenticate"
PROXY: Final = b"Proxy-Authenticate"

_LINE_BREAK: Final = re.compile(rb"[\r\n]+")


def parse_algorithms(text: str) -> list[Algorithm] | None:
    """Algorithms by their names, separated by commas; None where one is not known or there is none."""
    found = [ALGORITHMS.get(name.strip().lower().encode()) for name in text.split(",")]
    return None if None in found else [algorithm for algorithm in found if algorithm is not None]


def check_algorithms(text: str) -> str | None:
    """The check of the parameter `algorithms`."""
    known = ", ".join(algorithm.name.decode() for algorithm in ALGORITHMS.values())
    return None if parse_algorithms(text) else f"some of {known}, separated by commas"


def parse_qop(text: str) -> list[bytes]:
    """The qop options in a list separated by commas."""
    return [word.strip().lower().encode() for word in text.split(",") if word.strip()]


def check_qop(text: str) -> str | None:
    """The check of the parameter `qop`."""
    options = parse_qop(text)
    return None if options and {*options} <= {AUTH, AUTH_INT} else "auth, auth-int or both, separated by a comma"


class Challenger:
    """Writes challenges: one line for each of `algorithms`, the one preferred first.

    OpenSER writes no algorithm, which means MD5; so does this while there is no other.  Where nonces are not unique,
    challenges of one second are the same, and written once.
    """

    __slots__ = ("algorithms", "last", "last_lines", "nonces", "qop")

    def __init__(self, nonces: "Nonces", algorithms: Sequence[Algorithm] = (MD5,), qop: Sequence[bytes] = (AUTH,)):
        self.nonces = nonces
        self.algorithms = algorithms
        self.qop = b",".join(qop)
        self.last: tuple[bytes, bytes, int, bool, bool] | None = None  #: what `last_lines` were written for
        self.last_lines: tuple[bytes, ...] = ()

    def lines(self, name: bytes, realm: bytes, now: int, has_qop: bool, is_stale: bool) -> tuple[bytes, ...]:
        """The header lines of a challenge that is sent at `now`."""
        asked = name, realm, now, has_qop, is_stale
        if asked != self.last or self.nonces.is_unique:
            self.last = asked
            self.last_lines = self.write(name, realm, now, has_qop, is_stale)
        return self.last_lines

    def write(self, name: bytes, realm: bytes, now: int, has_qop: bool, is_stale: bool) -> tuple[bytes, ...]:
        """As `lines`, written anew."""
        head = b"%b: Digest realm=%b" % (name, quote(_LINE_BREAK.sub(b" ", realm)))
        tail = b', qop="%b"' % self.qop if has_qop else b""
        if is_stale:
            tail += b", stale=true"
        nonce = self.nonces.make(now)
        return tuple(
            b'%b, nonce="%b"%b%b\r\n' % (head, nonce, tail, self.algorithm_field(algorithm))
            for algorithm in self.algorithms
        )

    def algorithm_field(self, algorithm: Algorithm) -> bytes:
        """The algorithm as it is written, nothing where MD5 is the only one."""
        return b"" if len(self.algorithms) == 1 and algorithm is MD5 else b", algorithm=%b" % algorithm.name
