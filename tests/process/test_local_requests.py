"""Requests that the server makes itself, asked for through the FIFO."""

import os
import signal
import threading
from pathlib import Path

from tests.process.conftest import PhoneMaker
from tests.support import Server, hello_world, wait_until


def test_t_uac_dlg_answers_although_the_worker_that_could_have_seen_the_reply_first_is_dead(
    tmp_path: Path, phone: PhoneMaker
) -> None:
    with Server(hello_world(), tmp_path) as server:
        callee = phone("bob", server)
        replies: list[object] = []

        def ask() -> None:
            headers = '"From: <sip:me@a>\nTo: <sip:bob@a>\nX-Mine: 1"'
            replies.append(server.mi("t_uac_dlg", "OPTIONS", callee.contact, ".", ".", headers, timeout=15.0))

        asking = threading.Thread(target=ask)
        asking.start()
        request = callee.receive_request("OPTIONS")
        assert (request.get("x-mine"), request.cseq) == ("1", 10)
        victims = server.workers()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(server.workers()) - set(victims)) == len(victims), 5.0, "successors")
        server.wait_for_answer()
        assert replies == []
        callee.reply(request, 200)
        asking.join(10.0)
        [reply] = replies
        assert reply.code == 200, str(reply)  # type: ignore[attr-defined]
        assert reply.lines[0].startswith("200 OK"), str(reply)  # type: ignore[attr-defined]
        assert server.mi("which").code == 200


def test_management_goes_on_while_an_answer_is_awaited(tmp_path: Path, phone: PhoneMaker) -> None:
    with Server(hello_world(params=['"tm", "fr_timer", 2']), tmp_path) as server:
        callee = phone("bob", server)
        replies: list[object] = []
        arguments = ("OPTIONS", callee.contact, ".", ".", '"From: <sip:me@a>\nTo: <sip:bob@a>"')
        asking = threading.Thread(target=lambda: replies.append(server.mi("t_uac_dlg", *arguments, timeout=10.0)))
        asking.start()
        callee.receive_request("OPTIONS")
        assert server.mi("uptime").code == 200
        asking.join(10.0)
        [reply] = replies
        assert reply.lines[0].startswith("408"), str(reply)  # type: ignore[attr-defined]
