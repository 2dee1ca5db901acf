"""`clew doctor` with a real backend and a real database: what open cases need is looked for."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest
from support import case_samples as sample
from support.command import here
from support.draw import spans_of
from support.embedded_backend import EmbeddedBackend

from app.cases.tables import CaseRow, CaseTraceRow
from app.db.session import Database
from app.settings import load
from app.times import MINUTE, now_ns
from app.traces.otlp import encode_json

TRACE = """
gateway: GET /orders/7  403 client.address=203.0.113.9
  gateway: auth.authorize  auth=refused because="missing role" user.id=u-17
"""


@pytest.fixture
def backend(tmp_path):
    made = EmbeddedBackend(tmp_path / "traces", "--retention", "24h").start()
    yield made
    made.stop()


def test_the_cases_of_the_database_are_asked_for(backend, tmp_path):
    drawn = spans_of(TRACE)
    shift = now_ns() - MINUTE - drawn[0].start_ns
    moved = [
        msgspec.structs.replace(span, start_ns=span.start_ns + shift, end_ns=span.end_ns + shift) for span in drawn
    ]  # fmt: skip
    assert backend.export(encode_json(moved)).status_code == 200
    assert here("db", "upgrade", folder=tmp_path).returncode == 0
    asyncio.run(_open_case(tmp_path, [drawn[0].trace_id, "d" * 32]))
    done = here("doctor", "--json", folder=tmp_path, CLEW_TEMPO__URL=backend.query)
    report = json.loads(done.stdout)
    [finding] = [one for one in report["findings"] if one["check"] == "retention.cases"]
    assert (finding["subject"], finding["measured"]) == ("CASE-0001", "1 of 2 traces without a copy")
    assert finding["evidence"] == ["d" * 32]
    assert {row["service"] for row in report["services"]} == {"gateway"}
    assert [one["measured"] for one in report["findings"] if one["check"] == "retention.traces"] == ["1 d"]


async def _open_case(folder, trace_ids):
    database = Database(load(database={"url": f"sqlite:///{folder}/clew.db"}).database)
    try:
        async with database.writing() as db:
            db.add(CaseRow(
                number=1, title="A case", status="open", severity="warning", tlp="TLP:AMBER", assignee_id=None, tags=[],
                summary="", version=1, opened_at=sample.NOW, opened_by="ines", closed_at=None, changed_at=sample.NOW,
                evidence_count=0, note_count=0, entered_count=0, custody_count=0, custody_head=b"",
            ))  # fmt: skip
            await db.flush()
            for trace_id in trace_ids:
                db.add(CaseTraceRow(case_number=1, trace_id=trace_id, linked_at=sample.NOW, linked_by="ines"))
    finally:
        await database.close()
