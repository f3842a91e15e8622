"""Listeners by the text with which they are kept in bindings and headers: `udp:192.0.2.1:5060`."""

import re
from typing import Final

from openserd.core.network.addresses import Listeners
from openserd.core.network.transport import Listener

_SOCKET: Final = re.compile(r"(?:(udp|tcp|tls|ws|wss|sctp):)?(\[[^\]]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", re.IGNORECASE)


class Sockets:
    """Both directions, worked out once for each listener."""

    __slots__ = ("by_text", "listening", "texts")

    def __init__(self, listening: Listeners) -> None:
        self.listening = listening
        self.texts: dict[Listener, bytes] = {}
        self.by_text: dict[bytes, Listener] = {}

    def text(self, listener: Listener) -> bytes:
        """The text of a listener."""
        known = self.texts.get(listener)
        if known is None:
            known = self.texts[listener] = str(listener).encode()
        return known

    def find(self, text: bytes) -> Listener | None:
        """The listener that a binding was made through; None when there is none (any more)."""
        found = self.by_text.get(text)
        if found is None and text:
            self.by_text = {self.text(listener): listener for listener in self.listening.all}
            found = self.by_text.get(text)
        return found

    def read(self, text: bytes) -> Listener | None:
        """The listener that a header names as `[proto:]host[:port]`; None when none is this server's."""
        match = _SOCKET.fullmatch(text.decode("latin-1"))
        if match is None:
            return None
        proto, host, port = match.groups()
        return self.listening.find(proto.lower() if proto else None, host.strip("[]"), int(port or 0))
