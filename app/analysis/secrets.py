"""Secrets and personal data in a trace: found and located, never shown.

Every text of a trace is looked at: attributes, events, status messages, resources. Values are scanned in large pieces,
because one pass of a linear-time engine over a page of text costs little more than over a line.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import msgspec
import re2

from app.traces.model import Attributes, Node, Trace

MASK = "[redacted]"
_PIECE = 32_768
_MOST = 300  # located per kind; the count goes on
_LONGEST = 1 << 20  # of one value; beyond this its end is not scanned

# What a value looks like. Named groups `v` are the secret itself.
_GIVEAWAY = (
    r"(?P<v1>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"  # a JSON web token
    r"|(?i:\b(?:bearer|basic|digest|negotiate|apikey|token)[ ]+(?P<v2>[A-Za-z0-9+/=._~-]{16,}))"
    r"|(?i:\b(?:password|passwd|pwd|passphrase|secret|client_secret|api[_-]?key|apikey|access[_-]?key|private[_-]?key|"
    r"access_token|refresh_token|id_token|auth[_-]?token|session[_-]?token|csrf[_-]?token|x-api-key|signature|"
    r"x-amz-signature|x-amz-security-token|x-goog-signature|sig|authorization|token)"
    r"[\"']?[ ]?(?:=|:|%3D|[ ]=)[ ]?[\"']?(?:(?:bearer|basic|digest|token|apikey)[ ]+)?(?P<v3>[^\s\"'&;,)}\]<>]{4,}))"
    r"|(?i:\b(?:identified by|password)[ ]+'(?P<v4>[^']{3,})')"
    r"|[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,128}:(?P<v5>[^\s/@\"']{2,256})@"
    r"|\b(?P<v6>(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|"
    r"xox[abprs]-[A-Za-z0-9-]{10,}|"
    r"sk_(?:live|test)_[A-Za-z0-9]{16,}|rk_live_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{30,}|glpat-[A-Za-z0-9_-]{16,}|"
    r"npm_[A-Za-z0-9]{30,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hvs\.[A-Za-z0-9_-]{20,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<v7>[A-Za-z0-9+/=\s]{16,})"
)
_MAIL = r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,18}\b"
_PHONE = r"(?:^|[^\w.+])\+[1-9][0-9]{0,2}[ .-]?\(?[0-9]{2,4}\)?(?:[ .-]?[0-9]{2,4}){2,4}\b"

_options = re2.Options()
_options.max_mem = 32 << 20
_SECRET_RE = re2.compile(_GIVEAWAY, _options)
_PERSON_RE = re2.compile(f"{_MAIL}|{_PHONE}", _options)

# Keys whose value is a secret whatever it looks like.
_SECRET_KEY = re2.compile(
    r"(?i)(^|[._-])(password|passwd|pwd|passphrase|secret|client[_-]?secret|api[_-]?key|apikey|access[_-]?key|private[_-]?key|"
    r"secret[_-]?key|authorization|cookie|set-cookie|x-api-key|x-auth-token|x-csrf-token|proxy-authorization|credentials?|"
    r"(access|refresh|id|auth|session|bearer|security|csrf|api|user)[_-]?token|token|jwt|otp|pin|cvv|security[_-]?code|"
    r"connection[_-]?string|dsn)$"
)
# Words that a secret's key may hold instead of one: what kind it is, whether it is there.
_NO_SECRET = re2.compile(
    r"(?i)^(\[?redacted\]?|\*+|x{3,}|<[^>]*>|\[filtered\]|\[masked\]|\[scrubbed\]|null|none|true|false|yes|no|present|missing|"
    r"absent|valid|invalid|expired|ok|unknown|n/a|jwt|opaque|bearer|basic|api_?key|session(_cookie)?|oauth2?|oidc|saml|password|"
    r"incorrect|wrong|mismatch|required|too|must|reset|changed|failed|failure|not|is|was|has|had|provided|empty|blank|rejected|"
    r"denied|revoked|malformed|inactive|active|success(ful)?|checked|verification|validation|authentication|for|from|the|"
    r"\d{1,6}|redacted:.*)$"
)
_NAME_KEY = re2.compile(
    r"(?i)(^|[._-])(user\.name|username|user_name|userid_name|auth\.subject|auth\.username|enduser\.id|full[_-]?name|"
    r"first[_-]?name|last[_-]?name|given[_-]?name|family[_-]?name|display[_-]?name|e-?mail|mail[_-]?address|phone|phone[_-]?number|"
    r"telephone|mobile|msisdn|enduser\.name|customer[._-]name|auth\.user|authz\.subject|kc\.details\.username|preferred_username|"
    r"login)$"
)
_ADDRESS_KEY = frozenset({"client.address", "http.client_ip", "net.sock.peer.addr", "net.peer.ip", "source.address",
                          "ipAddress", "ClientIP"})  # fmt: skip
# An id that names nobody by itself: numbers, hex, UUIDs, prefixed ids, URIs of services.
_OPAQUE = re2.compile(
    r"(?i)^(\d+|[0-9a-f-]{8,}|[a-z]{1,12}[_:|-][0-9a-f]*\d[0-9a-z_-]*|[0-9a-z]{20,}|anonymous(user)?|system(:.*)?|unknown|guest|"
    r"service-account.*|.*@clients|svc[-_].*|spiffe://.*|null|none|n/a|-|root|admin|user|\[.*redacted.*\])$"
)
# Keys that never hold either, and are on almost every span.
_QUIET = frozenset(
    """
    http.request.method http.method http.response.status_code http.status_code http.route http.scheme url.scheme
    http.flavor network.protocol.version network.protocol.name network.transport server.address server.port
    net.peer.port net.host.port net.host.name net.peer.name http.host rpc.system rpc.system.name rpc.service
    rpc.method rpc.grpc.status_code rpc.response.status_code db.system db.system.name db.name db.namespace
    db.operation db.operation.name db.collection.name db.sql.table messaging.system messaging.operation
    messaging.operation.name messaging.operation.type thread.id thread.name error.type peer.service component
    otel.library.name otel.library.version span.kind http.response_content_length http.request_content_length
    http.response.body.size http.request.body.size code.function code.namespace code.lineno express.type
    express.name telemetry.sdk.language telemetry.sdk.name telemetry.sdk.version auth.result asgi.event.type
    exception.type exception.escaped service.name service.version service.namespace deployment.environment
    deployment.environment.name
""".split()  # noqa: SIM905 - a list of this length is no clearer
)

_SKIP, _SCAN, _SECRET_NAMED, _NAME_NAMED, _ADDRESS = range(5)


class Place(msgspec.Struct, frozen=True):
    """Where something was found: never what."""

    span_id: str
    service: str
    attribute: str


class Found(msgspec.Struct):
    """Secrets and personal data located in a trace, and the secret texts themselves, to be kept out of every answer."""

    secrets: list[Place] = []
    persons: list[Place] = []
    secret_count: int = 0
    person_count: int = 0
    texts: set[str] = set()


@functools.lru_cache(maxsize=8192)
def _class_of(key: str) -> int:
    if key in _QUIET:
        return _SKIP
    if key in _ADDRESS_KEY:
        return _ADDRESS
    if _SECRET_KEY.search(key[:256]):
        return _SECRET_NAMED
    if _NAME_KEY.search(key[:256]):
        return _NAME_NAMED
    return _SCAN


def scan(trace: Trace, *, addresses: bool = False) -> Found:
    """Look through every text of the trace."""
    scanner = _Scanner(addresses)
    seen: set[int] = set()
    for node in trace.nodes:
        span = node.span
        scanner.node = node
        scanner.attributes(span.attributes)
        if span.events:
            for event in span.events[:256]:
                scanner.attributes(event.attributes)
        if span.status_message:
            scanner.text("status.message", span.status_message)
        resource = span.resource
        if id(resource) not in seen:
            seen.add(id(resource))
            scanner.attributes(resource.attributes)
    scanner.flush()
    return scanner.found


class _Scanner:
    def __init__(self, addresses: bool) -> None:
        self.found = Found()
        self.node: Node | None = None
        self._addresses = addresses
        self._texts: list[str] = []
        self._places: list[tuple[Node | None, str]] = []
        self._size = 0

    def attributes(self, attributes: Attributes) -> None:
        for key, value in attributes.items():
            if value.__class__ is int or value.__class__ is bool or value.__class__ is float:
                continue
            kind = _class_of(key)
            if kind == _SKIP:
                continue
            if value.__class__ is str and kind == _SCAN:
                if len(value) > 7:
                    self.text(key, value)
                continue
            for text in _texts(value):
                self._one(kind, key, text)

    def text(self, key: str, value: str) -> None:
        """Put a text on the pile that is scanned next."""
        if len(value) > _LONGEST:
            value = value[:_LONGEST]
        self._texts.append(value)
        self._places.append((self.node, key))
        self._size += len(value)
        if self._size > _PIECE:
            self.flush()

    def _one(self, kind: int, key: str, text: str) -> None:
        if kind == _SECRET_NAMED:
            if len(text) > 2 and not _NO_SECRET.search(text[:256]):
                self._secret(key, text)
                return
        elif kind == _NAME_NAMED:
            if len(text) > 1 and not _OPAQUE.search(text[:256]):
                self._person(key)
                if len(text) > 7:
                    self.text(key, text)
                return
        elif kind == _ADDRESS and self._addresses and text:
            self._person(key)
            return
        if len(text) > 7:
            self.text(key, text)

    def flush(self) -> None:
        """Scan the pile: as a whole first, one by one only where there is something in it."""
        if not self._texts:
            return
        whole = "\n".join(self._texts)
        if _SECRET_RE.search(whole):
            for value, (node, key) in zip(self._texts, self._places, strict=True):
                for match in _SECRET_RE.finditer(value):
                    text = next((t for t in match.groups() if t), "")
                    if text and not _NO_SECRET.search(text[:256]):
                        self.node = node
                        self._secret(key, text)
        if ("@" in whole or "+" in whole) and _PERSON_RE.search(whole):
            for value, (node, key) in zip(self._texts, self._places, strict=True):
                if _PERSON_RE.search(value) and not _within_url_userinfo(value):
                    self.node = node
                    self._person(key)
        self._texts, self._places, self._size = [], [], 0

    def _place(self, key: str) -> Place:
        assert self.node is not None
        return Place(self.node.span.span_id, self.node.service, key)

    def _secret(self, key: str, text: str) -> None:
        found = self.found
        found.secret_count += 1
        if len(found.secrets) < _MOST:
            found.secrets.append(self._place(key))
        if len(found.texts) < 5000:
            stripped = text.strip()
            found.texts.add(stripped[:4096])
            # "Bearer abc": the second word is the secret, whoever repeats it.
            last = stripped.rpartition(" ")[2]
            if len(last) >= 8:
                found.texts.add(last[:4096])

    def _person(self, key: str) -> None:
        found = self.found
        found.person_count += 1
        if len(found.persons) < _MOST:
            found.persons.append(self._place(key))


def _within_url_userinfo(value: str) -> bool:
    """user@host of a connection string is no mail address."""
    match = _PERSON_RE.search(value)
    return bool(match) and "://" in value[: match.start()] and " " not in value[: match.start()] and "?" not in value


def _texts(value: object) -> Iterator[str]:
    """Every text inside a value, however it nests; iterative, because the depth is the sender's."""
    stack = [value]
    count = 0
    while stack and count < 4096:
        count += 1
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


class Redactor:
    """Takes secrets out of texts: what looks like one, and what the trace itself named one."""

    def __init__(self, texts: Sequence[str] | set[str] = ()) -> None:
        # Longest first, so that no part of a secret survives the removal of a shorter one.
        self._texts = sorted((t for t in texts if len(t) >= 4), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        if not text:
            return text
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, MASK)
        return redact(text)


def redact(text: str) -> str:
    """The text without anything that looks like a secret."""
    if not text or not _SECRET_RE.search(text):
        return text
    out = []
    at = 0
    for match in _SECRET_RE.finditer(text):
        index = next((i for i, t in enumerate(match.groups(), 1) if t), 0)
        if not index or _NO_SECRET.search(match.group(index)[:256]):
            continue
        out.append(text[at : match.start(index)])
        out.append(MASK)
        at = match.end(index)
    out.append(text[at:])
    return "".join(out)
