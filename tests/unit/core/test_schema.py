"""The tables that openserdbctl makes are those of OpenSER's own scripts."""

import sqlite3

import pytest

from openserd.core import schema
from openserd.core.schema import Style
from scripts import openser12

BACKENDS = {"mysql": "mysql", "postgresql": "postgres", "dbtext": "dbtext"}


def facts() -> list[tuple[str, ...]]:
    return sorted((row["backend"], row["set"].removeprefix("module "), row["table"], row["column"], row["type"],
                   row["null"]) for row in openser12.read("db_schema"))  # fmt: skip


def test_every_column_of_the_reference_is_there_and_no_other() -> None:
    made = [(word, set_name, table.name, column.name, column.type, "YES" if column.null else "NO")
            for word, backend in BACKENDS.items() for set_name, tables in schema.tables(backend).items()
            for table in tables.values() for column in table.columns]  # fmt: skip
    assert sorted(made) == facts()


def test_versions_are_those_of_the_reference() -> None:
    for row in openser12.read("db_schema"):
        if row["table"] != "address":
            of_set = schema.tables(BACKENDS[row["backend"]])[row["set"].removeprefix("module ")]
            assert of_set[row["table"]].version == int(row["table_version"] or 0)
    assert schema.table_version("location") == 1004
    assert schema.table_version("address") == 3
    assert schema.table_version("nothing") == 0


@pytest.mark.parametrize("name", schema.SETS)
def test_sqlite_takes_every_set(name: str) -> None:
    style = Style("sqlite", "`")
    database = sqlite3.connect(":memory:")
    for table in [*schema.chosen("sqlite", ["core"] if name == "serweb" else []), *schema.chosen("sqlite", [name])]:
        for statement in schema.make_table(style, table):
            database.execute(statement)


def test_keys_are_in_their_order() -> None:
    table = schema.tables("mysql")["core"]["speed_dial"]
    assert ("UNIQUE", "udss_sd", ["username", "domain", "sd_domain", "sd_username"]) in table.all_keys()
    lcr = schema.tables("mysql")["core"]["lcr"]
    assert [columns for kind, _, columns in lcr.all_keys() if kind == "INDEX"] == [["prefix"], ["from_uri"], ["grp_id"]]


def test_statements_are_each_database_s_own() -> None:
    mysql = "\n".join(schema.make_table(Style("mysql", "`", "ENGINE=InnoDB"), schema.tables("mysql")["core"]["silo"]))
    assert "`id` int(10) unsigned NOT NULL AUTO_INCREMENT" in mysql or "`id` " in mysql
    assert ") ENGINE=InnoDB" in mysql
    assert "DEFAULT" not in next(line for line in mysql.splitlines() if "`body`" in line)
    postgres = "\n".join(schema.make_table(Style("postgres"), schema.tables("postgres")["core"]["uri"]))
    assert '"id" SERIAL NOT NULL' in postgres
    assert '"last_modified" timestamp NOT NULL DEFAULT NOW()' in postgres
    assert 'CREATE UNIQUE INDEX "uri_username_domain_uri_user_key"' in postgres


def test_the_user_column_can_be_called_otherwise() -> None:
    table = schema.tables("sqlite")["core"]["subscriber"]
    text = "\n".join(schema.make_table(Style("sqlite", '"', "", "user"), table))
    assert '"user" varchar(64)' in text and '"username"' not in text
    columns = schema.text_columns(schema.tables("dbtext")["core"]["subscriber"], "user")
    assert [str(column) for column in columns][:2] == ["id(int,auto)", "user(str)"]


def test_a_column_added_to_rows_has_a_value_for_them() -> None:
    table = schema.tables("postgres")["core"]["trusted"]
    column = next(one for one in table.columns if one.name == "src_ip")
    assert schema.add_column(Style("postgres"), table, column).endswith("NOT NULL DEFAULT ''")
