"""Where log lines go: to syslog, or to standard error with `log_stderror`.

Standard error carries journald's `<N>` priority prefix when a service manager reads it.  A log that cannot be written
never stops a message: the line goes to standard error instead, or nowhere.
"""

import logging
import logging.handlers
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

from openserd.core.log import ALERT, NOTICE, logger, set_debug
from openserd.errors import ConfigError

SYSLOG_SOCKET: Final = Path("/dev/log")
SEND_SECONDS: Final = 0.05
PAUSE_SECONDS: Final = 1.0
PRIORITIES: Final = {
    ALERT: 1,
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    NOTICE: 5,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
SYSLOG_NAMES: Final = {
    "ALERT": "alert",
    "CRITICAL": "critical",
    "ERROR": "error",
    "WARNING": "warning",
    "NOTICE": "notice",
    "INFO": "info",
    "DEBUG": "debug",
}


class SyslogHandler(logging.handlers.SysLogHandler):
    """Syslog with OpenSER's levels; the tag names the program and the process.

    A log daemon that does not read costs a line SEND_SECONDS at most; then it is left alone for PAUSE_SECONDS.
    """

    append_nul = False
    socket: Any  #: the base class's, made by the method below

    def __init__(self, facility: str, name: str) -> None:
        number = self.facility_names.get(facility.removeprefix("LOG_").lower())
        if number is None:
            raise ConfigError(
                f"unknown log_facility '{facility}'",
                expected="LOG_DAEMON, LOG_LOCAL0 to LOG_LOCAL7, LOG_USER, LOG_AUTH ...",
            )
        self.stuck_until = 0.0
        super().__init__(address=str(SYSLOG_SOCKET), facility=number)
        self.name_of_program = name

    def _connect_unixsocket(self, address: str) -> None:
        """Connects, also again after an error; sending does not wait for long."""
        super()._connect_unixsocket(address)  # type: ignore[misc]
        self.socket.settimeout(SEND_SECONDS)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line, with the pid of the process that speaks."""
        if time.monotonic() < self.stuck_until:
            self.handleError(record)
            return
        self.ident = f"{self.name_of_program}[{os.getpid()}]: "
        super().emit(record)

    def mapPriority(self, levelName: str) -> str:
        """The syslog priority for one of our levels."""
        return SYSLOG_NAMES.get(levelName, "warning")

    def handleError(self, record: logging.LogRecord) -> None:
        """The log daemon is away or stuck: say it on standard error."""
        if isinstance(sys.exc_info()[1], TimeoutError):
            self.stuck_until = time.monotonic() + PAUSE_SECONDS
        print(self.format(record), file=sys.stderr)


class LineFormatter(logging.Formatter):
    """`time level[pid] text`, or `<N>text` for journald."""

    def __init__(self) -> None:
        self.journald = "JOURNAL_STREAM" in os.environ
        super().__init__(
            "%(message)s" if self.journald else "%(asctime)s %(levelname)s [%(process)d] %(message)s", "%b %d %H:%M:%S"
        )

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        text = super().format(record)
        return f"<{PRIORITIES.get(record.levelno, 4)}>{text}" if self.journald else text


def configure(debug: int, to_stderr: bool, facility: str, name: str) -> None:
    """Sends the server's log where the configuration says. Raises ConfigError for an unknown facility."""
    logging.raiseExceptions = False
    handler: logging.Handler
    if to_stderr or not SYSLOG_SOCKET.exists():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(LineFormatter())
    else:
        handler = SyslogHandler(facility, name)
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    set_debug(debug)
