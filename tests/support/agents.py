"""Phones that act by themselves: a callee in a thread that rings, answers and repeats, and a caller to match.

For tests in which datagrams are lost, where each side has to retransmit as RFC 3261 says.
"""

import threading
import time
from dataclasses import dataclass
from typing import Self

from tests.support.sip import SDP, Message, Phone, TimedOut, is_reply_to


@dataclass
class Call:
    """One call as its callee sees it."""

    invite: Message
    last_reply: Message
    answer_at: float
    repeat_at: float = 0.0
    gap: float = 0.0
    answered: bool = False
    refused: bool = False
    acked: bool = False
    ended: bool = False
    n_invites: int = 1


class Callee:
    """Answers every call on `phone` after `ring` seconds; repeats its 200 until the ACK comes."""

    def __init__(self, phone: Phone, *, ring: float = 0.05, t1: float = 0.2) -> None:
        self.phone = phone
        self.ring = ring
        self.t1 = t1
        self.calls: dict[str, Call] = {}
        self.fault: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"callee {phone.user}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(5.0)
        if self.fault is not None:
            raise self.fault

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    self._take(self.phone.receive(lambda message: not message.is_reply, 0.02))
                except TimedOut:
                    pass
                now = time.monotonic()
                for call in list(self.calls.values()):
                    if not call.acked and not call.ended:
                        self._step(call, now)
        except BaseException as error:  # handed to the test by __exit__
            self.fault = error

    def _take(self, request: Message) -> None:
        call = self.calls.get(request.call_id)
        if request.method == "INVITE":
            if call is None:
                ringing = self.phone.reply(request, 180)
                self.calls[request.call_id] = Call(request, ringing, time.monotonic() + self.ring)
            else:
                call.n_invites += 1
                self.phone.send(call.last_reply, request.source)
        elif call is None:
            if request.method != "ACK":
                self.phone.reply(request, 481)
        elif request.method == "ACK":
            call.acked = True
        elif request.method == "BYE":
            call.ended = True
            self.phone.reply(request, 200)
        elif request.method == "CANCEL":
            self.phone.reply(request, 200)
            if not call.answered:
                call.answered = call.refused = True
                call.last_reply = self.phone.reply(call.invite, 487)
        else:
            self.phone.reply(request, 200)

    def _step(self, call: Call, now: float) -> None:
        """Answers when it is time, repeats the 200 while no ACK has come."""
        if not call.answered and now >= call.answer_at:
            call.answered = True
            call.gap = self.t1
            call.repeat_at = now + call.gap
            call.last_reply = self.phone.reply(
                call.invite, 200, body=SDP, headers=[("Content-Type", "application/sdp")]
            )
        elif call.answered and not call.refused and now >= call.repeat_at:
            call.gap = min(call.gap * 2, 8 * self.t1)  # T2 is 8 * T1 (RFC 3261 13.3.1.4)
            call.repeat_at = now + call.gap
            self.phone.send(call.last_reply, call.invite.source)


def call(caller: Phone, user: str, callee: Callee, *, timeout: float = 10.0, t1: float = 0.5) -> Call:
    """A whole call from INVITE to the 200 of the BYE; gives back what the callee saw of it."""
    invite = caller.invite(user)
    final = caller.transact(invite, timeout, t1)
    assert final.code == 200, f"the call got {final.start_line!r}"
    ack = caller.ack(invite, final)
    deadline = time.monotonic() + timeout
    while not callee.calls[invite.call_id].acked:
        assert time.monotonic() < deadline, f"the ACK did not reach the callee within {timeout} s"
        try:
            caller.receive(is_reply_to(invite, 200), 0.05)
        except TimedOut:
            continue
        caller.send(ack)
    bye = caller.in_dialog("BYE", invite, final)
    final = caller.transact(bye, timeout, t1)
    assert final.code == 200, f"the BYE got {final.start_line!r}"
    assert callee.calls[invite.call_id].ended, "the BYE was answered but not by the callee"
    return callee.calls[invite.call_id]
