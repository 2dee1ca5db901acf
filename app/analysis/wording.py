"""How spans, values and deciders are called in the sentences of a verdict."""

from __future__ import annotations

import functools
import ipaddress

import re2

from app.analysis import operations
from app.analysis.verdict import Layer
from app.traces import semconv
from app.traces.model import Node, SpanKind

_LONGEST = 200
_PLAIN = re2.compile(r"^(-?\d{1,20}(\.\d{1,10})?|true|false)$")
_ENGINES = {Layer.POLICY_ENGINE: "the policy engine", Layer.IDENTITY_PROVIDER: "the identity provider",
            Layer.RATE_LIMITER: "the rate limiter", Layer.API_GATEWAY: "the gateway", Layer.MESSAGE_BROKER: "the broker",
            Layer.DATABASE: "the database"}  # fmt: skip


def short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def value(text: str) -> str:
    """An attribute's value as people write it: numbers and booleans bare, texts in double quotes."""
    return text if _PLAIN.search(text) else f'"{short(text)}"'


def fact(key: str, text: str) -> str:
    """auth.result = "failure", http.response.status_code = 403."""
    return f"{key} = {value(text)}"


def span(node: Node) -> str:
    """What a span did: POST /decide, auth.permission_check, "middleware - authenticate"."""
    title = operations.shown(node.span)
    is_request = bool(semconv.method(node.span)) and title.startswith(f"{semconv.method(node.span)} ")
    return title if is_request or " " not in title else f'"{title}"'


def call(node: Node) -> str:
    """the call POST /decide of orders to policy; for a span that called nobody: auth.permission_check of orders."""
    if node.span.kind is not SpanKind.CLIENT:
        return f"{span(node)} of {node.service}"
    to = peer(node)
    return f"the call {span(node)} of {node.service}{f' to {to}' if to else ''}"


def peer(node: Node) -> str:
    """Whom a call reached, as well as it is known; "" where the call does not say."""
    found = store(node) if semconv.db_system(node.span) or semconv.messaging_system(node.span) else semconv.peer(node.span)
    if semconv.db_system(node.span):
        return f"the database {found}" if found != semconv.db_system(node.span) else f"the database ({found})"
    return f"the service at {found}" if is_bare(found) else found


def store(node: Node) -> str:
    """A database or broker by its name, rather than by an address that says nothing."""
    attributes = node.span.attributes
    address = semconv.first_text(attributes, ("server.address", "net.peer.name"))
    address = "" if is_bare(address) else semconv.bare_address(address)
    named = semconv.text(attributes.get(semconv.PEER_SERVICE))
    system = semconv.db_system(node.span)
    if system:
        namespace = semconv.db_namespace(node.span)
        return ("" if namespace.isdigit() else namespace) or named or address or system
    return named or address or semconv.destination(node.span) or semconv.messaging_system(node.span)


@functools.lru_cache(maxsize=4096)
def is_bare(address: str) -> bool:
    """Whether an address is a number or this machine, so that it names nobody."""
    if address in ("localhost", ""):
        return bool(address)
    try:
        ipaddress.ip_address(semconv.bare_address(address))
    except ValueError:
        return False
    return True


def decider(layer: Layer, service: str, target: str) -> str:
    """Who decided: its own name where it has one, else what it is and where."""
    if layer is Layer.DATABASE and target:
        return f"the database {target}"
    if not target or target == service:
        return service
    if is_bare(target):
        return f"{_ENGINES.get(layer, 'the service')} at {target}"
    return target


def sentence(text: str) -> str:
    """The text with a capital where it begins with an article; names keep their own spelling."""
    return f"The {text[4:]}" if text.startswith("the ") else text
