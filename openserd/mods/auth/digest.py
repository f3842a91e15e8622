"""Digest computation: from a password to the response a phone must give (RFC 7616 section 3.4, RFC 8760, RFC 2617).

    HA1       H(user:realm:password), for a -sess algorithm H(HA1:nonce:cnonce)
    HA2       H(method:uri), with qop auth-int H(method:uri:H(body))
    response  H(HA1:nonce:HA2), with qop H(HA1:nonce:nc:cnonce:qop:HA2)

Everything is bytes; hashes are written in lower-case hexadecimal.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, Protocol

try:  # The interpreter's own MD5 where it has it: OpenSSL's costs 1.7 us a call against 0.8, and is off in FIPS mode.
    from _md5 import md5 as _md5  # type: ignore[import-not-found]
except ImportError:
    from hashlib import md5 as _md5


class Digest(Protocol):
    """What a hash function makes."""

    def hexdigest(self) -> str:
        """The hash in hexadecimal."""


Hash = Callable[[bytes], Digest]

AUTH: Final = b"auth"
AUTH_INT: Final = b"auth-int"


class Algorithm:
    """One value of the `algorithm` field: `name` as it is written, what it computes, `suffix` of columns with its HA1.

    A session algorithm (`is_session`) mixes nonce and cnonce into HA1.
    """

    __slots__ = ("digits", "is_session", "make", "name", "suffix")

    def __init__(self, name: bytes, make: Hash, digits: int, suffix: str) -> None:
        self.name = name
        self.make = make
        self.digits = digits  #: how long a response is
        self.suffix = suffix
        self.is_session = name.endswith(b"-sess")

    def __repr__(self) -> str:
        return f"Algorithm({self.name.decode()})"

    def hash(self, data: bytes) -> bytes:
        """The hash of `data` in hexadecimal."""
        make = self.make
        return make(data).hexdigest().encode()


def sha512_256(data: bytes) -> Digest:
    """SHA-512/256 (FIPS 180-4), which is not the first half of SHA-512."""
    return hashlib.new("sha512_256", data)


MD5: Final = Algorithm(b"MD5", _md5, 32, "")

#: By name in lower case, as a phone may write it.
ALGORITHMS: Final = {
    algorithm.name.lower(): algorithm
    for algorithm in (
        MD5,
        Algorithm(b"MD5-sess", _md5, 32, ""),
        Algorithm(b"SHA-256", hashlib.sha256, 64, "_sha256"),
        Algorithm(b"SHA-256-sess", hashlib.sha256, 64, "_sha256"),
        Algorithm(b"SHA-512-256", sha512_256, 64, "_sha512t256"),
        Algorithm(b"SHA-512-256-sess", sha512_256, 64, "_sha512t256"),
    )
}
#: By name as it is written here, and by most phones.
AS_WRITTEN: Final = {algorithm.name: algorithm for algorithm in ALGORITHMS.values()}


def calc_ha1(user: bytes, realm: bytes, password: bytes, algorithm: Algorithm = MD5) -> bytes:
    """What is stored instead of a password; the same for an algorithm and its session form."""
    return algorithm.hash(b":".join((user, realm, password)))


def calc_ha2(method: bytes, uri: bytes, algorithm: Algorithm = MD5, body: bytes | None = None) -> bytes:
    """HA2; `body` is that of the message for qop auth-int, None without."""
    if body is None:
        return algorithm.hash(b":".join((method, uri)))
    return algorithm.hash(b":".join((method, uri, algorithm.hash(body))))


def calc_response(
    ha1: bytes,
    ha2: bytes,
    nonce: bytes,
    qop: bytes = b"",
    nc: bytes = b"",
    cnonce: bytes = b"",
    algorithm: Algorithm = MD5,
) -> bytes:
    """The response to a challenge with `nonce`; without qop that of RFC 2069.

    `ha1` is the stored one in any case: session algorithms make theirs of it.
    """
    if algorithm.is_session:
        ha1 = algorithm.hash(b":".join((ha1, nonce, cnonce)))
    if qop:
        return algorithm.hash(b":".join((ha1, nonce, nc, cnonce, qop, ha2)))
    return algorithm.hash(b":".join((ha1, nonce, ha2)))


#: is_equal(expected, given): whether two texts are equal, found out in a time that does not tell how much of them is.
is_equal: Final = hmac.compare_digest
