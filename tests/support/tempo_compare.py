"""Whether two answers say the same, leaving out what a Tempo may choose freely.

Free are the order of traces, spans, attributes, series and values; exemplars, which are samples; the account of the work done;
version texts; the wording of errors, whose status must agree; and, where fewer were asked for than there are, which.
"""

from __future__ import annotations

import json
import re
from typing import Any

from support.tempo_dataset import BASE_S

_FREE = {"metrics", "exemplars", "serviceStats"}
_STATUS_IS_ENOUGH = {"buildinfo", "ready", "echo", "unknown-path"}
_NUMBER_IS_ENOUGH = {"search/limit-5", "search/spss-default"}


def unshifted(value: Any, by_s: int) -> Any:
    """Times moved back: whole numbers, or text of digits, that are milliseconds or nanoseconds near the data set's."""
    if isinstance(value, dict):
        return {key: unshifted(item, by_s) for key, item in value.items()}
    if isinstance(value, list):
        return [unshifted(item, by_s) for item in value]
    if isinstance(value, (str, int)) and not isinstance(value, bool) and re.fullmatch(r"\d{13}|\d{19}", str(value)):
        number, unit = int(value), 10**3 if len(str(value)) == 13 else 10**9
        if abs(number - (BASE_S + by_s) * unit) < 2 * 86_400 * unit:
            return type(value)(number - by_s * unit)
    return value


def difference(name: str, expected: dict[str, Any], got: dict[str, Any]) -> str:
    """What differs, in a few words; "" where nothing does."""
    if expected["status"] != got["status"]:
        return f"status {got['status']}, expected {expected['status']}"
    if name.split("/")[0] in _STATUS_IS_ENOUGH or expected["status"] >= 400:
        return ""
    types = [answer["content_type"].partition(";")[0] for answer in (expected, got)]
    if types[0] != types[1]:
        return f"content type {types[1]!r}, expected {types[0]!r}"
    if "json" not in expected:
        return ""
    if name in _NUMBER_IS_ENOUGH:
        counts = [len(answer["json"]["traces"]) for answer in (expected, got)]
        return "" if counts[0] == counts[1] else f"{counts[1]} traces, expected {counts[0]}"
    wanted, found = _canonical(expected["json"]), _canonical(got["json"])
    return "" if wanted == found else _first_difference(wanted, found)


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        out = {key: _canonical(item) for key, item in value.items() if key not in _FREE}
        if "spanSets" in out:
            out.pop("spanSet", None)  # an older copy of the first of them
        if "traceID" in out:
            out["traceID"] = out["traceID"].lstrip("0")
        return out
    if isinstance(value, list):
        return sorted((_canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return float(f"{value:.9g}") if isinstance(value, float) else value


def _first_difference(wanted: Any, found: Any) -> str:
    for key in ("traces", "series", "tagValues", "tagNames", "scopes"):
        here, there = wanted.get(key) or [], found.get(key) or []
        if len(here) != len(there):
            return f"{len(there)} {key}, expected {len(here)}"
        for one, other in zip(here, there, strict=True):
            if one != other:
                return f"{key}: {json.dumps(other)[:300]} expected {json.dumps(one)[:300]}"
    return f"{json.dumps(found)[:300]} expected {json.dumps(wanted)[:300]}"
