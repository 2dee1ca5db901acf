"""What a TraceQL expression can evaluate to, and how two such values compare.

Python's own str, int, float, bool, list and None stand for TraceQL's string, int, float, boolean, array and nil; durations,
statuses and kinds have classes of their own, because `1s`, `error` and `server` are not numbers to the language.
"""

from __future__ import annotations

import enum
import math
from typing import Any, TypeAlias

from app.traces.model import SpanKind, Status

Value: TypeAlias = "str | int | float | bool | Duration | Status | SpanKind | list[Any] | None"


class Duration(int):
    """A length of time in nanoseconds."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Duration({int(self)})"


class Type(enum.Enum):
    """`ANY` is the type of an attribute before a span is looked at; `SPANSET` never meets another."""

    NIL = "nil"
    ANY = "attribute"
    INT = "int"
    FLOAT = "float"
    STRING = "string"
    BOOLEAN = "boolean"
    ARRAY = "array"
    DURATION = "duration"
    STATUS = "status"
    KIND = "kind"


_TYPES: dict[type, Type] = {
    type(None): Type.NIL,
    int: Type.INT,
    float: Type.FLOAT,
    str: Type.STRING,
    bool: Type.BOOLEAN,
    list: Type.ARRAY,
    Duration: Type.DURATION,
    Status: Type.STATUS,
    SpanKind: Type.KIND,
}

NUMERIC = frozenset({Type.INT, Type.FLOAT, Type.DURATION})


def type_of(value: Value) -> Type:
    return _TYPES[type(value)]


def fit(left: Type, right: Type) -> bool:
    """True where an operator may stand between the two at all."""
    if left is right or Type.ANY in (left, right) or Type.NIL in (left, right):
        return True
    return left in NUMERIC and right in NUMERIC


def as_float(value: Value) -> float:
    """The number; NaN for what is none, so that comparisons with it are false."""
    return float(value) if type(value) in (int, float, Duration) else math.nan  # type: ignore[arg-type]


def equal(left: Value, right: Value) -> bool:
    """TraceQL's `=` between two scalars: numbers by value, everything else by type and value; nil equals nothing."""
    kinds = type(left), type(right)
    if kinds[0] is kinds[1]:
        return left is not None and left == right
    if all(kind in (int, float, Duration) for kind in kinds):
        return left == right
    return False


def encode_duration(ns: int) -> str:
    """A duration as Go writes it, which is how Tempo returns one: 55ms, 162.25ms, 1m30.5s, 0s."""
    if ns == 0:
        return "0s"
    sign, ns = ("-" if ns < 0 else ""), abs(ns)
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if ns < size * 1000:
            return f"{sign}{_decimal(ns, size)}{unit}"
    minutes, rest = divmod(ns, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    out = f"{_decimal(rest, 1_000_000_000)}s"
    if hours or minutes:
        out = f"{minutes}m{out}"
    if hours:
        out = f"{hours}h{out}"
    return sign + out


def _decimal(ns: int, size: int) -> str:
    whole, rest = divmod(ns, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def encode(value: Value) -> str:
    """A value as bare text: what tag values and the text of a label show."""
    match value:
        case None:
            return "nil"
        case bool():
            return "true" if value else "false"
        case Status() | SpanKind():
            return value.name.lower()
        case Duration():
            return encode_duration(value)
        case float():
            return encode_float(value)
        case list():
            return "[" + ", ".join(encode(item) for item in value) + "]"
        case _:
            return str(value)


def encode_float(value: float) -> str:
    """A float as Go's shortest form has it: 1 for 1.0, +Inf and NaN by name."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    text = repr(value)
    return text.removesuffix(".0")
