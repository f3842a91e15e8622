"""uri_db, group, alias_db and speeddial over a real SQLite file."""

from pathlib import Path

import pytest

from openserd.errors import ConfigError
from openserd.mods.group import Group
from openserd.script.problems import ConfigErrors
from openserd.testing import Result, Script
from tests.unit.mods.auth_kit import Phone
from tests.unit.mods.tables_kit import add, challenge_of, make_tables, run, scripted, subscriber


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A database in which nobody is yet."""
    return make_tables(tmp_path)


def asking(path: Path, call: str, modules: list[str], params: list[str] | None = None) -> Script:
    """A script that logs what one call returned."""
    return scripted(path, f'loadmodule "xlog.so" route {{ {call}; xlog("L_ERR", "$rc"); }}', modules, params or [])


def code(result: Result) -> int:
    """What the call returned."""
    return int(result.log[-1])


def login(path: Path, call: str, params: list[str], *, user: str = "alice", to: str, from_: str = "") -> int:
    """What a call returns after `user` has been authorized."""
    text = f"""loadmodule "xlog.so" route {{
        if (!proxy_authorize("example.com", "subscriber")) {{ proxy_challenge("example.com", "0"); exit; }}
        {call}; xlog("L_ERR", "$rc");
    }}"""
    addresses = {"to": to, "from_": from_ or "sip:x@example.com"}
    with scripted(path, text, ["auth", "auth_db", "uri_db", "group"], params) as script:
        first = script.request("INVITE sip:bob@example.com", **addresses)  # type: ignore[arg-type]
        answer = Phone(user).answer(challenge_of(first), "INVITE", "sip:bob@example.com")
        return code(
            script.request(
                "INVITE sip:bob@example.com",
                headers={"Proxy-Authorization": answer},
                **addresses,  # type: ignore[arg-type]
            )
        )


# -- uri_db -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("sip:alice@example.com", 1),
        ("sip:ALICE@elsewhere.example", 1),
        ("sip:bob@example.com", -10),
        ("sip:example.com", -4),
        ("sip:alice2@example.com", -10),
    ],
)
def test_check_to_compares_to_with_the_authorized_user(tables: Path, to: str, expected: int) -> None:
    add(tables, "subscriber", subscriber("alice"))
    assert login(tables, "check_to()", [], to=to) == expected
    assert login(tables, "check_from()", [], to="sip:x@example.com", from_=to) == expected


def test_check_to_with_a_user_name_that_holds_a_domain(tables: Path) -> None:
    add(tables, "subscriber", subscriber("alice"))
    assert login(tables, "check_to()", [], user="alice@example.com", to="sip:alice@example.com") == 1


def test_the_uri_table_tells_which_names_a_user_has(tables: Path) -> None:
    add(tables, "subscriber", subscriber("alice"))
    add(tables, "uri", {"username": "alice", "domain": "example.com", "uri_user": "sales"})
    add(tables, "uri", {"username": "alice", "domain": "other.example", "uri_user": "boss"})
    params = ["uri_db use_uri_table 1"]
    assert login(tables, "check_to()", params, to="sip:sales@x") == 1
    assert login(tables, "check_from()", params, to="sip:x@x", from_="sip:sales@x") == 1
    assert login(tables, "check_to()", params, to="sip:boss@x") == -9
    assert login(tables, "check_to()", params, to="sip:alice@example.com") == -9
    run(tables, "ALTER TABLE uri RENAME COLUMN uri_user TO names", "ALTER TABLE uri RENAME COLUMN username TO owner")
    run(tables, "ALTER TABLE uri RENAME COLUMN domain TO place", "ALTER TABLE uri RENAME TO uris")
    run(tables, "INSERT INTO version VALUES ('uris', 1)")
    renamed = [
        'uri_db uri_table "uris"',
        'uri_db uri_user_column "owner"',
        'uri_db uri_domain_column "place"',
        'uri_db uri_uriuser_column "names"',
    ]
    assert login(tables, "check_to()", params + renamed, to="sip:sales@x") == 1
    assert login(tables, "check_to()", params + renamed, to="sip:boss@x") == -9


def test_check_functions_without_authorized_credentials(tables: Path) -> None:
    with asking(tables, "check_to()", ["uri_db"]) as script:
        result = script.request("INVITE sip:bob@example.com")
        assert code(result) == -2
        assert "uri_db" in result.log[0]
    with asking(tables, "check_from()", ["auth", "uri_db"]) as script:
        assert code(script.request("INVITE sip:bob@example.com")) == -2
        malformed = script.request("INVITE sip:bob@example.com", headers={"From": "<what>;tag=1"})
        assert code(malformed) == -1


def test_does_uri_exist_asks_the_table_of_subscribers(tables: Path) -> None:
    add(tables, "subscriber", subscriber("bob", domain="example.com"))
    with asking(tables, "does_uri_exist()", ["uri_db"]) as script:
        assert code(script.request("INVITE sip:bob@other.example")) == 1
        assert code(script.request("INVITE sip:carol@example.com")) == -5
        assert code(script.request("INVITE sip:example.com")) == -5
    with asking(tables, "does_uri_exist()", ["uri_db"], ["uri_db use_domain 1"]) as script:
        assert code(script.request("INVITE sip:bob@other.example")) == -5
        assert code(script.request("INVITE sip:bob@example.com")) == 1


def test_does_uri_exist_with_other_names_of_table_and_columns(tables: Path) -> None:
    add(tables, "subscriber", subscriber("bob"))
    run(tables, "ALTER TABLE subscriber RENAME COLUMN username TO login", "INSERT INTO version VALUES ('phones', 6)")
    run(tables, "ALTER TABLE subscriber RENAME COLUMN domain TO realm", "ALTER TABLE subscriber RENAME TO phones")
    params = [
        'uri_db subscriber_table "phones"',
        'uri_db subscriber_user_column "login"',
        'uri_db subscriber_domain_column "realm"',
        "uri_db use_domain 1",
    ]
    with asking(tables, "does_uri_exist()", ["uri_db"], params) as script:
        assert code(script.request("INVITE sip:bob@example.com")) == 1


def test_does_uri_exist_may_ask_the_table_of_uris(tables: Path) -> None:
    add(tables, "uri", {"username": "alice", "domain": "example.com", "uri_user": "sales"})
    with asking(tables, "does_uri_exist()", ["uri_db"], ["uri_db use_uri_table 1", "uri_db use_domain 1"]) as script:
        assert code(script.request("INVITE sip:sales@example.com")) == 1
        assert code(script.request("INVITE sip:alice@example.com")) == -5
        assert code(script.request("INVITE sip:sales@other.example")) == -5


def test_uri_db_without_a_database(tables: Path) -> None:
    with asking(tables, "does_uri_exist()", ["uri_db"], ['uri_db db_url ""']) as script:
        assert code(script.request("INVITE sip:bob@example.com")) == -4
    with pytest.raises(ConfigError, match="needs a database"):
        asking(tables, "check_to()", ["uri_db"], ['uri_db db_url ""', "uri_db use_uri_table 1"])


def test_uri_db_with_a_database_that_does_not_answer(tables: Path) -> None:
    add(tables, "subscriber", subscriber("alice"))
    assert (
        login(tables, "check_to()", ["uri_db use_uri_table 1", 'uri_db uri_user_column "no"'], to="sip:sales@x") == -8
    )
    with asking(tables, "does_uri_exist()", ["uri_db"], ['uri_db subscriber_user_column "no"']) as script:
        assert code(script.request("INVITE sip:bob@example.com")) == -4
    run(tables, "UPDATE version SET table_version = 0 WHERE table_name = 'uri'")
    with pytest.raises(ConfigError, match="uri"):
        asking(tables, "check_to()", ["uri_db"], ["uri_db use_uri_table 1"])


# -- group ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("whose", "options"),
    [
        ("Request-URI", {"line": "INVITE sip:alice@example.com"}),
        ("request-uri", {"line": "INVITE sip:alice@example.com"}),
        ("To", {"to": "sip:alice@example.com"}),
        ("From", {"from_": "sip:alice@example.com"}),
        ("$avp(s:who)", {}),
    ],
)
def test_is_user_in_asks_about_the_user_named(tables: Path, whose: str, options: dict[str, str]) -> None:
    add(tables, "grp", {"username": "alice", "domain": "example.com", "grp": "ld"})
    line = options.pop("line", "INVITE sip:x@example.com")
    call = f'avp = 1; is_user_in("{whose}", "ld")'.removeprefix("avp = 1; ")
    text = f'$avp(s:who) = "sip:alice@example.com"; {call}'
    others: dict[str, str] = {"from_": "sip:x@example.com", "to": "sip:x@example.com"}
    with asking(tables, text, ["group"]) as script:
        assert code(script.request(line, **(others | options))) == 1  # type: ignore[arg-type]
    with asking(tables, text.replace('"ld"', '"other"').replace("alice", "alice"), ["group"]) as script:
        assert code(script.request(line, **(others | options))) == -6  # type: ignore[arg-type]


def test_is_user_in_knows_the_credentials(tables: Path) -> None:
    add(tables, "subscriber", subscriber("alice"))
    add(tables, "grp", {"username": "alice", "domain": "example.com", "grp": "ld"})
    params = ["group use_domain 1"]
    assert login(tables, 'is_user_in("Credentials", "ld")', params, to="sip:x@x") == 1
    assert login(tables, 'is_user_in("Credentials", "other")', params, to="sip:x@x") == -6
    with asking(tables, 'is_user_in("Credentials", "ld")', ["group"]) as script:
        assert code(script.request("INVITE sip:alice@example.com")) == -1


def test_is_user_in_with_use_domain_and_other_names(tables: Path) -> None:
    add(tables, "grp", {"username": "alice", "domain": "example.com", "grp": "ld"})
    call = 'is_user_in("Request-URI", "ld")'
    with asking(tables, call, ["group"]) as script:
        assert code(script.request("INVITE sip:alice@other.example")) == 1
    run(tables, "ALTER TABLE grp RENAME COLUMN username TO u", "ALTER TABLE grp RENAME COLUMN domain TO d")
    run(tables, "ALTER TABLE grp RENAME COLUMN grp TO g", "ALTER TABLE grp RENAME TO teams")
    run(tables, "INSERT INTO version VALUES ('teams', 2)")
    params = [
        'group table "teams"',
        'group user_column "u"',
        'group domain_column "d"',
        'group group_column "g"',
        "group use_domain 1",
    ]
    with asking(tables, call, ["group"], params) as script:
        assert code(script.request("INVITE sip:alice@other.example")) == -6
        assert code(script.request("INVITE sip:alice@example.com")) == 1


def test_is_user_in_without_a_user_or_an_answer(tables: Path) -> None:
    with asking(tables, 'is_user_in("$avp(s:who)", "ld")', ["group"]) as script:
        assert code(script.request("INVITE sip:alice@example.com")) == -1
    with asking(tables, 'is_user_in("From", "ld")', ["group"], ['group user_column "no"']) as script:
        assert code(script.request("INVITE sip:alice@example.com")) == -5
    for wrong in ("Contact", "$ru", ""):
        with pytest.raises(ConfigErrors, match="is not possible here"):
            asking(tables, f'is_user_in("{wrong}", "ld")', ["group"])


def rules(path: Path, *pairs: tuple[str, int]) -> None:
    """Rows of the table of regular expressions."""
    add(path, "re_grp", *({"reg_exp": pattern, "group_id": group} for pattern, group in pairs))


RE = ['group re_table "re_grp"']
FIRST = [*RE, "group multiple_gid 0"]


def test_get_user_group_collects_the_groups_whose_expressions_match(tables: Path) -> None:
    rules(tables, ("^sip:al", 1), ("@EXAMPLE\\.com$", 2), ("^sip:bob@", 3))
    with asking(tables, 'get_user_group("Request-URI", "i:10")', ["group"], RE) as script:
        result = script.request("INVITE sip:alice@example.com;user=phone")
        assert code(result) == 2
        assert (result.variable("$avp(i:10)"), result.variable("$(avp(i:10)[1])")) == (1, 2)
        assert code(script.request("INVITE sip:carol@x")) == -1
    with asking(
        tables, 'get_user_group("Request-URI", "$avp(s:g)")', ["group"], RE + ["group multiple_gid 0"]
    ) as script:
        result = script.request("INVITE sip:alice@example.com")
        assert (code(result), result.variable("$avp(s:g)")) == (1, 2)


def test_get_user_group_with_other_names(tables: Path) -> None:
    rules(tables, ("alice", 1))
    run(tables, "ALTER TABLE re_grp RENAME COLUMN reg_exp TO x", "ALTER TABLE re_grp RENAME COLUMN group_id TO n")
    params = [*RE, 'group re_exp_column "x"', 'group re_gid_column "n"']
    with asking(tables, 'get_user_group("From", "i:10")', ["group"], params) as script:
        assert code(script.request("INVITE sip:x@x", from_="sip:alice@x")) == 1


def test_get_user_group_without_a_table_is_false(tables: Path) -> None:
    with asking(tables, 'get_user_group("From", "i:10")', ["group"]) as script:
        assert code(script.request("INVITE sip:x@x")) == -1
        assert script.mi("group_reload").code == 500


def test_group_reload_reads_the_expressions_again(tables: Path) -> None:
    rules(tables, ("^sip:alice", 1))
    with asking(tables, 'get_user_group("Request-URI", "i:10")', ["group"], RE) as script:
        run(tables, "UPDATE re_grp SET reg_exp = '^sip:bob'")
        assert code(script.request("INVITE sip:bob@x")) == -1
        assert script.mi("group_reload").code == 200
        assert code(script.request("INVITE sip:bob@x")) == 1
        run(tables, "UPDATE re_grp SET reg_exp = '('")
        assert script.mi("group_reload").code == 500
        assert code(script.request("INVITE sip:bob@x")) == 1


def test_a_broken_expression_is_refused_at_the_start(tables: Path) -> None:
    rules(tables, ("(", 1))
    with pytest.raises(ConfigError, match="regular expression"):
        asking(tables, 'get_user_group("Request-URI", "i:10")', ["group"], RE)


def test_expressions_are_read_later_where_the_database_was_not_there(tables: Path, tmp_path: Path) -> None:
    rules(tables, ("^sip:alice", 1))
    away = tmp_path / "away.db"
    tables.rename(away)
    with asking(tables, 'get_user_group("Request-URI", "i:10")', ["group"], RE) as script:
        assert code(script.request("INVITE sip:alice@x")) == -1
        away.rename(tables)
        group = script.core.modules["group"]
        assert isinstance(group, Group)
        group.reader.database.breaker.words[0] = 0  # the pause between two attempts is over
        assert code(script.request("INVITE sip:alice@x")) == 1


# -- alias_db ---------------------------------------------------------------------------------------------------

ALIAS = {"alias_username": "100", "alias_domain": "example.com", "username": "alice", "domain": "atlanta.example"}


def test_alias_db_lookup_puts_the_user_in_the_place_of_the_alias(tables: Path) -> None:
    add(tables, "dbaliases", ALIAS)
    with asking(tables, 'alias_db_lookup("dbaliases")', ["alias_db"]) as script:
        result = script.request("INVITE sip:100@other.example;x=1")
        assert (code(result), result.variable("$ru")) == (1, "sip:alice@atlanta.example")
        result = script.request("INVITE sip:101@example.com")
        assert (code(result), result.variable("$ru")) == (-1, "sip:101@example.com")


def test_alias_db_lookup_with_use_domain_and_a_prefix(tables: Path) -> None:
    add(tables, "dbaliases", ALIAS)
    params = ["alias_db use_domain 1", 'alias_db domain_prefix "sip."']
    with asking(tables, 'alias_db_lookup("dbaliases")', ["alias_db"], params) as script:
        assert code(script.request("INVITE sip:100@example.com")) == 1
        assert code(script.request("INVITE sip:100@SIP.example.com")) == 1
        assert code(script.request("INVITE sip:100@other.example")) == -1


def test_alias_db_lookup_with_other_names(tables: Path) -> None:
    add(tables, "dbaliases", ALIAS)
    names = {"alias_username": "a", "alias_domain": "b", "username": "c", "domain": "d"}
    for old, new in names.items():
        run(tables, f"ALTER TABLE dbaliases RENAME COLUMN {old} TO {new}")
    params = [
        'alias_db alias_user_column "a"',
        'alias_db alias_domain_column "b"',
        'alias_db user_column "c"',
        'alias_db domain_column "d"',
        "alias_db use_domain 1",
    ]
    with asking(tables, 'alias_db_lookup("dbaliases")', ["alias_db"], params) as script:
        assert script.request("INVITE sip:100@example.com").variable("$ru") == "sip:alice@atlanta.example"


def test_db_url_of_alias_db_and_of_speeddial_is_the_database_that_is_asked(tables: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_tables(tmp_path / "other")
    add(other, "dbaliases", ALIAS)
    add(other, "speed_dial", DIAL)
    for module, call, uri in (
        ("alias_db", 'alias_db_lookup("dbaliases")', "sip:100@example.com"),
        ("speeddial", 'sd_lookup("speed_dial")', "sip:1@example.com"),
    ):
        assert asked(tables, module, call, uri, []) == -1
        moved = {"alias_db": f'alias_db db_url "sqlite://{other}"', "speeddial": f'speeddial db_url "sqlite://{other}"'}
        assert asked(tables, module, call, uri, [moved[module]]) == 1


def asked(path: Path, module: str, call: str, uri: str, params: list[str]) -> int:
    """What a call of alice's comes to."""
    with asking(path, call, [module], params) as script:
        return code(script.request(f"INVITE {uri}", from_="sip:alice@example.com"))


def test_alias_db_lookup_of_what_is_no_user(tables: Path) -> None:
    add(tables, "dbaliases", ALIAS | {"username": None}, ALIAS | {"alias_username": "200", "username": "a b"})
    with asking(tables, 'alias_db_lookup("dbaliases")', ["alias_db"]) as script:
        assert script.request("INVITE sip:100@x").log == ["-1"]
        result = script.request("INVITE sip:200@x")
        assert (code(result), result.variable("$ru")) == (-1, "sip:200@x")
    with asking(tables, 'alias_db_lookup("nothing")', ["alias_db"]) as script:
        assert code(script.request("INVITE sip:100@x")) == -1
    with pytest.raises(ConfigErrors, match="name of a table"):
        asking(tables, 'alias_db_lookup("no table")', ["alias_db"])


# -- speeddial --------------------------------------------------------------------------------------------------

DIAL = {
    "username": "alice",
    "domain": "example.com",
    "sd_username": "1",
    "sd_domain": "example.com",
    "new_uri": "sip:bob@biloxi.example",
}


def test_sd_lookup_puts_what_the_number_stands_for_in_its_place(tables: Path) -> None:
    add(tables, "speed_dial", DIAL)
    with asking(tables, 'sd_lookup("speed_dial")', ["speeddial"]) as script:
        result = script.request("INVITE sip:1@other.example", from_="sip:alice@other.example")
        assert (code(result), result.variable("$ru")) == (1, "sip:bob@biloxi.example")
        assert code(script.request("INVITE sip:1@example.com", from_="sip:carol@example.com")) == -1
        assert code(script.request("INVITE sip:2@example.com", from_="sip:alice@example.com")) == -1


def test_sd_lookup_with_an_owner(tables: Path) -> None:
    add(tables, "speed_dial", DIAL)
    call = '$avp(s:o) = "sip:alice@example.com"; sd_lookup("speed_dial", "$avp(s:o)")'
    with asking(tables, call, ["speeddial"]) as script:
        assert code(script.request("INVITE sip:1@example.com", from_="sip:carol@example.com")) == 1
    with asking(tables, 'sd_lookup("speed_dial", "$avp(s:none)")', ["speeddial"]) as script:
        assert code(script.request("INVITE sip:1@example.com", from_="sip:alice@example.com")) == -1


def test_sd_lookup_with_domains_and_a_prefix(tables: Path) -> None:
    add(tables, "speed_dial", DIAL)
    prefix = 'speeddial domain_prefix "sip."'
    owner = {"from_": "sip:alice@sip.example.com"}
    with asking(tables, 'sd_lookup("speed_dial")', ["speeddial"], ["speeddial use_domain 1", prefix]) as script:
        assert code(script.request("INVITE sip:1@other.example", **owner)) == 1  # type: ignore[arg-type]
        assert code(script.request("INVITE sip:1@example.com", from_="sip:alice@other.example")) == -1
    with asking(tables, 'sd_lookup("speed_dial")', ["speeddial"], ["speeddial use_domain 2", prefix]) as script:
        assert code(script.request("INVITE sip:1@sip.example.com", **owner)) == 1  # type: ignore[arg-type]
        assert code(script.request("INVITE sip:1@other.example", **owner)) == -1  # type: ignore[arg-type]


def test_sd_lookup_with_other_names(tables: Path) -> None:
    add(tables, "speed_dial", DIAL)
    names = {"username": "a", "domain": "b", "sd_username": "c", "sd_domain": "d", "new_uri": "e"}
    for old, new in names.items():
        run(tables, f"ALTER TABLE speed_dial RENAME COLUMN {old} TO {new}")
    params = [
        'speeddial user_column "a"',
        'speeddial domain_column "b"',
        'speeddial sd_user_column "c"',
        'speeddial sd_domain_column "d"',
        'speeddial new_uri_column "e"',
        "speeddial use_domain 2",
    ]
    with asking(tables, 'sd_lookup("speed_dial")', ["speeddial"], params) as script:
        result = script.request("INVITE sip:1@example.com", from_="sip:alice@example.com")
        assert result.variable("$ru") == "sip:bob@biloxi.example"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("bob@biloxi.example", "sip:bob@biloxi.example"),
        ("sips:bob@biloxi.example", "sips:bob@biloxi.example"),
        ("tel:+4930", "tel:+4930"),
        ("b b", None),
        (None, None),
    ],
)
def test_sd_lookup_writes_a_scheme_where_there_is_none(tables: Path, stored: str | None, expected: str | None) -> None:
    add(tables, "speed_dial", DIAL | {"new_uri": stored})
    with asking(tables, 'sd_lookup("speed_dial")', ["speeddial"]) as script:
        result = script.request("INVITE sip:1@x", from_="sip:alice@x")
        assert (code(result), result.variable("$ru")) == ((1, expected) if expected else (-1, "sip:1@x"))


def test_sd_lookup_without_an_answer(tables: Path) -> None:
    with asking(tables, 'sd_lookup("nothing")', ["speeddial"]) as script:
        assert code(script.request("INVITE sip:1@x", from_="sip:alice@x")) == -1
