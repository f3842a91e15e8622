"""dbtext: files of OpenSER 1.2, changed by several processes and by hand, on a disk that may be full."""

import os
import resource
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from openserd.core.database import Condition, DatabaseBusy, DatabaseRefused, DatabaseUrl, Lost, where
from openserd.mods.dbtext import DbText
from openserd.mods.dbtext.folder import Folder

#: A table as OpenSER's own script makes it: `id` does not number itself there.
LOCATION = (
    "id(int) username(str) domain(str) contact(str) received(str,null) path(str,null) expires(int) q(double)"
    " callid(str) cseq(int) last_modified(int) flags(int) cflags(int) user_agent(str) socket(str,null)"
    " methods(int,null)\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "users").write_text("id(int,auto) name(str) note(str,null) n(int,null)\n1:a::1\n2:b:x:2\n")
    return Folder(str(tmp_path), 60.0)


def file(folder: Folder, name: str = "users") -> Path:
    return Path(folder.path) / name


def in_child(action: Callable[[], object]) -> int:
    """Runs something in a process of its own; its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_names_of_columns_may_be_in_any_case(folder: Folder) -> None:
    assert folder.query("users", ("NAME",), where(Id=2)) == [(b"b",)]


def test_the_file_stays_readable_for_openser(folder: Folder) -> None:
    folder.insert("users", {"name": b"c:d\n", "n": 3})
    assert file(folder).read_bytes() == (
        b"id(int,auto) name(str) note(str,null) n(int,null)\n1:a::1\n2:b:x:2\n3:c\\:d\\n::3\n"
    )


def test_a_change_by_hand_is_seen(folder: Folder) -> None:
    assert len(folder.query("users")) == 2
    with file(folder).open("a") as text:
        text.write("7:z::\n")
    assert folder.query("users", ("name",), where(id=7)) == [(b"z",)]
    folder.insert("users", {"name": b"next"})
    assert folder.query("users", ("id",), where(name=b"next")) == [(8,)]


def test_a_file_that_cannot_be_read_is_named_with_its_line(folder: Folder) -> None:
    with file(folder).open("a") as text:
        text.write("7:z\n")
    with pytest.raises(DatabaseRefused, match="table users: line 4: 2 fields for 4 columns"):
        folder.query("users")


def test_a_table_of_the_original_script_takes_rows_without_id(folder: Folder) -> None:
    file(folder, "location").write_text(LOCATION)
    expires = datetime(2026, 1, 1)
    folder.insert("location", {"username": b"u", "contact": b"sip:u@192.0.2.1", "expires": expires, "q": 0.5})
    [row] = folder.query("location", ("id", "username", "domain", "expires", "cseq", "path"))
    assert row == (1, b"u", b"", int(expires.timestamp()), 0, None)


def test_values_take_the_type_of_their_column(folder: Folder) -> None:
    folder.insert("users", {"name": 5, "n": b"6"})
    assert folder.query("users", ("name",), where(n=b"6")) == [(b"5",)]
    with pytest.raises(DatabaseRefused, match="column n"):
        folder.insert("users", {"name": b"x", "n": b"six"})
    with pytest.raises(DatabaseRefused, match="may not be empty"):
        folder.update("users", {"id": None})


def test_equal_values_are_found_by_index_and_other_conditions_too(folder: Folder) -> None:
    folder.insert_many("users", ("name", "n"), [(b"same", n) for n in range(100)])
    assert len(folder.query("users", (), where(name=b"same"))) == 100
    assert folder.query("users", ("n",), (Condition("n", 98, ">="), Condition("name", b"same"))) == [(98,), (99,)]
    assert folder.query("users", ("n",), (Condition("name", b"same"), Condition("n", 2, "<"))) == [(0,), (1,)]
    assert folder.query("users", ("name",), (Condition("note", None, "!="),)) == [(b"b",)]
    assert folder.delete("users", where(name=b"same")) == 100
    assert folder.query("users", (), where(name=b"same")) == []


def test_a_raw_statement_is_refused(folder: Folder) -> None:
    with pytest.raises(DatabaseRefused, match="dbtext cannot do this"):
        folder.raw_query("select 1")


def test_names_lead_to_no_other_folder(folder: Folder) -> None:
    for name in ("../users", "/etc/passwd", ".users.new", ""):
        with pytest.raises(DatabaseRefused):
            folder.query(name)


def test_processes_that_write_at_once_lose_nothing(folder: Folder) -> None:
    def write(name: bytes) -> None:
        own = Folder(folder.path, 10.0)
        for n in range(20):
            own.insert("users", {"name": name, "n": n})

    children = []
    for name in (b"x", b"y", b"z"):
        child = os.fork()
        if child == 0:
            try:
                write(name)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    rows = folder.query("users", ("id", "name"))
    assert len(rows) == 62
    assert sorted(row[0] for row in rows) == list(range(1, 63))  # type: ignore[type-var]


def test_a_writer_that_is_killed_leaves_the_table_whole_and_the_lock_free(folder: Folder) -> None:
    child = os.fork()
    if child == 0:
        own = Folder(folder.path, 2.0)
        while True:
            own.update("users", {"note": b"x" * 5000})
            own.update("users", {"note": b"y"})
    time.sleep(0.2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(folder.query("users")) == 2
    folder.insert("users", {"name": b"after"})
    assert len(Folder(folder.path, 2.0).query("users")) == 3


def test_a_lock_that_another_keeps_is_waited_for_only_so_long(folder: Folder) -> None:
    other = Folder(folder.path, 2.0)
    other.begin()
    folder.limit(0.1)
    begun = time.monotonic()
    with pytest.raises(DatabaseBusy):
        folder.insert("users", {"name": b"x"})
    assert time.monotonic() - begun < 30
    assert len(folder.query("users")) == 2
    other.rollback()
    folder.insert("users", {"name": b"x"})


def test_a_transaction_is_written_once_and_undone_without_a_trace(folder: Folder) -> None:
    before = file(folder).stat().st_ino
    folder.begin()
    for n in range(100):
        folder.insert("users", {"name": b"%d" % n})
    assert len(folder.query("users")) == 102
    assert len(Folder(folder.path, 2.0).query("users")) == 2
    folder.rollback()
    assert len(folder.query("users")) == 2
    assert file(folder).stat().st_ino == before


def test_a_full_disk_leaves_the_old_table(folder: Folder) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        own = Folder(folder.path, 2.0)
        try:
            own.insert("users", {"name": b"x" * 10_000})
        except DatabaseBusy:
            own.insert("users", {"name": b"short"})
            return
        raise AssertionError

    assert in_child(fill) == 0
    assert [row[0] for row in folder.query("users", ("name",))] == [b"a", b"b", b"short"]
    assert sorted(path.name for path in Path(folder.path).iterdir()) == ["users"]


def test_owner_and_permissions_stay(folder: Folder) -> None:
    file(folder).chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file(folder), 12345, 12346)
    folder.insert("users", {"name": b"x"})
    found = file(folder).stat()
    assert found.st_mode & 0o777 == 0o640
    assert os.geteuid() != 0 or (found.st_uid, found.st_gid) == (12345, 12346)


def test_a_folder_that_is_not_there_is_the_database_s_absence(tmp_path: Path) -> None:
    with pytest.raises(Lost, match="openserdbctl create"):
        DbText().connect(DatabaseUrl.parse(f"dbtext:{tmp_path}/none"), 1.0)
