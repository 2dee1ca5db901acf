"""A span that is lost while spans below it remain leaves a visible gap: no verdict on such a trace may be loud and wrong."""

from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec
import pytest
from golden.score import disagreements

from app.analysis.examine import examine
from app.traces.build import build
from app.traces.otlp import Decoded, decode

HERE = Path(__file__).parent
FAMILIES = sorted(path.parent.name for path in HERE.glob("*/labels.json"))
EACH = 3  # spans lost of each trace, one at a time
FIELDS = ("outcome", "layer", "service")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lost_span_makes_no_verdict_loud_and_wrong(family):
    wrong = []
    for label in json.loads((HERE / family / "labels.json").read_text(encoding="utf-8")):
        if "unmended" in label:
            continue
        spans = list(decode((HERE / family / "traces" / f"{label['name']}.json").read_bytes()).spans)
        parents = {span.parent_id for span in spans}
        inner = [span for span in spans if span.span_id in parents]
        for lost in random.Random(label["name"]).sample(inner, min(EACH, len(inner))):
            verdict = examine(build(Decoded([span for span in spans if span is not lost])))
            got = json.loads(msgspec.json.encode(verdict))
            if got["confidence"] == "high" and any(field in FIELDS for field, _ in disagreements(label, got)):
                wrong.append((label["name"], lost.name))
    assert wrong == []
