"""OpenSER's log levels and the one logger that everything writes to.

A line is written when its level is at or below `debug`: alert -3, crit -2, err -1, warn 1, notice 2, info 3, dbg 4.
"""

import logging
from typing import Final

L_ALERT: Final = -3
L_CRIT: Final = -2
L_ERR: Final = -1
L_WARN: Final = 1
L_NOTICE: Final = 2
L_INFO: Final = 3
L_DBG: Final = 4

LEVEL_NAMES: Final = {
    "L_ALERT": L_ALERT,
    "L_CRIT": L_CRIT,
    "L_ERR": L_ERR,
    "L_WARN": L_WARN,
    "L_NOTICE": L_NOTICE,
    "L_INFO": L_INFO,
    "L_DBG": L_DBG,
}

NOTICE: Final = 25  #: Python's logging knows no notice
ALERT: Final = 60

logger: Final = logging.getLogger("openserd")

_PYTHON_LEVELS: Final = {
    L_ALERT: ALERT,
    L_CRIT: logging.CRITICAL,
    L_ERR: logging.ERROR,
    L_WARN: logging.WARNING,
    L_NOTICE: NOTICE,
    L_INFO: logging.INFO,
    L_DBG: logging.DEBUG,
}

logging.addLevelName(NOTICE, "NOTICE")
logging.addLevelName(ALERT, "ALERT")


def python_level(level: int) -> int:
    """The level of Python's logging for one of OpenSER's, which may lie beyond its scale (debug=9 is debug=4)."""
    bounded = min(max(level, L_ALERT), L_DBG)
    return _PYTHON_LEVELS[bounded if bounded else L_ERR]


def set_debug(level: int) -> None:
    """Sets the threshold of this process (OpenSER: `debug`, setdebug)."""
    logger.setLevel(python_level(level))


def is_active(level: int) -> bool:
    """Whether a line of that level would be written."""
    return logger.isEnabledFor(python_level(level))


def log_line(level: int, text: str) -> None:
    """Writes one line."""
    logger.log(python_level(level), "%s", text)
