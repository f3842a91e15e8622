"""The functions of the core, by every name and alias.

They stand by concept in `uri` (where a request goes), `flags`, `send` (how it is sent) and `log`; what changes
the flow of the script (`route`, `exit`, `drop`, `return`) is the compiler's.
"""

from typing import Final

from openserd.script.commands import flags, log, send, uri
from openserd.script.commands.command import Command

__all__ = ["COMMANDS", "Command"]

COMMANDS: Final[dict[str, Command]] = {
    **flags.COMMANDS,
    **log.COMMANDS,
    **send.COMMANDS,
    **uri.COMMANDS,
}
