"""What makes a program a daemon: the pid file, leaving the terminal, giving up privileges.

(OpenSER: daemonize.c.)  The program that the operator started stays until the server is up and ends with its verdict.
"""

import grp
import os
import pwd
import resource
import sys
from pathlib import Path
from typing import Final

from openserd.errors import ConfigError, ResourceError

READY: Final = b"1"


class PidFile:
    """A file that names the running master; refuses a second server."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def check(self) -> None:
        """Raises ResourceError where the file names a living process."""
        try:
            pid = int(self.path.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return
        if pid != os.getpid() and is_alive(pid):
            raise ResourceError(f"already running as process {pid}, says {self.path}")

    def write(self, number: int) -> None:
        """Writes the number of the process (or group). Raises ResourceError."""
        try:
            self.path.write_text(f"{number}\n")
        except OSError as error:
            raise ResourceError(f"cannot write {self.path}: {error.strerror}") from None

    def remove(self) -> None:
        """Takes the file away."""
        self.path.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether a process of that number exists and has not ended yet; one that waits to be collected has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


class Launch:
    """The way into the background: the starting program waits for `ready` or for the server's end."""

    def __init__(self) -> None:
        self.pipe = -1

    def detach(self) -> None:
        """Forks twice into a session of its own; returns only in the daemon. The starter exits with the verdict."""
        reader, self.pipe = os.pipe()
        if os.fork():
            os.close(self.pipe)
            verdict = os.read(reader, 1)
            sys.stdout.flush()
            os._exit(0 if verdict == READY else 255)
        os.close(reader)
        os.setsid()
        if os.fork():
            os._exit(0)
        os.register_at_fork(after_in_child=self.forget)

    def leave_terminal(self, keep_stderr: bool) -> None:
        """Lets go of the terminal, or of the pipes of whoever started this, before any child inherits them; standard
        error stays where the log goes there (OpenSER)."""
        if self.pipe < 0:
            return
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1) if keep_stderr else (0, 1, 2):
            os.dup2(null, standard)
        os.close(null)

    def ready(self) -> None:
        """Lets the starter go."""
        if self.pipe >= 0:
            os.write(self.pipe, READY)
            self.forget()

    def forget(self) -> None:
        """Closes the way back to the starter: only the master's own end tells it that the server has not come up."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1


def user_id(name: str) -> tuple[int, int]:
    """The user and main group number of a user name or number. Raises ConfigError."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(f"there is no user '{name}'") from None
    return entry.pw_uid, entry.pw_gid


def group_id(name: str) -> int:
    """The number of a group name or number. Raises ConfigError."""
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"there is no group '{name}'") from None


def drop_privileges(chroot: str, user: str, group: str) -> None:
    """Changes root, then group, then user, where given (OpenSER's order). Raises ConfigError, ResourceError."""
    ids = user_id(user) if user else None
    gid = group_id(group) if group else ids[1] if ids else None
    try:
        if chroot:
            os.chroot(chroot)
            os.chdir("/")
        if gid is not None:
            os.setgroups([])
            os.setgid(gid)
        if ids is not None:
            os.setuid(ids[0])
    except OSError as error:
        raise ResourceError(f"cannot change to {chroot or user or group}: {error.strerror}") from None


def set_limits(disable_core_dump: bool, open_files: int) -> None:
    """Core dumps unlimited or off; the descriptor limit raised when asked. Raises ResourceError."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard) if disable_core_dump else (hard, hard))
    if open_files > 0:
        hard = max(open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, hard))
        except (OSError, ValueError) as error:
            raise ResourceError(f"cannot raise the limit of open files to {open_files}: {error}") from None
