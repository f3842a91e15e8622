"""VERBOSE: what openserctl asks of the database and of the server, on stderr."""

import re
from pathlib import Path

import pytest

from openserd.ctl.client import Reply
from tests.unit.ctl.support import Ctl, new_database


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    return Ctl(new_database("sqlite", tmp_path))


def lines(text: str) -> list[str]:
    """The lines without what differs from run to run."""
    return [re.sub(r"\d+ ms", "N ms", line) for line in text.splitlines()]


@pytest.mark.parametrize("rc", ["", "VERBOSE=0"])
def test_nothing_is_told_unless_it_is_asked_for(ctl: Ctl, rc: str) -> None:
    assert ctl.run("add", "alice", "secret", rc=rc).stderr == ""


def test_each_operation_is_told_without_what_it_writes(ctl: Ctl) -> None:
    told = ctl.run("add", "alice", "very-secret", rc="VERBOSE=1").stderr
    assert "select from subscriber (username, domain) where username='alice' and domain='example.com'" in told
    assert re.search(r"^insert into subscriber \(.*password.*\)$", told, re.M)
    assert "very-secret" not in told
    told = ctl.run("passwd", "alice", "other-secret", rc="VERBOSE=1").stderr
    assert re.search(r"^update subscriber \(.*\) where username='alice' and domain='example.com'$", told, re.M)
    assert "other-secret" not in told
    removed = lines(ctl.run("rm", "alice", rc="VERBOSE=1").stderr)
    assert "delete from uri where username='alice' and domain='example.com'" in removed
    assert removed[-1] == "ul_rm location alice@example.com: 200 OK, N ms"


def test_a_statement_of_the_operator_is_told_as_it_is(ctl: Ctl) -> None:
    assert ctl.run("db", "roexec", "select 1", rc="VERBOSE=1").stderr == "select 1\n"


@pytest.mark.parametrize(
    ("reply", "outcome"), [(Reply(500, "no usrloc", []), "500 no usrloc"), (None, "openserd is not running")]
)
def test_a_command_that_fails_is_told_with_the_reason(ctl: Ctl, reply: Reply | None, outcome: str) -> None:
    ctl.server.replies["ul_dump"] = reply
    result = ctl.run("ul", "show", rc="VERBOSE=1", code=2 if reply is None else 1)
    assert lines(result.stderr)[0] == f"ul_dump: {outcome}, N ms"
