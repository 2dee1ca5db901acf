"""Clew on what real systems sent: every label of every family agrees."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import msgspec
import pytest
from golden.score import CORE, disagreements

from app.cli.explain import judge

HERE = Path(__file__).parent
LABELS = [
    (family.parent.name, label)
    for family in sorted(HERE.glob("*/labels.json"))
    for label in json.loads(family.read_text(encoding="utf-8"))
]


def judged(*, strict: bool) -> list:
    """Each label; where Clew is known to be wrong, the label gives the reason as `unmended` and the test has to fail."""
    return [
        pytest.param(
            family,
            label,
            id=f"{family}-{label['name']}",
            marks=[pytest.mark.xfail(strict=strict, reason=label["unmended"])] if "unmended" in label else [],
        )
        for family, label in LABELS
    ]


@functools.cache
def verdict_on(family, name) -> dict:
    return json.loads(msgspec.json.encode(judge((HERE / family / "traces" / f"{name}.json").read_bytes())))


@pytest.mark.parametrize(("family", "label"), judged(strict=True))
def test_the_label_agrees(family, label):
    assert [sentence for _, sentence in disagreements(label, verdict_on(family, label["name"]))] == []


# Not every wrong verdict is called high: those that are not pass here.
@pytest.mark.parametrize(("family", "label"), judged(strict=False))
def test_no_high_confidence_is_wrong(family, label):
    got = verdict_on(family, label["name"])
    assert got["confidence"] != "high" or not [s for field, s in disagreements(label, got) if field in CORE]


@pytest.mark.parametrize("folder", sorted(path.parent for path in HERE.glob("*/labels.json")), ids=lambda folder: folder.name)
def test_every_trace_has_its_label_and_every_label_its_reason(folder):
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    assert sorted(label["name"] for label in labels) == sorted(trace.stem for trace in (folder / "traces").glob("*.json"))
    assert all(len(label["why"]) > 20 for label in labels)
