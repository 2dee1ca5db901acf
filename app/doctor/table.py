"""The table of services: what each one's telemetry tells, as shares of the sample. Pure."""

from __future__ import annotations

from app.doctor import calls
from app.doctor.facts import Facts, Missing, Tally
from app.doctor.finding import MOST_EVIDENCE
from app.doctor.report import ServiceRow, Share
from app.doctor.sampled import links, parts_of


def services(facts: Facts) -> tuple[ServiceRow, ...]:
    """One row for each service of the sample, and for those that only the backend's counts know."""
    if isinstance(facts.traces, Missing):
        return ()
    traces = [trace for trace in facts.traces if not trace.probe]
    found = links(facts)
    rows = []
    parts = parts_of(traces)
    counts = {} if isinstance(facts.spans, Missing) else facts.spans
    for service in sorted({*parts, *(name for name, n in counts.items() if n)}):
        seen = parts.get(service, [])
        checked = [trace for trace, part in seen if part.checks]
        entered = [trace for trace, _ in seen if trace.entry == service and trace.has_auth]
        inwards = [link for link in found if link.callee == service]
        outwards = [link for link in found if link.caller == service and (link.callee or calls.is_house(link.peer))]
        rows.append(
            ServiceRow(
                service=service,
                spans=counts.get(service, 0) if not isinstance(facts.spans, Missing) else None,
                traces=len(seen),
                on_auth_path=bool(entered) or any(part.on_path for _, part in seen),
                auth_signals=Share(sum(part.covered for _, part in seen), len(seen)),
                client_address=Share(sum(bool(trace.client_address) for trace in entered), len(entered)),
                principal=Share(sum(bool(trace.principal) for trace in checked), len(checked)),
                context_in=Share(sum(link.answered for link in inwards), sum(link.calls for link in inwards)),
                context_out=Share(sum(link.answered for link in outwards), sum(link.calls for link in outwards)),
                sampled=_kept(facts, service),
                evidence=tuple(trace.trace_id for trace, _ in seen[:MOST_EVIDENCE]),
            )
        )
    return tuple(sorted(rows, key=lambda row: (not row.on_auth_path, -row.traces, row.service)))


def _kept(facts: Facts, service: str) -> Share:
    if not isinstance(facts.kept, Tally) or not isinstance(facts.counted, Tally):
        return Share(0, 0)
    counted = sum(n for (who, _), n in facts.counted.by.items() if who == service)
    kept = sum(n for (who, _), n in facts.kept.by.items() if who == service)
    return Share(min(kept, counted), counted)
