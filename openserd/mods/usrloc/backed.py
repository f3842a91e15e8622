"""The location store with a database behind it: db_mode 1, write-through, and 2, write-back.

Memory decides; the database is told.  What it is still to be told is part of each AoR's record in shared memory, so
that it outlives whoever was to write it:

    NEW             not written yet
    SYNC            written
    DIRTY           changed since, or on its way: the row may be there or not
    REFUSED         as DIRTY, but the database does not take it: tried again when it changes or by `flush`
    expires DELETED gone, and its row is still to be deleted; nobody else sees such a binding

The first number of a record is 1 while anything in it is to be written.

Nothing is asked of the database while a lock is held.  Whoever has written compares with what is there now (`confirm`)
and writes again what another process has changed meanwhile, so that the last word of the database is that of memory.
A NEW binding becomes DIRTY before it is written: should its writer be killed, the next one finds out about the row.
A write that was given up may be executed later than others: while that can be, nothing becomes SYNC (see `doubt.py`).
"""

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from openserd.core.database import (
    Database,
    DatabaseBusy,
    DatabaseError,
    DatabaseRefused,
    DatabaseUnavailable,
    Delete,
    Insert,
    Replace,
)
from openserd.core.database.breaker import Breaker
from openserd.core.management.statistics import Statistics
from openserd.errors import ResourceError
from openserd.mods.usrloc.binding import DELETED, DIRTY, MEMORY_ONLY, NEW, REFUSED, SYNC, Binding, Rules, next_expiry
from openserd.mods.usrloc.doubt import Doubt
from openserd.mods.usrloc.location import HEAD, Change, Domain, Location, same
from openserd.mods.usrloc.preload import Loader
from openserd.mods.usrloc.rows import Rows
from openserd.shm.locks import Lock
from openserd.shm.memory import SharedMemory
from openserd.shm.table import Table

log = logging.getLogger("openserd")

DUE_NOW: Final = 1
BATCH: Final = 500  #: bindings written in one transaction
ATTEMPTS: Final = 3  #: how often a change is written when others change the same meanwhile
TURN_SECONDS: Final = 10.0  #: how long `flush` waits for another process that flushes
LONGEST_MS: Final = 2000

RowChange = Insert | Replace | Delete


class Work(NamedTuple):
    """What the database is to be told of one AoR; `new` are the keys of those that it has never been told of."""

    domain: bytes
    aor: bytes
    pending: list[Binding]
    new: Collection[object] = ()


class Backed(Location):
    """Bindings in shared memory and in the tables of a database.

    `writes_through` writes each change before `update` returns; otherwise `flush` and `expire` do.  `breaker` keeps
    changes from waiting for a database that does not take them.
    """

    __slots__ = ("breaker", "database", "doubt", "loader", "rows", "turn", "writes_through")

    def __init__(
        self,
        memory: SharedMemory,
        table: Table,
        n_buckets: int,
        rules: Rules,
        statistics: Statistics,
        database: Database,
        rows: Rows,
        breaker: Breaker,
        *,
        writes_through: bool,
        fetch_rows: int = 2000,
        use_domain: bool = False,
        nat_bflag: int = 0,
    ) -> None:
        super().__init__(table, n_buckets, rules, statistics, use_domain=use_domain, nat_bflag=nat_bflag)
        self.database = database
        self.rows = rows
        self.breaker = breaker
        self.doubt = Doubt(memory.words(1))
        self.writes_through = writes_through
        self.turn: Lock = memory.lock("usrloc flush")
        self.loader = Loader(self, database, rows, memory.words(1), fetch_rows)

    # -- the store ------------------------------------------------------------------------------------------

    def update(self, domain: bytes, aor: bytes, now: int, change: Change) -> list[Binding]:
        """As for memory alone; with write-through, the database has been told or is told by the next `expire`."""
        bindings, pending = self.change(domain, aor, now, change)
        if pending and self.writes_through:
            self.write_through(domain, aor, pending)
        return bindings

    def change(self, domain: bytes, aor: bytes, now: int, change: Change) -> tuple[list[Binding], list[Binding]]:
        """Changes memory; the AoR's bindings and, where anything has changed, what the database is to be told."""
        table = self.table
        known = self.domains[domain]
        key = known.prefix + aor
        hash = table.hash(key)
        table.stripes.acquire(hash)
        try:
            slot = table.find(key, hash)
            stored = Binding.unpack_many(table.payload(slot), HEAD.size) if slot else []
            live = [binding for binding in stored if binding.expires != DELETED]
            valid = [binding for binding in live if binding.is_valid(now)]
            n_expired = len(live) - len(valid)
            bindings = change(valid, now)
            record = self.record(stored, bindings)
            self._store(key, hash, slot, stored, record, due)
        finally:
            table.stripes.release(hash)
        if n_expired:
            known.expired.bump(n_expired)
        if len(bindings) != len(live):
            known.count(len(live), len(bindings))
        if self.callbacks:
            self._tell(domain, aor, now, live, bindings)
        has_changed = len(record) != len(stored) or any(map(_is_not, record, stored))
        return bindings, [one for one in record if one.is_pending] if has_changed else []

    def record(self, stored: list[Binding], bindings: list[Binding]) -> list[Binding]:
        """The new bindings of an AoR, each with its state, then those to be deleted from the database."""
        before = {id(binding) for binding in stored}
        stay = {id(binding) for binding in bindings}
        key = self.rows.key
        gone = {key(one): one for one in stored if id(one) not in stay and one.state != NEW}
        for binding in bindings:
            if id(binding) in before or binding.flags & MEMORY_ONLY:
                continue
            is_known = gone.pop(key(binding), None) is not None
            binding.state = DIRTY if is_known or self.writes_through else NEW
        return bindings + [one if one.expires == DELETED else one.deleted() for one in gone.values()]

    # -- one AoR and the database ---------------------------------------------------------------------------

    def write_through(self, domain: bytes, aor: bytes, pending: list[Binding]) -> None:
        """Tells the database what has changed of an AoR, if it can be told now."""
        work = Work(domain, aor, pending)
        for _ in range(ATTEMPTS):
            refused = self.tell_database([work], patient=False)
            if refused is None:
                return
            pending = self.confirm(work, refused)
            if not pending:
                return
            work = Work(domain, aor, pending)

    def tell_database(self, works: Sequence[Work], *, patient: bool = True) -> set[int] | None:
        """Writes everything; the `id` of each binding that the database refuses, None where it took nothing.

        Not `patient` when a message waits for it (`Database.transaction`).
        """
        if not self.breaker.may_try(now_ms(), LONGEST_MS):
            return None
        writes = list(self.writes_of(works))
        try:
            refused = self.write(writes, patient)
        except DatabaseUnavailable as error:
            if self.breaker.failed(now_ms()):
                log.error("usrloc: changes wait until the database takes them: %s", error)
            if not isinstance(error, DatabaseBusy):
                self.doubt.begin()
                for work in works:
                    self.confirm(work, ())
            return None
        self.doubt.answered(now_ms() // 1000)
        if self.breaker.succeeded():
            log.warning("usrloc: the database takes changes again")
        return refused

    def write(self, writes: list[tuple[Binding, RowChange]], patient: bool) -> set[int]:
        """Makes changes, several in one transaction; which were refused. Raises DatabaseUnavailable."""
        if len(writes) > 1:
            owners = {id(write): binding for binding, write in writes}
            refused = self.database.write([write for _, write in writes], patient=patient)
            for write, reason in refused:
                log.error("usrloc: contact %r is not written: %s", owners[id(write)].uri, reason)
            return {id(owners[id(write)]) for write, _ in refused}
        for binding, write in writes:
            try:
                self.write_one(write)
            except DatabaseRefused as reason:
                log.error("usrloc: contact %r is not written: %s", binding.uri, reason)
                return {id(binding)}
        return set()

    def write_one(self, write: RowChange) -> None:
        """Makes one change, without the cost of a transaction. Raises DatabaseError."""
        if isinstance(write, Replace):
            self.database.replace(write.table, write.row, write.keys)
        elif isinstance(write, Delete):
            self.database.delete(write.table, write.where)
        elif isinstance(write, Insert):
            self.database.insert(write.table, write.row)

    def writes_of(self, works: Sequence[Work]) -> Iterator[tuple[Binding, RowChange]]:
        """The changes that bring the database up to date, rows that are certainly new together at the end."""
        fresh: list[tuple[Binding, RowChange]] = []
        for domain, aor, pending, new in works:
            table = domain.decode()
            for binding in pending:
                if binding.expires == DELETED:
                    yield binding, self.rows.delete(table, aor, binding)
                elif self.rows.key(binding) in new:
                    fresh.append((binding, self.rows.insert(table, aor, binding)))
                else:
                    yield binding, self.rows.replace(table, aor, binding)
        yield from fresh

    def confirm(self, work: Work, refused: Collection[int]) -> list[Binding]:
        """Notes in memory what the database has been told, or may have been while there is doubt; what it has to
        be told again, because others have changed it meanwhile."""
        table = self.table
        key = self.domains[work.domain].prefix + work.aor
        hash = table.hash(key)
        table.stripes.acquire(hash)
        try:
            slot = table.find(key, hash)
            stored = Binding.unpack_many(table.payload(slot), HEAD.size) if slot else []
            is_certain = not self.doubt.holds(now_ms() // 1000)
            record, again = self.confirmed(stored, work.pending, refused, is_certain=is_certain)
            if again or is_certain:
                self._store(key, hash, slot, [], record, due)
        except ResourceError as error:
            log.error("usrloc: %r is written again later: %s", work.aor, error)
            return []
        finally:
            table.stripes.release(hash)
        return again

    def confirmed(
        self, stored: list[Binding], done: Sequence[Binding], refused: Collection[int], *, is_certain: bool = True
    ) -> tuple[list[Binding], list[Binding]]:
        """A record in which what was certainly written is marked, and what has to be written again."""
        key = self.rows.key
        places = {key(one): place for place, one in enumerate(stored) if not one.flags & MEMORY_ONLY}
        again: list[Binding] = []
        dropped: set[int] = set()
        for binding in done:
            place = places.get(key(binding))
            if place is None:
                if binding.expires != DELETED and id(binding) not in refused:
                    again.append(binding.deleted())
                continue
            current = stored[place]
            if not current.is_same(binding):
                current.state = DIRTY
                again.append(current)
            elif not is_certain:
                continue
            elif binding.expires == DELETED:
                dropped.add(place)
            else:
                current.state = REFUSED if id(binding) in refused else SYNC
        record = [one for place, one in enumerate(stored) if place not in dropped]
        return record + [one for one in again if not any(one is other for other in stored)], again

    # -- all AoRs and the database --------------------------------------------------------------------------

    def expire(self, now: int) -> None:
        """Removes what has expired, and tells the database what it does not know yet."""
        if not self.turn.try_acquire():
            return
        try:
            self.synchronise(now)
        finally:
            self.turn.release()

    def flush(self, now: int) -> bool:
        """Tells the database everything, what it refused before included; False when it could not be told."""
        give_up = time.monotonic() + TURN_SECONDS
        while not self.turn.try_acquire():
            if time.monotonic() > give_up:
                return False
            time.sleep(0.02)
        try:
            self.insist()
            return self.synchronise(now, with_refused=True)
        finally:
            self.turn.release()

    def begin(self, now: int) -> None:
        """Reads the tables; a database that cannot be reached now is for `catch_up`."""
        self.loader.begin(now)

    def catch_up(self, now: int) -> None:
        """Does as soon as the database is there what could not be done when it was time."""
        if self.loader.is_loaded and self.breaker.words[0] == 0:
            return
        try:
            self.database.table_version(self.loader.any_table)
        except DatabaseError:
            return
        self.expire(now)

    def finish(self, now: int) -> None:
        """Tells the database what it does not know yet, before memory goes."""
        self.insist()
        is_loaded = self.loader.load(now)
        works = list(self.works(now, with_refused=False, mark=False))
        for start in range(0, len(works), BATCH):
            if not is_loaded or self.tell_database(works[start : start + BATCH]) is None:
                n_lost = sum(len(work.pending) for work in works[start:])
                log.error("usrloc: the database does not answer: %d changes are lost", n_lost)
                return

    def insist(self) -> None:
        """Has the database tried again, however short ago it was found missing."""
        self.breaker.words[0] = self.database.breaker.words[0] = 0

    def merge(self, domain: Domain, aor: bytes, binding: Binding) -> int:
        """Adds a binding that the database has, without counting it; what memory has of the same contact stays,
        deleted or not.  How many the AoR had before, -1 when nothing was added."""
        table = self.table
        key = domain.prefix + aor
        hash = table.hash(key)
        table.stripes.acquire(hash)
        try:
            slot = table.find(key, hash)
            if not slot:
                table.insert(key, hash, HEAD.pack(binding.expires) + binding.pack())
                return 0
            stored = Binding.unpack_many(table.payload(slot), HEAD.size)
            record = self.merged(stored, binding)
            self._store(key, hash, slot, [], record, due)
        finally:
            table.stripes.release(hash)
        return sum(one.expires != DELETED for one in stored) if len(record) > len(stored) else -1

    def merged(self, stored: list[Binding], binding: Binding) -> list[Binding]:
        """A record with one more binding, or with the knowledge that the database has this one."""
        key = self.rows.key
        for one in stored:
            if key(one) == key(binding) and not one.flags & MEMORY_ONLY:
                one.state = DIRTY if one.state == NEW else one.state
                return stored
        gone = [one for one in stored if one.expires == DELETED]
        return self.rules.ordered([binding, *(one for one in stored if one.expires != DELETED)]) + gone

    def synchronise(self, now: int, *, with_refused: bool = False) -> bool:
        """Goes through all AoRs; False when the database could not be told everything."""
        self.loader.load(now)
        can_write = self.loader.is_loaded
        batch: list[Work] = []
        for work in self.works(now, with_refused=with_refused, mark=can_write):
            batch.append(work)
            if len(batch) == BATCH:
                can_write = can_write and self.write_batch(batch)
                batch.clear()
        if batch:
            can_write = can_write and self.write_batch(batch)
        return can_write

    def write_batch(self, works: list[Work]) -> bool:
        """Tells the database of some AoRs; False when that is not possible now."""
        refused = self.tell_database(works)
        if refused is None:
            return False
        for work in works:
            again = self.confirm(work, refused)
            if again:
                self.write_through(work.domain, work.aor, again)
        return True

    def works(self, now: int, *, with_refused: bool, mark: bool) -> Iterator[Work]:
        """What is to be written, AoR by AoR; what has expired is removed on the way.

        `mark` makes what is new DIRTY, as whoever is about to write it has to.
        """
        for slot in self.table.slots():
            found = self._read(slot)
            if found is None or not (with_refused or 0 < HEAD.unpack_from(found[1])[0] <= now):
                continue
            domain, _, aor = found[0].partition(b"\0")
            stored = Binding.unpack_many(found[1], HEAD.size)
            try:
                if any(one.expires != DELETED and not one.is_valid(now) for one in stored):
                    self.change(domain, aor, now, same)
                    stored = self.get(domain, aor)
                if mark and any(one.state == NEW for one in stored):
                    work = self.take(domain, aor, with_refused)
                else:
                    work = self.work(domain, aor, stored, with_refused)
            except ResourceError as error:
                log.error("usrloc: %r stays as it is for now: %s", aor, error)
                continue
            if work.pending:
                yield work

    def work(self, domain: bytes, aor: bytes, stored: list[Binding], with_refused: bool) -> Work:
        """What is to be written of one AoR."""
        pending = [one for one in stored if one.is_pending or (with_refused and one.state == REFUSED)]
        return Work(domain, aor, pending, {self.rows.key(one) for one in pending if one.state == NEW})

    def take(self, domain: bytes, aor: bytes, with_refused: bool) -> Work:
        """What is to be written of one AoR; what is new becomes DIRTY."""
        table = self.table
        key = self.domains[domain].prefix + aor
        hash = table.hash(key)
        table.stripes.acquire(hash)
        try:
            slot = table.find(key, hash)
            stored = Binding.unpack_many(table.payload(slot), HEAD.size) if slot else []
            work = self.work(domain, aor, stored, with_refused)
            if work.new:
                for one in work.pending:
                    one.state = DIRTY if one.state == NEW else one.state
                self._store(key, hash, slot, [], stored, due)
        finally:
            table.stripes.release(hash)
        return work


def due(bindings: list[Binding]) -> int:
    """When something has to be done about an AoR: now, while the database is to be told of any."""
    return DUE_NOW if any(one.is_pending for one in bindings) else next_expiry(bindings)


def now_ms() -> int:
    """Monotonic milliseconds, for breakers."""
    return int(time.monotonic() * 1000)


def _is_not(one: Binding, other: Binding) -> bool:
    return one is not other
