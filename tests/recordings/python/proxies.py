"""Envoy's configuration, told in Python: listeners with the filters they are to have, and clusters."""

from __future__ import annotations

import base64
import json
from typing import Any

from kit.tokens import SECRET

HTTP = "type.googleapis.com/envoy.extensions.filters.http"
KEYS = {"keys": [{"kty": "oct", "alg": "HS256", "k": base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()}]}
# Not among the defaults: an operator has to ask for the reason.
DETAILS = [{"tag": "response_code_details", "value": "%RESPONSE_CODE_DETAILS%"}]


def configuration(listeners: list[dict[str, Any]], clusters: dict[str, int], otlp: str) -> str:
    """JSON, which Envoy takes for YAML; `clusters` are ports of the loopback address, `..._grpc` speak HTTP/2."""
    ports = {**clusters, "otlp": int(otlp.rpartition(":")[2])}
    quick = {"name": "quick", "static_layer": {"tracing.opentelemetry.flush_interval_ms": 500}}
    return json.dumps(
        {
            "node": {"id": "gateway-1", "cluster": "gateway"},
            "layered_runtime": {"layers": [quick]},
            "static_resources": {"listeners": listeners, "clusters": [_cluster(name, port) for name, port in ports.items()]},
        }
    )


def listener(
    port: int, filters: list[dict[str, Any]], *, tags: list[dict[str, Any]] | None = None, to: str = "orders",
    service: str = "envoy", attempts: int = 1,
) -> Any:  # fmt: skip
    """A way in: its own filters, and the route to one cluster, tried again where that answers 5xx."""
    route = {"cluster": to, "retry_policy": {"retry_on": "5xx", "num_retries": attempts - 1} if attempts > 1 else None}
    exporter = {
        "name": "envoy.tracers.opentelemetry",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "service_name": service,
            "http_service": {"http_uri": {"uri": "http://127.0.0.1/v1/traces", "cluster": "otlp", "timeout": "2s"}},
        },
    }
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "use_remote_address": True,
        "xff_num_trusted_hops": 1,
        "skip_xff_append": True,
        "tracing": {"provider": exporter, "custom_tags": tags or []},
        "http_filters": [*filters, _filter("router", "router.v3.Router", {})],
        "route_config": {
            "virtual_hosts": [{"name": "shop", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]
        },
    }
    return {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def jwt(keys: str | None = None) -> dict[str, Any]:
    """Every request needs a token; the keys are at hand, or fetched from the cluster `keys`."""
    remote = {"http_uri": {"uri": "http://127.0.0.1/keys", "cluster": keys, "timeout": "1s"}}
    source = {"remote_jwks": remote} if keys else {"local_jwks": {"inline_string": json.dumps(KEYS)}}
    provider = {**source, "forward": True, "payload_in_metadata": "payload"}
    rules = [{"match": {"prefix": "/"}, "requires": {"provider_name": "shop"}}]
    return _filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", {"providers": {"shop": provider}, "rules": rules})


def rbac() -> dict[str, Any]:
    """Reading is for everybody, the rest for those whose token says `tier: staff`."""
    path = [{"key": "payload"}, {"key": "tier"}]
    staff = {
        "metadata": {"filter": "envoy.filters.http.jwt_authn", "path": path, "value": {"string_match": {"exact": "staff"}}}
    }
    reading = {"header": {"name": ":method", "string_match": {"exact": "GET"}}}
    policies = {
        "readers": {"permissions": [reading], "principals": [{"any": True}]},
        "staff": {"permissions": [{"any": True}], "principals": [staff]},
    }
    return _filter("rbac", "rbac.v3.RBAC", {"rules": {"action": "ALLOW", "policies": policies}})


def limit() -> dict[str, Any]:
    """One request an hour."""
    whole = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    bucket = {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "3600s"}
    settings = {"stat_prefix": "limit", "token_bucket": bucket, "filter_enabled": whole, "filter_enforced": whole}
    return _filter("local_ratelimit", "local_ratelimit.v3.LocalRateLimit", settings)


def ask_http(cluster: str, *, fail_open: bool = False) -> dict[str, Any]:
    service = {
        "server_uri": {"uri": "http://127.0.0.1", "cluster": cluster, "timeout": "1s"},
        "path_prefix": "/check",
        "authorization_request": {"allowed_headers": {"patterns": [{"exact": "authorization"}]}},
    }
    return _filter("ext_authz", "ext_authz.v3.ExtAuthz", {"http_service": service, "failure_mode_allow": fail_open})


def ask_grpc(cluster: str) -> dict[str, Any]:
    service = {"envoy_grpc": {"cluster_name": cluster}, "timeout": "1s"}
    return _filter("ext_authz", "ext_authz.v3.ExtAuthz", {"grpc_service": service, "transport_api_version": "V3"})


def _filter(name: str, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{HTTP}.{kind}", **settings}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    made = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
    }
    # The receiver closes idle connections after 5 s, which is when Envoy exports: one that waits that long is not used again.
    spoken = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"idle_timeout": "1s"},
        "explicit_http_config": {"http2_protocol_options" if name.endswith("_grpc") else "http_protocol_options": {}},
    }
    made["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": spoken}
    return made
