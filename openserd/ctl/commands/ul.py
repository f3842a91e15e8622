"""openserctl ul and alias: what users have registered, and aliases that usrloc holds."""

import re
from collections.abc import Iterable

import click

from openserd.ctl.address import check_uri
from openserd.ctl.commands.users import is_alias
from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import checked, on_terminal, print_lines, print_table
from openserd.ctl.tables import fail

NODE = re.compile(r"\s*([\w-]+):: (.*)")
COLUMNS = ("AOR", "Contact", "Q", "Expires", "User-agent")
ALL_METHODS = "4294967295"
GREATEST = 0xFFFFFFFF


def location_group(name: str, table: str, text: str, *, of_aliases: bool = False) -> click.Group:
    """The commands about one table of usrloc, which the variable `table` names."""
    group = click.Group(name, help=text)

    @group.command()
    @click.argument("user", required=False)
    @click.option("--brief", is_flag=True, help="Addresses of record only.")
    @pass_control
    def show(control: Control, user: str | None, brief: bool) -> None:
        """Show the contacts of USER, or of everybody."""
        if user is None:
            show_all(control, brief)
        else:
            print_lines(checked(control.client.call("ul_show_contact", *named(control, table, user))))

    @group.command()
    @click.argument("user")
    @click.argument("uri")
    @click.argument("expires", type=click.IntRange(0, GREATEST), default=0)
    @pass_control
    def add(control: Control, user: str, uri: str, expires: int) -> None:
        """Add URI to the contacts of USER, for EXPIRES seconds or for ever."""
        if of_aliases:
            check_alias(control, user)
        where = named(control, table, user)
        print_lines(checked(control.client.call(
            "ul_add", *where, check_uri(uri), str(expires), "1.00", "0", "0", "0", ALL_METHODS
        )))  # fmt: skip

    @group.command()
    @click.argument("user")
    @click.argument("uri", required=False)
    @pass_control
    def rm(control: Control, user: str, uri: str | None) -> None:
        """Remove the contact URI of USER, or all."""
        where = named(control, table, user)
        call = ("ul_rm", *where) if uri is None else ("ul_rm_contact", *where, check_uri(uri))
        print_lines(checked(control.client.call(*call)))

    return group


def named(control: Control, table: str, user: str) -> tuple[str, str]:
    """The table and the address of record, as the server's commands take them."""
    return control.settings.get(table), control.settings.address_of(user)


def check_alias(control: Control, user: str) -> None:
    """Raises click.ClickException for an alias that is a subscriber or an alias already; ALIASES_TYPE tells where to
    look."""
    if not control.settings.get("ALIASES_TYPE"):
        return
    address = control.address(user)
    if control.tables.is_user(address):
        fail(f"{address} is a subscriber")
    if is_alias(control, address):
        fail(f"{address} is an alias already")


def show_all(control: Control, brief: bool) -> None:
    """Prints everything that usrloc holds."""
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


ul = location_group("ul", "UL_TABLE", "Look at and change the location table.")
alias = location_group("alias", "ALS_TABLE", "Look at and change aliases that usrloc holds.", of_aliases=True)


@click.command()
@pass_control
def online(control: Control) -> None:
    """List the names of those who have registered."""
    reply = checked(control.client.call("ul_dump", "brief"))
    found = (NODE.fullmatch(line) for line in reply.lines)
    for name in sorted({node[2] for node in found if node and node[1] == "AOR"}):
        click.echo(name)
