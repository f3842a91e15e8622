"""`--lint`: every way through the request route, with what is known about the request on it.

The ways are followed by the facts that they gather (`lints.py`), so that two ways with the same facts are one.  What
calls and comparisons decide is believed; what variables hold is not known.
"""

from collections.abc import Iterable
from typing import Final

from openserd.core.module import REQUEST
from openserd.script.checks.graph import Graph, Key
from openserd.script.checks.lints import (
    ALIASES,
    CHECKED,
    GUARDED,
    IN_DIALOG,
    LINTS,
    METHODS,
    NO_FACTS,
    OTHER,
    REGISTER,
    RELAYS,
    ROUTED,
    SIZED,
    Facts,
    after_assignment,
    after_call,
    after_compare,
    after_method,
    canonical,
    chooses,
    written,
)
from openserd.script.checks.report import Report
from openserd.script.tree import (
    Assign,
    Block,
    Bracket,
    Break,
    Call,
    Case,
    Compare,
    Exit,
    If,
    Logic,
    Node,
    Not,
    Number,
    Return,
    RouteCall,
    Switch,
    While,
    walk,
)

Ways = frozenset[Facts]
NO_WAYS: Final[Ways] = frozenset()
MOST_ROUNDS: Final = 3  #: of a loop: by then it has told all that it has to tell
MOST_LEVELS: Final = 100


def lint(graph: Graph, report: Report) -> None:
    """Warns of what `LINTS` describes."""
    block = graph.blocks.get((REQUEST, "0"))
    if block is not None:
        Walk(graph, report).block(block, frozenset((NO_FACTS,)))


class Walk:
    """Follows all ways through the blocks of one script."""

    def __init__(self, graph: Graph, report: Report) -> None:
        self.graph = graph
        self.report = report
        self.told: set[tuple[str, int]] = set()
        self.calls: list[RouteCall] = []  #: how the block at hand was reached
        self.known: dict[tuple[Key, Ways], tuple[Ways, Ways]] = {}
        self.true: list[Ways] = []  #: for each block at hand, the ways on which it returned true
        self.false: list[Ways] = []
        self.broken: list[Ways] = []  #: for each switch or while at hand, the ways that left it by break

    # -- blocks and statements ----------------------------------------------------------------------------------

    def block(self, block: Block, ways: Ways) -> tuple[Ways, Ways]:
        """The ways on which a block is true, and on which it is false."""
        self.true.append(NO_WAYS)
        self.false.append(NO_WAYS)
        outer, self.broken = self.broken, []
        through = self.statements(block.body, ways)
        self.broken = outer
        return self.true.pop() | through, self.false.pop() | through

    def statements(self, nodes: Iterable[Node], ways: Ways) -> Ways:
        """The ways on which statements are passed."""
        for node in nodes:
            if not ways:
                break
            ways = self.statement(node, ways)
        return ways

    def statement(self, node: Node, ways: Ways) -> Ways:
        """The ways on which a statement is passed."""
        match node:
            case Call():
                self.unhandled(node)
                return union(self.condition(node, ways))
            case RouteCall():
                return union(self.condition(node, ways))
            case If():
                true, false = self.condition(node.condition, ways)
                return self.statements(node.then, true) | self.statements(node.orelse or (), false)
            case While():
                return self.loop(node, ways)
            case Switch():
                return self.switch(node, ways)
            case Assign():
                for part in walk(node):
                    if isinstance(part, Call | RouteCall):
                        ways = union(self.condition(part, ways))
                return frozenset(after_assignment(node, facts) for facts in ways)
            case Return():
                self.leave(node.value, ways)
                return NO_WAYS
            case Break():
                self.broken[-1] |= ways
                return NO_WAYS
            case Exit():
                return NO_WAYS
        return ways

    def leave(self, value: int, ways: Ways) -> None:
        """The block is left with a value."""
        if value > 0:
            self.true[-1] |= ways
        elif value < 0:
            self.false[-1] |= ways

    def loop(self, node: While, ways: Ways) -> Ways:
        """The ways on which a loop is left."""
        self.broken.append(NO_WAYS)
        left = NO_WAYS
        for _ in range(MOST_ROUNDS):
            true, false = self.condition(node.condition, ways)
            left |= false
            ways = self.statements(node.body, true)
        return left | ways | self.broken.pop()

    def switch(self, node: Switch, ways: Ways) -> Ways:
        """The ways on which a switch is left."""
        self.broken.append(NO_WAYS)
        through = NO_WAYS
        others = ways
        for case in node.cases:
            into, others = self.case(node, case, others)
            through = self.statements(case.body, into if case.value is None else into | through) | (
                through if case.value is None else NO_WAYS
            )
        left = NO_WAYS if node.cases and node.cases[-1].value is None else others
        return left | through | self.broken.pop()

    def case(self, node: Switch, case: Case, ways: Ways) -> tuple[Ways, Ways]:
        """The ways that enter a case, and those that look further."""
        if case.value is None or node.variable.text not in METHODS:
            return ways, ways
        word = frozenset((written(case.value).upper(),))
        return split(after_method(word, facts) for facts in ways)

    # -- conditions -----------------------------------------------------------------------------------------------

    def condition(self, node: Node, ways: Ways) -> tuple[Ways, Ways]:
        """The ways on which a condition is true, and on which it is false."""
        match node:
            case Call():
                self.look(node, ways)
                return split(after_call(node, facts) for facts in ways)
            case RouteCall():
                return self.called(node, ways)
            case Compare():
                return split(after_compare(node, facts) for facts in ways)
            case Not():
                true, false = self.condition(node.condition, ways)
                return false, true
            case Logic():
                return self.logic(node, ways)
            case Assign():
                after = self.statement(node, ways)
                return after, after
            case Bracket():
                return self.condition(node.inner, ways)
            case Number():
                return (ways, NO_WAYS) if node.value else (NO_WAYS, ways)
        return ways, ways

    def logic(self, node: Logic, ways: Ways) -> tuple[Ways, Ways]:
        """A chain of conditions, from the left."""
        true, false = self.condition(node.first, ways)
        for op, part in node.rest:
            if op == "&&":
                true, more = self.condition(part, true)
                false |= more
            else:
                more, false = self.condition(part, false)
                true |= more
        return true, false

    def called(self, node: RouteCall, ways: Ways) -> tuple[Ways, Ways]:
        """A call of a block."""
        key = (REQUEST, node.name)
        block = self.graph.blocks.get(key)
        if block is None or not ways or len(self.calls) >= MOST_LEVELS:
            return ways, ways
        if (key, ways) not in self.known:
            self.known[key, ways] = (NO_WAYS, NO_WAYS)  # what calls itself adds nothing while it does
            self.calls.append(node)
            self.known[key, ways] = self.block(block, ways)
            self.calls.pop()
        return self.known[key, ways]

    # -- findings ---------------------------------------------------------------------------------------------------

    def look(self, node: Call, ways: Ways) -> None:
        """Looks at a call on all ways that reach it."""
        name = canonical(node.name)
        for facts in ways:
            if name in RELAYS:
                self.relay(node, facts)
            elif name == "record_route" and not facts & {OTHER, IN_DIALOG}:
                self.tell("record-route-register", node)
            elif name == "save" and REGISTER not in facts:
                self.tell("save-without-register", node)

    def relay(self, node: Call, facts: Facts) -> None:
        """Looks at a call that sends the request on."""
        if GUARDED not in facts:
            self.tell("loop-guard", node)
        if SIZED not in facts:
            self.tell("message-size", node)
        if CHECKED not in facts and not chooses(node):
            self.tell("preloaded-route" if ROUTED in facts else "open-relay", node)

    def unhandled(self, node: Call) -> None:
        """Looks at a call whose result goes unused."""
        name = canonical(node.name)
        if name == "t_relay":
            self.tell("relay-unhandled", node)
        elif name == "lookup" and [written(arg) for arg in node.args or ()] != [ALIASES]:
            self.tell("lookup-unhandled", node)

    def tell(self, lint_name: str, node: Call) -> None:
        """Warns, once of each thing at each place."""
        if (lint_name, node.start) in self.told:
            return
        self.told.add((lint_name, node.start))
        found = LINTS[lint_name]
        hint = found.hint.replace("{name}", node.name)
        way = ", ".join(f"route({call.name}) in {self.report.where(call, node)}" for call in self.calls)
        if way:
            hint = f"reached through {way}; {hint}"
        self.report.warn(found.message.replace("{name}", node.name), node, hint=hint, code=lint_name)


def split(pairs: Iterable[tuple[Facts, Facts]]) -> tuple[Ways, Ways]:
    """The ways on which something is true and those on which it is false, from the facts of each way."""
    listed = list(pairs)
    return frozenset(true for true, _ in listed), frozenset(false for _, false in listed)


def union(ways: tuple[Ways, Ways]) -> Ways:
    """All ways, whatever the truth."""
    return ways[0] | ways[1]
