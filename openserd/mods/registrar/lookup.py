"""lookup() and registered(): from an AoR to where its user is (RFC 3261 section 16.5)."""

from typing import TYPE_CHECKING, Final

from openserd.core.destinations import MAX_BRANCHES, Branch
from openserd.mods.registrar.path import first_uri
from openserd.mods.registrar.sockets import Sockets
from openserd.parser.methods import ALL_METHODS, method_bit

if TYPE_CHECKING:
    from openserd.core.message import SipMsg
    from openserd.mods.usrloc.binding import Binding

FOUND: Final = 1
NOT_FOUND: Final = -1
NO_METHOD: Final = -2


class Finder:
    """Puts bindings into the destination set of a request.

    `append_branches` takes all of them, not only the first; `method_filtering` leaves out those that do not
    take the request's method.
    """

    __slots__ = ("append_branches", "method_filtering", "sockets")

    def __init__(self, sockets: Sockets, *, append_branches: bool = True, method_filtering: bool = False) -> None:
        self.sockets = sockets
        self.append_branches = append_branches
        self.method_filtering = method_filtering

    def apply(self, msg: "SipMsg", bindings: "list[Binding]", now: int) -> int:
        """1 and the request goes to these bindings, -1 none is valid, -2 none takes the method."""
        wanted = method_bit(msg.method) if self.method_filtering else ALL_METHODS
        result = NOT_FOUND
        for binding in bindings:
            if not binding.is_valid(now):
                continue
            if self.method_filtering and not binding.methods & wanted:
                if result == NOT_FOUND:
                    result = NO_METHOD
                continue
            if result != FOUND:
                result = FOUND
                self.rewrite(msg, binding)
                if not self.append_branches:
                    break
            elif len(msg.branches) < MAX_BRANCHES - 1:
                msg.branches.append(self.branch(binding))
        return result

    def rewrite(self, msg: "SipMsg", binding: "Binding") -> None:
        """Makes a binding the request URI.

        OpenSER: next hop, Path and listener that the script has set stay where the binding has none, and its
        branch flags are added to those already set.
        """
        msg.set_ruri(binding.uri)
        if binding.path:
            msg.path = binding.path
            msg.dst_uri = first_uri(binding.path)
        elif binding.received:
            msg.dst_uri = binding.received
        msg.q = binding.preference
        msg.branch_flags |= binding.cflags
        listener = self.sockets.find(binding.socket)
        if listener is not None:
            msg.force_listener = listener

    def branch(self, binding: "Binding") -> Branch:
        """A binding as a further branch; the proxies of its Path come before what NAT asks for."""
        next_hop = first_uri(binding.path) if binding.path else binding.received or None
        return Branch(
            binding.uri,
            binding.preference,
            next_hop,
            binding.path,
            binding.cflags,
            self.sockets.find(binding.socket),
        )


def is_registered(bindings: "list[Binding]", now: int) -> bool:
    """Whether any binding is valid."""
    return any(binding.is_valid(now) for binding in bindings)
