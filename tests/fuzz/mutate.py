"""Mutations of trace bytes that know the format: `Mutator(encoding).input(number)` is the same bytes in every run.

Half of the inputs stay well-formed (values, keys, ids, times and whole spans changed in the document or the message), so
that the damage reaches the tree and the judgement; the rest have their bytes cut, doubled, flipped or spliced as well.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec
from fuzz import protobuf_fields, seeds

IDS = ("", "0" * 16, "0" * 32, "f" * 16, "1", "zz", "AAAAAAAAAAA=", "AQ==", "\ud800", "é" * 16, "1" * 17, None, 7)
TIMES = (0, "0", "1", -1, "-1", 9_214_646_400_000_000_000, "9223372036854775807", 2**64 - 1, str(2**64), 1e300, "NaN", "", None,
         1_789_999_200_000_000_000, "1789999200000000001", 1_789_999_200_000, True)  # fmt: skip
NUMBERS = (0, -1, 1, 7, 16, 99, 200, 204, 302, 401, 403, 404, 429, 500, 503, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 10**30,
           "403", "401", "4e2", 403.0, "NaN", "Infinity", 1e308, -0.0)  # fmt: skip
TEXTS = (
    "", "failure", "success", "deny", "allow", "denied", "false", "true", "UAEX", "403", "-", "PERMISSION_DENIED", "7",
    "token expired", "missing role admin", "permission denied for table ledger", "access denied",
    "rbac_access_denied_matched_policy[x]", "http://opa:8181/v1/data/x", "https://login.example/oauth2/token", "/login?next=/x",
    "postgresql://u:hunter2pass@db/x", "password=hunter2-9f41", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "anna@shop.example", "\x00\u202e\x1b[31m", "<img src=x onerror=alert(1)>", "'; DROP TABLE spans; --", "{{7*7}}", "%s%n%00",
    "٤٠٣", "\ufeff", "\U0001f9f6" * 9, "A" * 3000, "INSERT INTO ledger VALUES (1)", "/* x */ UPDATE t SET a = 1",
    "-- c\nDELETE FROM t", "SELECT 1", "((((((((((" * 40, "a" * 300 + "!",
)  # fmt: skip
KEYS = (
    "auth.result", "auth.failure_reason", "authz.decision", "auth.subject", "user.roles", "enduser.id", "http.status_code",
    "http.response.status_code", "http.request.method", "http.route", "url.full", "url.path", "http.url", "rpc.system",
    "rpc.grpc.status_code", "rpc.method", "db.system", "db.statement", "db.query.text", "db.operation",
    "db.response.status_code", "messaging.system", "messaging.destination.name", "messaging.operation", "component",
    "response_flags", "ext_authz_status", "error.type", "peer.service", "server.address", "client.address", "express.type",
    "express.name", "graphql.operation.type", "opa.decision", "service.name", "exception.type", "exception.message",
    "password", "k8s.pod.name", "",
)  # fmt: skip
NAMES = ("auth.permission_check", "auth.login", "auth.token_validate", "authorize request", "secured request", "Check", "kong",
         "ext_authz", "middleware - authorize", "SELECT", "GET /x", "POST /oauth2/introspect", "rate limit", "")  # fmt: skip
WORDS = (
    b"\xff\xfe", b"\x00", b'"', b"}", b"]", b"{", b"[[[[", b"[" * 2500, b",", b"null", b"NaN", b"-Infinity", b"1e999",
    b"\\ud800", b"\xed\xa0\x80", b"\xc0\xaf", b"9" * 40, b"\n", b'{"batches":[]}', b'"spanId":""', b"\xef\xbb\xbf",
    b"\x0a\x00", b"\xff" * 10, b"\x80" * 9 + b"\x01", b"SPAN_KIND_SERVER", b"true",
)  # fmt: skip


class Mutator:
    """The mutated inputs of one decoder."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.seeds = seeds.bodies(encoding)
        self._messages = [protobuf_fields.parse(body) for body in self.seeds] if encoding == "protobuf" else []

    def input(self, number: int) -> bytes:
        """The input of this number. Small numbers differ from their seed by one thing, none by more than seven."""
        return self.mutated(random.Random(f"{self.encoding}/{number}"))

    def mutated(self, chance: random.Random) -> bytes:
        at = chance.randrange(len(self.seeds))
        way = chance.random()
        body = self.seeds[at]
        if way < 0.85:
            many = chance.choice((1, 1, 1, 2, 2, 3, 5))
            body = self._message(chance, at, many) if self.encoding == "protobuf" else self._document(chance, body, many)
        if way > 0.7:
            body = _bytes(chance, body, chance.choice(self.seeds), chance.choice((1, 1, 2, 4)))
        return body

    def again(self, chance: random.Random, body: bytes) -> bytes:
        """One more change of an input that is changed already: in its document while it has one, else in its bytes."""
        if self.encoding != "protobuf":
            try:
                return self._document(chance, body, 1)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
        return _bytes(chance, body, chance.choice(self.seeds), 1)

    def _document(self, chance: random.Random, body: bytes, many: int) -> bytes:
        document = msgspec.json.decode(body)
        for _ in range(many):
            document = _change(chance, document, lambda: msgspec.json.decode(chance.choice(self.seeds)))
        try:
            return _encode(document)
        except RecursionError:  # nested deeper than the encoder goes
            return body

    def _message(self, chance: random.Random, at: int, many: int) -> bytes:
        fields, other = self._messages[at], chance.choice(self._messages)
        return protobuf_fields.changed(chance, fields, other, many, _scalar_bytes)


def _encode(document: Any) -> bytes:
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # a lone surrogate, which some senders write in this way
        return msgspec.json.encode(_without_surrogates(document)).replace(b"[surrogate]", b"\\ud800")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value.replace("\ud800", "[surrogate]") if isinstance(value, str) else value


# ------------------------------------------------------------------------------------------------------------- documents


def _change(chance: random.Random, document: Any, other: Any) -> Any:
    """One change somewhere in a parsed document, most often in a span."""
    spans = _spans(document)
    if spans and chance.random() < 0.8:
        _change_span(chance, spans, other)
        return document
    holder, key = _somewhere(chance, document)
    if holder is None:
        return chance.choice(([], {}, [document], {"trace": document}, {"batches": [document]}, [document, document]))
    if isinstance(holder, dict) and chance.random() < 0.25:
        del holder[key]
    elif isinstance(holder, list) and chance.random() < 0.3:
        holder.insert(chance.randrange(len(holder) + 1), holder[key])
    else:
        holder[key] = _replacement(chance, holder[key])
    return document


def _somewhere(chance: random.Random, value: Any) -> tuple[Any, Any]:
    """A place in the document: the mapping or list and the key or index."""
    holder = key = None
    while isinstance(value, (dict, list)) and value:
        if holder is not None and chance.random() < 0.08:
            break
        holder = value
        key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        value = value[key]
    return holder, key


def _replacement(chance: random.Random, value: Any) -> Any:
    way = chance.random()
    if way < 0.3:
        return chance.choice(NUMBERS)
    if way < 0.6:
        return chance.choice(TEXTS)
    if way < 0.7:
        return chance.choice((None, True, False, [], {}, [None], [[]], {"": None}))
    if way < 0.75:
        return _nested(chance.choice((3, 40, 200)), value)
    return [value, value] if way < 0.9 else {"values": value}


def _nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    return value


def _spans(document: Any) -> list[dict[str, Any]]:
    """The spans, as far as the document still has its shape."""
    if not isinstance(document, dict):
        return []
    inner = document.get("trace")
    inner = inner if isinstance(inner, dict) else document
    groups = [
        group
        for batch in _dicts(inner.get("resourceSpans") or inner.get("batches"))
        for group in _dicts(batch.get("scopeSpans"))
    ]
    return [span for group in groups for span in _dicts(group.get("spans"))]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _change_span(chance: random.Random, spans: list[dict[str, Any]], other: Any) -> None:
    span = chance.choice(spans)
    way = chance.random()
    if way < 0.3:
        attributes = span.setdefault("attributes", [])
        if isinstance(attributes, list):
            attributes.insert(0, {"key": chance.choice(KEYS), "value": _attribute(chance)})
    elif way < 0.42:
        span["parentSpanId"] = chance.choice((chance.choice(spans).get("spanId"), chance.choice(IDS)))
    elif way < 0.5:
        span["spanId"] = chance.choice((chance.choice(spans).get("spanId"), chance.choice(IDS)))
    elif way < 0.6:
        span[chance.choice(("startTimeUnixNano", "endTimeUnixNano"))] = chance.choice(TIMES)
    elif way < 0.68:
        span["kind"] = chance.choice((0, 1, 2, 3, 4, 5, 6, -1, "SPAN_KIND_SERVER", "x", None))
    elif way < 0.75:
        span["status"] = chance.choice(({}, {"code": 2, "message": chance.choice(TEXTS)}, {"code": 9}, {"code": "x"}, None))
    elif way < 0.82:
        span["name"] = chance.choice(NAMES)
    elif way < 0.88:
        event = {"name": "exception", "timeUnixNano": chance.choice(TIMES),
                 "attributes": [{"key": chance.choice(KEYS), "value": _attribute(chance)}]}  # fmt: skip
        span["events"] = [event] * chance.choice((1, 2, 60))
    elif way < 0.92:
        span["links"] = [{"traceId": span.get("traceId"), "spanId": chance.choice(spans).get("spanId")}]
    elif way < 0.96:
        strangers = _spans(other())
        stranger = chance.choice(strangers) if strangers else {}
        span.update({**stranger, "traceId": span.get("traceId"), "parentSpanId": span.get("parentSpanId")})
    else:
        span.clear()


def _attribute(chance: random.Random) -> Any:
    way = chance.random()
    if way < 0.6:
        return {"stringValue": chance.choice(TEXTS)}
    if way < 0.8:
        return {"intValue": chance.choice(NUMBERS)}
    if way < 0.85:
        return {"boolValue": chance.choice((True, False, "x"))}
    if way < 0.9:
        return {"doubleValue": chance.choice((1.5, "NaN", -1e308, 403.0))}
    if way < 0.95:
        return {"arrayValue": {"values": [{"stringValue": chance.choice(TEXTS)}] * chance.choice((0, 1, 50))}}
    values = [{"key": "a", "value": {"bytesValue": "//8="}}, {"key": "a"}]
    return chance.choice(({}, None, {"kvlistValue": {"values": values}}, {"bytesValue": "%"}, {"bytesValue": "AAAA"}))


# ----------------------------------------------------------------------------------------------------------------- bytes


def _bytes(chance: random.Random, body: bytes, other: bytes, many: int) -> bytes:
    out = bytearray(body)
    for _ in range(many):
        at = chance.randrange(len(out) + 1)
        way = chance.randrange(6)
        length = chance.choice((1, 1, 2, 8, 200))
        if way == 0 and at < len(out):
            out[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            del out[at : at + length]
        elif way == 2:
            out[at:at] = out[at : at + length]
        elif way == 3:
            out[at:at] = chance.choice(WORDS)
        elif way == 4:
            out[at : at + length] = chance.choice(WORDS)
        else:
            begin = chance.randrange(len(other))
            out[at : at + length] = other[begin : begin + length]
    if chance.random() < 0.05:
        del out[chance.randrange(len(out) + 1) :]
    return bytes(out)


def _scalar_bytes(chance: random.Random, wire: int) -> bytes:
    """A payload for a protobuf field of this wire type, its length left to the caller."""
    if wire == 0:
        number = chance.choice((0, 1, 2, 3, 5, 7, 16, 200, 401, 403, 500, 2**31, 2**32, 2**63 - 1, 2**64 - 1))
        return protobuf_fields.varint(number)
    if wire == 2:
        text = chance.choice((*TEXTS, *KEYS, *NAMES, b"", b"\xff\xfe", b"\x00" * 8, b"\x01" * 8, b"\x01" * 16, b"\x00" * 16))
        return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    number = chance.choice((0, 1, 2**63 - 1, 2**64 - 1, 9_214_646_400_000_000_000, 1_789_999_200_000_000_001))
    return number.to_bytes(8, "little") if wire == 1 else (number & 0xFFFFFFFF).to_bytes(4, "little")
