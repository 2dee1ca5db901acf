"""Rows of the house rules that people write on Clew's pages, and of every change to them."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import BigInteger, CheckConstraint, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Id, Ref

_ACTOR = 120  # as in the audit: names are copied, so that they outlive their bearers' accounts


class HouseRuleRow(Base):
    """One text of rules as it was written, such as a file would hold. `version` is raised by every change."""

    __tablename__ = "house_rules"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(80), unique=True)
    text: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    version: Mapped[int]
    created_at: Mapped[dt.datetime]
    created_by: Mapped[str] = mapped_column(String(_ACTOR))
    changed_at: Mapped[dt.datetime]
    changed_by: Mapped[str] = mapped_column(String(_ACTOR))


class HouseRuleChangeRow(Base):
    """What a house rule was after one change, or when it was deleted. Rows are only ever added, and outlive the rule."""

    __tablename__ = "house_rule_changes"
    __table_args__ = (
        CheckConstraint("act IN ('added', 'changed', 'enabled', 'disabled', 'deleted')", name="act"),
        UniqueConstraint("rule_id", "version"),
    )

    # SQLite numbers rows by itself only where the key is called INTEGER.
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    rule_id: Mapped[Ref]
    version: Mapped[int]
    act: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    at: Mapped[dt.datetime]
    by: Mapped[str] = mapped_column(String(_ACTOR))
