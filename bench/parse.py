#!/usr/bin/env python3
"""What parsing costs: microseconds per message, the constructor alone and all that a proxy needs.

    .venv/bin/python bench/parse.py [repeats]

A proxy needs Via1, both tags, Call-ID, CSeq, Max-Forwards, Route (and looks for Contact); the third adds
what is asked of every request or reply before routing.  Each figure is the best of many short loops.
"""

import sys
import time
from collections.abc import Callable

from openserd.parser import names
from openserd.parser.message import Message

SDP = (
    b"v=0\r\no=alice 53655765 2353687637 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    b"m=audio 6000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)
DIALOG = (
    b'From: "Alice" <sip:alice@example.com>;tag=1928301774\r\nTo: <sip:bob@example.org>%b\r\n'
    b"Call-ID: a84b4c76e66710@pc33.example.com\r\nCSeq: 314159 %b\r\n"
)
VIA = b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776asdhds;rport\r\nMax-Forwards: 70\r\n"
TO_TAG = b";tag=a6c85cf"
ROUTE = b"Route: <sip:192.0.2.1;lr;ftag=1928301774>\r\n"

INVITE = (
    b"INVITE sip:bob@example.org:5060 SIP/2.0\r\n" + VIA + DIALOG % (b"", b"INVITE")
    + b"Contact: <sip:alice@192.0.2.10:5060>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY\r\n"
    + b"Supported: replaces, timer\r\nUser-Agent: Example phone 1.0 (build 20260101)\r\n"
    + b"Date: Sat, 13 Nov 2010 23:29:00 GMT\r\nAccept: application/sdp\r\n"
    + b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(SDP) + SDP
)  # fmt: skip
OK = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK4b43c2ff8.1\r\n" + VIA
    + b"Record-Route: <sip:192.0.2.1;lr;ftag=1928301774>\r\n" + DIALOG % (TO_TAG, b"INVITE")
    + b"Contact: <sip:bob@192.0.2.20>\r\nContent-Type: application/sdp\r\n"
    + b"Content-Length: %d\r\n\r\n" % len(SDP) + SDP
)  # fmt: skip
ACK = (
    b"ACK sip:bob@192.0.2.20 SIP/2.0\r\n" + VIA + ROUTE + DIALOG % (TO_TAG, b"ACK")
    + b"Content-Length: 0\r\n\r\n"
)  # fmt: skip
BYE = ACK.replace(b"ACK", b"BYE")
REGISTER = (
    b"REGISTER sip:example.org SIP/2.0\r\n" + VIA + DIALOG % (b"", b"REGISTER")
    + b"Contact: <sip:alice@192.0.2.10:5060>;expires=3600\r\nUser-Agent: Example phone 1.0\r\n"
    + b"Content-Length: 0\r\n\r\n"
)  # fmt: skip
MESSAGES = (("INVITE", INVITE), ("200", OK), ("ACK", ACK), ("BYE", BYE), ("REGISTER", REGISTER))


def proxy_needs(buf: bytes) -> Message:
    """A message with everything read that a proxy asks of it."""
    msg = Message(buf)
    _ = msg.top_via(), msg.from_tag, msg.to_tag, msg.call_id, msg.cseq, msg.max_forwards, msg.routes
    msg.find(names.CONTACT)
    return msg


def validated(buf: bytes) -> Message:
    """As `proxy_needs`, and checked as before routing."""
    msg = proxy_needs(buf)
    if msg.is_request:
        msg.validate_request()
    else:
        msg.validate_reply()
    return msg


def best_us(work: Callable[[bytes], Message], buf: bytes, repeats: int) -> float:
    """The shortest time of one call in microseconds, over `repeats` loops of 100 calls."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(100):
            work(buf)
        best = min(best, time.perf_counter() - begin)
    return best * 1e4


def main() -> None:
    """Prints the table; the mean is over the five kinds of message."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rows = [[best_us(work, buf, repeats) for work in (Message, proxy_needs, validated)] for _, buf in MESSAGES]
    print(f"{'us':10} {'bytes':>6} {'headers':>8} {'split':>7} {'proxy':>7} {'checked':>8}")
    for (name, buf), row in zip(MESSAGES, rows, strict=True):
        count = len(Message(buf).hdr_ids)
        print(f"{name:10} {len(buf):6} {count:8} {row[0]:7.2f} {row[1]:7.2f} {row[2]:8.2f}")
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    print(f"{'mean':10} {'':6} {'':8} {means[0]:7.2f} {means[1]:7.2f} {means[2]:8.2f}")


if __name__ == "__main__":
    main()
