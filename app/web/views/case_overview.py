"""The first page of a case, a bit of everything; and the plainer parts."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from app.cases.store import LinkedAlert, LinkedTrace
from app.web.views.case_evidence import CustodyLine, EvidenceLine
from app.web.views.case_notes import Composer, NoteView
from app.web.views.case_timeline import TimelineView
from app.web.views.cases import CaseHead


@dataclass(frozen=True)
class EntitiesView:
    head: CaseHead
    groups: tuple[tuple[str, tuple[tuple[str, str, int], ...]], ...]


@dataclass(frozen=True)
class OverviewView:
    """The first page of a case: a bit of everything."""

    head: CaseHead
    summary: Markup | None
    timeline: TimelineView
    evidence: tuple[EvidenceLine, ...]
    evidence_total: int
    evidence_size: int
    waiting: tuple[LinkedTrace, ...]
    alerts: tuple[LinkedAlert, ...]
    notes: tuple[NoteView, ...]
    notes_total: int
    composer: Composer | None
    entities: tuple[tuple[str, str], ...]
    custody: tuple[CustodyLine, ...]
    custody_total: int
