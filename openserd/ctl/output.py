"""How replies are printed: tables on a terminal, the server's own lines everywhere else."""

import sys
from collections.abc import Sequence

import click

from openserd.ctl.client import Reply


def on_terminal() -> bool:
    """Whether a person looks at the output."""
    return sys.stdout.isatty()


def help_command(group: click.Group) -> click.Command:
    """The command `help` of a group."""

    @click.command("help", help="Show the commands of this group.")
    @click.pass_context
    def show(context: click.Context) -> None:
        click.echo(group.get_help(context.parent or context))

    return show


def checked(reply: Reply) -> Reply:
    """`reply`; where it is an error, prints it and ends with code 1."""
    if not reply.is_ok:
        click.echo(f"{reply.code} {reply.reason}", err=True)
        for line in reply.lines:
            click.echo(line, err=True)
        raise SystemExit(1)
    return reply


def print_lines(reply: Reply) -> None:
    """The reply as it came, without `200 OK`."""
    if reply.code != 200:
        click.echo(f"{reply.code} {reply.reason}")
    for line in reply.lines:
        click.echo(line)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for a terminal; aligned columns where rich is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        print_columns(columns, rows)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def print_columns(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The same with blanks."""
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
