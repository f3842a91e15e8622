"""The guide's chapter "MySQL and Authentication": its printed script against a real MariaDB, and the same on SQLite."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openserd.parser.digest import parse_challenge
from tests.support import Message, Phone, Server
from tests.support.agents import Callee, call
from tests.support.databases import MariaDb
from tests.support.linphone import Linphone
from tests.unit.mods import auth_kit

pytestmark = pytest.mark.xdist_group("guide_chapter_two")  # one server for all of them

PRINTED = Path("tests/data/scripts/guide/mysql-auth-as-printed.cfg")
SQLITE = Path("cfg/sqlite-auth.cfg")
USERS = """
insert into subscriber (username, domain, password) values ('alice', '127.0.0.1', 'secret-alice');
insert into subscriber (username, domain, password) values ('bob', '127.0.0.1', 'secret-bob');
"""
PRINTED_URL = "mysql://openser:openserrw@localhost/openser"


def dbctl(url: str, *words: str) -> None:
    """Runs openserdbctl."""
    done = subprocess.run(
        [sys.executable, "-m", "openserd.ctl.database", "--url", url, *words],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    if not MariaDb.installed():
        pytest.skip("mariadb-server is not installed: make test-tools")
    with MariaDb() as server:
        yield server


@pytest.fixture(params=["as printed, on MariaDB", "on SQLite"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """The chapter's server with the users alice and bob; only where its database is differs from the text."""
    if request.param == "on SQLite":
        file = tmp_path / "openser.db"
        url = f"sqlite:///{file}"
        script = SQLITE.read_text().replace('"sqlite:////var/lib/openser/openser.db"', f'"{url}"')
        dbctl(url, "create")
        with sqlite3.connect(file) as connection:
            connection.executescript(USERS)
    else:
        database: MariaDb = request.getfixturevalue("mariadb")
        url = database.url("openser")
        assert PRINTED_URL in PRINTED.read_text()
        script = PRINTED.read_text().replace(PRINTED_URL, url)
        database.sql("drop database if exists openser")
        dbctl(database.root_url("openser"), "create")
        database.sql("use openser; " + USERS)
    with Server(script, tmp_path) as running:
        yield running


def register(phone: Phone, password: str) -> tuple[Message, Message]:
    """The challenge to a phone's REGISTER, and the answer to its second one with credentials."""
    challenged = phone.register(expect=None)
    challenge = parse_challenge(challenged.get("www-authenticate").encode())
    answer = auth_kit.Phone(phone.user, password).answer(challenge, uri=f"sip:{phone.domain}")
    return challenged, phone.register(expect=None, headers=[("Authorization", answer)])


def test_phones_are_challenged_register_and_call(server: Server) -> None:
    with Phone("alice", server.address) as alice, Phone("bob", server.address) as bob:
        challenged, accepted = register(bob, "secret-bob")
        assert (challenged.code, accepted.code) == (401, 200)
        assert register(alice, "a guess")[1].code == 401
        assert register(alice, "secret-alice")[1].code == 200
        with Callee(bob) as callee:
            call(alice, "bob", callee)


def test_linphonec_is_challenged_registers_and_calls(server: Server, tmp_path: Path) -> None:
    if not Linphone.installed():
        pytest.skip("linphonec is not installed: make test-tools")
    proxy = f"sip:127.0.0.1:{server.port}"
    with Linphone(tmp_path, "bob", "-a") as bob, Linphone(tmp_path, "alice") as alice:
        for phone, user in [(bob, "bob"), (alice, "alice")]:
            phone.command(f"register sip:{user}@127.0.0.1:{server.port} {proxy} secret-{user}")
        for phone in (bob, alice):
            phone.wait_for("registered, identity=", asking="status register")
        alice.command(f"call sip:bob@127.0.0.1:{server.port}")
        alice.wait_for("connected")
        bob.wait_for("connected")
        alice.command("terminate")
        bob.wait_for("ended")
