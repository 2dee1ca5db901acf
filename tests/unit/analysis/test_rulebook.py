"""Rule files are checked when they are loaded, and say file and line of what is wrong."""

import pytest
from support.draw import judged

from app.analysis import rulebook
from app.analysis.rulebook import RuleError, checked, shipped, with_house_rules

GOOD = """
rules:
  - id: house.gate
    system: The gate of this house
    match: {span_name: '^gate\\.ask$', attributes: {gate.answer: '*'}}
    layer: application
    layer_by: service_role
    phase: authz
    decision:
      deny: [{attr: {gate.answer: shut}}]
      allow: [{attr: {gate.answer: open}}]
    reason_from: [gate.why]
"""


def test_a_house_adds_its_own_convention(tmp_path):
    (tmp_path / "gate.yaml").write_text(GOOD)
    rules = with_house_rules(tmp_path)
    drawing = """
        orders: GET /x  403
          orders: gate.ask  gate.answer=shut gate.why="after hours"  @gate
    """
    assert judged(drawing).origin != "gate"
    trace = judged(drawing, rules=rules)
    assert (trace.origin, trace.rule, trace.reason, trace.confidence) == ("gate", "house.gate", "after hours", "high")


def test_a_house_rule_replaces_the_shipped_one_of_its_id(tmp_path):
    (tmp_path / "login.yaml").write_text(GOOD.replace("house.gate", "generic.hand-written.login"))
    rules = with_house_rules(tmp_path)
    assert len(rules) == len(shipped())
    assert rules.by_id["generic.hand-written.login"].system == "The gate of this house"


def test_without_a_folder_there_are_the_shipped_rules():
    assert with_house_rules(None) is shipped()
    assert len(shipped()) >= 98


def test_a_rule_knows_its_own_lines():
    text = (
        GOOD
        + """
  # about the next
  - {id: house.b, match: {span_name: x}, layer: application, phase: authz, decision: {deny: [{status: ERROR}]}}
"""
    )
    first, second = checked(text).rules
    assert rulebook.excerpt(first, text) == GOOD.strip("\n").partition("\n")[2]
    assert rulebook.excerpt(second, text) == text.strip("\n").splitlines()[-1]
    assert rulebook.excerpt(first, GOOD.rstrip("\n")) == rulebook.excerpt(first, text)


def test_every_shipped_rule_can_be_copied_by_its_lines():
    for file in rulebook.FAMILIES:
        text = rulebook.data(f"{file}.yaml")
        rules = [rule for rule in shipped().rules if rule.file == f"{file}.yaml"]
        copied = checked("rules:\n" + "\n".join(rulebook.excerpt(rule, text) for rule in rules))
        assert [rule.id for rule in copied.rules] == [rule.id for rule in rules]


def test_patterns_that_cannot_be_compiled_together_are_an_error_and_never_find_nothing_silently():
    rule = (
        "  - {{id: r{0}, match: {{span_name: '(?:.{{100}}x?){{10}}{0}'}}, layer: application, phase: authz, decision: {1}}}\n"
    )
    many = "rules:\n" + "".join(rule.format(n, "{deny: [{status: ERROR}]}") for n in range(200))
    with pytest.raises(RuleError, match=r"^rules\.yaml, line 201: the patterns cannot be compiled together"):
        checked(many)


def test_a_file_can_be_tried_alone():
    assert [rule.id for rule in checked(GOOD, "gate.yaml").rules] == ["house.gate"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("layer: application", "layer: appliance", 6, "layer is one of"),
        ("phase: authz", "phase: maybe", 8, "phase is one of"),
        ("deny: [{attr: {gate.answer: shut}}]", "deny: []", 10, "list of conditions"),
        ("deny: [{attr: {gate.answer: shut}}]", "refuse: [{attr: {a: b}}]", 10, "no decision"),
        ("deny: [{attr: {gate.answer: shut}}]", "deny: [{atr: {a: b}}]", 10, "no condition"),
        ("deny: [{attr: {gate.answer: shut}}]", "deny: [{attr_value: shut}]", 10, "any_attribute"),
        ("deny: [{attr: {gate.answer: shut}}]", "deny: [{structure: [no_such]}]", 10, "no structure"),
        ("deny: [{attr: {gate.answer: shut}}]", "deny: [{http_status: [many]}]", 10, "list of numbers"),
        ("deny: [{attr: {gate.answer: shut}}]", "deny: [{grpc_status: [SHUT]}]", 10, "PERMISSION_DENIED"),
        ("deny: [{attr: {gate.answer: shut}}]", "deny: [{status: BAD}]", 10, "UNSET, OK or ERROR"),
        ("deny: [{attr: {gate.answer: shut}}]", "deny: [{phase: authn}]", 10, "at least one test"),
        ("'^gate\\.ask$'", "'(gate'", 5, "cannot be read"),
        ("'^gate\\.ask$'", "'(a)\\1'", 5, "cannot be read"),
        ("'^gate\\.ask$'", "'(?<=a)b'", 5, "cannot be read"),
        ("'^gate\\.ask$'", "'" + "a" * 1001 + "'", 5, "1000 bytes"),
        ("{span_name: '^gate\\.ask$', attributes: {gate.answer: '*'}}", "{}", 5, "match is a mapping"),
        ("span_name:", "spanname:", 5, "no part of a match"),
        ("    system:", "    sytem:", 4, "no field of a rule"),
        ("    layer: application\n", "", 3, "lacks 'layer'"),
        ("rules:", "rulez:", 2, "does not belong"),
        ("    phase: authz", "    phase: authz\n    phase: authn", 9, "twice"),
        ("reason_from: [gate.why]", "reason_from: gate.why", 12, "is a list"),
        ("decision:", "decision: &x", 9, "anchors"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old, new, line, words):
    assert old in GOOD
    with pytest.raises(RuleError) as error:
        checked(GOOD.replace(old, new), "gate.yaml")
    assert error.value.sentence.startswith("gate.yaml, line ")
    assert words in error.value.sentence
    assert error.value.line == line


@pytest.mark.parametrize("text", ["", "a", "- 1", "{", "rules: 3", "rules: [3]", "x: " + "[" * 50 + "]" * 50])
def test_what_is_no_rule_file_is_one_clear_error(text):
    with pytest.raises(RuleError, match=r"rules\.yaml, line \d+: "):
        checked(text)


def test_two_rules_of_a_house_may_not_share_an_id(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(RuleError, match="is taken"):
        with_house_rules(tmp_path)


def test_a_file_that_is_no_text_is_said(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RuleError, match=r"a\.yaml, line 1"):
        with_house_rules(tmp_path)


def test_patterns_on_hostile_text_take_time_in_proportion_to_it():
    """RE2 does not backtrack: the classic exponential pattern answers at once on a text that would hang another engine."""
    rules = checked(GOOD.replace("{gate.answer: shut}", "{gate.answer: 're:^(a+)+$'}"))
    trace = judged("orders: gate.ask  gate.answer=" + "a" * 4000 + "b", rules=rules)
    assert trace.outcome == "no_auth_evidence"


def test_every_family_file_is_shipped_and_every_rule_says_what_it_is():
    files = {rule.file for rule in shipped().rules}
    assert files == {f"{family}.yaml" for family in rulebook.FAMILIES}
    for rule in shipped().rules:
        assert rule.summary, rule.id
        assert rule.source, rule.id
