"""Which attributes there are, and which values they have. Lists are samples, as Tempo's are: long values are left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.embedded.plan import distinct_values
from app.embedded.reader import EVER, Reader, Window
from app.embedded.search import Deadline, Inspected, matching
from app.embedded.terms import BOOL, FLOAT, INT, TEXT, Indexed
from app.embedded.wire import without_zeros
from app.times import SECOND
from app.traceql.lexer import TraceQLError, tokens
from app.traceql.match import Matcher
from app.traceql.nodes import Field, Intrinsic, Query, Scope
from app.traceql.values import Value, encode, type_of
from app.traces.model import Span, SpanKind, Status

MOST_VALUES = 10_000
MOST_TRACES = 2_000  # that a filtered list looks at

SCOPES = ("event", "link", "resource", "span", "instrumentation")
INTRINSICS = [
    "duration", "event:name", "event:timeSinceStart", "instrumentation:name", "instrumentation:version", "kind",
    "link:spanID", "link:traceID", "name", "rootName", "rootServiceName", "span:duration", "span:id", "span:kind", "span:name",
    "span:parentID", "span:status", "span:statusMessage", "status", "statusMessage", "trace:duration", "trace:id",
    "trace:rootName", "trace:rootService", "traceDuration",
]  # fmt: skip
_TYPE_NAMES = {TEXT: "string", INT: "int", FLOAT: "float", BOOL: "bool"}


def field(name: str) -> Field:
    """The attribute or intrinsic of a tag's name. Errors: TraceQLError."""
    found = list(tokens(name))
    if len(found) != 1 or found[0].type != "FIELD":
        raise TraceQLError(f"{name[:80]!r} is not the name of a tag, such as span.http.method or resource.service.name")
    value: Field = found[0].value
    return value


def names(reader: Reader, window: Window = EVER) -> dict[str, list[str]]:
    """Names of attributes by scope."""
    out: dict[str, set[str]] = {scope: set() for scope in SCOPES}
    first, last = window.start_ns // SECOND - 1, window.end_ns // SECOND + 1
    for key, known in list(reader.keys.ranges.items()):
        if key.scope in out and (window is EVER or (known.first <= last and known.last >= first)):
            out[key.scope].add(key.name)
    return {scope: sorted(found) for scope, found in out.items() if found}


def names_where(reader: Reader, query: Query, window: Window, deadline: Deadline) -> dict[str, list[str]]:
    """Names of attributes of the spans that match, by scope; of the newest MOST_TRACES traces."""
    out: dict[str, set[str]] = {scope: set() for scope in SCOPES}
    for span in _matched(reader, query, window, deadline):
        out["span"].update(span.attributes)
        out["resource"].update(span.resource.attributes)
        out["instrumentation"].update(span.scope.attributes)
        for event in span.events:
            out["event"].update(event.attributes)
        for link in span.links:
            out["link"].update(link.attributes)
    return {scope: sorted(found) for scope, found in out.items() if found}


def _matched(reader: Reader, query: Query, window: Window, deadline: Deadline) -> Iterator[Span]:
    seen = 0
    with reader.snapshot():
        for _, spansets in matching(reader, Matcher(query), window, deadline, Inspected()):
            for one in spansets:
                yield from (row.span for row in one.rows)
            seen += 1
            if seen >= MOST_TRACES:
                return


def values(reader: Reader, wanted: Field, window: Window = EVER, limit: int = MOST_VALUES) -> list[dict[str, str]]:
    """Values as Tempo lists them: typed, as text."""
    if isinstance(wanted, Intrinsic):
        return _intrinsic_values(reader, wanted, window, limit)
    scopes = SCOPES if wanted.scope is Scope.ANY else (wanted.scope.value,)
    found: dict[tuple[str, str], None] = {}
    with reader.snapshot():
        for scope in scopes:
            for type_, name in _TYPE_NAMES.items():
                for value in _indexed(reader, scope, wanted.name, type_, window):
                    found[name, _text(type_, value)] = None
                    if len(found) >= limit:
                        return _listed(found)
    return _listed(found)


def _listed(found: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [without_zeros(type=name, value=value) for name, value in found]


def _indexed(reader: Reader, scope: str, name: str, type_: str, window: Window) -> Iterator[Indexed]:
    key = reader.keys.find(scope, name, type_)
    if key is None:
        return
    probe = "SELECT 1 FROM postings WHERE key = ? AND value = ? AND bucket BETWEEN ? AND ? LIMIT 1"
    first, last = window.start_ns // SECOND, window.end_ns // SECOND
    for value in distinct_values(reader.db, key):
        if window is EVER or reader.db.execute(probe, (key, value, first, last)).fetchone():
            yield value


def _text(type_: str, value: Indexed) -> str:
    if type_ == BOOL:
        return "true" if value else "false"
    return encode(value)


def _intrinsic_values(reader: Reader, wanted: Intrinsic, window: Window, limit: int) -> list[dict[str, str]]:
    known = _KEYWORDS.get(wanted)
    if known is not None:
        return [{"type": "keyword", "value": value} for value in known]
    if wanted in (Intrinsic.ROOT_NAME, Intrinsic.ROOT_SERVICE):
        column = "root_name" if wanted is Intrinsic.ROOT_NAME else "root_service"
        query = f"SELECT DISTINCT {column} FROM traces WHERE {column} IS NOT NULL AND start_ns <= ? AND end_ns >= ? LIMIT ?"  # noqa: S608
        rows = reader.db.execute(query, (window.end_ns, window.start_ns, limit))
        return _listed(("string", row[0]) for row in rows)
    found = []
    with reader.snapshot():
        for value in _indexed(reader, "intrinsic", wanted.value, TEXT, window):
            found.append(("string", str(value)))
            if len(found) >= limit:
                break
    return _listed(found)


# In Tempo's order; lists of these are the same whatever was received.
_KEYWORDS = {
    Intrinsic.STATUS: [status.name.lower() for status in (Status.UNSET, Status.OK, Status.ERROR)],
    Intrinsic.KIND: [kind.name.lower() for kind in SpanKind],
}


def values_where(
    reader: Reader, wanted: Field, query: Query, window: Window, deadline: Deadline, limit: int = MOST_VALUES
) -> list[dict[str, str]]:
    """Values on the spans that match, of the newest MOST_TRACES traces."""
    if wanted in _KEYWORDS:
        return _intrinsic_values(reader, wanted, window, limit)
    matcher = Matcher(query, also_read=(wanted,))
    found: dict[tuple[str, str], None] = {}
    seen = 0
    with reader.snapshot():
        for _, spansets in matching(reader, matcher, window, deadline, Inspected()):
            for one in spansets:
                for row in one.rows:
                    for value in _flat(matcher.completed(row).read(wanted)):
                        found[type_of(value).value, encode(value)] = None
            seen += 1
            if seen >= MOST_TRACES or len(found) >= limit:
                break
    return _listed((_NAMED.get(name, name), value) for name, value in list(found)[:limit])


_NAMED = {"boolean": "bool", "status": "keyword", "kind": "keyword"}


def _flat(value: Value) -> Iterable[Value]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)
