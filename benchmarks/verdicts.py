"""Verdicts: how right, beside the naive rule, and how quick, beside the bare typed decode of the same bytes.

Right: the labelled traces of tests/golden, judged by Clew and by "the deepest span that answered 4xx or 5xx refused".
Quick: bytes to repaired tree and to verdict for 1k, 10k and 100k spans, as multiples of two floors measured in the same run:
       the bare msgspec decode of the JSON, and decode plus span objects plus a sort (garbage collection off in both).
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from app.analysis.examine import examine
from app.analysis.rulebook import shipped
from app.traces import build, otlp, semconv
from app.traces.model import Trace

TESTS = Path(__file__).resolve().parents[1] / "tests"


def main(quick: bool = False) -> None:
    _accuracy()
    _speed((1_000, 10_000) if quick else (1_000, 10_000, 100_000))
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


# --------------------------------------------------------------------------------------------------------------- speed


def body_of(count: int) -> bytes:
    """A trace of that many spans as OTLP/JSON: eight services, eight attributes a span, an event on every fifth."""
    services = ("gateway", "identity", "orders", "billing", "policy", "catalogue", "mail", "audit")
    spans: dict[str, list[Any]] = {service: [] for service in services}
    base = 1_790_000_000_000_000_000
    for number in range(count):
        service, callee = services[number % 8], services[(number + 1) % 8]
        kind = (2, 3, 1, 3, 1)[number % 5]
        attributes = _attributes(number, kind if number % 5 != 3 else 0, service, callee)
        span = {
            "traceId": f"{7:032x}",
            "spanId": f"{number + 1:016x}",
            "name": f"operation {number % 200}",
            "kind": kind,
            "startTimeUnixNano": str(base + number * 1000),
            "endTimeUnixNano": str(base + count * 1000 + 5000 - number),
            "attributes": [{"key": key, "value": _value(value)} for key, value in attributes.items()],
            "status": {},
        }
        if number:
            span["parentSpanId"] = f"{(number - 1) // 3 + 1:016x}"
        if number % 5 == 0:
            span["events"] = [{"timeUnixNano": str(base), "name": "log",
                               "attributes": [{"key": "message", "value": {"stringValue": "done"}}]}]  # fmt: skip
        spans[service].append(span)
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                    "scopeSpans": [{"scope": {"name": f"library of {service}"}, "spans": found}],
                }
                for service, found in spans.items()
                if found
            ]
        }
    ).encode()


def _attributes(number: int, kind: int, service: str, callee: str) -> dict[str, Any]:
    if kind == 2:
        return {"http.request.method": "GET", "http.route": f"/r{number % 50}/{{id}}", "url.path": f"/r{number % 50}/{number}",
                "url.scheme": "http", "server.address": service, "http.response.status_code": 200,
                "user_agent.original": "probe/1.0", "network.protocol.version": "1.1"}  # fmt: skip
    if kind == 3:
        return {"http.request.method": "GET", "url.full": f"http://{callee}:8080/r{number % 50}/{number}",
                "server.address": callee, "server.port": 8080, "http.response.status_code": 200,
                "network.protocol.version": "1.1", "peer.service": callee, "thread.id": number % 16}  # fmt: skip
    if kind == 0:
        return {"db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": f"SELECT * FROM t{number % 20}",
                "db.operation.name": "SELECT", "db.collection.name": f"t{number % 20}", "server.address": "db",
                "server.port": 5432, "db.user": "app"}  # fmt: skip
    return {"code.function": "handle", "code.namespace": "app.module", "thread.id": number % 16, "thread.name": "worker",
            "app.step": f"s{number % 30}", "app.count": number, "app.flag": True, "app.note": "some note"}  # fmt: skip


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def _speed(counts: tuple[int, ...]) -> None:
    shipped()
    print("\nCPU ms, and multiples of the floors: bare decode (d), decode + objects + sort (f)")
    print(f"  {'spans':>7s} {'d':>8s} {'f':>8s} {'tree':>8s} {'verdict':>8s} {'tree/f':>7s} {'all/f':>7s} {'all/d':>7s}")
    for count in counts:
        body = body_of(count)
        rounds = 5 if count < 50_000 else 2
        bare = _cpu(lambda body=body: otlp._JSON.decode(body), rounds, collect=False)
        floor = _cpu(lambda body=body: _floor(body), rounds, collect=False)
        tree = _cpu(lambda body=body: build.build(otlp.decode(body)), rounds)
        trace = build.build(otlp.decode(body))
        verdict = _cpu(lambda trace=trace: examine(trace), rounds)
        whole = tree + verdict
        print(
            f"  {count:7d} {bare:8.1f} {floor:8.1f} {tree:8.1f} {verdict:8.1f} {tree / floor:7.2f} {whole / floor:7.2f} "
            f"{whole / bare:7.2f}"
        )


def _floor(body: bytes) -> list[Any]:
    """The least that gives span objects in order: a typed decode, one object a span, one sort."""
    return sorted(otlp.decode(body).spans, key=lambda span: span.start_ns)


def _cpu(work: Callable[[], object], rounds: int, *, collect: bool = True) -> float:
    """The best of several runs, in CPU milliseconds."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        if not collect:
            gc.disable()
        begun = time.process_time()
        kept = work()
        best = min(best, time.process_time() - begun)
        gc.enable()
        del kept
    return best * 1000


def _many(count: int) -> None:
    """A whole attack: traces of twelve spans, one after the other on one core."""
    body = body_of(12)
    begun = time.process_time()
    for _ in range(count):
        examine(build.build(otlp.decode(body)))
    spent = time.process_time() - begun
    print(f"\n{count:,} traces of 12 spans: {spent:.1f} s CPU on one core, {spent / count * 1000:.2f} ms each")
