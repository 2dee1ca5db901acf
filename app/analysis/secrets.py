"""Secrets and personal data in a trace: found and located, never shown.

Every text of a trace is looked at: attributes, events, status messages, resources. Values are scanned in large pieces,
because one pass of a linear-time engine over a page of text costs little more than over a line.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec
import re2

from app.traces import semconv
from app.traces.model import Attributes, Node, Resource, Span

if TYPE_CHECKING:
    from app.analysis.keysets import Keyset
    from app.analysis.reading import Reading

MASK = "[redacted]"
_PAGE = 400  # texts scanned at once
_MOST = 300  # located per kind
_LONGEST = 1 << 20  # of one value; beyond this its end is not scanned

# What a value looks like. Named groups `v` are the secret itself.
_GIVEAWAY = (
    r"(?P<v1>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"  # a JSON web token
    r"|(?i:\b(?:bearer|basic|digest|negotiate|apikey|token)[ ]+(?P<v2>[A-Za-z0-9+/=._~-]{16,}))"
    r"|(?i:\b(?:password|passwd|pwd|passphrase|secret|client_secret|api[_-]?key|apikey|(?:shared)?access[_-]?key|account[_-]?key|"
    r"private[_-]?key|access_token|refresh_token|id_token|auth[_-]?token|session[_-]?token|csrf[_-]?token|x-api-key|signature|"
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
    r"account[_-]?key)$"
)
# Words that a secret's key may hold instead of one: what kind it is, whether it is there.
_NO_SECRET = re2.compile(
    r"(?i)^(\[?redacted\]?|\*+|x{3,}|<[^>]*>|\[filtered\]|\[masked\]|\[scrubbed\]|null|none|true|false|yes|no|present|missing|"
    r"absent|valid|invalid|expired|ok|unknown|n/a|jwt|opaque|bearer|basic|api_?key|session(_cookie)?|oauth2?|oidc|saml|password|"
    r"incorrect|wrong|mismatch|required|too|must|reset|changed|failed|failure|not|is|was|has|had|provided|empty|blank|rejected|"
    r"denied|revoked|malformed|inactive|active|success(ful)?|checked|verification|validation|authentication|for|from|the|a|an|"
    r"tokens?|claims?|signature|header|session|credentials?|key|user|algorithm|issuer|audience|issued|used|before|can(not|'t)?|"
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
    r"(?i)^(\d+|[0-9a-f-]{8,}|[a-z]{1,12}[_:|-][0-9a-f]*\d[0-9a-z_-]*|[0-9a-z]{20,}|[a-z]{1,3}\d{1,12}|[a-z0-9-]{1,24}\|[0-9a-z_-]+|arn:.*|urn:.*|anonymous(user)?|system(:.*)?|unknown|guest|"
    r"service-account.*|.*@clients|svc[-_].*|spiffe://.*|null|none|n/a|-|root|admin|user|\[.*redacted.*\])$"
)
# Keys that never hold either, and are on almost every span.
_QUIET_KEYS = frozenset(
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

_INDEX = attrgetter("index")
QUIET, _SCAN, _SECRET_NAMED, _NAME_NAMED, _ADDRESS = range(5)


class Place(msgspec.Struct, frozen=True):
    """Where something was found: never what."""

    span_id: str
    service: str
    attribute: str


class Found(msgspec.Struct):
    """Secrets and personal data located in a trace, and the secret texts themselves, to be kept out of every answer.

    more_secrets, more_persons: whether there are more than the three hundred located.
    """

    secrets: list[Place] = []
    persons: list[Place] = []
    more_secrets: bool = False
    more_persons: bool = False
    texts: set[str] = set()


@functools.lru_cache(maxsize=8192)
def class_of(key: str) -> int:
    if key in _QUIET_KEYS:
        return QUIET
    if key in _ADDRESS_KEY:
        return _ADDRESS
    if _SECRET_KEY.search(key[:256]):
        return _SECRET_NAMED
    if _NAME_KEY.search(key[:256]):
        return _NAME_NAMED
    return _SCAN


def names_secret(key: str) -> bool:
    """Whether what stands under this key is a secret whatever it looks like."""
    return class_of(key) == _SECRET_NAMED


def scan(reading: Reading, *, addresses: bool = False) -> Found:
    """Look through every text of the trace: a page at a time, and span by span only where a page holds something.

    Pages are filled in the order of memory, findings are made in that of the tree: it is the same whatever came first.
    """
    scanner = _Scanner(reading.keysets, addresses)
    first_of: dict[Resource, Node] = {}
    for hop in reading.hops:
        first_of.setdefault(hop.span.resource, hop)
    for resource, hop in first_of.items():
        scanner.mapping(hop, resource.attributes)
    page: list[str] = []
    first = 0
    named: list[Node] = []
    suspect: list[Node] = []
    keysets = reading.keysets
    nodes = reading.trace.as_sent
    for at, node in enumerate(nodes):
        span = node.span
        looks = keysets[node.index].looks
        if looks:
            attributes = span.attributes
            is_named = False
            for key, kind in looks:
                value = attributes[key]
                if kind == _SCAN and value.__class__ is str:
                    if len(value) > 7:
                        page.append(value)
                elif value.__class__ is not int and value.__class__ is not bool:
                    is_named = True
            if is_named:
                named.append(node)
        if span.events or span.status_message:
            page.extend(_said(span))
        if len(page) > _PAGE:
            if _holds_something(page):
                suspect += nodes[first : at + 1]
            page.clear()
            first = at + 1
    if page and _holds_something(page):
        suspect += nodes[first:]
    for node in sorted(named, key=_INDEX):
        scanner.by_names(node)
    scanner.closely(sorted(suspect, key=_INDEX))
    return scanner.found


def in_span(node: Node, *, addresses: bool = False) -> Found:
    """Look through every text of one span, its resource's among them."""
    scanner = _Scanner((), addresses)
    span = node.span
    for attributes in (span.attributes, span.resource.attributes, *(event.attributes for event in span.events[:256])):
        scanner.mapping(node, attributes)
    scanner.text(node, "status.message", span.status_message)
    return scanner.found


def _said(span: Span) -> Iterator[str]:
    """The texts of a span's events and status."""
    if span.status_message:
        yield span.status_message[:_LONGEST]
    for event in span.events[:256]:
        for key, value in event.attributes.items():
            if isinstance(value, str):
                yield value[:_LONGEST] if class_of(key) in (_SCAN, QUIET) else f"{key}={value[:_LONGEST]}"
            else:
                yield from _texts(value)


def _holds_something(page: list[str]) -> bool:
    whole = "\n".join(page)
    if len(whole) > 16 * _LONGEST:
        return True
    if _SECRET_RE.search(whole):
        return True
    return ("@" in whole or "+" in whole) and _PERSON_RE.search(whole) is not None


class _Scanner:
    """Places what is found. It stops looking closely once it has located enough of both kinds."""

    def __init__(self, keysets: Sequence[Keyset], addresses: bool) -> None:
        self.found = Found()
        self._keysets = keysets
        self._addresses = addresses

    def mapping(self, node: Node, attributes: Attributes) -> None:
        for key, value in attributes.items():
            kind = class_of(key)
            if kind != QUIET:
                self.named(node, key, kind, value)

    def named(self, node: Node, key: str, kind: int, value: object) -> None:
        """A value under a key that may tell by itself what it holds."""
        for text in _texts(value):
            if kind == _SECRET_NAMED and len(text) > 2 and not _NO_SECRET.search(text[:256]):
                self._secret(node, key, text)
            elif kind == _NAME_NAMED and len(text) > 1 and not _names_nobody(node, key, text):
                self._person(node, key)
                self.text(node, key, text, persons=False)
            elif kind == _ADDRESS and self._addresses and text:
                self._person(node, key)
            else:
                self.text(node, key, text)

    def by_names(self, node: Node) -> None:
        """Look at the values that no page holds: those whose keys tell what they are, and those that nest."""
        for key, kind in self._keysets[node.index].looks:
            value = node.span.attributes[key]
            if not (kind == _SCAN and value.__class__ is str) and value.__class__ is not int and value.__class__ is not bool:
                self.named(node, key, kind, value)

    def closely(self, nodes: Sequence[Node]) -> None:
        """Look at each text of these spans by itself."""
        for node in nodes:
            if self.found.more_secrets and self.found.more_persons:
                return
            span = node.span
            for key, kind in self._keysets[node.index].looks:
                if kind == _SCAN:
                    for text in _texts(span.attributes[key]):
                        self.text(node, key, text)
            self.text(node, "status.message", span.status_message)
            for event in span.events[:256]:
                self.mapping(node, event.attributes)

    def text(self, node: Node, key: str, text: str, *, persons: bool = True) -> None:
        if len(text) <= 7:
            return
        text = text[:_LONGEST]
        if _SECRET_RE.search(text):
            for match in _SECRET_RE.finditer(text):
                secret = next((t for t in match.groups() if t), "")
                if secret and not _NO_SECRET.search(secret[:256]):
                    self._secret(node, key, secret)
        if persons and ("@" in text or "+" in text) and _PERSON_RE.search(text) and not _within_url_userinfo(text):
            self._person(node, key)

    def _secret(self, node: Node, key: str, text: str) -> None:
        found = self.found
        if len(found.secrets) < _MOST:
            found.secrets.append(Place(node.span.span_id, node.service, key))
        else:
            found.more_secrets = True
        if len(found.texts) < 5000:
            stripped = text.strip()
            found.texts.add(stripped[:4096])
            # "Bearer abc": the second word is the secret, whoever repeats it.
            last = stripped.rpartition(" ")[2]
            if len(last) >= 8:
                found.texts.add(last[:4096])

    def _person(self, node: Node, key: str) -> None:
        found = self.found
        if len(found.persons) < _MOST:
            found.persons.append(Place(node.span.span_id, node.service, key))
        else:
            found.more_persons = True


def _names_nobody(node: Node, key: str, text: str) -> bool:
    """Whether a value is an opaque id, or the role that a service logs in to its database with."""
    return _OPAQUE.search(text[:256]) is not None or (key == "user.name" and semconv.db_system(node.span) != "")


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
