from __future__ import annotations

import csv
import datetime as dt
import io
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import case_samples as sample
from support import timesketch_reader as timesketch

from app.analysis.verdict import Confidence, Layer, Outcome
from app.cases import evidence, formats, timeline
from app.cases.formats import Sheet
from app.cases.model import Format
from app.cases.timeline import Event, Kind
from app.times import from_datetime, iso

SHEET = Sheet("CASE-0007", "https://clew.example")
ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\0")


async def stream(events: Iterable[Event]) -> AsyncIterator[Event]:
    for event in events:
        yield event


async def file(events: Iterable[Event], form: Format, sheet: Sheet = SHEET) -> bytes:
    return b"".join([chunk async for chunk in formats.written(stream(events), form, sheet)])


def incident() -> list[Event]:
    capture = sample.capture()
    item = evidence.item(capture, number=3, by="Ines Varga", at_ns=from_datetime(sample.NOW))
    note = timeline.of_note(1, '=HYPERLINK("http://evil")\n\nsecond', author="Jun Park", written_ns=from_datetime(sample.NOW))
    entered = timeline.of_person(1, occurred_ns=0, title="NA", detail="", actor="-jun", entered_ns=1)
    return [*timeline.of_capture(capture, item), note, entered]


def hand(**given) -> Event:
    return Event(**({"key": "k", "kind": Kind.ENTERED, "occurred_ns": 0, "observed_ns": 0, "captured_ns": 0, "desc": "d",
                     "title": "t"} | given))  # fmt: skip


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


async def test_csv_has_the_documented_columns_and_one_row_per_event():
    rows = read(await file(incident(), Format.CSV))
    assert tuple(rows[0]) == formats.COLUMNS
    decision = dict(zip(rows[0], rows[1], strict=True))
    assert decision["datetime"] == "2026-11-21T02:58:41.020000+00:00"
    assert decision["timestamp_desc"] == "Refusal bypassed"
    assert decision["decision"] == "deny"
    assert decision["outcome"] == "bypassed"
    assert decision["authz_layer"] == "application"
    assert decision["evidence"] == "E3"
    assert decision["trace_url"] == f"https://clew.example/traces/{sample.TRACE_ID}"
    assert decision["case_id"] == "CASE-0007"
    assert decision["tag"] == "decision, bypassed, application"
    assert len(rows) == 1 + len(incident())


async def test_csv_lines_end_as_rfc_4180_says():
    data = await file([hand(title='a "b", c\nd')], Format.CSV)
    assert data.count(b"\r\n") == 2
    assert b'"a ""b"", c\nd"' in data


async def test_without_events_there_is_still_a_header():
    assert tuple(read(await file([], Format.CSV))[0]) == formats.COLUMNS
    assert tuple(read(await file([], Format.TIMESKETCH_CSV))[0]) == formats.TIMESKETCH_COLUMNS
    assert await file([], Format.JSONL) == b""


async def test_json_lines_hold_one_object_per_line_with_raw_values():
    lines = (await file(incident(), Format.JSONL)).decode().splitlines()
    objects = [json.loads(line) for line in lines]
    assert [set(one) for one in objects] == [set(formats.COLUMNS) | {"occurred_ns"}] * len(incident())
    note = next(one for one in objects if one["kind"] == "note")
    assert note["detail"].startswith('=HYPERLINK("http://evil")')
    assert objects[0]["occurred_ns"] == str(sample.START + 20_000_000)
    assert objects[0]["http_status"] == 200
    assert objects[-1]["http_status"] is None


async def test_a_corrected_clock_shows_both_times():
    shifted = hand(occurred_ns=10**18, shift_ns=-5 * 10**9)
    row = formats.row(shifted, SHEET)
    assert row["datetime_as_sent"] == iso(10**18 + 5 * 10**9)
    assert formats.row(hand(), SHEET)["datetime_as_sent"] is None


def test_no_public_address_no_links():
    assert formats.row(hand(trace_id="a" * 32), Sheet("CASE-0001"))["trace_url"] is None


@pytest.mark.parametrize("start", [*ACTIVE, "\n", "＝", "＠"])
def test_a_cell_that_would_run_is_quoted(start):
    assert formats.neutral([f"{start}1+1"]) == [f"'{start}1+1"]


@pytest.mark.parametrize("cell", ["", "a=1", "'x", " =1", "1-2", "2026-11-21"])
def test_other_cells_stay_as_they_are(cell):
    assert formats.neutral([cell]) == [cell]


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        '"',
        '",="',
        "NA",
        "null",
        "nan",
        "\0",
        ",",
        ";=1",
        "\r\n=1",
    ]
)
_EVENTS = st.builds(
    Event,
    key=st.just("k"), kind=st.sampled_from(Kind), occurred_ns=st.integers(-(2**63), 2**63 - 1),
    observed_ns=st.integers(0, 2**62), captured_ns=st.integers(0, 2**62),
    shift_ns=st.sampled_from([0, -1, 10**9]), desc=st.just("Access denied"), title=_TEXT.filter(str.strip), detail=_TEXT,
    outcome=st.none() | st.sampled_from(Outcome),
    layer=st.none() | st.sampled_from(Layer), severity=_TEXT, service=_TEXT, trace_id=_TEXT, span_id=_TEXT, reason=_TEXT,
    confidence=st.none() | st.sampled_from(Confidence), http_status=st.none() | st.integers(0, 999), user=_TEXT,
    source_ip=_TEXT, session_id=_TEXT, client_id=_TEXT, resource=_TEXT, evidence=st.none() | st.integers(1, 99),
    evidence_sha256=_TEXT, completeness=_TEXT, actor=_TEXT, starred=st.booleans(), hidden=st.just(False),
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(_TEXT, _TEXT, _TEXT), min_size=20, max_size=20))
async def test_ten_thousand_rows_come_back_from_a_reader_with_no_active_formula(words):
    events = [hand(title=one or "t", detail=two, user=three, reason=one, service=two, actor=three) for one, two, three in words]
    rows = read(await file(events, Format.CSV))
    assert len(rows) == 21
    for cells, event in zip(rows[1:], events, strict=True):
        assert len(cells) == len(formats.COLUMNS)
        for name, cell in zip(formats.COLUMNS, cells, strict=True):
            assert not cell.startswith(ACTIVE), (name, cell)
        expected = formats.row(event, SHEET)
        for name in ("message", "detail", "user", "reason", "service_name", "actor"):
            came = cells[formats.COLUMNS.index(name)]
            assert came in (expected[name] or "", f"'{expected[name]}")


@settings(max_examples=40, deadline=None)
@given(st.lists(_EVENTS, min_size=1, max_size=40))
async def test_timesketch_takes_every_event_of_its_csv(events):
    name = formats.file_name("CASE-0007", Format.TIMESKETCH_CSV)
    arrived, dropped = timesketch.read_csv(name, await file(events, Format.TIMESKETCH_CSV))
    # A time that its reader cannot hold (before 1700) is the only thing that may keep an event out.
    early = [event for event in events if event.occurred_ns < from_datetime(dt.datetime(1700, 1, 1, tzinfo=dt.UTC))]
    assert len(dropped) == len(early)
    kept = [event for event in events if event not in early]
    assert len(arrived) == len(kept)
    for row, event in zip(arrived, kept, strict=True):
        assert from_datetime(row["datetime"]) == event.occurred_ns // 1000 * 1000
        assert event.kind.value in row["tag"]
        if event.user not in timesketch.NO_VALUE and event.user.strip():
            assert row["user"] == event.user  # values arrive as they are: no quote before a minus


@settings(max_examples=40, deadline=None)
@given(st.lists(_EVENTS, min_size=1, max_size=40))
async def test_timesketch_takes_our_json_lines_too(events):
    inside = [event for event in events if event.occurred_ns >= 0]
    arrived = timesketch.read_jsonl(formats.file_name("CASE-0007", Format.JSONL), await file(inside, Format.JSONL))
    assert [row["message"] for row in arrived] == [event.title for event in inside]
    assert [row["user"] or "" for row in arrived] == [event.user for event in inside]


async def test_timesketch_columns_are_those_agreed_on():
    assert formats.TIMESKETCH_COLUMNS[:3] == ("message", "datetime", "timestamp_desc")
    assert formats.TIMESKETCH_COLUMNS[3:21] == (
        "trace_id", "span_id", "service_name", "authz_layer", "decision", "reason", "confidence", "http_status", "user",
        "source_ip", "session_id", "client_id", "resource", "case_id", "evidence_sha256", "completeness", "trace_url", "tag",
    )  # fmt: skip
    assert not timesketch.RESERVED & {*formats.TIMESKETCH_COLUMNS, *formats.COLUMNS}


@pytest.mark.parametrize("word", ["NA", "null", "nan", "None", " N/A "])
async def test_an_event_called_nothing_is_not_refused(word):
    arrived, _ = timesketch.read_csv("x.csv", await file([hand(title=word)], Format.TIMESKETCH_CSV))
    assert arrived[0]["message"] == f"“{word}”"


async def test_timesketch_values_fit_its_index_without_splitting_a_character():
    arrived, _ = timesketch.read_csv("x.csv", await file([hand(detail="ä" * 40_000)], Format.TIMESKETCH_CSV))
    assert arrived[0]["detail"].endswith("ä…")
    assert len(arrived[0]["detail"].encode()) <= 32_000


async def test_a_long_timeline_costs_the_memory_of_a_batch():
    async def many(count: int) -> AsyncIterator[Event]:
        for number in range(count):
            yield hand(title=f"event {number}", detail="x" * 200)

    async def peak(count: int, form: Format) -> int:
        tracemalloc.start()
        try:
            async for _ in formats.written(many(count), form, SHEET):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    for form in Format:
        short, long = await peak(400, form), await peak(4_000, form)
        assert long < 1.5 * short, form


@pytest.mark.parametrize(
    ("form", "name"),
    [(Format.CSV, "CASE-0007-timeline.csv"), (Format.JSONL, "CASE-0007-timeline.jsonl"),
     (Format.TIMESKETCH_CSV, "CASE-0007-timeline-timesketch.csv")],
)  # fmt: skip
def test_files_are_named_after_the_case(form, name):
    assert formats.file_name("CASE-0007", form) == name


def test_every_column_is_documented():
    documented = (Path(__file__).parents[3] / "docs" / "exports.md").read_text()
    for name in {*formats.COLUMNS, *formats.TIMESKETCH_COLUMNS, "occurred_ns"}:
        assert f"`{name}`" in documented, name
    rows = [line for line in documented.splitlines() if line.startswith("| `") and line.count("|") == 6]
    listed = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    timesketch_has = {name.strip("` ") for row in listed for name in row[0].split(",") if row[4]}
    assert timesketch_has == set(formats.TIMESKETCH_COLUMNS)
    csv_has = {name.strip("` ") for row in listed for name in row[0].split(",") if row[2]}
    assert csv_has == set(formats.COLUMNS)
