"""Which attributes differ between two spans that are one step of two requests, the most telling first.

Ids, sizes and times differ between any two requests and are left out, as is what is equal. Secrets are masked and long
values are told by their length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import re2

from app.analysis import secrets
from app.analysis.secrets import Redactor
from app.traces import semconv
from app.traces.model import Attributes, AttributeValue, Node

_LONGEST = 200
_MOST = 40
_MOST_KEYS = 200
_MOST_ITEMS = 30

# What differs between any two requests and explains nothing.
_RESTLESS = re2.compile(
    r"(?i)(^|[._-])(trace_?id|span_?id|request_?id|x-request-id|correlation_?id|message[._]id|event_?id|decision_?id|thread|pid|"
    r"tid|port|duration(_?ms)?|latency|elapsed|took|time(_?ms)?|timestamp|(issued|created|updated)_?at|size|bytes|length|offset|"
    r"partition|(state|challenge|ticket)_?id|sample(d|r)?|lineno|stacktrace|nonce|etag|date|age|idempotency[_-]?key)([._-]|$)|"
    r"_(ms|ns|us|seconds)$|(session|tab|request|flow)[._]?id$|^http\.resend"
)
_OF_SERVICE = ("service.version", "deployment.environment.name", "deployment.environment", "service.namespace",
               "k8s.namespace.name", "k8s.deployment.name", "k8s.cluster.name", "cloud.region")  # fmt: skip
# What a check answered, rather than what it looked at.
_ANSWER = re2.compile(
    r"(?i)^(auth[nz]?\.(result|decision|failure_reason|reason|outcome|allowed|deny_reason)|error\.type|error(\..+)?|exception\..*|"
    r"http\.(response\.)?status_code|http\.status_text|http\.response\..*|rpc\..*status_code|rpc\..*error.*|grpc\.(status|error).*|"
    r"grpc_status|response_(flags|code.*)|status(\..*)?|.*\.(decision|allowed|result|verdict|outcome|failure_?reason|reason|denied|"
    r"effect)|allowed|decision|reason|result\..*|db\.response\..*|otel\.status.*)$"
)
_GRANTS = re2.compile(
    r"(?i)(^|[._-])(roles?|scopes?|groups?|permissions?|authorities|entitlements?|grants?|capabilities|privileges|scp)$"
)
_PERSON = re2.compile(
    r"(?i)(^|[._-])(user|user_?name|subject|sub|principal|enduser|identity|account|client_?id|session|tenant|email|actor|login)([._-]|$)"
)  # fmt: skip
# How the call came about, rather than what it was about.
_PLUMBING = re2.compile(
    r"(?i)^(server|client|net|network|peer|http|url|rpc|grpc|db|messaging|component|otel|telemetry|method)([._]|$)"
)
_SPLIT = re2.compile(r"[\s,;|]+")
_TOLD = re2.compile(r"^\((text of [\d,]+ characters|[\d,]+ bytes|a mapping)\)$")
_WORDS = re2.compile(r"[A-Za-z0-9]{3,}")
_COMMON = frozenset({"auth", "the", "for", "and", "not", "with", "http", "user", "request", "response", "has", "was", "lacks",
                     "missing", "required", "requires", "denied", "access", "check", "true", "false", "name"})  # fmt: skip

_FIRST, _GRANT, _OWN, _WHO, _REST, _SAID = range(6)


class Difference(msgspec.Struct, frozen=True):
    """One attribute that differs. None: the request does not have it there.

    where:     check, hop, before (an earlier check of both), entry, or service (of the resource that decided).
    is_answer: what the check said, rather than what it looked at.
    by_client: the client writes it, so that it proves nothing by itself.
    lacks:     of a list of roles, scopes or the like, what only the allowed request has; `beyond`: only the denied one.
    telling:   how near it lies to the reason, 0 the nearest.
    """

    attribute: str
    denied: str | None
    allowed: str | None
    where: str
    span_ids: tuple[str, str]
    is_answer: bool = False
    by_client: bool = False
    lacks: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    telling: int = _REST
    quoted: bool = True


def between(pairs: Iterable[tuple[str, Node, Node]], reason: str, clean: Redactor) -> Iterator[Difference]:
    """The attributes that differ over the pairs of spans, each attribute once, the most telling first."""
    found: dict[str, Difference] = {}
    for where, one, other in pairs:
        ours, theirs = one.span.attributes, other.span.attributes
        for key in _keys(ours, theirs):
            if where == "before" and not (_GRANTS.search(key) or _PERSON.search(key)):
                continue
            if key not in found and (made := _difference(key, ours, theirs, where, (one, other), reason, clean)):
                found[key] = made
        if where in ("check", "hop"):
            ours, theirs = one.span.resource.attributes, other.span.resource.attributes
            for key in _OF_SERVICE:
                if key not in found and (made := _difference(key, ours, theirs, "service", (one, other), reason, clean)):
                    found[key] = made
    ordered = sorted(found.values(), key=lambda d: (d.telling, d.by_client, d.attribute))
    yield from ordered[:_MOST]


def _keys(ours: Attributes, theirs: Attributes) -> list[str]:
    either = list(dict.fromkeys((*list(ours)[:_MOST_KEYS], *list(theirs)[:_MOST_KEYS])))
    return [key for key in either if not _RESTLESS.search(key[:256])]


def _difference(
    key: str, ours: Attributes, theirs: Attributes, where: str, nodes: tuple[Node, Node], reason: str, clean: Redactor
) -> Difference | None:
    one, other = ours.get(key), theirs.get(key)
    if _equal(one, other):
        return None
    is_grant = bool(_GRANTS.search(key[:256]))
    mine, yours = (_items(one), _items(other)) if is_grant else ((), ())
    lacks = tuple(item for item in yours if item not in mine)
    beyond = tuple(item for item in mine if item not in yours)
    if is_grant and one is not None and other is not None and not lacks and not beyond:
        return None  # the same in another order
    is_answer = bool(_ANSWER.search(key[:256]))
    return Difference(
        key[:200],
        None if one is None else shown(key, one, clean),
        None if other is None else shown(key, other, clean),
        where,
        (nodes[0].span.span_id, nodes[1].span.span_id),
        is_answer,
        semconv.is_clients(key),
        tuple(shown(key, item, clean) for item in lacks[:_MOST_ITEMS]),
        tuple(shown(key, item, clean) for item in beyond[:_MOST_ITEMS]),
        _SAID if is_answer else _telling(key, one, other, lacks, where, reason),
        isinstance(one if one is not None else other, (str, list)),
    )


def _equal(one: AttributeValue, other: AttributeValue) -> bool:
    """403 and "403" are one value, as rules compare them."""
    if one is None or other is None:
        return one is other
    try:
        return bool(one == other) or (not isinstance(one, dict | list) and _text(one) == _text(other))
    except RecursionError:
        return False


def _text(value: AttributeValue) -> str:
    return "(a mapping)" if isinstance(value, dict) else semconv.text(value)


def _items(value: AttributeValue) -> tuple[str, ...]:
    """What a list of roles or scopes holds, however it is written."""
    if isinstance(value, list):
        return tuple(dict.fromkeys(_text(item)[:_LONGEST] for item in value[:1000]))
    text = _text(value)[:16_384].strip("[](){}")
    return tuple(dict.fromkeys(part.strip("\"'") for part in _SPLIT.split(text) if part.strip("\"'")))


def _telling(key: str, one: AttributeValue, other: AttributeValue, lacks: Sequence[str], where: str, reason: str) -> int:
    said = reason.lower()
    if lacks and any(item.lower() in said for item in lacks if len(item) > 2):
        return _FIRST
    if one is None or other is None or semconv.is_clients(key) or secrets.names_secret(key):
        return _REST  # what is absent may be so because of how far the request came
    if _GRANTS.search(key[:256]):
        return _GRANT
    if said and where in ("check", "hop") and _words(key, one, other) & (set(_WORDS.findall(said)) - _COMMON):
        return _FIRST
    if _PERSON.search(key[:256]):
        return _WHO
    return _OWN if where == "check" and not _PLUMBING.search(key[:256]) else _REST


def _words(key: str, one: AttributeValue, other: AttributeValue) -> set[str]:
    texts = " ".join((key, _text(one)[:_LONGEST], _text(other)[:_LONGEST]))
    return set(_WORDS.findall(texts.lower())) - _COMMON


# ----------------------------------------------------------------------------------------------------------------- shown


def shown(key: str, value: AttributeValue, clean: Redactor) -> str:
    """A value for a person: secrets masked, long ones told by their length."""
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    if isinstance(value, list):
        text = ", ".join(_text(item)[: _LONGEST + 1] for item in value[:_MOST_ITEMS])
        text += ", …" if len(value) > _MOST_ITEMS else ""
    else:
        text = _text(value)
    if not text:
        return ""
    if secrets.names_secret(key):
        return secrets.MASK
    if len(text) > _LONGEST:
        return f"(text of {len(text):,} characters)"
    return clean(text)


def telling(differ: Sequence[Difference]) -> str:
    """The one or two differences that lie nearest to the reason, as part of a sentence; "" where none does."""
    near = [d for d in differ if d.telling == _FIRST] or [d for d in differ if d.telling == _GRANT]
    near = near or [d for d in differ if d.telling == _OWN and not d.by_client] or [d for d in differ if d.telling == _WHO]
    return " and ".join(_told(d) for d in near[:2])


def _told(d: Difference) -> str:
    lacking = ""
    if d.lacks and not d.beyond:
        noun = _noun(d.attribute)
        lacking = f"denied lacks {noun}{'s' if len(d.lacks) > 1 else ''} {', '.join(d.lacks[:4])}: "
    mark = " (written by the client)" if d.by_client else ""
    return f"{lacking}{d.attribute}{mark} {_spelled(d.denied, d.quoted)} against {_spelled(d.allowed, d.quoted)}"


def _noun(key: str) -> str:
    last = key.rpartition(".")[2].lower()
    for word in ("role", "scope", "group", "permission", "entitlement", "grant", "privilege"):
        if word in last:
            return word
    return "authority" if "authorit" in last else "grant"


def _spelled(value: str | None, quoted: bool) -> str:
    if value is None:
        return "(absent)"
    if value == secrets.MASK or _TOLD.search(value):
        return value
    return f'"{value}"' if quoted else value
