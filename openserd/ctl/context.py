"""What every command of openserctl is given."""

from dataclasses import dataclass
from functools import cached_property

import click

from openserd.ctl.address import Address, parse_address
from openserd.ctl.client import Client
from openserd.ctl.config import Settings
from openserd.ctl.output import on_terminal, print_table
from openserd.ctl.tables import Tables
from openserd.ctl.verbose import ToldClient


@dataclass
class Control:
    """The settings, the way to the server, and the database."""

    settings: Settings
    client: Client
    url: str = ""  #: the database, where the command line names one

    def __post_init__(self) -> None:
        if self.settings.is_verbose:
            self.client = ToldClient(self.client)

    @cached_property
    def tables(self) -> Tables:
        """The database."""
        return Tables(self.settings, self.url)

    def address(self, text: str) -> Address:
        """The address of a user. Raises click.UsageError."""
        return parse_address(self.settings, text)

    def show(self, columns: tuple[str, ...] | list[str], rows: list[list[str]]) -> None:
        """Rows: as a table for a person, with tabs between values everywhere else."""
        if on_terminal() and not self.settings.get("NOHLPRINT"):
            print_table(columns, rows)
            return
        for row in rows:
            click.echo("\t".join(map(one_line, row)))


def one_line(value: str) -> str:
    """A value that does not break a row."""
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


pass_control = click.make_pass_decorator(Control)
