"""What may be kept as a house rule, and what is in force when several are."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.draw import draw, judged

from app.analysis.examine import examine
from app.analysis.rulebook import RuleError, RuleText, shipped
from app.errors import InvalidInput
from app.house import book

GATE = """rules:
  - id: house.gate
    match: {span_name: '^gate\\.ask$'}
    layer: application
    phase: authz
    decision:
      deny: [{attr: {gate.answer: shut}}]
    reason_from: [gate.why]
"""
DRAWING = 'orders: GET /x  403\n  orders: gate.ask  gate.answer=shut gate.why="after hours"  @gate'


def text(name: str, content: str = GATE, *, to: str = "") -> RuleText:
    return RuleText(name, content.replace("house.gate", to) if to else content, f"id-{name}")


def test_a_rule_of_the_database_judges():
    found = book.compiled([], [text("gate")])
    trace = judged(DRAWING, rules=found.book)
    assert (trace.rule, trace.reason) == ("house.gate", "after hours")
    rule = found.book.by_id["house.gate"]
    assert (rule.house, rule.file, rule.document, rule.replaces) == (True, "gate", "id-gate", None)


def test_the_database_counts_before_files_and_files_before_what_is_shipped():
    id_ = "generic.hand-written.login"
    ours = text("db", to=id_)
    file = RuleText("login.yaml", GATE.replace("house.gate", id_))
    found = book.compiled([file], [ours]).book
    rule = found.by_id[id_]
    assert [rule.document, rule.replaces.file, rule.replaces.replaces.file] == ["id-db", "login.yaml", "generic.yaml"]
    assert len(found) == len(shipped())
    assert [rule.house, rule.replaces.house, rule.replaces.replaces.house] == [True, True, False]
    assert book.compiled([file], []).book.by_id[id_].file == "login.yaml"


def test_without_house_rules_there_are_the_shipped_ones_and_they_are_not_compiled_again():
    assert book.compiled([], []).book is shipped()


def test_a_text_that_cannot_be_read_any_more_is_left_out_and_the_others_stay():
    broken = text("old", GATE.replace("layer: application", "layer: reception"))
    found = book.compiled([], [broken, text("gate")])
    [skipped] = found.skipped
    assert (skipped.document, skipped.name, skipped.line) == ("id-old", "old", 4)
    assert skipped.why.startswith("layer is one of edge_waf")
    assert judged(DRAWING, rules=found.book).rule == "house.gate"


def test_of_two_texts_with_one_id_the_first_is_in_force():
    found = book.compiled([], [text("first"), text("second")])
    assert [one.name for one in found.skipped] == ["second"]
    assert "the id 'house.gate' is taken by line 2 of first" in found.skipped[0].why
    assert found.book.by_id["house.gate"].file == "first"


def test_a_wrong_file_is_the_files_error_and_no_text_of_the_database_is_blamed():
    with pytest.raises(RuleError, match=r"^wrong\.yaml, line 4: layer is one of"):
        book.compiled([RuleText("wrong.yaml", GATE.replace("layer: application", "layer: x"))], [text("gate")])


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        (GATE.replace("'^gate\\.ask$'", "'(?=x)'"), 3, "cannot be read"),
        (GATE.replace("'^gate\\.ask$'", "'" + "a" * 1001 + "'"), 3, "1001"),
        (GATE + "    colour: red\n", 9, "'colour' is no field of a rule"),
        (GATE + GATE.partition("\n")[2], 9, "the id 'house.gate' is taken by line 2"),
        (GATE.replace("house.gate", "'two words'"), 2, "an id has 1 to 100 letters"),
        ("rules: " + "[" * 30_000 + "]" * 30_000, 1, "nested too deeply"),
        ("rules: " + "{a: " * 15_000 + "1" + "}" * 15_000, 1, "nested too deeply"),
        ("- " * 30_000 + "a", 1, "nested too deeply"),
        ("? " * 30_000 + "a", 1, "nested too deeply"),
        (GATE.replace("{attr: {gate.answer: shut}}", "{status: {a: b}}"), 7, "status is UNSET, OK or ERROR"),
        (GATE.replace("{attr: {gate.answer: shut}}", "{status: OK, evidence: {a: b}}"), 7, "evidence is one of"),
        ("rules: []", 1, "there is no rule in it"),
        ("rules: &a\n  - *a", 1, "anchors and aliases"),
        ("- a\n", 1, "a mapping with a list"),
        ("rules:\n\t- x", 2, "found character that cannot start any token"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(content, line, why):
    with pytest.raises(RuleError) as raised:
        book.checked(RuleText("gate", content))
    assert raised.value.line == line
    assert why in raised.value.words
    assert raised.value.sentence == f"gate, line {line}: {raised.value.words}"


def test_an_id_that_another_text_gives_is_told_with_the_line_of_the_new_one():
    with pytest.raises(RuleError, match=r"^second, line 2: the id 'house\.gate' is taken by line 2 of first\.$"):
        book.checked(text("second"), beside=[text("first")])


def test_patterns_that_are_large_together_are_refused_in_the_text_that_was_added():
    repeated = GATE.replace("'^gate\\.ask$'", "'(?:.{490}){2}'")
    many = "rules:\n" + "".join(
        repeated.partition("\n")[2].replace("house.gate", f"house.gate{n}").replace("{490}", f"{{{490 + n}}}") for n in range(4)
    )
    book.checked(text("first", many))
    with pytest.raises(RuleError, match=r"^second, line \d+: with the pattern .* too large together"):
        book.checked(text("second", many, to="other"), beside=[text("first", many)])
    assert [one.name for one in book.compiled([], [text("first", many), text("second", many, to="other")]).skipped] == [
        "second"
    ]


def test_only_so_many_rules_are_in_force_together(monkeypatch):
    monkeypatch.setattr(book, "MOST_RULES", 2)
    two = GATE + GATE.partition("\n")[2].replace("house.gate", "house.b")
    book.checked(text("first", two))
    with pytest.raises(RuleError, match=r"^second, line 2: with this rule there are more than 2"):
        book.checked(text("second", to="house.c"), beside=[text("first", two)])


def test_names_are_plain():
    assert book.name_of("  Gate of\tthe house ") == "Gate of the house"
    assert book.name_of("Türsteher-2") == "Türsteher-2"
    for name in ("", " ", "<b>", "../x", ".hidden", "a/b", "a" * 81, "a\u202eb", "a\nb<"):
        with pytest.raises(InvalidInput) as raised:
            book.name_of(name)
        assert raised.value.field == "name"


def test_a_text_is_kept_as_it_was_written():
    assert book.text_of("a: 1\r\nb:  2 \n\n") == "a: 1\nb:  2 \n\n"
    assert book.text_of("a\x00\ud800") == "a\ufffd\ufffd"
    with pytest.raises(InvalidInput, match=r"has 65,537 bytes; at most 65,536"):
        book.text_of("a" * 65_537)
    with pytest.raises(InvalidInput, match="no text"):
        book.text_of(" \n")


TRACE = draw(DRAWING)
FULL = (
    GATE.replace("    reason_from: [gate.why]\n", "")
    + """    reason_from: [gate.why, status.message, '{gate.answer} of {gate.why}', capture]
    capture: '(?P<why>a\\w+)'
    layer_by: service_role
    layer_overrides: {ask: policy_engine}
    says: guard
    decider: callee
    bulk: false
"""
)
_WORDS = re.findall(r"\w+|[^\w\s]|\s+", FULL)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(_WORDS) - 1),
            st.sampled_from([*_WORDS, "", "[]", "{}", "null", "~", "'", ": ", "{", "}", "{}", "{a", "(", "("]),
        )
    )
)
def test_whatever_a_text_says_it_is_read_or_refused_in_words(changes):
    words = list(_WORDS)
    for place, word in changes:
        words[place] = word
    with contextlib.suppress(RuleError):
        rules = book.checked(RuleText("x", "".join(words)))
        assert rules.rules
        assert examine(TRACE, rules=rules).trace_id == TRACE.trace_id, "and whatever was read can judge"
