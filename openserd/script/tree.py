"""What a script says, as a tree: nodes that know the text they stand for and nothing of what it means.

`start` and `end` are offsets into the text (end excluded); `Source` makes lines and columns of them.  Nodes are
compared by identity.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Node:
    """Base of all nodes."""

    start: int
    end: int


# -- values ---------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Text(Node):
    """A string, its escapes resolved."""

    value: str


@dataclass(slots=True, eq=False)
class Number(Node):
    """An integer, or a word that stands for one such as `yes`; `written` is how it was written."""

    value: int
    written: str


@dataclass(slots=True, eq=False)
class Word(Node):
    """A bare word: identifier, host name, address, network, `null`, `myself`, `max_len`."""

    value: str


@dataclass(slots=True, eq=False)
class Variable(Node):
    """A pseudo-variable as written, from `$` to the last bracket."""

    text: str


@dataclass(slots=True, eq=False)
class Binary(Node):
    """Arithmetic on two sides."""

    op: str
    left: "Expression"
    right: "Expression"


@dataclass(slots=True, eq=False)
class Unary(Node):
    """Arithmetic on one side: `-`, `+` or `~`."""

    op: str
    operand: "Expression"


# -- conditions -----------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Compare(Node):
    """`operand op value`; the operand is a keyword such as `src_ip` or a pseudo-variable."""

    operand: "Word | Variable"
    op: str
    value: "Value"


@dataclass(slots=True, eq=False)
class Not(Node):
    """Negation."""

    condition: "Condition"


@dataclass(slots=True, eq=False)
class Logic(Node):
    """Conditions joined by `&&` and `||`, which bind equally and from the left."""

    first: "Condition"
    rest: "tuple[tuple[str, Condition], ...]"


@dataclass(slots=True, eq=False)
class Bracket(Node):
    """`[ ... ]`: the value of an expression or assignment taken as a truth."""

    inner: "Expression | Assign"


# -- statements -----------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Call(Node):
    """A function with its arguments; `args` is None when there were no parentheses."""

    name: str
    args: "tuple[Value, ...] | None"


@dataclass(slots=True, eq=False)
class RouteCall(Node):
    """`route(name)`; `name` is canonical, `name_start` and `name_end` where it stands."""

    name: str
    name_start: int
    name_end: int


@dataclass(slots=True, eq=False)
class Assign(Node):
    """`target op value`; the value is None for `null`."""

    target: Variable
    op: str
    value: "Expression | None"


@dataclass(slots=True, eq=False)
class If(Node):
    """A conditional; `orelse` is None without `else`."""

    condition: "Condition"
    then: "tuple[Statement, ...]"
    orelse: "tuple[Statement, ...] | None"


@dataclass(slots=True, eq=False)
class While(Node):
    """A loop; it ends after `max_while_loops` rounds at the latest."""

    condition: "Condition"
    body: "tuple[Statement, ...]"


@dataclass(slots=True, eq=False)
class Case(Node):
    """One alternative of a switch; `value` is None for `default`."""

    value: "Text | Number | None"
    body: "tuple[Statement, ...]"


@dataclass(slots=True, eq=False)
class Switch(Node):
    """A choice by the value of one pseudo-variable."""

    variable: Variable
    cases: tuple[Case, ...]


@dataclass(slots=True, eq=False)
class Return(Node):
    """Leaves the block with a number."""

    value: int


@dataclass(slots=True, eq=False)
class Exit(Node):
    """Ends the script; `drop` discards the message as well."""

    drop: bool


@dataclass(slots=True, eq=False)
class Break(Node):
    """Leaves the innermost switch or while."""


@dataclass(slots=True, eq=False)
class Broken(Node):
    """What could not be read; its error is reported already."""


# -- the file -------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Setting(Node):
    """`name = value ...`; `name_end` is where the name ends."""

    name: str
    name_end: int
    values: "tuple[Text | Number | Word, ...]"


@dataclass(slots=True, eq=False)
class Blacklist(Node):
    """`dst_blacklist = name : { rule, ... }`; each rule is its negation and its four values."""

    name: str
    rules: "tuple[tuple[bool, tuple[Value, ...]], ...]"


@dataclass(slots=True, eq=False)
class TlsDomain(Node):
    """`tls_server_domain[address] { name = value ... }`."""

    kind: str
    address: str
    settings: tuple[Setting, ...]


@dataclass(slots=True, eq=False)
class LoadModule(Node):
    """`loadmodule "file"`."""

    path: Text


@dataclass(slots=True, eq=False)
class ModParam(Node):
    """`modparam("modules", "name", value)`."""

    modules: Text
    name: Text
    value: "Text | Number"


@dataclass(slots=True, eq=False)
class Block(Node):
    """One route block; `name` is "0" where none is written, `start` to `end` its heading, `close` its last brace."""

    kind: str
    name: str
    body: "tuple[Statement, ...]"
    close: int
    named: bool = field(default=False)

    @property
    def title(self) -> str:
        """How the block is written in a script, such as `failure_route[1]`."""
        return f"{self.kind}[{self.name}]" if self.named else self.kind


Value = Text | Number | Word | Variable
Expression = Text | Number | Word | Variable | Binary | Unary | Compare | Call | RouteCall
Condition = Compare | Variable | Number | Not | Logic | Bracket | Assign | Call | RouteCall | Broken
Statement = Call | RouteCall | Assign | If | While | Switch | Return | Exit | Break | Broken
Item = Setting | Blacklist | TlsDomain | LoadModule | ModParam | Block | Broken


def parts(node: Node) -> "tuple[Node, ...]":
    """The nodes directly below a statement, condition or expression."""
    match node:
        case If():
            return (node.condition, *node.then, *(node.orelse or ()))
        case While():
            return (node.condition, *node.body)
        case Switch():
            return (node.variable, *node.cases)
        case Case() | Block():
            return node.body
        case Call():
            return node.args or ()
        case Assign():
            return (node.target, node.value) if node.value else (node.target,)
        case Not():
            return (node.condition,)
        case Logic():
            return (node.first, *(part for _, part in node.rest))
        case Bracket():
            return (node.inner,)
        case Compare():
            return (node.operand, node.value)
        case Binary():
            return (node.left, node.right)
        case Unary():
            return (node.operand,)
    return ()


def walk(node: Node) -> "Iterator[Node]":
    """A node and all below it, in the order of the text."""
    todo = [node]
    while todo:
        one = todo.pop()
        yield one
        todo.extend(reversed(parts(one)))
