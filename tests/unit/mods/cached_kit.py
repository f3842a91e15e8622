"""Databases with tables as openserdbctl makes them, scripts over them, and a database that comes late."""

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from openserd.core.schema import Style, make_table, tables
from openserd.testing import Result, Script

CALLER = "192.0.2.10:5062"


def make_database(path: Path, *names: str, **others: str) -> Path:
    """A file with OpenSER's tables of these names, or `others` like them: new name = old name."""
    run(path, "CREATE TABLE version (table_name VARCHAR(64), table_version INTEGER)")
    for name, kind in {**dict.fromkeys(names), **others}.items():
        table = tables("sqlite")["core"][kind or name]
        run(
            path,
            *(statement.replace(kind, name) if kind else statement for statement in make_table(Style("sqlite"), table)),
        )
        run(path, f"INSERT INTO version VALUES ('{name}', {table.version})")
    return path


def run(path: Path, *statements: str) -> None:
    """Runs statements on the file."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def add(path: Path, table: str, **row: object) -> None:
    """Adds a row to a table."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        marks = ",".join("?" for _ in row)
        connection.execute(f"INSERT INTO {table} ({','.join(row)}) VALUES ({marks})", tuple(row.values()))


def asking(
    call: str, module: str, params: Iterable[str] = (), path: Path | None = None, file: str = "openser.cfg"
) -> Script:
    """A script that logs what one call, with what goes before it, returned; `params` as in `db_mode 1`."""
    settings = [f'modparam("{module}", "{name}", {value})' for name, value in (one.split(" ", 1) for one in params)]
    if path is not None:
        settings.append(f'modparam("{module}", "db_url", "sqlite://{path}")')
    text = f'{" ".join(settings)} route {{ {call}; xlog("L_ERR", "$rc"); }}'
    return Script.text(text, ("sqlite", "xlog", "rr", module), file=file)


def code(result: Result) -> int:
    """What the call returned."""
    return int(result.log[-1])


def ask(script: Script, line: str = "INVITE sip:bob@biloxi.example", **parts: Any) -> int:
    """What the call returns for a request."""
    return code(script.request(line, **parts))


def values(script: Script, command: str) -> list[str]:
    """The lines that a management command answers."""
    reply = script.mi(command)
    assert reply.code == 200, reply.reason
    return [str(node.value) if isinstance(node.value, str) else node.value.decode() for node in reply.nodes]  # type: ignore[union-attr]


def answer(script: Script, command: str) -> tuple[int, str]:
    """What a management command answers in its first line."""
    reply = script.mi(command)
    return reply.code, reply.reason


def let_it_be_tried_again(script: Script, path: Path) -> None:
    """Ends the pause after which a database that was missing is tried again, which the test's clock does not move."""
    script.core.published[f"database sqlite://{path}"].breaker.words[0] = 1  # type: ignore[attr-defined]
