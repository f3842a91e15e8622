"""A piece of script for each row of `core_expressions.tsv` and for what is no plain row of the other tables.

Whether a construct works is asked of the compiler: each snippet is compiled by itself.  A snippet is a statement, or a
whole file where it has a route block of its own.
"""

import re
from functools import cache
from typing import Final, NamedTuple

from openserd.core.context import Core
from openserd.errors import OpenserError
from openserd.script import load
from openserd.server.loader import ModuleLoader

HEAD: Final = 'listen=udp:127.0.0.1:5060\nauto_aliases=no\nloadmodule "sl.so"\nloadmodule "xlog.so"\n'
WHOLE: Final = re.compile(r"^(?:\w+_)?route\b.*\{", re.MULTILINE)
NOT_YET: Final = "not in effect yet"


class Verdict(NamedTuple):
    """What the compiler said about one snippet."""

    accepted: bool
    in_effect: bool


@cache
def verdict(snippet: str) -> Verdict:
    """Whether a snippet compiles, and whether the compiler says that it has no effect yet."""
    text = snippet if WHOLE.search(snippet) else f"route {{\n{snippet}\n}}"
    try:
        script = load(HEAD + text, "probe.cfg", Core(), ModuleLoader(), 1, lambda modules: None)
    except OpenserError:
        return Verdict(False, False)
    return Verdict(True, not any(NOT_YET in warning.message for warning in script.warnings))


def compares(operand: str, operators: str, *values: str) -> tuple[str, ...]:
    """One condition for each operator and value."""
    return tuple(f"if ({operand} {op} {value}) exit;" for op in operators.split() for value in values)


def sums(operator: str) -> tuple[str, ...]:
    """Arithmetic with a number and with a variable."""
    return f"$var(x) = $var(y) {operator} 3;", f"$var(x) = 7 {operator} $var(y);"


ASSIGNMENTS: Final = ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=")
EVERY: Final = "== != < > <= >="
TEXT: Final = "== !="
SWITCH: Final = 'switch ($rU) { case "a": setflag(1); break; case -1: setflag(2); default: exit; }'

EXPRESSIONS: Final[dict[str, tuple[str, ...]]] = {
    "arithmetic %": sums("%"),
    "arithmetic &": sums("&"),
    "arithmetic *": sums("*"),
    "arithmetic +": (*sums("+"), '$var(x) = "sip:" + $rU;'),
    "arithmetic -": sums("-"),
    "arithmetic /": sums("/"),
    "arithmetic = += -= *= /= %= &= |= ^=": tuple(f"$var(x) {op} 3;" for op in ASSIGNMENTS),
    "arithmetic ^": sums("^"),
    "arithmetic null on the right": tuple(f"{name} = null;" for name in ("$avp(s:x)", "$var(x)", "$du", "$rU")),
    "arithmetic unary + -": ("$var(x) = -3;", "$var(x) = +3;"),
    "arithmetic |": sums("|"),
    "arithmetic ~": ("$var(x) = ~3;", "$var(x) = ~$var(y);"),
    'lexical "string"': ('log("\\n \\r \\t \\a \\" \\\\ \\x41 \\0101");', 'log("a\\\nb");'),
    "lexical # comment": ("# nothing\nexit; # nothing",),
    "lexical 'string'": ("log('raw \\n');",),
    "lexical /* comment */": ("/* one /* two */ */ exit;",),
    "lexical boolean words": tuple(
        f"mhomed={word}\nroute {{ exit; }}"
        for word in ("yes", "true", "on", "enable", "no", "false", "off", "disable")
    ),
    "lexical host name": ("if (src_ip == some.example.com) exit;", "forward(some.example.com);"),
    "lexical identifier": ("if (method == INVITE) exit;",),
    "lexical IPv4 literal": ("if (src_ip == 192.0.2.1) exit;",),
    "lexical IPv6 literal": ("if (src_ip == 2001:db8::1) exit;", "if (src_ip == [2001:db8::1]) exit;"),
    "lexical keywords": ("if (method == INVITE and not method == ACK) exit;", "exit;"),
    "lexical line joining": ("if (method == \\\nINVITE) exit;",),
    "lexical network": ("if (src_ip == 10.0.0.0/8) exit;", "if (src_ip == 10.0.0.0/255.0.0.0) exit;"),
    "lexical number": ("setflag(0x1f);", "setflag(017);", "return(-1);"),
    "lexical proto words": tuple(
        f"if (proto == {word}) exit;" for word in ("udp", "UDP", "tcp", "TCP", "tls", "TLS", "any")
    ),
    "operand $name script variable": (
        *compares("$var(x)", EVERY, "3", '"a"', "$rU"),
        *compares("$rU", "=~ !~", '"^a"', "$avp(s:x)"),
        *compares("$rU", TEXT, "null"),
        "if ($rU == alice) exit;",
    ),
    "operand [ expression ]": ("if ([$var(x) - 1]) exit;", "if ([$var(x) = 1]) exit;"),
    "operand af": compares("af", EVERY, "inet", "INET", "inet6", "INET6", "2"),
    "operand assignment in parentheses": ("if (($var(x) = 1)) exit;",),
    "operand bare $name": ("if ($rU) exit;", "if (!$avp(s:x)) exit;"),
    "operand bare number": ("if (1) exit;", "if (-1) exit;"),
    "operand command call": ('if (sl_send_reply("200", "OK")) exit;', "if (isflagset(1)) exit;"),
    "operand dst_ip": (
        *compares("dst_ip", TEXT, "192.0.2.1", "10.0.0.0/255.0.0.0", "10.0.0.0/8", "example.com", '"a"', "myself"),
        'if (dst_ip =~ "^10") exit;',
    ),
    "operand dst_port": compares("dst_port", EVERY, "5060"),
    "operand from_uri": (
        *compares("from_uri", "== != =~", '"sip:a@b"', "alice", "example.com"),
        *compares("from_uri", TEXT, "myself"),
    ),
    "operand max_len": compares("msg:len", EVERY, "max_len"),
    "operand method": compares("method", "== != =~", '"INVITE"', "INVITE"),
    "operand msg:len": compares("msg:len", EVERY, "2048", "max_len"),
    "operand myself": tuple(
        f"if ({left} {op} {right}) exit;"
        for name in ("uri", "from_uri", "to_uri", "src_ip", "dst_ip")
        for op in ("==", "!=")
        for left, right in ((name, "myself"), ("myself", name))
    ),
    "operand null": compares("$rU", TEXT, "null", "NULL"),
    "operand proto": compares("proto", EVERY, "udp", "1"),
    "operand retcode (rc)": ("if ($retcode < 0) exit;", "if ($rc == 1) exit;"),
    "operand src_ip": (
        *compares("src_ip", TEXT, "192.0.2.1", "10.0.0.0/255.0.0.0", "10.0.0.0/8", "example.com", '"a"', "myself"),
        'if (src_ip =~ "^10") exit;',
    ),
    "operand src_port": compares("src_port", EVERY, "5060"),
    "operand to_uri": (
        *compares("to_uri", "== != =~", '"sip:a@b"', "alice", "example.com"),
        *compares("to_uri", TEXT, "myself"),
    ),
    "operand uri (alias status)": (
        *compares("uri", "== != =~", '"sip:a@b"', "alice", "example.com"),
        *compares("uri", TEXT, "myself"),
        'route { exit; }\nonreply_route { if (status =~ "18[03]") drop; }',
    ),
    "operator !=": compares("method", "!=", "INVITE"),
    "operator !~": compares("$rU", "!~", '"^a"'),
    "operator ( )": ("if ((method == INVITE) && (method == ACK || method == BYE)) exit;",),
    "operator < > <= >=": compares("$var(x)", "< > <= >=", "3", '"a"'),
    "operator ==": compares("method", "==", "INVITE"),
    "operator =~": compares("$rU", "=~", '"^[[:digit:]]+$"', "$avp(s:x)"),
    "operator and (alias &&)": ("if (1 and 2) exit;", "if (1 && 2) exit;"),
    "operator not (alias !)": ("if (not $rU) exit;", "if (!$rU) exit;"),
    "operator or (alias ||)": ("if (1 or 2) exit;", "if (1 || 2) exit;"),
    "route branch_route[n] { }": ("route { exit; }\nbranch_route[39] { setflag(1); }",),
    "route error_route { }": ('route { exit; }\nerror_route { log("bad"); }',),
    "route failure_route[n] { }": ("route { exit; }\nfailure_route[1] { append_branch(); }",),
    "route onreply_route { }": ("route { exit; }\nonreply_route { drop; }",),
    "route onreply_route[n] { }": ("route { exit; }\nonreply_route[1] { drop; }",),
    "route redefinition": ("route { exit; }",),
    "route route { } / route[n] { }": ("route { route(39); }\nroute[39] { exit; }", "route[0] { exit; }"),
    "statement ;": ("exit;;", ";"),
    "statement function call name(args)": ("setflag(1);", 'sl_send_reply("200", "OK");', "sl_reply_error();"),
    "statement if (expr) stmt [else stmt]": (
        "if (1) exit; else if (2) { drop; } else exit;",
        "if (1) if (2) exit; else drop;",
    ),
    'statement loadmodule "file"': ('loadmodule "rr.so"\nroute { loose_route(); }',),
    'statement modparam("regex","param",value)': (
        'modparam("xl.*|nothing", "buf_size", 512)\nroute { exit; }',
        'modparam("XLOG", "buf_size", 512)\nroute { exit; }',
    ),
    "statement switch ($pv) { case K: ... break; default: ... }": (SWITCH, SWITCH.replace("break", "esac")),
    "statement while": ("while ($var(x) < 3) { $var(x) = $var(x) + 1; }",),
    "variable $(name) / $(name{transformation})": ("if ($(rU)) exit;", "if ($(rU{s.len}) > 3) exit;"),
    "variable $name": ("if ($rU) exit;",),
    "variable $name(inner) / $name(inner[index])": ("if ($avp(s:x)) exit;", "if ($hdr(Via[1])) exit;"),
    "variable index [n], [-n], [*]": tuple(
        f"if ({name}) exit;" for name in ("$(avp(s:x)[1])", "$(avp(s:x)[-1])", "$(hdr(Via)[*])", "$hdr(Via[-1])")
    ),
    "variable {class.func,arg,...}": ("if ($(hdr(Via){s.select,0,;}{s.len}) > 3) exit;",
                                      "if ($(ru{URI.User}) == alice) exit;",
                                      "if ($(rU{s.substr,$var(x),2}) == ab) exit;"),
}  # fmt: skip

#: Scripts that must be refused: where the reference says what is an error.
REFUSED: Final[dict[str, tuple[str, ...]]] = {
    "route redefinition": ("route { exit; }\nroute[1] { exit; }\nroute[1] { drop; }", "route { route(7); }"),
}

STATEMENTS: Final[dict[str, tuple[str, ...]]] = {
    "assignment": (
        *EXPRESSIONS["arithmetic = += -= *= /= %= &= |= ^="],
        *EXPRESSIONS["arithmetic null on the right"],
        *(f'{name} = "sip:a@b";' for name in ("$ru", "$rU", "$rd", "$du", "$avp(s:x)", "$var(x)")),
    ),
    "break": (SWITCH, SWITCH.replace("break", "esac")),
    "case": (SWITCH,),
    "default": (SWITCH,),
    "drop": ("drop;", "drop();"),
    "exit": ("exit;", "exit();"),
    "if": EXPRESSIONS["statement if (expr) stmt [else stmt]"],
    "module function": ("sl_reply_error();", 'xlog("a");', 'sl_send_reply("200", "OK");'),
    "return": ("return;", "return();", "return(-1);"),
    "route": EXPRESSIONS["route route { } / route[n] { }"],
    "switch": (SWITCH,),
}

PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    "dst_blacklist": (
        'dst_blacklist = bad : { !(tcp, 10.0.0.0/255.0.0.0, 5060, "a"), (any, 10.0.0.1, 0, "") }\nroute { exit; }',
    ),
    "loadmodule": EXPRESSIONS['statement loadmodule "file"'],
    "modparam": EXPRESSIONS['statement modparam("regex","param",value)'],
    "tls_client_domain[ip:port] {...}": (
        "tls_client_domain[192.0.2.1:5061] { tls_method=TLSv1 tls_verify_server=1 }\nroute { exit; }",
        'tls_client_domain["name"] { tls_certificate="a" tls_private_key="b" }\nroute { exit; }',
    ),
    "tls_server_domain[ip:port] {...}": (
        "tls_server_domain[192.0.2.1:5061] { tls_method=TLSv1 tls_verify_client=1 }\nroute { exit; }",
    ),
}

#: How a variable is written whose row in the reference is a pattern.
VARIABLES: Final[dict[str, tuple[str, ...]]] = {
    "$avp(name)": ("$avp(s:x)", "$avp(i:1)", "$avp(i3:1)", "$avp(x)",
                   *(f"${name}(s:x)" for name in ("a", "avpt", "avpg", "avps", "avpp", "at", "ag", "as", "ap"))),
    "$avp(name)[n]": ("$avp(s:x)[1]", "$(avp(s:x)[-1])", "$(avp(s:x)[*])"),
    "$Cxy": ("$Cbx", "$CRs"),
    "$hdr(name)": ("$hdr(Via)", "$h(v)"),
    "$hdr(name[n])": ("$hdr(Via[1])", "$hdr(Via[-1])", "$hdr(Via[*])"),
    "$var(name)": ("$var(x)", "$v(x)"),
}  # fmt: skip
ARGUMENTS: Final = {"index": "1", "offset": "1", "length": "1", "separator": ";", "name": "x"}


def transformation(name: str) -> str:
    """A variable with the transformation of a row such as `{s.select,index,separator}`."""
    head, *arguments = name.strip("{}").split(",")
    return f"$(ru{{{','.join([head, *(ARGUMENTS[argument] for argument in arguments)])}}})"
