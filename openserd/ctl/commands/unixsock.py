"""openserctl unixsock: any MI command through the core's control socket, and the client for it.

A request is one datagram, sent from a socket in a folder that only this process and the server may look into; the reply
is one datagram to that socket (docs/core-parameters.md, unix_sock).
"""

import errno
import os
import socket
import tempfile
from typing import Final

import click

from openserd.ctl.client import TIMEOUT, Reply, Unanswered, parse_reply, request
from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import checked, print_lines

LARGEST_REPLY: Final = 262_144


class SocketClient:
    """Sends commands to the server whose control socket is at `path`."""

    def __init__(self, path: str, timeout: float = TIMEOUT) -> None:
        self.path = path
        self.timeout = timeout

    def call(self, command: str, *arguments: str) -> Reply:
        """The server's reply. Raises Unanswered where there is none."""
        data = request(command, "", arguments)
        with (
            tempfile.TemporaryDirectory(prefix="openserctl-") as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own,
        ):
            own.settimeout(self.timeout)
            try:
                own.bind(f"{folder}/reply")
                self.admit(folder)
                own.connect(self.path)
                own.send(data)
                return parse_reply(own.recv(LARGEST_REPLY))
            except TimeoutError:
                raise Unanswered(f"openserd did not answer within {self.timeout:g} s") from None
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
                    raise Unanswered(
                        f"openserd is not running or has another unix_sock; looked at {self.path}"
                    ) from None
                raise Unanswered(f"{self.path}: {error.strerror or error}") from None

    def admit(self, folder: str) -> None:
        """Lets the server, whom the owner of its socket stands for, send to the socket in `folder`."""
        owner = os.stat(self.path)
        if owner.st_uid != os.geteuid() and os.geteuid() == 0:
            for path in (f"{folder}/reply", folder):
                os.chown(path, owner.st_uid, owner.st_gid)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_control
def unixsock(control: Control, command: str, arguments: tuple[str, ...]) -> None:
    """Send COMMAND with its ARGUMENTS through the control socket (OSER_UNIXSOCK) and print the reply."""
    client = SocketClient(control.settings.get("OSER_UNIXSOCK"), control.client.timeout)
    print_lines(checked(client.call(command, *arguments)))
