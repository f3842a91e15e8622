"""Answers that come later, from another process: left in shared memory, fetched by the process of the FIFO.

    key      the ticket, "fifo:PID-NUMBER"
    payload  the answer as it goes over the FIFO

The caller's reply FIFO stays open meanwhile: were it closed, its reader would see the end of the answer.
"""

import os
from collections.abc import Container
from typing import Final

from openserd.core.context import Core
from openserd.core.management.mi import Reply
from openserd.core.management.text import render
from openserd.errors import ResourceError

CARRIER: Final = "fifo"
MAX_ANSWERS: Final = 256  #: not fetched yet
N_BUCKETS: Final = 64


class LaterAnswers:
    """The place where they are left."""

    def __init__(self, core: Core, indent: str) -> None:
        self.table = core.memory.table("later MI answers", MAX_ANSWERS, N_BUCKETS)
        self.indent = indent
        self.count = 0

    def new_ticket(self) -> str:
        """A ticket for one command; only the process of the FIFO gives them out."""
        self.count += 1
        return f"{CARRIER}:{os.getpid()}-{self.count}"

    def leave(self, ticket: str, reply: Reply) -> None:
        """Leaves an answer; one for which there is no room is lost. In any process."""
        key, table = ticket.encode(), self.table
        hash_ = table.hash(key)
        table.stripes.acquire(hash_)
        try:
            if not table.find(key, hash_):
                table.insert(key, hash_, render(reply, self.indent))
        except ResourceError:
            return
        finally:
            table.stripes.release(hash_)

    def take(self, ticket: str) -> bytes | None:
        """Fetches an answer, None where it has not come yet."""
        key, table = ticket.encode(), self.table
        hash_ = table.hash(key)
        table.stripes.acquire(hash_)
        try:
            slot = table.find(key, hash_)
            if not slot:
                return None
            text = table.payload(slot)
            table.remove(slot)
            return text
        finally:
            table.stripes.release(hash_)

    def forget_others(self, tickets: Container[str]) -> None:
        """Throws away answers for which nobody waits any more."""
        table = self.table
        for slot in list(table.slots()):
            hash_ = table.hash_of(slot)
            table.stripes.acquire(hash_)
            try:
                key = table.key(slot).decode() if table.is_live(slot, table.generation(slot)) else ""
                if key and key not in tickets:
                    table.remove(slot)
            finally:
                table.stripes.release(hash_)
