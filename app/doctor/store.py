"""The question the doctor asks of the cases."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cases.model import Status, case_name
from app.cases.tables import CaseRow, CaseTraceRow, EvidenceRow
from app.doctor.retention import OpenCase
from app.times import from_datetime

_MOST_CASES = 200
_MOST_TRACES = 1_000


async def open_cases(db: AsyncSession) -> tuple[OpenCase, ...]:
    """Cases that are not closed, the oldest first, each with the traces it names without a preserved copy."""
    rows = await db.execute(
        select(CaseRow.number, CaseRow.opened_at)
        .where(CaseRow.status != Status.CLOSED.value)
        .order_by(CaseRow.opened_at)
        .limit(_MOST_CASES)
    )
    cases = {row.number: row.opened_at for row in rows}
    copied = exists().where(
        EvidenceRow.case_number == CaseTraceRow.case_number, EvidenceRow.trace_id == CaseTraceRow.trace_id
    )  # fmt: skip
    named = await db.execute(
        select(CaseTraceRow.case_number, CaseTraceRow.trace_id)
        .where(CaseTraceRow.case_number.in_(cases), ~copied)
        .order_by(CaseTraceRow.linked_at)
        .limit(_MOST_TRACES)
    )
    traces: dict[int, list[str]] = {}
    for number, trace_id in named:
        traces.setdefault(number, []).append(trace_id)
    return tuple(
        OpenCase(case_name(number), from_datetime(opened_at), tuple(traces.get(number, ())))
        for number, opened_at in cases.items()
    )
