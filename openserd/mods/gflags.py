"""gflags: 32 flags of the whole server, kept in shared memory, for scripts and management.

One u32 in shared memory; a flag is changed under a lock, so that two processes never undo each other's change
(OpenSER takes none).  Management speaks of masks, scripts of flag numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from openserd.core.context import Core
from openserd.core.management.mi import Reply
from openserd.core.message import SipMsg
from openserd.core.module import BRANCH, FAILURE, FALSE, OK, ONREPLY, REQUEST, Fn, Int, Mi, Module, Str, param
from openserd.shm.locks import Lock

EVERYWHERE: Final = REQUEST | FAILURE | ONREPLY | BRANCH
ALL_FLAGS: Final = 0xFFFFFFFF
BAD_PARAMETER: Final = "Bad parameter"

_FLAG: Final = Int("flag", lo=0, hi=31)


class GFlags(Module):
    name = "gflags"
    initial: int = param(0)  #: the mask at the start, bit n being flag n
    functions = {
        "set_gflag": Fn(_FLAG, routes=EVERYWHERE),
        "reset_gflag": Fn(_FLAG, routes=EVERYWHERE),
        "is_gflag": Fn(_FLAG, routes=EVERYWHERE),
    }
    mi = {
        "set_gflag": Mi(Str("mask")),
        "reset_gflag": Mi(Str("mask")),
        "is_gflag": Mi(Str("mask")),
        "get_gflags": Mi(),
    }
    mask: memoryview
    lock: Lock | None = None

    def on_init(self, core: Core) -> None:
        """Makes the mask; in a process of its own where there is no shared memory."""
        if core.shared is None:
            self.mask = memoryview(bytearray(4)).cast("I")
        else:
            self.mask = core.memory.words(1)
            self.lock = core.memory.lock("gflags")
        self.mask[0] = self.initial & ALL_FLAGS

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the mask."""
        if self.lock is None:
            yield
            return
        self.lock.acquire()
        try:
            yield
        finally:
            self.lock.release()

    def change(self, on: int, off: int) -> None:
        """Sets the flags of mask `on` and clears those of `off`."""
        with self.locked():
            self.mask[0] = (self.mask[0] | on) & ~off & ALL_FLAGS

    # -- script functions -----------------------------------------------------------------------------------

    def set_gflag(self, msg: SipMsg, flag: int) -> int:
        """1."""
        self.change(1 << flag, 0)
        return OK

    def reset_gflag(self, msg: SipMsg, flag: int) -> int:
        """1."""
        self.change(0, 1 << flag)
        return OK

    def is_gflag(self, msg: SipMsg, flag: int) -> int:
        """1 set, -1 not."""
        return OK if self.mask[0] >> flag & 1 else FALSE

    # -- management -----------------------------------------------------------------------------------------

    def mi_set_gflag(self, mask: str) -> Reply:
        """Sets the flags of a mask, decimal or 0x and hexadecimal."""
        bits = read_mask(mask)
        if not bits:
            return Reply(400, BAD_PARAMETER)
        self.change(bits, 0)
        return Reply()

    def mi_reset_gflag(self, mask: str) -> Reply:
        """Clears the flags of a mask, decimal or 0x and hexadecimal."""
        bits = read_mask(mask)
        if not bits:
            return Reply(400, BAD_PARAMETER)
        self.change(0, bits)
        return Reply()

    def mi_is_gflag(self, mask: str) -> Reply:
        """TRUE where any flag of the mask is set, else FALSE."""
        bits = read_mask(mask)
        if not bits:
            return Reply(400, BAD_PARAMETER)
        reply = Reply()
        reply.add(value="TRUE" if self.mask[0] & bits else "FALSE")
        return reply

    def mi_get_gflags(self) -> Reply:
        """The whole mask, in hexadecimal and in decimal."""
        reply = Reply()
        reply.add(value=f"0x{self.mask[0]:X}")
        reply.add(value=str(self.mask[0]))
        return reply


def read_mask(text: str) -> int:
    """The mask that `text` is, decimal or 0x and hexadecimal; 0, which is no useful one, for anything else."""
    word = text.strip().lower()
    digits, base = (word[2:], 16) if word.startswith("0x") else (word, 10)
    try:
        mask = int(digits, base) if digits.isalnum() else 0
    except ValueError:
        return 0
    return mask if mask <= ALL_FLAGS else 0
