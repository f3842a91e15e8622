"""The location store: one shared table that holds the bindings of every AoR of every domain.

OpenSER calls the tables a script names, as in `save("location")`, domains.  All of them share one hash table
here:

    key       name of the domain, a zero byte, AoR
    payload   u32 when the first binding expires, 0 never; then the bindings, each a packed `Binding`

An AoR is changed by one read-modify-write under its stripe lock, and the new payload is published by one
store: its bindings change together or not at all, even if the process is killed.  Statistics are counted
after the lock.
"""

import logging
import struct
from collections.abc import Callable, Iterator
from typing import Final

from openserd.core.management.statistics import Statistic, Statistics
from openserd.errors import ResourceError
from openserd.mods.usrloc.binding import Binding, Rules, next_expiry
from openserd.shm.table import Table, key_hash

log = logging.getLogger("openserd")

INSERT: Final = 1
UPDATE: Final = 2
DELETE: Final = 4
EXPIRE: Final = 8
ANY_EVENT: Final = INSERT | UPDATE | DELETE | EXPIRE

HEAD: Final = struct.Struct("<I")
HEAD_BYTES: Final = HEAD.size

_unpack: Final = Binding.unpack_many

#: Makes an AoR's new bindings from its valid ones and the time; is quick, and raises to leave all as it is.
Change = Callable[[list[Binding], int], list[Binding]]
#: (event, domain, aor, binding), called in the process that made the change, after it can be seen by all.
Callback = Callable[[int, bytes, bytes, Binding], None]
#: When something has to be done about an AoR next, 0 never.
Due = Callable[[list[Binding]], int]


class Domain:
    """One table of the script: its name, the beginning of its keys, its statistics."""

    __slots__ = ("contacts", "expired", "name", "prefix", "users")

    def __init__(self, name: bytes) -> None:
        text = name.decode("utf-8", "replace")
        self.name = name
        self.prefix = name + b"\0"
        self.users = Statistic("usrloc", f"{text}-users", resettable=False)
        self.contacts = Statistic("usrloc", f"{text}-contacts", resettable=False)
        self.expired = Statistic("usrloc", f"{text}-expires")

    def count(self, n_before: int, n_after: int) -> None:
        """Counts that the bindings of one AoR have become more or fewer."""
        self.contacts.bump(n_after - n_before)
        if not n_before or not n_after:
            self.users.bump(1 if n_after else -1)


class Location:
    """What usrloc publishes: the operations of OpenSER's `ul_*` interface on the shared table.

    `use_domain` says whether an AoR is user@host or user alone, `nat_bflag` is the mask of the branch flag
    that marks contacts behind NAT (0 none); modules that save contacts read both.  `binding` makes a binding,
    `rules` change a list of them.
    """

    __slots__ = (
        "binding", "callbacks", "domains", "n_buckets", "nat_bflag", "rules", "statistics", "table", "use_domain",
    )  # fmt: skip

    def __init__(
        self,
        table: Table,
        n_buckets: int,
        rules: Rules,
        statistics: Statistics,
        *,
        use_domain: bool = False,
        nat_bflag: int = 0,
    ) -> None:
        self.binding = Binding
        self.table = table
        self.n_buckets = n_buckets
        self.rules = rules
        self.statistics = statistics
        self.use_domain = use_domain
        self.nat_bflag = nat_bflag
        self.domains: dict[bytes, Domain] = {}
        self.callbacks: list[tuple[int, Callback]] = []

    def register_domain(self, name: bytes) -> None:
        """Makes a table known, with its statistics; before the fork (OpenSER: ul_register_udomain)."""
        if name in self.domains:
            return
        domain = self.domains[name] = Domain(name)
        for statistic in (domain.users, domain.contacts, domain.expired):
            self.statistics.add(statistic)

    def on_change(self, events: int, callback: Callback) -> None:
        """Has `callback` called for these events; before the fork (OpenSER: ul_register_ulcb)."""
        self.callbacks.append((events, callback))

    def n_users(self) -> int:
        """How many AoRs have bindings, over all tables (OpenSER: ul_get_num_users)."""
        return sum(domain.users.value() for domain in self.domains.values())

    def get(self, domain: bytes, aor: bytes) -> list[Binding]:
        """The bindings of an AoR in their order, with those that have expired and are not removed yet."""
        table = self.table
        key = self.domains[domain].prefix + aor
        hash = key_hash(key)
        table.stripes.acquire(hash)
        try:
            slot = table.find(key, hash)
            payload = table.payload(slot) if slot else b""
        finally:
            table.stripes.release(hash)
        return _unpack(payload, HEAD_BYTES) if payload else []

    def update(self, domain: bytes, aor: bytes, now: int, change: Change) -> list[Binding]:
        """Gives an AoR the bindings that `change` makes of its valid ones, in one step; returns them.

        Expired ones are gone with it.  ResourceError when there is no memory or slot; nothing has changed
        then, nor when `change` raises.
        """
        table = self.table
        known = self.domains[domain]
        key = known.prefix + aor
        hash = key_hash(key)
        table.stripes.acquire(hash)
        try:
            slot = table.find(key, hash)
            stored = _unpack(table.payload(slot), HEAD_BYTES) if slot else []
            valid = []
            for binding in stored:
                if binding.expires > now or not binding.expires:
                    valid.append(binding)
            n_expired = len(stored) - len(valid)
            bindings = change(valid, now)
            self._store(key, hash, slot, stored, bindings)
        finally:
            table.stripes.release(hash)
        if n_expired:
            known.expired.bump(n_expired)
        if len(bindings) != len(stored):
            known.count(len(stored), len(bindings))
        if self.callbacks:
            self._tell(domain, aor, now, stored, bindings)
        return bindings

    def delete(self, domain: bytes, aor: bytes, now: int) -> None:
        """Removes an AoR with all its bindings (OpenSER: ul_delete_urecord)."""
        self.update(domain, aor, now, _none)

    def expire(self, now: int) -> None:
        """Removes every binding that has expired; each AoR is locked for itself and only as long as it takes.

        An AoR of which others stay needs memory for its new payload: without any it waits for the next sweep.
        """
        for slot in self.table.slots():
            found = self._read(slot)
            if found is None or not 0 < HEAD.unpack_from(found[1])[0] <= now:
                continue
            name, _, aor = found[0].partition(b"\0")
            try:
                self.update(name, aor, now, same)
            except ResourceError as error:
                log.error("usrloc: expired bindings of %r stay for now: %s", aor, error)

    def flush(self, now: int) -> bool:
        """Writes what the database does not have yet; False when not all could be (OpenSER: synchronize_all_udomains).

        Nothing to do without one.
        """
        return True

    def begin(self, now: int) -> None:
        """Reads what the database has; before the fork. Raises OpenserError where that can never be."""

    def catch_up(self, now: int) -> None:
        """Does as soon as the database is there what could not be done when it was time."""

    def finish(self, now: int) -> None:
        """The last that is done to the store: by the master, when no other process is left."""

    def records(self) -> Iterator[tuple[bytes, bytes, list[Binding]]]:
        """(domain, aor, bindings) of all AoRs, each as it was when its turn came."""
        for slot in self.table.slots():
            found = self._read(slot)
            if found is not None:
                name, _, aor = found[0].partition(b"\0")
                yield name, aor, _unpack(found[1], HEAD_BYTES)

    def contacts(self, cflags: int = 0) -> Iterator[Binding]:
        """Every binding that has all of these branch flags (OpenSER: ul_get_all_ucontacts)."""
        for _, _, bindings in self.records():
            for binding in bindings:
                if binding.cflags & cflags == cflags:
                    yield binding

    def _read(self, slot: int) -> tuple[bytes, bytes] | None:
        """Key and payload of the record in `slot`; None when it has gone meanwhile."""
        table = self.table
        generation = table.generation(slot)
        hash = table.hash_of(slot)
        table.stripes.acquire(hash)
        try:
            if table.hash_of(slot) != hash or not table.is_live(slot, generation):
                return None
            return table.key(slot), table.payload(slot)
        finally:
            table.stripes.release(hash)

    def _store(
        self, key: bytes, hash: int, slot: int, stored: list[Binding], bindings: list[Binding], due: Due = next_expiry
    ) -> None:
        """Publishes the new bindings of a key; its stripe lock is held."""
        if not bindings:
            if slot:
                self.table.remove(slot)
            return
        if bindings == stored:
            return
        packed = bindings[0].pack() if len(bindings) == 1 else Binding.pack_many(bindings)
        payload = HEAD.pack(due(bindings)) + packed
        if slot:
            self.table.replace(slot, payload)
        else:
            self.table.insert(key, hash, payload)

    def _tell(self, domain: bytes, aor: bytes, now: int, stored: list[Binding], bindings: list[Binding]) -> None:
        """Calls the callbacks for what differs between two lists of one AoR's bindings."""
        gone = [one for one in stored if not any(one is other for other in bindings)]
        for binding in bindings:
            if any(binding is other for other in stored):
                continue
            before = self.rules.find(gone, binding.uri, binding.call_id)
            if before >= 0 and gone[before].is_valid(now):
                del gone[before]
                self._call(UPDATE, domain, aor, binding)
            else:
                self._call(INSERT, domain, aor, binding)
        for binding in gone:
            self._call(DELETE if binding.is_valid(now) else EXPIRE, domain, aor, binding)

    def _call(self, event: int, domain: bytes, aor: bytes, binding: Binding) -> None:
        for events, callback in self.callbacks:
            if events & event:
                callback(event, domain, aor, binding)


def same(bindings: list[Binding], now: int) -> list[Binding]:
    """The change that changes nothing but what has expired."""
    return bindings


def _none(bindings: list[Binding], now: int) -> list[Binding]:
    return []
