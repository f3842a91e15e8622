"""domain over a real SQLite file: which hosts are this server's, asked of the database or of memory."""

import logging
from pathlib import Path

import pytest

from openserd.core.database.cached import RETRY_SECONDS
from openserd.errors import ConfigError
from openserd.script.problems import ConfigErrors
from tests.unit.mods.cached_kit import add, answer, ask, asking, code, let_it_be_tried_again, make_database, run, values

MODES = ["db_mode 0", "db_mode 1"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with two domains."""
    path = make_database(tmp_path / "openser.db", "domain")
    add(path, "domain", domain="biloxi.example")
    add(path, "domain", domain="192.0.2.1")
    return path


@pytest.mark.parametrize("mode", MODES)
def test_is_uri_host_local_looks_at_the_request_uri(path: Path, mode: str) -> None:
    with asking("is_uri_host_local()", "domain", [mode], path) as script:
        assert ask(script, "INVITE sip:bob@biloxi.example:5070;x=y") == 1
        assert ask(script, "INVITE sip:bob@BILOXI.Example") == 1
        assert ask(script, "INVITE sip:192.0.2.1") == 1
        assert ask(script, "INVITE sip:bob@atlanta.example") == -1
        assert ask(script, "INVITE sip:bob@sub.biloxi.example") == -1
        assert ask(script, "INVITE tel:+4930") == -1


def test_is_uri_host_local_looks_at_the_uri_as_it_is_now(path: Path) -> None:
    with asking('seturi("sip:bob@biloxi.example"); is_uri_host_local()', "domain", MODES[1:], path) as script:
        assert ask(script, "INVITE sip:bob@atlanta.example") == 1


@pytest.mark.parametrize("mode", MODES)
def test_is_from_local_looks_at_from(path: Path, mode: str) -> None:
    with asking("is_from_local()", "domain", [mode], path) as script:
        assert ask(script, from_="sip:alice@Biloxi.example") == 1
        assert ask(script, from_="sip:alice@atlanta.example") == -1
        assert ask(script, headers={"From": "<what>;tag=1"}) == -2


@pytest.mark.parametrize("mode", MODES)
def test_is_domain_local_looks_at_a_variable(path: Path, mode: str) -> None:
    with asking('$avp(s:d) = $hdr(Subject); is_domain_local("$avp(s:d)")', "domain", [mode], path) as script:
        assert ask(script, headers={"Subject": "biloxi.EXAMPLE"}) == 1
        assert ask(script, headers={"Subject": "atlanta.example"}) == -1
        assert ask(script) == -1
    with asking('$var(n) = 5; is_domain_local("$var(n)")', "domain", [mode], path) as script:
        assert ask(script) == -1
    with pytest.raises(ConfigErrors):
        asking('is_domain_local("biloxi.example")', "domain", [mode], path)


@pytest.mark.parametrize("name", ["is_from_local()", "is_uri_host_local()", 'is_domain_local("$rd")'])
def test_the_functions_may_be_called_in_request_failure_and_branch_routes(path: Path, name: str) -> None:
    call = f'xlog("L_INFO", "x"); }} failure_route[1] {{ {name}; }} branch_route[1] {{ {name}; }} route[1] {{ {name}'
    asking(call, "domain", [], path).close()
    with pytest.raises(ConfigErrors, match="cannot be used in onreply_route"):
        asking(f"{name}; }} onreply_route[1] {{ {name}", "domain", [], path)


def test_without_a_cache_a_change_is_seen_at_once(path: Path) -> None:
    with asking("is_uri_host_local()", "domain", MODES[:1], path) as script:
        assert ask(script, "INVITE sip:atlanta.example") == -1
        add(path, "domain", domain="atlanta.example")
        assert ask(script, "INVITE sip:atlanta.example") == 1
        assert answer(script, "domain_reload") == (500, "domains are not cached (db_mode is 0)")
        assert answer(script, "domain_dump") == (500, "domains are not cached (db_mode is 0)")


def test_a_domain_stored_in_capitals_is_found_as_it_is_written(path: Path) -> None:
    add(path, "domain", domain="Atlanta.Example")
    with asking("is_uri_host_local()", "domain", MODES[:1], path) as script:
        assert ask(script, "INVITE sip:Atlanta.Example") == 1
    with asking("is_uri_host_local()", "domain", MODES[1:], path) as script:
        assert ask(script, "INVITE sip:atlanta.EXAMPLE") == 1
        assert values(script, "domain_dump") == ["biloxi.example", "192.0.2.1", "Atlanta.Example"]


def test_a_cache_changes_with_domain_reload(path: Path) -> None:
    with asking("is_uri_host_local()", "domain", MODES[1:], path) as script:
        run(path, "DELETE FROM domain WHERE domain = 'biloxi.example'")
        add(path, "domain", domain="atlanta.example")
        assert ask(script, "INVITE sip:biloxi.example") == 1
        assert ask(script, "INVITE sip:atlanta.example") == -1
        assert answer(script, "domain_reload") == (200, "OK")
        assert ask(script, "INVITE sip:biloxi.example") == -1
        assert ask(script, "INVITE sip:atlanta.example") == 1
        assert values(script, "domain_dump") == ["192.0.2.1", "atlanta.example"]


def test_a_reload_that_fails_leaves_the_old_domains(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with asking("is_uri_host_local()", "domain", MODES[1:], path) as script:
        run(path, "ALTER TABLE domain RENAME TO elsewhere")
        assert answer(script, "domain_reload") == (500, "Domain table reload failed")
        assert "table domain was not read" in caplog.text
        assert ask(script, "INVITE sip:biloxi.example") == 1


@pytest.mark.parametrize("mode", MODES)
def test_table_and_column_may_have_other_names(tmp_path: Path, mode: str) -> None:
    path = make_database(tmp_path / "openser.db", realms="domain")
    run(path, "ALTER TABLE realms RENAME COLUMN realms TO realm")
    add(path, "realms", realm="biloxi.example")
    params = [mode, 'domain_table "realms"', 'domain_col "realm"']
    with asking("is_uri_host_local()", "domain", params, path) as script:
        assert ask(script, "INVITE sip:biloxi.example") == 1
    with pytest.raises(ConfigErrors, match="domain_table"):
        asking("is_uri_host_local()", "domain", ['domain_table "a b"'], path)


@pytest.mark.parametrize("mode", MODES)
def test_a_table_of_another_version_is_refused(path: Path, mode: str) -> None:
    run(path, "UPDATE version SET table_version = 2")
    with pytest.raises(ConfigError, match=r"table domain of .* has version 2, 1 is needed"):
        asking("is_uri_host_local()", "domain", [mode], path)


def test_a_column_that_is_not_there_is_an_error_at_the_start(path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing"):
        asking("is_uri_host_local()", "domain", ["db_mode 1", 'domain_col "nothing"'], path)
    with asking("is_uri_host_local()", "domain", ["db_mode 0", 'domain_col "nothing"'], path) as script:
        assert ask(script, "INVITE sip:biloxi.example") == -1


def test_a_database_that_is_down_at_the_start_is_read_when_it_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "late.db"
    with caplog.at_level(logging.WARNING), asking("is_uri_host_local()", "domain", MODES[1:], path) as script:
        assert [line.getMessage() for line in caplog.records].count(
            "domain: table domain will be read when the database is there"
        ) == 1
        assert ask(script, "INVITE sip:biloxi.example") == -1
        assert values(script, "domain_dump") == []
        caplog.clear()
        let_it_be_tried_again(script, path)
        assert script.advance(3 * RETRY_SECONDS).log == []
        make_database(path, "domain")
        add(path, "domain", domain="biloxi.example")
        let_it_be_tried_again(script, path)
        assert "domain: table domain has been read" in script.advance(RETRY_SECONDS).log
        assert ask(script, "INVITE sip:biloxi.example") == 1
        assert script.advance(5 * RETRY_SECONDS).log == []


def test_a_database_that_comes_with_a_wrong_table_is_complained_about_once(tmp_path: Path) -> None:
    path = tmp_path / "late.db"
    with asking("is_uri_host_local()", "domain", ["db_mode 1", 'domain_col "nothing"'], path) as script:
        make_database(path, "domain")
        let_it_be_tried_again(script, path)
        log = script.advance(10 * RETRY_SECONDS).log
        assert len([line for line in log if "table domain was not read" in line]) == 1


def test_a_database_that_is_down_does_not_answer(tmp_path: Path) -> None:
    with asking("is_uri_host_local()", "domain", MODES[:1], tmp_path / "none.db") as script:
        assert code(script.request("INVITE sip:biloxi.example")) == -1
