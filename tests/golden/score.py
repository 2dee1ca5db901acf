"""How a verdict is compared with a label.

Outcome, layer, phase, service, span_id, principal, client_address, entry_status, enforced_by (a service) and
enforced_by_span_id must agree exactly, or with one of them where the label is a list; confidence with one of those named;
reason is a part of the text; findings, side_effects ([kind, when]) and layers ([layer, decision]) are subsets of what was
found; no_findings are kinds that must be missing; absent are texts that must not occur anywhere in the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

CORE = ("outcome", "layer", "service", "span_id")


def disagreements(label: dict[str, Any], got: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of a verdict that disagree with its label: (field, sentence) each."""
    entry, enforced = got.get("entry") or {}, got.get("enforced_by") or {}
    have = {key: got.get(key) for key in (*CORE, "phase", "principal", "client_address", "confidence")}
    have |= {"entry_status": entry.get("status"), "enforced_by": enforced.get("service")}
    have |= {"enforced_by_span_id": enforced.get("span_id")}
    for key, value in have.items():
        if key in label and value not in (label[key] if isinstance(label[key], list) else [label[key]]):
            yield key, f"{key} {value!r}, expected {label[key]!r}"
    if "reason" in label and label["reason"].lower() not in (got.get("reason") or "").lower():
        yield "reason", f"reason {got.get('reason')!r} lacks {label['reason']!r}"
    kinds = {finding["kind"] for finding in got["findings"]}
    for kind in label.get("findings", []):
        if kind not in kinds:
            yield "findings", f"no finding {kind!r} (has {sorted(kinds)})"
    for kind in label.get("no_findings", []):
        if kind in kinds:
            yield "findings", f"false finding {kind!r}"
    for key, first, second in (("side_effects", "kind", "when"), ("layers", "layer", "decision")):
        found = {(item[first], item[second]) for item in got[key]}
        for pair in label.get(key, []):
            if tuple(pair) not in found:
                yield key, f"{key} lacks {pair} (has {sorted(found)})"
    text = json.dumps(got, ensure_ascii=False)
    for secret in label.get("absent", []):
        if secret in text:
            yield "absent", f"shows {secret[:8]}…"
