"""The functions of the core, by every name and alias.

They stand by concept in `commands_uri` (where a request goes), `commands_flags`, `commands_send` (how it is
sent) and `commands_log`; what changes the flow of the script (`route`, `exit`, `drop`, `return`) is the
compiler's.
"""

from typing import Final

from openserd.script import commands_flags, commands_log, commands_send, commands_uri
from openserd.script.command import Command

__all__ = ["COMMANDS", "Command"]

COMMANDS: Final[dict[str, Command]] = {
    **commands_flags.COMMANDS,
    **commands_log.COMMANDS,
    **commands_send.COMMANDS,
    **commands_uri.COMMANDS,
}
