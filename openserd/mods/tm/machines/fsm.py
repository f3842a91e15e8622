"""The four transaction state machines of RFC 3261 section 17, with the Accepted states of RFC 6026, as tables.

Everything about states lives here and nothing else: (state, event) -> (next state, actions).  A pair that is not in a
table changes nothing.  Who drives a machine, what an action does and how long a timer runs is `machine.py`'s.

    INVITE server (figure 7)                          INVITE client (figure 5)

      |INVITE                                           |INVITE sent
      v                                                 v
    PROCEEDING --2xx--> ACCEPTED --wait--> end        CALLING --1xx--> PROCEEDING
      |300-699             (RFC 6026)                   |  \\              |   \\
      v                                                 |   +--2xx--------|----+--> ACCEPTED --wait--> end
    COMPLETED --ACK--> CONFIRMED --wait--> end          +--300-699--> COMPLETED --wait--> end
      |H                                                +--B (no reply) or C (no final)--> COMPLETED
      v
     end

    non-INVITE server (figure 8)                      non-INVITE client (figure 6)

    TRYING --1xx--> PROCEEDING                        TRYING --1xx--> PROCEEDING
      |200-699          |200-699                        |200-699         |200-699, F
      v                 v                               v                v
    COMPLETED <---------+ --wait--> end               COMPLETED <--------+ --wait--> end

OpenSER: G is its retransmission timer of replies, H its fr timer, A and E its retransmission timers of requests, B
and F its fr timer, C its fr_inv timer, which a 100 starts but does not start anew (16.7 item 2); I, J, K and D are its
wait timer, one for the whole transaction.  L and M are ours, 64 * T1: as long as the callee repeats a 2xx, it is passed
on.
"""

from typing import Final

# states
CALLING: Final = 1
TRYING: Final = 2
PROCEEDING: Final = 3
COMPLETED: Final = 4
CONFIRMED: Final = 5
ACCEPTED: Final = 6

# events of a server transaction
REQUEST: Final = 11  #: the request again
ACK: Final = 12
SEND_1XX: Final = 13
SEND_2XX: Final = 14
SEND_NEGATIVE: Final = 15  #: 300 to 699
TIMER_G: Final = 16
TIMER_H: Final = 17

# events of a client transaction
GOT_100: Final = 20
GOT_1XX: Final = 21  #: 101 to 199
GOT_2XX: Final = 22
GOT_NEGATIVE: Final = 23
TIMER_A: Final = 24  #: and E: time to send the request again
TIMER_B: Final = 25  #: and F: no reply in time
TIMER_C: Final = 26  #: no final reply in time

# actions
SEND_REPLY: Final = 31
RESEND_REPLY: Final = 32
START_G: Final = 33
DOUBLE_G: Final = 34
START_H: Final = 35
STOP_TIMERS: Final = 36
START_WAIT: Final = 37
RESEND_REQUEST: Final = 41
DOUBLE_A: Final = 42
SLOW_A: Final = 43  #: go on at T2
START_C: Final = 44
SEND_ACK: Final = 45
PASS_UP: Final = 46  #: hand the reply to the proxy core
TIMEOUT: Final = 47  #: tell the proxy core that no reply came

Machine = dict[tuple[int, int], tuple[int, tuple[int, ...]]]

INVITE_SERVER: Final[Machine] = {
    (PROCEEDING, REQUEST): (PROCEEDING, (RESEND_REPLY,)),
    (PROCEEDING, SEND_1XX): (PROCEEDING, (SEND_REPLY,)),
    (PROCEEDING, SEND_2XX): (ACCEPTED, (SEND_REPLY, START_WAIT)),
    (PROCEEDING, SEND_NEGATIVE): (COMPLETED, (SEND_REPLY, START_G, START_H)),
    (COMPLETED, REQUEST): (COMPLETED, (RESEND_REPLY,)),
    (COMPLETED, TIMER_G): (COMPLETED, (RESEND_REPLY, DOUBLE_G)),
    (COMPLETED, TIMER_H): (CONFIRMED, (STOP_TIMERS, START_WAIT)),
    (COMPLETED, ACK): (CONFIRMED, (STOP_TIMERS, START_WAIT)),
    (COMPLETED, SEND_2XX): (COMPLETED, (SEND_REPLY,)),
    (CONFIRMED, SEND_2XX): (CONFIRMED, (SEND_REPLY,)),
    (ACCEPTED, SEND_2XX): (ACCEPTED, (SEND_REPLY,)),
}

NON_INVITE_SERVER: Final[Machine] = {
    (TRYING, SEND_1XX): (PROCEEDING, (SEND_REPLY,)),
    (TRYING, SEND_2XX): (COMPLETED, (SEND_REPLY, START_WAIT)),
    (TRYING, SEND_NEGATIVE): (COMPLETED, (SEND_REPLY, START_WAIT)),
    (PROCEEDING, REQUEST): (PROCEEDING, (RESEND_REPLY,)),
    (PROCEEDING, SEND_1XX): (PROCEEDING, (SEND_REPLY,)),
    (PROCEEDING, SEND_2XX): (COMPLETED, (SEND_REPLY, START_WAIT)),
    (PROCEEDING, SEND_NEGATIVE): (COMPLETED, (SEND_REPLY, START_WAIT)),
    (COMPLETED, REQUEST): (COMPLETED, (RESEND_REPLY,)),
}

INVITE_CLIENT: Final[Machine] = {
    (CALLING, TIMER_A): (CALLING, (RESEND_REQUEST, DOUBLE_A)),
    (CALLING, TIMER_B): (COMPLETED, (STOP_TIMERS, TIMEOUT)),
    (CALLING, GOT_100): (PROCEEDING, (STOP_TIMERS, START_C, PASS_UP)),
    (CALLING, GOT_1XX): (PROCEEDING, (STOP_TIMERS, START_C, PASS_UP)),
    (CALLING, GOT_2XX): (ACCEPTED, (STOP_TIMERS, PASS_UP)),
    (CALLING, GOT_NEGATIVE): (COMPLETED, (STOP_TIMERS, SEND_ACK, PASS_UP)),
    (PROCEEDING, GOT_100): (PROCEEDING, (PASS_UP,)),
    (PROCEEDING, GOT_1XX): (PROCEEDING, (START_C, PASS_UP)),
    (PROCEEDING, GOT_2XX): (ACCEPTED, (STOP_TIMERS, PASS_UP)),
    (PROCEEDING, GOT_NEGATIVE): (COMPLETED, (STOP_TIMERS, SEND_ACK, PASS_UP)),
    (PROCEEDING, TIMER_C): (COMPLETED, (STOP_TIMERS, TIMEOUT)),
    (COMPLETED, GOT_NEGATIVE): (COMPLETED, (SEND_ACK,)),
    (COMPLETED, GOT_2XX): (ACCEPTED, (PASS_UP,)),
    (ACCEPTED, GOT_2XX): (ACCEPTED, (PASS_UP,)),
}

NON_INVITE_CLIENT: Final[Machine] = {
    (TRYING, TIMER_A): (TRYING, (RESEND_REQUEST, DOUBLE_A)),
    (TRYING, TIMER_B): (COMPLETED, (STOP_TIMERS, TIMEOUT)),
    (TRYING, GOT_100): (PROCEEDING, (SLOW_A, PASS_UP)),
    (TRYING, GOT_1XX): (PROCEEDING, (SLOW_A, PASS_UP)),
    (TRYING, GOT_2XX): (COMPLETED, (STOP_TIMERS, PASS_UP)),
    (TRYING, GOT_NEGATIVE): (COMPLETED, (STOP_TIMERS, PASS_UP)),
    (PROCEEDING, TIMER_A): (PROCEEDING, (RESEND_REQUEST, SLOW_A)),
    (PROCEEDING, TIMER_B): (COMPLETED, (STOP_TIMERS, TIMEOUT)),
    (PROCEEDING, GOT_100): (PROCEEDING, (PASS_UP,)),
    (PROCEEDING, GOT_1XX): (PROCEEDING, (PASS_UP,)),
    (PROCEEDING, GOT_2XX): (COMPLETED, (STOP_TIMERS, PASS_UP)),
    (PROCEEDING, GOT_NEGATIVE): (COMPLETED, (STOP_TIMERS, PASS_UP)),
}

#: By the status of a reply: the client's event for it, and the server's for sending it.
REPLY_EVENTS: Final = (0,) * 100 + (GOT_100,) + (GOT_1XX,) * 99 + (GOT_2XX,) * 100 + (GOT_NEGATIVE,) * 400
SEND_EVENTS: Final = (0,) * 100 + (SEND_1XX,) * 100 + (SEND_2XX,) * 100 + (SEND_NEGATIVE,) * 400
