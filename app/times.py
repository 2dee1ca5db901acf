"""Times and their units: the one file that knows how milliseconds become nanoseconds.

Instants are integers of nanoseconds since 1970 UTC (`UnixNanos`), durations integers of nanoseconds (`Nanos`): they exceed
2**53, so they never pass through a float. A page shows them through `iso` and its companions.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import NewType

from app.errors import InvalidInput

UnixNanos = NewType("UnixNanos", int)
Nanos = NewType("Nanos", int)

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# Unit letters of Go durations, plus the d, w and y that Prometheus and TraceQL add.
_UNITS = {"ns": 1, "us": MICROSECOND, "µs": MICROSECOND, "μs": MICROSECOND, "ms": MILLISECOND, "s": SECOND,
          "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}  # fmt: skip
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w|y)")


def now_ns() -> UnixNanos:
    """The wall clock. Pure places are handed a time instead of calling this."""
    return UnixNanos(time.time_ns())


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def from_datetime(moment: dt.datetime) -> UnixNanos:
    """Nanoseconds of an aware datetime; whole microseconds, without a float between."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place on the time line")
    delta = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return UnixNanos((delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds * MICROSECOND)


def to_datetime(ns: int) -> dt.datetime:
    """An aware UTC datetime, cut to microseconds; clamped to what datetime can hold."""
    ns = max(-62_135_596_800 * SECOND, min(ns, 253_402_300_799 * SECOND))
    seconds, rest = divmod(ns, SECOND)
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds, microseconds=rest // MICROSECOND)


def iso(ns: int, *, digits: int = 6) -> str:
    """ISO 8601 in UTC with an offset, `digits` of a second's fraction: 2026-11-21T02:58:41.208000+00:00."""
    moment = to_datetime(ns).isoformat(timespec="seconds")[:19]  # a third of what strftime costs, and it keeps leading zeros
    fraction = f"{ns % SECOND:09d}"[:digits]
    return f"{moment}{'.' + fraction if digits else ''}+00:00"


def parse_iso(text: str) -> UnixNanos:
    """An RFC 3339 time to nanoseconds, with up to nine digits of a fraction.

    Errors: InvalidInput where it is no such time or has no offset.
    """
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?([Zz]|[+-]\d\d:?\d\d)", text.strip())
    if not match:
        raise InvalidInput(f"{text[:40]!r} is not a time such as 2026-11-21T02:58:41Z.")
    day, clock, fraction, offset = match.groups()
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in 'Zz' else offset}")
        return UnixNanos(from_datetime(moment) + int((fraction or "0").ljust(9, "0")[:9]))
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text[:40]!r} is not a time such as 2026-11-21T02:58:41Z.") from None


def parse_duration(text: str) -> Nanos:
    """A Go-style duration (`1h30m`, `1.5s`, `72h`, `7d`) to nanoseconds.

    Errors: InvalidInput where it is not one.
    """
    text = text.strip()
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text)
    position, total = 0, 0
    while position < len(body):
        part = _PART.match(body, position)
        if not part:
            break
        whole, _, fraction = part[1].partition(".")
        unit = _UNITS[part[2]]
        total += int(whole or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
        position = part.end()
    if not body or position != len(body):
        raise InvalidInput(f"{text[:40]!r} is not a duration such as 30s, 1h30m or 7d.")
    return Nanos(sign * total)


def format_duration(ns: int) -> str:
    """A short human duration: 148.2 ms, 2.4 s, 3 min 5 s, 1 h 2 min."""
    sign, ns = ("−" if ns < 0 else ""), abs(ns)
    if ns < MILLISECOND:
        return f"{sign}{ns / MICROSECOND:.0f} µs"
    if ns < SECOND:
        return f"{sign}{ns / MILLISECOND:.1f} ms"
    if ns < MINUTE:
        return f"{sign}{ns / SECOND:.1f} s"
    seconds = round(ns / SECOND)
    days, hours, minutes, seconds = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    shown = [f"{n} {unit}" for n, unit in parts if n][:2]
    return sign + " ".join(shown)
