"""Database URLs, as OpenSER writes them and a little beyond."""

import pytest

from openserd.core.database import DatabaseUrl
from openserd.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("mysql://openser:openserrw@localhost/openser",
         DatabaseUrl("mysql", "openser", "openserrw", "localhost", 0, "openser")),
        ("mysql://root@127.0.0.1/pdt", DatabaseUrl("mysql", "root", "", "127.0.0.1", 0, "pdt")),
        ("postgres://db.example.net:5433/openser", DatabaseUrl("postgres", "", "", "db.example.net", 5433, "openser")),
        ("postgresql://a:b@c/d", DatabaseUrl("postgres", "a", "b", "c", 0, "d")),
        ("MySQL://a@c/d", DatabaseUrl("mysql", "a", "", "c", 0, "d")),
        ("mysql://a:p@ss/w:rd@c/d", DatabaseUrl("mysql", "a", "p@ss/w:rd", "c", 0, "d")),
        ("mysql://a:b@[2001:db8::1]:3307/d", DatabaseUrl("mysql", "a", "b", "2001:db8::1", 3307, "d")),
        ("unixodbc://u:p@localhost/my_dsn", DatabaseUrl("unixodbc", "u", "p", "localhost", 0, "my_dsn")),
        ("dbtext:///var/dbtext/openser", DatabaseUrl("dbtext", path="/var/dbtext/openser")),
        ("dbtext:/var/dbtext/openser/", DatabaseUrl("dbtext", path="/var/dbtext/openser")),
        ("dbtext://dbtext", DatabaseUrl("dbtext", path="/usr/local/etc/openser/dbtext")),
        ("flatstore:/var/log/acc", DatabaseUrl("flatstore", path="/var/log/acc")),
        ("sqlite:////var/lib/openser.db", DatabaseUrl("sqlite", path="/var/lib/openser.db")),
        ("sqlite:///var/lib/openser.db", DatabaseUrl("sqlite", path="/var/lib/openser.db")),
    ],
)  # fmt: skip
def test_urls_are_taken_apart(text: str, url: DatabaseUrl) -> None:
    assert DatabaseUrl.parse(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "mysql", "mysql:", "://a/b", "mysql:/a/b", "mysql://localhost", "mysql://localhost/", "mysql:///db",
     "mysql://a:b@/db", "mysql://a@c:x/db", "mysql://a@c:70000/db", "my sql://a/b"],
)  # fmt: skip
def test_what_is_no_url_is_refused_with_the_form_expected(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DatabaseUrl.parse(text)
    assert caught.value.expected


def test_a_url_is_shown_without_its_password() -> None:
    assert str(DatabaseUrl.parse("mysql://a:secret@c:3307/d")) == "mysql://a@c:3307/d"
    assert str(DatabaseUrl.parse("dbtext:/tmp/x")) == "dbtext:///tmp/x"
