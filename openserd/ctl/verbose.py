"""VERBOSE of openserctlrc: what the tool asks of the database and of the server is told on stderr."""

import time
from collections.abc import Iterable, Mapping

import click

from openserd.ctl.client import Client, Reply, Unanswered


def told(verb: str, table: str, columns: Iterable[str] = (), where: Mapping[str, object] | None = None) -> str:
    """An operation in a line. What is written is left out, as passwords are in it."""
    text = f"{verb} {table}"
    if names := ", ".join(columns):
        text += f" ({names})"
    if where:
        text += " where " + " and ".join(f"{name}={value!r}" for name, value in where.items())
    return text


class ToldClient:
    """A way to the server that tells each command, how it was answered and in how many milliseconds."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.timeout = client.timeout

    def call(self, command: str, *arguments: str) -> Reply:
        """The server's reply. Raises Unanswered."""
        begun = time.monotonic()
        outcome = "no answer"
        try:
            self.client.timeout = self.timeout
            reply = self.client.call(command, *arguments)
            outcome = f"{reply.code} {reply.reason}"
            return reply
        except Unanswered as unanswered:
            outcome = unanswered.message
            raise
        finally:
            took = (time.monotonic() - begun) * 1000
            click.echo(f"{' '.join((command, *arguments))}: {outcome}, {took:.0f} ms", err=True)
