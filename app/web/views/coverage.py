"""The coverage page: what makes Clew's answers untrustworthy now, first; then what was looked at, and how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from app.doctor.finding import Area, Finding, Severity
from app.doctor.report import CheckResult, Connection, Feature, Report, ScorePart, ServiceRow, Share, State
from app.times import SECOND, UnixNanos
from app.web.formats import ago, duration, figure, short_id

WINDOW_WORDS = {"1h": "last hour", "6h": "last 6 hours", "24h": "last 24 hours"}
AREA_WORDS = {
    Area.CONNECTION: "Connections", Area.PIPELINE: "Pipeline", Area.SAMPLING: "Sampling", Area.COVERAGE: "Coverage",
    Area.CARDINALITY: "Cardinality", Area.PRIVACY: "Secrets and people", Area.RETENTION: "Retention",
}  # fmt: skip
# What the bars of a severity look like, and its word.
SEVERITY = {
    Severity.BROKEN: ("critical", "Broken"), Severity.HARMFUL: ("warning", "Harmful"), Severity.WEAK: ("info", "Weak"),
    Severity.NOTE: ("info", "Note"),
}  # fmt: skip
_LANGUAGE = {"yaml": "YAML", "toml": "TOML", "shell": "shell", "python": "Python", "promql": "PromQL", "traceql": "TraceQL"}
# Below this share a column is marked: one request in ten without it is one that cannot be told from others.
_ENOUGH = 0.9


@dataclass(frozen=True)
class Headline:
    """What is so, in a sentence. tone: of ui.callout, "" where nothing is wrong."""

    title: str
    detail: str
    tone: str


@dataclass(frozen=True)
class FindingRow:
    """level: of ui.severity; evidence: (short id, link) of traces that show it; guide: link to what the check means"""

    id: str
    level: str
    word: str
    title: str
    detail: str
    area: str
    measured: str
    evidence: tuple[tuple[str, str], ...]
    remedy: str
    paste: str
    language: str
    check: str
    guide: str


@dataclass(frozen=True)
class PartRow:
    """An area of the score. percent, unchecked_percent: widths of its bar"""

    area: str
    points: str
    percent: float
    unchecked_percent: float
    why: str


@dataclass(frozen=True)
class Meter:
    """A share. words: "98%", or why there is none (then `percent` is None); title: "49 of 50"; low: marked as lacking"""

    words: str
    title: str = ""
    percent: float | None = None
    low: bool = False


@dataclass(frozen=True)
class ServiceView:
    """cells: in the order of SERVICE_HEADS"""

    name: str
    href: str
    on_auth_path: bool
    traces: int
    spans: int | None
    cells: tuple[Meter, ...]
    evidence: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Card:
    """One source. health: ok, failing or off; facts: (term, value); missing, unknown: features it lacks or does not tell of"""

    name: str
    health: str
    words: str
    url: str
    facts: tuple[tuple[str, str], ...]
    problem: str
    remedy: str
    has: tuple[Feature, ...]
    missing: tuple[Feature, ...]
    unknown: tuple[Feature, ...]


@dataclass(frozen=True)
class ReportView:
    """checked: "3 min ago"; unknown: checks that could not be made, or only in part; fine, off: that found nothing, or do not
    apply, with the reason
    """

    checked_ns: UnixNanos
    checked: str
    took: str
    sample: str
    headline: Headline
    score: int
    score_sentence: str
    score_unchecked: int
    parts: tuple[PartRow, ...]
    findings: tuple[FindingRow, ...]
    unknown: tuple[CheckResult, ...]
    fine: tuple[CheckResult, ...]
    off: tuple[CheckResult, ...]
    cards: tuple[Card, ...]
    services: tuple[ServiceView, ...]

    @property
    def heads(self) -> list[tuple[str, str]]:
        return [(words, "") for words, _, _ in SERVICE_HEADS]


@dataclass(frozen=True)
class CoverageView:
    """report: None while it is being made; running: a newer one is being made"""

    window: str
    report: ReportView | None
    running: bool = False

    @property
    def href(self) -> str:
        return f"/coverage?last={self.window}"

    @property
    def window_words(self) -> str:
        return WINDOW_WORDS[self.window]

    @property
    def windows(self) -> tuple[tuple[str, str, bool], ...]:
        return tuple((words, f"/coverage?last={key}", key == self.window) for key, words in WINDOW_WORDS.items())


@dataclass(frozen=True)
class GuideView:
    """words: docs/doctor.md as markup, with an anchor for each check"""

    words: Markup


# Head, field, and what is said where there is nothing to count.
SERVICE_HEADS = (
    ("Signals", "auth_signals", "none"),
    ("Address", "client_address", "not an entry"),
    ("Principal", "principal", "no checks"),
    ("Context in", "context_in", "not called"),
    ("Context out", "context_out", "calls nobody"),
    ("Sampled", "sampled", "not counted"),
)
# Public routes have no checks, and few routine successes are kept on purpose: these shares are told and never marked.
_UNMARKED = ("auth_signals", "sampled")


def report_view(report: Report, now_ns: UnixNanos) -> ReportView:
    """The whole page of one report."""
    return ReportView(
        checked_ns=report.checked_ns,
        checked=ago(report.checked_ns, now_ns),
        took=duration(report.took_ms * 1_000_000),
        sample=report.sample.sentence,
        headline=headline(report),
        score=report.score.value,
        score_sentence=report.score.sentence,
        score_unchecked=report.score.unchecked,
        parts=tuple(_part(part) for part in report.score.parts if part.of),
        findings=tuple(_finding(number, finding) for number, finding in enumerate(report.findings, 1)),
        unknown=tuple(check for check in report.checks if check.why and check.state in (State.UNKNOWN, State.FOUND)),
        fine=tuple(check for check in report.checks if check.state is State.FINE),
        off=tuple(check for check in report.checks if check.state is State.OFF),
        cards=tuple(_card(one) for one in report.connections),
        services=tuple(_service(row) for row in report.services),
    )


def headline(report: Report) -> Headline:
    """The first thing a tired reader has to know."""
    broken, harmful = len(report.of(Severity.BROKEN)), len(report.of(Severity.HARMFUL))
    unknown = len(report.unknown)
    unsure = f" {_things(unknown).capitalize()} could not be checked." if unknown else ""
    if not any(one.configured for one in report.connections):
        return Headline("No source is set up, so there is nothing to look at.",
                        "Set CLEW_TEMPO__URL, and CLEW_PROMETHEUS__URL where there is one.", "error")  # fmt: skip
    if broken:
        first = report.of(Severity.BROKEN)[0].title
        more = f" And {_things(harmful)} {'costs' if harmful == 1 else 'cost'} verdicts or evidence." if harmful else ""
        return Headline(
            "Do not rely on what Clew shows now: "
            + (f"{broken} things are broken." if broken > 1 else _lower(first)),
            f"An attack could pass unseen.{more}{unsure}", "deny",
        )  # fmt: skip
    if harmful:
        return Headline(
            f"{_things(harmful).capitalize()} {'costs' if harmful == 1 else 'cost'} verdicts, counts or evidence.",
            f"What Clew shows is right where it shows something.{unsure}", "error",
        )  # fmt: skip
    if unknown:
        return Headline("Nothing that could be checked makes Clew's answers wrong.",
                        f"{_things(unknown).capitalize()} could not be checked; nothing is known of them.", "open")  # fmt: skip
    if not report.sample.judged:
        return Headline("No trace came in this time.", "Silence here does not mean quiet: choose a longer time.", "open")
    weak = len(report.of(Severity.WEAK))
    if weak:
        return Headline("Clew sees what it needs to.", f"{_things(weak).capitalize()} could be better.", "")
    return Headline("Clew sees what it needs to.", "Every check was made, and none found anything to mend.", "")


def _things(count: int) -> str:
    words = {1: "one thing", 2: "two things", 3: "three things", 4: "four things", 5: "five things"}
    return words.get(count, f"{count} things")


def _lower(sentence: str) -> str:
    """A sentence after a colon; a name keeps its capital."""
    first, _, rest = sentence.partition(" ")
    return f"{first.lower()} {rest}" if first in ("The", "A", "An", "No", "All", "Some", "Every", "Nothing") else sentence


def _finding(number: int, finding: Finding) -> FindingRow:
    level, word = SEVERITY[finding.severity]
    return FindingRow(
        id=f"finding-{number}", level=level, word=word, title=finding.title, detail=finding.detail,
        area=AREA_WORDS[finding.area], measured=finding.measured, evidence=_evidence(finding.evidence),
        remedy=finding.remedy, paste=finding.paste, language=_LANGUAGE.get(finding.paste_language, ""), check=finding.check,
        guide="/coverage/checks#" + finding.check.replace(".", "-"),
    )  # fmt: skip


def _evidence(trace_ids: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((short_id(trace_id), f"/traces/{trace_id}") for trace_id in trace_ids)


def _part(part: ScorePart) -> PartRow:
    return PartRow(
        area=AREA_WORDS[part.area],
        points=f"{figure(part.points)} of {figure(part.of)}",
        percent=round(100 * part.points / part.of, 1),
        unchecked_percent=round(100 * part.unchecked / part.of, 1),
        why=part.why if part.points < part.of else "",
    )


def _card(one: Connection) -> Card:
    if not one.configured:
        health, words = "off", "is not set up"
    elif one.problem:
        health, words = "failing", "does not answer" if one.reachable is False else "answers, with a problem"
    else:
        health, words = "ok", f"answered in {one.took_ms:,} ms" if one.took_ms is not None else "answers"
    facts = (
        ("Version", one.version),
        ("Tenant", one.tenant),
        ("Its clock", _clock(one.clock_ns) if one.clock_ns is not None else ""),
    )
    return Card(
        name=one.source, health=health, words=words, url=one.url, facts=tuple(fact for fact in facts if fact[1]),
        problem=one.problem, remedy=one.remedy,
        has=tuple(f for f in one.features if f.has), missing=tuple(f for f in one.features if f.has is False),
        unknown=tuple(f for f in one.features if f.has is None),
    )  # fmt: skip


def _clock(ahead_ns: int) -> str:
    seconds = round(ahead_ns / SECOND)
    if abs(seconds) <= 1:
        return "agrees with Clew's"
    return f"{abs(seconds):,} s {'ahead of' if seconds > 0 else 'behind'} Clew's"


def _service(row: ServiceRow) -> ServiceView:
    return ServiceView(
        name=row.service,
        href=f"/search?service={row.service}" if row.service.isascii() and row.service.isprintable() else "",
        on_auth_path=row.on_auth_path,
        traces=row.traces,
        spans=row.spans,
        cells=tuple(
            _meter(getattr(row, field), absent, marked=row.on_auth_path and field not in _UNMARKED)
            for _, field, absent in SERVICE_HEADS
        ),
        evidence=_evidence(row.evidence[:1]),
    )


def _meter(share: Share, absent: str, *, marked: bool) -> Meter:
    if not share.known:
        return Meter(absent)
    # 99.6 % is not all of them: rounded up it would say that nothing is missing.
    percent = int(share.part * 100) if share.part < 1 else 100
    return Meter(f"{percent}%", f"{share.n:,} of {share.of:,}", round(100 * share.part, 1), marked and share.part < _ENOUGH)
