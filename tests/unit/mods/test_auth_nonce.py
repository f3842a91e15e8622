"""Nonces: made, known again, told from forged ones."""

from hashlib import md5

from openserd.mods.auth.nonce import NEVER, Nonces, identity

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
