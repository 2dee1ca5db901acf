"""What a request changed or sent, read off its outgoing spans.

Whether a change came before or after a refusal is judged elsewhere; this file knows one span at a time.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec
import re2

from app.analysis import peers, rulebook, ruletext
from app.analysis.peers import Peer
from app.analysis.verdict import EffectKind
from app.traces import semconv
from app.traces.model import Span, SpanKind, Status

_SEARCH = frozenset({"elasticsearch", "opensearch"})
_CACHES = frozenset({"redis", "valkey", "memcached", "keydb", "dragonfly"})
_CACHE_COMMANDS = frozenset({"SET", "DELETE", "ADD", "REPLACE", "APPEND", "INCR", "DECR"})


_SERVER, _CONSUMER, _INTERNAL, _ERROR = SpanKind.SERVER, SpanKind.CONSUMER, SpanKind.INTERNAL, Status.ERROR


class Change(msgspec.Struct, frozen=True):
    """One change: what kind, to what, by which verb.

    bookkeeping: counters, sessions, caches: shown, but no finding.
    undoes:      it takes an earlier change back.
    """

    kind: EffectKind
    target: str
    verb: str
    bookkeeping: bool = False
    undoes: bool = False


class _Words:
    """The word lists of rules/effects.yaml, compiled."""

    def __init__(self) -> None:
        raw = ruletext.load(rulebook.data("effects.yaml"), "effects.yaml")
        for key, value in raw.items():
            if isinstance(value, list):
                setattr(self, key, frozenset(str(item) for item in value))
            elif key != "about":
                setattr(self, key, re2.compile(str(value)))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"effects.yaml has no {name}")


@functools.cache
def words() -> _Words:
    return _Words()


def change(span: Span) -> Change | None:
    """The change a span made, or None where it read, failed, or is no outgoing operation."""
    kind = span.kind
    if kind is _SERVER or kind is _CONSUMER or span.status is _ERROR:
        return None
    if kind is _INTERNAL and not _worth_a_look(span):
        return None
    attributes = span.attributes
    if (attributes.get("http.request.method") or attributes.get("http.method")) == "GET" and not semconv.db_system(span):
        return None
    found = _change(span)
    return None if found is None else _marked(found)


def _worth_a_look(span: Span) -> bool:
    attributes = span.attributes
    return "db.system" in attributes or "db.system.name" in attributes or span.name.startswith("fs")


def is_rollback(span: Span) -> bool:
    """Whether the span takes its transaction's writes back."""
    return semconv.db_system(span) != "" and semconv.db_operation(span) in ("ROLLBACK", "ABORT")


def was_rolled_back(span: Span) -> bool:
    """Whether the span is a connection's whole use, and what was written on it was taken back before it ended."""
    names = [event.name.lower() for event in span.events[:64]]
    return "rollback" in names and "commit" not in names[names.index("rollback") :] and semconv.db_system(span) != ""


def _marked(found: Change) -> Change:
    known = words()
    if known.audit.search(found.target[:512]):
        return msgspec.structs.replace(found, kind=EffectKind.AUDIT)
    if known.undo.search(f"{found.verb} {found.target}"[:512]):
        return msgspec.structs.replace(found, undoes=True)
    return found


def _change(span: Span) -> Change | None:
    system = semconv.db_system(span)
    if system:
        return _database(span, system)
    rpc = semconv.rpc_system(span)
    if rpc == "aws-api" and span.kind == SpanKind.CLIENT:
        return _cloud(span)  # some name the queue's system as well, but no operation
    if semconv.messaging_system(span) or span.kind == SpanKind.PRODUCER:
        return _message(span)
    if span.kind == SpanKind.CLIENT and semconv.method(span):
        return _http(span)
    if rpc and span.kind == SpanKind.CLIENT:
        return _rpc(span)
    if words().file_writes.search(span.name[:64]):
        return Change(EffectKind.OBJECT_WRITE, span.name[:200], "write")
    return _mail(span) if span.kind == SpanKind.CLIENT else None


# ---------------------------------------------------------------------------------------------------------- databases

# pgx prepares a statement in a span of its own that carries the statement's verb; what it does is in another span.
_PREPARED = "pgx.prepare_stmt.name"


def _database(span: Span, system: str) -> Change | None:
    known = words()
    verb = semconv.db_operation(span)
    if _PREPARED in span.attributes:
        return None
    if system in _CACHES:
        return _cache(span, verb)
    text = semconv.first_text(span.attributes, semconv.ALIASES["db.query"])[:8192]
    if verb == "SELECT" and not _writes_within(text):
        return None
    target = semconv.db_target(span) or _table(text) or semconv.db_namespace(span) or system
    if system in ("mongodb", "cosmosdb", "couchbase"):
        wrote = verb.replace("_", "") in known.mongo_writes or (verb == "AGGREGATE" and known.mongo_hidden_writes.search(text))
        return Change(EffectKind.DB_WRITE, target[:200], verb) if wrote else None
    if system in _SEARCH:
        return _index(span, verb, target)
    if system == "dynamodb":
        return Change(EffectKind.DB_WRITE, target[:200], verb) if known.aws_writes.search(verb.title()) else None
    if verb in known.sql_writes:
        if verb == "COPY" and " from " not in text.lower() and text:
            return None
        # Counting failed log-ins is how a user table records a refusal.
        kind = EffectKind.AUDIT if verb == "UPDATE" and known.audit_text.search(text) else EffectKind.DB_WRITE
        return Change(kind, target[:200], verb)
    if verb in ("WITH", "SELECT", "TABLE", "QUERY", "") and _writes_within(text):
        return Change(EffectKind.DB_WRITE, target[:200], verb or "write")
    return None


@functools.lru_cache(maxsize=8192)
def _writes_within(text: str) -> bool:
    """Whether a query that begins like a read writes all the same: WITH ... DELETE, SELECT INTO, nextval()."""
    return bool(text) and words().sql_hidden_writes.search(text) is not None


_TABLE = re2.compile(
    r"(?i)\b(?:insert\s+into|update(?:\s+only)?|delete\s+from|merge\s+into|truncate(?:\s+table)?|replace\s+into|copy|"
    r'(?:create|alter|drop)\s+(?:table|index|view)(?:\s+if\s+(?:not\s+)?exists)?)\s+(["`\[]?[\w.$]+["`\]]?)'
)


def _table(text: str) -> str:
    found = _TABLE.search(text) if text else None
    return str(found.group(1)).strip('"`[]') if found else ""


def _cache(span: Span, verb: str) -> Change | None:
    known = words()
    if verb not in known.redis_writes and verb not in _CACHE_COMMANDS:
        return None
    text = semconv.first_text(span.attributes, semconv.ALIASES["db.query"])[:512]
    pieces = text.split(None, 2)
    key = pieces[1] if len(pieces) > 1 else ""
    target = key or semconv.first_text(span.attributes, ("server.address", "net.peer.name")) or "cache"
    bookkeeping = verb in known.redis_bookkeeping or bool(key and known.bookkeeping_keys.search(key))
    if verb in ("PUBLISH", "SPUBLISH", "XADD"):
        return Change(EffectKind.MESSAGE, target[:200], verb)
    return Change(EffectKind.CACHE_WRITE, target[:200], verb, bookkeeping=bookkeeping)


def _index(span: Span, verb: str, target: str) -> Change | None:
    known = words()
    path = semconv.path(span)
    if path and known.search_reads.search(path):
        return None
    method = semconv.method(span)
    wrote = verb in known.search_writes or (method in ("POST", "PUT", "DELETE") and verb not in ("SEARCH", "GET"))
    return Change(EffectKind.DB_WRITE, target[:200], verb or method) if wrote else None


# --------------------------------------------------------------------------------------------------- messages, calls


def _message(span: Span) -> Change | None:
    operation = semconv.first_text(span.attributes, semconv.ALIASES["messaging.operation"]).lower()
    if operation and operation not in words().message_operations and span.kind != SpanKind.PRODUCER:
        return None
    if operation in ("receive", "process", "deliver", "settle", "poll", "ack"):
        return None
    if span.kind not in (SpanKind.PRODUCER, SpanKind.CLIENT):
        return None
    if not operation and span.kind != SpanKind.PRODUCER:
        return None
    target = semconv.destination(span) or span.name
    return Change(EffectKind.MESSAGE, target[:200], operation or "send")


def _cloud(span: Span) -> Change | None:
    known = words()
    verb, service = semconv.rpc_method(span) or span.name.rpartition(".")[2], semconv.rpc_service(span)
    status = semconv.http_status(span)
    if not known.aws_writes.search(verb[:64]) or (status is not None and status >= 400):
        return None
    target = semconv.first_text(
        span.attributes, ("aws.s3.bucket", "aws.dynamodb.table_names", "messaging.destination.name", "aws.sns.topic_arn",
                          "aws.sqs.queue_url", "aws.queue_url", "aws.table_name", "aws.bucket.name")
    )  # fmt: skip
    if known.aws_stores.search(service):
        kind = EffectKind.OBJECT_WRITE
    elif known.aws_messages.search(service):
        kind = EffectKind.MESSAGE
    elif known.aws_tables.search(service):
        kind = EffectKind.DB_WRITE
    elif known.aws_mail.search(service):
        kind = EffectKind.MAIL
    else:
        kind = EffectKind.HTTP_WRITE
    return Change(kind, (target or f"{service}.{verb}")[:200], verb)


def _http(span: Span) -> Change | None:
    method = semconv.method(span)
    if method not in ("POST", "PUT", "PATCH", "DELETE"):
        return None
    status = semconv.http_status(span)
    if status is not None and status >= 400:
        return None
    if peers.of_call(span) not in (Peer.SERVICE, Peer.CLOUD):
        return None
    known = words()
    path, host = semconv.path(span), semconv.peer(span)
    if method == "POST" and known.post_reads.search(path[:1024]):
        return None
    target = f"{host}{path}" if path else host or span.name
    if known.mail_hosts.search(host) or known.mail_paths.search(path[:1024]):
        return Change(EffectKind.MAIL, target[:200], method)
    if known.object_hosts.search(host):
        return Change(EffectKind.OBJECT_WRITE, target[:200], method)
    return Change(EffectKind.HTTP_WRITE, target[:200], method)


_MAIL_PORTS = frozenset({25, 465, 587, 2525})


def _mail(span: Span) -> Change | None:
    """A mail handed to its server by SMTP; connecting and logging in there sends nothing yet."""
    known = words()
    host = semconv.peer(span)
    port = semconv.number(semconv.first(span.attributes, ("server.port", "net.peer.port")))
    if not (known.smtp_names.search(span.name[:128]) or known.smtp_hosts.search(host) or port in _MAIL_PORTS):
        return None
    return None if known.smtp_talk.search(span.name[:128]) else Change(EffectKind.MAIL, (host or span.name)[:200], "send")


def _rpc(span: Span) -> Change | None:
    code = semconv.grpc_status(span)
    method = semconv.rpc_method(span)
    if code not in (None, 0) or not words().grpc_writes.search(method[:64]):
        return None
    if peers.of_call(span) is not Peer.SERVICE:
        return None
    host = semconv.peer(span)
    target = f"{host}/{semconv.rpc_service(span)}/{method}".strip("/")
    kind = EffectKind.MAIL if words().mail_hosts.search(host) else EffectKind.HTTP_WRITE
    return Change(kind, target[:200], method)
