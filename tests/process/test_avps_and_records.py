"""avpops and acc over real database servers: the same script, whatever stands behind the URL."""

from collections.abc import Iterator

import pytest

from openserd.core.database import Database, DatabaseUrl
from openserd.core.database.module import DriverModule
from openserd.server.loader import ModuleLoader
from openserd.testing import Result, Script
from tests.support.databases import MariaDb, Postgres

PREFERENCES = (
    "create table prefs (uuid varchar(64) not null, username varchar(64) not null, domain varchar(128) not null,"
    " attribute varchar(32) not null, type int not null, value varchar(128) not null)"
)
RECORDS = (
    "create table records (method varchar(16) not null, from_tag varchar(64) not null, to_tag varchar(64) not null,"
    " callid varchar(128) not null, sip_code char(3) not null, sip_reason varchar(32) not null, time {date} not null,"
    " src varchar(64))"
)

pytestmark = pytest.mark.xdist_group("avps_and_records")  # one server for all of them


class Place:
    """A database with the two tables."""

    def __init__(self, scheme: str, url: str) -> None:
        self.scheme = scheme
        self.url = url
        driver = ModuleLoader().load(scheme)()
        assert isinstance(driver, DriverModule)
        self.database = Database(DatabaseUrl.parse(url), driver)
        date = "timestamp" if scheme == "postgres" else "datetime"
        for table in ("prefs", "records"):
            self.database.raw_query(f"drop table if exists {table}")
        self.database.raw_query(PREFERENCES)
        self.database.raw_query(RECORDS.format(date=date))

    def script(self, body: str) -> Script:
        """A script over it."""
        text = f"""loadmodule "{self.scheme}.so" loadmodule "sl.so" loadmodule "tm.so"
            loadmodule "avpops.so" loadmodule "acc.so"
            modparam("avpops", "db_url", "{self.url}") modparam("avpops", "avp_table", "prefs")
            modparam("acc", "db_url", "{self.url}") modparam("acc", "db_flag", 1)
            modparam("acc", "db_table_acc", "records") modparam("acc", "db_extra", "src=$si")
            route {{ {body} }}"""
        return Script.text(text)


@pytest.fixture(scope="module", params=[MariaDb, Postgres])
def server(request: pytest.FixtureRequest) -> Iterator[MariaDb | Postgres]:
    kind: type[MariaDb] | type[Postgres] = request.param
    if not kind.installed():
        pytest.skip("that server is not here (scripts/test-tools.sh installs it)")
    with kind() as made:
        if isinstance(made, MariaDb):
            made.sql("create database avps character set utf8mb4")
        else:
            made.sql("create database avps template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'")
        yield made


@pytest.fixture
def place(server: MariaDb | Postgres) -> Iterator[Place]:
    made = Place("mysql" if isinstance(server, MariaDb) else "postgres", server.url("avps"))
    yield made
    made.database.close()


EVIL = ["x' or '1'='1", "x'; drop table prefs; --", 'x" or "1"="1', "x\\' or 1=1 --", "\\", "%s ? :a $1"]


def ask(script: Script, user: str) -> Result:
    return script.request("INVITE sip:bob@192.0.2.20", headers={"X-User": user})


def test_avps_are_stored_loaded_queried_and_deleted(place: Place) -> None:
    body = """$avp(s:name) = $hdr(X-User); $avp(i:5) = 42; avp_db_store("$fu", "a"); avp_delete("a");
        avp_db_load("$fu", "$avp(s:name)"); avp_db_load("$fu", "i");
        avp_db_query("select type, value from prefs where value='$hdr(X-User)' and type < $avp(i:5)",
            "$avp(s:type);$avp(s:found)");
        avp_db_delete("$fu", "a"); avp_db_query("select value from prefs", "$avp(s:left)");"""
    with place.script(body) as script:
        for user in ["alice", "\xe4\xf6\u20ac", *EVIL]:
            result = ask(script, user)
            assert result.variable("$avp(s:name)") == user
            assert result.variable("$avp(i:5)") == 42
            assert result.variable("$avp(s:found)") == user
            assert result.variable("$avp(s:type)") == 0
            assert result.variable("$avp(s:left)") is None


def test_no_value_becomes_part_of_a_statement(place: Place) -> None:
    row = {"uuid": b"", "username": b"alice", "domain": b"", "attribute": b"secret", "type": 0, "value": b"1"}
    place.database.insert("prefs", row)
    body = """avp_db_query("select value from prefs where username='$hdr(X-User)'", "$avp(s:found)");"""
    with place.script(body) as script:
        assert ask(script, "alice").variable("$avp(s:found)") == "1"
        for user in EVIL:
            assert ask(script, user).variable("$avp(s:found)") is None
    assert len(place.database.query("prefs")) == 1


def test_a_call_is_recorded(place: Place) -> None:
    with place.script("setflag(1); t_relay();") as script:
        call = script.request("INVITE sip:bob@192.0.2.20", call_id="abc@x")
        answer = script.reply(call.request, 200, "A reason that is longer than the column of the table")
        assert not [line for line in answer.log if line.startswith("ACC")]
    columns = ("method", "to_tag", "callid", "sip_code", "sip_reason", "src")
    [row] = place.database.query("records", columns)
    assert row[:4] == (b"INVITE", b"callee", b"abc@x", b"200")
    assert row[4:] == (b"A reason that is longer than the", b"192.0.2.10")
