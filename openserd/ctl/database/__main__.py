"""The command line of openserdbctl, and of the names by which OpenSER's scripts are known."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

import click

from openserd import __version__
from openserd.core import schema
from openserd.ctl.config import FILES, Settings
from openserd.ctl.database import transfer, work
from openserd.ctl.database.stores import Store, open_store
from openserd.ctl.database.target import Target, find_target
from openserd.errors import OpenserError

#: The files that OpenSER's database scripts read besides openserctlrc's.
SCRIPT_FILES: Final = {
    "": (),
    "MYSQL": ("/etc/openser/.opensermysqlrc", "/usr/local/etc/openser/.opensermysqlrc", "~/.opensermysqlrc"),
    "PGSQL": ("/etc/openser/.openserpostgresqlrc", "/usr/local/etc/openser/.openserpostgresqlrc",
              "~/.openserpostgresqlrc"),
    "DBTEXT": ("/etc/openser/.openscdbtextrc", "/usr/local/etc/openser/.openscdbtextrc", "~/.openscdbtextrc"),
}  # fmt: skip


@dataclass
class Work:
    """What the command line says about the database."""

    url: str = ""
    engine: str = ""

    def target(self, name: str = "") -> Target:
        """The database to work on. Raises ConfigError."""
        settings = Settings((*FILES, *SCRIPT_FILES.get(self.engine, ())))
        return find_target(settings, self.engine, self.url, ask_password).named(name)

    def store(self, name: str = "") -> Store:
        """The same, ready. Raises ConfigError."""
        return open_store(self.target(name))


pass_work = click.make_pass_decorator(Work)
name_argument = click.argument("name", default="", metavar="[DATABASE]")


def ask_password(user: str) -> str:
    """The password of a user, asked for in a terminal."""
    if not sys.stdin.isatty():
        return ""
    return str(click.prompt(f"Password of database user {user}", default="", hide_input=True, show_default=False))


@contextmanager
def reported() -> Iterator[None]:
    """Errors as one line and exit code 1."""
    try:
        yield
    except OpenserError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'error'}: {error.strerror}") from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="openserdbctl")
@click.option("--url", default="", help="The database, such as sqlite:////var/lib/openser/openser.db.")
@click.option("--engine", default="", metavar="KIND", help="MYSQL, PGSQL, DBTEXT or SQLITE [DBENGINE in openserctlrc].")
@click.pass_context
def main(context: click.Context, url: str, engine: str) -> None:
    """Make, check, upgrade, copy and drop the databases of openserd.

    Without --url, the database is the one of openserctlrc: DBENGINE, DBHOST, DBNAME, DBTEXT_PATH, DB_PATH.
    """
    if context.obj is None:
        context.obj = Work(url, engine.upper())


def choose_sets(presence: bool | None, extra: bool | None, serweb: bool | None) -> list[str]:
    """The sets of tables to make; a terminal is asked about those that no option mentions."""
    return ["core", *(name for name, answer in (("presence", presence), ("extra", extra), ("serweb", serweb))
                      if (answer if answer is not None else asked(name)))]  # fmt: skip


def asked(name: str) -> bool:
    """Whether to make a set of tables: no, unless somebody says so."""
    return sys.stdin.isatty() and click.confirm(f"Make the {name} tables too?")


def with_sets(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that name sets of tables."""
    for name, what in (("serweb", "of SERWeb"), ("extra", "imc, cpl, sip_trace, domainpolicy"), ("presence", "")):
        text = f"Make the {name} tables too" + (f" ({what})." if what else ".")
        command = click.option(f"--{name}/--no-{name}", default=None, help=text)(command)
    return command


def confirm(what: str, yes: bool) -> None:
    """Asks before something is lost, in a terminal."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"{what}: everything in it will be lost. Go on?", abort=True)


@main.command()
@name_argument
@with_sets
@pass_work
def create(made: Work, name: str, presence: bool | None, extra: bool | None, serweb: bool | None) -> None:
    """Make a database with the core tables."""
    with reported():
        work.create(made.store(name), choose_sets(presence, extra, serweb), click.echo)


@main.command()
@name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_work
def drop(made: Work, name: str, yes: bool) -> None:
    """Remove a database with everything in it."""
    with reported():
        store = made.store(name)
        confirm(str(store.url), yes)
        store.drop()
        click.echo(f"{store.url} removed")


@main.command()
@name_argument
@with_sets
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_work
def reinit(made: Work, name: str, presence: bool | None, extra: bool | None, serweb: bool | None, yes: bool) -> None:
    """Remove a database and make it anew."""
    with reported():
        store = made.store(name)
        confirm(str(store.url), yes)
        store.drop()
        work.create(store, choose_sets(presence, extra, serweb), click.echo)


@main.command()
@pass_work
def backup(made: Work) -> None:
    """Write all tables to standard output, as text that `restore` reads, for any kind of database."""
    with reported():
        transfer.backup(made.store(), sys.stdout.buffer)


@main.command()
@click.argument("file", type=click.File("rb"))
@click.option("--force", is_flag=True, help="Remove the rows that are there.")
@pass_work
def restore(made: Work, file: BinaryIO, force: bool) -> None:
    """Load a backup."""
    with reported():
        transfer.restore(made.store(), file, force, click.echo)


@main.command()
@click.argument("new", metavar="NEW_DATABASE")
@pass_work
def copy(made: Work, new: str) -> None:
    """Copy to a new database: a name, a path or the URL of another kind."""
    with reported():
        transfer.copy(made.store(), made.store(new), click.echo)


@main.command()
@click.argument("old", metavar="OLD_DATABASE")
@click.argument("new", metavar="NEW_DATABASE")
@with_sets
@pass_work
def migrate(
    made: Work, old: str, new: str, presence: bool | None, extra: bool | None, serweb: bool | None
) -> None:  # fmt: skip
    """Make a new database and move the data of one of OpenSER 1.1 there."""
    with reported():
        transfer.migrate(made.store(old), made.store(new), choose_sets(presence, extra, serweb), click.echo)


@main.command()
@pass_work
def check(made: Work) -> None:
    """Compare tables, columns and versions with what openserd needs; exit code 1 when something differs."""
    with reported():
        store = made.store()
        findings = list(work.check(store))
        for finding in findings:
            click.echo(str(finding))
        click.echo(f"{store.url}: {f'{len(findings)} tables differ' if findings else 'as openserd needs it'}")
    if findings:
        sys.exit(1)


@main.command()
@pass_work
def upgrade(made: Work) -> None:
    """Make missing tables, add missing columns and note versions."""
    with reported():
        store = made.store()
        click.echo(f"{store.url}: {work.upgrade(store, click.echo)} tables changed")


@main.command(hidden=True)
@click.pass_context
def reinstall(context: click.Context) -> None:
    """Another name of `upgrade`, from the help of OpenSER's scripts."""
    context.invoke(upgrade)


def adding(name: str, what: str) -> click.Command:
    """The command that adds one set of tables."""

    @click.command(name, help=f"Add the {what}.")
    @click.argument("database", default="", metavar="[DATABASE]")
    @pass_work
    def add(made: Work, database: str) -> None:
        with reported():
            work.add_sets(made.store(database), [name], click.echo)

    return add


for set_name, described in {
    "presence": "presence tables", "extra": "tables of imc, cpl-c, siptrace and domainpolicy",
    "serweb": "tables and columns of SERWeb", "jabber": "tables of module jabber", "pa": "tables of module pa",
}.items():  # fmt: skip
    assert set_name in schema.SETS
    main.add_command(adding(set_name, described))


def main_mysql() -> None:
    """openser_mysql.sh."""
    main(prog_name="openser_mysql.sh", obj=Work(engine="MYSQL"))


def main_postgresql() -> None:
    """openser_postgresql.sh."""
    main(prog_name="openser_postgresql.sh", obj=Work(engine="PGSQL"))


def main_dbtext() -> None:
    """openser_dbtext.sh."""
    main(prog_name="openser_dbtext.sh", obj=Work(engine="DBTEXT"))


if __name__ == "__main__":
    main(prog_name="openserdbctl")
