"""Reports of the doctor for tests of its pages."""

from __future__ import annotations

from typing import Any

from app.doctor.finding import Area, Finding, Severity
from app.doctor.report import (
    CheckResult,
    Connection,
    Feature,
    Report,
    SampleSize,
    Score,
    ScorePart,
    ServiceRow,
    Share,
    State,
)
from app.times import MINUTE, SECOND, UnixNanos, now_ns

NONE = Share(0, 0)


def tempo(**changes: Any) -> Connection:
    given: dict[str, Any] = {
        "url": "http://tempo:3200", "tenant": "shop", "reachable": True, "authorised": True, "version": "2.10.1",
        "clock_ns": 0, "took_ms": 12,
        "features": (
            Feature("TraceQL metrics", False, "counts against which a search is compared", "Set metrics_generator in Tempo."),
            Feature("search", True, "traces by what they hold"),
        ),
    }  # fmt: skip
    return Connection("Tempo", True, **(given | changes))


def finding(severity: Severity = Severity.HARMFUL, check: str = "coverage.propagation_in", **changes: Any) -> Finding:
    given: dict[str, Any] = {
        "subject": "billing", "title": "billing does not take over its caller's trace context",
        "detail": "Its refusals stand in traces of their own.", "measured": "38 of 120 traces",
        "evidence": ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b74bf92f3577b34da6"),
        "remedy": "Let the hop in front of it pass traceparent on.", "paste": "proxy_pass_request_headers on;\n",
        "paste_language": "yaml",
    }  # fmt: skip
    return Finding(check=check, area=Area(check.partition(".")[0]), severity=severity, **(given | changes))


def service(name: str = "orders", **changes: Any) -> ServiceRow:
    given: dict[str, Any] = {
        "spans": 31_025, "traces": 96, "on_auth_path": True, "auth_signals": Share(95, 96), "client_address": NONE,
        "principal": Share(40, 96), "context_in": Share(96, 96), "context_out": Share(80, 96), "sampled": Share(10, 100),
        "evidence": ("4bf92f3577b34da6a3ce929d0e0e4736",),
    }  # fmt: skip
    return ServiceRow(name, **(given | changes))


def report(*findings: Finding, checked_ago_s: float = 180, **changes: Any) -> Report:
    now = now_ns()
    given: dict[str, Any] = {
        "start_ns": UnixNanos(now - 60 * MINUTE), "end_ns": now, "checked_ns": UnixNanos(now - int(checked_ago_s * SECOND)),
        "took_ms": 2_400,
        "score": Score(71, 9, (
            ScorePart(Area.CONNECTION, 16, 16, 0, ""),
            ScorePart(Area.COVERAGE, 18, 30, 6, "billing breaks the context"),
        ), "71 of 100; 9 points are missing because checks could not be made."),
        "sample": SampleSize(512, 120, 120, 0, "120 of 512 traces were looked at"),
        "connections": (tempo(), Connection("Prometheus", False), Connection("Alertmanager", False)),
        "checks": (
            CheckResult("connection.tempo", Area.CONNECTION, "Does Tempo answer?", State.FINE, "", 6, 6),
            CheckResult("connection.alertmanager", Area.CONNECTION, "Does Alertmanager answer?", State.OFF, "None is set up."),
        ),
        "services": (service(), service("mailer", on_auth_path=False, spans=None, principal=NONE, auth_signals=NONE)),
    }  # fmt: skip
    order = list(Severity)
    return Report(findings=tuple(sorted(findings, key=lambda one: order.index(one.severity))), **(given | changes))


def unchecked(asks: str = "Are traces kept that a check refused?", why: str = "No Prometheus is set up.") -> CheckResult:
    return CheckResult("sampling.kept", Area.SAMPLING, asks, State.UNKNOWN, why, 0, 9)
