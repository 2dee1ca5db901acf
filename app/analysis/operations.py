"""Whether two spans of different requests do the same thing: same service, same kind of span, same operation.

Ids differ between two requests of one route. A path is compared segment by segment, where a segment that looks like an id
fits any other that does, and a template's placeholder fits all.
"""

from __future__ import annotations

import functools
from typing import TypeAlias

import re2

from app.traces import semconv
from app.traces.model import Span

_LONGEST = 1024
_SEGMENTS = 32
# Numbers, hex, UUIDs, and words with a number in them: names of single things rather than of kinds of things.
_ID = re2.compile(r"(?i)^(\d[\w.:~-]*|[0-9a-f]{8,}|[0-9a-f-]{32,36}|[a-z]{1,16}[._:~-]\w*\d[\w.:~-]*|[a-z]+\d[\w.:~-]*)$")
_VERSION = re2.compile(r"(?i)^v\d{1,3}$")
_PLACEHOLDER = re2.compile(r"^(\{.*\}|:.+|<.+>|\[.+\]|\*+)$")
_NUMBERS = re2.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]{16,}|\d+")

Varying: TypeAlias = frozenset[tuple[str, str]]


def same(one: Span, other: Span, varying: Varying = frozenset()) -> bool:
    """Whether two spans do the same operation of the same service, ids aside.

    varying: pairs of segments that are known to be names of what was asked for, such as (anna, bob) of /users/{name}.
    """
    if one.resource.service != other.resource.service or one.kind is not other.kind:
        return False
    ours, theirs = semconv.method(one), semconv.method(other)
    if ours and theirs and ours != theirs:
        return False
    places, others = _places(one), _places(other)
    if places and others:
        return any(same_path(a, b, varying) for a in places for b in others)
    return key(one) == key(other)


def _places(span: Span) -> tuple[str, ...]:
    """The route's template and the path, as far as the span has them: a refusal before routing leaves no template."""
    return tuple(dict.fromkeys(filter(None, (semconv.route(span), semconv.path(span)))))


@functools.lru_cache(maxsize=4096)
def same_path(one: str, other: str, varying: Varying = frozenset()) -> bool:
    """Whether two paths or route templates may be of one route."""
    ours, theirs = _split(one), _split(other)
    return len(ours) == len(theirs) and all(_same_segment(a, b) or (a, b) in varying for a, b in zip(ours, theirs, strict=True))


def varying(one: Span, other: Span) -> Varying:
    """The segments in which the paths of one operation differ: further calls of the two requests differ in them as well."""
    ours, theirs = _split(semconv.path(one)), _split(semconv.path(other))
    return frozenset((a, b) for a, b in zip(ours, theirs, strict=False) if a != b) if len(ours) == len(theirs) else frozenset()


def _split(path: str) -> list[str]:
    return [segment for segment in path[:_LONGEST].split("/") if segment][:_SEGMENTS]


def _same_segment(one: str, other: str) -> bool:
    return one == other or bool(_PLACEHOLDER.search(one) or _PLACEHOLDER.search(other)) or (_is_id(one) and _is_id(other))


def _is_id(segment: str) -> bool:
    return bool(_ID.search(segment)) and not _VERSION.search(segment)


def key(span: Span) -> tuple[str, ...]:
    """What the span does, with ids taken out: spans of one key do the same, and most that do the same have one key."""
    place = semconv.path(span)
    if place:
        segments = ("*" if _is_id(segment) or _PLACEHOLDER.search(segment) else segment for segment in _split(place))
        return semconv.method(span), "/".join(segments)
    if semconv.db_system(span):
        return semconv.db_operation(span), semconv.db_target(span) or semconv.db_namespace(span)
    topic = semconv.destination(span)
    return ("", _NUMBERS.sub("*", topic[:256])) if topic else (_NUMBERS.sub("*", span.name[:256]),)


def shown(span: Span) -> str:
    """The operation for a person: GET /orders/{id}, else the name of the span."""
    method, place = semconv.method(span), semconv.route(span) or semconv.path(span)
    return f"{method} {place[:160]}" if method and place else span.name[:160]


def open_path(path: str) -> tuple[str | None, ...]:
    """The segments of a path, None for those that look like an id: what other requests of the route share."""
    return tuple(None if _is_id(segment) or _PLACEHOLDER.search(segment) else segment for segment in _split(path))
