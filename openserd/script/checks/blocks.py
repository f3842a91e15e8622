"""What can be said about the blocks of a script without knowing any function: defined, called, reached."""

from collections.abc import Iterable
from itertools import pairwise

from openserd.core.module import REQUEST, ROUTE_NAMES
from openserd.script.checks.graph import Graph, Key, key_of
from openserd.script.checks.report import STRICT, Report
from openserd.script.problems import did_you_mean
from openserd.script.tree import (
    Assign,
    Block,
    Break,
    Case,
    Exit,
    If,
    Logic,
    Node,
    Return,
    RouteCall,
    Switch,
    While,
    walk,
)

ENDING = (Exit, Return, Break)
LONGEST_READING = 100


def check_blocks(blocks: list[Block], graph: Graph, report: Report) -> None:
    """Reports blocks defined twice, named wrongly, called but not there; at the strict level more (warnings)."""
    for block in blocks:
        first = graph.blocks[key_of(block)]
        if first is not block:
            report.error(
                f"{block.title} is defined twice", block, hint=f"it is already defined in {report.where(first, block)}"
            )
        check_name(block, report)
        check_statements(block.body, report)
    for calls in graph.calls.values():
        for call in calls:
            check_called(call, graph, report)
    if report.level >= STRICT and not report.unread:
        for key, block in graph.blocks.items():
            if key not in graph.reached:
                report.warn(f"{block.title} is never called", block)
            strict_warnings(block, graph, report)


def check_name(block: Block, report: Report) -> None:
    """Reports a name where there must be none, and none where there must be one."""
    if block.kind == "error_route" and block.named:
        report.error("error_route has no number", block, expected="error_route {")
    elif block.kind in ("failure_route", "branch_route") and not block.named:
        report.error(f"{block.kind} needs a number or name", block, expected=f"{block.kind}[1] {{")


def check_called(call: RouteCall, graph: Graph, report: Report) -> None:
    """Reports a call of a block that is not there."""
    if (REQUEST, call.name) not in graph.blocks and not report.unread:
        message, hint = undefined((REQUEST, call.name), graph)
        report.error_at(message, call.name_start, call.name_end, hint=hint)


def undefined(key: Key, graph: Graph) -> tuple[str, str]:
    """What to say of a block that is not there: message and hint."""
    kind, name = key
    word = ROUTE_NAMES[kind]
    known = [block.title for (other, _), block in graph.blocks.items() if other == kind and block.named]
    hint = did_you_mean(f"{word}[{name}]", known) if not name.isdigit() else ""
    if not hint and known:
        hint = f"there {'are' if len(known) > 1 else 'is'} {', '.join(known)}"
    return f"there is no {word}[{name}]", hint


def check_statements(body: Iterable[Node], report: Report, around: Node | None = None) -> None:
    """Reports `break` outside of a switch or while and cases in the wrong order; `around` is the innermost of them."""
    for node in body:
        match node:
            case Break():
                check_break(node, report, around)
            case If():
                check_statements(node.then, report, around)
                check_statements(node.orelse or (), report, around)
            case While():
                check_statements(node.body, report, node)
            case Switch():
                check_cases(node, report)


def check_break(node: Break, report: Report, around: Node | None) -> None:
    """Reports a `break` that leaves nothing, or what another file began."""
    if around is None:
        report.error("break outside of a switch or while", node)
    elif report.source.file_of(around.start) != report.source.file_of(node.start):
        begun = report.where(around, node)
        report.error("break cannot leave the switch or while of another file", node, hint=f"it begins in {begun}")


def check_cases(switch: Switch, report: Report) -> None:
    """Reports a default that is not last, and cases with the same value."""
    seen: dict[bytes, Case] = {}
    for case in switch.cases:
        check_statements(case.body, report, switch)
        if case.value is None:
            if case is not switch.cases[-1]:
                report.error("default is not the last case", case)
            continue
        key = str(case.value.value).lower().encode("utf-8", "surrogateescape")
        if key in seen:
            report.warn(f"this case is in {report.where(seen[key], case)} already", case)
        seen.setdefault(key, case)


# -- warnings of the strict level ---------------------------------------------------------------------------------


def strict_warnings(block: Block, graph: Graph, report: Report) -> None:
    """Warns of what is legal and rarely meant."""
    for node in walk(block):
        if isinstance(node, Logic):
            warn_mixed(node, report)
        if isinstance(node, Block | Case | While):
            warn_unreachable(node.body, graph, report)
        elif isinstance(node, If):
            warn_unreachable(node.then, graph, report)
            warn_unreachable(node.orelse or (), graph, report)


def warn_mixed(node: Logic, report: Report) -> None:
    """Warns where `&&` after `||` binds otherwise than in C."""
    seen_or = False
    for op, part in node.rest:
        if op == "||":
            seen_or = True
        elif seen_or:
            report.warn(
                "&& and || bind equally, from the left",
                part,
                hint=f"this is read as {reading(node, report)}: write these parentheses, or others",
            )
            return


def reading(node: Logic, report: Report) -> str:
    """A chain of conditions with the parentheses that it is read with."""

    def written(part: Node) -> str:
        text = " ".join(report.source.code[part.start : part.end].split())
        return f"({text})" if isinstance(part, Logic) else text

    text, last = written(node.first), ""
    for op, part in node.rest:
        text = f"({text})" if last not in ("", op) else text
        text, last = f"{text} {op} {written(part)}", op
    return text if len(text) <= LONGEST_READING else "(a || b) && c"


def warn_unreachable(body: tuple[Node, ...], graph: Graph, report: Report) -> None:
    """Warns of a statement after one that leaves the block."""
    for before, node in pairwise(body):
        if leaves(before):
            report.warn("this statement is never reached", node)
            return
        if graph.ends_script((before,)):
            hint = f"what {report.where(before, node)} begins always ends the script"
            if isinstance(before, RouteCall):
                hint = f"route({before.name}) in {report.where(before, node)} always ends the script"
            report.warn("this statement is never reached", node, hint=hint)
            return


def leaves(node: Node) -> bool:
    """Whether nothing after a statement is reached."""
    if isinstance(node, If):
        return all(any(leaves(one) for one in branch) for branch in (node.then, node.orelse or ()))
    return isinstance(node, ENDING)


def misused(nodes: Iterable[Node], report: Report) -> None:
    """Reports assignments that stand beside other conditions without parentheses of their own."""
    for node in nodes:
        if isinstance(node, Assign):
            report.error(
                "an assignment beside other conditions",
                node,
                expected="a comparison such as ==",
                hint="= assigns, == compares",
            )
