"""avpops: AVPs in a real SQLite file, and statements of the script."""

import sqlite3
from pathlib import Path

import pytest

from openserd.errors import ConfigError
from openserd.script.problems import ConfigErrors
from openserd.testing import Result, Script
from tests.unit.mods.tables_kit import add, run

COLUMNS = "uuid, attribute, value, type, username, domain"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A database with an empty table of preferences, and one of subscribers."""
    path = tmp_path / "openser.db"
    types = (
        "uuid VARCHAR(64), username VARCHAR(64), domain VARCHAR(128), attribute VARCHAR(32), type INTEGER, "
        "value VARCHAR(128)"
    )
    run(path, f"CREATE TABLE prefs ({types})", f"CREATE TABLE other ({types})")
    run(path, "CREATE TABLE subscriber (username VARCHAR(64), domain VARCHAR(64), email VARCHAR(64), credit INTEGER)")
    return path


def load(path: Path, body: str, *params: str) -> Script:
    """A script over the database; $avp(s:rc) tells what the last call returned. `params` as in `use_domain 1`."""
    settings = [f'modparam("avpops", "db_url", "sqlite://{path}")', 'modparam("avpops", "avp_table", "prefs")']
    for one in params:
        name, value = one.split(" ", 1)
        settings.append(f'modparam("avpops", "{name}", {value})')
    loads = ['loadmodule "sqlite.so"', 'loadmodule "avpops.so"']
    text = f'route {{ {body}; if ($rc == 1) {{ $avp(s:rc) = "yes"; }} else {{ $avp(s:rc) = "no"; }} }}'
    return Script.text("\n".join([*loads, *settings, text]))


def ask(path: Path, body: str, *params: str, from_: str = "sip:alice@example.com") -> Result:
    """What one INVITE comes to."""
    with load(path, body, *params) as script:
        return script.request("INVITE sip:bob@biloxi.example", from_=from_)


def answer(result: Result) -> bool:
    """Whether the last call returned 1."""
    found = result.variable("$avp(s:rc)")
    assert found in ("yes", "no")
    return found == "yes"


def rows(path: Path, table: str = "prefs", columns: str = COLUMNS) -> list[tuple[object, ...]]:
    """What is in a table."""
    connection = sqlite3.connect(path)
    found = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
    connection.close()
    return found


def pref(attribute: str, value: str, kind: int = 0, **who: str) -> dict[str, object]:
    """A row of preferences."""
    owner = {"uuid": "", "username": "", "domain": ""} | who
    return {"attribute": attribute, "value": value, "type": kind} | owner


# -- avp_db_load ------------------------------------------------------------------------------------------------


def test_avp_db_load_reads_values_of_a_user(tables: Path) -> None:
    add(tables, "prefs", pref("fwd", "sip:1", username="alice"), pref("fwd", "sip:2", username="alice"))
    add(tables, "prefs", pref("fwd", "sip:3", username="bob"), pref("other", "x", username="alice"))
    result = ask(tables, 'avp_db_load("$fu", "$avp(s:fwd)")')
    assert answer(result)
    assert result.variable("$(avp(s:fwd)[*])") == "sip:2, sip:1"
    assert result.variable("$avp(s:other)") is None
    assert not answer(ask(tables, 'avp_db_load("$tu", "$avp(s:none)")'))


def test_avp_db_load_reads_numbers_by_the_type_column(tables: Path) -> None:
    who = {"username": "alice"}
    add(
        tables,
        "prefs",
        pref("678", "5", 3, **who),
        pref("678", "text", 2, **who),
        pref("678", "name is text", 0, **who),
    )
    add(tables, "prefs", pref("n", "7", 1, **who))
    result = ask(tables, 'avp_db_load("$fu", "$avp(i:678)"); avp_db_load("$fu", "$avp(s:n)")')
    assert result.variable("$(avp(i:678)[*])") == "text, 5"
    assert result.variable("$(avp(i:678)[1])") == 5
    assert result.variable("$avp(s:678)") is None
    assert result.variable("$avp(s:n)") == 7


@pytest.mark.parametrize(("which", "found"), [("a", [1, 2]), ("*", [1, 2]), ("i", [1]), ("S", [2])])
def test_avp_db_load_reads_every_avp_of_a_kind(tables: Path, which: str, found: list[int]) -> None:
    add(tables, "prefs", pref("5", "1", 3, username="alice"), pref("x", "2", 1, username="alice"))
    result = ask(tables, f'avp_db_load("$fu", "{which}")')
    assert [result.variable(name) for name in ("$avp(i:5)", "$avp(s:x)") if result.variable(name)] == found


def test_avp_db_load_sets_classes(tables: Path) -> None:
    add(tables, "prefs", pref("5", "x", 2, username="alice"))
    result = ask(tables, 'avp_db_load("$fu", "$avp(i3:5)")')
    assert result.variable("$avp(i3:5)") == "x"
    assert result.variable("$avp(i4:5)") is None


@pytest.mark.parametrize(
    ("source", "use_domain", "expected"),
    [
        ("$fu", 0, "domain a, domain b, uri"),
        ("$fu", 1, "uri"),
        ("$fu/username", 1, "domain a, domain b, uri"),
        ("$fu/domain", 0, "only domain, uri"),
        ("$fu/uuid", 0, "uuid"),
        ("$fU", 0, "user id"),
        ("sip:alice@example.com/uri", 1, "uri"),
        ("alice", 0, "user id"),
    ],
)
def test_avp_db_load_finds_users_in_several_ways(tables: Path, source: str, use_domain: int, expected: str) -> None:
    add(tables, "prefs", pref("x", "uri", username="alice", domain="example.com"))
    add(tables, "prefs", pref("x", "only domain", username="carol", domain="example.com"))
    add(tables, "prefs", pref("x", "domain b", username="alice", domain="b.example"))
    add(tables, "prefs", pref("x", "domain a", username="alice", domain="a.example"))
    add(tables, "prefs", pref("x", "uuid", uuid="sip:alice@example.com"), pref("x", "user id", uuid="alice"))
    result = ask(tables, f'avp_db_load("{source}", "$avp(s:x)")', f"use_domain {use_domain}")
    assert result.variable("$(avp(s:x)[*])") == expected


def test_avp_db_load_without_a_user(tables: Path) -> None:
    add(tables, "prefs", pref("x", "1", username=""), pref("x", "1", uuid=""))
    assert not answer(ask(tables, 'avp_db_load("$fu", "$avp(s:x)")', from_="sip:example.com"))
    assert not answer(ask(tables, 'avp_db_load("$avp(s:none)", "$avp(s:x)")'))


def test_avp_db_load_from_another_table_and_by_a_scheme(tables: Path) -> None:
    add(tables, "other", pref("x", "there", username="alice"))
    assert ask(tables, 'avp_db_load("$fu", "$avp(s:x)/other")').variable("$avp(s:x)") == "there"
    add(tables, "subscriber", {"username": "alice", "domain": "example.com", "email": "a@example.com", "credit": 12})
    schemes = (
        'db_scheme "mail:table=subscriber;value_col=email;value_type=string"',
        'db_scheme "money: username_col=username ; table=subscriber;value_col=credit;value_type=integer;'
        'domain_col=domain;"',
        'db_scheme "id:uuid_col=username;table=subscriber;value_col=email"',
        "use_domain 1",
    )
    result = ask(tables, 'avp_db_load("$fu", "$avp(i:1)/$MAIL"); avp_db_load("$fu", "$avp(i:2)/$money")', *schemes)
    assert result.variable("$avp(i:1)") == "a@example.com"
    assert result.variable("$avp(i:2)") == 12
    assert ask(tables, 'avp_db_load("$fU", "$avp(i:3)/$id")', *schemes).variable("$avp(i:3)") == "a@example.com"


def test_avp_db_load_passes_over_rows_that_are_none(tables: Path) -> None:
    add(tables, "prefs", pref("x", "abc", 1, username="alice"), pref("x", "9", 1, username="alice"))
    result = ask(tables, 'avp_db_load("$fu", "$avp(s:x)")')
    assert result.variable("$(avp(s:x)[*])") == "9"
    assert "is no AVP" in result.log[0]


def test_columns_can_have_other_names(tables: Path) -> None:
    columns = {
        "uuid_column": "u",
        "attribute_column": "a",
        "value_column": "v",
        "type_column": "t",
        "username_column": "n",
        "domain_column": "d",
    }
    for param, new in columns.items():
        run(tables, f"ALTER TABLE prefs RENAME COLUMN {param.removesuffix('_column')} TO {new}")
    params = [f'{param} "{new}"' for param, new in columns.items()]
    body = '$avp(s:x) = "1"; avp_db_store("$fu", "$avp(s:x)"); avp_delete("a"); avp_db_load("$fu", "$avp(s:x)")'
    assert ask(tables, body, *params, "use_domain 1").variable("$avp(s:x)") == "1"
    assert rows(tables, columns="u, a, v, t, n, d") == [("", "x", "1", 0, "alice", "example.com")]
    assert ask(tables, 'avp_db_load("alice", "a")', *params).variable("$avp(s:rc)") == "no"


# -- avp_db_store, avp_db_delete --------------------------------------------------------------------------------


def test_avp_db_store_writes_a_row_for_each_value(tables: Path) -> None:
    body = '$avp(i:5) = 1; $avp(i:5) = "two"; $avp(s:x) = 3; avp_db_store("$fu", "$avp(i:5)")'
    assert answer(ask(tables, body))
    assert rows(tables) == [("", "5", "two", 2, "alice", ""), ("", "5", "1", 3, "alice", "")]
    run(tables, "DELETE FROM prefs")
    ask(tables, body.replace('"$avp(i:5)"', '"s/other"'), "use_domain 1")
    assert rows(tables) == []
    assert rows(tables, "other") == [("", "x", "3", 1, "alice", "example.com")]
    ask(tables, '$avp(s:x) = "y"; avp_db_store("$fU", "a")')
    assert rows(tables) == [("alice", "x", "y", 0, "", "")]


def test_avp_db_store_writes_nothing_twice(tables: Path) -> None:
    add(tables, "prefs", pref("x", "old", username="alice"))
    body = 'avp_db_load("$fu", "$avp(s:x)"); $avp(s:x) = "new"; avp_db_store("$fu", "$avp(s:x)")'
    assert answer(ask(tables, body))
    assert sorted(str(row[2]) for row in rows(tables)) == ["new", "old"]
    assert not answer(ask(tables, body + '; avp_db_store("$fu", "a")'))
    assert not answer(ask(tables, 'avp_db_store("$fu", "$avp(s:none)")'))


def test_avp_db_delete_removes_by_name_and_by_kind(tables: Path) -> None:
    everything = [pref("5", "1", 3, username="alice"), pref("5", "a", 2, username="alice")]
    everything += [pref("x", "1", 1, username="alice"), pref("y", "a", 0, username="alice")]
    everything += [pref("x", "1", 1, username="bob")]

    def left(call: str) -> list[str]:
        run(tables, "DELETE FROM prefs")
        add(tables, "prefs", *everything)
        assert answer(ask(tables, call))
        return [f"{row[4]}:{row[1]}" for row in rows(tables)]

    assert left('avp_db_delete("$fu", "$avp(s:x)")') == ["alice:5", "alice:5", "alice:y", "bob:x"]
    assert left('avp_db_delete("$fu", "i")') == ["alice:x", "alice:y", "bob:x"]
    assert left('avp_db_delete("$fu", "s")') == ["alice:5", "alice:5", "bob:x"]
    assert left('avp_db_delete("$fu", "a")') == ["bob:x"]
    assert len(left('avp_db_delete("$fu", "a/other")')) == 5


# -- avp_db_query -----------------------------------------------------------------------------------------------


def subscribers(path: Path) -> None:
    """Two subscribers."""
    add(path, "subscriber", {"username": "alice", "domain": "a", "email": "a@x", "credit": 1})
    add(path, "subscriber", {"username": "carol", "domain": "a", "email": None, "credit": 2})
    add(path, "subscriber", {"username": "dave", "domain": "a", "email": "", "credit": 3})


def test_avp_db_query_puts_columns_into_avps(tables: Path) -> None:
    subscribers(tables)
    query = "select username, email, credit from subscriber order by credit"
    result = ask(tables, f'avp_db_query("{query}")')
    assert answer(result)
    assert result.variable("$(avp(i:1)[*])") == "alice, carol, dave"
    assert result.variable("$(avp(i:2)[*])") == "a@x"
    assert result.variable("$avp(i:3)") == 1
    result = ask(tables, f'avp_db_query("{query}", "$avp(s:who);$avp(s:mail)")')
    assert result.variable("$avp(s:who)") == "alice"
    assert result.variable("$avp(i:3)") is None


def test_avp_db_query_without_a_result(tables: Path) -> None:
    subscribers(tables)
    assert not answer(ask(tables, "avp_db_query(\"select * from subscriber where username='x'\")"))
    assert not answer(ask(tables, 'avp_db_query("delete from subscriber")'))
    assert rows(tables, "subscriber", "*") == []
    result = ask(tables, 'avp_db_query("select nothing from nowhere")')
    assert not answer(result)
    assert "nowhere" in result.log[0]


def test_variables_in_quotes_are_values(tables: Path) -> None:
    subscribers(tables)
    query = "select credit from subscriber where username='$fU' and email like '%$avp(s:end)'"
    assert ask(tables, f'$avp(s:end) = "@x"; avp_db_query("{query}")').variable("$avp(i:1)") == 1
    twice = "select credit from subscriber where username = 'al''s $$' or username='$fU'"
    assert ask(tables, f'avp_db_query("{twice}")').variable("$avp(i:1)") == 1


@pytest.mark.parametrize(
    "evil", ["x' or '1'='1", "x'; drop table subscriber; --", 'x" or "1"="1', "x\\' or 1=1 --", "x' union select 1 --"]
)
@pytest.mark.parametrize("quote", ["'", r"\""])
def test_no_value_becomes_part_of_a_statement(tables: Path, evil: str, quote: str) -> None:
    subscribers(tables)
    body = f'avp_db_query("select credit from subscriber where username={quote}$hdr(X-User){quote}")'
    with load(tables, body) as script:
        result = script.request("INVITE sip:bob@example.com", headers={"X-User": evil})
    assert not answer(result)
    assert len(rows(tables, "subscriber", "*")) == 3


def test_variables_outside_of_quotes_are_words(tables: Path) -> None:
    subscribers(tables)
    body = '$avp(s:n) = 2; avp_db_query("select $hdr(X-Column) from subscriber where credit=$avp(s:n)")'
    with load(tables, body) as script:
        good = script.request("INVITE sip:bob@example.com", headers={"X-Column": "username"})
        assert good.variable("$avp(i:1)") == "carol"
        bad = script.request("INVITE sip:bob@example.com", headers={"X-Column": "1; drop table subscriber"})
        assert not answer(bad)
        assert "stands in no quotes" in bad.log[0]


def test_a_whole_statement_may_come_from_a_variable(tables: Path) -> None:
    subscribers(tables)
    body = '$avp(s:q) = "select credit from subscriber where username=\'alice\'"; avp_db_query("$avp(s:q)")'
    assert ask(tables, body).variable("$avp(i:1)") == 1


# -- configuration ----------------------------------------------------------------------------------------------


def test_the_functions_need_a_database_and_the_module_its_table(tables: Path) -> None:
    for call in ('avp_db_load("$fu", "a")', 'avp_db_store("$fu", "a")', 'avp_db_delete("$fu", "a")'):
        with pytest.raises(ConfigErrors, match="needs a database"):
            Script.text(f"route {{ {call}; }}", ["avpops"])
    with pytest.raises(ConfigErrors, match="needs a database"):
        Script.text('route { avp_db_query("select 1"); }', ["avpops"])
    with pytest.raises(ConfigError, match="avp_table"):
        load(tables, 'avp_db_load("$fu", "a")', 'avp_table ""')


def test_avp_url_is_another_name_of_db_url(tables: Path) -> None:
    add(tables, "prefs", pref("x", "1", username="alice"))
    assert ask(tables, 'avp_db_load("$fu", "a")', 'db_url ""', f'avp_url "sqlite://{tables}"').variable("$avp(s:x)")


@pytest.mark.parametrize(
    ("call", "word"),
    [
        ('avp_db_load("$fu/who", "a")', "no source"),
        ('avp_db_load("", "a")', "no source"),
        ('avp_db_load("$fu", "x")', "names no AVP"),
        ('avp_db_load("$fu", "a/$none")', "needs the name"),
        ('avp_db_load("$fu", "$avp(i:1)/$none")', "no scheme 'none'"),
        ('avp_db_store("$fu", "$avp(i:1)/$none")', "knows no schemes"),
        ('avp_db_delete("$fu", "a/no;table")', "no name of a table"),
        ('avp_db_query("")', "empty"),
        ('avp_db_query("select 1", "$fu")', "is no AVP"),
        ('avp_db_query("select 1", ";")', "no AVP is named"),
        ('avp_db_query("select $nothing_like_it")', "pseudo-variable"),
    ],
)
def test_arguments_are_checked_when_the_script_is_read(tables: Path, call: str, word: str) -> None:
    with pytest.raises(ConfigErrors, match=word):
        load(tables, call)


@pytest.mark.parametrize(
    "scheme", ["x", ":table=a", "x:table", "x:colour=red", "x:value_type=float", "x:table=a b;", "x:table=a-b", ""]
)
def test_schemes_are_checked(tables: Path, scheme: str) -> None:
    with pytest.raises(ConfigErrors, match="db_scheme"):
        load(tables, "drop()", f'db_scheme "{scheme}"')


def test_a_database_that_is_not_there(tables: Path) -> None:
    missing = tables.parent / "nowhere" / "file.db"
    body = '$avp(s:x) = "1"; avp_db_store("$fu", "a")'
    for call in (body, 'avp_db_load("$fu", "a")', 'avp_db_delete("$fu", "a")', 'avp_db_query("select 1")'):
        assert not answer(ask(tables, call, f'db_url "sqlite://{missing}"'))
