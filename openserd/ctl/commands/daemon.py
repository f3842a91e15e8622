"""openserctl start, stop, restart: the server by its pid file."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import click

from openserd.ctl.context import Control, pass_control
from openserd.ctl.tables import fail
from openserd.server.daemon import is_alive

STOP_SECONDS: Final = 15.0
START_SECONDS: Final = 3.0
STEP: Final = 0.05


def running(control: Control) -> int:
    """The server's pid, 0 where it does not run."""
    try:
        pid = int(Path(control.settings.get("PID_FILE")).read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return 0
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    return pid if pid > 1 and is_alive(pid) else 0


def program(control: Control) -> list[str]:
    """How the server is started: OSERBIN, or the openserd beside this tool."""
    given = control.settings.get("OSERBIN")
    if given:
        found = shutil.which(given)
        return [found] if found else fail(f"OSERBIN is {given}, which cannot be run")
    beside = Path(sys.argv[0]).with_name("openserd")
    return [str(beside)] if os.access(beside, os.X_OK) else [sys.executable, "-m", "openserd"]


def start_server(control: Control) -> None:
    """Starts the server and waits until it runs. Raises click.ClickException."""
    pid_file = control.settings.get("PID_FILE")
    pid = running(control)
    if pid:
        fail(f"openserd runs already as process {pid}, says {pid_file}")
    to_console = ["-E"] if control.settings.get("SYSLOG") == "0" else []
    words = [*program(control), "-P", pid_file, *to_console, *shlex.split(control.settings.get("STARTOPTIONS"))]
    quiet = None if to_console else subprocess.DEVNULL
    code = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=quiet, stderr=quiet, check=False).returncode
    if code:
        fail(f"openserd did not start (exit code {code}); its log and `{shlex.join([*words, '-c'])}` tell why")
    deadline = time.monotonic() + START_SECONDS
    while not (pid := running(control)):
        if time.monotonic() > deadline:
            fail(f"openserd was started, but {pid_file} names no running process; its log tells why")
        time.sleep(STEP)
    click.echo(f"openserd started (pid {pid})")


def stop_server(control: Control) -> None:
    """Ends the server and waits until it is gone. Raises click.ClickException."""
    pid = running(control)
    if not pid:
        fail(f"openserd does not run: {control.settings.get('PID_FILE')} names no running process")
    try:
        os.kill(pid, signal.SIGTERM)
    except OSError as error:
        fail(f"process {pid} cannot be ended: {error.strerror}")
    deadline = time.monotonic() + STOP_SECONDS
    while is_alive(pid):
        if time.monotonic() > deadline:
            fail(f"process {pid} has not ended after {STOP_SECONDS:g} s")
        time.sleep(STEP)
    click.echo("openserd stopped")


@click.command()
@pass_control
def start(control: Control) -> None:
    """Start the server with STARTOPTIONS."""
    start_server(control)


@click.command()
@pass_control
def stop(control: Control) -> None:
    """Stop the server that PID_FILE names."""
    stop_server(control)


@click.command()
@pass_control
def restart(control: Control) -> None:
    """Stop the server, where it runs, and start it."""
    if running(control):
        stop_server(control)
    start_server(control)
