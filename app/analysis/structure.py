"""Structural predicates of signal rules: what must be so around a span before a rule may speak.

Each is a question about the tree, answered for one span of a reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from app.analysis import peers
from app.analysis.answers import REFUSALS, Answer, asks_who, is_login_page
from app.analysis.peers import Peer
from app.traces import semconv
from app.traces.model import Node, SpanKind

if TYPE_CHECKING:
    from app.analysis.reading import Reading

_AUTH_PEERS = frozenset({Peer.POLICY, Peer.IDENTITY, Peer.KEYS, Peer.LIMITER, Peer.SIDE, Peer.DATABASE, Peer.BROKER})
_HANDLER_TYPES = (("express.type", "request_handler"), ("nestjs.type", "handler"), ("fastify.type", "request-handler"),
                  ("koa.type", "router"), ("express.type", "router"))  # fmt: skip


def _below(reading: Reading, node: Node) -> Iterable[Node]:
    stack = list(reading.kids(node))
    while stack:
        found = stack.pop()
        yield found
        stack.extend(reading.kids(found))


def backend_call_exists(reading: Reading, node: Node) -> bool:
    """The proxy around the span made its call to the protected backend. Calls to ask for a decision do not count."""
    server = reading.server_of(node) or node
    found = reading.memo.get(("backend", server.index))
    if found is None:
        found = reading.memo["backend", server.index] = any(_is_backend(reading, server, n) for n in _below(reading, server))
    return found


def _is_backend(reading: Reading, server: Node, node: Node) -> bool:
    span = node.span
    if span.name in ("kong.balancer", "ReverseProxy"):
        return True
    if span.kind is SpanKind.SERVER:
        if node.service == server.service and span.resource is server.span.resource:
            return False
        asked = next((a for a in reading.ancestors(node) if a.span.kind is SpanKind.CLIENT), None)
        asking = asked is not None and asked.index > server.index and peers.of_call(asked.span) in _AUTH_PEERS
        return not asking and peers.of_target(semconv.path(span), peers.rpc_name(span) or span.name) not in _AUTH_PEERS
    if span.kind is SpanKind.CLIENT and node.service == server.service:
        return peers.of_call(span) not in _AUTH_PEERS and "ext_authz_status" not in span.attributes
    return False


def no_upstream_call(reading: Reading, node: Node) -> bool:
    """The opposite: nothing was sent to the protected backend."""
    return not backend_call_exists(reading, node)


def no_server_child(reading: Reading, node: Node) -> bool:
    """No SERVER span lies below the call."""
    return not any(n.span.kind is SpanKind.SERVER for n in _below(reading, node))


def _is_handler(node: Node) -> bool:
    span = node.span
    if any(span.attributes.get(key) == value for key, value in _HANDLER_TYPES):
        # An Express 5 router wraps each function of a route in a span of its own; the wrapper proves nothing.
        return True
    return span.name.startswith(("request handler", "handler - ", "router - ")) and span.kind is SpanKind.INTERNAL


def no_handler_child(reading: Reading, node: Node) -> bool:
    """No request handler ran below the span."""
    return not handler_below(reading, node)


def handler_below(reading: Reading, node: Node) -> bool:
    """A request handler ran below the span."""
    return reading.below(node, "handler", _is_handler)


def handler_exists(reading: Reading, node: Node) -> bool:
    """A request handler ran below the span, or after it in the same request."""
    server = reading.server_of(node)
    if server is None:
        return handler_below(reading, node)
    latest = reading.memo.get(("handler", server.index))
    if latest is None:
        begun = ((n.start_ns, n.index) for n in _below(reading, server) if _is_handler(n))
        latest = reading.memo["handler", server.index] = max(begun, default=(-1, -1))
    return bool(latest > (node.start_ns, node.index))


# Express 5 hands its chain to a router of its own, whose spans wrap those of Express.
_EXPRESS = "@opentelemetry/instrumentation-express"
_WRAPPERS = {"@opentelemetry/instrumentation-router": _EXPRESS}


def _family(node: Node) -> tuple[str, str]:
    """Spans of one framework's chain: the same library, and the same first word of the name."""
    span = node.span
    scope = span.scope.name
    return _WRAPPERS.get(scope, scope), "kong.access" if span.name.startswith("kong.access.") else ""


def _siblings(reading: Reading, node: Node) -> list[Node]:
    parent = reading.parent(node)
    return reading.kids(parent) if parent is not None else [node]


def last_among_siblings(reading: Reading, node: Node) -> bool:
    """Of the sibling spans of its family the span started last."""
    return not later_sibling_exists(reading, node)


def later_sibling_exists(reading: Reading, node: Node) -> bool:
    """Another span of its family started after it; for one that a wrapper hides, after the wrapper."""
    family = _family(node)
    for _ in range(8):
        parent = reading.parent(node)
        if parent is None:
            return False
        if _begins_later(reading, parent, node):
            return True
        if family[0] != _EXPRESS or parent.span.kind is not SpanKind.INTERNAL or _family(parent) != family:
            return False
        node = parent
    return False


def _begins_later(reading: Reading, parent: Node, node: Node) -> bool:
    latest = reading.memo.get(("latest", parent.index))
    if latest is None:
        latest = reading.memo["latest", parent.index] = {}
        for sibling in reading.kids(parent):
            family, begun = _family(sibling), _begun(sibling)
            latest[family] = max(begun, latest.get(family, begun))
    return bool(latest[_family(node)] > _begun(node))


def _begun(node: Node) -> tuple[int, int, int]:
    """When a span of a chain began. Of two in one millisecond, as JavaScript counts, what stands at a route comes later."""
    return node.start_ns, len(semconv.route(node.span).rstrip("/")), node.index


def answered_an_error(reading: Reading, node: Node) -> bool:
    """The span itself answered 4xx, 5xx or a gRPC error: a proxy that served the request stated no refusal."""
    return reading.answer(node) not in (Answer.NONE, Answer.OK, Answer.REDIRECT)


def server_ancestor_denied(reading: Reading, node: Node) -> bool:
    """The closest SERVER span answered a refusal (401, 403, 429 and their like)."""
    server = reading.server_of(node)
    return server is not None and reading.answer(server) in REFUSALS


def server_ancestor_redirected(reading: Reading, node: Node) -> bool:
    """The closest SERVER span sent its client elsewhere, and the request was not itself a log-in."""
    server = reading.server_of(node)
    if server is None or peers.is_login_path(semconv.path(server.span)):
        return False
    return reading.answer(server) in (Answer.REDIRECT, Answer.LOGIN) and semconv.http_status(server.span) in (302, 303, 307)


def server_ancestor_ok(reading: Reading, node: Node) -> bool:
    server = reading.server_of(node)
    return server is not None and reading.answer(server) in (Answer.OK, Answer.REDIRECT)


def server_ancestor_404(reading: Reading, node: Node) -> bool:
    server = reading.server_of(node)
    return server is not None and reading.answer(server) is Answer.MISSING


def anonymous_principal(reading: Reading, node: Node) -> bool:
    """The check ran for nobody in particular."""
    who = semconv.text(node.span.attributes.get("spring.security.authentication.type")) or semconv.principal(node.span)
    if who == "n/a":  # WebFlux knows no anonymous person; that it asked for a log-in tells
        server = reading.server_of(node)
        return server is not None and asks_who(server.span) is True
    return who.lower().startswith(("anonymous", "rememberme", "guest"))


def later_success_same_target(reading: Reading, node: Node) -> bool:
    """A later call of the same parent to the same target succeeded."""
    target = call_target(node)
    return any(
        n.span.kind is SpanKind.CLIENT
        and n.start_ns >= node.end_ns
        and reading.answer(n) is Answer.OK
        and call_target(n) == target
        for n in _siblings(reading, node)
    )


def call_target(node: Node) -> tuple[str, str, str]:
    """What a call was for: peer, method, path or RPC."""
    span = node.span
    return semconv.peer(span), semconv.method(span) or semconv.rpc_system(span), semconv.path(span) or peers.rpc_name(span)


def child_of_bulk_check(reading: Reading, node: Node) -> bool:
    """An ancestor asks many questions at once."""
    return reading.in_bulk(node)


def has_allowed_sibling(reading: Reading, node: Node) -> bool:
    """A check of the same name beside it was allowed."""
    return any(n is not node and n.span.name == node.span.name and reading.allows(n) for n in _siblings(reading, node))


def innermost(reading: Reading, node: Node) -> bool:
    """No span of the same library lies below it: of middleware that nests, the last to be entered."""
    scope = node.span.scope.name
    return not any(n.span.scope.name == scope for n in _below(reading, node))


def redirects_to_login(_: Reading, node: Node) -> bool:
    """The Location it answered with is a log-in page, and the request was not a log-in itself."""
    return is_login_page(semconv.text(node.span.attributes.get(semconv.LOCATION))) and not peers.is_login_path(
        semconv.path(node.span)
    )


PREDICATES: dict[str, Callable[[Reading, Node], bool]] = {
    "no_upstream_call": no_upstream_call,
    "backend_call_exists": backend_call_exists,
    "no_server_child": no_server_child,
    "no_handler_child": no_handler_child,
    "handler_below": handler_below,
    "handler_exists": handler_exists,
    "last_among_siblings": last_among_siblings,
    "later_sibling_exists": later_sibling_exists,
    "answered_an_error": answered_an_error,
    "server_ancestor_denied": server_ancestor_denied,
    "server_ancestor_redirected": server_ancestor_redirected,
    "server_ancestor_ok": server_ancestor_ok,
    "server_ancestor_404": server_ancestor_404,
    "anonymous_principal": anonymous_principal,
    "later_success_same_target": later_success_same_target,
    "child_of_bulk_check": child_of_bulk_check,
    "has_allowed_sibling": has_allowed_sibling,
    "innermost": innermost,
    "redirects_to_login": redirects_to_login,
}
