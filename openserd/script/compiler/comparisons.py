"""Comparisons: which operand takes which operator and value, and the Python expression for each."""

import ast
import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

from openserd.core.arguments import posix_regex
from openserd.core.module import ONREPLY
from openserd.errors import ConfigError
from openserd.script.checks.report import Report
from openserd.script.compiler import runtime, values
from openserd.script.compiler.emit import call, compare, constant, load, method, msg_field, negate
from openserd.script.compiler.names import Names
from openserd.script.problems import did_you_mean
from openserd.script.tree import Compare, Node, Number, Text, Variable, Word
from openserd.script.variables.compile import compile_variable
from openserd.script.variables.variable import Variable as VariableObject

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.script.compiler.functions import Environment

HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
NULLS: Final = ("null", "NULL")
MAX_LEN: Final = 65535
TEXT_OPS: Final = ("==", "!=", "=~", "!~")
NUMBER_OPS: Final = ("==", "!=", "<", ">", "<=", ">=")
ORDER: Final = {"<": values.below, ">": values.above, "<=": values.at_most, ">=": values.at_least}
URIS: Final = ("uri", "status", "from_uri", "to_uri")
ADDRESSES: Final = ("src_ip", "dst_ip")
NUMBERS: Final[dict[str, dict[str, int]]] = {
    "src_port": {},
    "dst_port": {},
    "msg:len": {"max_len": MAX_LEN},
    "proto": {"udp": 1, "UDP": 1, "tcp": 2, "TCP": 2, "tls": 3, "TLS": 3, "any": 0, "ANY": 0},
    "af": {"inet": 2, "INET": 2, "inet6": 10, "INET6": 10},
}
FIELDS: Final = {"src_port": "source_port", "dst_port": "listener.port"}
EXAMPLES: Final = {
    "msg:len": "a number or max_len",
    "proto": "udp, tcp, tls, any or a number",
    "af": "inet, inet6 or a number",
}


class Comparisons:
    """Makes the expression for each comparison of one script; `kinds` are those of the block at hand."""

    def __init__(self, core: "Core", env: "Environment", names: Names, report: Report) -> None:
        self.env = env
        self.names = names
        self.report = report
        self.kinds = 0
        self.variables: dict[str, VariableObject] = {}
        tests = runtime.MyselfTests(core)
        self.named = runtime.Named(core.resolver.address)
        self.myself: dict[str, Callable[..., bool]] = {
            "uri": tests.uri,
            "from_uri": tests.from_uri,
            "to_uri": tests.to_uri,
            "src_ip": tests.source,
            "dst_ip": tests.local,
        }

    def expression(self, node: Compare) -> ast.expr:
        """The expression for a comparison; any one where an error was reported."""
        operand, value = node.operand, node.value
        if isinstance(operand, Variable):
            return self.variable(node, operand)
        if operand.value == "myself":
            if not isinstance(value, Word) or value.value not in (*URIS, *ADDRESSES):
                return self.refuse(node, "myself is compared with uri, from_uri, to_uri, src_ip or dst_ip")
            operand, value = value, operand
        if operand.value == "retcode":
            return self.refuse(node, "there is no operand retcode", hint="write $retcode or $rc")
        if isinstance(value, Word) and value.value == "myself":
            return self.is_myself(node, operand.value)
        if operand.value in NUMBERS:
            return self.number(node, operand.value)
        if operand.value in ADDRESSES:
            return self.address(node, operand.value)
        return self.text(node, operand.value)

    def refuse(self, node: Node, message: str, *, expected: str = "", hint: str = "") -> ast.expr:
        """Reports an error; what comes back is never run."""
        self.report.error(message, node, expected=expected, hint=hint)
        return constant(None)

    def helper(self, function: Callable[..., Any]) -> ast.expr:
        """A reference to a helper of values.py or runtime.py."""
        return self.names.bind(function.__name__, function)

    def accepts(self, node: Compare, operand: str, operators: tuple[str, ...]) -> bool:
        """Whether the operator fits; reported where it does not."""
        if node.op not in operators:
            self.report.error(f"{operand} cannot be compared with {node.op}", node, expected=" ".join(operators))
        return node.op in operators

    # -- pseudo-variables -------------------------------------------------------------------------------------

    def getter(self, node: Variable) -> ast.expr:
        """The call that reads a pseudo-variable."""
        variable = self.compiled(node)
        return constant(None) if variable is None else call(self.names.bind(node.text, variable.get), load("msg"))

    def compiled(self, node: Variable) -> VariableObject | None:
        """The pseudo-variable, the same object wherever it is written the same; None where an error was reported."""
        if node.text not in self.variables:
            try:
                self.variables[node.text] = compile_variable(node.text, self.env)
            except ConfigError as error:
                self.report.raised(error, node)
                return None
        return self.variables[node.text]

    def variable(self, node: Compare, operand: Variable) -> ast.expr:
        """A pseudo-variable on the left."""
        left, value = self.getter(operand), node.value
        if isinstance(value, Word) and value.value in NULLS:
            if not self.accepts(node, "null", ("==", "!=")):
                return left
            return compare(left, "is" if node.op == "==" else "is not", constant(None))
        if isinstance(value, Word) and value.value in ("myself", "max_len"):
            return self.refuse(
                value,
                f"{value.value} cannot be compared with a pseudo-variable",
                expected="a string, a number or a pseudo-variable",
            )
        if node.op in ("=~", "!~"):
            return self.match(left, node)
        if isinstance(value, Variable):
            function = {"==": values.equals, "!=": values.differs, **ORDER}[node.op]
            return call(self.helper(function), left, self.getter(value))
        if node.op in ORDER:
            return call(self.helper(ORDER[node.op]), left, constant(constant_value(value)))
        if isinstance(value, Number):
            function = values.equals if node.op == "==" else values.differs
            return call(self.helper(function), left, constant(value.value))
        return self.same_text(left, node.op, constant_value(value))

    def same_text(self, left: ast.expr, op: str, right: bytes | int) -> ast.expr:
        """Equality of a value that may be absent with a constant text."""
        function = values.equals_text if op == "==" else values.differs_text
        return call(self.helper(function), left, constant(values.text(right).lower()))

    def match(self, left: ast.expr, node: Compare) -> ast.expr:
        """A regular expression on the right."""
        positive = node.op == "=~"
        if isinstance(node.value, Variable):
            function = values.matches_variable if positive else values.matches_variable_not
            return call(self.helper(function), left, self.getter(node.value))
        try:
            pattern = posix_regex(written_text(node.value))
        except (ConfigError, UnicodeError) as error:
            message = error.message if isinstance(error, ConfigError) else "bad regular expression"
            return self.refuse(node.value, message, expected="a POSIX extended regular expression")
        return call(
            self.helper(values.matches if positive else values.matches_not), left, self.names.bind("regex", pattern)
        )

    # -- keywords ---------------------------------------------------------------------------------------------

    def is_myself(self, node: Compare, operand: str) -> ast.expr:
        """`myself` on the right."""
        name = "uri" if operand == "status" else operand
        if name not in self.myself:
            return self.refuse(
                node, f"{operand} cannot be compared with myself", expected="uri, from_uri, to_uri, src_ip or dst_ip"
            )
        if not self.accepts(node, "myself", ("==", "!=")):
            return constant(None)
        test = call(self.names.bind(f"{name}_is_myself", self.myself[name]), load("msg"))
        return test if node.op == "==" else negate(test)

    def text(self, node: Compare, operand: str) -> ast.expr:
        """`method`, `uri`, `status`, `from_uri`, `to_uri`."""
        if not self.accepts(node, operand, TEXT_OPS):
            return constant(None)
        value = node.value
        if isinstance(value, Word) and value.value in (*NULLS, "max_len"):
            return self.refuse(value, f"{operand} cannot be compared with {value.value}", expected="a string")
        left, certain = self.text_operand(operand)
        if node.op in ("=~", "!~"):
            return self.match(left, node)
        if isinstance(value, Variable):
            function = values.equals if node.op == "==" else values.differs
            return call(self.helper(function), left, self.getter(value))
        wanted = values.text(constant_value(value))
        if operand == "method":
            return compare(method(left, "upper"), node.op, constant(wanted.upper()))
        if not certain:
            return self.same_text(left, node.op, wanted)
        return compare(method(left, "lower"), node.op, constant(wanted.lower()))

    def text_operand(self, operand: str) -> tuple[ast.expr, bool]:
        """The text of an operand, and whether it is always there."""
        if operand in ("from_uri", "to_uri"):
            return call(self.helper(runtime.from_uri if operand == "from_uri" else runtime.to_uri), load("msg")), False
        replies = self.kinds & ONREPLY
        if operand == "method":
            return call(self.helper(runtime.method_text), load("msg")) if replies else msg_field("method"), True
        return call(self.helper(runtime.uri_text), load("msg")) if replies else msg_field("ruri"), True

    def number(self, node: Compare, operand: str) -> ast.expr:
        """`src_port`, `dst_port`, `proto`, `af`, `msg:len`."""
        if not self.accepts(node, operand, NUMBER_OPS):
            return constant(None)
        left = self.number_operand(operand)
        value = node.value
        if isinstance(value, Variable):
            function = {"==": values.equals, "!=": values.differs, **ORDER}[node.op]
            return call(self.helper(function), left, self.getter(value))
        if isinstance(value, Number):
            return compare(left, node.op, constant(value.value))
        words = NUMBERS[operand]
        if isinstance(value, Word) and value.value in words:
            return compare(left, node.op, constant(words[value.value]))
        shown = value.value
        return self.refuse(
            value,
            f"{operand} cannot be compared with {shown}",
            expected=EXAMPLES.get(operand, "a number"),
            hint=did_you_mean(shown, words),
        )

    def number_operand(self, operand: str) -> ast.expr:
        """The number of an operand."""
        if operand == "msg:len":
            return call(load("len"), msg_field("buf"))
        if operand in FIELDS:
            return msg_field(FIELDS[operand])
        return call(self.helper(runtime.proto_number if operand == "proto" else runtime.family_number), load("msg"))

    def address(self, node: Compare, operand: str) -> ast.expr:
        """`src_ip`, `dst_ip` against an address, a network, a host name or an expression."""
        if not self.accepts(node, operand, TEXT_OPS):
            return constant(None)
        value = node.value
        as_text = runtime.source_address if operand == "src_ip" else runtime.local_address
        if node.op in ("=~", "!~"):
            return self.match(call(self.helper(as_text), load("msg")), node)
        if isinstance(value, Variable):
            function = values.equals if node.op == "==" else values.differs
            return call(self.helper(function), call(self.helper(as_text), load("msg")), self.getter(value))
        host = msg_field("source_host" if operand == "src_ip" else "listener.host")
        written = written_text(value)
        if written in (*NULLS, "max_len") or isinstance(value, Number):
            return self.refuse(
                value, f"{operand} cannot be compared with {written}", expected="an address, a network or a host name"
            )
        return self.host_test(host, node, written)

    def host_test(self, host: ast.expr, node: Compare, written: str) -> ast.expr:
        """An address against what `written` is."""
        plain = written.strip("[]")
        try:
            return compare(host, node.op, constant(str(ip_address(plain))))
        except ValueError:
            pass
        if "/" in written:
            network: runtime.Network | None
            try:
                network = ip_network(written.replace("[", "").replace("]", ""), strict=False)
            except ValueError as error:
                network = runtime.masked(plain)
                if network is None:
                    return self.refuse(
                        node.value, f"bad network: {error}", expected="address/bits or address/mask, such as 10.0.0.0/8"
                    )
            test = call(self.helper(runtime.in_network), host, self.names.bind("network", network))
        elif HOST.fullmatch(plain):
            test = call(self.names.bind("has_address", self.named), host, constant(plain.encode()))
        else:
            return self.refuse(node.value, f"{written} is no address", expected="an address, a network or a host name")
        return test if node.op == "==" else negate(test)


def written_text(node: Node) -> str:
    """A constant on the right as text."""
    match node:
        case Text() | Word():
            return node.value
        case Number():
            return node.written
    raise AssertionError(f"{type(node).__name__} is no constant")


def constant_value(node: Node) -> bytes | int:
    """A constant on the right as a script value."""
    if isinstance(node, Number):
        return node.value
    return written_text(node).encode("utf-8", "surrogateescape")
