"""openserctl acl: which groups users are in."""

import click

from openserd.ctl.address import Address
from openserd.ctl.context import Control, pass_control
from openserd.ctl.tables import owned

COLUMNS = ("username", "domain", "grp", "last_modified")


@click.group()
def acl() -> None:
    """Look at and change the groups of users."""


@acl.command()
@click.argument("user", required=False)
@pass_control
def show(control: Control, user: str | None) -> None:
    """Show the groups of USER, or of everybody."""
    show_groups(control, control.address(user) if user else None)


def show_groups(control: Control, address: Address | None) -> None:
    """Prints the groups of somebody, or of all."""
    rows = control.tables.find("ACL_TABLE", COLUMNS, owned(address) if address else None)
    control.show(COLUMNS, sorted(rows))


@acl.command()
@click.argument("user")
@click.argument("groups", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether somebody who is no subscriber is meant.")
@pass_control
def grant(control: Control, user: str, groups: tuple[str, ...], yes: bool) -> None:
    """Put USER into GROUPS, which ACL_GROUPS must list unless VERIFY_ACL is 0."""
    address = control.address(user)
    if not yes and not control.tables.is_user(address):
        click.confirm(f"{address} is no subscriber. Go on?", abort=True, err=True)
    refused = [group for group in groups if not is_permitted(control, group)]
    for group in groups:
        if group not in refused:
            add_to(control, address, group)
    show_groups(control, address)
    if refused:
        raise click.ClickException(f"{', '.join(refused)} not granted: ACL_GROUPS has {permitted(control)}")


def permitted(control: Control) -> str:
    """The groups that may be granted."""
    return " ".join(control.settings.get("ACL_GROUPS").split())


def is_permitted(control: Control, group: str) -> bool:
    """Whether a group may be granted."""
    return control.settings.get("VERIFY_ACL") == "0" or group in permitted(control).split()


def add_to(control: Control, address: Address, group: str) -> None:
    """Makes somebody a member, unless that is so already."""
    row = owned(address) | {"grp": group}
    if not control.tables.has("ACL_TABLE", row):
        control.tables.insert("ACL_TABLE", {**row, **control.tables.dated("ACL_TABLE", "last_modified")})


@acl.command()
@click.argument("user")
@click.argument("group", required=False)
@pass_control
def revoke(control: Control, user: str, group: str | None) -> None:
    """Take USER out of GROUP, or out of all groups."""
    address = control.address(user)
    control.tables.delete("ACL_TABLE", owned(address) | ({"grp": group} if group else {}))
    show_groups(control, address)
