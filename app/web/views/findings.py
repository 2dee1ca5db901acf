"""What else is worth an eye: findings, what the request changed, and what was wrong with the data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from app.analysis.verdict import EffectKind, FindingKind
from app.times import format_duration
from app.traces.model import DefectKind
from app.web import words
from app.web.views import naming
from app.web.views.asked import Asked
from app.web.views.judgement import row_href
from app.web.views.reading import Reading, where
from app.web.views.rows import status
from app.web.views.told import Part, told

_SAME_KIND = 3  # findings of one kind told singly; the rest is a number
_ONE_SAYS_IT = (FindingKind.PII_IN_ATTRIBUTES, FindingKind.SECRET_IN_ATTRIBUTES)  # its detail counts the others
_EFFECTS = 40

_DEFECTS: dict[DefectKind, str] = {
    DefectKind.DUPLICATE_SPANS: "Delivered more than once",
    DefectKind.ORPHAN_SPANS: "Parents missing",
    DefectKind.PARENT_CYCLE: "Circle of parents",
    DefectKind.MULTIPLE_ROOTS: "Several roots",
    DefectKind.CLOCK_SKEW: "Clocks differ",
    DefectKind.BROKEN_TIMESTAMPS: "Impossible times",
    DefectKind.TRUNCATED_TRACE: "Not whole",
    DefectKind.INVALID_IDS: "Unreadable ids",
    DefectKind.FOREIGN_SPANS: "Spans of other traces",
}


@dataclass(frozen=True)
class FindingRow:
    """more: how many further findings of the kind this row stands for."""

    severity: str
    title: str
    detail: tuple[Part, ...]
    kind: str
    span: str = ""
    href: str = ""
    more: int = 0


@dataclass(frozen=True)
class EffectRow:
    """when: distance from the refusal. line: this row is the refusal itself, and only `what` is told."""

    when: str
    what: str
    kind: str = ""
    where: str = ""
    note: str = ""
    href: str = ""
    is_strong: bool = False
    line: bool = False


@dataclass(frozen=True)
class Effects:
    """rows with the refusal among them, in time. since: what the times are measured from."""

    rows: tuple[EffectRow, ...]
    since: str
    count: int
    more: int


@dataclass(frozen=True)
class DefectRow:
    title: str
    detail: str


def findings(reading: Reading, asked: Asked) -> tuple[FindingRow, ...]:
    """The findings, the loudest first."""
    verdict = reading.verdict
    names = {hop.service for hop in verdict.path} | {finding.service for finding in verdict.findings}
    count = Counter(finding.kind for finding in verdict.findings)
    told_of: Counter[FindingKind] = Counter()
    rows = []
    relays = [finding.service for finding in verdict.findings if finding.kind is FindingKind.RELAYED_BY]
    for finding in verdict.findings:
        told_of[finding.kind] += 1
        number = told_of[finding.kind]
        several = finding.kind is FindingKind.RELAYED_BY and len(relays) > 1
        most = 1 if several or finding.kind in _ONE_SAYS_IT else _SAME_KIND
        if number > most:
            continue
        title, severity = words.FINDING[finding.kind]
        detail = f"{_in_turn(relays)} passed the refusal on." if several else finding.detail
        node = reading.trace.by_id.get(finding.span_id)
        rows.append(
            FindingRow(
                severity=severity,
                title=title,
                detail=told(detail, names),
                kind=finding.kind.value,
                span=naming.call(node.span) if node is not None else "",
                href=row_href(reading, asked, finding.span_id) if node is not None else "",
                more=count[finding.kind] - most if number == most and not several else 0,
            )
        )
    return tuple(sorted(rows, key=lambda row: words.SEVERITIES.index(row.severity)))


def effects(reading: Reading, asked: Asked) -> Effects:
    """What the request changed or sent, on both sides of the refusal."""
    placed = []
    for effect in reading.verdict.side_effects:
        node = reading.trace.by_id.get(effect.span_id)
        if node is None:
            continue
        distance = reading.distance_ns(effect, node)
        is_audit = effect.kind is EffectKind.AUDIT
        answered = status(node.span)
        note = "the record of the refusal" if is_audit else f"answered {answered}" if answered else ""
        row = EffectRow(
            when=_signed(distance) if reading.refused_ns is not None else format_duration(distance),
            what=naming.call(node.span),
            kind=effect.kind.value,
            where=where(effect, node),
            note=note,
            href=row_href(reading, asked, effect.span_id),
            is_strong=distance >= 0 and reading.refused_ns is not None and not is_audit,
        )
        placed.append((distance, row))
    placed.sort(key=lambda pair: pair[0])
    # The nearest to the refusal are the ones to look at.
    shown = sorted(sorted(placed, key=lambda pair: abs(pair[0]))[:_EFFECTS], key=lambda pair: pair[0])
    rows = [row for _, row in shown]
    since = ""
    if reading.refused_ns is not None:
        since = f"measured from the refusal, {format_duration(reading.refused_ns - reading.start_ns)}"
        if reading.tone == "error":
            since = f"measured from the failure, {format_duration(reading.refused_ns - reading.start_ns)}"
        if rows:
            what = f"{reading.verdict.service or 'a hop'} {reading.decided}"
            before = sum(distance < 0 for distance, _ in shown)
            rows.insert(before, EffectRow("0", what, line=True))
    return Effects(tuple(rows), since, len(placed), len(placed) - len(shown))


def defects(reading: Reading) -> tuple[DefectRow, ...]:
    """What repair found wrong with the data, in its own sentences."""
    return tuple(DefectRow(_DEFECTS[defect.kind], defect.detail) for defect in reading.trace.defects[:50])


def _in_turn(relays: list[str]) -> str:
    """`orders, web-bff and edge-gateway`: from the deepest to the entry, as the refusal travelled."""
    names = list(dict.fromkeys(reversed(relays)))[:8]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _signed(ns: int) -> str:
    return f"+{format_duration(ns)}" if ns >= 0 else format_duration(ns)
