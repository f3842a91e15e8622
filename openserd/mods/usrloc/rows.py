"""Bindings as rows of a database: table `location`, version 1004 (OpenSER: ucontact.c, dbrow2info).

A row is found by user, domain (with `use_domain`), contact and, in matching_mode 1, Call-ID: by what a binding is
matched by.  OpenSER always adds the Call-ID, so that a phone that registers with a new one leaves its old row behind.

Numbers of 32 bits stand in signed columns; a mask of all methods and whatever a contact has not is NULL.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from openserd.core.database import Condition, Delete, Insert, Replace, Row, Value, moment, seconds
from openserd.core.database.reader import text_of
from openserd.mods.usrloc.binding import MAX_TIME, MEMORY_ONLY, NO_Q, PERMANENT, SYNC, Binding
from openserd.parser.methods import ALL_METHODS
from openserd.parser.qvalue import MAX_Q

TABLE_VERSION: Final = 1004
LAST_MODIFIED: Final = "last_modified"
UNSPECIFIED: Final = -1.0  #: q in a row


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns."""

    user: str = "username"
    domain: str = "domain"
    contact: str = "contact"
    expires: str = "expires"
    q: str = "q"
    callid: str = "callid"
    cseq: str = "cseq"
    flags: str = "flags"
    cflags: str = "cflags"
    user_agent: str = "user_agent"
    received: str = "received"
    path: str = "path"
    socket: str = "socket"
    methods: str = "methods"


class BadRow(ValueError):
    """A row that is no binding."""


class Rows:
    """How AoRs and bindings are written and read."""

    __slots__ = ("by_call_id", "columns", "key", "key_columns", "read", "use_domain")

    def __init__(self, columns: Columns, *, use_domain: bool, by_call_id: bool) -> None:
        self.columns = columns
        self.use_domain = use_domain
        self.by_call_id = by_call_id
        self.key: Callable[[Binding], object] = uri_and_call_id if by_call_id else uri_only
        names = [columns.user, columns.contact]
        names += [columns.domain] if use_domain else []
        names += [columns.callid] if by_call_id else []
        self.key_columns: tuple[str, ...] = tuple(names)
        self.read: tuple[str, ...] = (
            columns.contact, columns.expires, columns.q, columns.callid, columns.cseq, columns.flags, columns.cflags,
            columns.user_agent, columns.received, columns.path, columns.socket, columns.methods, LAST_MODIFIED,
            columns.user, *((columns.domain,) if use_domain else ()),
        )  # fmt: skip

    # -- writing --------------------------------------------------------------------------------------------

    def split(self, aor: bytes) -> tuple[bytes, bytes]:
        """User and domain of an AoR; one without user is a domain."""
        if not self.use_domain:
            return aor, b""
        user, _, domain = aor.rpartition(b"@")
        return user, domain

    def row(self, aor: bytes, binding: Binding) -> dict[str, Value]:
        """The row of a binding."""
        columns = self.columns
        user, domain = self.split(aor)
        row: dict[str, Value] = {
            columns.user: user,
            columns.contact: binding.uri,
            columns.expires: moment(binding.expires),
            columns.q: UNSPECIFIED if binding.q == NO_Q else binding.q / MAX_Q,
            columns.callid: binding.call_id,
            columns.cseq: signed(binding.cseq),
            columns.flags: signed(binding.flags),
            columns.cflags: signed(binding.cflags),
            columns.user_agent: binding.user_agent,
            columns.received: binding.received or None,
            columns.path: binding.path or None,
            columns.socket: binding.socket or None,
            columns.methods: None if binding.methods == ALL_METHODS else signed(binding.methods),
            LAST_MODIFIED: moment(binding.last_modified),
        }
        if self.use_domain:
            row[columns.domain] = domain
        return row

    def insert(self, table: str, aor: bytes, binding: Binding) -> Insert:
        """The change that adds the row of a binding that the database has not."""
        return Insert(table, self.row(aor, binding))

    def replace(self, table: str, aor: bytes, binding: Binding) -> Replace:
        """The change that writes the row of a binding that the database may have."""
        return Replace(table, self.row(aor, binding), self.key_columns)

    def delete(self, table: str, aor: bytes, binding: Binding) -> Delete:
        """The change that removes the row of a binding."""
        conditions = [*self.of_aor(aor), Condition(self.columns.contact, binding.uri)]
        if self.by_call_id:
            conditions.append(Condition(self.columns.callid, binding.call_id))
        return Delete(table, conditions)

    # -- reading --------------------------------------------------------------------------------------------

    def of_aor(self, aor: bytes) -> list[Condition]:
        """Which rows are an AoR's."""
        user, domain = self.split(aor)
        found = [Condition(self.columns.user, user)]
        if self.use_domain:
            found.append(Condition(self.columns.domain, domain))
        return found

    def expired(self, now: int) -> list[Condition]:
        """Which rows have expired."""
        column = self.columns.expires
        return [Condition(column, moment(now), "<="), Condition(column, moment(PERMANENT), "!=")]

    def aor(self, row: Row) -> bytes:
        """The AoR of a row of the columns `read`. Raises BadRow."""
        user = text_of(row[13])
        if not self.use_domain:
            if not user:
                raise BadRow("a row without user")
            return user
        domain = text_of(row[14])
        if not domain:
            raise BadRow(f"a row of user {user!r} without domain")
        return user + b"@" + domain if user else domain

    def binding(self, row: Row) -> Binding:
        """The binding of a row of the columns `read`. Raises BadRow."""
        contact, expires, q, call_id, cseq, flags, cflags, agent, received, path, socket, methods, modified, *_ = row
        if not contact or not call_id or expires is None:
            raise BadRow("a row without contact, Call-ID or expires")
        try:
            return Binding(
                time_of(expires),
                unsigned(cseq),
                unsigned(flags) & ~MEMORY_ONLY,
                unsigned(cflags),
                ALL_METHODS if methods is None else unsigned(methods),
                time_of(modified),
                q_of(q),
                text_of(contact),
                text_of(call_id),
                text_of(agent),
                text_of(socket),
                text_of(received),
                text_of(path),
                SYNC,
            )
        except (ValueError, TypeError, OverflowError) as error:
            raise BadRow(f"contact {text_of(contact)!r}: {error}") from None

    def bindings(self, rows: Sequence[Row], complain: Callable[[BadRow], None]) -> list[Binding]:
        """The bindings of an AoR's rows, without those that are none."""
        found = []
        for row in rows:
            try:
                found.append(self.binding(row))
            except BadRow as bad:
                complain(bad)
        return found


def uri_only(binding: Binding) -> object:
    """What a binding is matched by in matching_mode 0."""
    return binding.uri


def uri_and_call_id(binding: Binding) -> object:
    """What a binding is matched by in matching_mode 1."""
    return binding.uri, binding.call_id


def signed(number: int) -> int:
    """32 bits as a signed column takes them."""
    return number - (1 << 32) if number >> 31 else number


def unsigned(value: Value) -> int:
    """A number of 32 bits as it was before `signed`. Raises ValueError or TypeError."""
    if type(value) is int:
        return value & 0xFFFFFFFF
    if not isinstance(value, int | float | bytes):
        raise TypeError("a number is missing")
    return int(value) & 0xFFFFFFFF


@lru_cache(maxsize=16384)  # many contacts expire in the same second: 5 -> 0.1 us
def time_of(value: Value) -> int:
    """Seconds since 1970, within what a binding can hold."""
    return min(max(seconds(value), 0), MAX_TIME)


def q_of(value: Value) -> int:
    """q in thousandths. Raises ValueError or TypeError."""
    if value is None:
        return NO_Q
    if not isinstance(value, int | float | bytes):
        raise TypeError("q is no number")
    q = float(value)
    return NO_Q if q < 0 else min(round(q * MAX_Q), MAX_Q)
