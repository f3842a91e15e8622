"""openserctl against MariaDB and PostgreSQL, with the users that openserdbctl has made."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from openserd.ctl.database.__main__ import main as database_main
from tests.support.databases import DatabaseServer, MariaDb, Postgres
from tests.unit.ctl.support import Ctl

pytestmark = pytest.mark.xdist_group("openserctl")  # one server for all of them


@pytest.fixture(scope="module", params=["mysql", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    kind: type[MariaDb] | type[Postgres] = MariaDb if request.param == "mysql" else Postgres
    if not kind.installed():
        pytest.skip(f"no {request.param} server here (scripts/test-tools.sh installs it)")
    with kind() as made:
        yield made


def test_users_groups_and_preferences(server: MariaDb | Postgres) -> None:
    url = server.root_url("people")
    made = CliRunner().invoke(database_main, ["--url", url, "create"])
    assert made.exit_code == 0, made.output
    ctl = Ctl(url)
    ctl.run("add", "o'hara", "it's", "o@example.org")
    ctl.run("passwd", "o'hara", "new")
    ctl.run("acl", "grant", "o'hara", "local")
    ctl.run("alias_db", "add", "100", "o'hara")
    ctl.run("speeddial", "add", "o'hara", "2", "sip:b@b.org")
    ctl.run("domain", "add", "b.org")
    ctl.run("avp", "add", "o'hara@example.com", "x", "0", "1")
    assert ctl.rows("rpid", "add", "o'hara", "+43") == [["o'hara", "example.com", "+43"]]
    assert ctl.rows("avp", "list", "-t", "0") == [["", "o'hara", "example.com", "x", "0", "1"]]
    assert ctl.rows("db", "roexec", "select password from subscriber") == [["new"]]
    assert ctl.rows("db", "show", "dbaliases")[0][1:] == ["100", "example.com", "o'hara", "example.com"]
    ctl.run("rm", "o'hara")
    assert ctl.rows("acl", "show") == ctl.rows("alias_db", "list") == ctl.rows("db", "show", "subscriber") == []
    CliRunner().invoke(database_main, ["--url", url, "drop", "--yes"])
