"""Draw a trace as text, so that a test reads aloud.

    gateway: GET /api/orders/7  403
      gateway: auth.token_validate  auth=passed
      gateway: > GET http://orders:8080/orders/7  403
        orders: GET /orders/7  403
          orders: auth.permission_check  auth=refused because="missing role orders:read"  @check

One line is one span: its service, its name, then after two blanks what else is known, in any order:

    GET /path             a SERVER span; `> GET url` a CLIENT span; `= service/Method` and `> service/Method` the same for gRPC
    SELECT t, INSERT t    a CLIENT span to PostgreSQL; `send topic` a PRODUCER, `receive topic` a CONSUMER; others INTERNAL
    403  or  7            the HTTP status, for gRPC its code
    0-120ms               start and end; without them a span follows its elder sibling, and a parent spans its children
    later=900             it starts so many ms after its parent has ended; `beside`: together with its elder sibling
    auth=refused|passed   auth.result, with because="..." as auth.failure_reason
    error  error="text"   status ERROR, with a message;  raises=Class:text  an exception event
    event=NAME:key=value,key=value
    kind=client scope=... parent=tag link=tag drop twice key=value @tag
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass, field
from typing import Any

from app.analysis.examine import Context, examine
from app.analysis.rulebook import RuleBook
from app.analysis.verdict import Verdict
from app.times import MILLISECOND, UnixNanos
from app.traces.build import build
from app.traces.model import Event, Link, Resource, Scope, Span, SpanKind, Status, Trace
from app.traces.otlp import Decoded

BASE = 1_790_000_000_000_000_000
TRACE_ID = "5bd66ef5095369c7b0d1f8f4bd33716a"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_SQL = {"SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT", "ROLLBACK", "MERGE", "TRUNCATE", "WITH", "CALL", "GRANT"}
_TIMES = re.compile(r"(-?[\d.]+)-(-?[\d.]+)(?:ms)?")


@dataclass
class _Drawn:
    service: str
    name: str
    depth: int
    kind: SpanKind = SpanKind.INTERNAL
    attributes: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)
    scope: str = ""
    status: Status = Status.UNSET
    message: str = ""
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tag: str = ""
    parent_tag: str = ""
    times: tuple[float, float] | None = None
    later: float | None = None
    beside: bool = False
    drop: bool = False
    twice: bool = False
    children: list[_Drawn] = field(default_factory=list)
    parent: _Drawn | None = None
    start: float = 0.0
    end: float = 0.0
    skew: float = 0.0
    number: int = 0

    @property
    def span_id(self) -> str:
        return hashlib.sha256(f"{self.tag or self.number}".encode()).hexdigest()[:16]


class Judged:
    """A drawn trace and its verdict; spans are named by their tags."""

    def __init__(self, trace: Trace, verdict: Verdict, tags: dict[str, str]) -> None:
        self.trace = trace
        self.verdict = verdict
        self.tags = tags
        self._names = {span_id: tag for tag, span_id in tags.items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.verdict, name)

    @property
    def origin(self) -> str | None:
        """The tag of the deciding span; its id where it has no tag."""
        span_id = self.verdict.span_id
        return self._names.get(span_id, span_id) if span_id else None

    @property
    def kinds(self) -> set[str]:
        return {finding.kind.value for finding in self.verdict.findings}

    @property
    def effects(self) -> set[tuple[str, str]]:
        return {(effect.kind.value, effect.when.value) for effect in self.verdict.side_effects}

    @property
    def met(self) -> set[tuple[str, str]]:
        return {(entry.layer.value, entry.decision.value) for entry in self.verdict.layers}


def judged(text: str, *, rules: RuleBook | None = None, partial: bool = False, **context: Any) -> Judged:
    """Draw a trace and judge it. Further keywords are those of Context."""
    spans = _spans(text)
    trace = build(Decoded(_encoded(spans), partial=partial))
    verdict = examine(trace, rules=rules, context=Context(**context) if context else None)
    return Judged(trace, verdict, {span.tag: span.span_id for span in spans if span.tag})


def draw(text: str) -> Trace:
    """The drawn trace, repaired."""
    return build(Decoded(spans_of(text)))


def spans_of(text: str) -> list[Span]:
    """The drawn spans as they would be sent."""
    return _encoded(_spans(text))


def tagged(text: str) -> dict[str, str]:
    """Tag to span id."""
    return {span.tag: span.span_id for span in _spans(text) if span.tag}


# ------------------------------------------------------------------------------------------------------------ reading


def _spans(text: str) -> list[_Drawn]:
    drawn: list[_Drawn] = []
    stack: list[_Drawn] = []
    roots: list[_Drawn] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        span = _line(line)
        span.number = len(drawn)
        while stack and stack[-1].depth >= span.depth:
            stack.pop()
        if stack:
            span.parent = stack[-1]
            stack[-1].children.append(span)
        else:
            roots.append(span)
        stack.append(span)
        drawn.append(span)
    for number, root in enumerate(roots):
        _place(root, number * 3.0)
    return drawn


def _line(line: str) -> _Drawn:
    body = line.strip()
    service, _, rest = body.partition(": ")
    name, *more = re.split(r"\s{2,}", rest.strip())
    span = _Drawn(service.strip(), name, len(line) - len(line.lstrip()))
    _shape(span)
    for word in shlex.split(" ".join(more)):
        _word(span, word)
    return span


def _shape(span: _Drawn) -> None:
    """Kind and attributes from the name, as the conventions have it."""
    first, _, rest = span.name.partition(" ")
    if first == ">" or first == "=":
        span.kind = SpanKind.CLIENT if first == ">" else SpanKind.SERVER
        method, _, url = rest.partition(" ")
        if method in _METHODS:
            span.name = method
            span.attributes |= {"http.request.method": method, "url.full": url}
            host = re.match(r"\w+://([^/:]+)", url)
            if host:
                span.attributes["server.address"] = host[1]
        else:
            span.name = rest
            span.attributes |= {"rpc.system": "grpc", "rpc.method": rest}
    elif first in _METHODS and re.fullmatch(r"/\S*|", rest):
        span.kind = SpanKind.SERVER
        span.attributes |= {"http.request.method": first, **({"url.path": rest} if rest else {})}
    elif first in _SQL:
        span.kind = SpanKind.CLIENT
        span.attributes |= {"db.system.name": "postgresql", "db.namespace": "shop", "db.operation.name": first}
        if rest:
            span.attributes["db.collection.name"] = rest
    elif first in ("send", "receive") and rest:
        span.kind = SpanKind.PRODUCER if first == "send" else SpanKind.CONSUMER
        operation = "send" if first == "send" else "process"
        span.attributes |= {"messaging.system": "kafka", "messaging.destination.name": rest,
                            "messaging.operation.type": operation}  # fmt: skip


def _word(span: _Drawn, word: str) -> None:
    times = _TIMES.fullmatch(word)
    key, equals, value = word.partition("=")
    if word.startswith("@"):
        span.tag = word[1:]
    elif times and (word.endswith("ms") or "rpc.system" not in span.attributes):
        span.times = float(times[1]), float(times[2])
    elif word.isdigit():
        is_rpc = "rpc.system" in span.attributes
        span.attributes["rpc.grpc.status_code" if is_rpc else "http.response.status_code"] = int(word)
        if span.kind is SpanKind.CLIENT and int(word) >= (1 if is_rpc else 400):
            span.status = Status.ERROR
    elif key == "error":
        span.status, span.message = Status.ERROR, value
    elif word in ("beside", "drop", "twice"):
        setattr(span, word, True)
    elif not equals:
        raise ValueError(f"nothing is called {word!r} in a drawing")
    else:
        _keyed(span, key, value)


def _keyed(span: _Drawn, key: str, value: str) -> None:
    if key == "auth":
        span.attributes["auth.result"] = {"refused": "failure", "passed": "success"}[value]
    elif key == "because":
        span.attributes["auth.failure_reason"] = value
    elif key == "raises":
        kind, _, message = value.partition(":")
        span.events.append(("exception", {"exception.type": kind.replace("|", ":"), "exception.message": message}))
    elif key == "event":
        name, _, pairs = value.partition(":")
        span.events.append((name, dict(pair.split("=", 1) for pair in pairs.split(",") if pair)))
    elif key == "kind":
        span.kind = SpanKind[value.upper()]
    elif key == "status" and value.upper() in Status.__members__:
        span.status = Status[value.upper()]
    elif key == "message":
        span.message = value
    elif key == "scope":
        span.scope = value
    elif key == "later":
        span.later = float(value)
    elif key == "skew":
        span.skew = float(value)
    elif key == "parent":
        span.parent_tag = value
    elif key == "link":
        span.links.append(value)
    elif key.startswith("resource."):
        span.resource[key.removeprefix("resource.")] = value
    else:
        if key == "db.system":
            span.attributes.pop("db.system.name", None)
        span.attributes[key] = _value(value)


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("[") and text.endswith("]"):
        return [item.strip() for item in text[1:-1].split(",") if item.strip()]
    return text


# ------------------------------------------------------------------------------------------------------------ placing


def _place(span: _Drawn, at: float) -> None:
    """Times for a span and what lies under it; drawings are shallow, so recursion will do."""
    span.start = span.times[0] if span.times else at
    cursor = begun = span.start + 0.5
    for child in span.children:
        if child.later is None:
            begun = begun + 0.1 if child.beside else cursor
            _place(child, begun)
            cursor = max(cursor, child.end + 0.5)
    span.end = span.times[1] if span.times else (cursor if span.children else span.start + 2.0)
    for child in span.children:
        if child.later is not None:
            _place(child, span.end + child.later)


def _encoded(drawn: list[_Drawn]) -> list[Span]:
    resources: dict[str, Resource] = {}
    scopes: dict[str, Scope] = {}
    tags = {span.tag: span.span_id for span in drawn if span.tag}
    out = []
    for span in drawn:
        if span.drop:
            continue
        resource = resources.setdefault(
            f"{span.service}{sorted(span.resource.items())}",
            Resource(span.service, {"service.name": span.service, **span.resource}),
        )
        scope = scopes.setdefault(span.scope, Scope(span.scope, "", {}))
        start, end = (UnixNanos(BASE + int((t + span.skew) * MILLISECOND)) for t in (span.start, span.end))
        parent = tags.get(span.parent_tag, span.parent_tag) or (span.parent.span_id if span.parent else "")
        encoded = Span(
            TRACE_ID, span.span_id, parent, span.name, span.kind, start, end, span.attributes, resource, scope, span.status,
            span.message, tuple(Event(name, UnixNanos(end), attributes) for name, attributes in span.events),
            tuple(Link(TRACE_ID, tags.get(link, link), {}) for link in span.links),
        )  # fmt: skip
        out.extend([encoded, encoded] if span.twice else [encoded])
    return out
