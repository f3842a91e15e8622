import pytest

from openserd.errors import SipError
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
