"""Many calls at a time from one phone, each with the timers of RFC 3261: for lines that lose datagrams.

    with Callee(bob, t1=0.5) as answering:
        tally = Crowd(alice, answering).play(1000, rate=25)

A call is complete when its INVITE was answered, the callee has the ACK, and the BYE was answered, each within 64 * T1
of when it began.
"""

import time
from dataclasses import dataclass, field

from tests.support.agents import Callee
from tests.support.sip import Message, Phone, TimedOut

T2 = 8  #: in T1
LIFE = 64  #: in T1


@dataclass
class Dialled:
    """One call as its caller sees it: `sent` is what waits for its answer, and is repeated where `again_at` is set."""

    invite: Message
    sent: Message
    gap: float
    again_at: float
    ends_at: float
    answer: Message | None = None
    ack: Message | None = None


@dataclass
class Tally:
    """What became of the calls: how long the complete ones took, in seconds, and where the others ended."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        n_calls = len(self.seconds) + len(self.failures)
        slowest = max(self.seconds, default=0.0)
        mean = sum(self.seconds) / max(1, len(self.seconds))
        kinds = {kind: self.failures.count(kind) for kind in sorted(set(self.failures))}
        return f"{len(self.seconds)} of {n_calls} calls complete, {mean:.2f} s each, {slowest:.1f} s at most, {kinds}"


class Crowd:
    """The caller's side of many calls at a time."""

    def __init__(self, phone: Phone, callee: Callee, *, t1: float = 0.5) -> None:
        self.phone = phone
        self.callee = callee
        self.t1 = t1
        self.calls: dict[str, Dialled] = {}
        self.began: dict[str, float] = {}
        self.tally = Tally()

    def play(self, n_calls: int, rate: float) -> Tally:
        """`n_calls` calls at `rate` a second, to their ends."""
        start = time.monotonic()
        while len(self.began) < n_calls or self.calls:
            now = time.monotonic()
            if len(self.began) < n_calls and now >= start + len(self.began) / rate:
                self.dial(now)
            try:
                self.take(self.phone.receive(timeout=0.005))
            except TimedOut:
                pass
            for call in list(self.calls.values()):
                self.step(call, time.monotonic())
        return self.tally

    def dial(self, now: float) -> None:
        """Begins a call."""
        invite = self.phone.invite(self.callee.phone.user)
        self.began[invite.call_id] = now
        self.calls[invite.call_id] = Dialled(invite, invite, self.t1, now + self.t1, now + LIFE * self.t1)

    def take(self, reply: Message) -> None:
        """A reply to what one of the calls has sent."""
        call = self.calls.get(reply.call_id)
        if call is None or not reply.is_reply:
            return
        if reply.method == "INVITE" and 200 <= reply.code < 300:
            self.answered(call, reply)
        elif reply.method != call.sent.method:
            return
        elif reply.code >= 300:
            self.end(call, f"{reply.code} to {reply.method}")
        elif reply.code >= 200:
            self.tally.seconds.append(time.monotonic() - self.began[reply.call_id])
            del self.calls[reply.call_id]
        elif reply.method == "INVITE":
            call.again_at = 0.0

    def answered(self, call: Dialled, answer: Message) -> None:
        """A 200 to INVITE, whichever time it comes: each is acknowledged."""
        if call.ack is None:
            call.answer, call.again_at = answer, 0.0
            call.ends_at = time.monotonic() + LIFE * self.t1
            call.ack = self.phone.ack(call.invite, answer)
        else:
            self.phone.send(call.ack)

    def step(self, call: Dialled, now: float) -> None:
        """Hangs up once the callee has the ACK; repeats what has no answer; gives up when it takes too long."""
        if now > call.ends_at:
            waiting = call.answer is not None and call.sent is call.invite
            self.end(call, "no ACK at the callee" if waiting else f"no answer to {call.sent.method}")
        elif call.answer is not None and call.sent is call.invite:
            theirs = self.callee.calls.get(call.invite.call_id)
            if theirs is not None and theirs.acked:
                call.sent = self.phone.in_dialog("BYE", call.invite, call.answer)
                call.gap, call.again_at, call.ends_at = self.t1, now + self.t1, now + LIFE * self.t1
        elif call.again_at and now >= call.again_at:
            self.phone.send(call.sent)
            call.gap = min(2 * call.gap, T2 * self.t1)
            call.again_at = now + call.gap

    def end(self, call: Dialled, why: str) -> None:
        """A call has failed."""
        self.tally.failures.append(why)
        del self.calls[call.invite.call_id]
