"""What the store indexes of a span: every attribute and intrinsic that a query may compare, as (key, value) pairs.

A key is a scope, a name and a type, under a small number; the types are kept apart because TraceQL keeps them apart. What
cannot be indexed by value (long text, NaN) is indexed as being there, so that a search still looks at the trace.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from app.traces.model import Resource, Scope, Span

MAX_KEYS = 20_000  # names come from the senders; past this, traces are found without the index
LONGEST_VALUE = 200
OVERFLOW = 0  # the key of traces that hold attributes past MAX_KEYS

TEXT, INT, FLOAT, BOOL = "s", "i", "f", "b"
OPAQUE = "o"  # a value that can be searched for, but not in the index
UNSEARCHED = "x"  # maps, bytes, mixed arrays: TraceQL cannot compare them; only the name is known
SEARCHED = (TEXT, INT, FLOAT, BOOL, OPAQUE)

Indexed: TypeAlias = "str | int | float"
Terms: TypeAlias = "set[tuple[int, Indexed]]"


class Key(NamedTuple):
    scope: str
    name: str
    type: str


@dataclass(slots=True)
class KeyRange:
    """A key's number, and the seconds between which traces with it began."""

    id: int
    first: int
    last: int


class Keys:
    """The keys known, written by the one writer and read by all."""

    def __init__(self, known: Iterable[tuple[Key, KeyRange]] = ()) -> None:
        self.ranges: dict[Key, KeyRange] = dict(known)
        self.fresh: list[Key] = []
        self._next = max((r.id for r in self.ranges.values()), default=OVERFLOW) + 1

    def number(self, key: Key, bucket: int) -> int:
        """The key's number, a new one where it is met first; OVERFLOW where there are too many."""
        known = self.ranges.get(key)
        if known is None:
            if len(self.ranges) >= MAX_KEYS:
                return OVERFLOW
            known = self.ranges[key] = KeyRange(self._next, bucket, bucket)
            self._next += 1
            self.fresh.append(key)
        elif bucket > known.last:
            known.last = bucket
        elif bucket < known.first:
            known.first = bucket
        return known.id

    def find(self, scope: str, name: str, type_: str) -> int | None:
        known = self.ranges.get(Key(scope, name, type_))
        return known.id if known else None


class Indexer:
    """Collects the terms of spans of one trace. `shared` keeps the terms of resources and scopes that many spans share."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._shared: dict[tuple[int, int], tuple[Resource, Scope, list[tuple[Key, Indexed]]]] = {}

    def terms(self, spans: Iterable[Span], bucket: int) -> Terms:
        out: Terms = set()
        number = self._keys.number

        def add(key: Key, value: Indexed) -> None:
            found = number(key, bucket)
            out.add((found, value if found != OVERFLOW else ""))

        for span in spans:
            for key, value in self._surroundings(span):
                add(key, value)
            _attributes("span", span.attributes, add)
            add(_NAME, span.name[:LONGEST_VALUE])
            add(_STATUS, span.status.value)
            add(_KIND, span.kind.value)
            if span.status_message:
                add(_STATUS_MESSAGE, span.status_message[:LONGEST_VALUE])
            for event in span.events:
                add(_EVENT_NAME, event.name[:LONGEST_VALUE])
                _attributes("event", event.attributes, add)
            for link in span.links:
                add(_LINK_TRACE, link.trace_id.lstrip("0"))  # as TraceQL compares it
                _attributes("link", link.attributes, add)
        return out

    def _surroundings(self, span: Span) -> list[tuple[Key, Indexed]]:
        # The objects are kept with their terms: an id alone could come back with another object.
        place = (id(span.resource), id(span.scope))
        known = self._shared.get(place)
        if known is None:
            found: list[tuple[Key, Indexed]] = []

            def add(key: Key, value: Indexed) -> None:
                found.append((key, value))

            _attributes("resource", span.resource.attributes, add)
            _attributes("instrumentation", span.scope.attributes, add)
            add(_SCOPE_NAME, span.scope.name[:LONGEST_VALUE])
            add(_SCOPE_VERSION, span.scope.version[:LONGEST_VALUE])
            if len(self._shared) > 1000:
                self._shared.clear()
            known = self._shared[place] = (span.resource, span.scope, found)
        return known[2]


# Intrinsics are cut, not left out, where they are long: a search compares the cut text, then the whole.
_NAME = Key("intrinsic", "name", TEXT)
_STATUS = Key("intrinsic", "status", INT)
_KIND = Key("intrinsic", "kind", INT)
_STATUS_MESSAGE = Key("intrinsic", "statusMessage", TEXT)
_EVENT_NAME = Key("intrinsic", "event:name", TEXT)
_LINK_TRACE = Key("intrinsic", "link:traceID", TEXT)
_SCOPE_NAME = Key("intrinsic", "instrumentation:name", TEXT)
_SCOPE_VERSION = Key("intrinsic", "instrumentation:version", TEXT)

_KEYS: dict[tuple[str, str, str], Key] = {}


def _key(scope: str, name: str, type_: str) -> Key:
    """The one object for a key, so that the busiest loop makes none."""
    short = (scope, name, type_)
    found = _KEYS.get(short)
    if found is None:
        if len(_KEYS) > MAX_KEYS:
            _KEYS.clear()
        found = _KEYS[short] = Key(*short)
    return found


def _attributes(scope: str, attributes: Mapping[str, Any], add: Callable[[Key, Indexed], None]) -> None:
    for name, value in attributes.items():
        kind = type(value)
        if kind is str:
            if len(value) <= LONGEST_VALUE:
                add(_key(scope, name, TEXT), value)
            else:
                add(_key(scope, name, OPAQUE), "")
        elif kind is int:
            _number(scope, name, value, add)
        elif kind is list:
            _array(scope, name, value, add)
        else:
            _other(scope, name, value, add)


def _number(scope: str, name: str, value: int, add: Callable[[Key, Indexed], None]) -> None:
    if -(2**63) <= value < 2**63:
        add(_key(scope, name, INT), value)
    else:
        add(_key(scope, name, OPAQUE), "")


def _other(scope: str, name: str, value: Any, add: Callable[[Key, Indexed], None]) -> None:
    if isinstance(value, bool):
        add(_key(scope, name, BOOL), int(value))
    elif isinstance(value, float):
        # SQLite has no NaN.
        add(_key(scope, name, OPAQUE if math.isnan(value) else FLOAT), "" if math.isnan(value) else value)
    else:
        add(_key(scope, name, UNSEARCHED), "")


def _array(scope: str, name: str, values: list[Any], add: Callable[[Key, Indexed], None]) -> None:
    kinds = {type(value) for value in values}
    if len(kinds) != 1 or not kinds <= {str, int, float, bool}:
        add(_key(scope, name, UNSEARCHED), "")
        return
    if len(values) > 100:  # an array of thousands would fill the index with one span
        add(_key(scope, name, OPAQUE), "")
        return
    for value in values:
        _attributes(scope, {name: value}, add)
