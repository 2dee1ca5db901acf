"""How right: Clew beside the naive rule, by layer and by outcome, on every labelled trace; and what a confidence is worth.

The naive rule is what people do by hand: take the deepest span that answered 4xx or 5xx (gRPC: not OK) for the one that
refused or broke. It has no word for layers, so both are compared by outcome, service and span; Clew's layer is counted apart.
Prints the tables of docs/method.md, "How right it is".
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.analysis.examine import examine
from app.analysis.verdict import Confidence, Layer, Outcome
from app.traces import build, otlp, semconv
from app.traces.model import Trace

TESTS = Path(__file__).resolve().parents[1] / "tests"
SETS = ("own", "blind", "second", "recordings")
_SHARED = ("outcome", "service", "span_id")
_REFUSED_GRPC = (7, 8, 16)


class Judged(msgspec.Struct):
    """One labelled trace: its row in the tables, and who was right about it."""

    of: str
    layer: str
    outcome: str
    confidence: str
    clew: bool
    core: bool
    whole: bool
    naive: bool


def main(quick: bool = False) -> None:
    """quick: every fifth trace, for a look."""
    judged = list(_judged(5 if quick else 1))
    print("\n".join(_table("outcome", [o.value for o in Outcome], judged)))
    print()
    print("\n".join(_table("layer", [la.value for la in Layer], [one for one in judged if one.layer])))
    print()
    print("\n".join(_confidence(judged)))


def _judged(step: int) -> Iterator[Judged]:
    sys.path.insert(0, str(TESTS))
    from golden.score import CORE, disagreements

    for name in SETS:
        for label, body in list(_labelled(name))[::step]:
            trace = build.build(otlp.decode(body))
            got = json.loads(msgspec.json.encode(examine(trace)))
            wrong = {field for field, _ in disagreements(label, got)}
            yield Judged(
                name,
                _first(label.get("layer")) or "",
                _first(label["outcome"]) if "outcome" in label else "",
                got["confidence"],
                clew=_agrees(label, got),
                core=not wrong.intersection(CORE),
                whole=not wrong,
                naive=_agrees(label, _deepest_error(trace)),
            )


def _labelled(name: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The labels of a set and the traces they are about."""
    if name == "own":
        from golden import drawing, judgement, products, proxies_gateways, shop  # noqa: F401 - they draw when imported

        for (_, document), label in zip(drawing.CASES, drawing.LABELS, strict=True):
            yield label, json.dumps(document).encode()
        return
    folders = (
        [TESTS / "golden" / name]
        if name in ("blind", "second")
        else sorted(p.parent for p in TESTS.glob("recordings/*/labels.json"))
    )
    for folder in folders:
        for label in json.loads((folder / "labels.json").read_text(encoding="utf-8")):
            yield label, (folder / "traces" / f"{label['name']}.json").read_bytes()


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _agrees(label: dict[str, Any], got: dict[str, Any]) -> bool:
    for key in _SHARED:
        allowed = label.get(key, ...)
        if allowed is not ... and got.get(key) not in (allowed if isinstance(allowed, list) else [allowed]):
            return False
    return True


def _deepest_error(trace: Trace) -> dict[str, Any]:
    """The naive rule."""
    failed = [node for node in trace.nodes if (semconv.http_status(node.span) or 0) >= 400 or semconv.grpc_status(node.span)]
    if not failed:
        return {"outcome": "allowed", "service": None, "span_id": None}
    deepest = max(failed, key=lambda node: (node.depth, -node.index))
    status, grpc = semconv.http_status(deepest.span), semconv.grpc_status(deepest.span)
    refused = grpc in _REFUSED_GRPC if grpc else (status or 0) < 500
    return {"outcome": "denied" if refused else "error", "service": deepest.service, "span_id": deepest.span.span_id}


# -------------------------------------------------------------------------------------------------------------- tables


def _table(by: str, names: Sequence[str], judged: Sequence[Judged]) -> Iterator[str]:
    """Markdown: a row for each value of a field, right by Clew and by the naive rule in each set, and in all."""
    rows: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for one in judged:
        for row in (getattr(one, by), "all"):
            for column in (one.of, "all"):
                rows[row][column].update(traces=1, clew=int(one.clew), naive=int(one.naive), core=int(one.core))
    columns = (*SETS, "all")
    yield f"| {by} | " + " | ".join(f"{column}: traces | Clew | naive" for column in columns) + " | layer right as well |"
    yield "|---|" + "---|" * (3 * len(columns) + 1)
    for name in (*names, "all"):
        if name in rows:
            cells = [str(rows[name][column][what]) for column in columns for what in ("traces", "clew", "naive")]
            yield (
                f"| {f'`{name}`' if name != 'all' else '**all**'} | " + " | ".join(cells) + f" | {rows[name]['all']['core']} |"
            )


def _confidence(judged: Sequence[Judged]) -> Iterator[str]:
    """Markdown: of the verdicts of each confidence, how many are right."""
    yield "| confidence | " + " | ".join(f"{name}: verdicts | right" for name in (*SETS, "all")) + " | share right |"
    yield "|---|" + "---|" * (2 * len(SETS) + 3)
    for level in Confidence:
        cells = []
        for name in (*SETS, "all"):
            of = [one for one in judged if one.confidence == level and name in (one.of, "all")]
            cells += [str(len(of)), str(sum(one.core for one in of))]
        every = [one for one in judged if one.confidence == level]
        share = f"{sum(one.core for one in every) / len(every):.1%}" if every else "none"
        yield f"| {level.value} | " + " | ".join(cells) + f" | {share} |"
    whole = sum(one.whole for one in judged)
    yield ""
    yield f"All labelled fields (reasons, findings, effects, persons as well) agree on {whole} of {len(judged)} traces."
