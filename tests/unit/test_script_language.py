"""The examples of docs/script-language.md are scripts, and it names what there is."""

import pytest

from openserd.core.context import Core
from openserd.script import STRICT, load
from openserd.script.grammar.diagnose import KEYWORDS
from openserd.script.text.preprocess import WORDS
from openserd.server.loader import ModuleLoader
from scripts import script_language

PAGE = script_language.page_text()


@pytest.mark.parametrize("text", script_language.examples())
def test_an_example_is_a_script(text: str) -> None:
    script = load(text, "example.cfg", Core(), ModuleLoader(), STRICT)
    assert script.routes.request is not None


def test_every_directive_and_keyword_is_named() -> None:
    assert [word for word in WORDS if word not in PAGE] == []
    unnamed = [word for word in KEYWORDS if word not in PAGE and word not in ("and", "or", "not", "modparam")]
    assert unnamed == []


def test_the_page_has_examples() -> None:
    assert len(script_language.examples()) >= 5
