"""Rows of cases: what was linked, kept, written and said to have happened, and the chain of who did it.

Evidence, note revisions and custody rows are only ever added. `case_events` is derived where it can be (from alerts,
traces and notes) so that a timeline of any length is one ordered query; events entered by hand live there alone.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Id, Ns, Ref

_ACTOR = 120  # as in the audit: names are copied, so that they outlive their bearers' accounts


class CaseRow(Base):
    """One case.

    version:       raised by every change of the fields above it, so that two editors notice each other
    *_count:       the numbers given so far; numbers are never given twice
    custody_head:  hash of the last link of the chain, kept apart from it so that a cut tail shows
    """

    __tablename__ = "cases"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'contained', 'closed')", name="status"),
        CheckConstraint("severity IN ('critical', 'warning', 'info')", name="severity"),
        Index("ix_cases_status_changed_at", "status", "changed_at"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    title: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20))
    severity: Mapped[str] = mapped_column(String(20))
    tlp: Mapped[str] = mapped_column(String(20))
    assignee_id: Mapped[Ref | None] = mapped_column(ForeignKey("users.id"))
    tags: Mapped[list[str]]
    summary: Mapped[str] = mapped_column(Text)
    version: Mapped[int]
    opened_at: Mapped[dt.datetime]
    opened_by: Mapped[str] = mapped_column(String(_ACTOR))
    closed_at: Mapped[dt.datetime | None]
    changed_at: Mapped[dt.datetime]
    evidence_count: Mapped[int]
    note_count: Mapped[int]
    entered_count: Mapped[int]
    custody_count: Mapped[int]
    custody_head: Mapped[bytes] = mapped_column(LargeBinary)


class CaseAlertRow(Base):
    """An alert that belongs to a case; `snapshot` is `app.cases.alerts.AlertSnapshot` as JSON."""

    __tablename__ = "case_alerts"
    __table_args__ = (
        UniqueConstraint("case_number", "fingerprint", "started_ns"),
        Index("ix_case_alerts_fingerprint_started_ns", "fingerprint", "started_ns"),
    )

    id: Mapped[Id]
    case_number: Mapped[int] = mapped_column(ForeignKey("cases.number"))
    fingerprint: Mapped[str] = mapped_column(String(64))
    started_ns: Mapped[Ns]
    snapshot: Mapped[str] = mapped_column(Text)
    linked_at: Mapped[dt.datetime]
    linked_by: Mapped[str] = mapped_column(String(_ACTOR))


class CaseTraceRow(Base):
    """A trace that belongs to a case, preserved or (while its source cannot be reached) only named."""

    __tablename__ = "case_traces"
    __table_args__ = (UniqueConstraint("case_number", "trace_id"), Index("ix_case_traces_trace_id", "trace_id"))

    id: Mapped[Id]
    case_number: Mapped[int] = mapped_column(ForeignKey("cases.number"))
    trace_id: Mapped[str] = mapped_column(String(32))
    linked_at: Mapped[dt.datetime]
    linked_by: Mapped[str] = mapped_column(String(_ACTOR))


class NoteRow(Base):
    """A note; its words are in its revisions, of which `revision` is the newest."""

    __tablename__ = "case_notes"
    __table_args__ = (UniqueConstraint("case_number", "number"),)

    id: Mapped[Id]
    case_number: Mapped[int] = mapped_column(ForeignKey("cases.number"))
    number: Mapped[int]
    revision: Mapped[int]
    author_id: Mapped[str] = mapped_column(String(32))
    author: Mapped[str] = mapped_column(String(_ACTOR))
    written_at: Mapped[dt.datetime]


class NoteRevisionRow(Base):
    """What a note said from one moment on."""

    __tablename__ = "case_note_revisions"
    __table_args__ = (UniqueConstraint("note_id", "revision"),)

    id: Mapped[Id]
    note_id: Mapped[Ref] = mapped_column(ForeignKey("case_notes.id"))
    revision: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(_ACTOR))
    at: Mapped[dt.datetime]


class EvidenceRow(Base):
    """One item of evidence: the fields of `app.cases.evidence.Item`, and when it was last found unchanged."""

    __tablename__ = "case_evidence"
    __table_args__ = (
        UniqueConstraint("case_number", "number"),
        UniqueConstraint("case_number", "sha256"),
        Index("ix_case_evidence_trace_id", "trace_id"),
    )

    id: Mapped[Id]
    case_number: Mapped[int] = mapped_column(ForeignKey("cases.number"))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))
    trace_id: Mapped[str] = mapped_column(String(32))
    title: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(100))
    source_url: Mapped[str] = mapped_column(Text)
    tenant: Mapped[str] = mapped_column(String(200))
    query: Mapped[str] = mapped_column(Text)
    range_start_ns: Mapped[Ns | None]
    range_end_ns: Mapped[Ns | None]
    backend: Mapped[str] = mapped_column(String(100))
    completeness: Mapped[str] = mapped_column(String(20))
    completeness_note: Mapped[str] = mapped_column(Text)
    received_ns: Mapped[Ns]
    captured_ns: Mapped[Ns]
    captured_by: Mapped[str] = mapped_column(String(_ACTOR))
    clew_version: Mapped[str] = mapped_column(String(40))
    verdict: Mapped[str] = mapped_column(Text)
    verified_at: Mapped[dt.datetime | None]


class EvidenceBytesRow(Base):
    """The bytes of one item, apart from its facts so that a list of items never loads them."""

    __tablename__ = "case_evidence_bytes"

    evidence_id: Mapped[Ref] = mapped_column(ForeignKey("case_evidence.id"), primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class EventRow(Base):
    """One event of a timeline: the fields of `app.cases.timeline.Event`."""

    __tablename__ = "case_events"
    __table_args__ = (
        UniqueConstraint("case_number", "key"),
        Index("ix_case_events_case_number_occurred_ns", "case_number", "occurred_ns"),
        Index("ix_case_events_case_number_trace_id", "case_number", "trace_id"),
        # Everything that counts and draws a timeline needs, so that a long one is not read row by row.
        Index("ix_case_events_picture", "case_number", "hidden", "starred", "kind", "occurred_ns", "layer", "outcome"),
    )

    id: Mapped[Id]
    case_number: Mapped[int] = mapped_column(ForeignKey("cases.number"))
    key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    occurred_ns: Mapped[Ns]
    observed_ns: Mapped[Ns]
    captured_ns: Mapped[Ns]
    shift_ns: Mapped[Ns]
    desc: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(String(20))
    layer: Mapped[str | None] = mapped_column(String(20))
    severity: Mapped[str] = mapped_column(String(20))
    service: Mapped[str] = mapped_column(String(200))
    trace_id: Mapped[str] = mapped_column(String(32))
    span_id: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    confidence: Mapped[str | None] = mapped_column(String(10))
    http_status: Mapped[int | None]
    user: Mapped[str] = mapped_column(String(200))
    source_ip: Mapped[str] = mapped_column(String(100))
    session_id: Mapped[str] = mapped_column(String(200))
    client_id: Mapped[str] = mapped_column(String(200))
    resource: Mapped[str] = mapped_column(String(300))
    evidence: Mapped[int | None]
    evidence_sha256: Mapped[str] = mapped_column(String(64))
    completeness: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(_ACTOR))
    starred: Mapped[bool]
    hidden: Mapped[bool]


class CustodyRow(Base):
    """One link of a case's chain of custody; `record` is the canonical line that `hash` covers together with `prev`."""

    __tablename__ = "case_custody"

    case_number: Mapped[int] = mapped_column(ForeignKey("cases.number"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    record: Mapped[bytes] = mapped_column(LargeBinary)
    prev: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
