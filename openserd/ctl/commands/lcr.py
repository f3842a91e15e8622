"""openserctl lcr: gateways, their groups, and the rules that send a call to a group (OpenSER: module lcr)."""

from datetime import datetime
from ipaddress import AddressValueError, IPv4Address
from typing import Final

import click

from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import checked, print_lines
from openserd.ctl.tables import fail

RELOAD: Final = "`openserctl lcr reload` tells a running server"
GATEWAYS: Final = ("gw_name", "ip_addr", "port", "uri_scheme", "transport", "grp_id", "prefix", "strip")
GROUPS: Final = ("grp_id", "grp_name")
RULES: Final = ("prefix", "from_uri", "grp_id", "priority")

# The tables hold numbers; people may write them, or the words.
SCHEMES: Final = {"sip": 1, "sips": 2}
TRANSPORTS: Final = {"udp": 1, "tcp": 2, "tls": 3}
GROUP: Final = click.IntRange(1, 4_294_967_295)


def number_of(text: str, words: dict[str, int], what: str) -> int:
    """The number that `text` is or stands for. Raises click.UsageError."""
    known = words | {str(number): number for number in words.values()}
    if text.lower() not in known:
        raise click.UsageError(f"{text!r} is no {what}: {', '.join(words)} or their numbers are expected")
    return known[text.lower()]


def check_ipv4(text: str) -> str:
    """`text`, an IPv4 address. Raises click.UsageError."""
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise click.UsageError(f"{text!r} is no IPv4 address") from None


@click.group()
def lcr() -> None:
    """Look at and change gateways and the rules that choose among them."""


@lcr.command()
@pass_control
def show(control: Control) -> None:
    """Show gateways, groups and rules."""
    for table, columns, order in [
        ("GW_TABLE", GATEWAYS, "gw_name"), ("GW_GRP_TABLE", GROUPS, "grp_id"), ("LCR_TABLE", RULES, "prefix"),
    ]:  # fmt: skip
        click.echo(f"{control.tables.name(table)}:")
        control.show(columns, control.tables.find(table, columns, order=order))


@lcr.command()
@pass_control
def reload(control: Control) -> None:
    """Have the running server read the tables again."""
    print_lines(checked(control.client.call("lcr_reload")))


@lcr.command()
@click.argument("name")
@click.argument("ip")
@click.argument("port", type=click.IntRange(0, 65535))
@click.argument("scheme")
@click.argument("transport")
@click.argument("group", type=GROUP)
@click.argument("prefix", default="")
@click.argument("strip", type=click.IntRange(0, 255), default=0)
@pass_control
def addgw(
    control: Control, name: str, ip: str, port: int, scheme: str, transport: str, group: int, prefix: str, strip: int
) -> None:
    """Add gateway NAME at IP and PORT to GROUP.

    SCHEME is sip or sips, TRANSPORT udp, tcp or tls. Of a number that goes there, STRIP digits are taken off, then
    PREFIX is put before it.
    """
    row: dict[str, str | int | datetime | None] = {
        "gw_name": name, "ip_addr": check_ipv4(ip), "port": port, "uri_scheme": number_of(scheme, SCHEMES, "scheme"),
        "transport": number_of(transport, TRANSPORTS, "transport"), "grp_id": group, "prefix": prefix, "strip": strip,
    }  # fmt: skip
    require_group(control, group)
    if control.tables.has("GW_TABLE", {"gw_name": name}):
        fail(f"gateway {name} is there already")
    control.tables.insert("GW_TABLE", row)
    click.echo(f"gateway {name} added; {RELOAD}")


@lcr.command()
@click.argument("name")
@pass_control
def rmgw(control: Control, name: str) -> None:
    """Remove gateway NAME."""
    if not control.tables.delete("GW_TABLE", {"gw_name": name}):
        fail(f"there is no gateway {name}")
    click.echo(f"gateway {name} removed; {RELOAD}")


@lcr.command("addgw_grp")
@click.argument("name")
@click.argument("number", metavar="[ID]", type=GROUP, required=False)
@pass_control
def addgw_grp(control: Control, name: str, number: int | None) -> None:
    """Add a group of gateways, by the number ID or the first that is free."""
    taken = {int(found) for (found,) in control.tables.find("GW_GRP_TABLE", ["grp_id"])}
    if number is None:
        number = max(taken, default=0) + 1
    if number in taken:
        fail(f"group {number} is there already")
    control.tables.insert("GW_GRP_TABLE", {"grp_id": number, "grp_name": name})
    click.echo(f"group {number}, {name}, added; {RELOAD}")


@lcr.command("rmgw_grp")
@click.argument("number", metavar="ID", type=GROUP)
@pass_control
def rmgw_grp(control: Control, number: int) -> None:
    """Remove the group of gateways with the number ID, which no gateway or rule may name any more."""
    where: dict[str, str | int] = {"grp_id": number}
    for table, what in [("GW_TABLE", "gateways"), ("LCR_TABLE", "rules")]:
        if control.tables.has(table, where):
            fail(f"group {number} still has {what}")
    if not control.tables.delete("GW_GRP_TABLE", where):
        fail(f"there is no group {number}")
    click.echo(f"group {number} removed; {RELOAD}")


def rule(prefix: str, from_uri: str, group: int, priority: int) -> dict[str, str | int]:
    """The row of a rule."""
    return {"prefix": prefix, "from_uri": from_uri, "grp_id": group, "priority": priority}


@lcr.command()
@click.argument("prefix")
@click.argument("from_uri", metavar="FROM")
@click.argument("group", type=GROUP)
@click.argument("priority", type=click.IntRange(0, 255))
@pass_control
def addroute(control: Control, prefix: str, from_uri: str, group: int, priority: int) -> None:
    """Add a rule: numbers that begin with PREFIX, of callers whose URI is like FROM, go to GROUP.

    FROM may hold the wild cards of SQL's LIKE; '' takes everybody. The rule with the lowest PRIORITY comes first.
    """
    row = rule(prefix, from_uri, group, priority)
    require_group(control, group)
    if control.tables.has("LCR_TABLE", row):
        fail("this rule is there already")
    control.tables.insert("LCR_TABLE", row)
    click.echo(f"rule added; {RELOAD}")


@lcr.command()
@click.argument("prefix")
@click.argument("from_uri", metavar="FROM")
@click.argument("group", type=GROUP)
@click.argument("priority", type=click.IntRange(0, 255))
@pass_control
def rmroute(control: Control, prefix: str, from_uri: str, group: int, priority: int) -> None:
    """Remove a rule."""
    if not control.tables.delete("LCR_TABLE", rule(prefix, from_uri, group, priority)):
        fail("there is no such rule")
    click.echo(f"rule removed; {RELOAD}")


def require_group(control: Control, number: int) -> None:
    """Raises click.ClickException where there is no such group."""
    if not control.tables.has("GW_GRP_TABLE", {"grp_id": number}):
        fail(f"there is no group {number}; `openserctl lcr addgw_grp NAME {number}` makes it")
