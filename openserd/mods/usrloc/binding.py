"""Bindings: what one contact of an AoR is, and the rules by which a list of them changes.

An AoR's bindings are kept in the order in which a request will be sent to them: by q, the highest first and
an unspecified q last, equal ones by age; or, with `desc_time_order`, the one refreshed last first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from operator import attrgetter
from typing import Any, Final

from openserd.shm.record import I32, U8, U32, Bytes, Record

PERMANENT: Final = 0  #: `expires` of a binding that never does
DELETED: Final = 10  #: `expires` of one that is kept only until it is deleted from the database as well
MAX_TIME: Final = 2**32 - 1
NO_Q: Final = -1  #: `q` where neither the contact nor the script gives one; comes after every other

CONTACT_ONLY: Final = 0
CONTACT_CALLID: Final = 1

MEMORY_ONLY: Final = 1  #: in `flags`: never written to a database

# What a database knows of a binding
NEW: Final = 0  #: nothing
SYNC: Final = 1  #: all
DIRTY: Final = 2  #: perhaps an older version, and this one is to be written
REFUSED: Final = 3  #: perhaps an older version, and it has refused this one


@dataclass(slots=True, eq=False)
class Binding(Record):
    """One contact of an AoR (OpenSER: ucontact_t).  A change makes a new one, none is altered.

    Times are seconds since 1970.  `uri` is the contact as registered, without <>; `q` in thousandths, -1
    unspecified; `flags` has MEMORY_ONLY or nothing; `cflags` are the branch flags of the REGISTER; `methods` the
    mask of methods it takes; `socket` the listener that it came in by, as `udp:192.0.2.1:5060`, b"" for none;
    `received` the URI that it came from, b"" for none; `state` what a database knows of it, NEW without one.
    """

    expires: U32  # 0 never
    cseq: U32
    flags: U32
    cflags: U32
    methods: U32
    last_modified: U32
    q: I32
    uri: Bytes
    call_id: Bytes
    user_agent: Bytes
    socket: Bytes
    received: Bytes
    path: Bytes
    state: U8 = NEW  # the only field that changes

    def is_valid(self, now: int) -> bool:
        """Whether a request may be sent there at `now`."""
        return self.expires > now or self.expires == PERMANENT

    @property
    def preference(self) -> int | None:
        """q in thousandths, None when unspecified."""
        return None if self.q == NO_Q else self.q

    def seconds_left(self, now: int) -> int:
        """How long the binding will live, 0 or less for one that has expired; the most seconds that SIP can write for a
        permanent one."""
        return self.expires - now if self.expires else MAX_TIME

    @property
    def is_pending(self) -> bool:
        """Whether the database is still to be told of it; where there is one."""
        if self.state == NEW:
            return not self.flags & MEMORY_ONLY
        return self.state == DIRTY or self.expires == DELETED

    def is_same(self, other: "Binding") -> bool:
        """Whether all but the state is equal."""
        return bool(_CONTENT(self) == _CONTENT(other))

    def deleted(self) -> "Binding":
        """What is kept of a binding that the database still has."""
        return replace(self, expires=DELETED)


_CONTENT: Final[Any] = attrgetter(*(field.name for field in fields(Binding) if field.name != "state"))


class Verdict(Enum):
    """What a REGISTER may do to the binding that it matches."""

    UPDATE = 1
    RETRANSMISSION = 2  #: seen before: nothing changes, and nothing is wrong
    OUT_OF_ORDER = 3  #: older than what is stored


UPDATE: Final = Verdict.UPDATE
RETRANSMISSION: Final = Verdict.RETRANSMISSION
OUT_OF_ORDER: Final = Verdict.OUT_OF_ORDER


class Rules:
    """The parameters that decide how bindings are matched and ordered."""

    __slots__ = ("cseq_delay", "desc_time_order", "matching_mode")

    def __init__(self, matching_mode: int = CONTACT_ONLY, cseq_delay: int = 20, desc_time_order: bool = False) -> None:
        self.matching_mode = matching_mode
        self.cseq_delay = cseq_delay
        self.desc_time_order = desc_time_order

    def find(self, bindings: Sequence[Binding], uri: bytes, call_id: bytes) -> int:
        """The index of the binding of contact `uri` (in matching_mode 1, of this Call-ID), -1 when there is
        none.

        OpenSER: URIs are compared byte by byte, where RFC 3261 section 10.3 item 7 compares them as URIs.
        """
        index = 0
        for binding in bindings:
            if binding.uri == uri and (self.matching_mode != CONTACT_CALLID or binding.call_id == call_id):
                return index
            index += 1  # noqa: SIM113 - there is one binding, most often: no object is made for it
        return -1

    def judge(self, known: Binding, call_id: bytes, cseq: int, now: int) -> Verdict:
        """What a REGISTER with `call_id` and `cseq` may do to `known` (RFC 3261 section 10.3 items 6 and 7).

        OpenSER: an equal CSeq is a retransmission for `cseq_delay` seconds, then out of order.
        """
        if known.call_id != call_id or cseq > known.cseq:
            return UPDATE
        if cseq == known.cseq and known.last_modified + self.cseq_delay > now:
            return RETRANSMISSION
        return OUT_OF_ORDER

    def insert(self, bindings: list[Binding], binding: Binding) -> None:
        """Puts a new binding into its place."""
        if self.desc_time_order:
            bindings.insert(0, binding)
            return
        index = len(bindings)
        while index and bindings[index - 1].q < binding.q:
            index -= 1
        bindings.insert(index, binding)

    def ordered(self, bindings: Sequence[Binding]) -> list[Binding]:
        """Bindings read from a database in their order; of equal ones the one refreshed first counts as the older."""
        found: list[Binding] = []
        for binding in sorted(bindings, key=_last_modified):
            self.insert(found, binding)
        return found

    def replace(self, bindings: list[Binding], index: int, binding: Binding) -> None:
        """Puts the new version of a binding into its place."""
        if not self.desc_time_order and bindings[index].q == binding.q:
            bindings[index] = binding
            return
        del bindings[index]
        self.insert(bindings, binding)

    def apply(self, bindings: list[Binding], wanted: Binding, now: int) -> bool:
        """Adds, refreshes or (when it has expired) removes one binding, as a REGISTER that carries it asks
        for.

        False when the REGISTER is out of order; then, and for a retransmission, nothing changes.
        """
        index = self.find(bindings, wanted.uri, wanted.call_id)
        if index < 0:
            if wanted.is_valid(now):
                self.insert(bindings, wanted)
            return True
        verdict = self.judge(bindings[index], wanted.call_id, wanted.cseq, now)
        if verdict is not UPDATE:
            return verdict is RETRANSMISSION
        if wanted.is_valid(now):
            self.replace(bindings, index, wanted)
        else:
            del bindings[index]
        return True

    def without_all(self, bindings: list[Binding], call_id: bytes, cseq: int, now: int) -> list[Binding] | None:
        """What stays of an AoR's bindings after a REGISTER that removes all: nothing, unless it is a
        retransmission of the one that made them; None when it is out of order for any (RFC 3261 section 10.3
        item 6)."""
        verdicts = [self.judge(binding, call_id, cseq, now) for binding in bindings]
        if OUT_OF_ORDER in verdicts:
            return None
        return [one for one, verdict in zip(bindings, verdicts, strict=True) if verdict is not UPDATE]


def _last_modified(binding: Binding) -> int:
    return binding.last_modified


def next_expiry(bindings: Sequence[Binding]) -> int:
    """When the first of them expires, 0 when none ever does."""
    if len(bindings) == 1:
        return bindings[0].expires
    return min((binding.expires for binding in bindings if binding.expires), default=PERMANENT)
