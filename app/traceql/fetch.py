"""The store's half of an answer: which spans a query gets to see, and which of their attributes.

conditions.py says what Tempo's store is asked for; this file applies it to the spans of one trace the way that store does, its
quirks included, so that the evaluation afterwards sees exactly what it would see there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from app.times import UnixNanos
from app.traceql.conditions import Condition, Conditions
from app.traceql.evaluate import Test, one_of, test
from app.traceql.nodes import Attribute, Field, Intrinsic, Op, Scope
from app.traceql.tree import NestedSets
from app.traceql.values import Duration, Value
from app.traces.model import Attributes, Event, Link, Span

NO_ROOT = "<root span not yet received>"  # Tempo's words

_TRACE = frozenset({Intrinsic.TRACE_ID, Intrinsic.TRACE_DURATION, Intrinsic.ROOT_NAME, Intrinsic.ROOT_SERVICE})
_EVENT = frozenset({Intrinsic.EVENT_NAME, Intrinsic.EVENT_SINCE_START})
_LINK = frozenset({Intrinsic.LINK_TRACE_ID, Intrinsic.LINK_SPAN_ID})
_LIBRARY = frozenset({Intrinsic.SCOPE_NAME, Intrinsic.SCOPE_VERSION})
_SPAN_IDS = frozenset({Intrinsic.SPAN_ID, Intrinsic.PARENT_ID})

# Where Tempo keeps an attribute in a column of its own, comparisons with other attributes cannot mix into it.
_OWN_COLUMN = {
    Scope.RESOURCE: frozenset({"service.name", "cluster", "namespace", "pod", "container", "k8s.cluster.name",
                               "k8s.namespace.name", "k8s.pod.name", "k8s.container.name"}),
    Scope.SPAN: frozenset({"http.status_code", "http.method", "http.url"}),
}  # fmt: skip


class TraceSpans:
    """The spans of one trace as received, with the facts about the whole that a query may ask for."""

    def __init__(self, trace_id: str, spans: Sequence[Span]) -> None:
        self.trace_id = trace_id
        self.spans = spans

    @cached_property
    def start_ns(self) -> UnixNanos:
        return min((span.start_ns for span in self.spans), default=UnixNanos(0))

    @cached_property
    def end_ns(self) -> UnixNanos:
        return max((span.end_ns for span in self.spans), default=UnixNanos(0))

    @property
    def duration_ns(self) -> int:
        return max(0, self.end_ns - self.start_ns)

    @cached_property
    def root(self) -> Span | None:
        return next((span for span in self.spans if not span.parent_id), None)

    @property
    def root_name(self) -> str:
        return self.root.name if self.root else NO_ROOT

    @property
    def root_service(self) -> str:
        return self.root.service if self.root else NO_ROOT

    @cached_property
    def nested(self) -> NestedSets:
        return NestedSets(self.spans)


class Row:
    """A span as a query sees it: `seen` holds what was fetched, None where a value was there and did not pass."""

    __slots__ = ("place", "seen", "span", "trace")

    def __init__(self, trace: TraceSpans, place: int, seen: dict[Field, Value]) -> None:
        self.trace = trace
        self.place = place
        self.span = trace.spans[place]
        self.seen = seen

    def read(self, field: Field) -> Value:
        if isinstance(field, Attribute) and field.scope is Scope.ANY:
            for scope in _SEARCHED:
                scoped = Attribute(field.name, scope)
                if scoped in self.seen:
                    return self.seen[scoped]
            return None
        return self.seen.get(field)

    @property
    def left(self) -> int:
        return self.trace.nested.left[self.place]

    @property
    def right(self) -> int:
        return self.trace.nested.right[self.place]

    @property
    def parent(self) -> int:
        return self.trace.nested.parent[self.place]


_SEARCHED = (Scope.SPAN, Scope.RESOURCE, Scope.EVENT, Scope.LINK, Scope.INSTRUMENTATION)


class _Column:
    """One attribute, or several that Tempo keeps in common columns, one for each type.

    A condition's test is kept by the type it compares with, and shared by all attributes of the column: a store that looks
    for `.a = "x"` and `.b = "y"` in one column also returns an `.a` that is "y".
    """

    __slots__ = ("fields", "tests")

    def __init__(self) -> None:
        self.fields: dict[str, Attribute] = {}
        self.tests: dict[type, list[Test] | None] = {}

    def add(self, attribute: Attribute, condition: Condition) -> None:
        self.fields[attribute.name] = attribute
        if condition.op is None:
            self.tests = dict.fromkeys((str, int, float, bool))
            return
        kind = type(condition.values[0])
        tests = self.tests.get(kind, [])
        if tests is not None:
            self.tests[kind] = [*tests, _test(condition)]

    def read(self, attributes: Attributes, seen: dict[Field, Value]) -> None:
        if len(self.fields) > len(attributes):
            for name, raw in attributes.items():
                if name in self.fields:
                    seen[self.fields[name]] = self._passed(raw)
        else:
            for name, field in self.fields.items():
                if name in attributes:
                    seen[field] = self._passed(attributes[name])

    def _passed(self, raw: Any) -> Value:
        kind = type(raw)
        if kind is list:
            return self._elements(raw)
        tests = self.tests.get(kind, _NO_TESTS)
        if tests is None or any(holds(raw) for holds in tests):
            return raw  # type: ignore[no-any-return]
        return None

    def _elements(self, raw: list[Any]) -> Value:
        """The elements that pass; one is no array. Mixed arrays, like maps and bytes, cannot be searched."""
        kind = type(raw[0]) if raw else str
        if any(type(element) is not kind for element in raw):
            return None
        tests = self.tests.get(kind, _NO_TESTS)
        if tests is None:
            kept = raw
        else:
            # "None of these" is asked of the whole array, everything else of each element.
            if any(getattr(holds, "whole", False) and not holds(raw) for holds in tests):
                return None
            kept = [element for element in raw if any(holds(element) for holds in tests)]
        return kept if len(kept) > 1 else kept[0] if kept else None


_NO_TESTS: list[Test] = []


def _test(condition: Condition) -> Test:
    op, values = condition.op, condition.values
    assert op is not None
    if len(values) == 1:
        return test(op, values[0])
    holds = one_of(op, values)
    if op in (Op.NE, Op.NRE):

        def none_of(value: Value) -> bool:
            return holds(value)

        none_of.whole = True  # type: ignore[attr-defined]
        return none_of
    return holds


def _id_test(condition: Condition) -> Test:
    """Tempo 3.0.3 takes the zero bytes off the front of the id that is looked for, and not off those it has."""
    holds = _test(condition)
    return lambda value: holds(value) and not str(value).startswith("00")


class _Level:
    """Conditions on one kind of thing: a span's attributes, its resource's, an event's, a link's, its library's."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.columns: dict[str, _Column] = {}
        self.intrinsics: dict[Intrinsic, list[Test] | None] = {}
        self.required: dict[str, None] = {}
        self.absent: list[Attribute] = []

    def __bool__(self) -> bool:
        return bool(self.required)

    def add(self, condition: Condition) -> None:
        field = condition.field
        self.required[field.name] = None
        if isinstance(field, Intrinsic):
            self._add_intrinsic(field, condition)
            return
        attribute = Attribute(field.name, self.scope)
        if condition.absent:
            self.absent.append(attribute)
            condition = Condition(attribute)
        own = field.name in _OWN_COLUMN.get(self.scope, ())
        self.columns.setdefault(field.name if own else "", _Column()).add(attribute, condition)

    def _add_intrinsic(self, field: Intrinsic, condition: Condition) -> None:
        if condition.op is None:
            self.intrinsics[field] = None
        else:
            tests = self.intrinsics.get(field, [])
            if tests is not None:
                self.intrinsics[field] = [*tests, _id_test(condition) if field in _SPAN_IDS else _test(condition)]

    def read(self, attributes: Attributes, fields: Iterable[tuple[Intrinsic, Value]], seen: dict[Field, Value]) -> None:
        for column in self.columns.values():
            column.read(attributes, seen)
        for field, value in fields:
            tests = self.intrinsics[field]
            if tests is None or any(holds(value) for holds in tests):
                seen[field] = value


_Shared: TypeAlias = "dict[tuple[int, int], dict[Field, Value] | None]"


class Fetch:
    """Reads the spans of a trace as a query sees them. `named` are the fields it looks at."""

    def __init__(self, conditions: Conditions) -> None:
        self._span = _Level(Scope.SPAN)
        self._resource = _Level(Scope.RESOURCE)
        self._event = _Level(Scope.EVENT)
        self._link = _Level(Scope.LINK)
        self._library = _Level(Scope.INSTRUMENTATION)
        self._trace: list[Condition] = []
        unscoped = False
        for condition in conditions.found:
            unscoped = unscoped or _is_unscoped(condition.field)
            self._add(condition)
        self._levels = (self._span, self._resource, self._event, self._link, self._library)
        self._strict = conditions.strict and not unscoped and bool(conditions.found)
        self._needs_any = not self._strict and bool(conditions.found) and not self._trace and not conditions.every
        self.named = frozenset(condition.field for condition in conditions.found)

    @classmethod
    def of_fields(cls, fields: Iterable[Field]) -> Fetch:
        """Reads these fields whatever their value."""
        return cls(Conditions([Condition(field) for field in fields], strict=False))

    def _add(self, condition: Condition) -> None:
        if condition.field in _TRACE:
            self._trace.append(condition)
            return
        for level in self._levels_of(condition.field):
            level.add(condition)

    def _levels_of(self, field: Field) -> tuple[_Level, ...]:
        if isinstance(field, Intrinsic):
            for fields, level in ((_EVENT, self._event), (_LINK, self._link), (_LIBRARY, self._library)):
                if field in fields:
                    return (level,)
            return (self._span,)
        by_scope = {
            Scope.SPAN: self._span,
            Scope.RESOURCE: self._resource,
            Scope.EVENT: self._event,
            Scope.LINK: self._link,
            Scope.INSTRUMENTATION: self._library,
        }
        return (by_scope[field.scope],) if field.scope in by_scope else tuple(by_scope.values())

    def rows(self, trace: TraceSpans) -> list[Row]:
        """The spans that come into question, in the order received."""
        facts = dict(self._trace_facts(trace))
        if self._strict and not all(condition.field in facts for condition in self._trace):
            return []
        if self._strict and self._loses_absence():
            return []
        shared: _Shared = {}
        rows = []
        for place, span in enumerate(trace.spans):
            seen = self._seen(trace, place, span, shared)
            if seen is None:
                continue
            if self._needs_any and not self._has_any(seen, span):
                continue
            seen.update(facts)
            rows.append(Row(trace, place, seen))
        return rows

    def read(self, trace: TraceSpans, place: int) -> dict[Field, Value]:
        """The values of one span. Only for a Fetch of plain fields: it filters nothing."""
        return {**(self._seen(trace, place, trace.spans[place], {}) or {}), **dict(self._trace_facts(trace))}

    def _has_any(self, seen: dict[Field, Value], span: Span) -> bool:
        """Something that was asked for is there, or is absent where absence was asked for."""
        return any(value is not None for value in seen.values()) or any(
            field.name not in attributes
            for level, attributes in ((self._span, span.attributes), (self._resource, span.resource.attributes))
            for field in level.absent
        )

    def _loses_absence(self) -> bool:
        """Tempo 3.0.3 skips past the spans when it looks for an attribute's absence beside another condition on spans."""
        return bool(self._span.absent) and len(self._span.required) > 1

    def _trace_facts(self, trace: TraceSpans) -> Iterator[tuple[Field, Value]]:
        for condition in self._trace:
            value = _trace_value(condition.field, trace)
            if not self._strict or condition.op is None or _test(condition)(value):
                yield condition.field, value

    def _seen(self, trace: TraceSpans, place: int, span: Span, shared: _Shared) -> dict[Field, Value] | None:
        """What is fetched of one span, None where the span is not. `shared` keeps what spans of one resource share."""
        seen: dict[Field, Value] = {}
        key = (id(span.resource), id(span.scope))
        if (self._resource or self._library) and key not in shared:
            shared[key] = self._surroundings(span)
        common = shared.get(key, {})
        if common is None:
            return None
        if self._span:
            self._span.read(span.attributes, _span_fields(self._span.intrinsics, trace, place, span), seen)
            if self._strict and not self._complete(self._span, seen, span.attributes):
                return None
        for level, parts in ((self._event, span.events), (self._link, span.links)):
            if level and not self._parts(level, parts, span, seen):
                return None
        seen.update(common)
        return seen

    def _surroundings(self, span: Span) -> dict[Field, Value] | None:
        seen: dict[Field, Value] = {}
        self._resource.read(span.resource.attributes, (), seen)
        library = {Intrinsic.SCOPE_NAME: span.scope.name, Intrinsic.SCOPE_VERSION: span.scope.version}
        wanted = [(field, library[field]) for field in self._library.intrinsics]
        self._library.read(span.scope.attributes, wanted, seen)
        if self._strict:
            for level, attributes in ((self._resource, span.resource.attributes), (self._library, span.scope.attributes)):
                if level and not self._complete(level, seen, attributes):
                    return None
        return seen

    def _complete(self, level: _Level, seen: dict[Field, Value], attributes: Attributes) -> bool:
        """Every name asked for has a value, or none where absence was asked for; a bare span has not even absences."""
        found = {field.name for field, value in seen.items() if value is not None}
        absent = {field.name for field in level.absent}
        if absent and (absent & attributes.keys() or not attributes):
            return False
        return all(name in found or name in absent for name in level.required)

    def _parts(self, level: _Level, parts: Sequence[Event] | Sequence[Link], span: Span, seen: dict[Field, Value]) -> bool:
        """Events or links. Where all conditions must hold, they must hold for one and the same event."""
        matched = False
        for part in parts:
            own: dict[Field, Value] = {}
            level.read(part.attributes, _part_fields(level.intrinsics, part, span), own)
            if self._strict and not self._complete(level, own, part.attributes):
                continue
            matched = True
            for field, value in own.items():
                if seen.get(field) is None:
                    seen[field] = value
        return matched or not self._strict


def _is_unscoped(field: Field) -> bool:
    return isinstance(field, Attribute) and field.scope is Scope.ANY


def _trace_value(field: Field, trace: TraceSpans) -> Value:
    if field is Intrinsic.TRACE_ID:
        return trace.trace_id.lstrip("0")
    if field is Intrinsic.TRACE_DURATION:
        return Duration(trace.duration_ns)
    return trace.root_name if field is Intrinsic.ROOT_NAME else trace.root_service


def _span_fields(wanted: Iterable[Intrinsic], trace: TraceSpans, place: int, span: Span) -> Iterator[tuple[Intrinsic, Value]]:
    for field in wanted:
        match field:
            case Intrinsic.NAME:
                yield field, span.name
            case Intrinsic.STATUS:
                yield field, span.status
            case Intrinsic.STATUS_MESSAGE:
                yield field, span.status_message
            case Intrinsic.KIND:
                yield field, span.kind
            case Intrinsic.DURATION:
                yield field, Duration(span.duration_ns)
            case Intrinsic.SPAN_ID:
                yield field, span.span_id
            case Intrinsic.PARENT_ID:
                yield field, span.parent_id
            case Intrinsic.NESTED_LEFT:
                yield field, trace.nested.left[place]
            case Intrinsic.NESTED_RIGHT:
                yield field, trace.nested.right[place]
            case Intrinsic.NESTED_PARENT:
                yield field, trace.nested.parent[place]
            case _:
                pass  # childCount: Tempo's vParquet4 blocks do not have it


def _part_fields(wanted: Iterable[Intrinsic], part: Event | Link, span: Span) -> Iterator[tuple[Intrinsic, Value]]:
    for field in wanted:
        if isinstance(part, Event):
            yield field, part.name if field is Intrinsic.EVENT_NAME else Duration(part.time_ns - span.start_ns)
        else:
            yield field, part.trace_id.lstrip("0") if field is Intrinsic.LINK_TRACE_ID else part.span_id
