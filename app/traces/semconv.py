"""Every attribute name Clew reads, with its older spellings: one function per question about a span.

The first present key wins. Several producers send numbers as text (Envoy every value, Spring its `status`), so values are
compared as text and read through the functions here.

Source: OpenTelemetry semantic conventions 1.4x (general, http, rpc, db, messaging, user, exceptions) and their
        deprecated names; Envoy's tracer tags; Micrometer's observation names for Spring.
"""

from __future__ import annotations

import functools
from urllib.parse import urlsplit

import re2

from app.traces.model import Attributes, Span

# ------------------------------------------------------------------------------------------------------------- names
# Signal rules name these lists in place of a key: `http.path` in a rule means "the first present of these".
ALIASES: dict[str, tuple[str, ...]] = {
    "http.status": ("http.response.status_code", "http.status_code"),
    "http.method": ("http.request.method", "http.method", "method"),
    "http.route": ("http.route", "uri"),
    "http.path": ("url.path", "http.target", "http.url", "url.full", "uri.path"),
    "http.user_agent": ("user_agent.original", "http.user_agent", "user_agent", "auth.user_agent"),
    "client.ip": ("client.address", "http.client_ip", "network.peer.address", "net.sock.peer.addr", "net.peer.ip",
                  "peer.address", "ipAddress", "ClientIP"),
    "server.name": ("server.address", "net.peer.name", "peer.service", "net.host.name", "http.host", "http.server_name"),
    "user": ("user.id", "user.name", "enduser.id", "auth.subject", "auth.username", "kc.userId", "IdentityID",
             "OAuth2Subject"),
    "user.roles": ("user.roles", "enduser.role", "auth.roles", "spring.security.authentication.authorities"),
    "user.scopes": ("enduser.scope", "oauth.scope", "oauth.scopes"),
    "session": ("session.id", "kc.sessionId", "SessionID"),
    "rpc.status": ("rpc.response.status_code", "rpc.status_code", "rpc.grpc.status_code", "grpc.status_code",
                   "rpc.connect_rpc.error_code"),
    "rpc.system": ("rpc.system.name", "rpc.system"),
    "rpc.method": ("rpc.method",),
    "rpc.service": ("rpc.service",),
    "db.system": ("db.system.name", "db.system", "jdbc.datasource.driver"),
    "db.operation": ("db.operation.name", "db.operation"),
    "db.query": ("db.query.text", "db.statement", "jdbc.query[0]"),
    "db.target": ("db.collection.name", "db.sql.table", "db.mongodb.collection", "db.cassandra.table"),
    "db.namespace": ("db.namespace", "db.name", "jdbc.datasource.name"),
    "db.code": ("db.response.status_code", "pgx.sql_state", "error.type"),
    "messaging.operation": ("messaging.operation.type", "messaging.operation.name", "messaging.operation"),
    "messaging.destination": ("messaging.destination.name", "messaging.destination"),
}  # fmt: skip

HTTP_STATUS = ALIASES["http.status"]
URLS = ("url.full", "http.url")
EXCEPTION = "exception"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
LOCATION = "http.response.header.location"
RESEND_COUNT = ("http.request.resend_count", "http.resend_count")
PEER_SERVICE = "peer.service"
SPRING_SCOPE = "org.springframework.boot"
ENVOY_FLAGS = "response_flags"

GRPC_NAMES = ("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
              "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
              "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED")  # fmt: skip
# A number first: the text of the other names may be an HTTP code in some systems.
_RPC_STATUS = ("rpc.grpc.status_code", "rpc.response.status_code", "rpc.status_code", "grpc.status_code",
               "rpc.connect_rpc.error_code")  # fmt: skip
_GRPC_CODES = {name: code for code, name in enumerate(GRPC_NAMES)} | {"CANCELED": 1}


# Words of a key under which stands what the client sent: its URL, its headers, its query.
_CLIENTS = re2.compile(
    r"(?i)(^|[._:/-])(url|uri|path|target|query|host|authority|refer+er|user[_-]?agent|agent|cookies?|body|payload|document|"
    r"variables|params?|request|statement|baggage)([._:/-]|$)"
)


@functools.lru_cache(maxsize=8192)
def is_clients(key: str) -> bool:
    """Whether the client writes what stands under this key, so that its words prove nothing."""
    return _CLIENTS.search(key[:256]) is not None


def text(value: object) -> str:
    """An attribute's value as text, as rules compare it: true and 403 like "true" and "403", a list by its first."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return text(value[0]) if value else ""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def first(attributes: Attributes, keys: tuple[str, ...]) -> object:
    """The value of the first present key, or None."""
    for key in keys:
        value = attributes.get(key)
        if value is not None:
            return value
    return None


def first_text(attributes: Attributes, keys: tuple[str, ...]) -> str:
    for key in keys:  # as `first`, written out: it is asked several times of every span
        value = attributes.get(key)
        if value is not None:
            return value if value.__class__ is str else text(value)
    return ""


def number(value: object) -> int | None:
    """A whole number from what may be text; None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return int(value) if len(value) <= 9 and value.isascii() and value.isdigit() else None
    if isinstance(value, float):
        return int(value) if value == value and abs(value) < 1e9 and value == int(value) else None
    if isinstance(value, list) and value:
        return number(value[0])
    return None


# ------------------------------------------------------------------------------------------------------ HTTP and RPC


def http_status(span: Span) -> int | None:
    """The HTTP status the span answered or received; None where it has none (Envoy writes 0 for no answer)."""
    attributes = span.attributes
    value = attributes.get("http.response.status_code")
    if value is None:
        value = attributes.get("http.status_code")
        if value is None:
            if span.scope.name != SPRING_SCOPE:
                return None
            value = attributes.get("status")
    status = value if type(value) is int else number(value)
    return status if status is not None and 100 <= status <= 599 else None


def grpc_status(span: Span) -> int | None:
    """The gRPC status as a number from 0 to 16, from its number or its name; None where there is none."""
    attributes = span.attributes
    for key in _RPC_STATUS:
        if key in attributes:
            value = attributes[key]
            if value is not None:
                code = number(value)
                if code is None:
                    code = _GRPC_CODES.get(text(value).upper().removeprefix("STATUSCODE."))
                return code if code is not None and 0 <= code <= 16 else None
    return None


def method(span: Span) -> str:
    """The HTTP method in capitals, or ""."""
    value = first_text(span.attributes, ("http.request.method", "http.method"))
    if not value and span.scope.name == SPRING_SCOPE:
        value = text(span.attributes.get("method"))
    return value.upper()[:16]


def route(span: Span) -> str:
    """The route template, or ""."""
    return first_text(span.attributes, ALIASES["http.route"] if span.scope.name == SPRING_SCOPE else ("http.route",))


def path(span: Span) -> str:
    """The path of the URL without query and host, or ""."""
    value = first_text(span.attributes, ALIASES["http.path"])
    if not value:
        return ""
    return path_of(value)


def path_of(url: str) -> str:
    """The path of a URL or of a request target."""
    url = url[:4096]
    if "://" in url:
        rest = url.split("://", 1)[1]
        slash = rest.find("/")
        url = rest[slash:] if slash >= 0 else "/"
    for stop in ("?", "#"):
        cut = url.find(stop)
        if cut >= 0:
            url = url[:cut]
    return url or "/"


def without_query(url: str) -> str:
    """The URL up to its query, which is the client's to choose."""
    cut = url.find("?")
    return url if cut < 0 else url[:cut]


def url(span: Span) -> str:
    """The whole URL of an outgoing call, or ""."""
    return first_text(span.attributes, URLS)


def client_address(span: Span) -> str:
    """Whose address the span was called from, without port; the first two keys see through proxies, the rest do not."""
    return bare_address(first_text(span.attributes, ALIASES["client.ip"]))


def bare_address(address: str) -> str:
    """An address without port, brackets and the IPv6 spelling of an IPv4 one."""
    address = address.strip()[:256]
    if address.startswith("["):
        return address[1:].split("]", 1)[0]
    if address.count(":") == 1:
        host, _, port = address.partition(":")
        if port.isdigit():
            return host
    lowered = address.lower()
    if lowered.startswith("::ffff:") and "." in lowered:
        return address[7:]
    return address


def peer(span: Span) -> str:
    """Who a CLIENT span called: `peer.service`, else the host's name without port; "" where it does not say."""
    attributes = span.attributes
    named = text(attributes.get(PEER_SERVICE))
    if named:
        return named[:256]
    host = first_text(attributes, ("server.address", "net.peer.name"))
    if not host:
        link = url(span)
        if link:
            host = host_of(link)
    if not host:
        cluster = first_text(attributes, ("upstream_cluster.name", "upstream_cluster"))
        # Istio's clusters read outbound|9080||reviews.shop.svc.cluster.local
        host = cluster.rsplit("|", 1)[-1] if cluster and cluster != "-" else ""
    if not host:
        host = first_text(attributes, ("network.peer.address", "net.peer.ip", "net.sock.peer.addr"))
    return bare_address(host)


def host_of(link: str) -> str:
    """The host of a URL, or ""."""
    try:
        return urlsplit(link[:2048]).hostname or ""
    except ValueError:
        return ""


def rpc_system(span: Span) -> str:
    return first_text(span.attributes, ALIASES["rpc.system"])


def rpc_method(span: Span) -> str:
    """The method's bare name: CheckPermission of authzed.api.v1.PermissionsService/CheckPermission."""
    value = text(span.attributes.get("rpc.method"))
    return (value or (span.name if "/" in span.name else "")).rpartition("/")[2]


def rpc_service(span: Span) -> str:
    """The service's name as the interface definition has it."""
    named = text(span.attributes.get("rpc.service"))
    return named or text(span.attributes.get("rpc.method")).rpartition("/")[0]


# ------------------------------------------------------------------------------------------- databases and messages


def db_system(span: Span) -> str:
    attributes = span.attributes
    value = attributes.get("db.system.name")
    if value is None:
        value = attributes.get("db.system")
        if value is None:
            driver = attributes.get(JDBC_DRIVER)
            return _system_of(text(driver)) if driver is not None else ""
    return value if isinstance(value, str) else text(value)


JDBC_DRIVER = "jdbc.datasource.driver"  # Micrometer's observations of a data source
_JDBC = ("postgresql", "mysql", "mariadb", "oracle", "sqlserver", "h2", "db2", "sqlite")


@functools.lru_cache(maxsize=256)
def _system_of(driver: str) -> str:
    """The database of a JDBC driver's class name."""
    lowered = driver.lower()
    return next((system for system in _JDBC if system in lowered), "other_sql")


def db_operation(span: Span) -> str:
    """The first word of what was asked of the database, in capitals; "" where the span does not say.

    SQLAlchemy's operation is verb and database ("INSERT postgres"), otelpgx's span is named "query SELECT".
    """
    attributes = span.attributes
    named = first_text(attributes, ("db.operation.name", "db.operation"))
    if not named:
        named = first_text(attributes, ("db.query.summary", *ALIASES["db.query"]))
    if not named:
        named = span.name.removeprefix("query ").rpartition(":")[2]
    word = without_comment(named)[:64].split(None, 1)
    return word[0].upper().rstrip(";,(") if word else ""


def without_comment(query: str) -> str:
    """A query without the comments, brackets and blanks before its first word."""
    query = query.lstrip("( \t\r\n;")
    for _ in range(8):
        if query.startswith("/*"):
            query = query[2:].partition("*/")[2]
        elif query.startswith(("--", "#")):
            query = query.partition("\n")[2]
        else:
            break
        query = query.lstrip("( \t\r\n;")
    return query


def db_target(span: Span) -> str:
    """The table, collection or index, or ""."""
    return first_text(span.attributes, ALIASES["db.target"])


def db_namespace(span: Span) -> str:
    return first_text(span.attributes, ALIASES["db.namespace"])


def destination(span: Span) -> str:
    """The topic or queue, or ""."""
    return first_text(span.attributes, ALIASES["messaging.destination"])


def messaging_system(span: Span) -> str:
    return text(span.attributes.get("messaging.system"))


# ----------------------------------------------------------------------------------------------------------- persons

PRINCIPAL = ("auth.subject", "auth.username", "enduser.id", "user.name", "user.id", "user.email", "authz.subject",
              "auth.user", "auth.user_id", "auth.principal", "auth.user.id", "kc.userId", "IdentityID",
              "OAuth2Subject")  # fmt: skip


def principal(span: Span) -> str:
    """Who acted, as far as the span or its events say; "" where they do not."""
    return first_text(span.attributes, PRINCIPAL) or principal_of_events(span)


def principal_of_events(span: Span) -> str:
    for event in span.events:
        found = first_text(event.attributes, ("kc.details.username", "kc.userId", "IdentityID", "OAuth2Subject"))
        if found:
            return found
    return ""


# Java gives an exception that only wraps another one the other's class and words for a message.
_WRAPPED = re2.compile(r"(?s)^((?:[A-Za-z_$][\w$]*\.){2,}[A-Z][\w$]*(?:Exception|Error)): ?(.*)")


def exceptions(span: Span) -> list[tuple[str, str]]:
    """(type, message) of each recorded exception, in order, and after a wrapper what it wraps.

    Source: events of the conventions; Rust's tracing puts the same names on the span itself.
    """
    on_span = EXCEPTION_MESSAGE in span.attributes or EXCEPTION_TYPE in span.attributes
    if not span.events and not on_span:
        return []
    recorded = [e.attributes for e in span.events if e.name == EXCEPTION or EXCEPTION_TYPE in e.attributes]
    if on_span:
        recorded.append(span.attributes)
    found = []
    for attributes in recorded:
        message = text(attributes.get(EXCEPTION_MESSAGE))
        found.append((text(attributes.get(EXCEPTION_TYPE)), message))
        if wrapped := _WRAPPED.search(message[:4096]):
            found.append((wrapped.group(1), wrapped.group(2)))
    return found
