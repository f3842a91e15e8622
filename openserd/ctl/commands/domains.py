"""openserctl domain: the domains that the server is responsible for."""

import click

from openserd.ctl.address import DOMAIN
from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import checked, print_lines
from openserd.ctl.tables import fail

RELOAD = "`openserctl domain reload` tells a running server with db_mode 1"
COLUMNS = ("domain", "last_modified")


@click.group()
def domain() -> None:
    """Look at and change the server's domains."""


@domain.command()
@pass_control
def show(control: Control) -> None:
    """Show the domains that the running server has read."""
    print_lines(checked(control.client.call("domain_dump")))


@domain.command()
@pass_control
def reload(control: Control) -> None:
    """Have the running server read the table again."""
    print_lines(checked(control.client.call("domain_reload")))


@domain.command()
@pass_control
def showdb(control: Control) -> None:
    """Show the table of domains."""
    control.show(COLUMNS, control.tables.find("DOMAIN_TABLE", COLUMNS, order="domain"))


@domain.command()
@click.argument("name", metavar="DOMAIN")
@pass_control
def add(control: Control, name: str) -> None:
    """Add DOMAIN to the table."""
    if DOMAIN.fullmatch(name) is None:
        raise click.UsageError(f"{name!r} is no domain")
    if control.tables.has("DOMAIN_TABLE", {"domain": name}):
        fail(f"domain {name} is there already")
    control.tables.insert("DOMAIN_TABLE", {"domain": name, **control.tables.dated("DOMAIN_TABLE", "last_modified")})
    click.echo(f"domain {name} added; {RELOAD}")


@domain.command()
@click.argument("name", metavar="DOMAIN")
@pass_control
def rm(control: Control, name: str) -> None:
    """Remove DOMAIN from the table."""
    if not control.tables.delete("DOMAIN_TABLE", {"domain": name}):
        fail(f"there is no domain {name}")
    click.echo(f"domain {name} removed; {RELOAD}")
