"""What the store indexes of a span: every attribute and intrinsic that a query may compare, as (key, value) pairs.

A key is a scope, a name and a type, under a small number; the types are kept apart because TraceQL keeps them apart. What
cannot be indexed by value (long text, NaN) is indexed as being there, so that a search still looks at the trace.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
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
    first: int = 2**62
    last: int = -(2**62)


class Keys:
    """The keys known, written by the one writer and read by all."""

    def __init__(self, known: Iterable[tuple[Key, KeyRange]] = ()) -> None:
        self.ranges: dict[Key, KeyRange] = dict(known)
        self.fresh: list[Key] = []
        self._by_number = {known.id: known for known in self.ranges.values()}
        self._next = max(self._by_number, default=OVERFLOW) + 1

    def number(self, key: Key) -> int:
        """The key's number, a new one where it is met first; OVERFLOW where there are too many."""
        known = self.ranges.get(key)
        if known is None:
            if len(self.ranges) >= MAX_KEYS:
                return OVERFLOW
            known = self.ranges[key] = self._by_number[self._next] = KeyRange(self._next)
            self._next += 1
            self.fresh.append(key)
        return known.id

    def seen(self, numbers: Iterable[int], bucket: int) -> None:
        """A trace of that second holds these keys."""
        for number in numbers:
            known = self._by_number.get(number)
            if known is not None:
                known.first = min(known.first, bucket)
                known.last = max(known.last, bucket)

    def find(self, scope: str, name: str, type_: str) -> int | None:
        known = self.ranges.get(Key(scope, name, type_))
        return known.id if known else None


class Indexer:
    """Collects the terms of spans of one trace. `shared` keeps the terms of resources and scopes that many spans share."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        # The busiest loop of the store: numbers are looked up by text alone, without making a Key.
        self._numbers: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        self._shared: dict[tuple[int, int], tuple[Resource, Scope, Terms]] = {}

    def terms(self, spans: Iterable[Span], bucket: int) -> Terms:
        out: Terms = set()
        for span in spans:
            out |= self._surroundings(span)
            self._attributes("span", span.attributes, out)
            self._add("intrinsic", "name", TEXT, span.name[:LONGEST_VALUE], out)
            self._add("intrinsic", "status", INT, span.status.value, out)
            self._add("intrinsic", "kind", INT, span.kind.value, out)
            if span.status_message:
                self._add("intrinsic", "statusMessage", TEXT, span.status_message[:LONGEST_VALUE], out)
            for event in span.events:
                self._add("intrinsic", "event:name", TEXT, event.name[:LONGEST_VALUE], out)
                self._attributes("event", event.attributes, out)
            for link in span.links:
                self._add("intrinsic", "link:traceID", TEXT, link.trace_id.lstrip("0"), out)  # as TraceQL compares it
                self._attributes("link", link.attributes, out)
        self._keys.seen({number for number, _ in out}, bucket)
        return out

    def _surroundings(self, span: Span) -> Terms:
        # The objects are kept with their terms: an id alone could come back with another object.
        place = (id(span.resource), id(span.scope))
        known = self._shared.get(place)
        if known is None:
            found: Terms = set()
            self._attributes("resource", span.resource.attributes, found)
            self._attributes("instrumentation", span.scope.attributes, found)
            self._add("intrinsic", "instrumentation:name", TEXT, span.scope.name[:LONGEST_VALUE], found)
            self._add("intrinsic", "instrumentation:version", TEXT, span.scope.version[:LONGEST_VALUE], found)
            if len(self._shared) > 1000:
                self._shared.clear()
            known = self._shared[place] = (span.resource, span.scope, found)
        return known[2]

    def _add(self, scope: str, name: str, type_: str, value: Indexed, out: Terms) -> None:
        # Intrinsics arrive here cut, not left out, where they are long: a search compares the cut text, then the whole.
        numbers = self._numbers[scope, type_]
        number = numbers.get(name)
        if number is None:
            number = self._keys.number(Key(scope, name, type_))
            if number == OVERFLOW:
                out.add((OVERFLOW, ""))
                return
            numbers[name] = number
        out.add((number, value))

    def _attributes(self, scope: str, attributes: Mapping[str, Any], out: Terms) -> None:
        texts = self._numbers[scope, TEXT]
        for name, value in attributes.items():
            if type(value) is str and len(value) <= LONGEST_VALUE and name in texts:
                out.add((texts[name], value))  # most are this
            elif type(value) is list:
                self._array(scope, name, value, out)
            else:
                self._add(scope, name, *_indexed(value), out)

    def _array(self, scope: str, name: str, values: list[Any], out: Terms) -> None:
        kinds = {type(value) for value in values}
        if len(kinds) != 1 or not kinds <= {str, int, float, bool}:
            self._add(scope, name, UNSEARCHED, "", out)
        elif len(values) > 100:  # an array of thousands would fill the index with one span
            self._add(scope, name, OPAQUE, "", out)
        else:
            for value in values:
                self._add(scope, name, *_indexed(value), out)


def _indexed(value: Any) -> tuple[str, Indexed]:
    """The type and the value that the index keeps of a value."""
    if isinstance(value, str):
        return (TEXT, value) if len(value) <= LONGEST_VALUE else (OPAQUE, "")
    if isinstance(value, bool):
        return BOOL, int(value)
    if isinstance(value, int):
        return (INT, value) if -(2**63) <= value < 2**63 else (OPAQUE, "")
    if isinstance(value, float):
        return (OPAQUE, "") if math.isnan(value) else (FLOAT, value)  # SQLite has no NaN
    return UNSEARCHED, ""
