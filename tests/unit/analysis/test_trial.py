"""A rule file tried on a trace: what its rules held for, what is used of it, and what it changes."""

import pytest
from support.draw import draw, tagged

from app.analysis.rulebook import RuleError
from app.analysis.trial import tried

GATE = """
rules:
  - id: house.gate
    match: {span_name: '^gate\\.ask$'}
    layer: application
    phase: authz
    decision:
      deny: [{attr: {gate.answer: shut}}]
      allow: [{attr: {gate.answer: open}}]
    reason_from: [gate.why]
"""
DRAWING = """
    orders: GET /x  403
      orders: gate.ask  gate.answer=ajar  @ajar
      orders: gate.ask  gate.answer=shut gate.why="after hours"  @shut
"""


def test_the_spans_a_rule_held_for_and_those_it_only_matches_are_told_apart():
    [rule] = tried(draw(DRAWING), [("gate.yaml", GATE)]).rules
    assert (rule.id, rule.file, rule.line, rule.replaces) == ("house.gate", "gate.yaml", 3, "")
    assert [(held.span_id, held.decision, held.why_not) for held in rule.held] == [(tagged(DRAWING)["shut"], "deny", "")]
    assert [held.span_id for held in rule.about] == [tagged(DRAWING)["ajar"]]


def test_the_verdict_is_given_without_and_with_the_rules():
    found = tried(draw(DRAWING), [("gate.yaml", GATE)])
    assert (found.without.rule, found.with_rules.reason) == ("generic.http.server-403", "after hours")
    assert (found.with_rules.rule, found.with_rules.span_id) == ("house.gate", tagged(DRAWING)["shut"])
    assert {"span_id", "rule", "reason"} <= set(found.changed)


def test_a_rule_about_nothing_here_changes_nothing():
    found = tried(draw(DRAWING.replace("gate.ask", "door.ask")), [("gate.yaml", GATE)])
    assert (found.rules[0].held, found.rules[0].about, found.changed) == ((), (), ())


def test_a_rule_that_replaces_a_shipped_one_says_so_and_takes_its_place():
    theirs = GATE.replace("house.gate", "generic.hand-written.permission").replace("gate\\.ask", "auth.permission_check")
    drawing = 'orders: GET /x  403\n  orders: auth.permission_check  auth=refused because="no" gate.answer=open'
    found = tried(draw(drawing), [("generic.yaml", theirs)])
    # Also where the house's file is called like a shipped one, it is the house's rules alone that are told of.
    assert [(rule.id, rule.replaces) for rule in found.rules] == [("generic.hand-written.permission", "generic.yaml")]
    assert found.rules[0].held[0].decision == "allow"
    assert found.without.rule == "generic.hand-written.permission"
    assert "span_id" in found.changed


def test_the_second_of_two_rules_for_one_span_is_told_which_came_first():
    second = GATE.partition("rules:\n")[2].replace("house.gate", "house.other")
    found = tried(draw(DRAWING), [("gate.yaml", GATE + second)])
    assert [held.why_not for held in found.rules[1].held] == ["house.gate comes first"]


def test_a_dry_run_is_said_not_to_count():
    shadow = GATE.replace("deny:", "shadow:")
    [rule] = tried(draw(DRAWING), [("gate.yaml", shadow)]).rules
    assert [(held.decision, held.why_not) for held in rule.held] == [("shadow", "a dry run does not count")]


def test_a_rule_asked_only_of_the_deciding_span_is_tried_as_well():
    status = GATE.replace("    match: {span_name: '^gate\\.ask$'}", "    says: status\n    match: {kind: [SERVER]}")
    status = status.replace("deny: [{attr: {gate.answer: shut}}]", "deny: [{http_status: [403]}]")
    [rule] = tried(draw(DRAWING), [("gate.yaml", status)]).rules
    assert [held.name for held in rule.held] == ["GET /x"]


def test_a_mistake_names_file_and_line():
    with pytest.raises(RuleError, match=r"^gate\.yaml, line 6: phase is one of authn, authz\.$"):
        tried(draw(DRAWING), [("gate.yaml", GATE.replace("phase: authz", "phase: maybe"))])


def test_an_id_taken_by_another_file_names_that_file():
    with pytest.raises(RuleError, match=r"^b\.yaml, line 3: the id 'house\.gate' is taken by line 3 of a\.yaml\.$"):
        tried(draw(DRAWING), [("a.yaml", GATE), ("b.yaml", GATE)])
