"""sqlite: what is not the same for every driver."""

import os
import resource
import sqlite3
import time
from datetime import datetime
from pathlib import Path

import pytest

from openserd.core.database import DatabaseBusy, DatabaseRefused, DatabaseUrl, Lost, where
from openserd.mods.sqlite import Sqlite, SqliteConnection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "a#b?c%.db"
    plain = sqlite3.connect(found)
    plain.execute("create table t (a varchar(64) unique, n int, d datetime)")
    plain.close()
    return found


@pytest.fixture
def db(path: Path) -> SqliteConnection:
    return Sqlite().connect(DatabaseUrl("sqlite", path=str(path)), 60.0)


def test_text_is_text_for_other_programs_whatever_its_bytes(db: SqliteConnection, path: Path) -> None:
    db.insert("t", {"a": "ü".encode(), "d": datetime(2026, 1, 2)})
    db.insert("t", {"a": b"\xff\xfe"})
    plain = sqlite3.connect(path)
    plain.text_factory = bytes
    assert plain.execute("select typeof(a), a, d from t order by rowid").fetchall() == [
        (b"text", "ü".encode(), b"2026-01-02 00:00:00"), (b"text", b"\xff\xfe", None)
    ]  # fmt: skip
    plain.close()
    assert db.query("t", ("a",), where(a=b"\xff\xfe")) == [(b"\xff\xfe",)]
    assert db.query("t", ("d",), where(a="ü".encode())) == [(datetime(2026, 1, 2),)]
    db.insert_many("t", ("a",), [(b"\xfe",), (b"b",)])
    assert db.update("t", {"a": b"\xfd"}, where(a=b"\xfe")) == 1


def test_a_name_that_no_column_has_is_not_taken_for_a_text(db: SqliteConnection) -> None:
    db.insert("t", {"a": b"x"})
    with pytest.raises(DatabaseRefused):
        db.query("t", ("nothing",))


def test_readers_do_not_wait_for_a_writer_and_writers_only_so_long(db: SqliteConnection, path: Path) -> None:
    writer = Sqlite().connect(DatabaseUrl("sqlite", path=str(path)), 1.0)
    writer.begin()
    writer.insert("t", {"a": b"x"})
    assert db.query("t") == []
    db.limit(0.2)
    begun = time.monotonic()
    with pytest.raises(DatabaseBusy):
        db.insert("t", {"a": b"y"})
    assert time.monotonic() - begun < 30
    writer.commit()
    db.insert("t", {"a": b"y"})


def test_a_full_disk_is_for_now_only(db: SqliteConnection, path: Path) -> None:
    db.insert("t", {"a": b"before"})
    db.close()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
            own = Sqlite().connect(DatabaseUrl("sqlite", path=str(path)), 1.0)
            try:
                own.insert("t", {"a": b"x" * 200_000})
            except DatabaseBusy:
                own.insert("t", {"a": b"after"})
                code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    again = Sqlite().connect(DatabaseUrl("sqlite", path=str(path)), 1.0)
    assert [row[0] for row in again.query("t", ("a",), order="a")] == [b"after", b"before"]


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Lost, match="openserdbctl create"):
        Sqlite().connect(DatabaseUrl("sqlite", path=f"{tmp_path}/none.db"), 1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_its_absence(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database at all, but long enough to be looked at" * 100)
    with pytest.raises(Lost):
        Sqlite().connect(DatabaseUrl("sqlite", path=f"{tmp_path}/x.db"), 1.0)


def test_a_number_too_large_is_refused(db: SqliteConnection) -> None:
    with pytest.raises(DatabaseRefused):
        db.insert("t", {"a": b"x", "n": 1 << 70})
    with pytest.raises(DatabaseRefused):
        db.insert_many("t", ("a", "n"), [(b"x", 1), (b"y", 1 << 70)])
    assert db.query("t") == []
