"""The timeline as files that other tools read: CSV for people, JSON Lines for programs, CSV for Timesketch.

One event at a time goes in and bytes come out, so a case of any length costs the memory of one batch. docs/exports.md
explains every column.

Source: RFC 4180 for CSV; Timesketch's reader (timesketch/lib/utils.py) for what it drops or misreads.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeAlias

import msgspec
import orjson

from app.analysis.verdict import Decision, Outcome
from app.cases.model import Format, evidence_name
from app.cases.timeline import Event
from app.times import iso

_BATCH = 64 * 1024

Row: TypeAlias = dict[str, "str | int | bool | list[str] | None"]


class Sheet(msgspec.Struct, frozen=True):
    """What every row of one export has in common. `public_url` is where people reach Clew; "" leaves links out."""

    case: str
    public_url: str = ""


MEDIA_TYPE = {
    Format.CSV: "text/csv; charset=utf-8; header=present",
    Format.JSONL: "application/jsonl; charset=utf-8",
    Format.TIMESKETCH_CSV: "text/csv; charset=utf-8; header=present",
}

_DECISION = {
    Outcome.ALLOWED: Decision.ALLOW,
    Outcome.DENIED: Decision.DENY,
    Outcome.PARTIALLY_DENIED: Decision.DENY,
    Outcome.BYPASSED: Decision.DENY,
    Outcome.ERROR: Decision.ERROR,
    Outcome.INCONCLUSIVE: Decision.UNKNOWN,
    Outcome.NO_AUTH_EVIDENCE: Decision.NO_EVIDENCE,
}

# The columns of both CSV files, in order; JSON Lines has the first list's names as keys, and `occurred_ns`.
COLUMNS = (
    "datetime", "timestamp_desc", "message", "detail", "kind", "outcome", "decision", "authz_layer", "service_name", "reason",
    "confidence", "http_status", "user", "source_ip", "session_id", "client_id", "resource", "severity", "actor", "trace_id",
    "span_id", "evidence", "evidence_sha256", "completeness", "trace_url", "case_id", "observed", "captured",
    "datetime_as_sent", "key_event", "tag",
)  # fmt: skip
TIMESKETCH_COLUMNS = (
    "message", "datetime", "timestamp_desc", "trace_id", "span_id", "service_name", "authz_layer", "decision", "reason",
    "confidence", "http_status", "user", "source_ip", "session_id", "client_id", "resource", "case_id", "evidence_sha256",
    "completeness", "trace_url", "tag", "detail", "kind", "outcome", "severity", "actor", "evidence", "observed", "captured",
    "datetime_as_sent",
)  # fmt: skip

# What a spreadsheet takes for the start of a formula (OWASP ASVS 5.0, 1.2.10), with the wide forms that some fold to these.
_FORMULA_STARTS = frozenset("=+-@\t\r\n\0＝＋－＠")
# Words that pandas, which reads Timesketch's CSV, takes for "no value" and drops.
_PANDAS_NOTHING = frozenset(
    ["", " ", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null"]
)  # fmt: skip
_TIMESKETCH_BYTES = 32_000  # a keyword of OpenSearch holds 32,766


def file_name(case: str, form: Format) -> str:
    """Timesketch chooses its reader by the ending."""
    ending = {Format.CSV: ".csv", Format.JSONL: ".jsonl", Format.TIMESKETCH_CSV: "-timesketch.csv"}[form]
    return f"{case}-timeline{ending}"


async def written(events: AsyncIterator[Event], form: Format, sheet: Sheet) -> AsyncIterator[bytes]:
    """The file, a batch at a time. A CSV file without events still has its header."""
    if form is Format.JSONL:
        async for chunk in _jsonl(events, sheet):
            yield chunk
    elif form is Format.CSV:
        async for chunk in _csv(events, COLUMNS, lambda event: neutral(_cells(row(event, sheet), COLUMNS))):
            yield chunk
    else:
        async for chunk in _csv(events, TIMESKETCH_COLUMNS, lambda event: for_timesketch(row(event, sheet))):
            yield chunk


def row(event: Event, sheet: Sheet) -> Row:
    """One event under the names of `COLUMNS`; None where there is nothing to say."""
    return {
        "datetime": iso(event.occurred_ns),
        "timestamp_desc": event.desc,
        "message": event.title,
        "detail": event.detail or None,
        "kind": event.kind.value,
        "outcome": event.outcome.value if event.outcome else None,
        "decision": _DECISION[event.outcome].value if event.outcome else None,
        "authz_layer": event.layer.value if event.layer else None,
        "service_name": event.service or None,
        "reason": event.reason or None,
        "confidence": event.confidence.value if event.confidence else None,
        "http_status": event.http_status,
        "user": event.user or None,
        "source_ip": event.source_ip or None,
        "session_id": event.session_id or None,
        "client_id": event.client_id or None,
        "resource": event.resource or None,
        "severity": event.severity or None,
        "actor": event.actor or None,
        "trace_id": event.trace_id or None,
        "span_id": event.span_id or None,
        "evidence": None if event.evidence is None else evidence_name(event.evidence),
        "evidence_sha256": event.evidence_sha256 or None,
        "completeness": event.completeness or None,
        "trace_url": f"{sheet.public_url}/traces/{event.trace_id}" if sheet.public_url and event.trace_id else None,
        "case_id": sheet.case,
        "observed": iso(event.observed_ns),
        "captured": iso(event.captured_ns),
        "datetime_as_sent": iso(event.occurred_ns - event.shift_ns) if event.shift_ns else None,
        "key_event": event.starred,
        "tag": _tags(event),
    }


def neutral(cells: Iterable[str]) -> list[str]:
    """Cells that a spreadsheet shows as text and never runs: a quote goes before what could start a formula."""
    return [f"'{cell}" if cell[:1] in _FORMULA_STARTS and cell else cell for cell in cells]


def for_timesketch(of: Row) -> list[str]:
    """The cells as Timesketch should read them: values as they are, each within the size that its index takes."""
    said = {**of, "tag": orjson.dumps(of["tag"]).decode()}
    if str(said["message"]).strip() in _PANDAS_NOTHING:
        said["message"] = f"“{said['message']}”"  # an event whose message reads as no value would be refused
    return [_within(cell, _TIMESKETCH_BYTES) for cell in _cells(said, TIMESKETCH_COLUMNS)]


def _cells(of: Row, columns: Iterable[str]) -> list[str]:
    return [value if isinstance(value := of[name], str) else _words(value) for name in columns]


def _words(value: int | bool | list[str] | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    return ", ".join(value) if isinstance(value, list) else str(value)


def _tags(event: Event) -> list[str]:
    said = (event.kind.value, event.outcome, event.layer, "key_event" if event.starred else None)
    return [str(tag) for tag in said if tag]


def _within(text: str, most: int) -> str:
    # A character has at most four bytes: short text need not be encoded to be measured.
    if len(text) * 4 <= most or len(data := text.encode()) <= most:
        return text
    return data[: most - 3].decode(errors="ignore") + "…"


async def _jsonl(events: AsyncIterator[Event], sheet: Sheet) -> AsyncIterator[bytes]:
    batch = bytearray()
    async for event in events:
        # As text: the number does not fit the numbers of JavaScript and of several databases.
        batch += orjson.dumps({**row(event, sheet), "occurred_ns": str(event.occurred_ns)}, option=orjson.OPT_APPEND_NEWLINE)
        if len(batch) >= _BATCH:
            yield bytes(batch)
            batch.clear()
    if batch:
        yield bytes(batch)


async def _csv(
    events: AsyncIterator[Event], columns: tuple[str, ...], cells: Callable[[Event], list[str]]
) -> AsyncIterator[bytes]:
    page = io.StringIO(newline="")
    writer = csv.writer(page, lineterminator="\r\n")
    writer.writerow(columns)
    async for event in events:
        writer.writerow(cells(event))
        if page.tell() >= _BATCH:
            yield page.getvalue().encode()
            page.seek(0)
            page.truncate()
    if page.tell():
        yield page.getvalue().encode()
