"""openserctl's commands about what is in the database, on files of sqlite and on dbtext."""

import hashlib
import sqlite3
import stat
from pathlib import Path

import click
import pytest

from openserd.ctl.client import Reply
from openserd.ctl.config import Settings
from openserd.ctl.tables import Tables, find_url
from openserd.errors import ConfigError
from tests.unit.ctl.support import Ctl, new_database


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.fixture(params=["sqlite", "dbtext"])
def ctl(request: pytest.FixtureRequest, tmp_path: Path) -> Ctl:
    return Ctl(new_database(request.param, tmp_path))


@pytest.fixture
def sqlite(tmp_path: Path) -> Ctl:
    return Ctl(new_database("sqlite", tmp_path))


def sql(ctl: Ctl, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(ctl.url.partition(":")[2]) as database:
        return database.execute(statement).fetchall()


# -- subscribers --------------------------------------------------------------------------------------------


def subscriber(ctl: Ctl) -> dict[str, str]:
    names = columns_of(ctl)
    (row,) = ctl.rows("db", "show", "subscriber")
    return dict(zip(names, row, strict=True))


def columns_of(ctl: Ctl) -> list[str]:
    with click.Context(click.Command("x")):
        return Tables(Settings((), {}), ctl.url).columns("SUB_TABLE")


def test_a_subscriber_is_added_with_hashes(ctl: Ctl) -> None:
    assert ctl.run("add", "alice", "secret", "a@example.org").stdout == "new user alice@example.com added\n"
    row = subscriber(ctl)
    assert (row["username"], row["domain"], row["password"], row["email_address"]) == (
        "alice", "example.com", "secret", "a@example.org",
    )  # fmt: skip
    assert row["ha1"] == md5("alice:example.com:secret")
    assert row["ha1b"] == md5("alice@example.com:example.com:secret")
    assert row["datetime_created"] > "1"


def test_the_password_itself_is_not_stored_where_that_is_not_wanted(ctl: Ctl) -> None:
    ctl.run("add", "bob@b.org", "secret", rc="STORE_PLAINTEXT_PW=0")
    assert (subscriber(ctl)["password"], subscriber(ctl)["ha1"]) == ("", md5("bob:b.org:secret"))


def test_a_password_that_is_left_out_is_asked_for(ctl: Ctl) -> None:
    ctl.run("add", "alice", text="secret\nsecret\n")
    assert subscriber(ctl)["password"] == "secret"


def test_nobody_is_added_twice(ctl: Ctl) -> None:
    ctl.run("add", "alice", "secret")
    assert "user alice@example.com is there already" in ctl.run("add", "alice", "other", code=1).stderr


@pytest.mark.parametrize("user", ["a b", "alice@", "@example.com", "a:b", "a@b@c", 'a"b'])
def test_what_is_no_address_is_refused(sqlite: Ctl, user: str) -> None:
    assert "is no address" in sqlite.run("add", user, "secret", code=2).stderr


def test_a_user_without_a_domain_needs_the_setting(sqlite: Ctl) -> None:
    sqlite.rc = ""
    assert "set SIP_DOMAIN" in sqlite.run("add", "alice", "secret", code=2).stderr


def test_a_password_is_changed(ctl: Ctl) -> None:
    ctl.run("add", "alice", "secret")
    ctl.run("passwd", "alice", "new")
    row = subscriber(ctl)
    assert (row["password"], row["ha1"]) == ("new", md5("alice:example.com:new"))
    assert row["ha1b"] == md5("alice@example.com:example.com:new")
    ctl.run("passwd", "alice", "newer", rc="STORE_PLAINTEXT_PW=0")
    assert subscriber(ctl)["password"] == ""
    assert "there is no user bob@example.com" in ctl.run("passwd", "bob", "x", code=1).stderr


def test_hashes_of_other_algorithms_are_kept_where_there_are_columns(sqlite: Ctl) -> None:
    sql(sqlite, "alter table subscriber add column ha1_sha256 varchar(64)")
    sqlite.run("add", "alice", "secret")
    assert subscriber(sqlite)["ha1_sha256"] == hashlib.sha256(b"alice:example.com:secret").hexdigest()


def test_the_columns_of_serweb_are_filled(sqlite: Ctl) -> None:
    for column in ("phplib_id varchar(32)", "datetime_modified datetime"):
        sql(sqlite, f"alter table subscriber add column {column}")
    sqlite.run("add", "alice", "secret")
    sqlite.run("passwd", "alice", "new")
    row = subscriber(sqlite)
    assert len(row["phplib_id"]) == 32 and row["datetime_modified"] != "NULL"


def test_a_subscriber_is_removed_with_all_that_is_theirs(ctl: Ctl) -> None:
    for user in ("alice", "bob"):
        ctl.run("add", user, "secret")
        ctl.run("acl", "grant", user, "local")
        ctl.run("alias_db", "add", f"{user}-2", user)
    ctl.run("rm", "alice")
    assert ctl.server.calls == [("ul_rm", "location", "alice@example.com")]
    assert subscriber(ctl)["username"] == "bob"
    assert [row[0] for row in ctl.rows("acl", "show")] == ["bob"]
    assert ctl.rows("alias_db", "list") == [["bob-2@example.com", "bob@example.com"]]
    assert "there is no user alice@example.com" in ctl.run("rm", "alice", code=1).stderr


@pytest.mark.parametrize("table", ["uri", "own_uris"])
def test_uris_of_a_removed_subscriber_go_too(sqlite: Ctl, table: str) -> None:
    if table != "uri":
        sql(sqlite, f"alter table uri rename to {table}")
    for user in ("alice", "bob"):
        sqlite.run("add", user, "secret")
        sql(sqlite, f"insert into {table} (username, domain, uri_user) values ('{user}', 'example.com', '{user}-2')")
    sqlite.run("rm", "alice", rc=f"URI_TABLE={table}")
    assert sql(sqlite, f"select username, uri_user from {table}") == [("bob", "bob-2")]


def test_a_database_without_the_table_of_uris_is_no_obstacle(sqlite: Ctl) -> None:
    sqlite.run("add", "alice", "secret")
    sql(sqlite, "drop table uri")
    assert sqlite.run("rm", "alice").stderr == ""


@pytest.mark.parametrize("reply", [None, Reply(500, "no usrloc", [])])
def test_a_subscriber_is_removed_without_a_server_too(sqlite: Ctl, reply: Reply | None) -> None:
    sqlite.run("add", "alice", "secret")
    sqlite.server.replies["ul_rm"] = reply
    assert "contacts not removed" in sqlite.run("rm", "alice").stderr
    assert sqlite.rows("db", "show", "subscriber") == []


@pytest.mark.parametrize("command", ["mail", "email"])
def test_mail_goes_to_the_subscriber(
    sqlite: Ctl, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    program = tmp_path / "mail"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/sent\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    sqlite.run("add", "alice", "secret", "a@example.org")
    sqlite.run("add", "bob", "secret")
    assert sqlite.run(command, "alice").stdout == "message sent\n"
    assert (tmp_path / "sent").read_text() == "-s|Message from example.com SIP admin|a@example.org|"
    assert "has no e-mail address" in sqlite.run(command, "bob", code=1).stderr
    assert "there is no user" in sqlite.run(command, "carol", code=1).stderr


@pytest.mark.parametrize(("kind", "reply"), [("DB", None), ("UL", Reply(200, "OK", ["Contact:: x"]))])
def test_an_alias_does_not_become_a_subscriber(sqlite: Ctl, kind: str, reply: Reply | None) -> None:
    sqlite.server.replies["ul_show_contact"] = reply
    sqlite.run("alias_db", "add", "alice", "bob")
    rc = f"ALIASES_TYPE={kind}"
    assert "is an alias already" in sqlite.run("add", "alice", "secret", rc=rc, code=1).stderr


def test_who_is_no_alias_becomes_a_subscriber(sqlite: Ctl) -> None:
    sqlite.run("add", "alice", "secret", rc="ALIASES_TYPE=DB")
    sqlite.server.replies["ul_show_contact"] = Reply(404, "AOR not found", [])
    sqlite.run("add", "bob", "secret", rc="ALIASES_TYPE=UL")
    sqlite.server.replies["ul_show_contact"] = Reply(500, "no", [])
    assert "cannot be found out" in sqlite.run("add", "carol", "x", rc="ALIASES_TYPE=UL", code=1).stderr


def test_another_name_of_tables_and_of_the_column_of_users(sqlite: Ctl) -> None:
    sql(sqlite, "alter table subscriber rename column username to login")
    sql(sqlite, "alter table subscriber rename to people")
    sqlite.run("add", "alice", "secret", rc="USERCOL=login SUB_TABLE=people")
    assert sql(sqlite, "select login, domain from people") == [("alice", "example.com")]


def test_nothing_that_is_typed_becomes_part_of_a_statement(sqlite: Ctl) -> None:
    sqlite.run("add", "o'hara", "x'); drop table subscriber; --", "'")
    assert sql(sqlite, "select username, password, email_address from subscriber") == [
        ("o'hara", "x'); drop table subscriber; --", "'")
    ]  # fmt: skip


# -- groups -------------------------------------------------------------------------------------------------


def test_groups_are_granted_and_revoked(ctl: Ctl) -> None:
    ctl.run("add", "alice", "secret")
    assert [row[:3] for row in ctl.rows("acl", "grant", "alice", "local", "ld")] == [
        ["alice", "example.com", "ld"], ["alice", "example.com", "local"],
    ]  # fmt: skip
    ctl.run("acl", "grant", "alice", "local", "int")
    assert [row[2] for row in ctl.rows("acl", "revoke", "alice", "ld")] == ["int", "local"]
    assert ctl.rows("acl", "revoke", "alice") == []


def test_only_groups_of_the_list_are_granted(sqlite: Ctl) -> None:
    sqlite.run("add", "alice", "secret")
    assert "vip not granted: ACL_GROUPS has local ld" in sqlite.run(
        "acl", "grant", "alice", "vip", "local", rc='ACL_GROUPS="local  ld"', code=1
    ).stderr  # fmt: skip
    assert [row[2] for row in sqlite.rows("acl", "show", "alice")] == ["local"]
    sqlite.run("acl", "grant", "alice", "vip", rc="VERIFY_ACL=0")


def test_it_is_asked_before_a_stranger_gets_a_group(sqlite: Ctl) -> None:
    sqlite.run("acl", "grant", "bob", "local", text="n\n", code=1)
    assert sqlite.rows("acl", "show", "bob") == []
    sqlite.run("acl", "grant", "bob", "local", text="y\n")
    sqlite.run("acl", "grant", "bob", "ld", "--yes")
    assert [row[2] for row in sqlite.rows("acl", "show", "bob")] == ["ld", "local"]


# -- aliases, short numbers, Remote-Party-ID ----------------------------------------------------------------


@pytest.mark.parametrize("group", ["alias_db", "aliasdb"])
def test_aliases(ctl: Ctl, group: str) -> None:
    ctl.run(group, "add", "100", "alice")
    ctl.run(group, "add", "200@b.org", "bob@b.org")
    assert ctl.rows(group, "list", "alice") == [["100@example.com"]]
    assert ctl.rows(group, "list") == [["100@example.com", "alice@example.com"], ["200@b.org", "bob@b.org"]]
    assert ctl.rows(group, "show", "200@b.org") == [["bob@b.org"]]
    assert "is there already" in ctl.run(group, "add", "100", "bob", code=1).stderr
    ctl.run(group, "rm", "100")
    for command in ("rm", "show"):
        assert "there is no alias 100@example.com" in ctl.run(group, command, "100", code=1).stderr


@pytest.mark.parametrize("group", ["speeddial", "speed_dial"])
def test_short_numbers(ctl: Ctl, group: str) -> None:
    ctl.run(group, "add", "alice", "2", "sip:bob@b.org", "Bob: office")
    ctl.run(group, "add", "bob", "3", "sip:carol@b.org")
    assert ctl.rows(group, "list", "alice") == [["2@example.com", "sip:bob@b.org", "Bob: office"]]
    assert [row[:2] for row in ctl.rows(group, "list")] == [
        ["2@example.com", "alice@example.com"], ["3@example.com", "bob@example.com"],
    ]  # fmt: skip
    assert ctl.rows(group, "show", "2") == [["alice@example.com", "sip:bob@b.org", "Bob: office"]]
    assert "already" in ctl.run(group, "add", "alice", "2", "sip:x@b.org", code=1).stderr
    assert "no SIP URI of a user" in ctl.run(group, "add", "alice", "4", "sip:b.org", code=2).stderr
    ctl.run(group, "rm", "alice", "2")
    assert "has no short number" in ctl.run(group, "rm", "alice", "2", code=1).stderr
    assert "nobody has" in ctl.run(group, "show", "2", code=1).stderr


@pytest.mark.parametrize("group", ["alias_db", "aliasdb", "speeddial", "speed_dial", "avp"])
def test_help(sqlite: Ctl, group: str) -> None:
    assert "Commands:" in sqlite.run(group, "help").stdout


def test_remote_party_ids(ctl: Ctl) -> None:
    ctl.run("add", "alice", "secret")
    assert ctl.rows("rpid", "add", "alice", "+43123") == [["alice", "example.com", "+43123"]]
    assert ctl.rows("rpid", "show", "alice") == ctl.rows("rpid", "show") == [["alice", "example.com", "+43123"]]
    assert ctl.rows("rpid", "rm", "alice") == [["alice", "example.com", "NULL"]]
    for words in (("show", "bob"), ("add", "bob", "1"), ("rm", "bob")):
        assert "there is no user" in ctl.run("rpid", *words, code=1).stderr


# -- preferences, domains, statements -----------------------------------------------------------------------


def test_preferences(ctl: Ctl) -> None:
    ctl.run("avp", "add", "alice@example.com", "colour", "0", "red")
    ctl.run("avp", "add", "-T", "usr_preferences", "0815", "colour", "1", "-7")
    first, second = ["", "alice", "example.com", "colour", "0", "red"], ["0815", "", "", "colour", "1", "-7"]
    assert ctl.rows("avp", "list") == [first, second]
    for options, expected in (
        (["-u", "alice@example.com"], [first]), (["-u", "0815"], [second]), (["-t", "1"], [second]),
        (["-v", "red", "-a", "colour"], [first]), (["-a", "size"], []), (["-T", "usr_preferences", "-t", "0"], [first]),
    ):  # fmt: skip
        assert ctl.rows("avp", "list", *options) == expected
    assert ctl.run("avp", "rm", "-u", "0815", "-a", "colour").stdout == "1 removed\n"
    ctl.run("avp", "rm", text="n\n", code=1)
    assert ctl.rows("avp", "list") == [first]
    assert ctl.run("avp", "rm", "--yes").stdout == "1 removed\n"


def test_domains(ctl: Ctl) -> None:
    assert "domain reload" in ctl.run("domain", "add", "b.org").stdout
    ctl.run("domain", "add", "a.org")
    assert [row[0] for row in ctl.rows("domain", "showdb")] == ["a.org", "b.org"]
    assert "is there already" in ctl.run("domain", "add", "a.org", code=1).stderr
    assert "is no domain" in ctl.run("domain", "add", "a b", code=2).stderr
    ctl.run("domain", "rm", "b.org")
    assert "there is no domain b.org" in ctl.run("domain", "rm", "b.org", code=1).stderr
    assert ctl.server.calls == []


def test_the_server_is_asked_about_domains(sqlite: Ctl) -> None:
    sqlite.server.replies["domain_dump"] = Reply(200, "OK", ["domain:: a.org"])
    assert sqlite.run("domain", "show").stdout == "domain:: a.org\n"
    sqlite.run("domain", "reload")
    assert sqlite.server.calls == [("domain_dump",), ("domain_reload",)]


def test_statements(sqlite: Ctl) -> None:
    for command in ("exec", "query"):
        sqlite.run("db", command, f"insert into domain (domain) values ('{command}.org')")
    for command in ("roexec", "roquery"):
        assert sqlite.rows("db", command, "select domain from domain order by id") == [["exec.org"], ["query.org"]]
        assert "readonly" in sqlite.run("db", command, "delete from domain", code=1).stderr
    assert "no such table" in sqlite.run("db", "exec", "select * from missing", code=1).stderr


def test_statements_in_variables(sqlite: Ctl) -> None:
    sqlite.environment["Q"] = "insert into domain (domain) values ('a.org')"
    sqlite.run("db", "run", "Q")
    assert "readonly" in sqlite.run("db", "rorun", "Q", code=1).stderr
    assert sqlite.rows("db", "rorun", "R", rc='R="select domain from domain"') == [["a.org"]]
    assert "X holds no statement" in sqlite.run("db", "run", "X", code=1).stderr


def test_a_table_is_printed(ctl: Ctl) -> None:
    ctl.run("alias_db", "add", "100", "alice")
    assert ctl.rows("db", "show", "dbaliases") == [["1", "100", "example.com", "alice", "example.com"]]
    assert "has no table nothing" in ctl.run("db", "show", "nothing", code=1).stderr
    ctl.run("db", "show", "x; drop table dbaliases", code=1)


def test_dbtext_runs_no_statements(tmp_path: Path) -> None:
    assert "cannot do this" in Ctl(new_database("dbtext", tmp_path)).run("db", "exec", "select 1", code=1).stderr


def test_values_do_not_break_lines(sqlite: Ctl) -> None:
    sqlite.run("avp", "add", "a@b.org", "x", "0", "one\ttwo\nthree\\")
    assert sqlite.rows("avp", "list")[0][5] == "one\\ttwo\\nthree\\\\"


def test_a_table_for_a_person(sqlite: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openserd.ctl.context.on_terminal", lambda: True)
    sqlite.run("alias_db", "add", "100", "alice")
    heading, row = sqlite.run("alias_db", "list").stdout.splitlines()
    assert (heading.split(), row.split()) == (["alias", "user"], ["100@example.com", "alice@example.com"])
    assert sqlite.rows("alias_db", "list", rc="NOHLPRINT=1") == [["100@example.com", "alice@example.com"]]


# -- which database -----------------------------------------------------------------------------------------


def url_of(rc: str, writes: bool = False, typed: str = "typed") -> str:
    settings = Settings((), {})
    for line in rc.splitlines():
        settings.take(line)
    url = find_url(settings, writes, lambda user: typed)
    return str(url) + (f" {url.password}" if url.password else "")


def test_the_database_of_the_settings() -> None:
    assert url_of("") == "sqlite:///var/lib/openser/openser.db"
    assert url_of("DB_PATH=/a/b") == url_of("DBPATH=/a/b\nDB_PATH=/c") == "sqlite:///a/b"
    assert url_of("DBENGINE=dbtext\nDBTEXT_PATH=/t") == "dbtext:///t"
    assert url_of("DBENGINE=MYSQL") == "mysql://openserro@localhost/openser openserro"
    assert url_of("DBENGINE=MYSQL", writes=True) == "mysql://openser@localhost/openser typed"
    assert url_of("DBENGINE=PGSQL\nDBHOST=db:99\nDBNAME=sip\nDBRWUSER=u\nDBRWPW=p", True) == "postgres://u@db:99/sip p"
    assert url_of("DBENGINE=PGSQL\nDBROUSER=r\nDBROPW=p") == "postgres://r@localhost/openser p"


@pytest.mark.parametrize("rc", ["DBENGINE=ORACLE", "DBENGINE=MYSQL DBNAME='a b'"])
def test_settings_that_name_no_database(rc: str) -> None:
    with pytest.raises(ConfigError):
        url_of(rc)


def test_a_database_that_is_not_there_is_explained(tmp_path: Path) -> None:
    ctl = Ctl(f"sqlite:{tmp_path}/none")
    assert "openserdbctl create makes it" in ctl.run("acl", "show", code=1).stderr
    ctl.url = ""
    assert "ORACLE" in ctl.run("acl", "show", rc="DBENGINE=ORACLE", code=1).stderr
    ctl.run("acl", "show", rc=f"DBPATH={new_database('sqlite', tmp_path).partition(':')[2]}")
