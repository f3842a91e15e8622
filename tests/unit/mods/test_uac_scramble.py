"""uac: how the old From is remembered, and answers to challenges."""

from hashlib import md5, new, sha256

import pytest

from openserd.errors import ConfigError, SipError
from openserd.mods.uac.credentials import Credential, answer, parse_credential
from openserd.mods.uac.fields import quoted
from openserd.mods.uac.scramble import scramble, unscramble
from openserd.parser.digest import Credentials, parse_credentials
from tests.support.recording import reply

ALICE = b"sip:alice@atlanta.example"
ANONYMOUS = b"sip:anonymous@anonymous.invalid"


@pytest.mark.parametrize(
    "password", [b"", b"x", b"my_secret_passwd", b"longer than any of the two URIs that there are"]
)
@pytest.mark.parametrize(("one", "two"), [(ALICE, ANONYMOUS), (ANONYMOUS, ALICE), (ALICE, ALICE), (b"sip:a", ALICE)])
def test_each_of_two_uris_leads_to_the_other(one: bytes, two: bytes, password: bytes) -> None:
    value = scramble(one, two, password)
    assert unscramble(value, one, password) == two
    assert unscramble(value, two, password) == one


def test_the_value_is_that_of_openser() -> None:
    assert scramble(b"sip:a", b"sip:b", b"") == b"AAAAAAM-"
    assert scramble(b"sip:a@x", b"sip:b@x", b"\x01\x02") == b"AQIBAgICAQ--"


def test_a_value_that_leads_to_no_uri_is_refused() -> None:
    value = scramble(ALICE, ANONYMOUS, b"secret")
    for bad, known, password in [
        (value, ALICE, b"other"), (value, b"sip:bob@somewhere", b"secret"), (b"!!!", ALICE, b""), (b"AAAA", ALICE, b""),
        (b"", ALICE, b""), (scramble(ALICE, b"", b""), ALICE, b""),
    ]:  # fmt: skip
        with pytest.raises(SipError):
            unscramble(bad, known, password)


@pytest.mark.parametrize(
    ("display", "shown"),
    [
        (b"", b""), (b"batman", b'"batman"'), (b'"bat"', b'"bat"'), (b'a "b" \\', b'"a \\"b\\" \\\\"'),
        (b'x\r\nEvil: 1', b'"x  Evil: 1"'), (b'"', b'"\\""'),
    ],
)  # fmt: skip
def test_display_names_are_quoted(display: bytes, shown: bytes) -> None:
    assert quoted(display) == shown


# -- credentials ------------------------------------------------------------------------------------------------

SECRET = Credential(b"alice", b"biloxi", b"pass:word")


def test_credentials_are_user_realm_and_password() -> None:
    assert parse_credential(" alice : biloxi : pass:word ") == SECRET
    for text in ("", "a", "a:b", "a:b:", ":b:c", "a b:c:d", "a:b:c d"):
        with pytest.raises(ConfigError):
            parse_credential(text)


def answered(challenge: str, code: int = 401) -> Credentials | None:
    """The credentials for a challenge, as the header line has them."""
    name = "WWW-Authenticate" if code == 401 else "Proxy-Authenticate"
    line = answer(
        reply(code, headers=[f"{name}: {challenge}"]),
        b"INVITE",
        b"sip:bob@biloxi",
        lambda realm: SECRET if realm == b"biloxi" else None,
    )
    if line is None:
        return None
    expected = b"Authorization: " if code == 401 else b"Proxy-Authorization: "
    assert line.startswith(expected) and line.endswith(b"\r\n")
    return parse_credentials(line[len(expected) : -2])


def hexed(*parts: str) -> str:
    return md5(":".join(parts).encode()).hexdigest()


@pytest.mark.parametrize("code", [401, 407])
def test_an_answer_without_qop(code: int) -> None:
    found = answered('Digest realm="biloxi", nonce="n1", opaque="o"', code)
    assert found is not None
    ha1, ha2 = hexed("alice", "biloxi", "pass:word"), hexed("INVITE", "sip:bob@biloxi")
    assert found.response == hexed(ha1, "n1", ha2).encode()
    assert (found.username, found.uri, found.opaque, found.nonce) == (b"alice", b"sip:bob@biloxi", b"o", b"n1")
    assert (found.algorithm, found.qop, found.cnonce) == (b"MD5", None, None)


def test_an_answer_with_qop() -> None:
    found = answered('Digest realm="biloxi", nonce="n1", qop="auth,auth-int", algorithm=MD5')
    assert found is not None and found.cnonce is not None
    ha1, ha2 = hexed("alice", "biloxi", "pass:word"), hexed("INVITE", "sip:bob@biloxi")
    assert found.response == hexed(ha1, "n1", "00000001", found.cnonce.decode(), "auth", ha2).encode()
    assert (found.qop, found.nc) == (b"auth", b"00000001")


def test_an_answer_for_a_session() -> None:
    found = answered('Digest realm="biloxi", nonce="n1", algorithm=md5-sess')
    assert found is not None and found.cnonce is not None
    ha1 = hexed(hexed("alice", "biloxi", "pass:word"), "n1", found.cnonce.decode())
    assert found.response == hexed(ha1, "n1", hexed("INVITE", "sip:bob@biloxi")).encode()


@pytest.mark.parametrize("algorithm", ["SHA-256", "SHA-512-256"])
def test_answers_with_newer_algorithms(algorithm: str) -> None:
    found = answered(f'Digest realm="biloxi", nonce="n1", algorithm={algorithm}')

    def digest(*parts: str) -> str:
        text = ":".join(parts).encode()
        return (sha256(text) if algorithm == "SHA-256" else new("sha512_256", text)).hexdigest()

    assert found is not None
    ha1 = digest("alice", "biloxi", "pass:word")
    assert found.response == digest(ha1, "n1", digest("INVITE", "sip:bob@biloxi")).encode()


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="other", nonce="n"', 'Digest realm="biloxi"', "Basic realm=biloxi", "Digest realm=,,",
        'Digest realm="biloxi", nonce="n", algorithm=SHA-3', 'Digest realm="biloxi", nonce="n", qop="auth-int"',
    ],
)  # fmt: skip
def test_challenges_that_are_not_answered(challenge: str) -> None:
    assert answered(challenge) is None


def test_the_first_challenge_that_can_be_answered_is() -> None:
    headers = [
        'Proxy-Authenticate: Digest realm="x", nonce="1"',
        'Proxy-Authenticate: Digest realm="biloxi", nonce="2"',
    ]
    line = answer(reply(407, headers=headers), b"BYE", b"sip:x", lambda r: SECRET if r == b"biloxi" else None)
    assert line is not None and b'nonce="2"' in line
    assert answer(reply(404, headers=headers), b"BYE", b"sip:x", lambda r: SECRET) is None
