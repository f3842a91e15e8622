"""openserctl ping and cisco_restart: requests that the running server sends (MI command t_uac_dlg of module tm)."""

import socket

import click

from openserd.ctl.address import check_uri
from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import checked

SECONDS = 40.0  #: a silent destination is answered for with 408 after fr_timer, 30 s
NOTHING = "."


def send(control: Control, method: str, uri: str, *headers: str) -> None:
    """Has a request sent and prints the status of its answer; exit code 1 unless it is 2xx."""
    host = control.settings.get("SIP_DOMAIN") or socket.gethostname()
    lines = (f"From: <sip:daemon@{host}>", f"To: <{check_uri(uri)}>", *headers, "Contact: <sip:daemon@!!>")
    control.client.timeout = max(control.client.timeout, SECONDS)
    text = "".join(f"{line}\r\n" for line in lines)
    reply = checked(control.client.call("t_uac_dlg", method, uri, NOTHING, NOTHING, text))
    status = reply.lines[0] if reply.lines and reply.lines[0][:3].isdigit() else f"{reply.code} {reply.reason}"
    click.echo(status)
    if not status.startswith("2"):
        raise SystemExit(1)


@click.command()
@click.argument("uri")
@pass_control
def ping(control: Control, uri: str) -> None:
    """Send OPTIONS to URI and print the status of its answer."""
    send(control, "OPTIONS", uri)


@click.command()
@click.argument("uri")
@pass_control
def cisco_restart(control: Control, uri: str) -> None:
    """Send NOTIFY with `Event: check-sync` to URI, which makes phones read their settings again."""
    send(control, "NOTIFY", uri, "Event: check-sync")
