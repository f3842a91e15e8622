"""Arithmetic and assignments as Python expressions."""

import ast
from collections.abc import Callable
from typing import Final

from openserd.script.compiler import runtime, values
from openserd.script.compiler.comparisons import Comparisons, constant_value
from openserd.script.compiler.emit import call, constant, load
from openserd.script.tree import Assign, Binary, Call, Compare, Number, RouteCall, Text, Unary, Variable, Word
from openserd.script.tree import Expression as ExpressionNode

BINARY: Final = {
    "+": ("plus", values.plus),
    "-": ("minus", values.minus),
    "*": ("times", values.times),
    "/": ("divided", values.divided),
    "%": ("modulo", values.modulo),
    "&": ("bits_and", values.bits_and),
    "|": ("bits_or", values.bits_or),
    "^": ("bits_xor", values.bits_xor),
}
UNARY: Final = {"-": values.negative, "+": values.positive, "~": values.bits_not}


class Expressions:
    """Makes the expression for each value and assignment of one script; `invoke` makes that for a call."""

    def __init__(self, comparisons: Comparisons, invoke: Callable[[Call | RouteCall], ast.expr]) -> None:
        self.invoke = invoke
        self.comparisons = comparisons
        self.names = comparisons.names
        self.report = comparisons.report

    def value(self, node: ExpressionNode) -> ast.expr:
        """The expression that yields a value; parts without variables are computed here and now."""
        match node:
            case Number() | Text() | Word():
                return constant(constant_value(node))
            case Variable():
                return self.comparisons.getter(node)
            case Unary():
                operand = self.value(node.operand)
                if isinstance(operand, ast.Constant) and isinstance(operand.value, bytes | int):
                    return self.folded(UNARY[node.op](operand.value), node)
                return call(self.comparisons.helper(UNARY[node.op]), operand)
            case Binary():
                return self.binary(node)
            case Compare():
                return call(load("int"), self.comparisons.expression(node))
            case Call() | RouteCall():
                stop = call(self.names.bind("stop", runtime.stop))
                return ast.BoolOp(ast.Or(), [self.invoke(node), stop])
        raise AssertionError(f"{type(node).__name__} is no expression")

    def binary(self, node: Binary) -> ast.expr:
        """An operation on two sides."""
        left, right = self.value(node.left), self.value(node.right)
        name, function = BINARY[node.op]
        if isinstance(right, ast.Constant) and right.value == 0 and node.op in "/%":
            return self.comparisons.refuse(node, "division by zero")
        if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
            return self.folded(function(constant_of(left), constant_of(right)), node)
        return call(self.names.bind(name, function), left, right)

    def folded(self, value: bytes | int | None, node: ExpressionNode) -> ast.expr:
        """A value that was computed while compiling."""
        if value is None and not self.report.errors:
            return self.comparisons.refuse(node, "this has no value", expected="numbers")
        return constant(value)

    def assign(self, node: Assign) -> ast.expr:
        """The call that assigns: its value is 1, or -1 where it failed."""
        variable = self.comparisons.compiled(node.target)
        if variable is None:
            return constant(1)
        if not variable.writable:
            return self.comparisons.refuse(
                node.target,
                f"{node.target.text} cannot be assigned to",
                expected="$avp(...), $var(...), $ru, $rU, $rd, $du or $br",
            )
        setter = self.names.bind(f"set_{node.target.text.lstrip('$(')}", variable.set)
        if node.value is None:
            if node.op != "=":
                return self.comparisons.refuse(node, f"null cannot be assigned with {node.op}", expected="=")
            return call(self.comparisons.helper(runtime.put), setter, load("msg"), constant(None))
        right = self.value(node.value)
        if node.op != "=":
            name, function = BINARY[node.op[0]]
            if isinstance(right, ast.Constant) and right.value == 0 and node.op[0] in "/%":
                return self.comparisons.refuse(node, "division by zero")
            right = call(self.names.bind(name, function), self.comparisons.getter(node.target), right)
        certain = isinstance(right, ast.Constant)
        return call(self.comparisons.helper(runtime.put if certain else runtime.store), setter, load("msg"), right)

    def truth(self, node: ExpressionNode | Assign) -> ast.expr:
        """`[ ... ]`: true when the value is a number other than 0 or a text that is not empty."""
        if not isinstance(node, Assign):
            return self.value(node)
        done = self.assign(node)
        result = self.comparisons.getter(node.target)
        return ast.BoolOp(ast.And(), [ast.Compare(done, [ast.Gt()], [constant(0)]), result])


def constant_of(node: ast.Constant) -> bytes | int | None:
    """The script value of a constant."""
    value = node.value
    return value if isinstance(value, bytes | int) else None
