"""Verdicts: how right, beside the naive rule, and how many a second.

Right: the labelled traces of tests/golden, judged by Clew and by "the deepest span that answered 4xx or 5xx refused".
Many:  a campaign of small traces, from bytes to verdict. Large ones are measured in loading.py.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from app.analysis.examine import examine
from app.traces import build, otlp, semconv
from app.traces.model import Trace
from benchmarks import _trace

SPANS_EACH = 12
TESTS = Path(__file__).resolve().parents[1] / "tests"


def main(quick: bool = False) -> None:
    _accuracy()
    _many(500 if quick else 10_000)


# ------------------------------------------------------------------------------------------------------------ accuracy


def _labelled() -> list[tuple[dict[str, Any], Trace]]:
    """The labels and the traces they are about."""
    sys.path.insert(0, str(TESTS))
    from golden import drawing, judgement, products, proxies_gateways, shop  # noqa: F401 - they draw when imported

    decoded = (otlp.decode(json.dumps(document).encode()) for _, document in drawing.CASES)
    return [(label, build.build(one)) for label, one in zip(drawing.LABELS, decoded, strict=True)]


def _accuracy() -> None:
    right: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    sure = wrong = 0
    for label, trace in _labelled():
        verdict = json.loads(msgspec.json.encode(examine(trace)))
        ours, naive = _agrees(label, verdict), _agrees(label, _deepest_error(trace))
        row = label.get("layer") if isinstance(label.get("layer"), str) else f"({_first(label.get('outcome'))})"
        for name in (row, "all"):
            right[name][0] += 1
            right[name][1] += ours
            right[name][2] += naive
        sure += verdict["confidence"] == "high"
        wrong += verdict["confidence"] == "high" and not ours
    print("outcome, layer, service and deciding span right, as far as labelled")
    print(f"  {'layer':22s} {'traces':>7s} {'Clew':>7s} {'naive':>7s}")
    for name, (count, ours, naive) in sorted(right.items(), key=lambda item: (item[0] == "all", item[0])):
        print(f"  {name:22s} {count:7d} {ours:7d} {naive:7d}")
    print(f"  called high: {sure}, of them wrong: {wrong}")


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _agrees(label: dict[str, Any], got: dict[str, Any]) -> bool:
    for key in ("outcome", "layer", "service", "span_id"):
        allowed = label.get(key, ...)
        if allowed is not ... and got.get(key) not in (allowed if isinstance(allowed, list) else [allowed]):
            return False
    return True


def _deepest_error(trace: Trace) -> dict[str, Any]:
    """The naive rule. It cannot tell layers apart, so it is given the commonest."""
    failed = [node for node in trace.nodes if (semconv.http_status(node.span) or 0) >= 400 or semconv.grpc_status(node.span)]
    if not failed:
        return {"outcome": "allowed", "layer": None, "service": None, "span_id": None}
    deepest = max(failed, key=lambda node: (node.depth, -node.index))
    status = semconv.http_status(deepest.span) or 403
    outcome = "error" if status >= 500 else "denied"
    return {"outcome": outcome, "layer": "application", "service": deepest.service, "span_id": deepest.span.span_id}


# ---------------------------------------------------------------------------------------------------------- a campaign


def _many(count: int) -> None:
    """A whole campaign, one small trace after the other on one core."""
    body = _trace.body_of(SPANS_EACH)
    begun = time.process_time()
    for _ in range(count):
        examine(build.build(otlp.decode(body)))
    spent = time.process_time() - begun
    print(f"\n{count:,} traces of {SPANS_EACH} spans: {spent:.1f} s CPU on one core, {spent / count * 1000:.2f} ms each")
