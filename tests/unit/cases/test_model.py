from __future__ import annotations

import pytest

from app.cases import model
from app.errors import InvalidInput, NotFound
from app.times import parse_iso


def test_a_case_is_called_by_a_number_of_four_digits_or_more():
    assert model.case_name(7) == "CASE-0007"
    assert model.case_name(12345) == "CASE-12345"
    assert model.case_number("CASE-0007") == 7
    assert model.case_number("case-7") == 7
    assert model.case_number("7") == 7


@pytest.mark.parametrize("name", ["", "CASE-", "CASE-0", "0", "CASE-1x", "-1", "1" * 10, "CASE-٣", "../1", "CASE-0007\n"])
def test_a_malformed_name_is_the_name_of_no_case(name):
    with pytest.raises(NotFound):
        model.case_number(name)


def test_a_line_is_folded_and_held_to_its_length():
    assert model.line("  two\n words\t", field="title", most=20, called="The title") == "two words"
    with pytest.raises(InvalidInput, match="The title has 5 characters; at most 4 are kept") as caught:
        model.line("abcde", field="title", most=4, called="The title")
    assert caught.value.field == "title"
    with pytest.raises(InvalidInput, match="The title is missing"):
        model.line(" \r\n ", field="title", most=4, called="The title", least=1)


def test_what_no_database_stores_leaves_a_mark():
    assert model.prose("a\x00b\ud800c", field="summary", most=9, called="It") == "a�b�c"


def test_line_ends_of_browsers_become_plain():
    assert model.prose("a\r\nb\rc\n\n", field="summary", most=9, called="It") == "a\nb\nc"


def test_tags_lose_doubles_and_keep_their_order():
    assert model.tags(["b", " a ", "b", ""]) == ("b", "a")
    with pytest.raises(InvalidInput, match="31 tags"):
        model.tags(str(n) for n in range(31))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T03:09:40Z",
        "2026-11-21 03:09:40",
        "2026-11-21T03:09:40",
        "2026-11-21 03:09:40 UTC",
        "2026-11-21T04:09:40+01:00",
    ],
)
def test_a_typed_time_without_an_offset_is_utc(text):
    assert model.moment(text) == parse_iso("2026-11-21T03:09:40Z")


def test_a_typed_time_may_leave_the_seconds_out():
    assert model.moment("2026-11-21T03:09") == parse_iso("2026-11-21T03:09:00Z")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-21", "9999-01-01T00:00:00Z", "0001-01-01T00:00"]
)
def test_what_is_no_time_names_its_field(text):
    with pytest.raises(InvalidInput) as caught:
        model.moment(text, field="occurred")
    assert caught.value.field == "occurred"
