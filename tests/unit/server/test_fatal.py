"""Messages that processes have died of."""

from openserd.server.fatal import MOST_SUSPECTS, N_MARKS, FatalMessages


def killed(fatal: FatalMessages, data: bytes, times: int = 2) -> list[bool]:
    return [fatal.died_of(data) for _ in range(times)]


def test_the_second_death_is_the_last() -> None:
    fatal = FatalMessages()
    assert not fatal.holds(b"a")
    assert killed(fatal, b"a") == [False, True]
    assert fatal.words[0] == 1
    assert fatal.holds(b"a") and not fatal.holds(b"b") and not fatal.holds(b"a" * 2)


def test_one_death_is_held_against_nobody() -> None:
    fatal = FatalMessages()
    for number in range(10 * MOST_SUSPECTS):
        assert not fatal.died_of(b"%d" % number)
    assert fatal.words[0] == 0
    assert len(fatal.suspects) <= MOST_SUSPECTS


def test_the_oldest_is_forgotten_for_the_latest() -> None:
    fatal = FatalMessages()
    for number in range(N_MARKS + 2):
        killed(fatal, b"%d" % number)
    held = [number for number in range(N_MARKS + 2) if fatal.holds(b"%d" % number)]
    assert held == list(range(2, N_MARKS + 2))
