"""Credentials, and the answer to a challenge (RFC 3261 section 22, RFC 7616)."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from openserd.errors import ConfigError, SipError
from openserd.parser.digest import parse_challenge

if TYPE_CHECKING:
    from openserd.parser.digest import Challenge
    from openserd.parser.message import Message

EXPECTED: Final = "user:realm:password"
_CREDENTIAL: Final = re.compile(r"\s*([^\s:]+)\s*:\s*([^\s:]+)\s*:\s*(\S+)\s*")
HASHES: Final = {b"md5": "md5", b"sha-256": "sha256", b"sha-512-256": "sha512_256"}
HEADERS: Final = {
    401: (b"WWW-Authenticate", b"Authorization"),
    407: (b"Proxy-Authenticate", b"Proxy-Authorization"),
}
NONCE_COUNT: Final = b"00000001"  #: a nonce is used once


class Credential(NamedTuple):
    """A user's password in a realm."""

    user: bytes
    realm: bytes
    password: bytes


Known = Callable[[bytes], Credential | None]  #: what finds the credential for a realm


def parse_credential(text: str) -> Credential:
    """`user:realm:password`. Raises ConfigError."""
    match = _CREDENTIAL.fullmatch(text)
    if match is None:
        raise ConfigError("this is no credential", expected=EXPECTED)
    user, realm, password = (part.encode("utf-8", "surrogateescape") for part in match.groups())
    return Credential(user, realm, password)


def credential_check(text: str) -> str | None:
    """A check of the parameter."""
    return None if _CREDENTIAL.fullmatch(text) else EXPECTED


def challenges_of(reply: "Message") -> Iterable["Challenge"]:
    """The challenges of a 401 or 407 that can be read."""
    if reply.status not in HEADERS:
        return
    for line in reply.indexes_named(HEADERS[reply.status][0]):
        try:
            challenge = parse_challenge(reply.value(line))
        except SipError:
            continue
        if challenge.is_digest and challenge.realm is not None and challenge.nonce:
            yield challenge


def answer(reply: "Message", method: bytes, uri: bytes, known: Known) -> bytes | None:
    """The header line that answers a 401 or 407 to a request; None where there is no challenge that can be answered."""
    for challenge in challenges_of(reply):
        credential = known(challenge.realm or b"")
        algorithm = (challenge.algorithm or b"MD5").lower().removesuffix(b"-sess")
        if credential is None or algorithm not in HASHES or not offers_auth(challenge):
            continue
        name = HEADERS[reply.status][1]
        return b"%b: Digest %b\r\n" % (name, response_fields(challenge, credential, method, uri))
    return None


def offers_auth(challenge: "Challenge") -> bool:
    """Whether the response need not cover the body."""
    return challenge.qop is None or b"auth" in qops(challenge)


def qops(challenge: "Challenge") -> list[bytes]:
    """The qualities of protection on offer."""
    return [one.strip().lower() for one in (challenge.qop or b"").split(b",") if one.strip()]


def response_fields(challenge: "Challenge", credential: Credential, method: bytes, uri: bytes) -> bytes:
    """The fields of the answer."""
    realm, nonce = challenge.realm or b"", challenge.nonce or b""
    algorithm = challenge.algorithm or b"MD5"
    has_qop = bool(qops(challenge))
    cnonce = secrets.token_hex(8).encode() if has_qop or algorithm.lower().endswith(b"-sess") else b""
    response = digest_response(algorithm, credential, nonce, cnonce, has_qop, method, uri)
    fields = [
        b'username="%b"' % escaped(credential.user),
        b'realm="%b"' % escaped(realm),
        b'nonce="%b"' % escaped(nonce),
        b'uri="%b"' % escaped(uri),
    ]
    if challenge.opaque:
        fields.append(b'opaque="%b"' % escaped(challenge.opaque))
    fields += (b'response="%b"' % response, b"algorithm=%b" % algorithm)
    if cnonce:
        fields.append(b'cnonce="%b"' % cnonce)
    if has_qop:
        fields += (b"qop=auth", b"nc=" + NONCE_COUNT)
    return b", ".join(fields)


def digest_response(
    algorithm: bytes, credential: Credential, nonce: bytes, cnonce: bytes, has_qop: bool, method: bytes, uri: bytes
) -> bytes:
    """The response in hexadecimal (RFC 7616 section 3.4.1)."""
    hash_name = HASHES[algorithm.lower().removesuffix(b"-sess")]

    def hashed(*parts: bytes) -> bytes:
        return hashlib.new(hash_name, b":".join(parts)).hexdigest().encode()

    ha1 = hashed(credential.user, credential.realm, credential.password)
    if algorithm.lower().endswith(b"-sess"):
        ha1 = hashed(ha1, nonce, cnonce)
    ha2 = hashed(method, uri)
    if has_qop:
        return hashed(ha1, nonce, NONCE_COUNT, cnonce, b"auth", ha2)
    return hashed(ha1, nonce, ha2)


def escaped(text: bytes) -> bytes:
    """Text as part of a quoted string."""
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
