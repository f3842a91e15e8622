"""Databases without one: connecting, losing, waiting and batches, with a driver and a clock of the test's own."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import pytest

from openserd.core.context import Core
from openserd.core.database import (
    LIMIT,
    Condition,
    Connection,
    Database,
    DatabaseRefused,
    DatabaseUnavailable,
    DatabaseUrl,
    Delete,
    DriverModule,
    Insert,
    Lost,
    Row,
    Update,
    Value,
    moment,
    name_check,
    open_database,
    seconds,
    where,
)
from openserd.core.database.breaker import Breaker
from openserd.core.database.driver import Connection as DriverConnection
from openserd.core.database.sql import PARTS_WITH_BACKSLASHES, SqlConnection, with_marks
from openserd.core.database.values import Where, date_text, date_value
from openserd.errors import ConfigError, ResourceError
from openserd.shm.memory import SharedMemory

URL = DatabaseUrl.parse("fake://user:secret@host/db")


@dataclass
class World:
    """What the fake database is like at the moment."""

    now: float = 100.0
    up: bool = True
    takes: float = 0.0  #: seconds that an operation or a connection takes
    versions: dict[str, int] = field(default_factory=dict)
    connects: int = 0
    breaks: int = 0  #: how many operations to come find their connection lost
    log: list[str] = field(default_factory=list)


class FakeConnection(Connection):
    """Keeps rows of one column; refuses what is called bad."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.alive = True
        self.pending: list[str] | None = None
        self.limits: list[float] = []

    def work(self, what: str) -> None:
        self.world.now += self.world.takes
        if self.world.breaks:
            self.world.breaks -= 1
            raise Lost("broken")
        if not self.world.up or not self.alive:
            raise Lost("gone")
        (self.world.log if self.pending is None else self.pending).append(what)

    def limit(self, seconds: float) -> None:
        self.limits.append(seconds)

    def insert(self, table: str, row: Mapping[str, Value]) -> None:
        if row.get("name") == b"bad":
            raise DatabaseRefused("bad")
        self.work(f"insert {row.get('name')!r}")

    def query(self, table: str, columns: Sequence[str] = (), where: Where = (), order: str = "") -> list[Row]:
        self.work(f"query {table}")
        if table == "version":
            found = self.world.versions.get((where[0].value or b"").decode())  # type: ignore[union-attr]
            return [] if found is None else [(found,)]
        return [(b"row",)]

    def update(self, table: str, changes: Mapping[str, Value], where: Where = ()) -> int:
        self.work("update")
        return 1

    def delete(self, table: str, where: Where = ()) -> int:
        self.work("delete")
        return 1

    def begin(self) -> None:
        self.work("begin")
        self.pending = []

    def commit(self) -> None:
        pending, self.pending = self.pending or [], None
        self.work("commit")
        self.world.log += pending

    def rollback(self) -> None:
        self.pending = None

    def is_alive(self) -> bool:
        self.world.log.append("ping")
        return self.alive and self.world.up

    def close(self) -> None:
        self.world.log.append("close")

    def forget(self) -> None:
        self.world.log.append("forget")


class Fake(DriverModule):
    name = "fake"
    world: World
    again = True
    idle = 0

    @property
    def retries(self) -> bool:
        return self.again

    @property
    def idle_seconds(self) -> int:
        return self.idle

    def connect(self, url: DatabaseUrl, timeout: float) -> DriverConnection:
        self.world.connects += 1
        if not self.world.up:
            self.world.now += min(self.world.takes, timeout)
            raise Lost("refused")
        return FakeConnection(self.world)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def fake(world: World) -> Fake:
    module = Fake()
    module.world = world
    return module


@pytest.fixture
def db(fake: Fake, world: World) -> Database:
    return Database(URL, fake, Breaker(), lambda: world.now)


def test_nothing_is_connected_before_it_is_needed_and_then_once(db: Database, world: World) -> None:
    assert world.connects == 0
    db.query("a")
    db.query("a")
    assert world.connects == 1


def test_an_operation_whose_connection_was_lost_is_tried_again_on_a_new_one(db: Database, world: World) -> None:
    db.query("a")
    world.breaks = 1
    assert db.query("a") == [(b"row",)]
    assert world.connects == 2


def test_it_is_not_tried_twice(db: Database, world: World) -> None:
    world.breaks = 2
    with pytest.raises(DatabaseUnavailable, match="broken"):
        db.query("a")


def test_it_is_not_tried_again_where_the_driver_says_no(db: Database, fake: Fake, world: World) -> None:
    fake.again = False
    world.breaks = 1
    with pytest.raises(DatabaseUnavailable):
        db.query("a")
    world.now += 1.1
    assert db.query("a") == [(b"row",)]


def test_it_is_not_tried_again_when_its_time_is_over(db: Database, world: World) -> None:
    db.query("a")
    world.breaks, world.takes = 1, 2.0
    with pytest.raises(DatabaseUnavailable):
        db.query("a")
    assert world.connects == 1


def test_a_database_that_is_down_is_asked_less_and_less_often(db: Database, world: World) -> None:
    world.up = False
    tried = []
    for tenth in range(400):
        before = world.connects
        with pytest.raises(DatabaseUnavailable):
            db.query("a")
        if world.connects > before:
            tried.append(tenth)
        world.now += 0.1
    gaps = [after - before for before, after in pairwise(tried)]
    assert gaps[:3] in ([10, 20, 40], [11, 21, 41], [11, 20, 40], [10, 20, 41], [10, 21, 40], [11, 21, 40])
    assert all(79 <= gap <= 82 for gap in gaps[4:])


def test_the_log_says_once_that_it_is_lost_and_once_that_it_is_back(
    db: Database, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "openserd"):
        world.up = False
        for _ in range(50):
            with pytest.raises(DatabaseUnavailable):
                db.query("a")
            world.now += 0.5
        world.up = True
        world.now += 8.1
        db.query("a")
        db.query("a")
    assert [record.message for record in caplog.records] == [
        "database fake://user@host/db is lost: refused",
        "database fake://user@host/db is back",
    ]


def test_processes_share_what_they_know_and_one_tries(fake: Fake, world: World) -> None:
    memory = SharedMemory(4, 2)
    try:
        words = memory.segment.signed_longs(memory.segment.reserve(16), 2)
        first, second = (Database(URL, fake, Breaker(words), lambda: world.now) for _ in range(2))
        world.up, world.takes = False, 2.0
        with pytest.raises(DatabaseUnavailable):
            first.query("a")
        assert world.connects == 1
        with pytest.raises(DatabaseUnavailable):
            second.query("a")
        assert world.connects == 1
        world.now += 1.1
        assert second.breaker.may_try(int(world.now * 1000), 2000)
        assert not first.breaker.may_try(int(world.now * 1000), 2000)
        del words, first, second
    finally:
        memory.close()


def test_a_live_connection_is_used_although_another_process_found_no_way(fake: Fake, world: World) -> None:
    words = [0, 0]
    mine, other = (Database(URL, fake, Breaker(words), lambda: world.now) for _ in range(2))
    mine.query("a")
    world.up = False
    with pytest.raises(DatabaseUnavailable):
        other.query("a")
    world.up = True
    assert mine.query("a") == [(b"row",)]


def test_a_connection_silent_for_long_is_tried_before_it_is_used(db: Database, fake: Fake, world: World) -> None:
    fake.idle = 300
    db.query("a")
    world.now += 299
    db.query("a")
    assert "ping" not in world.log
    world.now += 301
    db.query("a")
    assert world.log.count("ping") == 1
    world.now += 301
    assert isinstance(db._connection, FakeConnection)
    db._connection.alive = False
    db.query("a")
    assert world.connects == 2


def test_a_child_drops_the_parent_s_connection_without_a_word(
    db: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.query("a")
    monkeypatch.setattr(os, "getpid", lambda: 4711)
    db.query("a")
    assert world.connects == 2
    assert "forget" in world.log and "close" not in world.log


# --- transactions and batches ----------


def test_a_transaction_commits_or_undoes(db: Database, world: World) -> None:
    with db.transaction():
        db.insert("t", {"name": b"a"})
    assert world.log[-2:] == ["commit", "insert b'a'"]
    with pytest.raises(ValueError), db.transaction():
        db.insert("t", {"name": b"b"})
        raise ValueError
    assert "insert b'b'" not in world.log


def test_a_connection_lost_in_a_transaction_is_not_replaced_in_it(db: Database, world: World) -> None:
    with pytest.raises(DatabaseUnavailable), db.transaction():
        world.breaks = 1
        db.insert("t", {"name": b"a"})
    assert world.connects == 1
    with pytest.raises(DatabaseUnavailable), db.transaction():
        pass
    world.now += 1.1
    with db.transaction():
        db.insert("t", {"name": b"b"})


@pytest.mark.parametrize(("patient", "least"), [(False, 0.2), (True, LIMIT)])
def test_a_transaction_that_a_message_waits_for_shares_one_limit(
    db: Database, world: World, patient: bool, least: float
) -> None:
    world.takes = 0.5
    with db.transaction(patient=patient):
        for name in (b"a", b"b", b"c"):
            db.insert("t", {"name": name})
    assert isinstance(db._connection, FakeConnection)
    assert min(db._connection.limits) == pytest.approx(least)
    db.insert("t", {"name": b"d"})
    assert db._connection.limits[-1] == pytest.approx(LIMIT)


def test_a_transaction_that_cannot_begin_leaves_the_next_operation_its_whole_limit(db: Database, world: World) -> None:
    world.up = False
    with pytest.raises(DatabaseUnavailable), db.transaction():
        pass
    world.up = True
    world.now += 10
    db.insert("t", {"name": b"a"})
    assert isinstance(db._connection, FakeConnection)
    assert db._connection.limits[-1] == pytest.approx(LIMIT)


@pytest.mark.parametrize("place", range(9))
def test_a_batch_leaves_out_what_is_refused(db: Database, world: World, place: int) -> None:
    writes: list[Insert | Update | Delete] = [Insert("t", {"name": b"%d" % n}) for n in range(6)]
    writes += [Update("t", {"a": 1}, ()), Delete("t", ())]
    bad = Insert("t", {"name": b"bad"})
    writes.insert(place, bad)
    assert [write for write, _ in db.write(writes)] == [bad]
    done = [entry for entry in world.log if entry not in ("begin", "commit")]
    assert done == [*(f"insert b'{n}'" for n in range(6)), "update", "delete"]


def test_an_empty_batch_asks_nothing(db: Database, world: World) -> None:
    assert db.write([]) == []
    assert world.connects == 0


def test_a_batch_without_a_database_is_not_written(db: Database, world: World) -> None:
    world.up = False
    with pytest.raises(DatabaseUnavailable):
        db.write([Insert("t", {"name": b"a"})])
    assert world.log == []


# --- versions ----------


def test_the_right_version_is_looked_for_once_and_the_connection_closed(db: Database, world: World) -> None:
    world.versions = {"location": 1004}
    db.expect("location", 1004)
    assert world.log == ["query version", "close"]
    db.query("a")
    assert world.log.count("query version") == 1


@pytest.mark.parametrize(("found", "words"), [({"location": 6}, "has version 6, 1004 is needed"),
                                              ({}, "has no version for table location")])  # fmt: skip
def test_another_version_is_an_error_that_says_what_to_run(
    db: Database, world: World, found: dict[str, int], words: str
) -> None:
    world.versions = found
    with pytest.raises(ConfigError, match=words) as caught:
        db.expect("location", 1004)
    assert "openserdbctl" in caught.value.hint


def test_without_the_database_the_start_goes_on_and_the_version_is_looked_for_later(
    db: Database, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.up = False
    db.expect("location", 1004)
    world.up = True
    world.now += 2
    world.versions = {"location": 6}
    with pytest.raises(DatabaseRefused, match="1004 is needed"):
        db.query("a")
    assert "openserdbctl" not in caplog.text or caplog.text.count("1004 is needed") <= 1
    world.versions = {"location": 1004}
    world.now += 10
    assert db.query("a") == [(b"row",)]


# --- opening ----------


def test_a_url_is_opened_through_the_module_of_its_scheme(fake: Fake) -> None:
    core = Core()
    core.modules = {"fake": fake}
    database = open_database(core, "fake://host/db")
    assert database is open_database(core, "fake://host/db")
    assert database.driver is fake
    fake.on_init(core)
    assert core.require("db:fake") is fake


def test_a_module_that_is_not_loaded_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        open_database(Core(), "mysql://localhost/openser")
    assert 'loadmodule "mysql.so"' in caught.value.hint


def test_database_errors_are_the_machine_s() -> None:
    assert issubclass(DatabaseUnavailable, ResourceError) and issubclass(DatabaseRefused, ResourceError)


# --- values and statements ----------


def test_moments_become_seconds_and_back() -> None:
    assert seconds(moment(1_700_000_000)) == 1_700_000_000
    assert seconds(None) == 0
    assert seconds(42) == 42
    assert date_text(datetime(2026, 1, 2, 3, 4, 5)) == "2026-01-02 03:04:05"
    assert date_value(b"2026-01-02 03:04:05") == datetime(2026, 1, 2, 3, 4, 5)
    assert date_value(b"0000-00-00 00:00:00") is None


def test_names_for_parameters_are_checked() -> None:
    assert name_check("subscriber") is None
    assert name_check("sub scriber") is not None


class Recording(SqlConnection):
    """Notes statements."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[Value]]] = []

    def select(self, statement: str, values: Sequence[Value]) -> list[Row]:
        self.seen.append((statement, list(values)))
        return []

    def change(self, statement: str, values: Sequence[Value]) -> int:
        self.seen.append((statement, list(values)))
        return 0

    def change_many(self, statement: str, rows: Sequence[Sequence[Value]]) -> None:
        self.seen += [(statement, list(row)) for row in rows]

    def stream(self, statement: str, values: Sequence[Value], n_rows: int):  # type: ignore[no-untyped-def]
        yield self.select(statement, values)

    def close(self) -> None: ...


def test_statements_hold_names_and_marks_only() -> None:
    sql = Recording()
    conditions = (*where(username=b"x'", domain=None), Condition("expires", 5, "<"), Condition("a", None, "!="))
    sql.query("location", ("contact", "q"), conditions, "q")
    sql.insert("t", {"a": b"1", "b": None})
    sql.update("t", {"a": b"2"}, where(b=3))
    sql.delete("t")
    assert sql.seen == [
        ('SELECT "contact","q" FROM "location" WHERE "username"=? AND "domain" IS NULL AND "expires"<?'
         ' AND "a" IS NOT NULL ORDER BY "q"', [b"x'", 5]),
        ('INSERT INTO "t" ("a","b") VALUES (?,?)', [b"1", None]),
        ('UPDATE "t" SET "a"=? WHERE "b"=?', [b"2", 3]),
        ('DELETE FROM "t"', []),
    ]  # fmt: skip


def test_rows_can_share_a_statement() -> None:
    sql = Recording()
    sql.rows_at_once = 2
    sql.insert_many("t", ("a",), [(1,), (2,), (3,), (4,), (5,)])
    sql.insert_many("t", ("a",), [])
    two, one = 'INSERT INTO "t" ("a") VALUES (?),(?)', 'INSERT INTO "t" ("a") VALUES (?)'
    assert sql.seen == [(two, [1, 2]), (two, [3, 4]), (one, [5])]


def test_kept_statements_do_not_grow_without_end() -> None:
    sql = Recording()
    for n in range(3000):
        sql.query(f"t{n}")
    assert len(sql.statements) <= 1000


@pytest.mark.parametrize(
    ("text", "changed"),
    [("a=? and b=?", "a=%s and b=%s"), ("a='?' and b=?", "a='?' and b=%s"),
     ("a like '50%' and b=?", "a like '50%%' and b=%s"), ("a='it''s ?' and b=?", "a='it''s ?' and b=%s"),
     ("a % 2 = ?", "a %% 2 = %s"), ('"?"=?', '"?"=%s')],
)  # fmt: skip
def test_marks_are_changed_outside_of_quotes(text: str, changed: str) -> None:
    assert with_marks(text, "%s") == changed


def test_a_backslash_hides_a_quote_where_the_database_says_so() -> None:
    assert with_marks(r"a='\'?' and b=?", "%s", PARTS_WITH_BACKSLASHES) == r"a='\'?' and b=%s"
    assert with_marks(r"a='\' and b=?", "%s") == r"a='\' and b=%s"
