"""Addresses as tests write them."""

from ipaddress import ip_address

from openserd.core.network.transport import Address, bracketed


def endpoint(address: Address) -> str:
    """An address as `host:port`."""
    return f"{bracketed(address[0])}:{address[1]}"


def is_address(host: str) -> bool:
    """Whether a host is an IP address."""
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def address_of(text: str) -> Address:
    """`host` or `host:port` as an address, port 5060 where none is written."""
    host, _, port = text.rpartition(":")
    if not host or text.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = text, "5060"
    return host.strip("[]"), int(port)


def contact_source(contact: str | None) -> str:
    """The address that a contact's host is, as `host:port`; "" where it is none."""
    uri = (contact or "").partition("<")[2].partition(">")[0] or contact or ""
    place = uri.partition(":")[2].rpartition("@")[2].partition(";")[0]
    host, port = address_of(place) if place else ("", 0)
    return endpoint((host, port)) if is_address(host) else ""
