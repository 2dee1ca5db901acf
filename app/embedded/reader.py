"""Questions to the span store, from one connection that only reads. Not for two threads at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from app.embedded import codec
from app.embedded.plan import All, Any_, Fact, Plan, Posted, Range
from app.embedded.store import LONG_S, Store, part_ids
from app.embedded.terms import Keys
from app.times import SECOND
from app.traceql.fetch import TraceSpans

# Up to this many traces are gathered from the index and sorted; past it, traces are walked from the newest and probed.
GATHERED = 5_000
_FEW = 300  # traces in the window: looking at them is cheaper than asking the index
_READ_AT_ONCE = 50  # most searches end at their limit long before the last
_LONG = "traces INDEXED BY long_traces"  # SQLite would rather walk all traces in the order asked for
_ROW = "id, trace_id, bucket, start_ns, end_ns"


class Window(NamedTuple):
    """Traces that overlap it count; both ends included. `EVER` is without bounds."""

    start_ns: int
    end_ns: int

    @property
    def buckets(self) -> tuple[int, int]:
        """The buckets in which such traces can lie, but for those that reach further than LONG_S."""
        return self.start_ns // SECOND - LONG_S - 1, self.end_ns // SECOND + LONG_S + 1


EVER = Window(0, 2**63 - 1)


class Row(NamedTuple):
    id: int
    trace_id: bytes
    bucket: int
    start_ns: int
    end_ns: int


class Reader:
    def __init__(self, store: Store) -> None:
        self.keys: Keys = store.keys
        self.db: sqlite3.Connection = store.connect()

    def close(self) -> None:
        self.db.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything asked inside sees one state of the store."""
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            self.db.execute("ROLLBACK")

    def trace(self, trace_id: str) -> TraceSpans | None:
        row = self.db.execute("SELECT id FROM traces WHERE trace_id = ?", (bytes.fromhex(trace_id),)).fetchone()
        return self.load(row[0], trace_id) if row else None

    def load(self, number: int, trace_id: str) -> TraceSpans:
        return TraceSpans(trace_id, codec.decode(trace_id, self._bodies(number)))

    def _bodies(self, number: int) -> Iterator[bytes]:
        query = "SELECT body FROM parts WHERE id >= ? AND id < ? ORDER BY id"
        return (row[0] for row in self.db.execute(query, part_ids(number)))

    def size(self, trace_id: str) -> int:
        """Bytes stored of a trace, 0 where there is none."""
        row = self.db.execute("SELECT bytes FROM traces WHERE trace_id = ?", (bytes.fromhex(trace_id),)).fetchone()
        return int(row[0]) if row else 0

    def candidates(self, plan: Plan | None, window: Window = EVER) -> Iterator[Row]:
        """Traces in the window that the plan does not rule out: the newest first, after the few very long ones."""
        if window is EVER:
            yield from self._candidates(plan, window, (-(2**62), 2**62))
            return
        seen = set()
        where, arguments = _where(plan)
        for row in self._rows(f"long AND {where}", arguments, window, _LONG):
            seen.add(row.id)
            yield row
        for row in self._candidates(plan, window, window.buckets):
            if row.id not in seen:
                yield row

    def _candidates(self, plan: Plan | None, window: Window, buckets: tuple[int, int]) -> Iterator[Row]:
        if plan is not None and self._count("SELECT 1 FROM traces WHERE bucket BETWEEN ? AND ?", buckets, _FEW) >= _FEW:
            best = self._narrowest(plan, buckets)
            if best is not None:
                yield from self._gathered(self._places(best, buckets), None if best is plan else plan, window)
                return
        where, arguments = _where(plan)
        yield from self._rows(f"bucket BETWEEN ? AND ? AND {where}", (*buckets, *arguments), window)

    def _rows(self, where: str, arguments: Sequence[object], window: Window, traces: str = "traces") -> Iterator[Row]:
        query = (
            f"SELECT {_ROW} FROM {traces} WHERE {where} AND start_ns <= ? AND end_ns >= ?"  # noqa: S608 - made of constants
            " ORDER BY bucket DESC, id DESC"
        )
        return map(Row._make, self.db.execute(query, (*arguments, window.end_ns, window.start_ns)))

    def _narrowest(self, plan: Plan, buckets: tuple[int, int]) -> Plan | None:
        """The part of the plan with the fewest traces, if it has few enough to be gathered."""
        parts = plan.plans if isinstance(plan, All) else (plan,)
        counted = [(self._estimate(part, buckets, GATHERED), part) for part in parts]
        fewest, best = min(counted, key=lambda pair: pair[0])
        return best if fewest < GATHERED else None

    def _estimate(self, plan: Plan, buckets: tuple[int, int], most: int) -> int:
        """At least the number of traces, or `most` where there are as many."""
        match plan:
            case Posted(ranges):
                total = 0
                for part in ranges:
                    total += self._count(_postings("1", part), (part.key, *part.arguments, *buckets), most - total)
                    if total >= most:
                        return most
                return total
            case Fact(sql):
                return 1 if sql in ("trace_id = ?", "0") else most
            case All(plans):
                return min(self._estimate(part, buckets, most) for part in plans)
            case Any_(plans):
                total = 0
                for inner in plans:
                    total += self._estimate(inner, buckets, most - total)
                    if total >= most:
                        return most
                return total

    def _count(self, query: str, arguments: Sequence[object], most: int) -> int:
        limited = f"SELECT count(*) FROM ({query} LIMIT {most})"  # noqa: S608 - made of constants
        return int(self.db.execute(limited, arguments).fetchone()[0])

    def _places(self, plan: Plan, buckets: tuple[int, int]) -> set[tuple[int, int]]:
        """The buckets and ids of the plan's traces: their order in time is known before a trace's row is read."""
        match plan:
            case Posted(ranges):
                places: set[tuple[int, int]] = set()
                for part in ranges:
                    places.update(self.db.execute(_postings("bucket, trace", part), (part.key, *part.arguments, *buckets)))
                return places
            case Fact(sql, arguments):
                return set(self.db.execute(f"SELECT bucket, id FROM traces WHERE {sql}", arguments))  # noqa: S608 - constants
            case All(plans):
                narrow = [part for part in plans if self._estimate(part, buckets, GATHERED) < GATHERED]
                return set.intersection(*(self._places(part, buckets) for part in narrow))
            case Any_(plans):
                return set().union(*(self._places(part, buckets) for part in plans))

    def _gathered(self, places: set[tuple[int, int]], plan: Plan | None, window: Window) -> Iterator[Row]:
        where, arguments = _where(plan)
        ids = [number for _, number in sorted(places, reverse=True)]
        for first in range(0, len(ids), _READ_AT_ONCE):
            some = ids[first : first + _READ_AT_ONCE]
            yield from self._rows(f"id IN ({','.join('?' * len(some))}) AND {where}", (*some, *arguments), window)


def _postings(what: str, part: Range) -> str:
    return f"SELECT {what} FROM postings WHERE {part.where} AND bucket BETWEEN ? AND ?"  # noqa: S608 - made of constants


def _where(plan: Plan | None) -> tuple[str, tuple[object, ...]]:
    """The plan as a condition on a row of `traces`, as far as it can be probed for one trace in a few look-ups."""
    match plan:
        case Fact(sql, arguments):
            return sql, arguments
        case Posted(ranges) if len(ranges) <= 20 and all(part.sql in ("", "value = ?") for part in ranges):
            probed = [part for part in ranges if part.sql]
            if len(probed) == len(ranges) - 1:  # the overflow key has one value
                sqls = [_PROBE] * len(ranges)
                arguments = tuple(x for part in ranges for x in (part.key, part.arguments[0] if part.sql else ""))
                return f"({' OR '.join(sqls)})", arguments
        case All(plans):
            parts = [_where(part) for part in plans[:20]]
            return f"({' AND '.join(sql for sql, _ in parts)})", tuple(x for _, arguments in parts for x in arguments)
        case Any_(plans) if len(plans) <= 20:
            parts = [_where(part) for part in plans]
            return f"({' OR '.join(sql for sql, _ in parts)})", tuple(x for _, arguments in parts for x in arguments)
    return "1", ()


_PROBE = (
    "EXISTS (SELECT 1 FROM postings p WHERE p.key = ? AND p.value = ? AND p.bucket = traces.bucket AND p.trace = traces.id)"
)
