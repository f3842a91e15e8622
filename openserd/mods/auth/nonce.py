"""Nonces: what a challenge asks to be signed, and how it is known again (RFC 7616 sections 3.3 and 5.4).

    8 hex digits    when it expires, in seconds since 1970
   32 hex digits    MD5 of these digits and the secret                         (OpenSER's form)

    8 hex digits    when it expires
   16 hex digits    chance: no two challenges have the same nonce
   32 hex digits    keyed hash of what stands before                           (with one_time_nonce)

No state: whoever knows the secret can tell a nonce of its own, in whichever process and after whatever time.
"""

import os
from hashlib import blake2b
from typing import Final

from openserd.mods.auth.digest import MD5, is_equal

EXPIRY_DIGITS: Final = 8
UNIQUE_DIGITS: Final = 16
SIGNATURE_DIGITS: Final = 32
MAX_KEY: Final = blake2b.MAX_KEY_SIZE

NEVER: Final = -1
MOST_KNOWN: Final = 1024


class Nonces:
    """Makes nonces that are good for `lifetime` seconds, and knows them again.

    `is_unique` makes each one different; otherwise all that are made in one second are the same, as in OpenSER.
    A nonce that was known again is not looked into the next time: many phones come with the same one.
    """

    __slots__ = ("is_unique", "key", "known", "length", "lifetime", "secret")

    def __init__(self, secret: bytes, lifetime: int, *, is_unique: bool = False) -> None:
        self.secret = secret
        self.lifetime = lifetime
        self.is_unique = is_unique
        self.known: dict[bytes, int] = {}  #: nonce -> when it expires
        self.key = secret if len(secret) <= MAX_KEY else blake2b(secret).digest()
        self.length = EXPIRY_DIGITS + (UNIQUE_DIGITS if is_unique else 0) + SIGNATURE_DIGITS

    def make(self, now: int) -> bytes:
        """A nonce for a challenge that is sent at `now`."""
        told = b"%08x" % (now + self.lifetime & 0xFFFFFFFF)
        if self.is_unique:
            told += os.urandom(UNIQUE_DIGITS // 2).hex().encode()
        return told + self.signature(told)

    def expires(self, nonce: bytes) -> int:
        """When a nonce expires, in seconds since 1970; NEVER (-1) where it is not one that was made here."""
        known = self.known.get(nonce)
        if known is not None:
            return known
        told = nonce[:-SIGNATURE_DIGITS]
        if len(nonce) != self.length or not is_equal(self.signature(told), nonce[-SIGNATURE_DIGITS:]):
            return NEVER
        expires = int(told[:EXPIRY_DIGITS], 16)
        if not self.is_unique:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            self.known[nonce] = expires
        return expires

    def signature(self, told: bytes) -> bytes:
        """What proves that the rest of a nonce was written here."""
        if not self.is_unique:
            return MD5.hash(told + self.secret)
        return blake2b(told, digest_size=SIGNATURE_DIGITS // 2, key=self.key).hexdigest().encode()


def identity(nonce: bytes) -> bytes:
    """What tells a nonce with a unique part from all others: expiry and chance, 12 bytes."""
    return bytes.fromhex(nonce[: EXPIRY_DIGITS + UNIQUE_DIGITS].decode())
