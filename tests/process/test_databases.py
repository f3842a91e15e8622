"""Every driver against the real thing: the same tests, whatever stands behind the URL.

MariaDB, PostgreSQL, and sqlite behind ODBC too; each server is the tests' own.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest

from openserd.core.database import (
    Condition,
    Connection,
    Database,
    DatabaseError,
    DatabaseRefused,
    DatabaseUnavailable,
    DatabaseUrl,
    Delete,
    Insert,
    Update,
    Value,
    where,
)
from openserd.core.database.breaker import Breaker
from openserd.core.database.module import DriverModule
from openserd.errors import ConfigError
from openserd.server.loader import ModuleLoader
from tests.support.databases import DatabaseServer, MariaDb, Postgres

SERVERS = {"mysql": "mariadb", "postgres": "postgres", "odbc-mariadb": "mariadb", "odbc-postgres": "postgres"}
DRIVERS = ["sqlite", "dbtext", "mysql", "postgres", "odbc-sqlite", "odbc-mariadb", "odbc-postgres"]
SQL = [name for name in DRIVERS if name != "dbtext"]
OF_SERVERS = list(SERVERS)
COLUMNS = ("name", "note", "number", "ratio", "at")
DDL = (
    "create table things (id {serial}, name varchar(64) not null default 'none', note {text}, number int,"
    " ratio {real}, at {date}, unique (name))"
)

pytestmark = pytest.mark.xdist_group("databases")  # one server for all of them
ODBC_DRIVERS = {"sqlite": "SQLite3", "mariadb": "MariaDB Unicode", "postgres": "PostgreSQL Unicode"}
NUMBERS = count()
NOON = datetime(2026, 11, 25, 12, 0, 0)

INJECTIONS = [
    b"'", b'"', b"\\", b"\\'", b"'; drop table things; --", b"' or '1'='1", b"x' union select 1,2,3 --", b"%s %d %(a)s",
    b"?", b":1 :name", b"$1", b"`", b"\xbf\x27 or 1=1", b"/*", b"--", b"#", b"\r\n", b"a:b\\:c", b"\\n", b"|", b"\\e",
]  # fmt: skip


@dataclass
class Place:
    """A database under test: where it is, what it can and cannot, how its server is treated badly."""

    name: str
    url: DatabaseUrl
    driver: DriverModule
    server: DatabaseServer | None = None

    def open(self) -> Database:
        """A database object, as one process would have it."""
        return Database(self.url, self.driver, Breaker())

    @property
    def is_sql(self) -> bool:
        return self.name != "dbtext"


def driver(name: str) -> DriverModule:
    module = ModuleLoader().load(name)()
    assert isinstance(module, DriverModule)
    return module


def odbc_place(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, server: DatabaseServer | None) -> Place:
    """A data source in an odbc.ini of our own."""
    kind = name.removeprefix("odbc-")
    source = f"things_{next(NUMBERS)}"  # the driver manager remembers what it once read of a name
    lines = [f"[{source}]", f"Driver={ODBC_DRIVERS[kind]}"]
    if server is None:
        lines += [f"Database={folder}/things.db", "Timeout=1000"]
    else:
        lines += ["Server=127.0.0.1", "Servername=127.0.0.1", f"Port={server.port}", "Database=things"]
    (folder / "odbc.ini").write_text("\n".join([*lines, ""]))
    monkeypatch.setenv("ODBCINI", str(folder / "odbc.ini"))
    url = f"unixodbc://openser:openserrw@localhost/{source}"
    return Place(name, DatabaseUrl.parse(url), driver("unixodbc"), server)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    if not MariaDb.installed():
        pytest.skip("no MariaDB here (scripts/test-tools.sh installs it)")
    with MariaDb() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if not Postgres.installed():
        pytest.skip("no PostgreSQL here (scripts/test-tools.sh installs it)")
    with Postgres() as server:
        yield server


def fresh(server: DatabaseServer) -> None:
    """A database `things` on a server with one empty table of this name."""
    clean = "drop table if exists things, version;"
    if isinstance(server, MariaDb):
        server.sql("create database if not exists things character set latin1; use things;" + clean
                   + DDL.format(serial="int primary key auto_increment", text="longtext", real="double",
                                date="datetime"))  # fmt: skip
    elif isinstance(server, Postgres):
        if not server.sql("select 1 from pg_database where datname = 'things'"):
            server.sql("create database things template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'")
        server.sql(clean + DDL.format(serial="serial primary key", text="text", real="double precision",
                                      date="timestamp"), "things")  # fmt: skip


def make_place(name: str, folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The database under test, with the table `things` in it."""
    server = request.getfixturevalue(SERVERS[name]) if name in SERVERS else None
    if server is not None:
        fresh(server)
        if name.startswith("odbc"):
            return odbc_place(name, folder, monkeypatch, server)
        return Place(name, DatabaseUrl.parse(server.url("things")), driver(name), server)
    if name == "dbtext":
        (folder / "things").write_text("id(int,auto) name(str) note(str,null) number(int,null) ratio(double,null) "
                                       "at(int,null)\n")  # fmt: skip
        return Place(name, DatabaseUrl.parse(f"dbtext:{folder}"), driver("dbtext"))
    module = driver("sqlite")
    (folder / "things.db").touch()
    place = Place("sqlite", DatabaseUrl.parse(f"sqlite:///{folder}/things.db"), module)
    with_table = place.open()
    with_table.raw_query(DDL.format(serial="integer primary key", text="text", real="real", date="datetime"))
    with_table.close()
    return place if name == "sqlite" else odbc_place(name, folder, monkeypatch, None)


@pytest.fixture(params=DRIVERS)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return make_place(request.param, tmp_path, request, monkeypatch)


@pytest.fixture
def sql_place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return make_place(request.param, tmp_path, request, monkeypatch)


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    found = make_place(request.param, tmp_path, request, monkeypatch)
    yield found
    assert found.server is not None
    found.server.resume()
    if found.server.process is None or found.server.process.poll() is not None:
        found.server.start()


@pytest.fixture
def db(place: Place) -> Iterator[Database]:
    database = place.open()
    yield database
    database.close()


def thing(name: bytes, **other: Value) -> dict[str, Value]:
    return {"name": name, **other}


def names(db: Database, *conditions: Condition, order: str = "name") -> list[Value]:
    return [row[0] for row in db.query("things", ("name",), conditions, order)]


# --- rows and values ----------


def test_a_row_comes_back_as_it_was_written(db: Database, place: Place) -> None:
    db.insert("things", thing(b"one", note=b"text", number=-7, ratio=0.25, at=NOON))
    [row] = db.query("things", COLUMNS)
    at = NOON if place.is_sql and place.name != "odbc-sqlite" else row[4]
    assert row == (b"one", b"text", -7, 0.25, at)
    if place.name == "dbtext":
        assert row[4] == int(NOON.timestamp())


def test_all_columns_come_when_none_are_named(db: Database) -> None:
    db.insert("things", thing(b"one"))
    [row] = db.query("things")
    assert (row[0], row[1]) == (1, b"one")


def test_columns_and_tables_can_be_listed(db: Database) -> None:
    assert db.columns("things") == ["id", *COLUMNS]
    assert "things" in db.tables()
    assert db.columns("nothing") == []


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_looks_like_a_statement_is_data_in_every_field(db: Database, text: bytes) -> None:
    db.insert("things", thing(b"other", note=b"untouched"))
    db.insert("things", thing(text, note=text))
    assert db.query("things", ("name", "note"), where(name=text)) == [(text, text)]
    assert names(db, Condition("note", text)) == [text]
    assert db.update("things", {"note": text + b"!"}, where(note=text)) == 1
    assert db.query("things", ("note",), where(name=text)) == [(text + b"!",)]
    db.replace("things", thing(text, note=text), ("name",))
    assert db.delete("things", where(note=text)) == 1
    assert names(db) == [b"other"]


@pytest.mark.parametrize(
    "name", ["things; drop table things", "things--", "thi`ngs", 'a"b', "", "a b", "../things", "é"]
)
def test_what_is_no_name_is_refused(db: Database, name: str) -> None:
    for attempt in (
        lambda: db.query(name),
        lambda: db.query("things", (name,)),
        lambda: db.query("things", where=(Condition(name, 1),)),
        lambda: db.insert("things", {name: b"x"}),
        lambda: db.update("things", {name: b"x"}),
        lambda: db.delete(name),
    ):
        with pytest.raises(DatabaseRefused):
            attempt()
    with pytest.raises(DatabaseRefused):
        db.query("things", where=(Condition("name", b"x", "= '' or 1="),))


def test_null_is_told_from_the_empty_text(db: Database, place: Place) -> None:
    db.insert("things", thing(b"nothing", note=None))
    db.insert("things", thing(b"empty", note=b""))
    if place.name == "dbtext":  # the file has one way to write both
        for _ in range(2):
            both = [b"empty", b"nothing"]
            assert names(db, Condition("note", None)) == names(db, Condition("note", b"")) == both
            assert names(db, Condition("note", None, "!=")) == names(db, Condition("note", b"", "!=")) == []
            db.close()  # the next query reads the file
        return
    assert names(db, Condition("note", None)) == [b"nothing"]
    assert names(db, Condition("note", None, "!=")) == [b"empty"]
    assert names(db, Condition("note", b"")) == [b"empty"]


def test_null_can_be_written_over_a_value_and_back(db: Database) -> None:
    db.insert("things", thing(b"a", note=b"x", number=1, ratio=1.0, at=NOON))
    db.update("things", {"note": None, "number": None, "ratio": None, "at": None}, where(name=b"a"))
    assert db.query("things", COLUMNS) == [(b"a", None, None, None, None)]
    assert names(db, Condition("number", None)) == [b"a"]


@pytest.mark.parametrize("text", ["ü", "Ωμέγα", "日本語", "\N{GRINNING FACE}", "e\u0301"])
def test_utf8_passes(db: Database, text: str) -> None:
    db.insert("things", thing(text.encode(), note=text.encode()))
    assert db.query("things", ("name", "note"), where(name=text.encode())) == [(text.encode(), text.encode())]


def test_every_byte_but_0_passes(db: Database, place: Place) -> None:
    text = bytes(range(1, 256))
    db.insert("things", thing(b"binary", note=text))
    assert db.query("things", ("note",)) == [(text,)]
    assert names(db, Condition("note", text)) == [b"binary"]


def test_the_byte_0_is_stored_or_refused_and_cuts_nothing_off(db: Database, place: Place) -> None:
    text = b"before\0after"
    try:
        db.insert("things", thing(b"zero", note=text))
    except DatabaseRefused:
        assert names(db) == []
    else:
        assert db.query("things", ("note",)) == [(text,)]


@pytest.mark.parametrize("size", [5000, 70_000])
def test_long_text_passes(db: Database, size: int) -> None:
    text = b"0123456789" * (size // 10)
    db.insert("things", thing(b"long", note=text))
    assert db.query("things", ("note",)) == [(text,)]


def test_text_longer_than_its_column_is_refused_or_whole(db: Database) -> None:
    text = b"x" * 200
    try:
        db.insert("things", thing(text))
    except DatabaseRefused:
        assert names(db) == []
    else:
        assert names(db) == [text]


def test_conditions_compare(db: Database) -> None:
    for number in range(1, 6):
        db.insert("things", thing(b"%d" % number, number=number, at=datetime(2026, 1, number)))
    assert names(db, Condition("number", 2, "<")) == [b"1"]
    assert names(db, Condition("number", 2, "<=")) == [b"1", b"2"]
    assert names(db, Condition("number", 4, ">")) == [b"5"]
    assert names(db, Condition("number", 4, ">="), Condition("name", b"5", "!=")) == [b"4"]
    assert names(db, Condition("at", datetime(2026, 1, 2), "<=")) == [b"1", b"2"]


def test_rows_come_in_order(db: Database) -> None:
    for name, number in ((b"b", 2), (b"c", 1), (b"a", 3)):
        db.insert("things", thing(name, number=number))
    assert names(db, order="number") == [b"c", b"b", b"a"]
    assert names(db, order="name") == [b"a", b"b", b"c"]


def test_changes_say_how_many_rows_they_found(db: Database) -> None:
    db.insert_many("things", ("name", "number"), [(b"%d" % n, n % 2) for n in range(10)])
    assert db.update("things", {"note": b"odd"}, where(number=1)) == 5
    if db.url.scheme != "unixodbc":
        assert db.update("things", {"note": b"odd"}, where(number=1)) == 5
    assert db.delete("things", where(number=0)) == 5
    assert db.delete("things", where(number=0)) == 0
    assert db.delete("things") == 5


def test_replace_changes_or_adds(db: Database) -> None:
    db.replace("things", thing(b"a", number=1), ("name",))
    db.replace("things", thing(b"a", number=2), ("name",))
    db.replace("things", thing(b"a", number=2), ("name",))
    db.replace("things", thing(b"b", number=3), ("name",))
    assert db.query("things", ("name", "number"), order="name") == [(b"a", 2), (b"b", 3)]


def test_replace_leaves_one_row_where_there_were_several(db: Database) -> None:
    for name, note in ((b"a", b"same"), (b"b", b"same"), (b"c", b"other")):
        db.insert("things", thing(name, note=note))
    db.replace("things", {"number": 2, "note": b"same"}, ("note",))
    assert db.query("things", ("note", "number"), order="note") == [(b"other", None), (b"same", 2)]


def test_large_tables_come_in_portions(db: Database) -> None:
    db.insert_many("things", ("name", "number"), [(b"%05d" % n, n) for n in range(2500)])
    portions = list(db.fetch("things", ("name", "number"), order="name", n_rows=1000))
    assert [len(portion) for portion in portions] == [1000, 1000, 500]
    assert portions[2][-1] == (b"02499", 2499)
    assert len(names(db)) == 2500


def test_what_is_not_there_is_refused_and_the_connection_goes_on(db: Database) -> None:
    for attempt in (
        lambda: db.query("nothing"),
        lambda: db.query("things", ("nothing",)),
        lambda: db.insert("nothing", {"a": 1}),
    ):
        with pytest.raises(DatabaseRefused):
            attempt()
    db.insert("things", thing(b"a"))
    assert names(db) == [b"a"]


@pytest.mark.parametrize("sql_place", SQL, indirect=True)
def test_a_raw_statement_takes_values(sql_place: Place) -> None:
    db = sql_place.open()
    db.insert("things", thing(b"100% 'sure'?", number=1))
    assert db.raw_query("select number, '?%' from things where name = ? and number < ?", (b"100% 'sure'?", 2)) == [
        (1, b"?%")
    ]
    assert db.raw_query("select name from things where name like '100%'") == [(b"100% 'sure'?",)]
    with pytest.raises(DatabaseRefused):
        db.raw_query("select nonsense from")
    db.close()


# --- several changes together ----------


def test_a_transaction_takes_effect_as_a_whole(db: Database, place: Place) -> None:
    with db.transaction():
        db.insert("things", thing(b"a"))
        db.insert("things", thing(b"b"))
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.insert("things", thing(b"c"))
        db.delete("things", where(name=b"a"))
        raise ZeroDivisionError
    assert names(db) == [b"a", b"b"]
    other = place.open()
    assert names(other) == [b"a", b"b"]
    other.close()


def test_a_batch_is_written_but_for_what_is_refused(db: Database, place: Place) -> None:
    writes = [Insert("things", thing(b"%03d" % n, number=n)) for n in range(100)]
    bad = Insert("things", {"name": b"bad", "nothing": 1})
    mixed = [*writes[:50], bad, *writes[50:], Update("things", {"note": b"x"}, where(number=1)),
             Delete("things", where(number=0))]  # fmt: skip
    assert [write for write, _ in db.write(mixed)] == [bad]
    assert len(names(db)) == 99
    assert names(db, Condition("note", b"x")) == [b"001"]


def test_another_process_has_a_connection_of_its_own(db: Database) -> None:
    db.insert("things", thing(b"parent"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            db.insert("things", thing(b"child"))
            code = 0 if len(names(db)) == 2 else 2
            db.close()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    db.insert("things", thing(b"parent again"))
    assert names(db) == [b"child", b"parent", b"parent again"]


# --- versions ----------


def make_versions(place: Place, db: Database) -> None:
    if place.name == "dbtext":
        Path(f"{place.url.path}/version").write_text("table_name(str) table_version(int)\nthings:3\n")
    else:
        db.raw_query("create table version (table_name varchar(64) not null primary key, table_version smallint)")
        db.insert("version", {"table_name": b"things", "table_version": 3})


def test_versions_of_tables_are_checked(db: Database, place: Place) -> None:
    make_versions(place, db)
    assert db.table_version("things") == 3
    assert db.table_version("other") == 0
    db.expect("things", 3)
    with pytest.raises(ConfigError, match=r"table things .* has version 3, 4 is needed"):
        db.expect("things", 4)
    with pytest.raises(ConfigError, match="openserdbctl"):
        place.open().expect("other", 1)


# --- servers that go away ----------


def taken(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def fails(db: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        names(db)


def back(db: Database, seconds: float) -> None:
    """Asks until the database answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            names(db)
            return
        except DatabaseUnavailable:
            assert time.monotonic() < deadline, "the database is not found again"
            time.sleep(0.1)


@pytest.mark.parametrize("served", OF_SERVERS, indirect=True)
def test_a_server_that_restarted_is_used_without_an_error(served: Place) -> None:
    db = served.open()
    db.insert("things", thing(b"before"))
    assert served.server is not None
    served.server.kill()
    served.server.start()
    assert names(db) == [b"before"]
    db.insert("things", thing(b"after"))
    db.close()


@pytest.mark.parametrize("served", OF_SERVERS, indirect=True)
def test_a_server_that_is_gone_costs_nothing_and_is_found_again(
    served: Place, caplog: pytest.LogCaptureFixture
) -> None:
    db = served.open()
    db.insert("things", thing(b"before"))
    assert served.server is not None
    served.server.kill()
    with caplog.at_level(logging.WARNING, "openserd"):
        assert taken(lambda: fails(db)) < 2.5
        assert taken(lambda: [fails(db) for _ in range(100)]) < 1.5
        served.server.start()
        back(db, 10)
    assert [record.message.split(" is ")[1].split(":")[0] for record in caplog.records] == ["lost", "back"]
    assert names(db) == [b"before"]
    db.close()


@pytest.mark.parametrize("served", OF_SERVERS, indirect=True)
def test_a_server_that_hangs_costs_two_seconds_once_in_a_while(served: Place) -> None:
    db = served.open()
    db.insert("things", thing(b"before"))
    server = served.server
    assert server is not None
    server.pause()
    try:
        assert taken(lambda: fails(db)) < 3.5
        assert taken(lambda: [fails(db) for _ in range(100)]) < 1.5
        time.sleep(1.2)
        assert taken(lambda: fails(db)) < 3.5
        assert taken(lambda: fails(db)) < 1.0
    finally:
        server.resume()
    back(db, 10)
    assert names(db) == [b"before"]
    db.close()


@pytest.mark.parametrize("served", OF_SERVERS, indirect=True)
def test_a_transaction_that_lost_its_connection_fails_as_a_whole(served: Place) -> None:
    db = served.open()
    assert served.server is not None
    with pytest.raises(DatabaseError), db.transaction():
        db.insert("things", thing(b"lost"))
        served.server.kill()
        served.server.start()
        db.insert("things", thing(b"lost too"))
    back(db, 10)
    assert names(db) == []
    db.close()


@pytest.mark.parametrize("served", ["mysql", "odbc-mariadb"], indirect=True)
def test_a_connection_that_the_server_closed_for_silence_is_replaced(served: Place) -> None:
    db = served.open()
    db.raw_query("set session wait_timeout=1")
    time.sleep(2)
    db.insert("things", thing(b"after"))
    assert names(db) == [b"after"]
    db.close()


def test_a_wrong_password_is_the_database_s_absence(mariadb: MariaDb, caplog: pytest.LogCaptureFixture) -> None:
    fresh(mariadb)
    url = mariadb.url("things").replace("openserrw", "wrong")
    db = Database(DatabaseUrl.parse(url), driver("mysql"), Breaker())
    with pytest.raises(DatabaseUnavailable, match="denied"):
        db.query("things")
    assert "wrong" not in caplog.text.replace("wrong password", "")


def test_rows_locked_by_another_are_waited_for_a_second(mariadb: MariaDb) -> None:
    fresh(mariadb)
    place = Place("mysql", DatabaseUrl.parse(mariadb.url("things")), driver("mysql"), mariadb)
    holder, other = place.open(), place.open()
    holder.insert("things", thing(b"a"))
    with holder.transaction():
        holder.update("things", {"number": 1}, where(name=b"a"))
        with pytest.raises(DatabaseUnavailable):
            other.update("things", {"number": 2}, where(name=b"a"))
    other.update("things", {"number": 3}, where(name=b"a"))
    holder.close()
    other.close()


def test_a_connection_says_what_it_cannot_do() -> None:
    class Mute(Connection):
        def insert(self, table: str, row: object) -> None: ...
        def close(self) -> None: ...

    for attempt in (lambda: Mute().query("a"), lambda: Mute().update("a", {}), lambda: Mute().begin()):
        with pytest.raises(DatabaseRefused, match="cannot do this"):
            attempt()
