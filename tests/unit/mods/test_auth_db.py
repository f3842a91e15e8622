"""auth_db: users of a real SQLite file, through whole scripts."""

from pathlib import Path
from typing import Any

import pytest

from openserd.errors import ConfigError
from openserd.mods.auth_db.loaded import parse_loaded
from openserd.script.problems import ConfigErrors
from openserd.testing import Result, Script
from tests.unit.mods.auth_kit import Phone
from tests.unit.mods.tables_kit import add, challenge_of, make_tables, run, scripted, subscriber

WWW = """route {
    if (!www_authorize("example.com", "subscriber")) { www_challenge("example.com", "1"); exit; }
    log(1, "authorized");
    sl_send_reply("200", "OK");
}"""
PROXY = """route {
    if (!proxy_authorize("$fd", "subscriber")) { proxy_challenge("$fd", "1"); exit; }
    consume_credentials();
    log(1, "authorized");
    forward("192.0.2.20");
}"""
ALICE = Phone()


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A database with alice, bob and another alice in it."""
    path = make_tables(tmp_path)
    add(path, "subscriber", subscriber("alice", rpid="+4930123", credit=7))
    add(path, "subscriber", subscriber("bob", "bobs", credit=None, rpid=""))
    return path


def authorized(script: Script, phone: Phone, *, answer: dict[str, Any] | None = None, **headers: str) -> Result:
    """A REGISTER with the answer to the challenge of the one before."""
    first = script.request("REGISTER sip:example.com", from_="sip:alice@example.com", to="sip:alice@example.com")
    assert first.reply.status == 401
    value = phone.answer(challenge_of(first), **(answer or {}))
    return script.request(
        "REGISTER sip:example.com",
        from_="sip:alice@example.com",
        to="sip:alice@example.com",
        headers={"Authorization": value, **headers},
    )


def status(script: Script, phone: Phone, **answer: Any) -> int:
    """What a REGISTER with these credentials is answered."""
    return authorized(script, phone, answer=answer).reply.status


def test_a_user_in_the_table_is_authorized_and_no_other(tables: Path) -> None:
    with scripted(tables, WWW, ["auth", "auth_db"]) as script:
        assert status(script, ALICE) == 200
        assert status(script, Phone("bob", "bobs")) == 200
        assert status(script, Phone(password="guess")) == 401
        assert status(script, Phone("carol")) == 401
        assert status(script, Phone("")) == 401


def test_proxy_authorize_takes_the_other_header_field_and_its_realm_may_hold_variables(tables: Path) -> None:
    with scripted(tables, PROXY, ["auth", "auth_db"]) as script:
        first = script.request("INVITE sip:bob@example.com", from_="sip:alice@example.com")
        assert first.reply.status == 407
        answer = ALICE.answer(challenge_of(first), "INVITE", "sip:bob@example.com")
        again = script.request(
            "INVITE sip:bob@example.com", from_="sip:alice@example.com", headers={"Proxy-Authorization": answer}
        )
        assert again.log == ["authorized"]
        assert again.request.header("Proxy-Authorization") is None
        refused = script.request(
            "INVITE sip:bob@example.com", from_="sip:alice@example.com", headers={"Authorization": answer}
        )
        assert refused.reply.status == 407


def test_ack_and_cancel_are_authorized_without_credentials(tables: Path) -> None:
    with scripted(tables, WWW, ["auth", "auth_db"]) as script:
        assert script.request("ACK sip:bob@example.com").log == ["authorized"]
        assert script.request("CANCEL sip:bob@example.com").log == ["authorized"]


def test_a_stale_nonce_is_told_and_the_next_one_works(tables: Path) -> None:
    with scripted(tables, WWW, ["auth", "auth_db"], ["auth nonce_expire 60"]) as script:
        first = script.request("REGISTER sip:example.com")
        answer = ALICE.answer(challenge_of(first))
        script.advance(61)
        late = script.request("REGISTER sip:example.com", headers={"Authorization": answer})
        assert challenge_of(late).stale
        again = ALICE.answer(challenge_of(late))
        assert script.request("REGISTER sip:example.com", headers={"Authorization": again}).reply.status == 200


def test_a_replay_is_refused_with_one_time_nonce_and_the_phone_repeats_what_was_lost(tables: Path) -> None:
    with scripted(tables, WWW, ["auth", "auth_db"], ["auth one_time_nonce 1"]) as script:
        accepted = authorized(script, ALICE)
        assert accepted.reply.status == 200
        assert script.repeat(accepted).reply.status == 200
        stolen = accepted.received.replace(b"192.0.2.10", b"192.0.2.66")
        replayed = script.receive(stolen, source="192.0.2.66:5060")
        assert replayed.reply.status == 401 and challenge_of(replayed).stale


def test_malformed_credentials_end_the_script_with_400(tables: Path) -> None:
    with scripted(tables, WWW, ["auth", "auth_db"]) as script:
        result = script.request("REGISTER sip:example.com", headers={"Authorization": 'Digest username="alice'})
        assert (result.reply.status, len(result.replies)) == (400, 1)


def test_ha1b_is_used_for_a_user_with_a_domain(tables: Path) -> None:
    phone = Phone("alice@example.com")
    with scripted(tables, WWW, ["auth", "auth_db"]) as script:
        assert status(script, phone) == 200
        run(tables, "UPDATE subscriber SET ha1b = ha1")
        assert status(script, phone) == 401
        assert status(script, ALICE) == 200


def test_other_columns_can_hold_the_user_and_the_password(tables: Path) -> None:
    run(tables, "ALTER TABLE subscriber RENAME COLUMN username TO login")
    run(tables, "ALTER TABLE subscriber RENAME COLUMN domain TO realm")
    run(tables, "ALTER TABLE subscriber RENAME COLUMN ha1 TO h")
    run(tables, "ALTER TABLE subscriber RENAME COLUMN ha1b TO hb")
    params = [
        'auth_db user_column "login"',
        'auth_db domain_column "realm"',
        'auth_db password_column "h"',
        'auth_db password_column_2 "hb"',
        "auth_db use_domain 1",
    ]
    with scripted(tables, WWW, ["auth", "auth_db"], params) as script:
        assert status(script, ALICE) == 200
        assert status(script, Phone("alice@example.com")) == 200


def test_another_table_can_be_named(tables: Path) -> None:
    run(tables, "ALTER TABLE subscriber RENAME TO phones", "INSERT INTO version VALUES ('phones', 6)")
    with scripted(tables, WWW.replace("subscriber", "phones"), ["auth", "auth_db"]) as script:
        assert status(script, ALICE) == 200


def test_calculate_ha1_takes_passwords_in_clear_text(tables: Path) -> None:
    run(tables, "UPDATE subscriber SET ha1 = 'x', ha1b = 'x'")
    params = ["auth_db calculate_ha1 1", 'auth_db password_column "password"']
    with scripted(tables, WWW, ["auth", "auth_db"], params) as script:
        assert status(script, ALICE) == 200
        assert status(script, Phone("alice@example.com")) == 200
        assert status(script, Phone(password="guess")) == 401


def test_use_domain_tells_users_of_the_same_name_apart(tables: Path) -> None:
    run(tables, "UPDATE subscriber SET domain = 'other.example' WHERE username = 'alice'")
    with scripted(tables, WWW, ["auth", "auth_db"]) as script:
        assert status(script, ALICE) == 200
    with scripted(tables, WWW, ["auth", "auth_db"], ["auth_db use_domain 1"]) as script:
        assert status(script, ALICE) == 401
        assert status(script, Phone("bob", "bobs")) == 200


@pytest.mark.parametrize("algorithm", ["SHA-256", "SHA-512-256", "SHA-256-sess", "MD5-sess"])
def test_each_algorithm_has_its_own_column(tables: Path, algorithm: str) -> None:
    with scripted(tables, WWW, ["auth", "auth_db"], [f'auth algorithms "{algorithm}"']) as script:
        assert status(script, ALICE) == 200
        assert status(script, Phone(password="guess")) == 401


def test_clear_text_passwords_serve_every_algorithm(tables: Path) -> None:
    params = [
        "auth_db calculate_ha1 1",
        'auth_db password_column "password"',
        'auth algorithms "SHA-256"',
    ]
    with scripted(tables, WWW, ["auth", "auth_db"], params) as script:
        assert status(script, Phone("alice@example.com")) == 200


@pytest.mark.parametrize("stored", ["NULL", "''"])
def test_a_user_without_a_password_cannot_log_in(tables: Path, stored: str) -> None:
    """Who knows that HA1 is empty could compute the response."""
    run(tables, f"UPDATE subscriber SET ha1 = {stored}, password = {stored}")
    with scripted(tables, WWW, ["auth", "auth_db"]) as script:
        assert status(script, ALICE) == 401
        assert status(script, Phone("alice", ha1="")) == 401
    params = ["auth_db calculate_ha1 1", 'auth_db password_column "password"']
    with scripted(tables, WWW, ["auth", "auth_db"], params) as script:
        assert status(script, Phone("alice", "")) == 401


def test_rpid_is_loaded_by_default_once_credentials_are_right(tables: Path) -> None:
    with scripted(tables, WWW, ["auth", "auth_db"]) as script:
        assert authorized(script, ALICE).variable("$avp(s:rpid)") == "+4930123"
        assert authorized(script, Phone("bob", "bobs")).variable("$avp(s:rpid)") is None
        assert authorized(script, Phone(password="guess")).variable("$avp(s:rpid)") is None


def test_load_credentials_names_columns_and_avps(tables: Path) -> None:
    params = ['auth_db load_credentials "$avp(i:7) = credit; rpid ;$avp(s:w)=weight;"']
    with scripted(tables, WWW, ["auth", "auth_db"], params) as script:
        result = authorized(script, ALICE)
        assert (result.variable("$avp(i:7)"), result.variable("$avp(s:rpid)")) == (7, "+4930123")
        assert authorized(script, Phone("bob", "bobs")).variable("$avp(i:7)") is None
        run(tables, "UPDATE subscriber SET weight = 1.5")
        result = authorized(script, ALICE)
        assert result.variable("$avp(s:w)") is None
        assert any("weight" in line for line in result.log)


def test_load_credentials_may_be_empty(tables: Path) -> None:
    run(tables, "ALTER TABLE subscriber DROP COLUMN rpid")
    with scripted(tables, WWW, ["auth", "auth_db"], ['auth_db load_credentials ""']) as script:
        assert status(script, ALICE) == 200


def test_of_two_columns_for_one_avp_the_first_is_the_newest(tables: Path) -> None:
    params = ['auth_db load_credentials "$avp(s:x)=username;$avp(s:x)=domain"']
    with scripted(tables, WWW, ["auth", "auth_db"], params) as script:
        assert authorized(script, ALICE).variable("$avp(s:x)") == "alice"


@pytest.mark.parametrize("text", ["a;;b", "a b", "s:x=rpid", "=rpid", "$avp(s:x)=", "$avp()=rpid", ";"])
def test_a_malformed_load_credentials_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_loaded(text)


def test_load_credentials_knows_avp_aliases() -> None:
    found = parse_loaded("$avp(limit)=credit", "limit=i:12")
    assert [(one.column, one.name) for one in found] == [("credit", 12)]


def test_a_database_that_refuses_is_answered_500_and_named_in_the_log(tables: Path) -> None:
    with scripted(tables, WWW, ["auth", "auth_db"], ['auth_db password_column "nothing"']) as script:
        result = authorized(script, ALICE)
        assert (result.reply.status, result.reply.reason, len(result.replies)) == (500, "Server Internal Error", 1)
        assert any(line.startswith("auth_db:") for line in result.log)


def test_a_database_that_is_not_there_is_answered_500(tmp_path: Path) -> None:
    with scripted(tmp_path / "missing.db", WWW, ["auth", "auth_db"]) as script:
        assert authorized(script, ALICE).reply.status == 500
        assert script.request("REGISTER sip:example.com").reply.status == 401


def test_a_table_of_another_version_is_refused_at_the_start(tables: Path) -> None:
    run(tables, "UPDATE version SET table_version = 5")
    with pytest.raises(ConfigError, match="version 5"):
        scripted(tables, WWW, ["auth", "auth_db"])


def test_a_malformed_table_name_is_refused_where_it_stands(tables: Path) -> None:
    with pytest.raises(ConfigErrors, match="name of a table"):
        scripted(tables, WWW.replace('"subscriber"', '"sub scriber"'), ["auth", "auth_db"])


@pytest.mark.parametrize(
    "user",
    ["alice' OR '1'='1", "' OR 1=1 --", "alice\\", "%", "_lice", "alice;DROP TABLE subscriber", 'al"ice', "\xe4\x00b"],
)
def test_what_a_phone_sends_is_data(tables: Path, user: str) -> None:
    with scripted(tables, WWW, ["auth", "auth_db"], ["auth_db use_domain 1"]) as script:
        assert status(script, Phone(user)) == 401
        add(tables, "subscriber", subscriber(user))
        assert [status(script, phone) for phone in (Phone(user), ALICE)] == [200, 200]


def test_check_functions_of_others_see_who_was_authorized(tables: Path) -> None:
    text = WWW.replace('log(1, "authorized")', 'if (check_to() && is_user("alice")) log(1, "hers")')
    with scripted(tables, 'loadmodule "uri.so" ' + text, ["auth", "auth_db", "uri_db"]) as script:
        assert authorized(script, ALICE).log == ["hers"]
        assert authorized(script, Phone("bob", "bobs")).log == []
