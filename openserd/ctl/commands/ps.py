"""openserctl ps: the processes of the server."""

import re

import click

from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import checked, on_terminal, print_lines, print_table

PROCESS = re.compile(r"Process::\s+ID=(\d+) PID=(\d+) Type=(.*)")


@click.command()
@pass_control
def ps(control: Control) -> None:
    """Show the processes of the server."""
    reply = checked(control.client.call("ps"))
    if not on_terminal():
        print_lines(reply)
        return
    rows = [found.groups() for line in reply.lines if (found := PROCESS.fullmatch(line))]
    print_table(("ID", "PID", "Type"), rows)
