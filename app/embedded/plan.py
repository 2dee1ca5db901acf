"""Which traces a query could possibly match, as a condition on the index.

The plan never leaves out a trace that matches; what it cannot use it ignores, and the exact answer is traceql's. A plan is
None (every trace), a `Posted` (traces with certain values of certain keys), a `Fact` (a column of the trace), or All or Any of
plans.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from app.embedded.terms import BOOL, FLOAT, INT, LONGEST_VALUE, OPAQUE, OVERFLOW, SEARCHED, TEXT, Indexed, Keys
from app.traceql import nodes
from app.traceql.check import pattern
from app.traceql.conditions import rewritten
from app.traceql.evaluate import OneOf, Rewritten
from app.traceql.nodes import (
    Attribute,
    Binary,
    Field,
    Intrinsic,
    Junction,
    Literal,
    Logical,
    Op,
    Query,
    Related,
    Scope,
    SpanFilter,
    SpansetLogical,
)
from app.traceql.values import Duration, Value
from app.traces.model import SpanKind, Status

MOST_VALUES = 2_000  # of one key that are compared with a regex one by one

_ANYWHERE = ("span", "resource", "event", "link", "instrumentation")
_INDEXED = {
    Intrinsic.NAME, Intrinsic.STATUS, Intrinsic.KIND, Intrinsic.STATUS_MESSAGE, Intrinsic.EVENT_NAME,
    Intrinsic.LINK_TRACE_ID, Intrinsic.SCOPE_NAME, Intrinsic.SCOPE_VERSION,
}  # fmt: skip
_TYPES: dict[type, str] = {str: TEXT, int: INT, float: FLOAT, bool: BOOL, Status: INT, SpanKind: INT}
_SQL = {Op.EQ: "=", Op.LT: "<", Op.LE: "<=", Op.GT: ">", Op.GE: ">="}


@dataclass(frozen=True, slots=True)
class Range:
    """Values of one key: SQL on `value` with its arguments; without SQL, any value."""

    key: int
    sql: str = ""
    arguments: tuple[Indexed, ...] = ()

    @property
    def where(self) -> str:
        return f"key = ? AND {self.sql}" if self.sql else "key = ?"


@dataclass(frozen=True, slots=True)
class Posted:
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A condition on a row of `traces`."""

    sql: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class All:
    plans: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    plans: tuple[Plan, ...]


Plan: TypeAlias = "Posted | Fact | All | Any_"


def plan(query: Query, keys: Keys, db: sqlite3.Connection) -> Plan | None:
    return _Planner(keys, db).stage(query.pipeline.stages[0])


class _Planner:
    def __init__(self, keys: Keys, db: sqlite3.Connection) -> None:
        self._keys = keys
        self._db = db

    def stage(self, stage: nodes.Stage) -> Plan | None:
        match stage:
            case SpanFilter(expression) if expression is not None:
                return self.expression(rewritten(expression))
            case Related(relation, left, right):
                # Spans without the relation are on the right alone, where nothing need be on the left.
                sides = (right,) if relation.value.startswith("!") else (left, right)
                return _all(self.stage(side) for side in sides)
            case SpansetLogical(operands, junctions):
                return _chain([self.stage(operand) for operand in operands], junctions)
            case nodes.Pipeline(stages):
                return self.stage(stages[0])
            case _:
                return None

    def expression(self, e: Rewritten) -> Plan | None:
        match e:
            case OneOf(field, op, values):
                return self._field(field, op, values)
            case Attribute() | Intrinsic():
                return self._field(e, None, ())
            case Logical(operands, junctions):
                return _chain([self.expression(operand) for operand in operands], junctions)
            case Binary(op, Attribute() | Intrinsic() as field, Literal(value)):
                return self._compared(field, op, value)
            case Binary(op, Literal(value), Attribute() | Intrinsic() as field) if value is not None:
                return self._field(field, op, (value,))  # not turned round, see traceql/conditions.py
            case _:
                return None

    def _compared(self, field: Field, op: Op, value: Value) -> Plan | None:
        if value is None:
            return None if op is Op.EQ else self._field(field, None, ())
        return self._field(field, op if op in nodes.COMPARISONS else None, (value,))

    def _field(self, field: Field, op: Op | None, values: tuple[Value, ...]) -> Plan | None:
        if isinstance(field, Intrinsic):
            if field in _INDEXED:
                return self._posted([("intrinsic", field.value)], op, values)
            return _fact(field, op, values)
        scopes = _ANYWHERE if field.scope is Scope.ANY else (field.scope.value,)
        return self._posted([(scope, field.name) for scope in scopes], op, values)

    def _posted(self, names: Iterable[tuple[str, str]], op: Op | None, values: tuple[Value, ...]) -> Posted:
        ranges = [Range(OVERFLOW)]
        types = SEARCHED if op is None else (*dict.fromkeys(_TYPES.get(type(value), "") for value in values), OPAQUE)
        for scope, name in names:
            for type_ in types:
                key = self._keys.find(scope, name, type_)
                if key is not None:
                    wanted = [v for v in values if _TYPES.get(type(v)) == type_]
                    ranges += self._ranges(key, op if wanted else None, wanted)
        return Posted(tuple(ranges))

    def _ranges(self, key: int, op: Op | None, values: list[Value]) -> Iterator[Range]:
        if op is Op.RE:
            found = self._matching(key, values)
            if found is None:
                yield Range(key)
            else:
                yield from (Range(key, "value = ?", (value,)) for value in found)
        elif op in _SQL:
            for value in values:
                yield Range(key, f"value {_bound(op, value)} ?", (_indexed(value),))
        else:
            yield Range(key)  # != and !~ say only that there is a value

    def _matching(self, key: int, values: list[Value]) -> list[Indexed] | None:
        """The key's values that match any of the patterns; None where there are too many to try, or cut ones."""
        programs = [pattern(value) for value in values if isinstance(value, str)]
        found = []
        for count, value in enumerate(distinct_values(self._db, key)):
            if count >= MOST_VALUES:
                return None
            text = str(value)
            # A cut text may match as a whole what it does not match here.
            if len(text) >= LONGEST_VALUE or any(program.fullmatch(text) for program in programs):
                found.append(value)
        return found if len(found) <= MOST_VALUES // 4 else None


def distinct_values(db: sqlite3.Connection, key: int) -> Iterator[Indexed]:
    """A key's values in order, by leaps: each is one look-up, however many traces hold it."""
    row = db.execute("SELECT value FROM postings WHERE key = ? ORDER BY value LIMIT 1", (key,)).fetchone()
    while row:
        yield row[0]
        row = db.execute(
            "SELECT value FROM postings WHERE key = ? AND value > ? ORDER BY value LIMIT 1", (key, row[0])
        ).fetchone()


def _bound(op: Op, value: Value) -> str:
    # The index holds the beginning of long text: the whole may be greater where its beginning is equal.
    return _SQL[op] if op is Op.EQ or not isinstance(value, str) else _SQL[op].rstrip("=") + "="


def _indexed(value: Value) -> Indexed:
    if isinstance(value, str):
        return value[:LONGEST_VALUE]
    return int(value) if isinstance(value, (bool, int)) else float(value)  # type: ignore[arg-type]


def _all(plans: Iterable[Plan | None]) -> Plan | None:
    known = [p for p in plans if p is not None]
    return All(tuple(known)) if len(known) > 1 else known[0] if known else None


def _any(plans: list[Plan | None]) -> Plan | None:
    known = [p for p in plans if p is not None]
    return Any_(tuple(known)) if len(known) == len(plans) else None


def _chain(plans: list[Plan | None], junctions: tuple[Junction, ...]) -> Plan | None:
    """A run of && and ||, from the left; runs of one operator stay flat."""
    run, joined = [plans[0]], junctions[0]
    for junction, following in zip(junctions, plans[1:], strict=True):
        if junction is not joined:
            run, joined = [_joined(run, joined)], junction
        run.append(following)
    return _joined(run, joined)


def _joined(run: list[Plan | None], junction: Junction) -> Plan | None:
    return _all(run) if junction is Junction.AND else _any(run)


def _fact(field: Intrinsic, op: Op | None, values: tuple[Value, ...]) -> Plan | None:
    make = _FACTS.get(field)
    if make is None or op is None:
        return None
    facts = [make(op, value) for value in values]
    return _any(list(facts))


def _trace_id(op: Op, value: Value) -> Plan | None:
    if op is not Op.EQ or not isinstance(value, str):
        return None
    try:
        return Fact("trace_id = ?", (bytes.fromhex(value.zfill(32)),))
    except ValueError:
        return Fact("0", ())


def _duration(op: Op, value: Value) -> Plan | None:
    """Some span of the trace is that long: the longest for >, the shortest for <."""
    if not isinstance(value, (int, float)):
        return None
    if op in (Op.GT, Op.GE):
        return Fact(f"longest_ns {_SQL[op]} ?", (_number(value),))
    if op in (Op.LT, Op.LE):
        return Fact(f"shortest_ns {_SQL[op]} ?", (_number(value),))
    if op is Op.EQ:
        return Fact("longest_ns >= ? AND shortest_ns <= ?", (_number(value), _number(value)))
    return None


def _trace_duration(op: Op, value: Value) -> Plan | None:
    if op not in _SQL or not isinstance(value, (int, float)):
        return None
    return Fact(f"end_ns - start_ns {_SQL[op]} ?", (_number(value),))


def _number(value: float) -> float:
    return int(value) if isinstance(value, Duration) else value


def _root(column: str) -> Callable[[Op, Value], Plan | None]:
    # A trace without a root answers to Tempo's words for that, which no column holds.
    def fact(op: Op, value: Value) -> Plan | None:
        return Fact(f"({column} = ? OR {column} IS NULL)", (value,)) if op is Op.EQ else None

    return fact


_FACTS: dict[Intrinsic, Callable[[Op, Value], Plan | None]] = {
    Intrinsic.TRACE_ID: _trace_id,
    Intrinsic.DURATION: _duration,
    Intrinsic.TRACE_DURATION: _trace_duration,
    Intrinsic.ROOT_NAME: _root("root_name"),
    Intrinsic.ROOT_SERVICE: _root("root_service"),
}
