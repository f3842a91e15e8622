"""openserctl fifo: any MI command."""

import click

from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import checked, print_lines


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_control
def fifo(control: Control, command: str, arguments: tuple[str, ...]) -> None:
    """Send COMMAND with its ARGUMENTS and print the reply.

    `openserctl fifo which` lists the commands of the running server.
    """
    print_lines(checked(control.client.call(command, *arguments)))
