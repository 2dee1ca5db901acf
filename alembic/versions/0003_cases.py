"""Cases with their alerts, traces, notes, evidence, timeline and chain of custody.

Revision: 0003
"""

import sqlalchemy as sa
from alembic import op

from app.db.base import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("tlp", sa.String(20), nullable=False),
        sa.Column("assignee_id", sa.String(32), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("opened_by", sa.String(120), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("evidence_count", sa.Integer(), nullable=False),
        sa.Column("note_count", sa.Integer(), nullable=False),
        sa.Column("entered_count", sa.Integer(), nullable=False),
        sa.Column("custody_count", sa.Integer(), nullable=False),
        sa.Column("custody_head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_cases"),
        sa.ForeignKeyConstraint(["assignee_id"], ["users.id"], name="fk_cases_assignee_id_users"),
        sa.CheckConstraint("status IN ('open', 'contained', 'closed')", name=op.f("ck_cases_status")),
        sa.CheckConstraint("severity IN ('critical', 'warning', 'info')", name=op.f("ck_cases_severity")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cases_status_changed_at", "cases", ["status", "changed_at"])
    op.create_table(
        "case_alerts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("case_number", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("linked_at", UtcDateTime(), nullable=False),
        sa.Column("linked_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_case_alerts"),
        _of_case("case_alerts"),
        sa.UniqueConstraint(
            "case_number", "fingerprint", "started_ns", name="uq_case_alerts_case_number_fingerprint_started_ns"
        ),
    )
    op.create_index("ix_case_alerts_fingerprint_started_ns", "case_alerts", ["fingerprint", "started_ns"])
    op.create_table(
        "case_traces",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("case_number", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("linked_at", UtcDateTime(), nullable=False),
        sa.Column("linked_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_case_traces"),
        _of_case("case_traces"),
        sa.UniqueConstraint("case_number", "trace_id", name="uq_case_traces_case_number_trace_id"),
    )
    op.create_index("ix_case_traces_trace_id", "case_traces", ["trace_id"])
    op.create_table(
        "case_notes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("case_number", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.String(32), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("written_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_case_notes"),
        _of_case("case_notes"),
        sa.UniqueConstraint("case_number", "number", name="uq_case_notes_case_number_number"),
    )
    op.create_table(
        "case_note_revisions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("note_id", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author", sa.String(120), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_case_note_revisions"),
        sa.ForeignKeyConstraint(["note_id"], ["case_notes.id"], name="fk_case_note_revisions_note_id_case_notes"),
        sa.UniqueConstraint("note_id", "revision", name="uq_case_note_revisions_note_id_revision"),
    )
    op.create_table(
        "case_evidence",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("case_number", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("source_url", sa.Text(), nullable=False),
        sa.Column("tenant", sa.String(200), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("range_start_ns", sa.BigInteger(), nullable=True),
        sa.Column("range_end_ns", sa.BigInteger(), nullable=True),
        sa.Column("backend", sa.String(100), nullable=False),
        sa.Column("completeness", sa.String(20), nullable=False),
        sa.Column("completeness_note", sa.Text(), nullable=False),
        sa.Column("received_ns", sa.BigInteger(), nullable=False),
        sa.Column("captured_ns", sa.BigInteger(), nullable=False),
        sa.Column("captured_by", sa.String(120), nullable=False),
        sa.Column("clew_version", sa.String(40), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("verified_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_case_evidence"),
        _of_case("case_evidence"),
        sa.UniqueConstraint("case_number", "number", name="uq_case_evidence_case_number_number"),
        sa.UniqueConstraint("case_number", "sha256", name="uq_case_evidence_case_number_sha256"),
    )
    op.create_index("ix_case_evidence_trace_id", "case_evidence", ["trace_id"])
    op.create_table(
        "case_evidence_bytes",
        sa.Column("evidence_id", sa.String(32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("evidence_id", name="pk_case_evidence_bytes"),
        sa.ForeignKeyConstraint(["evidence_id"], ["case_evidence.id"], name="fk_case_evidence_bytes_evidence_id_case_evidence"),
    )
    op.create_table(
        "case_events",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("case_number", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("occurred_ns", sa.BigInteger(), nullable=False),
        sa.Column("observed_ns", sa.BigInteger(), nullable=False),
        sa.Column("captured_ns", sa.BigInteger(), nullable=False),
        sa.Column("shift_ns", sa.BigInteger(), nullable=False),
        sa.Column("desc", sa.String(80), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(20), nullable=True),
        sa.Column("layer", sa.String(20), nullable=True),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("service", sa.String(200), nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("span_id", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("confidence", sa.String(10), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("user", sa.String(200), nullable=False),
        sa.Column("source_ip", sa.String(100), nullable=False),
        sa.Column("session_id", sa.String(200), nullable=False),
        sa.Column("client_id", sa.String(200), nullable=False),
        sa.Column("resource", sa.String(300), nullable=False),
        sa.Column("evidence", sa.Integer(), nullable=True),
        sa.Column("evidence_sha256", sa.String(64), nullable=False),
        sa.Column("completeness", sa.String(20), nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("starred", sa.Boolean(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_case_events"),
        _of_case("case_events"),
        sa.UniqueConstraint("case_number", "key", name="uq_case_events_case_number_key"),
    )
    op.create_index("ix_case_events_case_number_occurred_ns", "case_events", ["case_number", "occurred_ns"])
    op.create_index("ix_case_events_case_number_trace_id", "case_events", ["case_number", "trace_id"])
    drawn = ["case_number", "hidden", "starred", "kind", "occurred_ns", "layer", "outcome"]
    op.create_index("ix_case_events_picture", "case_events", drawn)
    op.create_table(
        "case_custody",
        sa.Column("case_number", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("case_number", "seq", name="pk_case_custody"),
        _of_case("case_custody"),
    )


def downgrade() -> None:
    for table in (
        "case_custody",
        "case_events",
        "case_evidence_bytes",
        "case_evidence",
        "case_note_revisions",
        "case_notes",
        "case_traces",
        "case_alerts",
        "cases",
    ):
        op.drop_table(table)


def _of_case(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["case_number"], ["cases.number"], name=f"fk_{table}_case_number_cases")
