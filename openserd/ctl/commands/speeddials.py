"""openserctl speeddial: short numbers of users."""

import click

from openserd.ctl.address import check_user_uri
from openserd.ctl.commands.aliases import addresses
from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import help_command
from openserd.ctl.tables import fail, owned

SHORT = ("sd_username", "sd_domain")
OWNER = ("username", "domain")
MEANING = ("new_uri", "description")


@click.group()
def speeddial() -> None:
    """Look at and change the short numbers of users."""


speeddial.add_command(help_command(speeddial))


@speeddial.command("list")
@click.argument("user", required=False)
@pass_control
def list_numbers(control: Control, user: str | None) -> None:
    """List the short numbers of USER, or of everybody."""
    if user:
        rows = control.tables.find("SD_TABLE", SHORT + MEANING, owned(control.address(user)))
        control.show(("short number", *MEANING), joined(rows, 2))
    else:
        rows = control.tables.find("SD_TABLE", SHORT + OWNER + MEANING, order="username")
        control.show(("short number", "user", *MEANING), joined(rows, 4))


def joined(rows: list[list[str]], n: int) -> list[list[str]]:
    """Rows whose first `n` values are users and domains, as addresses."""
    return [[*addresses([row[:n]])[0], *row[n:]] for row in rows]


@speeddial.command()
@click.argument("number", metavar="SHORT_NUMBER")
@pass_control
def show(control: Control, number: str) -> None:
    """Show who has SHORT_NUMBER and what it stands for."""
    short = control.address(number)
    rows = control.tables.find("SD_TABLE", OWNER + MEANING, owned(short, "sd_"))
    if not rows:
        fail(f"nobody has the short number {short}")
    control.show(("user", *MEANING), joined(rows, 2))


@speeddial.command()
@click.argument("user")
@click.argument("number", metavar="SHORT_NUMBER")
@click.argument("uri", metavar="NEW_URI")
@click.argument("description", default="")
@pass_control
def add(control: Control, user: str, number: str, uri: str, description: str) -> None:
    """Give USER the SHORT_NUMBER, which stands for NEW_URI."""
    owner, short = control.address(user), control.address(number)
    row = owned(owner) | owned(short, "sd_")
    if control.tables.has("SD_TABLE", row):
        fail(f"{owner} has the short number {short} already")
    control.tables.insert("SD_TABLE", {**row, "new_uri": check_user_uri(uri), "description": description})
    click.echo(f"short number {short} of {owner} added")


@speeddial.command()
@click.argument("user")
@click.argument("number", metavar="SHORT_NUMBER")
@pass_control
def rm(control: Control, user: str, number: str) -> None:
    """Remove the SHORT_NUMBER of USER."""
    owner, short = control.address(user), control.address(number)
    if not control.tables.delete("SD_TABLE", owned(owner) | owned(short, "sd_")):
        fail(f"{owner} has no short number {short}")
    click.echo(f"short number {short} of {owner} removed")
