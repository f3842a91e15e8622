"""openserctl db: the database itself."""

import click

from openserd.ctl.context import Control, pass_control
from openserd.ctl.tables import fail


@click.group()
def db() -> None:
    """Look at tables and run statements."""


@db.command()
@click.argument("table")
@pass_control
def show(control: Control, table: str) -> None:
    """Print TABLE."""
    columns = control.tables.columns(table)
    control.show(columns, control.tables.find(table, columns))


def answer(control: Control, statement: str, writes: bool) -> None:
    """Runs a statement and prints the rows that it answers."""
    rows = control.tables.run(statement, writes)
    if rows:
        control.show([""] * len(rows[0]), rows)


def statement_in(control: Control, variable: str) -> str:
    """The statement that a variable of the environment or of openserctlrc holds."""
    return control.settings.get(variable) or fail(f"{variable} holds no statement")


@click.command("exec")
@click.argument("statement", metavar="SQL")
@pass_control
def execute(control: Control, statement: str) -> None:
    """Run a statement."""
    answer(control, statement, writes=True)


@click.command("roexec")
@click.argument("statement", metavar="SQL")
@pass_control
def execute_read_only(control: Control, statement: str) -> None:
    """Run a statement that only reads, as the read-only user."""
    answer(control, statement, writes=False)


@db.command()
@click.argument("variable")
@pass_control
def run(control: Control, variable: str) -> None:
    """Run the statement that VARIABLE holds."""
    answer(control, statement_in(control, variable), writes=True)


@db.command()
@click.argument("variable")
@pass_control
def rorun(control: Control, variable: str) -> None:
    """Run the statement that VARIABLE holds as the read-only user."""
    answer(control, statement_in(control, variable), writes=False)


for names, command in ((("exec", "query"), execute), (("roexec", "roquery"), execute_read_only)):
    for name in names:
        db.add_command(command, name)
