"""How a Record-Route parameter remembers a From URI: both URIs joined by exclusive or, then in base 64.

Whoever has one of the two gets the other from it: the caller's requests and the callee's are put right by the same
parameter.  The shorter URI counts as filled up with zeros; a password is joined in over and over.  `-` stands for the
`=` of base 64.  (OpenSER: encode_from() and decode_from() in from.c.)
"""

import binascii
from base64 import b64decode, b64encode

from openserd.errors import SipError
from openserd.parser.uri import parse_uri


def joined(one: bytes, two: bytes) -> bytes:
    """Two texts by exclusive or, as long as the longer."""
    length = max(len(one), len(two))
    number = int.from_bytes(one.ljust(length, b"\0"), "big") ^ int.from_bytes(two.ljust(length, b"\0"), "big")
    return number.to_bytes(length, "big")


def masked(text: bytes, password: bytes) -> bytes:
    """`text` with the password joined in."""
    if not password:
        return text
    return joined(text, (password * (len(text) // len(password) + 1))[: len(text)])


def scramble(one: bytes, two: bytes, password: bytes) -> bytes:
    """The value of the parameter for two URIs."""
    return b64encode(masked(joined(one, two), password)).replace(b"=", b"-")


def unscramble(value: bytes, known: bytes, password: bytes) -> bytes:
    """The other URI. Raises SipError where the value is damaged or `known` is neither of the two."""
    try:
        pair = masked(b64decode(value.replace(b"-", b"="), validate=True), password)
    except binascii.Error:
        raise SipError("uac: the parameter is damaged") from None
    if len(pair) < len(known):
        raise SipError("uac: the URI is not the one that was replaced")
    uri = joined(pair, known).rstrip(b"\0")
    return parse_uri(uri).raw
