"""The part each service plays in a request: a gateway, an identity provider, a policy engine, a proxy of a mesh, ...

Inferred from a house's own word (configuration), then from marks of products, then from the structure of the trace, and
from names last. Every guess says what it rests on.
"""

from __future__ import annotations

import enum

import msgspec

from app.analysis import peers
from app.analysis.answers import REFUSALS
from app.analysis.peers import NameRole
from app.analysis.reading import Reading
from app.analysis.verdict import Layer
from app.traces import semconv
from app.traces.model import Node, SpanKind


class Role(enum.StrEnum):
    GATEWAY = "gateway"
    MESH_PROXY = "mesh_proxy"
    IDENTITY_PROVIDER = "identity_provider"
    POLICY_ENGINE = "policy_engine"
    RATE_LIMITER = "rate_limiter"
    FIREWALL = "firewall"
    WORKER = "worker"
    BROWSER = "browser"
    SERVICE = "service"


class Guess(msgspec.Struct, frozen=True):
    """A role and what it was read from, as the end of a sentence."""

    role: Role
    why: str


LAYERS = {
    Role.GATEWAY: Layer.API_GATEWAY,
    Role.MESH_PROXY: Layer.SERVICE_MESH,
    Role.IDENTITY_PROVIDER: Layer.IDENTITY_PROVIDER,
    Role.POLICY_ENGINE: Layer.POLICY_ENGINE,
    Role.RATE_LIMITER: Layer.RATE_LIMITER,
    Role.FIREWALL: Layer.EDGE_WAF,
}

# Libraries that only one kind of product has.
_SCOPES = (("kong-internal", Role.GATEWAY), ("nginx", Role.GATEWAY), ("github.com/traefik/traefik", Role.GATEWAY),
           ("opentelemetry-lua", Role.GATEWAY), ("openfga/", Role.POLICY_ENGINE), ("cerbos.dev/", Role.POLICY_ENGINE),
           ("github.com/luraproject", Role.GATEWAY), ("tyk", Role.GATEWAY), ("caddy", Role.GATEWAY),
           ("linkerd", Role.MESH_PROXY), ("github.com/caddyserver", Role.GATEWAY), ("apollo-router", Role.GATEWAY),
           ("github.com/ory/keto", Role.POLICY_ENGINE), ("github.com/ory/kratos", Role.IDENTITY_PROVIDER),
           ("github.com/ory/hydra", Role.IDENTITY_PROVIDER), ("github.com/ory/oathkeeper", Role.GATEWAY),
           ("github.com/authzed/spicedb", Role.POLICY_ENGINE),
           ("github.com/zitadel", Role.IDENTITY_PROVIDER))  # fmt: skip

_BY_NAME = {NameRole.GATEWAY: Role.GATEWAY, NameRole.IDENTITY: Role.IDENTITY_PROVIDER, NameRole.POLICY: Role.POLICY_ENGINE,
            NameRole.LIMITER: Role.RATE_LIMITER, NameRole.WAF: Role.FIREWALL}  # fmt: skip

# Rules that only fire on a product's own spans.
_PRODUCT_RULES = {"keycloak.event-error": Role.IDENTITY_PROVIDER, "keycloak.event-ok": Role.IDENTITY_PROVIDER,
                  "kratos.failed": Role.IDENTITY_PROVIDER, "hydra.token-error": Role.IDENTITY_PROVIDER,
                  "zitadel.span": Role.IDENTITY_PROVIDER, "opa.server": Role.POLICY_ENGINE,
                  "opa.envoy-plugin": Role.POLICY_ENGINE, "openfga.check": Role.POLICY_ENGINE,
                  "openfga.bulk": Role.POLICY_ENGINE}  # fmt: skip


class Roles:
    """The roles of one trace's services; each is worked out when first asked for."""

    def __init__(self, reading: Reading, entry: Node) -> None:
        self._reading = reading
        self._entry = entry
        self._known: dict[tuple[str, int], Guess] = {}

    def of(self, node: Node) -> Guess:
        """The role of the service a span belongs to, as it acts in the span's hop."""
        hop = self._reading.hop_of(node)
        key = (hop.service, hop.index)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._guess(hop)
        return found

    def layer_of(self, node: Node) -> Layer:
        """The layer of a check that follows the role of the service that makes it."""
        return LAYERS.get(self.of(node).role, Layer.APPLICATION)

    def _guess(self, hop: Node) -> Guess:
        reading = self._reading
        override = reading.context.role_overrides.get(hop.service)
        if override is not None and override in {role.value for role in Role}:
            return Guess(Role(override), "the configuration says so")
        span = hop.span
        if is_proxy(hop):
            return self._proxy(hop)
        product = self._product(hop)
        if product is not None:
            return product
        if span.kind == SpanKind.CONSUMER:
            return Guess(Role.WORKER, "its work begins with a message")
        asked = peers.of_target(semconv.path(span), peers.rpc_name(span) or span.name)
        above = reading.parent(hop)
        has_caller = above is not None or hop.lost_parent
        named = peers.name_role(hop.service)
        if has_caller and asked is peers.Peer.POLICY and named not in (NameRole.IDENTITY, NameRole.GATEWAY):
            return Guess(Role.POLICY_ENGINE, "it is asked for decisions")
        if has_caller and asked is peers.Peer.IDENTITY and named in (None, NameRole.IDENTITY) and self._verifies(hop):
            return Guess(Role.IDENTITY_PROVIDER, "it issues or verifies credentials for others")
        # Asked for a thing of its own, and refusing it itself: that is no engine's answer, whatever the name.
        own_thing = (
            named is NameRole.POLICY
            and has_caller
            and peers.is_thing(hop.service)
            and bool(semconv.path(span))
            and reading.answer(hop) in REFUSALS
        )
        if named is not None and not own_thing:
            return Guess(_BY_NAME[named], f"its name is {hop.service}")
        if hop is self._entry and self._forwards(hop):
            return Guess(Role.GATEWAY, "it is the entry and forwards the request")
        return Guess(Role.SERVICE, "nothing marks it as anything else")

    def _product(self, hop: Node) -> Guess | None:
        name = hop.span.scope.name
        for prefix, role in _SCOPES:
            if name.startswith(prefix):
                return Guess(role, f"its spans are made by {name}")
        for node in self._own(hop, 64):
            scope = node.span.scope.name
            for prefix, role in _SCOPES:
                if scope.startswith(prefix):
                    return Guess(role, f"its spans are made by {scope}")
            signal = self._reading.signals.get(node.index)
            if signal is not None and node.span.kind != SpanKind.CLIENT and signal.rule.id in _PRODUCT_RULES:
                return Guess(_PRODUCT_RULES[signal.rule.id], f"its spans are those of {signal.rule.system}")
        return None

    def _own(self, hop: Node, most: int) -> list[Node]:
        """The first spans of the hop itself."""
        found: list[Node] = []
        stack = [hop]
        while stack and len(found) < most:
            node = stack.pop()
            found.append(node)
            stack.extend(kid for kid in reversed(self._reading.kids(node)) if not self._reading.starts_hop(kid))
        return found

    def _verifies(self, hop: Node) -> bool:
        """Whether the hop itself looks at a credential, or its path is one that only such services have."""
        if peers.name_role(hop.service) is NameRole.IDENTITY or peers.is_asking_path(semconv.path(hop.span)):
            return True
        return any(n.span.name.startswith("auth.login") for n in self._own(hop, 64)) or peers.is_login_path(
            semconv.path(hop.span)
        )

    def _forwards(self, hop: Node) -> bool:
        """Whether the entry passes its request on as it came: the same method, and a path that ends alike."""
        reading = self._reading
        method, path = semconv.method(hop.span), _pieces(semconv.route(hop.span) or semconv.path(hop.span))
        concrete = _pieces(semconv.path(hop.span))
        for node in self._own(hop, 256):
            if node.span.kind != SpanKind.CLIENT:
                continue
            for theirs in (node, *self._served(node)):
                verb = semconv.method(theirs.span)
                if method and verb and method != verb:
                    continue
                for ours, other in ((path, semconv.route(theirs.span)), (concrete, semconv.path(theirs.span))):
                    pieces = _pieces(other)
                    if ours and pieces and len(pieces) <= len(ours) and ours[-len(pieces) :] == pieces:
                        return True
        return any(self._passed(hop, kid, concrete) for kid in reading.kids(hop))

    def _served(self, call: Node) -> list[Node]:
        """The server spans at the other end of a call, behind the mesh's proxies."""
        found: list[Node] = []
        stack = list(self._reading.kids(call))
        while stack and len(found) < 8:
            node = stack.pop()
            if is_proxy(node):
                stack.extend(self._reading.kids(node))
            elif node.span.kind == SpanKind.SERVER and node.service != call.service:
                found.append(node)
        return found

    def _passed(self, hop: Node, kid: Node, path: list[str]) -> bool:
        """Whether a proxy's span is itself the parent of the backend's."""
        if kid.span.kind != SpanKind.SERVER or kid.service == hop.service:
            return False
        pieces = _pieces(semconv.path(kid.span))
        return bool(path and pieces) and path[-len(pieces) :] == pieces

    def _proxy(self, hop: Node) -> Guess:
        """A sidecar or waypoint of a mesh, or a gateway: by where it stands and where it sends to."""
        span = hop.span
        attributes = span.attributes
        node_id = semconv.text(attributes.get("node_id"))
        cluster = semconv.first_text(attributes, ("upstream_cluster.name", "upstream_cluster"))
        name = hop.service.lower()
        if "waypoint" in name or node_id.startswith("waypoint~"):
            return Guess(Role.MESH_PROXY, "it is a waypoint")
        if node_id.startswith("router~") or peers.name_role(hop.service) is NameRole.GATEWAY:
            return Guess(Role.GATEWAY, f"it is the gateway {hop.service}")
        if peers.name_role(hop.service) is NameRole.WAF:
            return Guess(Role.FIREWALL, f"its name is {hop.service}")
        if cluster.startswith("inbound"):
            return Guess(Role.MESH_PROXY, "it is the sidecar before a service")
        first = hop is self._entry or (self._reading.parent(hop) is None and not hop.lost_parent)
        if first and span.kind == SpanKind.SERVER:
            return Guess(Role.GATEWAY, "it is a proxy and the entry")
        if node_id.startswith("sidecar~") or "istio.mesh_id" in attributes or "istio.canonical_service" in attributes:
            return Guess(Role.MESH_PROXY, "it is a proxy of the mesh")
        if any(peers_share(hop.service, n.service) for n in self._neighbours(hop)):
            return Guess(Role.MESH_PROXY, "it is the sidecar of the service beside it")
        return Guess(Role.MESH_PROXY if not first else Role.GATEWAY, "it is a proxy inside the trace")

    def _neighbours(self, hop: Node) -> list[Node]:
        parent = self._reading.parent(hop)
        return [*([parent] if parent else []), *self._reading.kids(hop)]


def is_proxy(node: Node) -> bool:
    """Whether the span is Envoy's or another mesh proxy's."""
    span = node.span
    return (
        span.scope.name in ("envoy", "istio-proxy", "linkerd-proxy", "consul-dataplane")
        or span.attributes.get("component") == "proxy"
    )


def peers_share(proxy: str, service: str) -> bool:
    """orders.shop and orders, orders-proxy and orders."""
    a, b = proxy.lower().split(".", 1)[0], service.lower().split(".", 1)[0]
    return a == b or a.removesuffix("-proxy").removesuffix("-sidecar").removesuffix("-envoy") == b


def _pieces(path: str) -> list[str]:
    """A path's segments, with placeholders made alike: {id}, :id and <id> are one."""
    pieces = [piece for piece in semconv.path_of(path).split("/") if piece] if path else []
    return ["{}" if piece[0] in "{:<" else piece.lower() for piece in pieces]
