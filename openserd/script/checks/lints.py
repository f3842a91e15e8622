"""What `--lint` looks for, and what calls and comparisons tell about the request that passes them.

A fact is one word about the request at one place of the script; `lint.py` follows them along all ways through it.
"""

from typing import Final, NamedTuple

from openserd.script.commands import COMMANDS
from openserd.script.tree import Assign, Call, Compare, Number, Text, Variable, Word

GUARDED: Final = "guarded"  #: Max-Forwards was looked at
SIZED: Final = "sized"  #: the size of the message was looked at
CHECKED: Final = "checked"  #: somebody has decided that this request may go where it wants
ROUTED: Final = "routed"  #: it follows its Route header fields
IN_DIALOG: Final = "in dialog"  #: it has a To tag
REGISTER: Final = "REGISTER"
OTHER: Final = "no REGISTER"

Facts = frozenset[str]
NO_FACTS: Final[Facts] = frozenset()


class Lint(NamedTuple):
    """One thing that is looked for: what is said of the place, and what to do about it."""

    message: str
    hint: str


LINTS: Final = {
    "open-relay": Lint(
        "{name} forwards requests to foreign domains for anybody",
        "before it, test uri==myself or the sender: from_uri==myself, src_ip, authentication, permissions",
    ),
    "preloaded-route": Lint(
        "{name} follows the Route of requests outside of dialogs, whoever sends them",
        'test has_totag() beside loose_route(), or the sender before {name}',
    ),
    "loop-guard": Lint(
        "{name} without a look at Max-Forwards: requests can go round in circles",
        'begin with if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }',
    ),
    "message-size": Lint(
        "{name} without a look at the size of the message",
        'begin with if (msg:len >= 2048) { sl_send_reply("513", "Message Too Big"); exit; }',
    ),
    "record-route-register": Lint(
        "{name} may meet a REGISTER, which makes no dialog",
        'call it only if (method!="REGISTER")',
    ),
    "save-without-register": Lint(
        "{name} may meet requests that are no REGISTER",
        'call it only if (method=="REGISTER")',
    ),
    "relay-unhandled": Lint(
        "the result of {name} is not looked at: the sender hears nothing when it fails",
        "if (!{name}(...)) sl_reply_error();",
    ),
    "lookup-unhandled": Lint(
        "the result of {name} is not looked at: users who are not there are not told apart",
        'if (!{name}(...)) { sl_send_reply("404", "Not Found"); exit; }',
    ),
}  # fmt: skip

#: Functions whose success says that a request is wanted.
CHECKS: Final = frozenset(
    """
    proxy_authorize www_authorize radius_proxy_authorize radius_www_authorize diameter_proxy_authorize
    diameter_www_authorize is_user_in radius_is_user_in diameter_is_user_in is_from_local is_uri_host_local
    is_domain_local allow_address allow_source_address allow_trusted allow_routing allow_uri allow_register from_gw
    lookup alias_db_lookup sd_lookup does_uri_exist radius_does_uri_exist t_check_trans checkospheader
    """.split()
)
#: Functions after which the destination is the script's own choice.
DESTINATIONS: Final = frozenset(
    """
    rewritehost rewritehostport rewriteuri setdsturi ds_select_dst ds_select_domain ds_next_dst ds_next_domain load_gws
    next_gw to_gw checkosproute prefix2domain
    """.split()
)
GUARDS: Final = ("mf_process_maxfwd_header", "is_maxfwd_lt")
RELAYS: Final = ("t_relay", "forward")
ALIASES: Final = "aliases"  #: the table by which users are renamed: without an entry they keep their name
SIZES: Final = ("msg:len", "$ml")
METHODS: Final = ("method", "$rm")
#: What a test for equality or by an expression decides upon.
DECISIVE: Final = (
    "uri", "from_uri", "src_ip", "myself", "$ru", "$rd", "$fu", "$fd", "$si", "$du", "$dd", "$au", "$ar",
)  # fmt: skip
TARGETS: Final = ("$ru", "$rd", "$du")


def canonical(name: str) -> str:
    """A function's first name."""
    command = COMMANDS.get(name)
    return command.name if command else name


def chooses(node: Call) -> bool:
    """Whether a call names the destination itself: `t_relay("udp:10.0.0.1:5060")`, not `t_relay("0x05")`."""
    return any(not isinstance(arg, Number) and not written(arg)[:1].isdigit() for arg in node.args or ()) or any(
        "." in written(arg) for arg in node.args or ()
    )


def written(node: object) -> str:
    """The text of an argument or operand, "" where it has none."""
    match node:
        case Text() | Word():
            return node.value
        case Number():
            return node.written
        case Variable():
            return node.text
    return ""


def after_call(node: Call, facts: Facts) -> tuple[Facts, Facts]:
    """The facts where a call is true, and where it is false."""
    name = canonical(node.name)
    always = facts | {GUARDED} if name in GUARDS else facts
    always = always | {CHECKED} if name in DESTINATIONS else always
    if name == "is_method":
        return after_method(frozenset(written(arg).upper() for arg in node.args or ()), always)
    if name == "has_totag":
        return always | {IN_DIALOG, OTHER}, always
    if name == "loose_route":
        return always | {ROUTED} | ({CHECKED} if IN_DIALOG in always else NO_FACTS), always
    return always | {CHECKED} if name in CHECKS else always, always


def after_method(words: Facts, facts: Facts) -> tuple[Facts, Facts]:
    """The facts where the method is one of `words`, which may be joined by `|`, and where it is none."""
    methods = {method.strip() for word in words for method in word.split("|")}
    known = facts
    if methods == {"REGISTER"}:
        known = known | {REGISTER}
    elif "REGISTER" not in methods:
        known = known | {OTHER}
    if methods <= {"ACK", "CANCEL"}:
        known = known | {CHECKED}
    return known, facts | {OTHER} if "REGISTER" in methods else facts


def after_compare(node: Compare, facts: Facts) -> tuple[Facts, Facts]:
    """The facts where a comparison holds, and where it does not."""
    operand = written(node.operand)
    if operand in SIZES:
        return facts | {SIZED}, facts | {SIZED}
    positive = node.op in ("==", "=~")
    if operand in METHODS:
        holds, fails = after_method(frozenset((written(node.value).upper(),)), facts)
        if node.op in ("=~", "!~"):
            holds, fails = facts, facts
    elif operand in DECISIVE and node.op in ("==", "!=", "=~", "!~"):
        holds, fails = facts | {CHECKED}, facts
    else:
        holds, fails = facts, facts
    return (holds, fails) if positive else (fails, holds)


def after_assignment(node: Assign, facts: Facts) -> Facts:
    """The facts after an assignment."""
    return facts | {CHECKED} if node.target.text in TARGETS and node.value is not None else facts
