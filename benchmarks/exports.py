"""Exports of a long timeline: seconds and memory per format, beside the bare reading of the same rows.

P9: 10,000 events as CSV in 1 s, as JSON Lines in 0.5 s, at most 50 MB more memory.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
import time
import tracemalloc
from pathlib import Path

from sqlalchemy import insert

from app.analysis.verdict import Confidence, Layer, Outcome
from app.cases import export, service, store
from app.cases.model import Format
from app.cases.store import Filter
from app.cases.tables import EventRow
from app.cases.timeline import Event, Kind
from app.db import migrate
from app.db.base import new_id
from app.db.session import Database
from app.security.roles import COMMAND_LINE
from app.settings import load
from app.times import SECOND


def main(*, quick: bool) -> None:
    asyncio.run(_measure((1_000, 10_000) if quick else (10_000, 100_000)))


async def _measure(sizes: tuple[int, ...]) -> None:
    print(f"{'events':>8}  {'read':>8}  " + "  ".join(f"{form.value:>22}" for form in Format))
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            settings = load(database={"url": f"sqlite:///{Path(folder) / 'clew.db'}"}).database
            await migrate.upgrade(settings)
            database = Database(settings)
            await _fill(database, count)
            read = await _read(database)
            figures = [await _write(database, form) for form in Format]
            await database.close()
        cells = (f"{seconds:.2f} s {seconds / read:.1f}x {peak / 2**20:5.1f} MB" for seconds, peak in figures)
        print(f"{count:>8,}  {read:>6.2f} s  " + "  ".join(f"{cell:>22}" for cell in cells))


async def _fill(database: Database, count: int) -> None:
    async with database.writing() as db:
        case = await service.open_case(db, title="Long", by=COMMAND_LINE, at=dt.datetime(2026, 11, 21, tzinfo=dt.UTC))
        for start in range(0, count, 5_000):
            rows = [{"case_number": case.number, "id": new_id(), **_event(n)} for n in range(start, min(start + 5_000, count))]
            await db.execute(insert(EventRow), rows)


def _event(number: int) -> dict[str, object]:
    at = 1_795_000_000 * SECOND + number * 27_000_001
    event = Event(
        key=f"decision:{number}", kind=Kind.DECISION, occurred_ns=at, observed_ns=at + SECOND, captured_ns=at + 2 * SECOND,
        desc="Access denied", title=f"identity refused user{number % 3000}: the password is wrong",
        detail="edge-gateway: POST /login; reason: wrong_password", outcome=Outcome.DENIED, layer=Layer.IDENTITY_PROVIDER,
        service="identity", trace_id=f"{number:032x}", span_id=f"{number:016x}", reason="wrong_password",
        confidence=Confidence.HIGH, http_status=401, user=f"user{number % 3000}", source_ip="198.51.100.23",
        resource="POST /login", evidence=number, evidence_sha256=f"{number:064x}", completeness="whole",
    )  # fmt: skip
    return {name: getattr(event, name) for name in event.__struct_fields__}


async def _read(database: Database) -> float:
    begun = time.perf_counter()
    async with database.reading() as db:
        async for _ in store.stream_events(db, 1, Filter()):
            pass
    return time.perf_counter() - begun


async def _write(database: Database, form: Format) -> tuple[float, int]:
    """Seconds, and peak memory in a second run, because watching memory costs time."""
    begun = time.perf_counter()
    await _once(database, form)
    seconds = time.perf_counter() - begun
    tracemalloc.start()
    await _once(database, form)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak


async def _once(database: Database, form: Format) -> None:
    with tempfile.TemporaryFile() as file:
        async with database.reading() as db:
            await export.write(db, 1, form, file)
