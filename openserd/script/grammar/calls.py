"""The grammar of function calls, among them those that steer the script: exit, drop, return, break, route."""

import re
from typing import Any, Final

from pyparsing import MatchFirst, Opt, ParserElement, ZeroOrMore

from openserd.script.grammar.literals import ARGUMENT, literal
from openserd.script.grammar.tokens import CLOSING, COMMA, LPAR, NAME, Tokens, joined, token
from openserd.script.tree import Break, Call, Exit, Node, Number, Return, RouteCall, Variable

ARGUMENTS: Final = re.compile(rf"\s*({ARGUMENT})\s*(?:,|$)")


def call_of(_text: str, _at: int, toks: Tokens) -> Node:
    """A call: `name`, `name()` or `name(a, b)`; the words that steer the script have nodes of their own."""
    name = toks[0]
    args: tuple[Any, ...] | None = None
    end = name.end(1)
    if len(toks) > 1 and not isinstance(toks[1], re.Match):
        args = tuple(toks[1:-1])
        end = toks[-1].end(1)
    elif len(toks) > 1:
        end = toks[1].end(1)
        args = quick_arguments(toks[1])
    return steering(Call(name.start(1), end, name[1], args))


def quick_arguments(match: "re.Match[str]") -> tuple[Any, ...]:
    """The arguments inside parentheses that are known to hold nothing else."""
    inner, base = match[2], match.start(2)
    args = []
    at = 0
    while found := ARGUMENTS.match(inner, at):
        start, end = base + found.start(1), base + found.end(1)
        written = found[1]
        args.append(Variable(start, end, written) if written[0] == "$" else literal(written, start, end))
        at = found.end()
    return tuple(args)


def steering(call: Call) -> Node:
    """The node for `exit`, `drop`, `return`, `break` and `route(n)`; other calls as they are.

    Wrong arguments leave the call as it is: the checks say what is wrong with it.
    """
    args = call.args or ()
    if call.name in ("exit", "drop") and not args:
        return Exit(call.start, call.end, call.name == "drop")
    if call.name in ("break", "esac") and call.args is None:
        return Break(call.start, call.end)
    if call.name == "return" and not args:
        return Return(call.start, call.end, 1)
    if len(args) != 1:
        return call
    arg = args[0]
    if call.name == "return" and isinstance(arg, Number):
        return Return(call.start, call.end, arg.value)
    if call.name == "route" and not isinstance(arg, Variable):
        return RouteCall(call.start, call.end, route_name(arg), arg.start, arg.end)
    return call


def route_name(value: Any) -> str:
    """The canonical name of a route block: numbers in decimal."""
    return str(value.value)


def call_grammar(value: ParserElement) -> ParserElement:
    """A call, its arguments read at once where they are plain and one by one where something is wrong."""
    one = rf"(?:{ARGUMENT})"
    quick = token(rf"\(\s*({one}(?:\s*,\s*{one})*|)\s*\)", "arguments")
    slowly = joined(LPAR - joined(Opt(joined(value + joined(ZeroOrMore(joined(COMMA - value)))))) - CLOSING)
    arguments = joined(MatchFirst([quick, slowly]))
    return joined(NAME + joined(Opt(arguments))).set_parse_action(call_of)
