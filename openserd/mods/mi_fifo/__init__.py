"""mi_fifo: management commands through a FIFO (OpenSER: modules/mi_fifo)."""

import grp
import logging
import os
import pwd

from openserd.core.context import Core
from openserd.core.module import Module, Process, between, param
from openserd.errors import ConfigError
from openserd.mods.mi_fifo.fifo import FifoServer, ReplyDirectory, RequestFifo, is_fifo, remove_stale
from openserd.mods.mi_fifo.later import CARRIER, LaterAnswers

log = logging.getLogger("openserd")


class MiFifo(Module):
    """The FIFO and the process that serves it."""

    name = "mi_fifo"

    fifo_name: str = param("")  #: path of the FIFO; must be set
    fifo_mode: int = param(0o660, between(0, 0o777))  #: its permissions
    fifo_user: int | str = param(-1)  #: its owner, id or name; a name brings that user's group along
    fifo_group: int | str = param(-1)  #: its group, id or name
    reply_dir: str = param("/tmp/")  #: directory in which callers make their reply FIFOs
    reply_indent: str = param("\t")  #: written before a node once per level of the tree

    processes = {"fifo": Process("MI FIFO")}

    def on_init(self, core: Core) -> None:
        """Checks the settings and removes a FIFO that a dead server has left. Raises ConfigError.

        The FIFO itself is made by the process that reads it: checking a script disturbs no running server.
        """
        self.core = core
        self.check_paths()
        if self.fifo_mode == 0:
            log.warning("mi_fifo: fifo_mode 0 would let nobody write; it becomes 0600")
            self.fifo_mode = 0o600
        self.later = LaterAnswers(core, self.reply_indent) if core.shared is not None else None
        if self.later is not None:
            core.mi.carriers[CARRIER] = self.later.leave
        self.uid, self.gid = owner(self.fifo_user, self.fifo_group)
        try:
            remove_stale(self.fifo_name)
        except OSError as error:
            raise ConfigError(f"the old FIFO {self.fifo_name} cannot be removed: {error.strerror}") from None

    def check_paths(self) -> None:
        """Raises ConfigError where `fifo_name` or `reply_dir` cannot be used."""
        if not self.fifo_name:
            raise ConfigError(
                "mi_fifo has no FIFO", hint='set one: modparam("mi_fifo", "fifo_name", "/tmp/openser_fifo")'
            )
        if os.path.lexists(self.fifo_name) and not is_fifo(self.fifo_name):
            raise ConfigError(
                f"fifo_name {self.fifo_name} is there and not a FIFO",
                hint="choose another name, or remove that file",
            )
        folder = os.path.dirname(self.fifo_name) or "."
        if not os.path.isdir(folder):
            raise ConfigError(f"the directory of fifo_name, {folder}, does not exist")
        if not os.path.isdir(self.reply_dir):
            raise ConfigError(f"reply_dir {self.reply_dir!r} is not a directory")

    def on_exit(self) -> None:
        """Takes the FIFO away where its process could not do so itself."""
        try:
            remove_stale(self.fifo_name)
        except OSError as error:
            log.warning("mi_fifo: %s stays behind: %s", self.fifo_name, error.strerror)

    def process_fifo(self) -> None:
        """The life of the FIFO's process."""
        fifo = RequestFifo(self.fifo_name, self.fifo_mode, self.uid, self.gid)
        FifoServer(self.core.mi, fifo, ReplyDirectory(self.reply_dir), self.reply_indent, self.later).serve()


def owner(user: int | str, group: int | str) -> tuple[int, int]:
    """User id and group id, -1 for one that stays as it is. Raises ConfigError for an unknown name."""
    uid, gid = identifier(user), identifier(group)
    try:
        if uid is None:
            entry = pwd.getpwnam(str(user))
            uid = entry.pw_uid
            gid = entry.pw_gid if group == -1 else gid
        if gid is None:
            gid = grp.getgrnam(str(group)).gr_gid
    except KeyError as unknown:
        raise ConfigError(f"mi_fifo: {unknown.args[0]}", expected="a name or number of this system") from None
    return uid, gid


def identifier(value: int | str) -> int | None:
    """The id that `value` is, None where it is a name."""
    try:
        return int(value)
    except ValueError:
        return None
