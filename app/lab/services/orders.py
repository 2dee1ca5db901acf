"""orders: roles, ownership, and a policy service asked where money moves. Writes the attribute names of some years ago."""

from collections.abc import Callable
from typing import Annotated, Any

import fastapi
import httpx2 as httpx
from opentelemetry import trace
from pydantic import BaseModel, Field

from app.lab.checks import OLDER, check
from app.lab.config import BILLING, ORDERS, POLICY, ServiceConfig
from app.lab.control import Act, Faults
from app.lab.database import connect
from app.lab.headers import DETACHED_HEADER, RESPONSE_HEADER, trace_id_in
from app.lab.telemetry import current_trace_id
from app.lab.tokens import Claims, Refused, bearer, verify

PEER_TIMEOUT_S = 4.0


class NewOrder(BaseModel):
    """`customer_id` is read from the body as it stands: the mistake that row-level security has to catch."""

    sku: Annotated[str, Field(max_length=50)]
    quantity: Annotated[int, Field(ge=1, le=100)]
    customer_id: Annotated[str, Field(max_length=50)] = ""


class Caller:
    """Who asks, from where; the gateway has checked the token."""

    def __init__(self, claims: Claims, address: str, authorization: str) -> None:
        self.claims = claims
        self.address = address
        self.authorization = authorization

    def attributes(self, resource: str) -> dict[str, Any]:
        return {
            OLDER.address: self.address, OLDER.user_id: self.claims.sub, OLDER.roles: list(self.claims.roles),
            "auth.resource": resource,
        }  # fmt: skip


def caller(request: fastapi.Request) -> Caller:
    header = request.headers.get("authorization")
    try:
        claims = verify(bearer(header), request.app.state.signing_key)
    except Refused:
        raise fastapi.HTTPException(401, "token not accepted") from None
    return Caller(claims, request.client.host if request.client else "", header or "")


Known = Annotated[Caller, fastapi.Depends(caller)]


def create(config: ServiceConfig, faults: Faults) -> tuple[fastapi.FastAPI, dict[str, Act]]:
    app = fastapi.FastAPI()
    app.state.signing_key = config.signing_key
    tracer = trace.get_tracer("shop.orders")
    database = connect(config.database, ORDERS)
    client = httpx.Client(timeout=PEER_TIMEOUT_S, trust_env=False)

    def need_role(known: Caller, role: str, resource: str) -> None:
        with check(tracer, "auth.permission_check", known.attributes(resource)) as opened:
            if role not in known.claims.roles:
                opened.deny("forbidden")
                raise fastapi.HTTPException(403, f"this needs role {role}")
            opened.allow()

    def own_order(known: Caller, order_id: int) -> tuple[Any, ...]:
        """The order, if it is the caller's or the caller is support. Errors: 404 for both of the other cases."""
        with database.transaction(user_id=known.claims.sub, roles=known.claims.roles) as cursor:
            cursor.execute("SELECT id, customer_id, total_cents, region, status FROM orders WHERE id = %s", (order_id,))
            row = cursor.fetchone()
        if row is None:
            raise fastapi.HTTPException(404, "no such order")
        with check(tracer, "auth.permission_check", known.attributes("orders/{id}")) as opened:
            if row[1] != known.claims.sub and "support" not in known.claims.roles:
                opened.deny("forbidden")
                # 404, so that a stranger cannot tell which order numbers exist.
                raise fastapi.HTTPException(404, "no such order")
            opened.allow()
        return tuple(row)

    def ask_policy(known: Caller, action: str, region: str, amount_cents: int) -> None:
        """Errors: 403 where policy denies; 403 as well where it does not answer, unless set to fail open."""
        with check(tracer, "auth.authorize", {**known.attributes(action), "auth.action": action}) as opened:
            claims = known.claims
            question = {
                "subject": {"id": claims.sub, "roles": claims.roles, "region": claims.region},
                "action": action, "region": region, "amount_cents": amount_cents,
            }  # fmt: skip
            try:
                answer = client.post(f"{config.peers[POLICY]}/v1/decide", json=question)
                answer.raise_for_status()
                decision, reason = answer.json()["decision"], answer.json()["reason"]
            except (httpx.HTTPError, ValueError, KeyError) as error:
                opened.broke(type(error).__name__)
                if faults.fail_open:
                    opened.note(**{"auth.fail_open": True})
                    return
                raise fastapi.HTTPException(403, "no decision could be had") from None
            if decision != "allow":
                opened.deny("policy_denied")
                if faults.ignore_policy:
                    return
                raise fastapi.HTTPException(403, reason)
            opened.allow()

    def ask_billing(
        known: Caller, response: fastapi.Response, call: Callable[..., httpx.Response], path: str, **body: Any
    ) -> Any:
        try:
            answer = call(
                config.peers[BILLING] + path,
                headers={"authorization": known.authorization, "x-forwarded-for": known.address},
                **body,
            )
        except httpx.HTTPError:
            raise fastapi.HTTPException(503, "billing does not answer") from None
        other = trace_id_in(answer.headers.get(RESPONSE_HEADER))
        headers = {DETACHED_HEADER: other} if other and other != current_trace_id() else {}
        if answer.status_code >= 400:
            raise fastapi.HTTPException(answer.status_code, "billing refused", headers)
        response.headers.update(headers)
        return answer.json()

    @app.get("/products")
    def products() -> list[dict[str, Any]]:
        with database.transaction() as cursor:
            cursor.execute("SELECT sku, title, price_cents FROM products ORDER BY sku")
            return [{"sku": row[0], "title": row[1], "price_cents": row[2]} for row in cursor.fetchall()]

    @app.get("/orders")
    def list_orders(known: Known) -> list[dict[str, Any]]:
        need_role(known, "customer", "orders")
        with database.transaction(user_id=known.claims.sub, roles=known.claims.roles) as cursor:
            cursor.execute(
                "SELECT id, sku, quantity, total_cents, status FROM orders WHERE customer_id = %s ORDER BY id",
                (known.claims.sub,),
            )
            keys = ("id", "sku", "quantity", "total_cents", "status")
            return [dict(zip(keys, row, strict=True)) for row in cursor.fetchall()]

    @app.post("/orders", status_code=201)
    def create_order(given: NewOrder, known: Known) -> dict[str, Any]:
        need_role(known, "customer", "orders")
        with database.transaction() as cursor:
            cursor.execute("SELECT price_cents FROM products WHERE sku = %s", (given.sku,))
            price = cursor.fetchone()
        if price is None:
            raise fastapi.HTTPException(422, "no such product")
        total = price[0] * given.quantity
        ask_policy(known, "order.create", known.claims.region, total)
        with database.transaction(user_id=known.claims.sub, roles=known.claims.roles) as cursor:
            cursor.execute(
                "INSERT INTO orders (customer_id, sku, quantity, total_cents, region, status)"
                " VALUES (%s, %s, %s, %s, %s, 'open') RETURNING id",
                (given.customer_id or known.claims.sub, given.sku, given.quantity, total, known.claims.region),
            )
            row = cursor.fetchone()
        return {"id": row[0] if row else None, "total_cents": total}

    @app.get("/orders/{order_id}")
    def show_order(order_id: int, known: Known) -> dict[str, Any]:
        row = own_order(known, order_id)
        return {"id": row[0], "total_cents": row[2], "status": row[4]}

    @app.get("/orders/{order_id}/invoice")
    def invoice(order_id: int, known: Known, response: fastapi.Response) -> Any:
        # Leaves the ownership check to billing, which keeps the invoices.
        return ask_billing(known, response, client.get, f"/invoices/{order_id}")

    @app.post("/orders/{order_id}/pay")
    def pay(order_id: int, known: Known, response: fastapi.Response) -> Any:
        row = own_order(known, order_id)
        return ask_billing(known, response, client.post, "/payments", json={"order_id": row[0], "amount_cents": row[2]})

    @app.post("/orders/{order_id}/refund")
    def refund(order_id: int, known: Known) -> dict[str, Any]:
        row = own_order(known, order_id)
        ask_policy(known, "order.refund", row[3], row[2])
        with database.transaction(user_id=known.claims.sub, roles=known.claims.roles) as cursor:
            cursor.execute(
                "INSERT INTO refunds (order_id, amount_cents, made_by) VALUES (%s, %s, %s)", (row[0], row[2], known.claims.sub)
            )
        return {"order_id": row[0], "refunded_cents": row[2]}

    @app.get("/admin/orders")
    def admin_orders(known: Known) -> list[dict[str, Any]]:
        need_role(known, "support", "admin/orders")
        with database.transaction(user_id=known.claims.sub, roles=known.claims.roles) as cursor:
            cursor.execute("SELECT id, total_cents, status FROM orders ORDER BY id DESC LIMIT 20")
            return [{"id": row[0], "total_cents": row[1], "status": row[2]} for row in cursor.fetchall()]

    @app.get("/admin/users")
    def admin_users(known: Known) -> dict[str, Any]:
        need_role(known, "admin", "admin/users")
        with database.transaction() as cursor:
            cursor.execute("SELECT count(DISTINCT customer_id) FROM orders")
            row = cursor.fetchone()
        return {"customers": row[0] if row else 0}

    @app.get("/admin/ledger")
    def ledger(known: Known) -> list[Any]:
        need_role(known, "support", "admin/ledger")
        with database.transaction() as cursor:
            cursor.execute("SELECT id, entry FROM ledger")
            return list(cursor.fetchall())

    @app.delete("/admin/orders/{order_id}")
    def delete_order(order_id: int, known: Known) -> dict[str, Any]:
        need_role(known, "admin", "admin/orders/{id}")
        with database.transaction(user_id=known.claims.sub, roles=known.claims.roles) as cursor:
            cursor.execute("UPDATE orders SET status = 'deleted' WHERE id = %s", (order_id,))
        return {"id": order_id}

    return app, {}
