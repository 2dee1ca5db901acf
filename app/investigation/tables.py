"""Rows of what Clew remembers of alerts: episodes it has seen, and notifications it was sent.

Prometheus forgets after its retention and Alertmanager at once; "fired before" is answered from here.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, Float, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Id, Ns


class AlertEpisodeRow(Base):
    """One episode of one alert, as last seen. `key` is what pages and cases address it by."""

    __tablename__ = "alert_episodes"
    __table_args__ = (
        Index("ix_alert_episodes_fingerprint_started_ns", "fingerprint", "started_ns"),
        Index("ix_alert_episodes_started_ns", "started_ns"),
    )

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(16))
    labels: Mapped[dict[str, Any]]
    annotations: Mapped[dict[str, Any]]
    sources: Mapped[list[str]]
    started_ns: Mapped[Ns]
    fired_ns: Mapped[int | None] = mapped_column(BigInteger)
    ended_ns: Mapped[int | None] = mapped_column(BigInteger)
    seen_ns: Mapped[Ns]
    value: Mapped[float | None] = mapped_column(Float)
    peak: Mapped[float | None] = mapped_column(Float)
    generator_url: Mapped[str] = mapped_column(Text)


class AlertNoticeRow(Base):
    """One alert of a webhook notification. The same news again changes nothing: delivery is at least once."""

    __tablename__ = "alert_notices"
    __table_args__ = (
        UniqueConstraint("fingerprint", "starts_ns", "status", name="uq_alert_notices_fingerprint_starts_ns_status"),
        Index("ix_alert_notices_received_at", "received_at"),
    )

    id: Mapped[Id]
    fingerprint: Mapped[str] = mapped_column(String(16))
    starts_ns: Mapped[Ns]
    ends_ns: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(10))
    labels: Mapped[dict[str, Any]]
    annotations: Mapped[dict[str, Any]]
    receiver: Mapped[str] = mapped_column(String(200))
    generator_url: Mapped[str] = mapped_column(Text)
    received_at: Mapped[dt.datetime]


class NoticeGapRow(Base):
    """A notification that said it had left alerts out (`truncatedAlerts`)."""

    __tablename__ = "alert_notice_gaps"
    __table_args__ = (Index("ix_alert_notice_gaps_received_at", "received_at"),)

    id: Mapped[Id]
    group_key: Mapped[str] = mapped_column(String(500))
    receiver: Mapped[str] = mapped_column(String(200))
    missing: Mapped[int]
    received_at: Mapped[dt.datetime]
