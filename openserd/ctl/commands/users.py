"""openserctl add, passwd, rm, mail: the table of subscribers."""

import secrets
import shutil
import subprocess

import click

from openserd.ctl.address import Address
from openserd.ctl.client import Unanswered
from openserd.ctl.context import Control, pass_control
from openserd.ctl.tables import fail, owned
from openserd.mods.auth.digest import ALGORITHMS, calc_ha1

password_argument = click.argument("password", required=False)


def password_of(given: str | None) -> str:
    """The password on the command line or, where there is none, one that is asked for."""
    password = given if given is not None else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not password:
        raise click.UsageError("the password is empty")
    return str(password)


def credentials(control: Control, address: Address, password: str) -> dict[str, str]:
    """What is stored of a password: HA1 and HA1B for each algorithm that the table has columns for, and, unless
    STORE_PLAINTEXT_PW is 0, the password itself."""
    user, domain, secret = (text.encode("utf-8", "surrogateescape") for text in (*address, password))
    there = {name.lower() for name in control.tables.columns("SUB_TABLE")}
    found = {"password": password if control.settings.get("STORE_PLAINTEXT_PW") != "0" else ""}
    for algorithm in ALGORITHMS.values():
        for column, name in (("ha1", user), ("ha1b", b"%b@%b" % (user, domain))):
            if not algorithm.suffix or column + algorithm.suffix in there:
                found[column + algorithm.suffix] = calc_ha1(name, domain, secret, algorithm).decode()
    return found


def is_alias(control: Control, address: Address) -> bool:
    """Whether an address is an alias already, by the kind of aliases that ALIASES_TYPE names."""
    kind = control.settings.get("ALIASES_TYPE").upper()
    if kind == "DB":
        return control.tables.has("DA_TABLE", owned(address, "alias_"))
    if kind != "UL":
        return False
    reply = control.client.call("ul_show_contact", control.settings.get("ALS_TABLE"), str(address))
    if not reply.is_ok and reply.code != 404:
        fail(f"whether {address} is an alias cannot be found out: {reply.code} {reply.reason}")
    return reply.is_ok


@click.command()
@click.argument("user")
@password_argument
@click.argument("email", default="")
@pass_control
def add(control: Control, user: str, password: str | None, email: str) -> None:
    """Add a subscriber; a PASSWORD that is left out is asked for."""
    address = control.address(user)
    if control.tables.is_user(address):
        fail(f"user {address} is there already")
    if is_alias(control, address):
        fail(f"{address} is an alias already")
    row = owned(address) | credentials(control, address, password_of(password)) | {"email_address": email}
    if "phplib_id" in control.tables.columns("SUB_TABLE") or control.settings.get("HAS_SERWEB") == "yes":
        row["phplib_id"] = secrets.token_hex(16)
    control.tables.insert("SUB_TABLE", {**row, **control.tables.dated("SUB_TABLE", "datetime_created")})
    click.echo(f"new user {address} added")


@click.command()
@click.argument("user")
@password_argument
@pass_control
def passwd(control: Control, user: str, password: str | None) -> None:
    """Change a subscriber's password; a PASSWORD that is left out is asked for."""
    address = control.address(user)
    control.tables.require_user(address)
    changes = credentials(control, address, password_of(password))
    dated = control.tables.dated("SUB_TABLE", "datetime_modified")
    control.tables.update("SUB_TABLE", {**changes, **dated}, owned(address))
    click.echo(f"password of {address} changed")


@click.command()
@click.argument("user")
@pass_control
def rm(control: Control, user: str) -> None:
    """Remove a subscriber with groups, database aliases, URIs and contacts."""
    address = control.address(user)
    control.tables.require_user(address)
    for table in ("ACL_TABLE", "DA_TABLE", "SUB_TABLE"):
        control.tables.delete(table, owned(address))
    if control.tables.exists("URI_TABLE"):
        control.tables.delete("URI_TABLE", owned(address))
    click.echo(f"user {address} removed")
    remove_contacts(control, address)


def remove_contacts(control: Control, address: Address) -> None:
    """Takes the contacts of somebody out of the running server; one that does not run is told and no error."""
    try:
        reply = control.client.call("ul_rm", control.settings.get("UL_TABLE"), str(address))
    except Unanswered as unanswered:
        click.echo(f"contacts not removed: {unanswered.message}", err=True)
        return
    if not reply.is_ok:
        click.echo(f"contacts not removed: {reply.code} {reply.reason}", err=True)


@click.command()
@click.argument("user")
@pass_control
def mail(control: Control, user: str) -> None:
    """Send a subscriber an e-mail, read from standard input."""
    address = control.address(user)
    rows = control.tables.find("SUB_TABLE", ("email_address",), owned(address))
    recipient = rows[0][0] if rows else fail(f"there is no user {address}")
    if "@" not in recipient or recipient.startswith("-"):
        fail(f"user {address} has no e-mail address")
    program = shutil.which("mail") or fail("there is no program mail in PATH")
    subject = f"Message from {control.settings.get('SIP_DOMAIN') or address.domain} SIP admin"
    click.echo(f"write to {address}, {recipient} ...", err=True)
    if subprocess.run([program, "-s", subject, recipient], check=False).returncode:
        fail("the message was not sent")
    click.echo("message sent")
