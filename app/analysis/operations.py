"""Whether two spans of different requests do the same thing: same service, same kind of call, same operation.

Ids differ between two requests of one route. A path is compared segment by segment, where a segment that looks like an id
fits any other that does, and a template's placeholder fits all.
"""

from __future__ import annotations

import functools

import re2

from app.traces import semconv
from app.traces.model import Span

_LONGEST = 1024
_SEGMENTS = 32
# Numbers, hex, UUIDs, and words with a number in them: names of things rather than of kinds of things.
_ID = re2.compile(r"(?i)^(\d+|[0-9a-f]{8,}|[0-9a-f-]{32,36}|[a-z]{0,16}[._:~-]?\d[\w.:~-]*|[A-Z0-9]{20,})$")
_VERSION = re2.compile(r"(?i)^v\d{1,3}$")
_PLACEHOLDER = re2.compile(r"^(\{.*\}|:.+|<.+>|\[.+\]|\*+)$")
_NUMBER_IN_NAME = re2.compile(r"[0-9a-fA-F-]{32,36}|\d+")


def same(one: Span, other: Span) -> bool:
    """Whether two spans of one service do the same operation, ids aside."""
    if one.resource.service != other.resource.service or one.kind is not other.kind:
        return False
    if semconv.method(one) != semconv.method(other) and semconv.method(one) and semconv.method(other):
        return False
    places = _places(one), _places(other)
    if places[0] and places[1]:
        return any(same_path(a, b) for a in places[0] for b in places[1])
    return name(one) == name(other)


def _places(span: Span) -> tuple[str, ...]:
    """The route's template and the path, as far as the span has them: a refusal before routing leaves no template."""
    return tuple(dict.fromkeys(filter(None, (semconv.route(span), semconv.path(span)))))


@functools.lru_cache(maxsize=4096)
def same_path(one: str, other: str) -> bool:
    """Whether two paths or route templates may be one route."""
    ours, theirs = _split(one), _split(other)
    return len(ours) == len(theirs) and all(_same_segment(a, b) for a, b in zip(ours, theirs, strict=True))


def _split(path: str) -> list[str]:
    return [segment for segment in path[:_LONGEST].split("/") if segment][:_SEGMENTS]


def _same_segment(one: str, other: str) -> bool:
    if one == other or _PLACEHOLDER.search(one) or _PLACEHOLDER.search(other):
        return True
    return _is_id(one) and _is_id(other)


def _is_id(segment: str) -> bool:
    return bool(_ID.search(segment)) and not _VERSION.search(segment)


def name(span: Span) -> str:
    """The operation as the span names it, with ids taken out."""
    attributes = span.attributes
    if semconv.rpc_system(span):
        called = f"{semconv.rpc_service(span)}/{semconv.rpc_method(span)}"
        return called if called != "/" else _plain(span.name)
    if semconv.db_system(span):
        return f"{semconv.db_operation(span)} {semconv.db_target(span) or semconv.db_namespace(span)}"[:256]
    topic = semconv.destination(span)
    if topic:
        return f"{semconv.first_text(attributes, semconv.ALIASES['messaging.operation'])} {_plain(topic)}"
    return _plain(span.name)


def _plain(text: str) -> str:
    return str(_NUMBER_IN_NAME.sub("*", text[:256]))


def shown(span: Span) -> str:
    """The operation for a person: GET /orders/{id}, the call's or the check's name."""
    method, place = semconv.method(span), semconv.route(span) or semconv.path(span)
    if method and place:
        return f"{method} {place[:160]}"
    return span.name[:160]
