import random

import pytest

from openserd.errors import SipError
from openserd.parser import digest
from openserd.parser.digest import parse_challenge, parse_credentials

FULL = (
    b'DIGEST UserName="bo\\"b", realm="a, b", NONCE="n=1",uri="sip:b@b;x=\\"1" , response=abc, algorithm=MD5,'
    b' cnonce="c", opaque="", qop=auth, nc=00000001'
)


def test_every_field_is_read_without_quotes():
    found = parse_credentials(FULL)
    assert found.is_digest
    assert (found.username, found.realm, found.nonce, found.uri) == (
        b'bo"b',
        b"a, b",
        b"n=1",
        b'sip:b@b;x="1',
    )
    assert (found.response, found.algorithm, found.cnonce, found.opaque) == (b"abc", b"MD5", b"c", b"")
    assert (found.qop, found.nc, found.stale) == (b"auth", b"00000001", False)
    assert repr(found) == f"Credentials({FULL!r})"


def test_absent_fields_are_none():
    found = parse_credentials(b"Digest")
    assert found.username is found.realm is found.nonce is found.uri is found.response is found.qop is None


def test_other_scheme_is_not_looked_into():
    found = parse_credentials(b"NoOneKnowsThisScheme opaque-data=here, ,;!")
    assert (found.scheme, found.is_digest, found.fields) == (b"nooneknowsthisscheme", False, {})


def test_challenge_is_read():
    found = parse_challenge(b'Digest realm="r", nonce="n", stale=TRUE, qop="auth,auth-int"')
    assert (found.realm, found.stale, found.qop) == (b"r", True, b"auth,auth-int")


@pytest.mark.parametrize(
    ("value", "offset"),
    [
        (b"", 10), (b"(x) a=1", 10), (b'Digest realm="a', 17), (b"Digest realm", 17),
        (b'Digest a="b" c=d', 17),
        (b"Digest a=b, a=c", 22), (b"Digest a=b,,c=d", 21), (b'Digest a=b"c"', 17),
    ],
)  # fmt: skip
def test_malformed_credentials_are_refused_at_their_offset(value, offset):
    with pytest.raises(SipError) as caught:
        parse_credentials(value, 10)
    assert caught.value.offset == offset


USUAL = (
    b'username="alice", realm="example.com", nonce="6b8b4567a1", uri="sip:example.com;x=y", response="0c5d", '
    b'algorithm=MD5,cnonce="0a4f113b", opaque="", qop=auth, nc=00000001'
)


def fields_or_offset(read, value):
    try:
        return read(value, 0, 0)
    except SipError as error:
        return error.reason, error.offset


def test_usual_fields_are_read_at_once_to_what_their_grammar_makes_of_them(monkeypatch):
    wanted = digest._read_fields(USUAL, 0, 0)
    monkeypatch.setattr(digest, "_read_fields", None)
    assert digest._fields(USUAL, 0, 0) == wanted
    assert len(wanted) == 10


def test_fields_with_any_fault_or_oddity_are_read_as_by_their_grammar():
    chance = random.Random(1)
    pieces = [b'"', b",", b"=", b"\\", b" ", b"\t", b"a", b"nc=1", b',realm="r"', b"NC", b"-", b"\x00", b"\xff", b'""']
    for _ in range(4000):
        value = USUAL
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(1, len(value) + 1)  # white space before all fields goes with the scheme
            value = value[:at] + chance.choice(pieces) + value[at + chance.choice((0, 0, 1, 2)) :]
        assert fields_or_offset(digest._fields, value) == fields_or_offset(digest._read_fields, value), value
