"""What came of one message, or of time that has passed: what was sent, logged and left behind in variables."""

from collections.abc import Callable

from openserd.core.message import SipMsg
from openserd.testing.sent import Sent, shown


class LogLine(str):
    """One line of the log: text that knows its `level`, such as "ERROR" or "NOTICE"."""

    level: str

    def __new__(cls, text: str, level: str) -> "LogLine":
        """A line of that level."""
        line = super().__new__(cls, text)
        line.level = level
        return line


class Result:
    """What the server did with one message.

    `received` is the datagram that went in, b"" where time alone has passed, and `message` the server's own view of it,
    None where it could not be read.
    """

    def __init__(self, received: bytes = b"", source: str = "") -> None:
        self.received = received
        self.source = source
        self.sent: list[Sent] = []
        self.log: list[LogLine] = []
        self.message: SipMsg | None = None
        self.evaluate: Callable[[str, SipMsg], bytes | int | None] = lambda text, msg: None

    @property
    def replies(self) -> list[Sent]:
        """The replies that were sent, in order."""
        return [one for one in self.sent if not one.is_request]

    @property
    def forwarded(self) -> list[Sent]:
        """The requests that were sent, in order."""
        return [one for one in self.sent if one.is_request]

    @property
    def reply(self) -> Sent:
        """The last reply that was sent, a final one where there is any. AssertionError where there is none."""
        replies = self.replies
        assert replies, f"no reply was sent: {self}"
        return next((one for one in reversed(replies) if one.status >= 200), replies[-1])

    @property
    def request(self) -> Sent:
        """The one request that was sent. AssertionError where there is none, or more than one."""
        assert len(self.forwarded) == 1, f"not one request was sent: {self}"
        return self.forwarded[0]

    @property
    def dropped(self) -> bool:
        """Whether nothing at all was sent."""
        return not self.sent

    @property
    def branches(self) -> list[str]:
        """The destination set as the script has left it: the request URI and the additional branches."""
        msg = self.handled()
        return [shown(msg.ruri), *(shown(branch.uri) for branch in msg.branches)]

    def variable(self, text: str) -> str | int | None:
        """A pseudo-variable such as "$avp(s:limit)" after the script has run, None where it is absent."""
        value = self.evaluate(text, self.handled())
        return shown(value) if isinstance(value, bytes) else value

    def handled(self) -> SipMsg:
        """The message that the script has seen. AssertionError where it has seen none."""
        assert self.message is not None, f"the script has seen no message: {self}"
        return self.message

    def __repr__(self) -> str:
        first = shown(self.received.partition(b"\r\n")[0]) or "time passed"
        return f"<{first}: {', '.join(map(repr, self.sent)) or 'nothing sent'}>"
