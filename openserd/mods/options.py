"""options: the answer to an OPTIONS request that asks about this server (RFC 3261 section 11)."""

from typing import Protocol

from openserd.core.context import Core
from openserd.core.message import SipMsg
from openserd.core.module import FALSE, REQUEST, STOP, Fn, Module, param


class Replies(Protocol):
    """What module sl publishes, as far as it is used here."""

    def reply(self, msg: SipMsg, code: int, reason: bytes) -> bool:
        """Answers the request; False where that was not possible."""


class Options(Module):
    name = "options"
    requires = ("sl",)
    accept: str = param("*/*")  #: value of Accept
    accept_encoding: str = param("")  #: value of Accept-Encoding
    accept_language: str = param("en")  #: value of Accept-Language
    support: str = param("")  #: value of Supported
    functions = {"options_reply": Fn(routes=REQUEST)}
    replies: Replies
    headers: list[bytes]

    def on_init(self, core: Core) -> None:
        """Binds to sl."""
        self.replies = core.require("sl")
        self.headers = [
            b"Accept: %b\r\n" % self.accept.encode(),
            b"Accept-Encoding: %b\r\n" % self.accept_encoding.encode(),
            b"Accept-Language: %b\r\n" % self.accept_language.encode(),
            b"Supported: %b\r\n" % self.support.encode(),
        ]

    def options_reply(self, msg: SipMsg) -> int:
        """0 answered with 200 (the script ends), -1 no OPTIONS, for a user, or the answer could not be sent."""
        if msg.method != b"OPTIONS" or msg.uri.user:
            return FALSE
        msg.reply_headers += self.headers
        return STOP if self.replies.reply(msg, 200, b"OK") else FALSE
