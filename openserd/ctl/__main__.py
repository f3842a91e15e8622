"""openserctl: manages a running openserd through its FIFO (OpenSER: scripts/openserctl).

Each command, or group of commands, is a file of this folder, imported and named in COMMANDS here.
"""

import signal
import sys

import click

from openserd import __version__
from openserd.ctl.client import FifoClient
from openserd.ctl.config import Settings
from openserd.ctl.context import Control
from openserd.ctl.fifo import fifo
from openserd.ctl.ps import ps
from openserd.ctl.ul import ul

COMMANDS = {"fifo": fifo, "ps": ps, "ul": ul, "usrloc": ul}


@click.group(commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="openserctl")
@click.option("--fifo", "path", metavar="PATH", help="The server's FIFO [OSER_FIFO in openserctlrc].")
@click.option("--reply-dir", metavar="PATH", help="The server's reply_dir [OSER_REPLY_DIR in openserctlrc].")
@click.pass_context
def main(context: click.Context, path: str | None, reply_dir: str | None) -> None:
    """Manage a running openserd."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    if context.obj is None:
        settings = Settings()
        client = FifoClient(path or settings.get("OSER_FIFO"), reply_dir or settings.get("OSER_REPLY_DIR"))
        context.obj = Control(settings, client)


@main.command()
def version() -> None:
    """Show the version of this tool."""
    click.echo(f"openserctl, version {__version__}")


def leave(number: int, frame: object) -> None:
    """Ends on a signal, but with everything tidied up."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main(prog_name="openserctl")
