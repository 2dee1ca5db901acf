"""edge-gateway: the shop's only door. Checks the token, then the route's access list, then passes the request on.

Reads trust a valid token until it expires; writes ask identity whether its session still lives. Where identity does not
answer, the gateway refuses (it fails closed).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import fastapi
import httpx2 as httpx
import msgspec
from opentelemetry import trace

from app.lab.checks import CURRENT, check
from app.lab.config import IDENTITY, ORDERS, ServiceConfig
from app.lab.control import Act, Faults
from app.lab.headers import DETACHED_HEADER
from app.lab.tokens import Claims, Refused, bearer, verify

PASSED_BACK = ("content-type", DETACHED_HEADER)
UPSTREAM_TIMEOUT_S = 6.0
# Introspection stands in the way of every write, so it gets less time than the work itself; but no stall of a busy
# machine may pass for an outage.
INTROSPECTION_TIMEOUT_S = 2.0
ANYONE = frozenset({"customer", "support"})
STAFF = frozenset({"support"})


class Route(msgspec.Struct, frozen=True):
    """One line of the access list. `roles` None: open to all, no token asked for."""

    method: str
    path: str
    upstream: str
    roles: frozenset[str] | None = ANYONE


ROUTES = (
    Route("POST", "/login", IDENTITY, None),
    Route("GET", "/me", IDENTITY),
    Route("POST", "/logout", IDENTITY),
    Route("GET", "/products", ORDERS, None),
    Route("GET", "/orders", ORDERS),
    Route("POST", "/orders", ORDERS),
    Route("GET", "/orders/{order_id}", ORDERS),
    Route("GET", "/orders/{order_id}/invoice", ORDERS),
    Route("POST", "/orders/{order_id}/pay", ORDERS),
    Route("POST", "/orders/{order_id}/refund", ORDERS),
    Route("GET", "/admin/orders", ORDERS, STAFF),
    Route("GET", "/admin/users", ORDERS, STAFF),
    Route("GET", "/admin/ledger", ORDERS, STAFF),
    Route("DELETE", "/admin/orders/{order_id}", ORDERS, STAFF),
)


def create(config: ServiceConfig, faults: Faults) -> tuple[fastapi.FastAPI, dict[str, Act]]:
    app = fastapi.FastAPI()
    tracer = trace.get_tracer("shop.edge-gateway")
    client = httpx.AsyncClient(timeout=UPSTREAM_TIMEOUT_S, trust_env=False)

    async def session_lives(token: str) -> bool:
        answer = await client.post(
            f"{config.peers[IDENTITY]}/introspect", json={"token": token}, timeout=INTROSPECTION_TIMEOUT_S
        )
        answer.raise_for_status()
        return bool(answer.json()["active"])

    async def validate(request: fastapi.Request, address: str) -> Claims:
        """The caller's claims. Errors: HTTPException 401, also where identity cannot be asked."""
        attributes: dict[str, Any] = {
            CURRENT.address: address, "auth.method": "bearer", "auth.token_type": "jwt",
            "user_agent.original": request.headers.get("user-agent", "")[:200],
        }  # fmt: skip
        if faults.careless:
            attributes["http.request.header.authorization"] = request.headers.getlist("authorization")
        with check(tracer, "auth.token_validate", attributes) as opened:
            try:
                token = bearer(request.headers.get("authorization"))
                claims = verify(token, config.signing_key)
                opened.note(**{CURRENT.user_id: claims.sub, "session.id": claims.session_hash})
                if request.method != "GET" and not await session_lives(token):
                    raise Refused("token_invalid")
            except Refused as refused:
                opened.deny(refused.reason)
                raise fastapi.HTTPException(401, "token not accepted") from None
            except httpx.HTTPError as error:
                opened.broke(type(error).__name__)
                raise fastapi.HTTPException(401, "token could not be checked") from None
            opened.allow()
            return claims

    def authorize(route: Route, claims: Claims, address: str) -> None:
        """Errors: HTTPException 403 where the route's list has none of the caller's roles."""
        attributes: dict[str, Any] = {
            CURRENT.address: address, CURRENT.user_id: claims.sub, CURRENT.roles: list(claims.roles),
            "auth.resource": f"{route.method} {route.path}",
        }  # fmt: skip
        with check(tracer, "auth.permission_check", attributes) as opened:
            if route.roles is not None and not route.roles & set(claims.roles):
                opened.deny("insufficient_scope")
                raise fastapi.HTTPException(403, "this route needs another role")
            opened.allow()

    async def forward(route: Route, request: fastapi.Request, address: str) -> fastapi.Response:
        headers = {"x-forwarded-for": address, "user-agent": request.headers.get("user-agent", "")}
        for name in ("authorization", "content-type"):
            if name in request.headers:
                headers[name] = request.headers[name]
        try:
            answer = await client.request(
                request.method,
                config.peers[route.upstream] + request.url.path,
                params=request.query_params,
                headers=headers,
                content=await request.body(),
            )
        except httpx.HTTPError:
            raise fastapi.HTTPException(503, f"{route.upstream} does not answer") from None
        kept = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        return fastapi.Response(answer.content, answer.status_code, kept)

    def endpoint(route: Route) -> Callable[[fastapi.Request], Awaitable[fastapi.Response]]:
        async def handle(request: fastapi.Request) -> fastapi.Response:
            address = request.client.host if request.client else ""
            if route.roles is not None:
                authorize(route, await validate(request, address), address)
            return await forward(route, request, address)

        return handle

    for route in ROUTES:
        app.add_api_route(route.path, endpoint(route), methods=[route.method], response_model=None)
    return app, {}
