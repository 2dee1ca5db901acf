"""Traces drawn and labelled from the rules of judgement without sight of the engine: the verdicts it has not been fitted to.

Each module of blind/ and second/ is a group. `found` and `traps` were drawn to catch it out, the others to cover the ground.
`python tests/golden/test_blind.py` prints the agreement of each group.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from golden.score import CORE, disagreements

from app.cli.explain import judge

FOLDERS = [Path(__file__).parent / name for name in ("blind", "second")]
LABELS, TRACES = [], {}
for folder in FOLDERS:
    for found in json.loads((folder / "labels.json").read_text(encoding="utf-8")):
        LABELS.append(found)
        TRACES[found["name"]] = folder / "traces" / f"{found['name']}.json"
GROUPS = sorted({label["group"] for label in LABELS})


def case(label: dict) -> object:
    marks = [pytest.mark.xfail(strict=True, reason=label["unmended"])] if "unmended" in label else []
    return pytest.param(label, id=f"{label['group']}-{label['name']}", marks=marks)


@functools.cache
def verdict_on(name: str) -> dict:
    return json.loads(msgspec.json.encode(judge(TRACES[name].read_bytes())))


def wrong(label: dict, *, core: bool = False) -> list[str]:
    said = disagreements(label, verdict_on(label["name"]))
    return [sentence for field, sentence in said if field in CORE or not core]


def test_no_two_sets_share_a_name():
    assert len(TRACES) == len(LABELS)


@pytest.mark.parametrize("label", [case(label) for label in LABELS])
def test_the_label_agrees(label):
    assert wrong(label) == []


@pytest.mark.parametrize("group", GROUPS)
def test_no_high_confidence_is_wrong(group):
    """The count that matters most to whoever acts on a verdict."""
    ours = [label for label in LABELS if label["group"] == group and "unmended" not in label]
    assert [one["name"] for one in ours if verdict_on(one["name"])["confidence"] == "high" and wrong(one, core=True)] == []


def agreement() -> str:
    """Per group: how many traces agree in outcome, layer, service and span, in all labelled fields, and the loud mistakes."""
    count: dict[str, Counter[str]] = {group: Counter() for group in GROUPS}
    for label in LABELS:
        row = count[label["group"]]
        row.update(traces=1, core=not wrong(label, core=True), full=not wrong(label))
        row["high and wrong"] += bool(wrong(label, core=True)) and verdict_on(label["name"])["confidence"] == "high"
    columns = ("traces", "core", "full", "high and wrong")
    rows = [("group", *columns)] + [(group, *(str(row[c]) for c in columns)) for group, row in count.items()]
    return "\n".join(f"{row[0]:<14}" + "".join(f"{cell:>16}" for cell in row[1:]) for row in rows)


if __name__ == "__main__":
    print(agreement())
