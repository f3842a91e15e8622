"""What every command of openserctl is given."""

from dataclasses import dataclass
from typing import Protocol

import click

from openserd.ctl.client import Reply
from openserd.ctl.config import Settings


class Client(Protocol):
    """Whatever carries commands to the server."""

    def call(self, command: str, *arguments: str) -> Reply:
        """The server's reply."""


@dataclass
class Control:
    """The settings and the way to the server."""

    settings: Settings
    client: Client


pass_control = click.make_pass_decorator(Control)
