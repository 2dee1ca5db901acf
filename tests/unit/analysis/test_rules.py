"""Each shipped rule holds for a trace drawn for it, and not for one that comes close.

The drawings stand in rules/*.txt: `== rule decision`, the trace, `-- why the next one comes only close`, that trace.
"""

from pathlib import Path

import pytest
from support.draw import draw, tagged

from app.analysis import joins, signals
from app.analysis.reading import Context, Reading
from app.analysis.rulebook import shipped

FOLDER = Path(__file__).parent / "rules"


def _cases():
    for file in sorted(FOLDER.glob("*.txt")):
        for block in file.read_text(encoding="utf-8").split("\n== "):
            head, _, body = block.removeprefix("== ").partition("\n")
            rule, decision = head.split()
            positive, _, rest = body.partition("\n-- ")
            _why, _, near_miss = rest.partition("\n")
            yield pytest.param(file.stem, rule, decision, positive, near_miss, id=f"{rule} {decision}")


CASES = list(_cases())


def said(text: str) -> set[tuple[str, str]]:
    """(rule, decision) of every rule that holds for the span tagged `here`."""
    trace = draw(text)
    reading = Reading(trace, Context())
    joins.join(reading)
    reading.settle()
    rules = shipped()
    signals.collect(reading, rules)
    node = trace.by_id[tagged(text)["here"]]
    return {(hit.rule.id, hit.decision) for hit in (*rules.hits(reading, node), *rules.status_hits(reading, node))}


@pytest.mark.parametrize(("family", "rule", "decision", "positive", "near_miss"), CASES)
def test_a_rule_holds_for_its_own_and_for_nothing_close(family, rule, decision, positive, near_miss):
    assert shipped().by_id[rule].file == f"{family}.yaml"
    assert (rule, decision) in said(positive)
    assert (rule, decision) not in said(near_miss)


def test_every_shipped_rule_is_drawn():
    assert {case.values[1] for case in CASES} == {rule.id for rule in shipped().rules}


def test_every_decision_of_every_rule_is_drawn():
    decisions = {(rule.id, name) for rule in shipped().rules for name, _ in rule.decisions}
    assert decisions - {case.values[1:3] for case in CASES} == set()


@pytest.mark.parametrize(("family", "rule", "decision", "positive", "near_miss"), CASES)
def test_a_near_miss_is_a_trace_of_its_own(family, rule, decision, positive, near_miss):
    """Another trace than the one it is near to, with the span that is asked about."""
    assert near_miss.strip()
    assert near_miss.split() != positive.split()
    assert "here" in tagged(near_miss)
