"""Facts for the doctor's checks: those of a house in which all is well, from which a test takes something away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from support.draw import draw

from app.analysis.reading import Context
from app.analysis.rulebook import shipped
from app.doctor.checks import CHECKS
from app.doctor.diagnose import diagnose
from app.doctor.facts import Facts, Metric, Pipeline, Refused, Scraped, Tally
from app.doctor.finding import Finding, Unknown
from app.doctor.observe import Observed, observed
from app.doctor.report import Connection, Feature, Report, SampleSize
from app.investigation.judging import Judge
from app.times import DAY, HOUR, UnixNanos

END = UnixNanos(1_790_000_000 * 10**9)
START = UnixNanos(END - HOUR)
JUDGE = Judge(shipped(), Context())

WHOLE = """
gateway: GET /orders/7  403 client.address=203.0.113.9
  gateway: auth.token_validate  auth=passed user.id=u-17
  gateway: > GET http://orders:8080/orders/7  403
    orders: GET /orders/7  403
      orders: auth.permission_check  auth=refused because="missing role" user.id=u-17
"""


def observe(text: str, **fields: Any) -> Observed:
    """A drawn trace as the doctor sees it."""
    trace = draw(text)
    seen = observed(trace, JUDGE(trace), JUDGE.read(trace))
    return msgspec.structs.replace(seen, **fields)


def many(text: str, count: int, *, first: int = 0, **fields: Any) -> list[Observed]:
    """The same trace so often, each under an id of its own."""
    one = observe(text, **fields)
    return [msgspec.structs.replace(one, trace_id=f"{number:032x}") for number in range(first, first + count)]


CONNECTIONS = (
    Connection("Tempo", True, "http://t", reachable=True, authorised=True, clock_ns=0, features=(Feature("search", True, ""),)),
    Connection("Prometheus", True, "http://p", reachable=True, authorised=True, clock_ns=0),
    Connection("Alertmanager", True, "http://a", reachable=True, authorised=True, clock_ns=0),
)
PIPELINE = Pipeline(
    targets=(Scraped("otel-collector", "c:8888", True), Scraped("prometheus", "p:9090", True, own=True)),
    collectors=("c:8888",),
    embedded=False,
    losses=(),
    queues=(),
    memory=(),
    accepted=10_000,
    auth_series=120,
    auth_series_before=True,
    settled=True,
    rules=("AuthBruteForce",),
)


def facts(traces: Iterable[Observed] | None = None, **changed: Any) -> Facts:
    """A healthy house, but for what is changed."""
    sample = tuple(many(WHOLE, 40) if traces is None else traces)
    spans = {part.service: 1_000 for trace in sample for part in trace.parts}
    given: dict[str, Any] = {
        "start_ns": START,
        "end_ns": END,
        "connections": CONNECTIONS,
        "sample": SampleSize(len(sample), len(sample), 120),
        "traces": sample,
        "spans": spans,
        "before": spans,
        "roots": {},
        "kept": Tally({("orders", "failure"): 100, ("gateway", "success"): 500}),
        "counted": Tally({("orders", "failure"): 100, ("gateway", "success"): 500}),
        "refused": Refused(5, ()),
        "metrics": (Metric("otel_security_calls_total", 120, 118, (("auth_client_subnet", 12), ("span_name", 4))),),
        "pipeline": PIPELINE,
        "kept_for_ns": 30 * DAY,
        "metrics_kept": "15d",
        "cases": (),
    }
    return Facts(**(given | changed))


def report(about: Facts) -> Report:
    return diagnose(about, checked_ns=END, took_ms=1)


def found(check: str, about: Facts) -> list[Finding]:
    """What one check finds."""
    return [finding for finding in report(about).findings if finding.check == check]


def unknown(check: str, about: Facts) -> str:
    """Why one check could not be made, "" where it could."""
    look = next(one.look for one in CHECKS if one.id == check)
    return next((said.why for said in look(check, about) if isinstance(said, Unknown)), "")
