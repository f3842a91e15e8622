"""Where log lines go and how they look: levels, journald's prefix, syslog and its absence."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openserd.core.log import L_ALERT, L_CRIT, L_DBG, L_ERR, L_INFO, L_NOTICE, L_WARN, log_line, logger
from openserd.errors import ConfigError
from openserd.server import logs
from openserd.server.logs import LineFormatter, SyslogHandler, configure


@pytest.fixture(autouse=True)
def untouched_logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server's logger as it was, afterwards."""
    before = logger.handlers[:], logger.level, logger.propagate, logging.raiseExceptions
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    yield
    logger.handlers[:], logger.propagate, logging.raiseExceptions = before[0], before[2], before[3]
    logger.setLevel(before[1])


class Written:
    """What has been written to standard error so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.text = ""

    def getvalue(self) -> str:
        self.text += self.capsys.readouterr().err
        return self.text


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Written:
    return Written(capsys)


LEVELS = (L_ALERT, L_CRIT, L_ERR, L_WARN, L_NOTICE, L_INFO, L_DBG)


@pytest.mark.parametrize(
    ("debug", "written"),
    [(-9, [-3]), (-3, [-3]), (-1, [-3, -2, -1]), (0, [-3, -2, -1]), (2, [-3, -2, -1, 1, 2]), (9, list(LEVELS))],
)
def test_lines_at_or_below_debug_are_written(stderr: Written, debug: int, written: list[int]) -> None:
    configure(debug, True, "LOG_DAEMON", "openserd")
    for level in LEVELS:
        log_line(level, f"<{level}>")
    assert [level for level in LEVELS if f"<{level}>" in stderr.getvalue()] == written


def test_a_line_on_standard_error_has_time_level_pid_and_text(stderr: Written) -> None:
    configure(2, True, "LOG_DAEMON", "openserd")
    log_line(L_NOTICE, "hello")
    month, day, clock, *rest = stderr.getvalue().split()
    assert (len(month), day.isdigit(), clock.count(":")) == (3, True, 2)
    assert rest == ["NOTICE", f"[{os.getpid()}]", "hello"]


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (L_ALERT, "<1>"),
        (L_CRIT, "<2>"),
        (L_ERR, "<3>"),
        (L_WARN, "<4>"),
        (L_NOTICE, "<5>"),
        (L_INFO, "<6>"),
        (L_DBG, "<7>"),
    ],
)
def test_under_a_service_manager_a_line_is_its_priority_and_text(
    stderr: Written, monkeypatch: pytest.MonkeyPatch, level: int, prefix: str
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    configure(9, True, "LOG_DAEMON", "openserd")
    log_line(level, "hello")
    assert stderr.getvalue() == f"{prefix}hello\n"


def test_configuring_again_replaces_the_handler_and_nothing_goes_to_the_root_logger(stderr: Written) -> None:
    configure(2, True, "LOG_DAEMON", "openserd")
    configure(2, True, "LOG_DAEMON", "openserd")
    log_line(L_NOTICE, "once")
    assert stderr.getvalue().count("once") == 1
    assert logger.propagate is False


def test_without_a_syslog_socket_the_log_goes_to_standard_error(
    stderr: Written, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(logs, "SYSLOG_SOCKET", tmp_path / "absent")
    configure(2, False, "LOG_DAEMON", "openserd")
    log_line(L_ERR, "no daemon")
    assert "no daemon" in stderr.getvalue()


@pytest.fixture
def syslog(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[socket.socket]:
    """A log daemon's socket."""
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(path))
        daemon.settimeout(5)
        monkeypatch.setattr(logs, "SYSLOG_SOCKET", path)
        yield daemon


@pytest.mark.parametrize(
    ("facility", "level", "priority"),
    [
        ("LOG_DAEMON", L_ERR, 3 << 3 | 3),
        ("LOG_LOCAL0", L_NOTICE, 16 << 3 | 5),
        ("LOG_LOCAL7", L_ALERT, 23 << 3 | 1),
        ("LOG_USER", L_CRIT, 1 << 3 | 2),
        ("LOG_AUTH", L_DBG, 4 << 3 | 7),
    ],
)
def test_syslog_gets_facility_severity_program_and_pid(
    syslog: socket.socket, facility: str, level: int, priority: int
) -> None:
    configure(9, False, facility, "sip1")
    log_line(level, "hello")
    line = syslog.recv(1000).decode()
    assert line.startswith(f"<{priority}>sip1[{os.getpid()}]: ")
    assert line.endswith(": hello"), "no NUL behind it"
    logger.handlers[0].close()


def test_a_log_daemon_that_goes_away_costs_no_line_and_raises_nothing(syslog: socket.socket, stderr: Written) -> None:
    configure(2, False, "LOG_DAEMON", "openserd")
    syslog.close()
    logs.SYSLOG_SOCKET.unlink()
    log_line(L_ERR, "still said")
    assert "still said" in stderr.getvalue()
    logger.handlers[0].close()


def test_a_log_daemon_that_does_not_read_delays_hardly_a_line(
    syslog: socket.socket, stderr: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(2, False, "LOG_DAEMON", "openserd")
    for number in range(2000):
        log_line(L_ERR, f"line {number};")
    said = stderr.getvalue()
    assert "line 0;" not in said, "the first lines found room"
    assert said.count(";") > 1000 and "line 1999;" in said
    handler = logger.handlers[0]
    assert isinstance(handler, SyslogHandler)
    assert handler.stuck_until > 0
    while b"line 0;" not in syslog.recv(1000):
        pass
    handler.stuck_until = 0.0
    syslog.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            syslog.recv(1000)
    log_line(L_ERR, "read again")
    assert syslog.recv(1000).endswith(b"read again")
    handler.close()


def test_an_unknown_facility_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError) as refused:
        SyslogHandler("LOG_PHONES", "openserd")
    assert "LOG_PHONES" in refused.value.message and "LOG_LOCAL7" in refused.value.expected


def test_a_traceback_stays_one_record_behind_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        record = logging.LogRecord("openserd", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    text = LineFormatter().format(record)
    assert text.startswith("<3>failed\nTraceback") and "RuntimeError: broken" in text
