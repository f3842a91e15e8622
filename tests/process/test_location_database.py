"""The location service over a database: restarts, sudden deaths, two servers on one file, a database that is away."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.process.conftest import PhoneMaker
from tests.support import Message, Phone, Server, ServerError, TimedOut, hello_world, wait_until
from tests.support.databases import MariaDb
from tests.support.server import ROOT

INTERVAL = 1  #: timer_interval, seconds
PATIENCE = INTERVAL + 4.0


def create(url: str) -> None:
    """Makes OpenSER's tables."""
    command = [sys.executable, "-m", "openserd.ctl.database", "--url", url, "create"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of sqlite with OpenSER's tables."""
    file = tmp_path / "database" / "openser.db"
    create(f"sqlite://{file}")
    return file


def script(url: str, db_mode: int, *, driver: str = "sqlite", interval: int = INTERVAL, children: int = 2) -> str:
    """Hello World with a database."""
    return hello_world(
        children=children,
        settings=[f'loadmodule "{driver}.so"'],
        params=[f'"usrloc", "db_mode", {db_mode}', f'"usrloc", "db_url", "{url}"',
                f'"usrloc", "timer_interval", {interval}'],
    )  # fmt: skip


def server_on(path: Path, db_mode: int, run: Path, interval: int = INTERVAL, children: int = 2) -> Server:
    """A server over the file."""
    return Server(script(f"sqlite://{path}", db_mode, interval=interval, children=children), run)


def register(phone: Phone, user: str, cseq: int = 1, expires: int = 600, timeout: float = 5.0) -> Message:
    """The reply to the REGISTER of a user with one contact."""
    request = phone.request(
        "REGISTER", f"sip:{phone.domain}", to=f"<sip:{user}@{phone.domain}>", call_id=f"call-{user}", cseq=cseq,
        contact=f"<sip:{user}@127.0.0.1:5070>", headers=[("Expires", str(expires))],
    )  # fmt: skip
    return phone.transact(request, timeout)


def register_all(phone: Phone, users: list[str], cseq: int = 1) -> None:
    for user in users:
        assert register(phone, user, cseq).code == 200


def in_table(path: Path) -> Counter[tuple[str, int]]:
    """(user, CSeq) of each row."""
    with sqlite3.connect(path, timeout=10) as connection:
        return Counter(connection.execute("SELECT username, cseq FROM location"))


def in_memory(server: Server) -> Counter[tuple[str, int]]:
    """(user, CSeq) of each contact that the server knows and has not deleted."""
    found: Counter[tuple[str, int]] = Counter()
    for domain in server.mi("ul_dump", timeout=20).nodes():
        for aor in domain.children:
            for contact in aor.children:
                fields = {child.name: child.value for child in contact.children}
                if fields["Expires"] != "deleted":
                    found[aor.value, int(fields["Cseq"])] += 1
    return found


def states(server: Server) -> set[str]:
    """The states of all contacts."""
    return {
        child.value for domain in server.mi("ul_dump", timeout=20).nodes() for aor in domain.children
        for contact in aor.children for child in contact.children if child.name == "State"
    }  # fmt: skip


def kill_one(server: Server, kind: str = "receiver", *, with_writer: bool = False) -> None:
    """Kills a process of that kind, or the one that writes to the database; one that is dead just now has pid 0."""
    kinds = (kind, "usrloc") if with_writer else (kind,)
    living = [pid for pid, title in server.processes().items() if pid and title.startswith(kinds)]
    with suppress(ProcessLookupError):
        os.kill(random.choice(living), signal.SIGKILL)


def users_of(found: Counter[tuple[str, int]]) -> set[str]:
    return {user for user, _ in found}


USERS = [f"user{number}" for number in range(40)]


@pytest.mark.parametrize("db_mode", [1, 2])
def test_registrations_survive_a_restart(db_mode: int, path: Path, tmp_path: Path, phone: PhoneMaker) -> None:
    with server_on(path, db_mode, tmp_path, interval=3600) as server:
        register_all(phone("a", server), USERS)
        assert bool(in_table(path)) == (db_mode == 1)
        before = in_memory(server)
    assert in_table(path) == before
    with server_on(path, db_mode, tmp_path, interval=3600) as server:
        assert in_memory(server) == before
        assert states(server) == {"CS_SYNC"}
        assert server.statistics("usrloc:")["usrloc:location-contacts"] == len(USERS)
        one = phone("a", server)
        register(one, "user0", cseq=2, expires=0)
    assert users_of(in_table(path)) == set(USERS) - {"user0"}


def test_the_background_server_writes_at_its_end_too(path: Path, tmp_path: Path, phone: PhoneMaker) -> None:
    text = script(f"sqlite://{path}", 2, interval=3600)
    with Server(text, tmp_path, daemonize=True) as server:
        register_all(phone("a", server), USERS)
    assert users_of(in_table(path)) == set(USERS)


@pytest.mark.parametrize("db_mode", [1, 2])
def test_registrations_survive_the_death_of_workers(
    db_mode: int, path: Path, tmp_path: Path, phone: PhoneMaker
) -> None:
    with server_on(path, db_mode, tmp_path, children=3) as server:
        one = phone("a", server)
        for number, user in enumerate(USERS):
            assert register(one, user).code == 200
            if number % 8 == 7:
                kill_one(server)
        kill_one(server, "usrloc")
        wait_until(lambda: users_of(in_table(path)) == set(USERS), PATIENCE + 2, "all users in the table")
        assert in_memory(server) == in_table(path)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("db_mode", [1, 2])
def test_memory_and_table_agree_after_many_deaths_at_bad_moments(
    db_mode: int, path: Path, tmp_path: Path, phone: PhoneMaker
) -> None:
    """Four phones register and remove the same contacts at once while their workers and the writer are killed."""
    with server_on(path, db_mode, tmp_path, children=4) as server:
        end = time.monotonic() + 8
        threads = [threading.Thread(target=struggle, args=(phone("a", server), end)) for _ in range(4)]
        for thread in threads:
            thread.start()
        n_kills = 0
        while time.monotonic() < end:
            time.sleep(0.25)
            kill_one(server, with_writer=True)
            n_kills += 1
        for thread in threads:
            thread.join()
        assert n_kills > 15

        def agree() -> bool:
            """Everything is written; a worker's successor may still have had a request to handle."""
            return states(server) <= {"CS_SYNC"} and in_table(path) == in_memory(server)

        wait_until(agree, PATIENCE + 2, "memory and table agree")


def struggle(phone: Phone, end: float) -> None:
    """Registers and removes contacts of a few users, with a CSeq that all phones count up together."""
    while time.monotonic() < end:
        user = f"user{random.randrange(8)}"
        request = phone.request(
            "REGISTER", f"sip:{phone.domain}", to=f"<sip:{user}@{phone.domain}>", call_id=f"call-{user}",
            cseq=time.monotonic_ns() // 1_000_000 & 0x7FFFFFFF, contact=f"<sip:{user}@127.0.0.1:5070>",
            headers=[("Expires", random.choice(["0", "600", "600"]))],
        )  # fmt: skip
        try:
            phone.receive_reply(request, timeout=0.5)
        except TimedOut:
            continue


def test_nothing_is_lost_when_master_and_workers_die_with_write_through(
    path: Path, tmp_path: Path, phone: PhoneMaker
) -> None:
    server = server_on(path, 1, tmp_path, interval=3600)
    server.start()
    register_all(phone("a", server), USERS)
    server.kill()
    with server_on(path, 1, tmp_path) as again:
        assert users_of(in_memory(again)) == set(USERS)


def test_at_most_one_interval_is_lost_when_all_die_with_write_back(
    path: Path, tmp_path: Path, phone: PhoneMaker
) -> None:
    server = server_on(path, 2, tmp_path)
    server.start()
    one = phone("a", server)
    register_all(one, USERS)
    time.sleep(INTERVAL + 0.5)
    register_all(one, [f"late{number}" for number in range(10)])
    server.kill()
    with server_on(path, 2, tmp_path) as again:
        assert users_of(in_memory(again)) >= set(USERS)


def test_two_servers_on_one_file_see_each_others_registrations(path: Path, tmp_path: Path, phone: PhoneMaker) -> None:
    with server_on(path, 3, tmp_path) as first, server_on(path, 3, tmp_path) as second:
        bob, alice = phone("bob", first), phone("alice", second)
        bob.register()
        invite = alice.invite(bob.user)
        incoming = bob.receive_request("INVITE")
        bob.reply(incoming, 486)
        alice.ack_negative(invite, alice.receive_reply(invite, 486))
        assert list(Phone.bindings(bob)) == [bob.contact]
        bob.register(0)
        assert alice.receive_reply(alice.invite(bob.user)).code == 404
        assert "Traceback" not in first.log + second.log


ATTACK = "x');DROP/**/TABLE/**/location;--"


@pytest.mark.parametrize("db_mode", [1, 3])
def test_what_looks_like_a_statement_in_a_register_is_stored_as_it_is(
    db_mode: int, path: Path, tmp_path: Path, phone: PhoneMaker
) -> None:
    sent = (ATTACK, f"sip:{ATTACK}@127.0.0.1:5070", ATTACK, f"Phone'; {ATTACK}")
    user, contact, call_id, user_agent = sent
    with server_on(path, db_mode, tmp_path) as server:
        one = phone("a", server)
        request = one.request(
            "REGISTER", f"sip:{one.domain}", to=f"<sip:{user}@{one.domain}>", call_id=call_id, cseq=1,
            contact=f"<{contact}>", headers=[("Expires", "600"), ("User-Agent", user_agent)],
        )  # fmt: skip
        assert one.transact(request).code == 200
        host = one.request("REGISTER", f"sip:{one.domain}", to=f"<sip:bob@{ATTACK}>", contact="<sip:bob@127.0.0.1>")
        assert one.transact(host).code == 400
        with sqlite3.connect(path, timeout=10) as connection:
            rows = connection.execute("SELECT username, contact, callid, user_agent FROM location").fetchall()
        assert rows == [(user.lower(), contact, call_id, user_agent)]


# --- a database that is away ----------


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else writes to the file, and does not come to an end."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def longest_answer(phone: Phone, users: list[str], cseq: int) -> float:
    """Registers users one after the other; the seconds that the slowest took."""
    slowest = 0.0
    for user in users:
        begin = time.monotonic()
        assert register(phone, user, cseq).code == 200
        slowest = max(slowest, time.monotonic() - begin)
    return slowest


@pytest.mark.timeout(90)
@pytest.mark.parametrize("db_mode", [1, 2])
@pytest.mark.quiet
def test_a_locked_database_stalls_nobody_for_long_and_agrees_later(
    db_mode: int, path: Path, tmp_path: Path, phone: PhoneMaker
) -> None:
    with server_on(path, db_mode, tmp_path) as server:
        one = phone("a", server)
        register_all(one, USERS)
        with locked(path):
            assert longest_answer(one, USERS, cseq=2) < 3.0
            for user in USERS[:5]:
                assert register(one, user, 3, expires=0).code == 200
        wait_until(lambda: in_table(path) == in_memory(server), 12, "memory and table agree")
        assert in_memory(server) == Counter((user, 2) for user in USERS[5:])
        assert states(server) == {"CS_SYNC"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for little more than the tables."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "openserd-test", str(folder)]
    try:
        subprocess.run(mount, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small file system cannot be mounted here: {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not one byte is left in the file system of `folder`."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass
    assert os.statvfs(folder).f_bavail == 0
    try:
        yield
    finally:
        filler.unlink()


@pytest.mark.timeout(90)
@pytest.mark.parametrize("db_mode", [1, 2])
def test_a_full_disk_stalls_nobody_and_agrees_later(
    db_mode: int, small_disk: Path, tmp_path: Path, phone: PhoneMaker
) -> None:
    path = small_disk / "openser.db"
    create(f"sqlite://{path}")
    with server_on(path, db_mode, tmp_path) as server:
        one = phone("a", server)
        register_all(one, USERS)
        wait_until(lambda: in_table(path) == in_memory(server), PATIENCE, "memory and table agree")
        before = server.processes()
        with filled(small_disk):
            slowest = max(longest_answer(one, USERS, cseq=cseq) for cseq in range(2, 6))
            slowest = max(slowest, longest_answer(one, [f"new{number}" for number in range(20)], cseq=1))
            for user in USERS[:5]:
                assert register(one, user, 6, expires=0).code == 200
            print(f"db_mode {db_mode}: slowest answer {slowest:.2f} s")
            assert slowest < 2.0
            assert in_table(path) != in_memory(server), "the disk was not full"
            wait_until(lambda: "disk is full" in server.log, PATIENCE, "the log says it")
        wait_until(lambda: in_table(path) == in_memory(server), PATIENCE, "memory and table agree")
        assert len(in_table(path)) == len(USERS) - 5 + 20
        assert states(server) == {"CS_SYNC"}
        assert server.processes() == before
        assert "Traceback" not in server.log


def test_a_full_disk_is_answered_500_where_the_database_alone_knows(
    small_disk: Path, tmp_path: Path, phone: PhoneMaker
) -> None:
    path = small_disk / "openser.db"
    create(f"sqlite://{path}")
    with server_on(path, 3, tmp_path) as server:
        one = phone("a", server)
        register_all(one, USERS)
        before = server.processes()
        with filled(small_disk):
            begin = time.monotonic()
            codes = {register(one, f"new{number}").code for number in range(20)}
            assert codes == {500}
            assert time.monotonic() - begin < 2.0
        register_all(one, [f"new{number}" for number in range(20)])
        assert len(in_table(path)) == len(USERS) + 20
        assert server.processes() == before
        assert "Traceback" not in server.log


@pytest.mark.parametrize("db_mode", [1, 2])
def test_a_database_that_comes_after_the_start_is_read_then(
    db_mode: int, path: Path, tmp_path: Path, phone: PhoneMaker
) -> None:
    with server_on(path, 1, tmp_path) as server:
        register_all(phone("a", server), USERS)
    away = path.parent.with_name("away")
    path.parent.rename(away)
    with server_on(path, db_mode, tmp_path) as server:
        one = phone("a", server)
        assert register(one, "user0", 7).code == 200
        assert register(one, "new").code == 200
        away.rename(path.parent)
        wait_until(lambda: len(in_memory(server)) == len(USERS) + 1, 15, "the table is read")
        wait_until(lambda: in_table(path) == in_memory(server), 12, "memory and table agree")
        assert in_memory(server)["user0", 7] == 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("db_mode", [1, 2])
@pytest.mark.quiet
def test_mariadb_killed_during_registrations_costs_nothing(db_mode: int, tmp_path: Path, phone: PhoneMaker) -> None:
    if not MariaDb.installed():
        pytest.skip("no MariaDB here (scripts/test-tools.sh installs it)")
    with MariaDb() as database:
        create(database.root_url("openser"))
        text = script(database.url("openser"), db_mode, driver="mysql")
        with Server(text, tmp_path) as server:
            slowest = registering(phone("a", server), lambda: bounce(database))
            print(f"db_mode {db_mode}: slowest answer {slowest:.2f} s")
            assert slowest < 3.0

            def differences() -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
                """What only the table has, and what only memory has."""
                lines = database.sql("select username, cseq from openser.location").splitlines()
                table = Counter((user, int(cseq)) for user, cseq in map(str.split, lines))
                memory = in_memory(server)
                return dict(table - memory), dict(memory - table)

            try:
                wait_until(lambda: differences() == ({}, {}), 45, "memory and table agree")
            except ServerError as error:
                error.add_note(f"only in the table, only in memory: {differences()}, {states(server)}")
                raise


def bounce(database: MariaDb) -> None:
    """The database dies and comes back, hangs and goes on."""
    time.sleep(1)
    database.kill()
    time.sleep(2)
    database.start()
    time.sleep(2)
    database.pause()
    time.sleep(4)
    database.resume()
    time.sleep(1)


def registering(phone: Phone, meanwhile: Callable[[], None]) -> float:
    """Registers, refreshes and removes users at about 50 a second until `meanwhile` is over; the slowest answer."""
    other = threading.Thread(target=meanwhile)
    other.start()
    slowest, cseq = 0.0, 0
    while other.is_alive():
        cseq += 1
        begin = time.monotonic()
        user = f"user{cseq % 60}"
        assert register(phone, user, cseq, expires=0 if cseq % 7 == 0 else 600, timeout=10).code == 200
        slowest = max(slowest, time.monotonic() - begin)
        time.sleep(0.02)
    other.join()
    return slowest
