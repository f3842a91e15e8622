"""The management interface: commands by name, trees as answers, whatever carries them.

A command takes its arguments as text and answers a `Reply`: a code, a reason and a tree of nodes.  How that
becomes lines of a FIFO or a document is the carrying module's business.  (OpenSER: mi/mi.h, mi/tree.h.)
"""

from collections.abc import Callable
from dataclasses import dataclass, field

Text = str | bytes | int


def text_of(value: Text) -> str:
    """A value as text; bytes of a SIP message are shown as UTF-8 where they are."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


@dataclass(slots=True)
class Node:
    """One line of an answer: `name:: value attribute=value ...`, with children below it."""

    name: str = ""
    value: Text = ""
    attributes: dict[str, Text] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def add(self, name: str = "", value: Text = "", **attributes: Text) -> "Node":
        """Adds a child and returns it."""
        child = Node(name, value, dict(attributes))
        self.children.append(child)
        return child


@dataclass(slots=True)
class Reply:
    """What a command answers: 200 and a tree, or a code and a reason.

    `after` is for the carrier to call once the answer is on its way: a command that ends the server still
    answers.
    """

    code: int = 200
    reason: str = "OK"
    nodes: list[Node] = field(default_factory=list)
    after: Callable[[], None] | None = None

    def add(self, name: str = "", value: Text = "", **attributes: Text) -> Node:
        """Adds a node at the top level and returns it."""
        node = Node(name, value, dict(attributes))
        self.nodes.append(node)
        return node


BAD_PARAMETERS = "Too few or too many arguments"


@dataclass(slots=True)
class Command:
    """A registered command: how many arguments it takes (`most` None for any number) and what runs it.

    One that `is_later` gets a ticket before its arguments, "" where the carrier gives none; it may answer None and pass
    the ticket, a text, to whatever process will call `MiRegistry.answer` with it.
    """

    name: str
    run: Callable[..., Reply | None]
    least: int = 0
    most: int | None = 0
    module: str = "core"
    is_later: bool = False

    @property
    def no_input(self) -> bool:
        """Whether the command takes no arguments at all."""
        return self.most == 0

    def call(self, arguments: list[str]) -> Reply:
        """Runs the command; 400 where the number of arguments is wrong."""
        reply = self.call_later(arguments, "")
        assert reply is not None, f"{self.name} answers later although nobody waits"
        return reply

    def call_later(self, arguments: list[str], ticket: str) -> Reply | None:
        """As `call`; None where the answer comes later, to `ticket`."""
        if len(arguments) < self.least or (self.most is not None and len(arguments) > self.most):
            return Reply(400, BAD_PARAMETERS)
        return self.run(ticket, *arguments) if self.is_later else self.run(*arguments)


class MiRegistry:
    """All commands of a server by name."""

    def __init__(self) -> None:
        self.commands: dict[str, Command] = {}
        self.carriers: dict[
            str, Callable[[str, Reply], None]
        ] = {}  #: who takes later answers, by what tickets begin with

    def add(self, command: Command) -> None:
        """Registers `command`; a name may be taken once."""
        assert command.name not in self.commands, f"MI command {command.name} is registered twice"
        self.commands[command.name] = command

    def answer(self, ticket: str, reply: Reply) -> None:
        """Answers a command whose answer comes later; in any process. A ticket is the carrier's name, ":", its own."""
        carrier = self.carriers.get(ticket.partition(":")[0])
        if carrier is not None:
            carrier(ticket, reply)

    def find(self, name: str) -> Command | None:
        """The command `name`, or None."""
        return self.commands.get(name)
