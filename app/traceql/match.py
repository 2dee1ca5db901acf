"""A query against a trace: the sets of spans it selects, as Tempo's pipeline would.

    matcher = Matcher(parse('{ name = "auth.login" } | count() > 2'))
    for spanset in matcher.match(TraceSpans(trace_id, spans)):
        ...

A metrics query selects the spans of its pipeline; metrics.py makes numbers of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from app.errors import InvalidInput
from app.traceql import nodes
from app.traceql.conditions import of_pipeline, rewritten
from app.traceql.evaluate import Evaluator, compiled, test
from app.traceql.fetch import Fetch, Row, TraceSpans
from app.traceql.nodes import (
    Field,
    Junction,
    Pipeline,
    Query,
    Reducer,
    Related,
    Relation,
    ScalarFilter,
    Select,
    SpanFilter,
    SpansetLogical,
    Stage,
)
from app.traceql.values import NUMERIC, Duration, Value, as_float, type_of
from app.traceql.write import aggregate_name, write


@dataclass(frozen=True, slots=True)
class Spanset:
    """Spans of one trace that belong together, and what the pipeline found out about the set, in order."""

    rows: list[Row]
    attributes: tuple[tuple[str, Value], ...] = ()
    scalar: Value = field(default=None, compare=False)


Step: TypeAlias = Callable[[list[Spanset]], list[Spanset]]


class Matcher:
    """A query made ready to be asked of many traces."""

    def __init__(self, query: Query, *, also_read: Iterable[Field] = ()) -> None:
        """also_read: fields that `value` will be asked for besides, such as those a metric groups by."""
        self.query = query
        self._fetch = Fetch(of_pipeline(query.pipeline))
        self._run = _pipeline(query.pipeline)
        selected = [f for stage in query.pipeline.stages if isinstance(stage, Select) for f in stage.fields]
        self._selected = Fetch.of_fields(selected) if selected else None
        # A field that the filter names keeps the value it was filtered by, as in Tempo.
        further = [f for f in also_read if f not in self._fetch.named]
        self._further = Fetch.of_fields(further) if further else None

    def match(self, trace: TraceSpans) -> list[Spanset]:
        """Errors: InvalidInput where the pipeline asks for something that Tempo refuses while it runs."""
        rows = self._fetch.rows(trace)
        return self._run([Spanset(rows)]) if rows else []

    def shown(self, row: Row) -> dict[Field, Value]:
        """What an answer says of a span: the fields that the query named or selected, where they have a value."""
        shown = dict(row.seen)
        if self._selected is not None:
            shown.update(self._selected.read(row.trace, row.place))
        return {f: value for f, value in shown.items() if value is not None}

    def completed(self, row: Row) -> Row:
        """The row with the fields of `also_read` as well."""
        if self._further is None:
            return row
        return Row(row.trace, row.place, {**self._further.read(row.trace, row.place), **row.seen})


def _pipeline(pipeline: Pipeline) -> Step:
    steps = [_step(stage) for stage in pipeline.stages]

    def run(sets: list[Spanset]) -> list[Spanset]:
        for step in steps:
            sets = step(sets)
            if not sets:
                return []
        return sets

    return run


def _step(stage: Stage) -> Step:
    match stage:
        case SpanFilter(expression):
            return _filter(expression)
        case Related(relation, left, right):
            return _related(relation, _step(left), _step(right))
        case SpansetLogical(operands, junctions):
            return _combined([_step(operand) for operand in operands], junctions)
        case Pipeline():
            return _pipeline(stage)
        case ScalarFilter():
            return _scalar_filter(stage)
        case nodes.GroupBy(expression):
            return _group(compiled(rewritten(expression)), write(stage))
        case nodes.Coalesce():
            return lambda sets: [Spanset([row for one in sets for row in one.rows])]
        case Select():
            return lambda sets: sets  # what it names is fetched afterwards, for the spans that are left


def _filter(expression: nodes.Expression | None) -> Step:
    if expression is None:
        return lambda sets: sets
    holds = compiled(rewritten(expression))

    def keep(sets: list[Spanset]) -> list[Spanset]:
        out = []
        for one in sets:
            rows = [row for row in one.rows if holds(row.read) is True]
            if rows:
                out.append(replace(one, rows=rows))
        return out

    return keep


def _combined(operands: list[Step], junctions: tuple[Junction, ...]) -> Step:
    def combine(sets: list[Spanset]) -> list[Spanset]:
        out = []
        for one in sets:
            rows = _rows(operands[0]([one]))
            for junction, operand in zip(junctions, operands[1:], strict=True):
                other = _rows(operand([one]))
                if junction is Junction.AND and not (rows and other):
                    rows = []
                else:
                    rows = _unique([*rows, *other])
            if rows:
                out.append(replace(one, rows=rows))
        return out

    return combine


def _rows(sets: list[Spanset]) -> list[Row]:
    return [row for one in sets for row in one.rows]


def _unique(rows: list[Row]) -> list[Row]:
    return list({row.place: row for row in rows}.values())


def _related(relation: Relation, left: Step, right: Step) -> Step:
    def relate(sets: list[Spanset]) -> list[Spanset]:
        out = []
        for one in sets:
            lefts, rights = left([one]), right([one])
            if len(lefts) > 1 or len(rights) > 1:
                raise InvalidInput("Spans can be related only within one set of spans; coalesce() makes one of several.")
            rows = _join(relation, _rows(lefts), _rows(rights)) if rights else []
            if rows:
                out.append(replace(one, rows=rows))
        return out

    return relate


def _join(relation: Relation, left: list[Row], right: list[Row]) -> list[Row]:
    """The rows of the right side that stand so to one of the left; both sides for a union; the others for a negation."""
    kind = relation.value.lstrip("!&")
    if relation.value.startswith("&"):
        return _unique([*_standing(kind, left, right), *_standing(_INVERSE[kind], right, left)])
    standing = _standing(kind, left, right)
    if relation.value.startswith("!"):
        found = {row.place for row in standing}
        return [row for row in right if row.place not in found]
    return standing


_INVERSE = {">": "<", "<": ">", ">>": "<<", "<<": ">>", "~": "~"}


def _standing(kind: str, left: list[Row], right: list[Row]) -> list[Row]:
    match kind:
        case ">":  # children of the left
            parents = {row.left for row in left if row.left}
            return [row for row in right if row.parent in parents]
        case "<":  # parents of the left
            children = {row.parent for row in left if row.parent}
            return [row for row in right if row.left and row.left in children]
        case "~":
            by_parent: dict[int, list[int]] = {}
            for row in left:
                by_parent.setdefault(row.parent, []).append(row.place)
            return [row for row in right if row.parent and set(by_parent.get(row.parent, ())) - {row.place}]
        case ">>":
            return _inside(left, right)
        case _:
            return _around(left, right)


def _inside(left: list[Row], right: list[Row]) -> list[Row]:
    """Rows of the right below any row of the left: one sweep over the numbers, with the furthest end met so far."""
    ends = sorted((row.left, row.right) for row in left if row.left)
    found = set()
    position, furthest = 0, 0
    for row in sorted((row for row in right if row.left), key=lambda row: row.left):
        while position < len(ends) and ends[position][0] < row.left:
            furthest = max(furthest, ends[position][1])
            position += 1
        if row.right < furthest:
            found.add(row.place)
    return [row for row in right if row.place in found]


def _around(left: list[Row], right: list[Row]) -> list[Row]:
    """Rows of the right above any row of the left."""
    starts = sorted(row.left for row in left if row.left)
    return [row for row in right if row.left and _any_between(starts, row.left, row.right)]


def _any_between(numbers: list[int], low: int, high: int) -> bool:
    place = bisect_right(numbers, low)
    return place < len(numbers) and numbers[place] < high


def _group(evaluate: Evaluator, name: str) -> Step:
    def group(sets: list[Spanset]) -> list[Spanset]:
        out = []
        for one in sets:
            groups: dict[Any, tuple[Value, list[Row]]] = {}
            for row in one.rows:
                value = evaluate(row.read)
                groups.setdefault(_key(value), (value, []))[1].append(row)
            out += [Spanset(rows, (*one.attributes, (name, value))) for value, rows in groups.values()]
        return out

    return group


def _key(value: Value) -> Any:
    return (type(value), tuple(value) if isinstance(value, list) else value)


def _scalar_filter(stage: ScalarFilter) -> Step:
    name = aggregate_name(stage.aggregate)
    of = compiled(rewritten(stage.aggregate.of)) if stage.aggregate.of is not None else None
    reducer, holds = stage.aggregate.reducer, test(stage.op, stage.value.value)

    def keep(sets: list[Spanset]) -> list[Spanset]:
        out = []
        for one in sets:
            if of is None:
                value: Value = len(one.rows)
            else:
                values = [value for row in one.rows if (value := of(row.read)) is not None]
                if not values:
                    continue
                value = _reduced(reducer, values)
            if holds(value):
                out.append(Spanset(one.rows, (*one.attributes, (name, value)), value))
        return out

    return keep


def _reduced(reducer: Reducer, values: Sequence[Value]) -> Value:
    match reducer:
        case Reducer.MIN:
            return min(values, key=as_float)
        case Reducer.MAX:
            return max(values, key=as_float)
        case Reducer.SUM:
            return _sum(values)
        case _:
            total = _sum(values)
            if isinstance(total, Duration):
                return Duration(int(total) // len(values))
            return as_float(total) / len(values)


def _sum(values: Sequence[Value]) -> Value:
    kinds = {type_of(value) for value in values}
    if len(kinds) == 1 and kinds <= NUMERIC:
        numbers: Any = values
        total: Value = type(numbers[0])(sum(numbers))
        return total
    return sum(map(as_float, values))
