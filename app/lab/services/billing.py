"""billing: keeps invoices and payments, and trusts nobody's ownership check but its own. It still writes user names."""

from typing import Annotated, Any

import fastapi
from opentelemetry import trace
from pydantic import BaseModel

from app.lab.checks import OLDER, check
from app.lab.config import BILLING, ServiceConfig
from app.lab.control import Act, Faults
from app.lab.database import connect
from app.lab.tokens import Claims, Refused, bearer, verify


class Payment(BaseModel):
    order_id: int
    amount_cents: int


def caller(request: fastapi.Request) -> Claims:
    try:
        return verify(bearer(request.headers.get("authorization")), request.app.state.signing_key)
    except Refused:
        raise fastapi.HTTPException(401, "token not accepted") from None


Known = Annotated[Claims, fastapi.Depends(caller)]


def address_of(request: fastapi.Request) -> str:
    return request.client.host if request.client else ""


def create(config: ServiceConfig, faults: Faults) -> tuple[fastapi.FastAPI, dict[str, Act]]:
    # Operation spans on: a guard that refuses as a dependency leaves a span, and the endpoint behind it none.
    app = fastapi.FastAPI(telemetry={"operation_spans": True})
    app.state.signing_key = config.signing_key
    tracer = trace.get_tracer("shop.billing")
    database = connect(config.database, BILLING)

    def attributes(claims: Claims, address: str, resource: str) -> dict[str, Any]:
        return {
            OLDER.address: address, OLDER.login: claims.login, OLDER.user_id: claims.sub, "auth.resource": resource,
        }  # fmt: skip

    def own_invoice(order_id: int, claims: Known, request: fastapi.Request) -> dict[str, Any]:
        with database.transaction(user_id=claims.sub, roles=claims.roles) as cursor:
            cursor.execute("SELECT customer_id, amount_cents FROM invoices WHERE order_id = %s", (order_id,))
            row = cursor.fetchone()
        with check(tracer, "auth.permission_check", attributes(claims, address_of(request), "invoices/{id}")) as opened:
            if row is None or (row[0] != claims.sub and "support" not in claims.roles):
                opened.deny("forbidden")
                raise fastapi.HTTPException(403, "not an invoice of yours")
            opened.allow()
        return {"order_id": order_id, "amount_cents": row[1]}

    def same_address(claims: Known, request: fastapi.Request) -> Claims:
        """Money moves only from where the log-in came from; elsewhere a second factor is asked for."""
        address = address_of(request)
        with check(tracer, "auth.permission_check", attributes(claims, address, "payments")) as opened:
            if claims.addr != address:
                opened.deny("mfa_required")
                raise fastapi.HTTPException(403, "a second factor is needed")
            opened.allow()
        return claims

    @app.get("/invoices/{order_id}")
    def invoice(found: Annotated[dict[str, Any], fastapi.Depends(own_invoice)]) -> dict[str, Any]:
        return found

    @app.post("/payments", status_code=201)
    def pay(given: Payment, claims: Annotated[Claims, fastapi.Depends(same_address)]) -> dict[str, Any]:
        with database.transaction(user_id=claims.sub, roles=claims.roles) as cursor:
            cursor.execute(
                "INSERT INTO payments (order_id, customer_id, amount_cents) VALUES (%s, %s, %s) RETURNING id",
                (given.order_id, claims.sub, given.amount_cents),
            )
            row = cursor.fetchone()
        return {"payment": row[0] if row else None}

    return app, {}
