"""Alert episodes that Clew has seen, and the webhook notifications it was sent.

Revision: 0002
"""

import sqlalchemy as sa
from alembic import op

from app.db.base import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_episodes",
        sa.Column("key", sa.String(40), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("fired_ns", sa.BigInteger(), nullable=True),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("seen_ns", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("peak", sa.Float(), nullable=True),
        sa.Column("generator_url", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_alert_episodes"),
    )
    op.create_index("ix_alert_episodes_fingerprint_started_ns", "alert_episodes", ["fingerprint", "started_ns"])
    op.create_index("ix_alert_episodes_started_ns", "alert_episodes", ["started_ns"])
    op.create_table(
        "alert_notices",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("starts_ns", sa.BigInteger(), nullable=False),
        sa.Column("ends_ns", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("receiver", sa.String(200), nullable=False),
        sa.Column("generator_url", sa.Text(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_notices"),
        sa.UniqueConstraint("fingerprint", "starts_ns", "status", name="uq_alert_notices_fingerprint_starts_ns_status"),
    )
    op.create_index("ix_alert_notices_received_at", "alert_notices", ["received_at"])
    op.create_table(
        "alert_notice_gaps",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("group_key", sa.String(500), nullable=False),
        sa.Column("receiver", sa.String(200), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_notice_gaps"),
    )
    op.create_index("ix_alert_notice_gaps_received_at", "alert_notice_gaps", ["received_at"])


def downgrade() -> None:
    op.drop_table("alert_notice_gaps")
    op.drop_table("alert_notices")
    op.drop_table("alert_episodes")
