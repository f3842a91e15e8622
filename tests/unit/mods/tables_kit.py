"""A small database with OpenSER 1.2's tables, and scripts over it.

with scripted(tmp_path, "route { ... }", ["auth", "auth_db"]) as script: ...
"""

import sqlite3
from collections.abc import Iterable, Mapping
from hashlib import md5, new, sha256
from pathlib import Path

from openserd.parser.digest import Challenge, parse_challenge
from openserd.testing import Result, Script

TABLES = {
    "subscriber": (
        6,
        "username VARCHAR(64), domain VARCHAR(128), password VARCHAR(25), ha1 VARCHAR(128), ha1b VARCHAR(128), "
        "rpid VARCHAR(128), credit INTEGER, weight REAL, ha1_sha256 VARCHAR(64), ha1_sha512t256 VARCHAR(64)",
    ),
    "uri": (1, "username VARCHAR(64), domain VARCHAR(128), uri_user VARCHAR(50)"),
    "grp": (2, "username VARCHAR(64), domain VARCHAR(128), grp VARCHAR(50)"),
    "re_grp": (1, "reg_exp VARCHAR(128), group_id INTEGER"),
    "dbaliases": (
        1,
        "alias_username VARCHAR(64), alias_domain VARCHAR(128), username VARCHAR(64), domain VARCHAR(128)",
    ),
    "speed_dial": (
        2,
        "username VARCHAR(64), domain VARCHAR(128), sd_username VARCHAR(64), sd_domain VARCHAR(128), "
        "new_uri VARCHAR(192)",
    ),
}

Record = Mapping[str, object]


def run(path: Path, *statements: str) -> None:
    """Runs statements on the file."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def add(path: Path, table: str, *rows: Record) -> None:
    """Adds rows to a table."""
    connection = sqlite3.connect(path)
    for row in rows:
        marks = ",".join("?" for _ in row)
        connection.execute(f"INSERT INTO {table} ({','.join(row)}) VALUES ({marks})", tuple(row.values()))
    connection.commit()
    connection.close()


def make_tables(folder: Path) -> Path:
    """A file with all tables, and nobody in them."""
    path = folder / "openser.db"
    run(path, "CREATE TABLE version (table_name VARCHAR(64), table_version INTEGER)")
    for table, (version, columns) in TABLES.items():
        run(path, f"CREATE TABLE {table} ({columns})", f"INSERT INTO version VALUES ('{table}', {version})")
    return path


def subscriber(user: str, password: str = "secret", domain: str = "example.com", **more: object) -> Record:
    """A row of the table subscriber."""
    plain = f"{user}:{domain}:{password}".encode()
    with_domain = f"{user}@{domain}:{domain}:{password}".encode()
    return {
        "username": user,
        "domain": domain,
        "password": password,
        "ha1": md5(plain).hexdigest(),
        "ha1b": md5(with_domain).hexdigest(),
        "ha1_sha256": sha256(plain).hexdigest(),
        "ha1_sha512t256": new("sha512_256", plain).hexdigest(),
    } | more


def scripted(path: Path, text: str, modules: Iterable[str], params: Iterable[str] = ()) -> Script:
    """A script over the database at `path`; `params` as in `auth_db use_domain 1`."""
    settings = [f'modparam("{name}", "db_url", "sqlite://{path}")' for name in modules if name not in ("sl", "auth")]
    for param in params:
        module, name, value = param.split(" ", 2)
        settings.append(f'modparam("{module}", "{name}", {value})')
    settings.append('alias="example.com"')
    # Loaded before the settings, which need them
    loads = [f'loadmodule "{name}.so"' for name in ("sl", "sqlite", *modules)]
    return Script.text("\n".join([*loads, *settings, text]))


def challenge_of(result: Result) -> Challenge:
    """What a 401 or 407 asks for."""
    reply = result.reply
    value = reply.header("WWW-Authenticate") or reply.header("Proxy-Authenticate")
    assert value is not None
    return parse_challenge(value.encode())
