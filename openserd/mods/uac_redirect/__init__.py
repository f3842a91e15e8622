"""uac_redirect: follows redirections (3xx) instead of passing them on (OpenSER: modules/uac_redirect)."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from openserd.core.database import name_check
from openserd.core.destinations import append_branch
from openserd.core.module import FAILURE, FALSE, OK, Context, Fixup, Fn, Module, param
from openserd.errors import ConfigError
from openserd.mods.uac_redirect.contacts import Contact, Limits, contacts_of, parse_limits
from openserd.mods.uac_redirect.filters import RESETS, Decision, Filters, compile_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import regex

    from openserd.core.context import Core
    from openserd.core.message import SipMsg
    from openserd.parser.message import Message

    Pattern = regex.Pattern[bytes]

log = logging.getLogger("openserd")

Account = Callable[["SipMsg"], int]


class FailedBranch(Protocol):
    """What tm tells of a branch of the latest round."""

    @property
    def status(self) -> int:
        """Its final status."""

    @property
    def reply(self) -> "Message | None":
        """The reply with it, None where it was made here."""


class Calling:
    """What an argument kind asks for, on behalf of another module's function."""

    def __init__(self, module: Module, context: Context, n_args: int) -> None:
        self.module = module
        self.n_args = n_args
        self.core = context.core
        self.format = context.format
        self.variable = context.variable
        self.route = context.route


def rule_check(value: str) -> str | None:
    """A check: what is done with contacts that no filter matches."""
    return None if value.lower() in ("accept", "deny", "") else "accept or deny"


class UacRedirect(Module):
    """Redirections."""

    name = "uac_redirect"
    requires = ("tm",)

    default_filter: str = param("", check=rule_check)  #: contacts that no filter matches: accept (empty) or deny
    accept_filter: str = param("")  #: expression for contacts that are followed
    deny_filter: str = param("")  #: expression for contacts that are not
    acc_function: str = param("acc_log_request")  #: the function that accounts for contacts
    acc_db_table: str = param("acc", check=name_check)  #: its table, where it needs one

    functions = {
        "set_accept_filter": Fn(
            Fixup("regex", "fix_filter", expects="a POSIX extended regular expression"),
            Fixup("flags", "fix_reset", expects="reset_all, reset_default, reset_added or nothing"),
            routes=FAILURE,
        ),
        "set_deny_filter": Fn(
            Fixup("regex", "fix_filter", expects="a POSIX extended regular expression"),
            Fixup("flags", "fix_reset", expects="reset_all, reset_default, reset_added or nothing"),
            routes=FAILURE,
        ),
        "get_redirects": Fn(
            Fixup("max", "fix_limits", expects="how many in all, and of one reply: 6:2, *:1 or *"),
            Fixup("reason", "fix_reason", expects="text", optional=True),
            routes=FAILURE,
        ),
    }

    tm: Any
    message: "SipMsg | None" = None  #: whose filters `decision` has

    def on_init(self, core: "Core") -> None:
        """Compiles the filters of the parameters and binds to tm."""
        self.tm = core.require("tm")
        self.default_accept = compile_filter(self.accept_filter)
        self.default_deny = compile_filter(self.deny_filter)
        self.decision = self.initial()

    def initial(self) -> Decision:
        """The filters of the parameters alone."""
        return Decision(self.default_accept, self.default_deny, self.default_filter.lower() != "deny")

    # -- arguments -------------------------------------------------------------------------------------------

    def fix_filter(self, text: str) -> object:
        """An expression."""
        return compile_filter(text)

    def fix_reset(self, text: str) -> object:
        """Which filters go before one is added."""
        found = RESETS.get(text.strip().lower())
        if found is None:
            raise ConfigError(f"'{text}' is not possible here")
        return found

    def fix_limits(self, text: str) -> object:
        """How many contacts are taken."""
        return parse_limits(text)

    def fix_reason(self, text: str, context: Context) -> object:
        """The function that accounts for a contact, with that reason and the table as its arguments."""
        module = self.accounting_module(context.core)
        declared = module.functions[self.acc_function]
        texts = [text or "n/a", self.acc_db_table][: max(declared.arities)]
        calling = Calling(module, context, len(texts))
        values = [kind.compile(one, calling) for kind, one in zip(declared.args, texts, strict=False)]
        function = module.function(self.acc_function, len(values))

        def account(msg: "SipMsg") -> int:
            return function(msg, *values)

        return account

    def accounting_module(self, core: "Core") -> Module:
        """The module that has the function. Raises ConfigError."""
        for module in core.modules.values():
            declared = module.functions.get(self.acc_function)
            if declared is not None and {1, 2} & set(declared.arities):
                return module
        raise ConfigError(
            f"there is no function {self.acc_function} to account with",
            hint="module acc has acc_log_request and acc_db_request: it must be loaded before",
        )

    # -- script functions ------------------------------------------------------------------------------------

    def set_accept_filter(self, msg: "SipMsg", pattern: "Pattern | None", reset: int) -> int:
        """1 added for this message, -1 there are too many."""
        return self.add_filter(self.decision_for(msg).accept, pattern, reset)

    def set_deny_filter(self, msg: "SipMsg", pattern: "Pattern | None", reset: int) -> int:
        """1 added for this message, -1 there are too many."""
        return self.add_filter(self.decision_for(msg).deny, pattern, reset)

    def get_redirects(self, msg: "SipMsg", limits: Limits, account: Account | None = None) -> int:
        """1 contacts of 3xx replies of the latest round have become branches, -1 there are none."""
        decision = self.decision_for(msg)
        self.message, self.decision = None, self.initial()
        branches: Sequence[FailedBranch] = self.tm.failed_branches(msg)
        n_taken = 0
        for branch in branches:
            room = limits.room(n_taken)
            if not 300 <= branch.status <= 399 or branch.reply is None or room == 0:
                continue
            n_taken += self.take(msg, contacts_of(branch.reply, decision)[:room], account)
        return OK if n_taken else FALSE

    # -- inside ----------------------------------------------------------------------------------------------

    def decision_for(self, msg: "SipMsg") -> Decision:
        """The filters for this message; those that were set for another and not used are forgotten."""
        if self.message is not msg:
            if self.message is not None:
                log.warning("uac_redirect: filters were set and not used")
            self.message, self.decision = msg, self.initial()
        return self.decision

    @staticmethod
    def add_filter(filters: Filters, pattern: "Pattern | None", reset: int) -> int:
        """1 added, -1 too many."""
        if filters.add(pattern, reset):
            return OK
        log.error("uac_redirect: there are too many filters")
        return FALSE

    @staticmethod
    def take(msg: "SipMsg", contacts: list[Contact], account: Account | None) -> int:
        """Makes branches of contacts and accounts for them, each as the request URI; how many there was room for."""
        n_taken = 0
        ruri = msg.ruri
        for contact in contacts:
            if not append_branch(msg, contact.uri, contact.q):
                log.error("uac_redirect: there are too many branches")
                break
            n_taken += 1
            if account is not None:
                msg.set_ruri(contact.uri)
                account(msg)
        msg.set_ruri(ruri)
        return n_taken
