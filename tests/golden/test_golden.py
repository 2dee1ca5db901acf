"""Every labelled trace gets the verdict that its label names, from the bytes as a backend would send them."""

import functools
import json
from collections import Counter

import golden.judgement
import golden.products
import golden.proxies_gateways
import golden.shop  # noqa: F401 - each module draws its traces when imported
import msgspec
import pytest
from golden.drawing import CASES, LABELS
from golden.score import CORE, disagreements

from app.cli.explain import judge

DOCUMENTS = dict(CASES)


@functools.cache
def verdict_on(name) -> dict:
    body = json.dumps(DOCUMENTS[name], ensure_ascii=False).encode()
    return json.loads(msgspec.json.encode(judge(body)))


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label["name"])
def test_the_label_agrees(label):
    assert [sentence for _, sentence in disagreements(label, verdict_on(label["name"]))] == []


def test_no_high_confidence_is_wrong():
    """The count that matters most to whoever acts on a verdict."""
    wrong = []
    for label in LABELS:
        got = verdict_on(label["name"])
        if got["confidence"] == "high" and any(field in CORE for field, _ in disagreements(label, got)):
            wrong.append(label["name"])
    assert wrong == []


def test_the_set_is_what_it_claims_to_be():
    outcomes = Counter(o for label in LABELS for o in ([label["outcome"]] if isinstance(label.get("outcome"), str) else []))
    assert len(CASES) >= 66 + 60
    assert set(outcomes) == {"allowed", "denied", "partially_denied", "bypassed", "error", "inconclusive", "no_auth_evidence"}
    layers = {label["layer"] for label in LABELS if isinstance(label.get("layer"), str)}
    assert len(layers) == 10
