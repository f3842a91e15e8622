"""openserdbctl with databases that are files: made, checked, brought up to date, saved, copied, dropped."""

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from openserd.core import schema
from openserd.ctl.config import Settings
from openserd.ctl.database.__main__ import Work, main
from openserd.ctl.database.target import find_target
from openserd.errors import ConfigError


def run(url: str, *arguments: str, code: int = 0, text: bytes = b"") -> Result:
    result = CliRunner().invoke(main, ["--url", url, *arguments], input=text)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(params=["sqlite", "dbtext"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}:{tmp_path}/database"


def sql(url: str, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(url.partition(":")[2]) as database:
        return database.execute(statement).fetchall()


def test_a_new_database_is_as_openserd_needs_it(url: str) -> None:
    assert "core tables: 20 made" in run(url, "create").output
    assert "as openserd needs it" in run(url, "check").output
    assert "is there already" in run(url, "create", code=1).output or "holds tables already" in run(
        url, "create", code=1
    ).output  # fmt: skip


def test_sets_of_tables_come_with_it_or_later(url: str) -> None:
    run(url, "create", "--presence")
    run(url, "extra")
    assert "has a table" in run(url, "presence", code=1).output
    run(url, "check")
    if url.startswith("sqlite"):
        run(url, "serweb")
        run(url, "jabber")
        run(url, "check")
        assert "phplib_id" in str(sql(url, "select sql from sqlite_master where name='subscriber'"))
    else:
        assert "there are no serweb tables for dbtext" in run(url, "serweb", code=1).output


def test_what_is_missing_is_found_and_put_right(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/database"
    run(url, "create")
    sql(url, "drop table grp")
    sql(url, "alter table location drop column methods")
    sql(url, "update version set table_version=6 where table_name='location'")
    sql(url, "insert into location (username, contact) values ('a', 'sip:a@192.0.2.1')")
    output = run(url, "check", code=1).output
    assert "table grp is not there" in output
    assert "table location lacks column methods and has version 6, not 1004" in output
    assert "2 tables changed" in run(url, "upgrade").output
    run(url, "check")
    assert sql(url, "select username, methods from location") == [("a", None)]


def test_a_column_that_a_text_table_lacks_is_added(tmp_path: Path) -> None:
    url = f"dbtext:{tmp_path}/database"
    run(url, "create")
    trusted = tmp_path / "database/trusted"
    trusted.write_text("id(int,auto) src_ip(str)\n1:192.0.2.1\n2:192.0.2.2\n")
    run(url, "check", code=1)
    run(url, "upgrade")
    run(url, "check")
    assert trusted.read_text() == (
        "id(int,auto) src_ip(str) proto(str) from_pattern(str,null) tag(str,null)\n1:192.0.2.1:::\n2:192.0.2.2:::\n"
    )


def test_an_empty_database_is_upgraded_from_nothing(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/database"
    sqlite3.connect(tmp_path / "database").close()
    run(url, "check", code=1)
    run(url, "upgrade")
    run(url, "check")


def test_a_database_is_dropped_and_made_anew(url: str, tmp_path: Path) -> None:
    run(url, "create")
    if url.startswith("dbtext"):
        (tmp_path / "database/notes").write_text("not a table of OpenSER's")
    run(url, "reinit")
    run(url, "check")
    run(url, "drop")
    left = [path.name for path in (tmp_path / "database").iterdir()] if url.startswith("dbtext") else []
    assert left in ([], ["notes"])
    if url.startswith("sqlite"):
        assert not (tmp_path / "database").exists()


AWKWARD = ["plain", "", "a:b", "line\nfeed", "\\n", "ü", "'; drop table grp; --", "\t"]


def test_a_backup_brings_everything_back(url: str, tmp_path: Path) -> None:
    source = f"sqlite:{tmp_path}/source"
    run(source, "create")
    for n, text in enumerate(AWKWARD):
        with sqlite3.connect(tmp_path / "source") as database:
            database.execute(
                "insert into location (username, contact, received, path, expires, q) values (?,?,?,?,?,?)",
                (text, f"sip:{n}@192.0.2.1", None, text, "2026-11-25 12:00:00", 0.5),
            )
    saved = tmp_path / "backup"
    saved.write_bytes(run(source, "backup").stdout_bytes)
    run(url, "create")
    assert "8 rows" in run(url, "restore", str(saved)).output
    again = run(url, "backup").stdout_bytes
    if url.startswith("sqlite"):
        assert again.split(b"\n", 1)[1] == saved.read_bytes().split(b"\n", 1)[1]
    else:
        assert b"line\\nfeed" in again
    assert "has rows already" in run(url, "restore", str(saved), code=1).output
    run(url, "restore", "--force", str(saved))


def test_a_file_that_is_no_backup_is_refused(url: str, tmp_path: Path) -> None:
    run(url, "create")
    (tmp_path / "x").write_bytes(b"-- MySQL dump 10.11\n")
    assert "a dump in SQL" in run(url, "restore", str(tmp_path / "x"), code=1).output
    (tmp_path / "x").write_bytes(b"anything\n")
    assert "no backup" in run(url, "restore", str(tmp_path / "x"), code=1).output
    (tmp_path / "x").write_bytes(b"# openserdbctl backup\n= location\nid(int,null) q(double,null)\n1:x\n")
    assert "line 4" in run(url, "restore", "--force", str(tmp_path / "x"), code=1).output


def test_a_copy_may_be_of_another_kind(tmp_path: Path) -> None:
    source, target = f"sqlite:{tmp_path}/source", f"dbtext:{tmp_path}/target"
    run(source, "create", "--serweb")
    row = "'a', 'sip:a@192.0.2.1', '2026-11-25 12:00:00'"
    sql(source, f"insert into location (username, contact, expires) values ({row})")
    output = run(source, "copy", target).output
    assert "location: 1 rows" in output
    assert "phonebook: left out" in output
    back = f"sqlite:{tmp_path}/back"
    run(target, "copy", back)
    assert sql(back, "select username, expires from location") == [("a", "2026-11-25 12:00:00")]
    run(back, "check")


def test_data_of_version_1_1_moves_into_a_new_database(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "old")
    old.executescript(
        "create table acc (sip_method text, fromtag text, totag text, sip_callid text, sip_status text, time datetime);"
        "insert into acc values ('INVITE', 'f', 't', 'c', '200', '2006-01-02 03:04:05');"
        "create table gw (gw_name text, grp_id int, ip_addr int, port int, uri_scheme int, transport int, strip int,"
        " prefix text); insert into gw values ('one', 1, 16777343, 5060, 1, 1, 0, null);"
        "create table usr_preferences (uuid text, username text, domain text, attribute text, type int, value text,"
        " modified timestamp); insert into usr_preferences values ('u', 'a', 'd', 'x', 0, 'v', '2006-01-01 00:00:00');"
        "create table location (username text); insert into location values ('gone');"
        "create table other (a int);"
    )
    old.close()
    output = run(f"sqlite:{tmp_path}/old", "migrate", f"{tmp_path}/old", f"{tmp_path}/new").output
    assert "other: left out" in output
    new = f"sqlite:{tmp_path}/new"
    assert sql(new, "select method, from_tag, to_tag, callid, sip_code, time from acc") == [
        ("INVITE", "f", "t", "c", "200", "2006-01-02 03:04:05")
    ]
    assert sql(new, "select gw_name, ip_addr from gw") == [("one", "127.0.0.1")]
    assert sql(new, "select value, last_modified from usr_preferences") == [("v", "2006-01-01 00:00:00")]
    assert sql(new, "select * from location") == []
    run(new, "check")


def test_a_missing_database_is_one_line(tmp_path: Path) -> None:
    for command in ("check", "backup", "drop", "upgrade"):
        output = run(f"sqlite:{tmp_path}/none", command, code=1).output
        assert output.startswith("Error: ") and len(output.splitlines()) == 1


@pytest.mark.parametrize("url", ["nonsense", "flatstore:/tmp", "oracle://a/b", "mysql://a"])
def test_a_url_that_cannot_be_used_is_one_error(url: str) -> None:
    assert run(url, "check", code=1).output.startswith("Error: ")


def settings(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "rc").write_text(text)
    return Settings([str(tmp_path / "rc")], {})


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "sqlite:///var/lib/openser/openser.db"),
        ("DB_PATH=/srv/x.db", "sqlite:///srv/x.db"),
        ("DBENGINE=DBTEXT", "dbtext:///usr/local/etc/openser/dbtext"),
        ("DBENGINE=dbtext\nDBTEXT_PATH=/srv/t", "dbtext:///srv/t"),
        ("DBENGINE=MYSQL", "mysql://root@localhost/openser"),
        ("DBENGINE=MYSQL\nDBHOST=db1\nDBNAME=sip\nDBROOTUSER=admin", "mysql://admin@db1/sip"),
        ("DBENGINE=PGSQL", "postgres://postgres@localhost/openser"),
    ],
)
def test_openserctlrc_names_the_database(tmp_path: Path, text: str, url: str) -> None:
    assert str(find_target(settings(tmp_path, text), "", "", lambda user: "").url) == url


def test_the_script_s_name_decides_the_kind(tmp_path: Path) -> None:
    found = find_target(settings(tmp_path, "DBENGINE=MYSQL\nPW=secret"), "DBTEXT", "", lambda user: "")
    assert found.url.scheme == "dbtext"
    written = settings(tmp_path, "PW=secret\nDBRWPW=other\nTABLE_TYPE=TYPE=MyISAM")
    mysql = find_target(written, "MYSQL", "", lambda user: "")
    assert mysql.url.password == "secret"
    assert mysql.accounts is not None and mysql.accounts.rw_password == "other"
    assert mysql.table_type == "ENGINE=MyISAM"


def test_names_that_would_end_a_statement_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        find_target(settings(tmp_path, "DBRWUSER='a; drop'"), "MYSQL", "", lambda user: "")
    target = find_target(settings(tmp_path, ""), "MYSQL", "", lambda user: "")
    with pytest.raises(ConfigError):
        target.named("a`b")


def test_the_column_of_users_can_be_called_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERCOL", "user")
    url = f"sqlite:{tmp_path}/database"
    run(url, "create")
    run(url, "check")
    assert "user" in {row[1] for row in sql(url, "pragma table_info(location)")}


def test_commands_are_openser_s() -> None:
    wanted = {"create", "drop", "reinit", "backup", "restore", "copy", "migrate", "presence", "extra", "serweb"}
    assert wanted <= set(main.commands)
    assert set(schema.SETS) - {"core"} <= set(main.commands)
    assert CliRunner().invoke(main, ["--help"], obj=Work(engine="MYSQL")).exit_code == 0
