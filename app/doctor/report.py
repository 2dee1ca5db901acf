"""The doctor's report: which checks ran and what they found, each service's telemetry, the sources, and a score. Pure.

`msgspec.json.encode(report)` is what `clew doctor --json` and the API give out: the field names here are the contract.
"""

from __future__ import annotations

import enum

import msgspec

from app.doctor.finding import Area, Finding, Severity
from app.times import UnixNanos


class State(enum.StrEnum):
    """How a check ended. `unknown` could not be made and is never counted as fine; `off` does not apply here."""

    FINE = "fine"
    FOUND = "found"
    UNKNOWN = "unknown"
    OFF = "off"


class CheckResult(msgspec.Struct, frozen=True):
    """One check: what it asks, how it ended, and for `unknown` and `off` why, as a sentence. points: of the score."""

    check: str
    area: Area
    asks: str
    state: State
    why: str = ""
    points: float = 0.0
    of: float = 0.0


class Share(msgspec.Struct, frozen=True):
    """So many of so many. `of` is 0 where nothing could be looked at."""

    n: int
    of: int

    @property
    def known(self) -> bool:
        return self.of > 0

    @property
    def part(self) -> float:
        return self.n / self.of if self.of else 0.0


class ServiceRow(msgspec.Struct, frozen=True):
    """One service's telemetry in the sample.

    spans:          in the whole window, as the backend counts them; None where it does not count
    traces:         of the sample, in which it takes part
    on_auth_path:   it decides, refuses, is the entry, or stands between the entry and a check
    auth_signals:   traces in which a check of the service, or of what it called, says how it ended, of all it takes part in
    client_address: entries that say whose address called (only where it is an entry)
    principal:      its auth checks after which it is known who asked
    context_in:     requests from another service that came with the caller's context
    context_out:    calls to services of the house on whose other end a span was seen
    sampled:        auth checks kept as spans, of those that Prometheus counted
    """

    service: str
    spans: int | None
    traces: int
    on_auth_path: bool
    auth_signals: Share
    client_address: Share
    principal: Share
    context_in: Share
    context_out: Share
    sampled: Share
    evidence: tuple[str, ...] = ()


class Feature(msgspec.Struct, frozen=True):
    """Something a source can do for Clew. has: None where it does not say. remedy: one sentence where it is missing."""

    name: str
    has: bool | None
    buys: str
    remedy: str = ""


class Connection(msgspec.Struct, frozen=True):
    """One source as it answered just now.

    url:        without credentials; "" where it is not set up
    clock_ns:   how far its clock is ahead of Clew's (negative: behind), to the second; None where it does not say
    problem:    a sentence, "" where it answered; remedy: what to do about it
    """

    source: str
    configured: bool
    url: str = ""
    tenant: str = ""
    reachable: bool | None = None
    authorised: bool | None = None
    version: str = ""
    clock_ns: int | None = None
    took_ms: int | None = None
    features: tuple[Feature, ...] = ()
    problem: str = ""
    remedy: str = ""


class ScorePart(msgspec.Struct, frozen=True):
    """One area's share of the score. unchecked: points of checks that could not be made; why: a sentence."""

    area: Area
    points: float
    of: float
    unchecked: float
    why: str


class Score(msgspec.Struct, frozen=True):
    """0 to 100. `unchecked` points are missing because checks could not be made, not because something is wrong."""

    value: int
    unchecked: int
    parts: tuple[ScorePart, ...]
    sentence: str


class SampleSize(msgspec.Struct, frozen=True):
    """What the findings on traces rest on: how many were found, fetched and judged, and the most that are looked at."""

    found: int
    judged: int
    most: int
    unreadable: int = 0
    sentence: str = ""


class Report(msgspec.Struct, frozen=True):
    """Everything. findings: worst first; checks: in the order of areas; services: those on auth paths first."""

    start_ns: UnixNanos
    end_ns: UnixNanos
    checked_ns: UnixNanos
    took_ms: int
    score: Score
    sample: SampleSize
    connections: tuple[Connection, ...]
    findings: tuple[Finding, ...]
    checks: tuple[CheckResult, ...]
    services: tuple[ServiceRow, ...]

    def worst(self) -> Severity | None:
        return self.findings[0].severity if self.findings else None

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is severity)

    def only(self, area: Area) -> Report:
        """The same report with the checks and findings of one area; the score stays that of the whole."""
        return msgspec.structs.replace(
            self,
            findings=tuple(finding for finding in self.findings if finding.area is area),
            checks=tuple(check for check in self.checks if check.area is area),
        )

    @property
    def unknown(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.state is State.UNKNOWN)
