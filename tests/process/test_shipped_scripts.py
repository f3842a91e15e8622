"""The scripts in cfg/ are accepted and carry a call; the guide's printed one is refused where it is wrong."""

import re
from pathlib import Path

import pytest

from tests.process.conftest import PhoneMaker
from tests.support import Server, check_script
from tests.support.agents import Callee, call
from tests.support.server import ROOT

SHIPPED = sorted((ROOT / "cfg").glob("*.cfg"))
OPEN = [script for script in SHIPPED if "www_authorize" not in script.read_text()]


@pytest.mark.parametrize("option", ["-c", "-C"])
@pytest.mark.parametrize("script", SHIPPED, ids=lambda path: path.name)
def test_shipped_script_is_accepted(script: Path, option: str, tmp_path: Path) -> None:
    done = check_script(script.read_text(), tmp_path, option)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "config file ok, exiting..." in done.stdout + done.stderr


def test_only_the_scripts_named_after_authentication_ask_for_a_password() -> None:
    assert {script.stem for script in SHIPPED if script not in OPEN} == {"mysql-auth", "sqlite-auth"}


@pytest.mark.parametrize("script", OPEN, ids=lambda path: path.name)
def test_shipped_script_without_passwords_carries_a_call(script: Path, tmp_path: Path, phone: PhoneMaker) -> None:
    text = script.read_text().replace("/tmp/openser_fifo", "@FIFO@").replace("log_stderror=no", "log_stderror=yes")
    with Server(text, tmp_path) as server:
        caller, callee = phone("alice", server), phone("bob", server)
        callee.register()
        with Callee(callee) as answering:
            seen = call(caller, callee.user, answering)
        assert len(seen.invite.all("record-route")) == 1
        invite = caller.invite("nobody")
        assert caller.receive_reply(invite).code == 404


def test_hello_world_as_printed_is_refused_for_lookup_alone(tmp_path: Path) -> None:
    printed = ROOT / "tests/data/scripts/guide/hello-world-as-printed.cfg"
    text = printed.read_text()
    done = check_script(text, tmp_path, "-c")
    said = done.stdout + done.stderr
    assert done.returncode == 255, said
    line = 1 + text[: text.index("lookup(")].count("\n")
    assert re.findall(r"openser\.cfg:(\d+):\d+", said) == [str(line)], said
    assert "lookup" in said
    assert "registrar" in said
