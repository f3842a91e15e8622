"""The published object "tm": what other modules do with transactions. `hooks.py` says how they watch them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from openserd.core.message import SipMsg
from openserd.mods.tm.memory.hand import InHand
from openserd.mods.tm.memory.index import Identities
from openserd.mods.tm.memory.travel import pack_pairs, unpack_pairs
from openserd.mods.tm.surface.hooks import Watcher, Watchers
from openserd.mods.tm.surface.local import LocalRequest, LocalRequests
from openserd.mods.tm.surface.results import BranchResult, Results

if TYPE_CHECKING:
    from openserd.mods.tm.memory.record import ScriptRecord

__all__ = ["LocalRequest", "TransactionService"]

NO_DATA: Final = b""


class TransactionService:
    """What `core.require("tm")` gives."""

    def __init__(
        self,
        watchers: Watchers,
        local: LocalRequests,
        relay: Callable[[SipMsg], int],
        reply: Callable[[SipMsg, int, bytes], int],
        n_slots: int,
    ) -> None:
        self.watchers = watchers
        self.local = local
        self.requests = local.requests
        self.relay = relay  #: t_relay
        self.reply = reply  #: t_reply
        self.request_in = watchers.request_in  #: functions told of each request that is about to get a transaction
        self.n_slots = n_slots
        self.results = Results(self.requests)

    def add_watcher(self, name: str, watcher: Watcher) -> None:
        """Registers a watcher by name; in `on_init`."""
        self.watchers.add(name, watcher)
        store = self.requests.store
        if watcher.wants_acks and store.index is None:
            store.index = Identities(self.requests.core, store, self.n_slots)

    def watch(self, msg: SipMsg, name: str, data: bytes = NO_DATA) -> None:
        """Has the transaction of `msg`, or the one that it will get, watched by `name`, with `data` to go along; the
        last data count."""
        key = name.encode()
        armed = self.requests.armed_by(msg)
        if armed is not None:
            armed.watchers = [pair for pair in armed.watchers if pair[0] != key] + [(key, data)]
        if isinstance(msg.extension, InHand):
            self.requests.change_script(msg, msg.extension, lambda script: add_pair(script, key, data))

    def watched(self, msg: SipMsg, name: str) -> bytes | None:
        """The data that `name` has left with the transaction of `msg`, None where it does not watch it."""
        armed = self.requests.armed_by(msg) if msg.extension is not None else None
        if armed is not None:
            return dict(armed.watchers).get(name.encode())
        found = self.requests.current(msg)
        t = None if found is None else self.requests.look(found)
        if t is None or t.script is None:
            return None
        return dict(unpack_pairs(t.script.watchers)).get(name.encode())

    def failed_branches(self, msg: SipMsg) -> list[BranchResult]:
        """In a failure route: the branches of the latest round, all of them ended."""
        return self.results.latest(msg)

    def picked_branch(self, msg: SipMsg) -> BranchResult | None:
        """In a failure route: the branch whose reply was chosen."""
        return self.results.chosen(msg)

    def send(self, request: LocalRequest, watcher: str = "", data: bytes = NO_DATA) -> InHand:
        """Sends a request made here; its final reply is told to `watcher` (`answered`), in whichever process it comes.

        Raises SipError where it cannot be sent to, ResourceError where memory is exhausted.
        """
        return self.local.send(request, watcher, data)


def add_pair(script: "ScriptRecord", name: bytes, data: bytes) -> None:
    """Adds a watcher to what travels with a transaction."""
    pairs = [pair for pair in unpack_pairs(script.watchers) if pair[0] != name]
    script.watchers = pack_pairs([*pairs, (name, data)])
