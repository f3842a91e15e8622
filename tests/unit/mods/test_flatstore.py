"""flatstore: lines that stay lines, files of each process, rotation, a disk that is full."""

import os
import resource
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from openserd.core.context import Core
from openserd.core.database import Database, DatabaseBusy, DatabaseRefused, Lost, Value, open_database
from openserd.mods.flatstore import FlatStore
from openserd.shm.memory import SharedMemory


@pytest.fixture
def core() -> Iterator[Core]:
    made = Core()
    made.shared = SharedMemory(4, 3)
    module = FlatStore()
    module.core = made
    made.modules = {"flatstore": module}
    module.on_init(made)
    made.process = 2
    yield made
    made.shared.close()


@pytest.fixture
def db(core: Core, tmp_path: Path) -> Database:
    database = open_database(core, f"flatstore:{tmp_path}")
    core.memory.seal()
    core.memory.enter(2)
    return database


def test_a_row_is_a_line_in_the_file_of_its_process(db: Database, tmp_path: Path) -> None:
    db.insert("acc", {"method": b"INVITE", "n": 200, "q": 0.5, "none": None, "time": datetime(2026, 1, 1)})
    db.insert("acc", {"method": b"BYE"})
    at = int(datetime(2026, 1, 1).timestamp())
    assert (tmp_path / "acc_2.log").read_text() == f"INVITE|200|0.500000||{at}\nBYE\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [(b"a|b", b"a\\x7Cb"), (b"a\nb\r", b"a\\x0Ab\\x0D"), (b"\\x7C", b"\\x5Cx7C"), ("ü".encode(), "ü".encode()),
     (b"\0", b"\\x00"), (-5, b"-5")],
)  # fmt: skip
def test_no_value_can_end_its_field_or_its_line(db: Database, tmp_path: Path, value: Value, written: bytes) -> None:
    db.insert("acc", {"a": value, "b": b"end"})
    assert (tmp_path / "acc_2.log").read_bytes() == written + b"|end\n"


def test_rows_can_only_be_added(db: Database) -> None:
    with pytest.raises(DatabaseRefused, match="flatstore cannot do this"):
        db.query("acc")
    with pytest.raises(DatabaseRefused):
        db.insert("../acc", {"a": b"b"})


def test_a_rotation_opens_the_files_anew(core: Core, db: Database, tmp_path: Path) -> None:
    db.insert("acc", {"a": b"one"})
    (tmp_path / "acc_2.log").rename(tmp_path / "old")
    db.insert("acc", {"a": b"two"})
    module = core.modules["flatstore"]
    assert isinstance(module, FlatStore)
    assert module.mi_flat_rotate().code == 200
    assert not (tmp_path / "acc_2.log").exists()
    db.insert("acc", {"a": b"three"})
    assert (tmp_path / "old").read_text() == "one\ntwo\n"
    assert (tmp_path / "acc_2.log").read_text() == "three\n"


def test_without_flush_lines_wait_for_each_other(core: Core, db: Database, tmp_path: Path) -> None:
    core.modules["flatstore"].set_param("flush", 0)
    db.insert("acc", {"a": b"x" * 100})
    assert not (tmp_path / "acc_2.log").exists()
    for _ in range(50):
        db.insert("acc", {"a": b"x" * 100})
    assert (tmp_path / "acc_2.log").stat().st_size > 4000
    db.close()
    assert (tmp_path / "acc_2.log").stat().st_size == 51 * 101


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing(db: Database, tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            db.insert("acc", {"a": b"one"})
            try:
                db.insert("acc", {"a": b"x" * 2000})
            except DatabaseBusy:
                db.insert("acc", {"a": b"two"})
                code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "acc_2.log").read_text() == "one\ntwo\n"


def test_a_folder_that_is_not_there_is_the_database_s_absence(core: Core, tmp_path: Path) -> None:
    module = core.modules["flatstore"]
    assert isinstance(module, FlatStore)
    database = open_database(core, f"flatstore:{tmp_path}/none")
    with pytest.raises(Lost):
        module.connect(database.url, 1.0)
