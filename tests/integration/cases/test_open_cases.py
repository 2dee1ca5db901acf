"""What the doctor asks of the cases: which are open, and which traces they name without a copy."""

import datetime as dt

from support import case_samples as sample

from app.cases.tables import CaseRow, CaseTraceRow, EvidenceRow
from app.doctor import store

LATER = dt.timedelta(days=1)


async def test_open_cases_with_what_they_name_and_have_not_kept(database):
    async with database.writing() as db:
        for number, status in ((1, "open"), (2, "closed"), (3, "contained")):
            db.add(_case(number, status))
        await db.flush()
        for number, trace_id in ((1, "a" * 32), (1, "b" * 32), (2, "c" * 32)):
            db.add(CaseTraceRow(case_number=number, trace_id=trace_id, linked_at=sample.NOW, linked_by="ines"))
        db.add(_evidence(1, "a" * 32))
    async with database.reading() as db:
        cases = await store.open_cases(db)
    assert [(case.name, case.unpreserved) for case in cases] == [("CASE-0001", ("b" * 32,)), ("CASE-0003", ())]
    assert cases[0].opened_ns < cases[1].opened_ns


def _case(number, status):
    return CaseRow(
        number=number, title="A case", status=status, severity="warning", tlp="TLP:AMBER", assignee_id=None, tags=[],
        summary="", version=1, opened_at=sample.NOW + number * LATER, opened_by="ines", closed_at=None,
        changed_at=sample.NOW, evidence_count=1, note_count=0, entered_count=0, custody_count=0, custody_head=b"",
    )  # fmt: skip


def _evidence(number, trace_id):
    return EvidenceRow(
        case_number=number, number=1, kind="trace", trace_id=trace_id, title="A trace", sha256="0" * 64, size=1,
        media_type="application/json", source_url="", tenant="", query="", range_start_ns=None, range_end_ns=None,
        backend="", completeness="complete", completeness_note="", received_ns=1, captured_ns=1, captured_by="ines",
        clew_version="0", verdict="", verified_at=None,
    )  # fmt: skip
