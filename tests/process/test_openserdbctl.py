"""openserdbctl and the names of OpenSER's scripts against MariaDB and PostgreSQL."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openserd.core import schema
from openserd.core.database import Database, DatabaseUrl, where
from openserd.core.database.breaker import Breaker
from openserd.core.database.module import DriverModule
from openserd.server.loader import ModuleLoader
from tests.support.databases import DatabaseServer, MariaDb, Postgres
from tests.support.server import ROOT

pytestmark = pytest.mark.xdist_group("openserdbctl")  # one server for all of them


@pytest.fixture(scope="module", params=["mysql", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    kind: type[MariaDb] | type[Postgres] = MariaDb if request.param == "mysql" else Postgres
    if not kind.installed():
        pytest.skip(f"no {request.param} server here (scripts/test-tools.sh installs it)")
    with kind() as made:
        yield made


def run(*arguments: str, code: int = 0, function: str = "main", **environment: str) -> str:
    """What the tool prints."""
    program = f"from openserd.ctl.database.__main__ import {function}; {function}()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def database(url: str) -> Database:
    parsed = DatabaseUrl.parse(url)
    driver = ModuleLoader().load(parsed.scheme)()
    assert isinstance(driver, DriverModule)
    return Database(parsed, driver, Breaker())


def test_a_database_lives_and_dies(server: MariaDb | Postgres, tmp_path: Path) -> None:
    url = server.root_url("life")
    assert "core tables: 20 made" in run("--url", url, "create", "--presence", "--extra", "--serweb")
    run("--url", url, "check")
    db = database(url)
    db.expect("location", 1004)
    assert len(db.tables()) == 20 + 5 + 5 + 7
    db.insert("location", {"username": b"a", "contact": b"sip:a@192.0.2.1"})
    db.insert("grp", {"username": b"a", "grp": b"local"})
    db.close()
    (tmp_path / "backup").write_text(run("--url", url, "backup"))
    run("--url", url, "reinit", "--presence", "--extra", "--serweb")
    run("--url", url, "restore", str(tmp_path / "backup"))
    assert "location: 1 rows" in run("--url", url, "copy", f"sqlite:{tmp_path}/copy.db")
    run("--url", f"sqlite:{tmp_path}/copy.db", "check")
    assert "location: 1 rows" in run("--url", url, "copy", "life2")
    run("--url", server.root_url("life2"), "check")
    db = database(server.root_url("life2"))
    db.insert("location", {"username": b"b", "contact": b"sip:b@192.0.2.1"})
    assert [row[0] for row in db.query("location", ("id",), order="id")] == [1, 2]
    db.raw_query("drop table grp")
    db.update("version", {"table_version": 6}, where(table_name=b"location"))
    db.close()
    assert "2 tables differ" in run("--url", server.root_url("life2"), "check", code=1)
    run("--url", server.root_url("life2"), "upgrade")
    run("--url", server.root_url("life2"), "check")
    for name in ("life", "life2"):
        run("--url", server.root_url(name), "drop")
    run("--url", url, "check", code=1)


@pytest.mark.parametrize("name", ["jabber", "pa"])
def test_sets_that_only_mysql_has(server: MariaDb | Postgres, name: str) -> None:
    url = server.root_url(f"set_{name}")
    run("--url", url, "create")
    known = name in schema.tables("mysql" if isinstance(server, MariaDb) else "postgres")
    run("--url", url, name, code=0 if known else 1)
    run("--url", url, "check")
    run("--url", url, "drop")


def test_openserctlrc_makes_the_users_of_the_database(server: MariaDb | Postgres, tmp_path: Path) -> None:
    if isinstance(server, Postgres):
        function, environment = "main_postgresql", {"DBROOTUSER": "openser"}
        server.sql("drop role if exists sip_rw; drop role if exists sip_ro")
    else:
        function, environment = "main_mysql", {}
    environment |= {"DBHOST": f"127.0.0.1:{server.port}", "DBNAME": "sip", "DBRWUSER": "sip_rw", "DBRWPW": "rw'pw",
                    "DBROUSER": "sip_ro", "DBROPW": "ro"}  # fmt: skip
    run("create", function=function, **environment)
    url = server.root_url("sip")
    scheme, _, rest = url.partition("://")
    host = rest.rpartition("@")[2]
    writer, reader = database(f"{scheme}://sip_rw:rw'pw@{host}"), database(f"{scheme}://sip_ro:ro@{host}")
    writer.insert("domain", {"domain": b"example.net"})
    assert len(reader.query("domain")) == 1
    with pytest.raises(Exception, match="denied"):
        reader.delete("domain")
    writer.close()
    reader.close()
    run("drop", function=function, **environment)
