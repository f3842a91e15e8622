"""mi_fifo's settings: what may be set, what is refused before the server starts, what answers a request."""

import logging
import os
import pwd
from pathlib import Path

import pytest

from openserd.core.context import Core
from openserd.core.management.mi import Command, Reply
from openserd.core.management.text import Argument
from openserd.errors import ConfigError
from openserd.mods.mi_fifo import MiFifo, owner
from openserd.mods.mi_fifo.fifo import FifoServer, ReplyDirectory, RequestFifo, is_read
from openserd.mods.mi_fifo.wire import Request


def module(folder: Path, **values: int | str) -> MiFifo:
    """A module that would listen in `folder`."""
    settings: dict[str, int | str] = {"fifo_name": str(folder / "fifo"), "reply_dir": str(folder)} | values
    return MiFifo(**settings)


def server(core: Core) -> FifoServer:
    return FifoServer(core.mi, RequestFifo("/nowhere/fifo", 0o600, -1, -1), ReplyDirectory("/nowhere"), "\t")


def answer(core: Core, request: Request) -> bytes:
    return bytes(server(core).answer(request)[0])


# --- settings -------------------------------------------------------------------------------------


def test_the_defaults_are_the_documented_ones() -> None:
    found = MiFifo()
    assert (found.fifo_name, found.fifo_mode, found.fifo_user, found.fifo_group) == ("", 0o660, -1, -1)
    assert (found.reply_dir, found.reply_indent) == ("/tmp/", "\t")


def test_owner_and_group_take_a_number_or_a_name() -> None:
    found = MiFifo(fifo_user=0, fifo_group="root")
    assert (found.fifo_user, found.fifo_group) == (0, "root")
    with pytest.raises(ConfigError):
        MiFifo(fifo_mode="0660")
    with pytest.raises(ConfigError):
        MiFifo(reply_dir=3)


def test_a_name_brings_its_group_unless_one_is_set() -> None:
    me = pwd.getpwuid(0)
    assert owner(me.pw_name, -1) == (me.pw_uid, me.pw_gid)
    assert owner(me.pw_name, 5) == (me.pw_uid, 5)
    assert owner(7, -1) == (7, -1) and owner("7", "8") == (7, 8) and owner(-1, -1) == (-1, -1)


@pytest.mark.parametrize(("user", "group"), [("no such user", -1), (-1, "no such group")])
def test_unknown_names_are_refused(user: int | str, group: int | str) -> None:
    with pytest.raises(ConfigError, match="no such"):
        owner(user, group)


def test_good_settings_make_no_fifo_yet(tmp_path: Path) -> None:
    module(tmp_path).on_init(Core())
    assert list(tmp_path.iterdir()) == []


def test_a_fifo_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no FIFO"):
        MiFifo().on_init(Core())


def test_a_file_in_the_place_of_the_fifo_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "fifo").write_text("precious")
    with pytest.raises(ConfigError, match="not a FIFO"):
        module(tmp_path).on_init(Core())
    assert (tmp_path / "fifo").read_text() == "precious"


def test_a_link_to_a_fifo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "other")
    (tmp_path / "fifo").symlink_to(tmp_path / "other")
    with pytest.raises(ConfigError, match="not a FIFO"):
        module(tmp_path).on_init(Core())


@pytest.mark.parametrize("setting", ["fifo_name", "reply_dir"])
def test_a_missing_directory_is_refused(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match="director"):
        module(tmp_path, **{setting: str(tmp_path / "gone" / "x")}).on_init(Core())


def test_a_stale_fifo_is_removed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    module(tmp_path).on_init(Core())
    assert not (tmp_path / "fifo").exists()


def test_a_fifo_that_a_server_reads_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = module(tmp_path)
        found.on_init(Core())
        found.on_exit()
        assert (tmp_path / "fifo").exists()
    finally:
        os.close(reader)
    found.on_exit()
    assert not (tmp_path / "fifo").exists()


def test_mode_zero_becomes_one_for_the_owner(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = module(tmp_path, fifo_mode=0)
    with caplog.at_level(logging.WARNING, "openserd"):
        found.on_init(Core())
    assert found.fifo_mode == 0o600


# --- the file -------------------------------------------------------------------------------------


def test_the_fifo_is_made_with_its_mode_and_somebody_who_reads_it(tmp_path: Path) -> None:
    fifo = RequestFifo(str(tmp_path / "fifo"), 0o622, -1, -1)
    fifo.keep()
    assert (tmp_path / "fifo").stat().st_mode & 0o777 == 0o622 and is_read(fifo.path)
    assert [path.name for path in tmp_path.iterdir()] == ["fifo"]
    fifo.close()
    assert list(tmp_path.iterdir()) == []


def test_a_removed_fifo_is_made_again_but_another_server_s_is_left(tmp_path: Path) -> None:
    mine = RequestFifo(str(tmp_path / "fifo"), 0o600, -1, -1)
    mine.keep()
    (tmp_path / "fifo").unlink()
    mine.keep()
    assert mine.is_in_place()
    other = RequestFifo(mine.path, 0o600, -1, -1)
    other.make()
    mine.keep()
    assert other.is_in_place() and not mine.is_in_place()
    mine.close()
    assert other.is_in_place()
    other.close()


def test_a_fifo_that_nobody_reads_is_replaced(tmp_path: Path) -> None:
    mine = RequestFifo(str(tmp_path / "fifo"), 0o600, -1, -1)
    mine.keep()
    (tmp_path / "fifo").unlink()
    os.mkfifo(tmp_path / "fifo")
    mine.keep()
    assert mine.is_in_place()
    mine.close()


def test_a_place_that_cannot_be_used_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fifo = RequestFifo(str(tmp_path / "gone" / "fifo"), 0o600, -1, -1)
    with caplog.at_level(logging.ERROR, "openserd"):
        fifo.keep()
        fifo.keep()
        assert len(caplog.records) == 1
    (tmp_path / "gone").mkdir()
    fifo.keep()
    assert fifo.is_in_place()
    fifo.close()


# --- answers --------------------------------------------------------------------------------------


def test_a_command_is_run_with_the_values_of_its_arguments() -> None:
    core = Core()
    core.mi.add(Command("join", lambda *words: Reply(200, "+".join(words)), 0, None))
    arguments = [Argument("", "a"), Argument("n", "b")]
    assert answer(core, Request("join", "r", arguments)) == b"200 a+b\n\n"


def test_an_unknown_command_is_not_available() -> None:
    assert answer(Core(), Request("nope", "r")) == b"500 command 'nope' not available\n"


def test_faulty_arguments_are_a_parse_error() -> None:
    core = Core()
    core.mi.add(Command("c", lambda *words: Reply(), 0, None))
    assert answer(core, Request("c", "r", fault="x")) == b"400 parse error in command 'c'\n"


def test_a_wrong_number_of_arguments_is_refused() -> None:
    core = Core()
    core.mi.add(Command("c", lambda word: Reply(), 1, 1))
    assert answer(core, Request("c", "r")) == b"400 Too few or too many arguments\n\n"


def test_a_command_that_raises_has_failed_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    core = Core()
    core.mi.add(Command("c", lambda: Reply(1 // 0)))
    with caplog.at_level(logging.ERROR, "openserd"):
        assert answer(core, Request("c", "r")) == b"500 command 'c' failed\n"
    assert "ZeroDivisionError" in caplog.text


# --- reply FIFOs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a.b", "../x", "/etc/x", "a\\b", "a\0", "x" * 300, "\xe9"])
def test_reply_names_that_could_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    assert not ReplyDirectory(str(tmp_path)).has(name)


def test_only_a_fifo_counts_as_a_waiting_caller(tmp_path: Path) -> None:
    replies = ReplyDirectory(str(tmp_path))
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    assert [replies.has(name) for name in ("file", "fifo", "link", "none")] == [False, True, False, False]
    assert replies.open("fifo") is None
