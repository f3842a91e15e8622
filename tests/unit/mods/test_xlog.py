"""xlog: what is logged, at which level, and what is not even formatted."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from openserd.core.log import L_DBG, L_ERR, L_INFO, NOTICE, set_debug
from openserd.core.module import BRANCH, ERROR, FAILURE, ONREPLY, REQUEST, DynamicValue
from openserd.errors import ConfigError
from openserd.mods.xlog import Xlog
from openserd.testing import Script
from tests.support.recording import call, make_core, request


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """What was logged, as (level, text)."""
    logger = logging.getLogger("openserd")
    level = logger.level
    set_debug(L_INFO)
    yield lambda: [(record.levelno, record.getMessage()) for record in caplog.records]
    logger.setLevel(level)


def xlog(*texts: str, name: str = "xlog", stderr: bool = False, **params: int) -> int:
    core = make_core()
    core.params.log_stderror = stderr
    return call(Xlog(**params), core, name, request(), *texts)


def test_one_argument_is_an_error_line(lines: Any) -> None:
    assert xlog("$rm from $fU: $avp(s:none) $$") == 1
    assert lines() == [(logging.ERROR, "INVITE from alice: <null> $")]


def test_one_argument_in_a_script() -> None:
    with Script.text('route { xlog("$rm from $fU"); }', ["xlog"]) as script:
        assert script.request("INVITE sip:bob@192.0.2.20").log == ["INVITE from alice"]


def test_constant_text(lines: Any) -> None:
    assert xlog("hello 100%\n") == 1
    assert lines() == [(logging.ERROR, "hello 100%")]


@pytest.mark.parametrize(
    ("level", "number"),
    [
        ("L_ALERT", 60),
        ("L_CRIT", logging.CRITICAL),
        ("L_ERR", logging.ERROR),
        ("L_WARN", logging.WARNING),
        ("L_NOTICE", NOTICE),
        ("L_INFO", logging.INFO),
        ("L_N", NOTICE),
    ],
)
def test_the_level_is_the_first_of_two_arguments(lines: Any, level: str, number: int) -> None:
    assert xlog(level, "got $rm") == 1
    assert lines() == [(number, "got INVITE")]


def test_a_level_that_is_not_logged_costs_no_formatting(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def must_not_run(msg: object) -> bytes:
        raise AssertionError("evaluated")

    context = SimpleNamespace(core=make_core(), format=lambda text: DynamicValue(must_not_run))
    module = Xlog()
    first, second = module.fix_first("L_DBG", context), module.fix_second("$rm", context)  # type: ignore[arg-type]
    assert module.xlog(request(), first, second) == 1  # type: ignore[arg-type]
    assert module.xdbg(request(), first) == 1  # type: ignore[arg-type]
    assert lines() == []


def test_the_text_is_no_argument_that_is_evaluated_before_the_call() -> None:
    context = SimpleNamespace(core=make_core(), format=lambda text: DynamicValue(lambda msg: b"x"))
    assert not callable(Xlog().fix_first("$rm", context))  # type: ignore[arg-type]


def test_xdbg_logs_at_debug_level(lines: Any) -> None:
    set_debug(L_DBG)
    assert xlog("seen $ci", name="xdbg") == 1
    assert lines() == [(logging.DEBUG, "seen 1@atlanta")]


def test_debug_decides_what_is_logged(lines: Any) -> None:
    set_debug(L_ERR)
    for level in ("L_ALERT", "L_ERR", "L_WARN", "L_DBG"):
        xlog(level, level)
    assert [text for _, text in lines()] == ["L_ALERT", "L_ERR"]


def test_lines_end_at_buf_size(lines: Any) -> None:
    xlog("$(rm)" + "x" * 100, buf_size=10)
    xlog("y" * 5000)
    assert [len(text) for _, text in lines()] == [10, 4096]


def test_what_is_no_utf_8_is_logged_escaped(lines: Any) -> None:
    xlog("caf\udce9")
    assert lines() == [(logging.ERROR, "caf\\xe9")]


@pytest.mark.parametrize(
    ("stderr", "force", "text"),
    [
        (False, 0, "a b $Crx"),
        (True, 0, "a \x1b[0;31;49mb $Crx"),
        (False, 1, "a \x1b[0;31;49mb $Crx"),
    ],
)
def test_colours_are_kept_where_they_are_seen(lines: Any, stderr: bool, force: int, text: str) -> None:
    xlog("a $Crxb $$Crx", stderr=stderr, force_color=force)
    assert lines()[0][1] == text


def test_an_unknown_level_is_reported_when_the_script_is_read() -> None:
    with pytest.raises(ConfigError, match="level"):
        xlog("loud", "text")


def test_an_unknown_variable_is_reported_when_the_script_is_read() -> None:
    with pytest.raises(ConfigError):
        xlog("$nothing")


def test_buf_size_is_checked() -> None:
    with pytest.raises(ConfigError):
        Xlog(buf_size=0)


def test_routes_are_those_of_openser() -> None:
    for declared in Xlog.functions.values():
        assert declared.routes == REQUEST | FAILURE | ONREPLY | BRANCH | ERROR
    assert list(Xlog.functions["xlog"].arities) == [1, 2] and list(Xlog.functions["xdbg"].arities) == [1]
