"""Contacts of a REGISTER as most phones write them: read quickly, to what the grammar makes of them."""

import pytest

from openserd.errors import SipError
from openserd.mods.registrar.contacts import ContactReader, Terms, read_contact, usual_contact
from openserd.mods.usrloc.binding import Binding
from tests.support.recording import request
from tests.unit.mods.location_kit import Site

USUAL = [
    "<sip:a@192.0.2.10>",
    "<sip:a@h.example:5062;line=x>;expires=60",
    '"A, B" <sips:+49@h>',
    "A B <sip:h>;expires=0",
]
UNUSUAL = [
    "sip:a@h", "*", "<sip:a@h>;q=0.5", "<sip:a@h>;expires=60;q=1", "<sip:a@h>;expires=abc", "<sip:a@h>, <sip:b@h>",
    "<sip:a@h>;expires=12345678901", "<sip:%61@h>", "<sip:a@[::1]>", "<sip:a@h?b=c>", "<tel:+49>", "<sip:a:b@h>",
]  # fmt: skip


def reader(site: Site) -> ContactReader:
    return ContactReader(Binding, Terms(), site.registrar.saver.reader.sockets)


@pytest.mark.parametrize("contact", USUAL)
def test_a_usual_contact_is_read_to_what_its_grammar_makes_of_it(contact: str) -> None:
    site = Site()
    msg = request("REGISTER", headers=[f"Contact: {contact}"])
    for _ in range(2):  # the line is new, then it is learned
        assert [*usual_contact(msg)] == reader(site).contacts(msg)
    site.close()


@pytest.mark.parametrize("contact", UNUSUAL)
def test_any_other_contact_is_left_to_the_grammar(contact: str) -> None:
    for _ in range(2):
        assert not usual_contact(request("REGISTER", headers=[f"Contact: {contact}"]))


def test_two_contact_lines_are_left_to_the_grammar() -> None:
    assert not usual_contact(request("REGISTER", headers=["Contact: <sip:a@h>", "Contact: <sip:b@h>"]))
    assert not usual_contact(request("REGISTER"))


def test_what_is_usual_has_a_grammar_that_holds() -> None:
    for broken in (
        b"m: <sip:@h>\r\n",
        b"m: <sip:a@>\r\n",
        b"m: <sip:a@h:0>\r\n",
        b"m: <sip:a@h:99999>\r\n",
        b"m: <>\r\n",
    ):
        assert read_contact(broken) == ()


@pytest.mark.parametrize(
    ("to", "aor"),
    [
        ("<sip:Alice@example.com>", b"alice"), ('"<sip:no@where>" <sip:alice@example.com>', b"alice"),
        ("sip:alice@example.com;tag=1", b"alice"), ("<sip:%61lice@example.com>;tag=2", b"alice"),
        ("A <sips:+49-1@h:5061;transport=tls>;tag=3", b"+49-1"), ("<sip:example.com>", b""),
    ],
)  # fmt: skip
def test_to_names_the_same_aor_the_first_time_and_when_its_line_is_known(to: str, aor: bytes) -> None:
    site = Site()
    aors = site.registrar.saver.aors
    msg = site.message(request("REGISTER").buf.replace(b"<sip:bob@biloxi.example>", to.encode()))
    assert aors.of_to(msg) == aors.of_to(msg) == aors.of(msg, msg.to.uri) == aor
    site.close()


def test_a_to_that_names_no_aor_is_refused_each_time() -> None:
    site = Site()
    msg = site.message(request("REGISTER").buf.replace(b"<sip:bob@biloxi.example>", b"<sip:%zz@example.com>"))
    for _ in range(2):
        with pytest.raises(SipError, match="Error while unescaping username"):
            site.registrar.saver.aors.of_to(msg)
    site.close()
