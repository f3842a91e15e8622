"""Every MUST of the transaction layer has a test, and the table of a run says what became of it."""

from types import SimpleNamespace

import pytest

from tests.support.conformance import Outcomes, Row, proofs, rows

#: RFC and chapter whose every MUST needs a test
CHAPTERS = [("3261", "16"), ("3261", "17"), ("6026", ""), ("4320", ""), ("5393", "")]


@pytest.mark.parametrize(("rfc", "chapter"), CHAPTERS)
def test_every_must_that_applies_has_a_test(rfc: str, chapter: str) -> None:
    wanted = [row for row in rows().values() if row.is_in(rfc, chapter) and row.level == "MUST"]
    assert len(wanted) >= 4
    untested = [f"{row.id} {row.requirement}" for row in wanted if not row.why_not and row.id not in proofs()]
    assert untested == []


def test_only_rows_that_exist_and_apply_are_named() -> None:
    assert [id_ for id_ in proofs() if id_ not in rows()] == []
    assert [id_ for id_ in proofs() if rows()[id_].why_not] == []


def test_a_row_without_a_test_is_noticed() -> None:
    row = Row("PRX-99", "3261", "16.6 8", "x", "MUST", "")
    assert row.is_in("3261", "16")
    assert not row.is_in("3261", "17")
    assert Row("TRN-99", "3261", "8.1.3.3 / 17", "x", "MUST", "").is_in("3261", "17")
    assert row.id not in proofs()


def report(outcome: str, *ids: str) -> SimpleNamespace:
    """The report of a test that proves these rows."""
    return SimpleNamespace(outcome=outcome, user_properties=[("other", 1), *(("conformance", id_) for id_ in ids)])


def test_the_table_tells_each_row_with_what_became_of_it() -> None:
    outcomes = Outcomes()
    for one in (
        report("passed", "PRX-01", "PRX-02"),
        report("failed", "PRX-02"),
        report("passed", "PRX-02"),
        report("skipped", "PRX-03", "PRX-01"),
    ):
        outcomes.add(one)
    asked = [Row(f"PRX-0{number}", "3261", "16", "It is so.", "MUST", "") for number in range(1, 4)]
    lines = list(outcomes.lines([*asked, Row("PRX-25", "3261", "16", "x", "MUST", "there is no stream")]))
    assert [line.split()[::2][:2] for line in lines[:3]] == [
        ["PRX-01", "passed"],
        ["PRX-02", "failed"],
        ["PRX-03", "skipped"],
    ]
    assert lines[3].split(maxsplit=2)[2].startswith("does not apply  there is no stream")
    assert lines[-1] == "3 rows: 1 passed, 1 failed, 1 skipped"
