"""Evidence of a case, the chain of who had it in hand, and what was done to the case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.analysis.verdict import Verdict
from app.cases.custody import Action, Entry, Link
from app.cases.evidence import Completeness, Item
from app.cases.store import Kept, LinkedTrace
from app.security.tables import AuditRow
from app.times import UnixNanos, from_datetime, parse_iso
from app.web.views.cases import CaseHead

_ACTION_WORDS = {
    Action.CASE_OPENED: "opened the case",
    Action.ALERT_LINKED: "linked an alert",
    Action.EVIDENCE_PRESERVED: "kept",
    Action.EVIDENCE_DOWNLOADED: "downloaded",
    Action.EVIDENCE_VERIFIED: "verified the case:",
    Action.NOTE_ADDED: "wrote",
    Action.NOTE_EDITED: "edited",
    Action.EVENT_ADDED: "entered an event",
    Action.TIMELINE_EXPORTED: "exported",
}
_FIELD_WORDS = {"assignee": "assigned to", "sha256": "SHA-256", "tlp": "TLP", "left_out": "left out"}


@dataclass(frozen=True)
class EvidenceLine:
    """One item in a table. `tone` is "error" for one that is not whole."""

    name: str
    href: str
    kind: str
    title: str
    outcome: str
    captured_ns: UnixNanos
    captured_by: str
    backend: str
    completeness: str
    completeness_note: str
    tone: str
    sha256: str
    size: int
    verified_ns: UnixNanos | None
    raw_href: str

    @classmethod
    def of(cls, kept: Kept, case: str, outcome: str) -> EvidenceLine:
        item = kept.item
        href = f"/cases/{case}/evidence/{item.number}"
        return cls(
            name=item.name,
            href=href,
            kind=item.kind.value,
            title=item.title,
            outcome=outcome,
            captured_ns=UnixNanos(item.captured_ns),
            captured_by=item.captured_by,
            backend=item.backend or "backend's version not told",
            completeness=item.completeness.value,
            completeness_note=item.completeness_note,
            tone="" if item.completeness is Completeness.WHOLE else "error",
            sha256=item.sha256,
            size=item.size,
            verified_ns=from_datetime(kept.verified_at) if kept.verified_at else None,
            raw_href=f"{href}/raw",
        )


@dataclass(frozen=True)
class EvidenceView:
    """waiting: traces that were named but are not kept; problem: why the last one tried was not."""

    head: CaseHead
    items: tuple[EvidenceLine, ...]
    size: int
    waiting: tuple[LinkedTrace, ...]
    problem: str
    total: int
    previous: str
    next: str


@dataclass(frozen=True)
class ItemView:
    """One item of evidence with everything recorded about it.

    verdict: the one frozen with it; None where this version of Clew cannot read it any more
    copy_href: the page of the trace as it was kept, whether its source still has it or not
    """

    head: CaseHead
    line: EvidenceLine
    item: Item
    verdict: Verdict | None
    layer: str
    layers: tuple[tuple[str, str, str, str], ...]
    effects: tuple[str, ...]
    findings: tuple[tuple[str, str, str], ...]
    copy_href: str


@dataclass(frozen=True)
class CustodyLine:
    """One entry of the chain in words. `href` leads to its subject, "" where that has no page."""

    seq: int
    at_ns: UnixNanos
    actor: str
    words: str
    subject: str
    href: str
    hash: str

    @classmethod
    def of(cls, link: Link) -> CustodyLine:
        entry = link.entry
        subject, href = _subject(entry)
        return cls(
            seq=link.seq,
            at_ns=parse_iso(entry.at),
            actor=entry.actor,
            words=_ACTION_WORDS.get(Action(entry.action), entry.action),
            subject=subject,
            href=href,
            hash=link.hash.hex(),
        )


@dataclass(frozen=True)
class Checked:
    """What the last check of the case found, when, and who asked for it."""

    at_ns: UnixNanos
    by: str
    sentence: str
    passed: bool


@dataclass(frozen=True)
class CustodyView:
    head: CaseHead
    lines: tuple[CustodyLine, ...]
    checked: Checked | None
    head_hash: str
    count: int
    previous: str
    next: str


@dataclass(frozen=True)
class ActivityView:
    head: CaseHead
    lines: tuple[tuple[UnixNanos, str, str, str], ...]


def activity_words(row: AuditRow) -> tuple[UnixNanos, str, str, str]:
    """An audit row for reading: when, who, what, and further facts."""
    what = row.act.replace("_", " ")
    return from_datetime(row.at), row.actor_name, what[0].upper() + what[1:], _facts(row.detail)


def _facts(detail: Mapping[str, object]) -> str:
    said = []
    for key, value in detail.items():
        if key == "key":
            continue  # how the database names an event; its title is there too
        if isinstance(value, dict) and value.keys() == {"from", "to"}:
            said.append(f"{_FIELD_WORDS.get(key, key)}: {_short(value['from'])} → {_short(value['to'])}")
        else:
            said.append(f"{_FIELD_WORDS.get(key, key)}: {_short(value)}")
    return ", ".join(said)


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else "none" if value in (None, "") else str(value)
    if len(text) in (32, 64) and all(digit in "0123456789abcdef" for digit in text):
        return f"{text[:8]}…"
    return text if len(text) <= 80 else f"{text[:79]}…"


def _subject(entry: Entry) -> tuple[str, str]:
    """What an entry speaks of, and where to see it."""
    case = f"/cases/{entry.case}"
    if entry.action in (Action.EVIDENCE_PRESERVED, Action.EVIDENCE_DOWNLOADED):
        return entry.subject, f"{case}/evidence/{entry.subject.removeprefix('E')}"
    if entry.action in (Action.NOTE_ADDED, Action.NOTE_EDITED):
        return entry.subject, f"{case}/notes#{entry.subject}"
    if entry.action == Action.TIMELINE_EXPORTED:
        return f"{entry.subject}, {int(entry.facts.get('events') or 0):,} events", ""
    if entry.action == Action.ALERT_LINKED:
        return str(entry.facts.get("name") or ""), ""
    if entry.action == Action.EVIDENCE_VERIFIED:
        return "all as recorded" if entry.facts.get("passed") else "something has changed", ""
    return "", ""
