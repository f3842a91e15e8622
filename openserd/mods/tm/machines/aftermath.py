"""What is done once the lock of a transaction has been released: send, tell those who watch, run the failure route."""

from collections.abc import Callable

from openserd.core.message import SipMsg
from openserd.mods.tm.memory.store import Transaction, TransactionStore
from openserd.mods.tm.memory.travel import unpack_pairs
from openserd.mods.tm.surface.hooks import ACK_DUE, Event, Watchers


class Aftermath:
    """Does what a step has left to do; `run_failure`, `unsendable`, `acknowledge` are set once their owners exist."""

    def __init__(self, store: TransactionStore, watchers: Watchers) -> None:
        self.listeners = store.core.listeners
        self.watchers = watchers
        self.run_failure: Callable[[Transaction], None] = lambda t: None
        self.unsendable: Callable[[Transaction, list[int]], None] = lambda t, numbers: None
        self.acknowledge: Callable[[SipMsg, SipMsg], None] = lambda request, reply: None

    def perform(self, t: Transaction) -> list[int]:
        """Does it; the indexes of datagrams that the system refused to send."""
        listeners = self.listeners
        refused: list[int] = []
        for index, (listener, address, data) in enumerate(t.outgoing):
            if not listeners[listener].send(data, address):
                refused.append(index)
        if t.events is not None or t.failed >= 0 or t.attempts is not None:
            self.follow(t, refused)
        return refused

    def follow(self, t: Transaction, refused: list[int]) -> None:
        """Watchers, next addresses that the system refuses to send to, and failure route."""
        if t.events is not None:
            self.tell(t)
        if t.attempts is not None:
            numbers = [number for index, number in t.attempts if index in refused]
            if numbers:
                self.unsendable(t, numbers)
        if t.failed >= 0:
            self.run_failure(t)

    def tell(self, t: Transaction) -> None:
        """Tells the watchers of a transaction what has happened."""
        assert t.script is not None and t.events is not None, "nothing to tell"
        watching = unpack_pairs(t.script.watchers)
        asked_for = t.events[0][1].ruri
        for kind, request, reply, code, datagram, uri in t.events:
            request.set_ruri(uri or asked_for)
            if kind == ACK_DUE:
                if reply is not None:
                    self.acknowledge(request, reply)
                continue
            for name, data in watching:
                self.watchers.tell(kind, name, Event(kind, request, data, code, reply, datagram))
