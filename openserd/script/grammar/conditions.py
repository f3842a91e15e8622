"""The grammar of conditions."""

from typing import Any

from pyparsing import Forward, MatchFirst, Opt, ParserElement, ZeroOrMore

from openserd.script.grammar.choice import Choice
from openserd.script.grammar.expressions import assign_of
from openserd.script.grammar.literals import OPERAND
from openserd.script.grammar.tokens import LBRACKET, LPAR, RBRACKET, RPAR, Tokens, joined, token, value_of, word_of
from openserd.script.tree import Bracket, Compare, Logic, Node, Not


def compare_of(_text: str, _at: int, toks: Tokens) -> Node:
    """A comparison, a lone variable, or an assignment."""
    if len(toks) == 1:
        bare: Node = toks[0]
        return bare
    operand, op, value = toks
    if op[1] in ("==", "!=", "=~", "!~", "<", ">", "<=", ">="):
        return Compare(operand.start, value.end, operand, op[1], value)
    return assign_of(_text, _at, toks)


def not_of(_text: str, _at: int, toks: Tokens) -> Not:
    """A negation."""
    return Not(toks[0].start(1), toks[1].end, toks[1])


def logic_of(_text: str, _at: int, toks: Tokens) -> Any:
    """A chain of conditions; a lone one stands for itself."""
    if len(toks) == 1:
        return toks[0]
    words = {"and": "&&", "or": "||"}
    rest = tuple((words.get(op[1], op[1]), part) for op, part in zip(toks[1::2], toks[2::2], strict=True))
    return Logic(toks[0].start, toks[-1].end, toks[0], rest)


def bracket_of(_text: str, _at: int, toks: Tokens) -> Bracket:
    """An expression as a condition."""
    opened, inner, closed = toks
    return Bracket(opened.start(1), closed.end(1), inner)


def condition_grammar(
    variable: ParserElement,
    value: ParserElement,
    expression: ParserElement,
    assignment: ParserElement,
    call: ParserElement,
) -> ParserElement:
    """Conditions; `&&` and `||` bind equally and from the left, `!` takes the next one only."""
    condition = Forward()
    primary = Forward()
    comparison = token(r"==|!=|=~|!~|<=|>=|<|>", "a comparison such as == or =~")
    assigning = token(r"[-+*/%&|^]?=(?![=~])", "'='")
    keyword = token(OPERAND, "an operand such as uri").set_parse_action(word_of)
    further = Choice(
        [(r"==|=~|!|<|>", joined(comparison - value)), (r".?=", joined(assigning - expression))],
        "a comparison such as == or =~",
    )
    primary <<= Choice(
        [
            (OPERAND, joined(keyword - comparison - value).set_parse_action(compare_of)),
            (r"\$", joined(variable + joined(Opt(further))).set_parse_action(compare_of)),
            (r"!(?![=~])|not\b", joined(token(r"!|not\b", "!") - primary).set_parse_action(not_of)),
            (r"\(", joined(LPAR - condition - RPAR)),
            (r"[A-Za-z_]", call),
            (r"[-+]?\d", token(r"[-+]?\d\w*", "a number").set_parse_action(value_of)),
            (
                r"\[",
                joined(LBRACKET - joined(MatchFirst([assignment, expression])) - RBRACKET).set_parse_action(bracket_of),
            ),
        ],
        "a condition",
    )
    logical = token(r"&&|\|\||and\b|or\b", "&& or ||")
    condition <<= joined(primary + joined(ZeroOrMore(joined(logical - primary)))).set_parse_action(logic_of)
    return joined(condition, "a condition")
