"""xlog: log lines with pseudo-variables in them. What is not going to be logged is not formatted either."""

import re
from typing import Final

from openserd.core.arguments import Dynamic
from openserd.core.log import L_ALERT, L_CRIT, L_DBG, L_ERR, L_INFO, L_NOTICE, L_WARN, is_active, log_line
from openserd.core.message import SipMsg
from openserd.core.module import (
    BRANCH,
    ERROR,
    FAILURE,
    OK,
    ONREPLY,
    REQUEST,
    Context,
    Fixup,
    Fn,
    Module,
    param,
    positive,
)
from openserd.errors import ConfigError

EVERYWHERE: Final = REQUEST | FAILURE | ONREPLY | BRANCH | ERROR

#: The third letter decides, as in OpenSER: L_ERR, L_ERROR and L_E are one level.
_LEVELS: Final = {"A": L_ALERT, "C": L_CRIT, "E": L_ERR, "W": L_WARN, "N": L_NOTICE, "I": L_INFO, "D": L_DBG}
_COLOUR: Final = re.compile(r"(?<!\$)((?:\$\$)*)\$C[xXsSrRgGyYbBpPcCwW][xsrgybpcw]")


class LogText:
    """The text of a log line: constant, or evaluated when it is logged.

    `level` is what the text means where it stands in the place of a level, None where it is none.
    """

    __slots__ = ("level", "text")

    def __init__(self, text: bytes | Dynamic, level: int | None) -> None:
        self.text = text
        self.level = level

    def evaluate(self, msg: SipMsg) -> bytes:
        """The text for `msg`."""
        value = self.text if isinstance(self.text, bytes) else self.text(msg)
        assert isinstance(value, bytes), "formatted text is bytes"
        return value


class Xlog(Module):
    name = "xlog"
    buf_size: int = param(4096, check=positive)  #: longest line, in bytes
    force_color: int = param(0)  #: whether colours are kept when the log goes to syslog
    functions = {
        "xlog": Fn(
            Fixup("level", "fix_first", expects="text, or a level such as L_INFO and text"),
            Fixup("text", "fix_second", optional=True),
            routes=EVERYWHERE,
        ),
        "xdbg": Fn(Fixup("text", "fix_first"), routes=EVERYWHERE),
    }
    first: LogText

    def fix_first(self, text: str, context: Context) -> object:
        """The text, which is a level where another text follows."""
        self.first = self.log_text(text, context)
        return self.first

    def fix_second(self, text: str, context: Context) -> object:
        """The text after a level. Arguments are compiled in order: what came before can be checked here."""
        if self.first.level is None:
            raise ConfigError(
                "the first of two arguments is a log level",
                expected="L_ALERT, L_CRIT, L_ERR, L_WARN, L_NOTICE, L_INFO or L_DBG",
            )
        return self.log_text(text, context)

    def log_text(self, text: str, context: Context) -> LogText:
        """The text, compiled; without colours where they would go to syslog."""
        shown = text if self.force_color or context.core.params.log_stderror else _COLOUR.sub(r"\1", text)
        return LogText(context.format(shown), _LEVELS.get(text[2:3]))

    def xlog(self, msg: SipMsg, first: LogText, second: LogText | None = None) -> int:
        """1 in any case: one text at L_ERR, or a level and a text."""
        if second is None:
            self.write(msg, L_ERR, first)
        else:
            self.write(msg, L_ERR if first.level is None else first.level, second)
        return OK

    def xdbg(self, msg: SipMsg, text: LogText) -> int:
        """1 in any case: one text at L_DBG."""
        self.write(msg, L_DBG, text)
        return OK

    def write(self, msg: SipMsg, level: int, text: LogText) -> None:
        """Formats and logs where that level is logged at all, without the line feed at the end."""
        if is_active(level):
            line = text.evaluate(msg)[: self.buf_size].rstrip(b"\r\n")
            log_line(level, line.decode("utf-8", "backslashreplace"))
