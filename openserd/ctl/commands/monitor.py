"""openserctl monitor: version, uptime and statistics of the running server, again and again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import click

from openserd.ctl.client import Reply
from openserd.ctl.context import Control, pass_control
from openserd.ctl.output import checked, on_terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

#: What is shown: a heading, and words for `get_statistics`.
GROUPS: Final = (
    ("Transactions", ("UAS_transactions", "UAC_transactions", "inuse_transactions")),
    ("Stateless server", ("sent_replies", "sent_err_replies", "received_ACKs")),
    ("User location", ("usrloc:",)),
    ("Core", ("core:",)),
    ("Shared memory", ("shmem:",)),
)


@dataclass
class Picture:
    """What the server said at one moment."""

    at: float
    about: list[str]
    groups: dict[str, dict[str, int]] = field(default_factory=dict)


def look(control: Control, at: float) -> Picture:
    """Asks the server; groups of modules that are not loaded are left out. Raises SystemExit where it refuses."""
    about = [line for command in ("version", "uptime") for line in checked(control.client.call(command)).lines]
    picture = Picture(at, about)
    for heading, words in GROUPS:
        reply = control.client.call("get_statistics", *words)
        if reply.is_ok:
            picture.groups[heading] = values_of(reply)
    return picture


def values_of(reply: Reply) -> dict[str, int]:
    """The statistics in a reply, by `group:name`."""
    found = {}
    for line in reply.lines:
        name, _, value = line.rpartition(" = ")
        if value.strip().isdigit():
            found[name.strip(": ")] = int(value)
    return found


def rates(now: Picture, before: Picture | None) -> dict[str, float]:
    """What has changed since, a second."""
    if before is None or now.at <= before.at:
        return {}
    old = {name: value for group in before.groups.values() for name, value in group.items()}
    return {name: (value - old[name]) / (now.at - before.at)
            for group in now.groups.values() for name, value in group.items() if name in old}  # fmt: skip


def as_lines(picture: Picture, before: Picture | None) -> Iterator[str]:
    """A picture as text."""
    changes = rates(picture, before)
    yield from picture.about
    for heading, values in picture.groups.items():
        yield f"{heading}:"
        for name, value in values.items():
            yield f"  {name} = {value}" + (f"  {changes[name]:+.1f}/s" if changes.get(name) else "")


def as_table(picture: Picture, before: Picture | None) -> "RenderableType":
    """A picture for a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    changes = rates(picture, before)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("Statistic")
    table.add_column("Value", justify="right")
    table.add_column("Per second", justify="right")
    for heading, values in picture.groups.items():
        table.add_row(Text(heading, "bold"), "", "")
        for name, value in values.items():
            table.add_row(Text(f"  {name}"), str(value), f"{changes[name]:+.1f}" if changes.get(name) else "")
    return Group(*map(Text, picture.about), "", table)


def pictures(control: Control, cycles: int, pause: Callable[[], None]) -> Iterator[tuple[Picture, Picture | None]]:
    """Pictures, each with the one before; without end where `cycles` is 0."""
    before = None
    n = 0
    while True:
        picture = look(control, time.monotonic())
        yield picture, before
        before = picture
        n += 1
        if n == cycles:
            return
        pause()


def has_rich() -> bool:
    """Whether the picture can be drawn over and over in one place."""
    try:
        import rich.live  # noqa: F401
    except ImportError:
        return False
    return True


def period(control: Control) -> float:
    """WATCH_PERIOD in seconds. Raises click.UsageError."""
    text = control.settings.get("WATCH_PERIOD")
    try:
        return max(0.1, float(text))
    except ValueError:
        raise click.UsageError(f"WATCH_PERIOD is {text!r}, seconds are expected") from None


@click.command()
@click.argument("cycles", type=click.IntRange(0), default=0)
@click.option("--once", is_flag=True, help="Show it once and end, for scripts.")
@pass_control
def monitor(control: Control, cycles: int, once: bool) -> None:
    """Show version, uptime and statistics, anew every WATCH_PERIOD seconds, CYCLES times or until Ctrl-C."""
    seconds = period(control)
    series = pictures(control, 1 if once else cycles, lambda: time.sleep(seconds))
    if once or not on_terminal() or not has_rich():
        for picture, before in series:
            click.echo("\n".join(as_lines(picture, before)))
        return
    draw(series)


def draw(series: Iterator[tuple[Picture, Picture | None]]) -> None:
    """Draws pictures in one place until Ctrl-C."""
    from rich.live import Live

    try:
        with Live(auto_refresh=False) as live:
            for picture, before in series:
                live.update(as_table(picture, before), refresh=True)
    except KeyboardInterrupt:
        return
