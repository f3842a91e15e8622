"""Nonces: made, known again, told from forged ones."""

from hashlib import md5

import pytest

from openserd.mods.auth.challenge import PROXY, WWW, Challenger
from openserd.mods.auth.nonce import MOST_KNOWN, NEVER, Nonces, identity

NOW = 1_200_000_000


def test_a_nonce_is_expiry_and_md5_of_expiry_and_secret() -> None:
    told = b"%08x" % (NOW + 300)
    assert Nonces(b"secret", 300).make(NOW) == told + md5(told + b"secret").hexdigest().encode()


def test_nonces_of_one_second_are_the_same_as_in_openser() -> None:
    assert Nonces(b"secret", 300).make(NOW) == Nonces(b"secret", 300).make(NOW)


def test_a_nonce_tells_when_it_expires() -> None:
    for is_unique in (False, True):
        nonces = Nonces(b"secret", 300, is_unique=is_unique)
        assert nonces.expires(nonces.make(NOW)) == NOW + 300


def test_a_changed_nonce_is_not_known() -> None:
    for is_unique in (False, True):
        nonces = Nonces(b"secret", 300, is_unique=is_unique)
        nonce = nonces.make(NOW)
        for at in range(len(nonce)):
            other = b"0" if nonce[at : at + 1] != b"0" else b"1"
            assert nonces.expires(nonce[:at] + other + nonce[at + 1 :]) == NEVER
        assert nonces.expires(nonce[:-1]) == NEVER
        assert nonces.expires(nonce + b"0") == NEVER
        assert nonces.expires(nonce.upper()) == NEVER
        assert nonces.expires(b"\xff" * len(nonce)) == NEVER
        assert nonces.expires(b"") == NEVER


def test_a_nonce_of_another_secret_is_not_known() -> None:
    for is_unique in (False, True):
        other = Nonces(b"other", 300, is_unique=is_unique)
        assert Nonces(b"secret", 300, is_unique=is_unique).expires(other.make(NOW)) == NEVER


def test_a_longer_life_cannot_be_written_into_a_nonce_that_is_no_number() -> None:
    nonces = Nonces(b"secret", 300)
    told = b"+0000001"
    assert nonces.expires(told + b"0" * 32) == NEVER


def test_unique_nonces_differ_within_a_second() -> None:
    nonces = Nonces(b"secret", 300, is_unique=True)
    made = [nonces.make(NOW) for _ in range(100)]
    assert len({*made}) == len({identity(nonce) for nonce in made}) == 100
    assert {len(nonce) for nonce in made} == {56}
    assert {len(identity(nonce)) for nonce in made} == {12}


def test_a_secret_of_any_length_signs() -> None:
    nonces = Nonces(b"x" * 1000, 300, is_unique=True)
    assert nonces.expires(nonces.make(NOW)) == NOW + 300
    assert Nonces(b"x" * 999, 300, is_unique=True).expires(nonces.make(NOW)) == NEVER


def test_a_nonce_that_was_known_again_is_not_looked_into_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    nonces = Nonces(b"secret", 300)
    made = [nonces.make(NOW + number) for number in range(MOST_KNOWN + 1)]
    told = [nonces.expires(nonce) for nonce in made]
    assert told == [NOW + 300 + number for number in range(MOST_KNOWN + 1)]
    assert len(nonces.known) == 1, "a full memory is emptied"
    monkeypatch.setattr(Nonces, "signature", None)
    assert nonces.expires(made[-1]) == told[-1]


def test_unique_nonces_are_not_remembered() -> None:
    nonces = Nonces(b"secret", 300, is_unique=True)
    nonces.expires(nonces.make(NOW))
    assert not nonces.known


def test_challenges_of_one_second_are_written_once() -> None:
    challenger = Challenger(Nonces(b"secret", 300))
    asked = {"has_qop": False, "is_stale": False}
    first = challenger.lines(WWW, b"a", NOW, **asked)
    assert challenger.lines(WWW, b"a", NOW, **asked) is first
    others = [
        challenger.lines(WWW, b"b", NOW, **asked),
        challenger.lines(WWW, b"b", NOW + 1, **asked),
        challenger.lines(PROXY, b"b", NOW + 1, **asked),
        challenger.lines(PROXY, b"b", NOW + 1, True, False),
        challenger.lines(PROXY, b"b", NOW + 1, True, True),
    ]
    assert len({first, *others}) == 6


def test_challenges_with_unique_nonces_are_written_anew() -> None:
    challenger = Challenger(Nonces(b"secret", 300, is_unique=True))
    made = {challenger.lines(WWW, b"a", NOW, True, False) for _ in range(5)}
    assert len(made) == 5
