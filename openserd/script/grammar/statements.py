"""The grammar of statements and blocks."""

from typing import Any, Final

from pyparsing import Forward, MatchFirst, Opt, ParserElement, ZeroOrMore

from openserd.script.grammar.choice import Choice
from openserd.script.grammar.recovery import Failures, Guarded, Statements
from openserd.script.grammar.tokens import (
    COLON,
    LBRACE,
    LPAR,
    RBRACE,
    RPAR,
    SEMICOLON,
    STRING_TOKEN,
    Tokens,
    joined,
    token,
    value_of,
)
from openserd.script.tree import Case, If, Node, Switch, While

BRANCH: Final = "a statement or a block in braces"


def if_of(_text: str, _at: int, toks: Tokens) -> If:
    """A conditional."""
    keyword, condition, then = toks[:3]
    orelse = toks[4] if len(toks) > 3 else None
    return If(keyword.start(1), keyword.end(1), condition, then, orelse)


def while_of(_text: str, _at: int, toks: Tokens) -> While:
    """A loop."""
    keyword, condition, body = toks
    return While(keyword.start(1), keyword.end(1), condition, body)


def case_of(_text: str, _at: int, toks: Tokens) -> Case:
    """One `case` or `default` with its statements."""
    keyword = toks[0]
    value = toks[1] if keyword[1] == "case" else None
    return Case(keyword.start(1), value.end if value else keyword.end(1), value, toks[-1])


def switch_of(_text: str, _at: int, toks: Tokens) -> Switch:
    """A switch."""
    keyword, variable = toks[:2]
    return Switch(keyword.start(1), keyword.end(1), variable, tuple(toks[2:]))


def one_statement(_text: str, _at: int, toks: Tokens) -> Any:
    """A single statement where a block could stand, as a block; a lone `;` is an empty one."""
    return [tuple(node for node in toks if isinstance(node, Node))]


def block_grammar(
    failures: Failures,
    variable: ParserElement,
    assignment: ParserElement,
    condition: ParserElement,
    call: ParserElement,
) -> ParserElement:
    """Statements in braces; their result is one tuple."""
    statement = Forward()
    body = Statements(statement, failures, ends=("}",))
    single = Choice([(";", SEMICOLON), ("[^;]", statement)], BRANCH).set_parse_action(one_statement)
    branch = Choice([(r"\{", body), (r"[^}]", single)], BRANCH)
    orelse = joined(token(r"else\b", "else") - branch)
    conditional = joined(token(r"if\b", "if") - Guarded(condition, failures) - branch + joined(Opt(orelse)))
    loop = joined(token(r"while\b", "while") - Guarded(condition, failures) - branch)
    number = token(r"[-+]?\s*\d\w*", "a number").set_parse_action(value_of)
    key = joined(MatchFirst([STRING_TOKEN.copy().set_parse_action(value_of), number]), "a string or a number")
    case_body = Statements(statement, failures, ends=("case", "default", "}"))
    cases = Choice(
        [
            (r"case\b", joined(token("case", "case") - key - COLON - case_body)),
            (r"default\b", joined(token("default", "default") - COLON - case_body)),
        ],
        "case",
    )
    switch = joined(
        token(r"switch\b", "switch")
        - LPAR
        - variable
        - RPAR
        - LBRACE
        - joined(ZeroOrMore(cases.set_parse_action(case_of)))
        - RBRACE
    )
    statement <<= Choice(
        [
            (r"if\b", conditional.set_parse_action(if_of)),
            (r"while\b", loop.set_parse_action(while_of)),
            (r"switch\b", switch.set_parse_action(switch_of)),
            (r"[A-Za-z_]", joined(call - SEMICOLON)),
            (r"\$", joined(assignment - SEMICOLON)),
        ],
        "a statement",
    )
    return body
