"""Addresses as they are typed: user[@domain], and SIP URIs."""

import re
from typing import Final, NamedTuple

import click

from openserd.ctl.config import Settings

USER: Final = re.compile(r"[-\w&=+$,;?/.!~*'()%#]+")
DOMAIN: Final = re.compile(r"[-\w.]+|\[[0-9A-Fa-f:.]+\]")
URI: Final = re.compile(r"sips?:(?:[^\s@<>\"]+@)?[^\s@<>\"]+", re.I)
USER_URI: Final = re.compile(r"sips?:[^\s@<>\"]+@[^\s@<>\"]+", re.I)


class Address(NamedTuple):
    """A user of a domain."""

    user: str
    domain: str

    def __str__(self) -> str:
        return f"{self.user}@{self.domain}"


def parse_address(settings: Settings, text: str) -> Address:
    """The address that `text` is, in SIP_DOMAIN where it names no domain. Raises click.UsageError."""
    user, at, domain = text.partition("@")
    if not at:
        domain = settings.get("SIP_DOMAIN")
        if not domain:
            raise click.UsageError(f"{text!r} names no domain: write user@domain or set SIP_DOMAIN in openserctlrc")
    if USER.fullmatch(user) is None or DOMAIN.fullmatch(domain) is None:
        raise click.UsageError(f"{text!r} is no address: user@domain is expected")
    return Address(user, domain)


def check_uri(text: str) -> str:
    """`text`, a SIP URI. Raises click.UsageError."""
    if URI.fullmatch(text) is None:
        raise click.UsageError(f"{text!r} is no SIP URI: sip:[user@]domain is expected")
    return text


def check_user_uri(text: str) -> str:
    """`text`, the SIP URI of a user. Raises click.UsageError."""
    if USER_URI.fullmatch(text) is None:
        raise click.UsageError(f"{text!r} is no SIP URI of a user: sip:user@domain is expected")
    return text
