"""What every table stands on: metadata with named constraints, and the column types for time and identity.

A table lives beside the rules of its own area (`app/security/tables.py`, `app/cases/tables.py`, ...), inherits from `Base`
and is imported by `alembic/env.py`. Its migration goes into `alembic/versions` (see the README there).
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from typing import Annotated, Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, MetaData, String
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import TypeDecorator

# A downgrade can only drop a constraint whose name it can work out.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware datetime, in UTC, to the microsecond. SQLite has no zones: there it is stored naive and read back aware."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no place on the time line")
        moment = value.astimezone(dt.UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """Parent of every table."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        dt.datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
    }


def new_id() -> str:
    """A new identity: 32 hexadecimal digits that sort by the time they were made, 80 of their bits random."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


# A row's own identity, and a reference to another's: `case_id: Mapped[Ref] = mapped_column(ForeignKey("cases.id"))`.
Id = Annotated[str, mapped_column(String(32), primary_key=True, default=new_id)]
Ref = Annotated[str, mapped_column(String(32))]

# Unix nanoseconds and durations in nanoseconds: they pass 2**53, so never a float and never a plain INTEGER of PostgreSQL.
Ns = Annotated[int, mapped_column(BigInteger)]
