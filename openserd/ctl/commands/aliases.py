"""openserctl alias_db: other names of users, in the database."""

import click

from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import help_command
from openserd.ctl.tables import fail, owned

ALIAS = ("alias_username", "alias_domain")
OWNER = ("username", "domain")


@click.group()
def alias_db() -> None:
    """Look at and change the aliases in the database."""


alias_db.add_command(help_command(alias_db))


def addresses(rows: list[list[str]]) -> list[list[str]]:
    """Rows of user, domain, user, domain ... as rows of addresses."""
    return [[f"{row[i]}@{row[i + 1]}" for i in range(0, len(row), 2)] for row in rows]


@alias_db.command("list")
@click.argument("user", required=False)
@pass_control
def list_aliases(control: Control, user: str | None) -> None:
    """List the aliases of USER, or all with their owners."""
    if user:
        rows = control.tables.find("DA_TABLE", ALIAS, owned(control.address(user)))
        control.show(("alias",), addresses(rows))
    else:
        control.show(("alias", "user"), addresses(control.tables.find("DA_TABLE", ALIAS + OWNER, order="username")))


@alias_db.command()
@click.argument("alias")
@pass_control
def show(control: Control, alias: str) -> None:
    """Show whose ALIAS is."""
    address = control.address(alias)
    rows = control.tables.find("DA_TABLE", OWNER, owned(address, "alias_"))
    if not rows:
        fail(f"there is no alias {address}")
    control.show(("user",), addresses(rows))


@alias_db.command()
@click.argument("alias")
@click.argument("user")
@pass_control
def add(control: Control, alias: str, user: str) -> None:
    """Make ALIAS another name of USER."""
    name, owner = control.address(alias), control.address(user)
    if control.tables.has("DA_TABLE", owned(name, "alias_")):
        fail(f"alias {name} is there already")
    control.tables.insert("DA_TABLE", owned(owner) | owned(name, "alias_"))
    click.echo(f"alias {name} of {owner} added")


@alias_db.command()
@click.argument("alias")
@pass_control
def rm(control: Control, alias: str) -> None:
    """Remove ALIAS."""
    name = control.address(alias)
    if not control.tables.delete("DA_TABLE", owned(name, "alias_")):
        fail(f"there is no alias {name}")
    click.echo(f"alias {name} removed")
