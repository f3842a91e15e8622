"""A server with every database module: it starts without any database, and knows how to rotate files."""

from pathlib import Path

from tests.support import Server
from tests.support.server import check_script

MODULES = ("mysql", "postgres", "unixodbc", "dbtext", "flatstore", "sqlite")
SCRIPT = "\n".join([
    *(f'loadmodule "{name}.so"' for name in ("sl", "mi_fifo", *MODULES)),
    'modparam("mi_fifo", "fifo_name", "@FIFO@")',
    'modparam("mi_fifo", "reply_dir", "@RUN@/")',
    'route { sl_send_reply("200", "OK"); }',
    "",
])  # fmt: skip


def test_a_script_with_every_driver_is_right(tmp_path: Path) -> None:
    checked = check_script(
        SCRIPT.replace("@FIFO@", str(tmp_path / "fifo")).replace("@RUN@", str(tmp_path)), tmp_path, "-C"
    )
    assert checked.returncode == 0, checked.stderr


def test_a_server_with_every_driver_runs_and_rotates(tmp_path: Path) -> None:
    with Server(SCRIPT, tmp_path) as server:
        assert server.mi("flat_rotate").code == 200
