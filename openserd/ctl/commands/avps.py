"""openserctl avp: the preferences of users, which module avpops reads."""

from collections.abc import Callable

import click

from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import help_command
from openserd.ctl.tables import owned

COLUMNS = ("uuid", "username", "domain", "attribute", "type", "value")

table_option = click.option("-T", "table", default="AVP_TABLE", metavar="TABLE", help="The table [AVP_TABLE].")


def with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that choose rows."""
    for names, kind, text in (
        (("-t", "kind"), int, "Only of this type."),
        (("-v", "value"), str, "Only with this value."),
        (("-a", "attribute"), str, "Only with this name."),
        (("-u", "owner"), str, "Only of this user@domain or uuid."),
    ):
        command = click.option(*names, type=kind, help=text, metavar=names[1].upper())(command)
    return table_option(command)


def chosen(
    control: Control, owner: str | None, attribute: str | None, value: str | None, kind: int | None
) -> dict[str, str | int]:
    """The columns that the options fix."""
    of_owner = whose(control, owner) if owner is not None else {}
    rest = {"attribute": attribute, "value": value, "type": kind}
    return {**of_owner, **{name: given for name, given in rest.items() if given is not None}}


def whose(control: Control, owner: str) -> dict[str, str]:
    """The columns that say whose a preference is: user@domain, anything else is an uuid."""
    return owned(control.address(owner)) if "@" in owner else {"uuid": owner}


@click.group()
def avp() -> None:
    """Look at and change the preferences of users."""


avp.add_command(help_command(avp))


@avp.command("list")
@with_filters
@pass_control
def list_avps(
    control: Control, table: str, owner: str | None, attribute: str | None, value: str | None, kind: int | None
) -> None:  # fmt: skip
    """List preferences, all or those that the options choose."""
    where = chosen(control, owner, attribute, value, kind)
    control.show(COLUMNS, control.tables.find(table, COLUMNS, where))


@avp.command(context_settings={"ignore_unknown_options": True})
@table_option
@click.argument("owner")
@click.argument("attribute")
@click.argument("kind", type=int, metavar="TYPE")
@click.argument("value")
@pass_control
def add(control: Control, table: str, owner: str, attribute: str, kind: int, value: str) -> None:
    """Add a preference of OWNER, an user@domain or uuid."""
    row = {"uuid": "", "username": "", "domain": ""} | whose(control, owner)
    dated = control.tables.dated(table, "last_modified")
    control.tables.insert(table, {**row, "attribute": attribute, "type": kind, "value": value, **dated})
    click.echo(f"{attribute} of {owner} added")


@avp.command()
@with_filters
@click.option("-y", "--yes", is_flag=True, help="Remove all preferences without asking.")
@pass_control
def rm(
    control: Control, table: str, owner: str | None, attribute: str | None, value: str | None, kind: int | None,
    yes: bool,
) -> None:  # fmt: skip
    """Remove the preferences that the options choose."""
    where = chosen(control, owner, attribute, value, kind)
    if not where and not yes:
        click.confirm("No option chooses: all preferences will be removed. Go on?", abort=True, err=True)
    click.echo(f"{control.tables.delete(table, where)} removed")
