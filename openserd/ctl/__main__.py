"""openserctl: manages users in the database, and a running openserd through its FIFO (OpenSER: scripts/openserctl).

Each command, or group of commands, is a file of `commands/`, imported and named in COMMANDS here.
"""

import signal
import sys

import click

from openserd import __version__
from openserd.ctl.client import Client, FifoClient
from openserd.ctl.commands.acl import acl
from openserd.ctl.commands.aliases import alias_db
from openserd.ctl.commands.avps import avp
from openserd.ctl.commands.daemon import restart, start, stop
from openserd.ctl.commands.db import db
from openserd.ctl.commands.domains import domain
from openserd.ctl.commands.fifo import fifo
from openserd.ctl.commands.lcr import lcr
from openserd.ctl.commands.monitor import monitor
from openserd.ctl.commands.ps import ps
from openserd.ctl.commands.requests import cisco_restart, ping
from openserd.ctl.commands.rpids import rpid
from openserd.ctl.commands.speeddials import speeddial
from openserd.ctl.commands.tls import tls
from openserd.ctl.commands.ul import alias, online, ul
from openserd.ctl.commands.unixsock import SocketClient, unixsock
from openserd.ctl.commands.users import add, mail, passwd, rm
from openserd.ctl.config import Settings
from openserd.ctl.context import Control

COMMANDS = {
    "add": add, "passwd": passwd, "rm": rm, "mail": mail, "email": mail,
    "acl": acl, "rpid": rpid, "alias_db": alias_db, "aliasdb": alias_db,
    "speeddial": speeddial, "speed_dial": speeddial, "avp": avp, "domain": domain, "db": db,
    "ul": ul, "usrloc": ul, "alias": alias, "online": online,
    "monitor": monitor, "moni": monitor, "con": monitor, "console": monitor,
    "start": start, "stop": stop, "restart": restart,
    "lcr": lcr, "tls": tls,
    "fifo": fifo, "unixsock": unixsock, "ps": ps, "ping": ping, "cisco_restart": cisco_restart,
}  # fmt: skip


@click.group(commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="openserctl")
@click.option("--fifo", "path", metavar="PATH", help="The server's FIFO [OSER_FIFO in openserctlrc].")
@click.option("--reply-dir", metavar="PATH", help="The server's reply_dir [OSER_REPLY_DIR in openserctlrc].")
@click.option("--url", default="", help="The database [DBENGINE and its companions in openserctlrc].")
@click.pass_context
def main(context: click.Context, path: str | None, reply_dir: str | None, url: str) -> None:
    """Manage users and a running openserd."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    if context.obj is None:
        settings = Settings()
        context.obj = Control(settings, client_of(settings, path, reply_dir), url)


def client_of(settings: Settings, path: str | None = None, reply_dir: str | None = None) -> Client:
    """The way to the server: the FIFO, or the control socket where CTLENGINE says so and no FIFO is named."""
    engine = settings.get("CTLENGINE").upper()
    if engine not in ("FIFO", "UNIXSOCK"):
        raise click.UsageError(f"CTLENGINE is {engine!r}: FIFO or UNIXSOCK is expected")
    if engine == "UNIXSOCK" and path is None:
        return SocketClient(settings.get("OSER_UNIXSOCK"))
    return FifoClient(path or settings.get("OSER_FIFO"), reply_dir or settings.get("OSER_REPLY_DIR"))


@main.command()
def version() -> None:
    """Show the version of this tool."""
    click.echo(f"openserctl, version {__version__}")


def leave(number: int, frame: object) -> None:
    """Ends on a signal, but with everything tidied up."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main(prog_name="openserctl")
