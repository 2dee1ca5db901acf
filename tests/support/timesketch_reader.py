"""What Timesketch does with a file on import, written anew from its rules: what it refuses, what it drops, what it reads.

Source: timesketch/lib/utils.py (read_and_validate_csv, read_and_validate_jsonl) and pandas.read_csv, which it calls.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import Any

MANDATORY = {"message", "datetime", "timestamp_desc"}
RESERVED = {"_id", "_type", "_index", "_source", "__ts_timeline_id", "__ts_emojis", "timesketch_label"}
# What pandas reads as "no value" unless told otherwise; Timesketch does not tell it.
NO_VALUE = {"", " ", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
            "NULL", "NaN", "None", "n/a", "nan", "null"}  # fmt: skip
MAX_KEYWORD_BYTES = 32_766


class Refused(Exception):
    """The whole file is turned away."""


def read_csv(name: str, data: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    """The events that arrive, and why each missing one was dropped."""
    if not name.endswith(".csv"):
        raise Refused(f"{name} does not end in .csv")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
    header = rows[0]
    if missing := MANDATORY - set(header):
        raise Refused(f"missing columns {missing}")
    if reserved := RESERVED & set(header):
        raise Refused(f"reserved columns {reserved}")
    arrived, dropped = [], []
    for number, cells in enumerate(rows[1:], 2):
        if len(cells) > len(header):
            raise Refused(f"row {number} has more cells than the header")
        row: dict[str, Any] = {
            key: cell for key, cell in zip(header, cells, strict=False) if cell not in NO_VALUE and cell.strip() != ""
        }
        moment = _moment(row.get("datetime", ""))
        if moment is None:
            dropped.append(f"row {number}: datetime {row.get('datetime')!r}")
            continue
        row["datetime"] = moment
        row["tag"] = _tags(row.get("tag", "nan"))  # an empty cell reaches the tag parser as the word nan
        _check_event(row, number)
        arrived.append(row)
    return arrived, dropped


def read_jsonl(name: str, data: bytes) -> list[dict[str, Any]]:
    """The events that arrive. One bad line ends the import."""
    if not name.endswith(".jsonl"):
        raise Refused(f"{name} does not end in .jsonl")
    arrived = []
    for number, line in enumerate(data.decode("utf-8").split("\n")[:-1], 1):
        try:
            event = json.loads(line)
        except ValueError as error:
            raise Refused(f"line {number}: {error}") from None
        if not isinstance(event, dict):
            raise Refused(f"line {number} is no object")
        if "datetime" not in event and "timestamp" in event:
            raise Refused(f"line {number}: its time would be read as local time")
        if RESERVED & event.keys():
            raise Refused(f"line {number} has reserved keys")
        event["datetime"] = _moment(event.get("datetime", ""))
        event["tag"] = [tag for tag in _tags(event.get("tag", "-")) if tag]
        _check_event(event, number)
        arrived.append(event)
    return arrived


def _check_event(event: dict[str, Any], number: int) -> None:
    for key in MANDATORY:
        if not event.get(key):
            raise Refused(f"event {number} has no {key}")
    for key, value in event.items():
        if isinstance(value, str) and len(value.encode()) > MAX_KEYWORD_BYTES:
            raise Refused(f"event {number}: {key} is longer than a keyword may be")


def _moment(text: str) -> dt.datetime | None:
    """The instant, where a parser without guesses finds one with an offset, in the years that survive."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None and 1700 <= moment.year <= 9999 else None


def _tags(value: Any) -> list[str]:
    if isinstance(value, list):
        return value
    if value.startswith("[") and value.endswith("]"):
        parsed: list[str] = json.loads(value)
        return parsed
    return [] if value == "-" else value.split(",")
