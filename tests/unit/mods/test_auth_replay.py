"""Replay protection: a nonce and count are accepted once, in whichever process, and memory has a limit."""

import multiprocessing
import os

import pytest

from openserd.errors import ResourceError
from openserd.mods.auth.replay import History, Use
from openserd.mods.auth.service import AUTHORIZED, NOT_AUTHORIZED
from openserd.shm.memory import SharedMemory
from tests.unit.mods.auth_kit import NOW, SOURCE, Phone, Site

ALICE = Phone()
MANY = 100


def site(**params: int | str) -> Site:
    return Site(**({"one_time_nonce": 1, "secret": "secret", "max_nonces": MANY} | params))


def use(expires: int, count: int = 1, request: int = 1, at: int = NOW) -> Use:
    return Use(expires, count, at, request)


def history(n_nonces: int = MANY, n_processes: int = 1) -> tuple[SharedMemory, History]:
    memory = SharedMemory(4, n_processes)
    made = History(memory, n_nonces, 32)
    memory.seal()
    return memory, made


def test_the_same_nonce_and_count_are_accepted_once() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        assert server.check(server.request(answer)) == AUTHORIZED
        msg = server.request(answer)
        assert server.check(msg) == NOT_AUTHORIZED
        assert server.auth.authorized_user(msg) is None
        challenge = server.challenge(msg)
        assert challenge.stale
        assert server.check(server.request(ALICE.answer(challenge))) == AUTHORIZED


def test_a_count_that_rises_is_accepted_one_that_falls_is_not() -> None:
    with site() as server:
        challenge = server.challenge()
        assert [server.check(server.request(ALICE.answer(challenge, nc=nc))) for nc in (1, 2, 5, 4, 5, 2, 6)] == [
            AUTHORIZED,
            AUTHORIZED,
            AUTHORIZED,
            NOT_AUTHORIZED,
            NOT_AUTHORIZED,
            NOT_AUTHORIZED,
            AUTHORIZED,
        ]


def test_a_nonce_used_without_count_is_good_for_one_request() -> None:
    with site() as server:
        challenge = server.challenge(qop="0")
        assert server.check(server.request(ALICE.answer(challenge))) == AUTHORIZED
        assert server.check(server.request(ALICE.answer(challenge))) == NOT_AUTHORIZED
        assert server.check(server.request(ALICE.answer(challenge, qop="auth", nc=9))) == NOT_AUTHORIZED


def test_a_nonce_used_with_count_cannot_be_used_without() -> None:
    with site() as server:
        challenge = server.challenge()
        assert server.check(server.request(ALICE.answer(challenge))) == AUTHORIZED
        assert server.check(server.request(ALICE.answer(challenge, qop=""))) == NOT_AUTHORIZED
        assert server.check(server.request(ALICE.answer(challenge, nc=0xFFFFFFFF))) == NOT_AUTHORIZED


@pytest.mark.parametrize("nc", ["00000000", "", "x", "000000001", "-1"])
def test_a_count_that_is_none_is_refused(nc: str) -> None:
    with site() as server:
        challenge = server.challenge()
        plain = ALICE.answer(challenge)
        assert server.check(server.request(plain.replace("nc=00000001", f'nc="{nc}"'))) == NOT_AUTHORIZED


def test_a_zero_count_with_the_right_response_is_refused() -> None:
    with site() as server:
        assert server.check(server.request(ALICE.answer(server.challenge(), nc=0))) == NOT_AUTHORIZED


def test_a_retransmission_is_accepted_as_the_first_was() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        assert server.check(server.request(answer, cseq=7)) == AUTHORIZED
        server.now += 31
        assert server.check(server.request(answer, cseq=7)) == AUTHORIZED
        server.now += 1
        assert server.check(server.request(answer, cseq=7)) == NOT_AUTHORIZED


def test_the_very_request_from_another_address_is_a_replay() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        assert server.check(server.request(answer, cseq=7)) == AUTHORIZED
        for other in ((SOURCE[0], SOURCE[1] + 1), ("192.0.2.99", SOURCE[1])):
            msg = server.request(answer, cseq=7)
            msg.source_host, msg.source_port = other
            assert server.check(msg) == NOT_AUTHORIZED


def test_retransmission_window_0_refuses_retransmissions_too() -> None:
    with site(retransmission_window=0) as server:
        answer = ALICE.answer(server.challenge())
        assert server.check(server.request(answer, cseq=7)) == AUTHORIZED
        assert server.check(server.request(answer, cseq=7)) == NOT_AUTHORIZED


def test_an_expired_nonce_is_stale_before_it_is_a_replay() -> None:
    with site() as server:
        answer = ALICE.answer(server.challenge())
        server.now += 301
        msg = server.request(answer)
        assert server.check(msg) == NOT_AUTHORIZED
        assert server.challenge(msg).stale


def test_a_wrong_password_uses_no_nonce_up() -> None:
    with site() as server:
        challenge = server.challenge()
        assert server.check(server.request(Phone(password="guess").answer(challenge))) == NOT_AUTHORIZED
        assert server.auth.history is not None and server.auth.history.table.used == 0
        assert server.check(server.request(ALICE.answer(challenge))) == AUTHORIZED


def test_challenges_and_requests_without_credentials_leave_nothing_in_memory() -> None:
    with site() as server:
        used = server.core.memory.blobs.used_bytes
        for _ in range(MANY):
            server.check(server.request())
            server.challenge()
        assert server.auth.history is not None and server.auth.history.table.used == 0
        assert server.core.memory.blobs.used_bytes == used


def test_without_one_time_nonce_there_is_no_table() -> None:
    with Site() as server:
        assert server.auth.history is None
        server.module.timer_nonces()


def test_the_timer_drops_what_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    with site(nonce_expire=60) as server:
        table = server.auth.history.table if server.auth.history else None
        assert table is not None
        for _ in range(5):
            assert server.check(server.request(ALICE.answer(server.challenge()))) == AUTHORIZED
        monkeypatch.setattr("openserd.mods.auth.time.time", lambda: NOW + 60.5)
        server.module.timer_nonces()
        assert table.used == 5
        monkeypatch.setattr("openserd.mods.auth.time.time", lambda: NOW + 61.0)
        server.module.timer_nonces()
        assert table.used == 0


def test_a_full_table_forgets_the_oldest_and_lets_no_replay_pass() -> None:
    memory, table = history()
    names = [os.urandom(12) for _ in range(4 * MANY)]
    n_full = 0
    for at, name in enumerate(names):
        try:
            assert table.note(name, use(NOW + at))
        except ResourceError:
            n_full += 1
            table.make_room()
            assert table.note(name, use(NOW + at))
    assert 3 * MANY / (MANY // 8) / 2 < n_full < 2 * 3 * MANY / (MANY // 8)
    assert table.floor[0] > NOW + 2 * MANY
    for at, name in enumerate(names):
        assert not table.note(name, use(NOW + at, request=2)), f"nonce {at} was accepted twice"
    memory.close()


def test_a_nonce_forgotten_before_its_time_is_challenged_with_stale(caplog: pytest.LogCaptureFixture) -> None:
    with site(max_nonces=64) as server:
        first = ALICE.answer(server.challenge())
        assert server.check(server.request(first)) == AUTHORIZED
        for _ in range(200):
            server.now += 1
            assert server.check(server.request(ALICE.answer(server.challenge()))) == AUTHORIZED
        assert any("full" in line for line in caplog.messages)
        msg = server.request(first)
        assert server.check(msg) == NOT_AUTHORIZED
        assert server.challenge(msg).stale


def test_without_memory_credentials_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with site() as server:
        table = server.auth.history
        assert table is not None

        def full(*_: object) -> int:
            raise ResourceError("full")

        answer = ALICE.answer(server.challenge())
        with monkeypatch.context() as patched:
            patched.setattr(type(table.table), "insert", full)
            assert server.check(server.request(answer)) == NOT_AUTHORIZED
        assert server.check(server.request(answer)) == AUTHORIZED


def test_two_processes_accept_a_nonce_once_between_them() -> None:
    memory, table = history(1000, 3)
    names = [os.urandom(12) for _ in range(500)]
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(2)
    answers = context.Queue()

    def work(process: int) -> None:
        memory.enter(process)
        ready.wait()
        answers.put([table.note(name, use(NOW + 300, request=process)) for name in names])

    workers = [context.Process(target=work, args=(process,)) for process in (1, 2)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join()
    assert [one + other for one, other in zip(*found, strict=True)] == [1] * len(names)
    memory.close()
