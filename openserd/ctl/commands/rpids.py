"""openserctl rpid: the Remote-Party-ID of subscribers."""

import click

from openserd.ctl.address import Address
from openserd.ctl.context import Control, pass_control
from openserd.ctl.tables import owned

COLUMNS = ("username", "domain", "rpid")


@click.group()
def rpid() -> None:
    """Look at and change the Remote-Party-ID of subscribers."""


@rpid.command()
@click.argument("user", required=False)
@pass_control
def show(control: Control, user: str | None) -> None:
    """Show the Remote-Party-ID of USER, or of everybody."""
    address = control.address(user) if user else None
    if address:
        control.tables.require_user(address)
    rows = control.tables.find("SUB_TABLE", COLUMNS, owned(address) if address else None, "username")
    control.show(COLUMNS, rows)


@rpid.command()
@click.argument("user")
@click.argument("value", metavar="RPID")
@pass_control
def add(control: Control, user: str, value: str) -> None:
    """Set the Remote-Party-ID of USER."""
    change(control, control.address(user), value)


@rpid.command()
@click.argument("user")
@pass_control
def rm(control: Control, user: str) -> None:
    """Take the Remote-Party-ID of USER away."""
    change(control, control.address(user), None)


def change(control: Control, address: Address, value: str | None) -> None:
    """Sets the column and prints the row."""
    control.tables.require_user(address)
    control.tables.update("SUB_TABLE", {"rpid": value}, owned(address))
    control.show(COLUMNS, control.tables.find("SUB_TABLE", COLUMNS, owned(address)))
