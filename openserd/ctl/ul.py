"""openserctl ul: what users have registered."""

import re
from collections.abc import Iterable

import click

from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import checked, on_terminal, print_lines, print_table

NODE = re.compile(r"\s*([\w-]+):: (.*)")
COLUMNS = ("AOR", "Contact", "Q", "Expires", "User-agent")


@click.group()
def ul() -> None:
    """Look at the location table."""


@ul.command()
@click.argument("user", required=False)
@click.option("--brief", is_flag=True, help="Addresses of record only.")
@pass_control
def show(control: Control, user: str | None, brief: bool) -> None:
    """Show the contacts of USER, or of everybody."""
    if user is not None:
        table = control.settings.get("UL_TABLE")
        print_lines(checked(control.client.call("ul_show_contact", table, control.settings.address_of(user))))
        return
    reply = checked(control.client.call("ul_dump", *(["brief"] if brief else [])))
    if brief or not on_terminal():
        print_lines(reply)
    else:
        print_table(COLUMNS, contact_rows(reply.lines))


def contact_rows(lines: Iterable[str]) -> list[list[str]]:
    """One row a contact out of the lines of `ul_dump`, the address of record on its first row only."""
    rows: list[list[str]] = []
    aor = ""
    for line in lines:
        node = NODE.fullmatch(line)
        if node is None:
            continue
        name, value = node.groups()
        if name == "AOR":
            aor = value
        elif name == "Contact":
            uri, _, q = value.rpartition(" Q=")
            rows.append([aor, uri or value, q if uri else "", "", ""])
            aor = ""
        elif name in COLUMNS and rows:
            rows[-1][COLUMNS.index(name)] = value
    return rows
