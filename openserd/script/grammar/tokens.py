"""Tokens: regular expressions that also take the white space after them, so that a token's match tells its place."""

from typing import Any, Final

from pyparsing import ParserElement, Regex

from openserd.script.grammar.choice import Choice
from openserd.script.grammar.literals import BARE, STRING, VARIABLE, literal
from openserd.script.tree import Node, Variable, Word

Tokens = Any
RESERVED: Final = (
    r"(?!(?:if|else|switch|case|default|and|or|not|while|loadmodule|modparam|failure_route"
    r"|onreply_route|branch_route|error_route)\b)"
)


def token(pattern: str, name: str) -> Regex:
    """A token and the white space after it; its result is the match, its text group 1."""
    element = Regex(rf"({pattern})\s*", as_match=True)
    element.set_name(name).leave_whitespace()
    return element


def joined(element: ParserElement, name: str = "") -> ParserElement:
    """An expression in which white space is left to the tokens."""
    element.leave_whitespace(recursive=False)
    return element.set_name(name) if name else element


SEMICOLON: Final = token(";", "';'").suppress()
LPAR: Final = token(r"\(", "'('").suppress()
RPAR: Final = token(r"\)", "')'").suppress()
LBRACE: Final = token(r"\{", "'{'").suppress()
RBRACE: Final = token(r"\}", "'}'").suppress()
COMMA: Final = token(",", "','").suppress()
COLON: Final = token(":", "':'").suppress()
CLOSING: Final = token(r"\)", "')'")  #: as RPAR, kept: it tells where a call ends
LBRACKET: Final = token(r"\[", "'['")
RBRACKET: Final = token(r"\]", "']'")
NAME: Final = token(rf"{RESERVED}[A-Za-z_]\w*", "a name")
STRING_TOKEN: Final = token(STRING, "a string in double quotes")


def value_of(_text: str, _at: int, toks: Tokens) -> Node:
    """String, number or word."""
    match = toks[0]
    return literal(match[1], match.start(1), match.end(1))


def variable_of(_text: str, _at: int, toks: Tokens) -> Variable:
    """A pseudo-variable."""
    match = toks[0]
    return Variable(match.start(1), match.end(1), match[1])


def word_of(_text: str, _at: int, toks: Tokens) -> Word:
    """A keyword operand."""
    match = toks[0]
    return Word(match.start(1), match.end(1), match[1])


def value_grammar() -> tuple[ParserElement, ParserElement]:
    """A pseudo-variable; and whatever can stand as an argument or on the right of a comparison."""
    variable = token(VARIABLE, "a pseudo-variable such as $ru").set_parse_action(variable_of)
    plain = token(f"{STRING}|{BARE}", "a value").set_parse_action(value_of)
    return variable, Choice([(r"\$", variable), (r"[^$]", plain)], "a value")
