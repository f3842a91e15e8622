"""A transaction in shared memory: everything that any process needs to take its next step.

One record of a table, its payload a `ServerRecord` followed by one `BranchRecord` for each client transaction.  The
messages themselves lie in blobs that the records own (Ref).  Times are ticks: milliseconds of the monotonic clock
modulo 2**32, 0 for a timer that does not run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from openserd.shm.record import F64, I32, U8, U16, U32, Bytes, Record, Ref

INVITE: Final = 1  #: `kind` of the transaction of an INVITE, 0 of any other

# flags of a transaction
CANCELLED: Final = 1  #: the caller has cancelled it: no new branches
LOCAL_REPLY: Final = 2  #: the last reply sent was made here
RPORT_FORCED: Final = 4  #: force_rport() was used on the request
SETTLED: Final = 8  #: only the wait timer still runs: when it ends the record can go unread
FAILING: Final = 16  #: a process runs the failure route
LOCAL: Final = 32  #: there is nobody to reply to: a request made here, or a copy for a replica
INDEXED: Final = 64  #: it can be found by Call-ID, CSeq and From tag
DECLINED: Final = 128  #: a 6xx has come in: no new branches
ABANDONED: Final = 256  #: the failure route has ended, and what comes of it could not be stored

# flags of a branch
CANCEL_WANTED: Final = 1  #: send CANCEL as soon as a provisional reply allows it
CANCEL_SENT: Final = 2
LOCAL_STATUS: Final = 4  #: the status was made here (time-out, failed send, cancelled before any reply)
GOT_REPLY: Final = 8  #: at least one reply was received
SUPERSEDED: Final = 16  #: has failed, and another branch tries the next address of its destination

MAX_TRANSACTION_BRANCHES: Final = 256  #: of all rounds: what the number in a Via branch has room for


@dataclass(slots=True)
class ServerRecord(Record):
    """The server transaction: how the request came, what was answered.

    `owner` is the row of the process that saw the request, `first_branch` the first branch of
    the latest round of forwarding.  While a failure route runs (FAILING) `timeout_at` is when to look whether the
    process that runs it still lives.
    """

    state: U8
    kind: U8  # INVITE or 0
    flags: U16
    status: U16
    listener: U16
    owner: U16
    first_branch: U16
    source_port: U16
    reply_port: U16
    msg_flags: U32
    retransmit_at: U32  # timer G
    interval: U32  # ms to the next retransmission of the reply
    timeout_at: U32  # timer H; for a request without branches and reply: when it is given up
    wait_at: U32  # when the record is removed
    request: Ref  # the request as received
    reply: Ref  # the last reply sent
    script: Ref  # a `ScriptRecord`; 0 where the script has armed nothing and nobody watches
    source_host: Bytes
    reply_host: Bytes
    to_tag: Bytes


@dataclass(slots=True)
class ScriptRecord(Record):
    """What of the script goes on with a transaction: armed routes, timers, and the request as the script has left it.

    Most transactions have none.  `claimant` and `claimant_since` are pid and start of the process that runs the failure
    route, `claims` is how often one was begun without an end.  `lumps`, `avps`, `attachments` and `watchers` are packed
    as `travel.py` says; `listener` -1 and `max_forwards` -1 are none.
    """

    fr: U32  # ms, 0 as the parameter says
    fr_inv: U32
    claimant: U32
    claimant_since: U32
    claims: U8
    local_rport: U8
    has_own_route: U8
    advertised_port: U16
    listener: I32
    max_forwards: I32
    received_at: F64
    on_failure: Bytes
    on_reply: Bytes
    on_branch: Bytes
    avps: Bytes
    ruri: Bytes  # empty as received
    lumps: Bytes
    reply_headers: Bytes
    attachments: Bytes
    watchers: Bytes
    own_route: Bytes
    rr_params: Bytes
    advertised_host: Bytes


@dataclass(slots=True)
class BranchRecord(Record):
    """One client transaction: where the request went, what came back, which timers run."""

    state: U8
    flags: U8
    listener: U16
    port: U16
    status: U16  # last status received, or made here; 0 none
    branch_flags: U32
    retransmit_at: U32  # timer A or E
    interval: U32  # ms to the next retransmission
    timeout_at: U32  # timer B, C or F
    cancel_at: U32  # next retransmission of the CANCEL
    cancel_interval: U32
    sent: Ref  # the request as sent
    cancel: Ref  # the CANCEL as sent
    reply: Ref  # the final negative reply, as it would go on
    ack: Ref  # the ACK to a negative reply, sent again when the reply is
    others: Ref  # further addresses of the destination, as `failover.py` packs them
    host: Bytes
    uri: Bytes  # the request URI of the branch

    def is_final(self) -> bool:
        """Whether this branch has its final status."""
        return self.status >= 200


def is_settled(payload: bytes) -> bool:
    """Whether a packed transaction waits for nothing but its removal; `flags` begins at its byte 2."""
    return bool(payload[2] & SETTLED)


def payload_refs(payload: bytes) -> Iterable[int]:
    """The blobs that a transaction's payload owns, for the sweep of shared memory."""
    refs, end = ServerRecord.refs_from(payload)
    while end < len(payload):
        more, end = BranchRecord.refs_from(payload, end)
        refs += more
    return refs
