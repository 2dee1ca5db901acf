"""What the rules of judgement demand, sentence by sentence, in the corners where they are easily got wrong.

judged/*.txt holds one drawing after the other: `== what it is`, what must come out, the trace. A word `+kind` is a finding that
must be there, `-kind` one that must not; `entry` and `origin` are tags.
"""

from pathlib import Path

import pytest
from support.draw import judged

FOLDER = Path(__file__).parent / "judged"


def _cases():
    for file in sorted(FOLDER.glob("*.txt")):
        for block in file.read_text(encoding="utf-8").removeprefix("== ").split("\n== "):
            title, expected, drawing = block.split("\n", 2)
            yield pytest.param(expected.split(), drawing, id=f"{file.stem}: {title}")


@pytest.mark.parametrize(("expected", "drawing"), list(_cases()))
def test_the_verdict_is_the_one_that_the_rules_demand(expected, drawing):
    trace = judged(drawing)
    have = {key: getattr(trace, key) for key in ("outcome", "origin", "layer", "service", "phase", "confidence")}
    have["entry"] = next((tag for tag, span_id in trace.tags.items() if span_id == trace.entry.span_id), None)
    wrong = []
    for word in expected:
        if word[0] in "+-":
            if (word[1:] in trace.kinds) is (word[0] == "-"):
                wrong.append(f"{word} (has {sorted(trace.kinds)})")
        else:
            key, _, value = word.partition("=")
            if str(have[key]) != value:
                wrong.append(f"{key}={have[key]}, not {value}")
    assert wrong == [], trace.sentence
