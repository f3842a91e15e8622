"""The status of a server as lines of its log (signal USR1; OpenSER: memory status at level `memlog`)."""

import os

from openserd.core.context import Core
from openserd.core.log import log_line
from openserd.server.processes import ProcessTable


def log_status(core: Core, table: ProcessTable) -> None:
    """Writes shared memory and, in the master, all processes to the log at level `memlog`."""
    level = core.params.memlog
    if core.process == 0:
        for row, pid, title in table.processes():
            log_line(level, f"process {row} pid {pid} {title}")
    for name, value in core.memory.statistics().items():
        log_line(level, f"status [{os.getpid()}] shmem:{name} = {value}")
