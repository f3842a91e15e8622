"""The grammar of arithmetic and assignments."""

from typing import Any, Final

from pyparsing import Forward, Opt, ParserElement, ZeroOrMore

from openserd.script.grammar.choice import Choice
from openserd.script.grammar.literals import OPERAND
from openserd.script.grammar.tokens import LPAR, RPAR, STRING_TOKEN, Tokens, joined, token, value_of, word_of
from openserd.script.tree import Assign, Binary, Compare, Unary, Word

COMPARISON: Final = "a comparison such as == or =~"
LEVELS: Final = {"|": 1, "^": 2, "&": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5}


def expression_of(_text: str, _at: int, toks: Tokens) -> Any:
    """The tree of `a op b op c ...` by the levels of the operators, from the left within a level."""
    parts = list(toks)
    operands: list[Any] = [parts[0]]
    pending: list[str] = []
    for op_match, operand in zip(parts[1::2], parts[2::2], strict=True):
        op = op_match[1]
        while pending and LEVELS[pending[-1]] >= LEVELS[op]:
            reduce_once(operands, pending)
        operands.append(operand)
        pending.append(op)
    while pending:
        reduce_once(operands, pending)
    return operands[0]


def reduce_once(operands: list[Any], pending: list[str]) -> None:
    """Makes one node of the last two operands."""
    right = operands.pop()
    left = operands.pop()
    operands.append(Binary(left.start, right.end, pending.pop(), left, right))


def unary_of(_text: str, _at: int, toks: Tokens) -> Unary:
    """A sign or complement."""
    match, operand = toks
    return Unary(match.start(1), operand.end, match[1], operand)


def compared_of(_text: str, _at: int, toks: Tokens) -> Any:
    """A comparison, whose value is 1 or 0; a lone operand stands for itself."""
    if len(toks) == 1:
        return toks[0]
    operand, op, value = toks
    return Compare(operand.start, value.end, operand, op[1], value)


def expression_grammar(
    variable: ParserElement, value: ParserElement, call: ParserElement
) -> tuple[ParserElement, ParserElement]:
    """Arithmetic, with calls and comparisons among its values; and an assignment without its semicolon."""
    target = variable
    expression = Forward()
    atom = Forward()
    number = token(r"0[xX][0-9A-Fa-f]+|\d+(?:\.\d+)*|[A-Za-z_]\w*", "a value").set_parse_action(value_of)
    text = STRING_TOKEN.copy().set_parse_action(value_of)
    unary = joined(token(r"[-+~]", "a sign") - atom).set_parse_action(unary_of)
    group = joined(LPAR - expression - RPAR)
    comparison = token(r"==|!=|=~|!~|<=|>=|<|>", COMPARISON)
    keyword = token(OPERAND, "an operand such as uri").set_parse_action(word_of)
    tested = joined(keyword - comparison - value).set_parse_action(compared_of)
    variable = joined(variable + joined(Opt(joined(comparison - value)))).set_parse_action(compared_of)
    atom <<= Choice(
        [
            (r"\$", variable),
            (rf"{OPERAND}\s*[=!<>]", tested),
            (r"[A-Za-z_]\w*\s*\(", call),
            (r"\w", number),
            ("[\"']", text),
            (r"[-+~]", unary),
            (r"\(", group),
        ],
        "a value",
    )
    operator = token(r"(?:[-+*/%^]|&(?!&)|\|(?!\|))(?!=)", "an operator")
    chain = joined(atom + joined(ZeroOrMore(joined(operator - atom)))).set_parse_action(expression_of)
    expression <<= joined(chain)
    assign_op = token(r"[-+*/%&|^]?=(?![=~])", "'='")
    assignment = joined(target + assign_op - expression).set_parse_action(assign_of)
    return joined(expression), joined(assignment)


def assign_of(_text: str, _at: int, toks: Tokens) -> Assign:
    """An assignment; `null` or `NULL` on the right takes the value away."""
    target, op, value = toks
    gone = isinstance(value, Word) and value.value in ("null", "NULL")
    return Assign(target.start, value.end, target, op[1], None if gone else value)
