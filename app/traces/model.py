"""A trace as Clew holds it: spans as they were sent, and the tree they form.

Spans are never altered. What repair found out (corrected times, a guessed parent, defects) stands on the `Node` around a
span and on the `Trace`, so that a page can show both the record and the reading of it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

import msgspec

from app.times import Nanos, UnixNanos

# What OTLP's AnyValue can hold once decoded. Lists and dicts nest.
AttributeValue: TypeAlias = "str | bool | int | float | bytes | list[Any] | dict[str, Any] | None"
Attributes: TypeAlias = Mapping[str, AttributeValue]


class SpanKind(enum.IntEnum):
    """The numbers of OTLP."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Status(enum.IntEnum):
    """The numbers of OTLP. A SERVER span that answers 4xx stays UNSET by specification."""

    UNSET = 0
    OK = 1
    ERROR = 2


class Resource(msgspec.Struct, frozen=True, eq=False):
    """Who emitted a span: one object shared by all spans of the same resource. `service` is never empty."""

    service: str
    attributes: Attributes


class Scope(msgspec.Struct, frozen=True, eq=False):
    """The instrumentation library that made a span; one shared object per library."""

    name: str
    version: str
    attributes: Attributes


class Event(msgspec.Struct, frozen=True, eq=False, gc=False):
    name: str
    time_ns: UnixNanos
    attributes: Attributes


class Link(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A pointer to a span of this or another trace; ids in lower-case hex."""

    trace_id: str
    span_id: str
    attributes: Attributes


class Span(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One span exactly as it was sent.

    Units: times in Unix nanoseconds by the emitter's clock, uncorrected.
    Ids:   lower-case hex, 32 and 16 digits; `parent_id` is "" for a root.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: SpanKind
    start_ns: UnixNanos
    end_ns: UnixNanos
    attributes: Attributes
    resource: Resource
    scope: Scope
    status: Status = Status.UNSET
    status_message: str = ""
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    trace_state: str = ""
    flags: int = 0
    dropped_attributes: int = 0
    dropped_events: int = 0
    dropped_links: int = 0

    @property
    def service(self) -> str:
        return self.resource.service

    @property
    def duration_ns(self) -> Nanos:
        """Never negative: an end before its start is a defect that `Trace.defects` lists."""
        return Nanos(max(0, self.end_ns - self.start_ns))


class DefectKind(enum.StrEnum):
    """What can be wrong with the data of a trace. Where the name is a finding's kind, the verdict repeats it."""

    DUPLICATE_SPANS = "duplicate_spans"
    ORPHAN_SPANS = "orphan_spans"
    PARENT_CYCLE = "parent_cycle"
    MULTIPLE_ROOTS = "multiple_roots"
    CLOCK_SKEW = "clock_skew"
    BROKEN_TIMESTAMPS = "broken_timestamps"
    TRUNCATED_TRACE = "truncated_trace"
    INVALID_IDS = "invalid_ids"  # empty or unreadable ids; such spans are kept under a made-up id
    FOREIGN_SPANS = "foreign_spans"  # spans of another trace id in the same input, left out


class Defect(msgspec.Struct, frozen=True):
    """One thing wrong with the data: a sentence, and the spans it is about (at most the first hundred)."""

    kind: DefectKind
    detail: str
    span_ids: tuple[str, ...] = ()
    count: int = 1
    skew_ns: Nanos = Nanos(0)  # CLOCK_SKEW only: how far the child's clock is ahead (positive) or behind


# Most spans have none. A list of its own for each is a tenth of a trace's memory, and work for the collector of cycles;
# a tuple, so that whoever would add to it meets an error.
_NO_CHILDREN = cast("list[Node]", ())


class Node:
    """A span in its tree. Mutable while `build` works, read-only afterwards.

    start_ns, end_ns: skew-corrected Unix nanoseconds; use these for any comparison between services.
    shift_ns:         what the correction added to the span's own times.
    lost_parent:      True where `span.parent_id` names a span that is not here (the node then is a root).
    """

    __slots__ = ("children", "depth", "end_ns", "index", "lost_parent", "parent", "shift_ns", "span", "start_ns")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.parent: Node | None = None
        self.children: list[Node] = _NO_CHILDREN
        self.start_ns: int = span.start_ns
        self.end_ns: int = span.end_ns if span.end_ns > span.start_ns else span.start_ns
        self.shift_ns: int = 0
        self.depth: int = 0
        self.index: int = 0
        self.lost_parent: bool = False

    @property
    def service(self) -> str:
        return self.span.resource.service

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns

    def ancestors(self) -> Iterator[Node]:
        """From the parent upwards; the node itself is not among them."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents before children, siblings by start. Iterative: depth is the sender's."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def __repr__(self) -> str:
        return f"<Node {self.service} {self.span.name!r} {self.span.span_id}>"


class Trace:
    """A repaired trace.

    nodes:   every kept span once, parents before children, siblings by corrected start.
    as_sent: the same in the order sent, which is also that of memory: for whoever looks at each span by itself.
    roots:   nodes without a parent here, the entry first; orphans are among them with `lost_parent`.
    by_id:   span id to node. Where a client and a server span share one id (Zipkin style), the server's node.
    partial: the backend itself said that spans are missing; `partial_note` in its words.
    """

    __slots__ = ("as_sent", "by_id", "defects", "nodes", "partial", "partial_note", "roots", "trace_id")

    def __init__(self, trace_id: str, nodes: list[Node], roots: list[Node], defects: tuple[Defect, ...],
                 *, as_sent: list[Node], partial: bool = False, partial_note: str = "") -> None:  # fmt: skip
        self.trace_id = trace_id
        self.nodes = nodes
        self.as_sent = as_sent
        self.roots = roots
        self.defects = defects
        self.partial = partial
        self.partial_note = partial_note
        self.by_id: dict[str, Node] = {node.span.span_id: node for node in as_sent}
        if len(self.by_id) < len(nodes):
            self.by_id.update((node.span.span_id, node) for node in reversed(nodes))
            self.by_id.update((node.span.span_id, node) for node in nodes if node.span.kind is SpanKind.SERVER)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def services(self) -> list[str]:
        """Service names in the order met."""
        return list(dict.fromkeys(node.span.resource.service for node in self.nodes))

    @property
    def start_ns(self) -> int:
        """The earliest plausible start; spans with a broken time of zero do not count while others have one."""
        return min((n.start_ns for n in self.nodes if n.start_ns > 0), default=0)

    @property
    def end_ns(self) -> int:
        return max((n.end_ns for n in self.nodes), default=0)

    @property
    def duration_ns(self) -> int:
        return max(0, self.end_ns - self.start_ns)
