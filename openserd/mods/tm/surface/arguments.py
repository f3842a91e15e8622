"""What tm makes of arguments of script functions: route blocks, flags and destinations."""

from openserd.core.arguments import Context, RouteRef
from openserd.errors import ConfigError
from openserd.mods.tm.requests.forwarding import Destination


class OptionalRoute(RouteRef):
    """A route block, or 0 for none; arrives as its name in bytes, empty for none."""

    expects = "the number or name of a route block, or 0"

    def compile(self, text: str, context: Context) -> object:
        """The name of the block. Raises ConfigError where there is none."""
        if text.strip() == "0":
            return b""
        return context.route(self.kind, text.strip()).encode()


def parse_flags(text: str) -> int | None:
    """A decimal number, or a hexadecimal one behind 0x; None for what is no number."""
    digits = text.strip().lower()
    try:
        return int(digits, 16) if digits.startswith("0x") else int(digits) if digits.isdigit() else None
    except ValueError:
        return None


def parse_destination(text: str) -> Destination:
    """`[proto:]host[:port]` as transport and address. Raises ConfigError."""
    proto, rest = "udp", text
    head, _, tail = text.partition(":")
    if head.lower() in ("udp", "tcp", "tls"):
        proto, rest = head.lower(), tail
    host, separator, port = rest.rpartition(":")
    if not separator or rest.endswith("]"):
        host, port = rest, "5061" if proto == "tls" else "5060"
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"'{text}' is no destination", expected="[proto:]host[:port], as udp:192.0.2.1:5060")
    return proto, (host.strip("[]"), int(port))
