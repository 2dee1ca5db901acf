"""The whole shop in one service; with ROLE=orders its orders only, which then asks POLICY_URL what a caller may do.

TOKEN_KEY=... DATABASE_URL=postgresql://app_user:...@127.0.0.1:5432/shop PORT=8080 python shop.py
"""

from __future__ import annotations

import logging
import os
from typing import Annotated

import database
import httpx
import psycopg
import tokens
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from telemetry import PROXIES, Refused, check, client_address, instrument, set_up, until_sent, who

ROLE = os.environ.get("ROLE", "all")
log = logging.getLogger("shop")
login_routes, order_routes = APIRouter(), APIRouter()


class Login(BaseModel):
    name: str
    password: str


class NewOrder(BaseModel):
    customer: str
    item: str


@login_routes.post("/login")
def login(given: Login, request: Request) -> dict[str, str]:
    address = client_address(request)
    with check("auth.login", auth_method="password", client_address=address) as span:
        span.set_attributes(who(given.name))
        account = database.account(given.name.lower())
        # For an unknown name a password is hashed as well, or the time of the answer would tell which names exist.
        salt, expected = (account.password_salt, account.password_hash) if account else ("00" * 16, "00" * 32)
        right = tokens.is_password(given.password, salt, expected)
        if account is None:
            raise Refused("unknown_user", "Nobody has this name.")
        span.set_attribute("user.id", account.id)
        if not right:
            raise Refused("invalid_credentials", "The password is wrong.")
        span.set_attribute("user.roles", [account.role])
    log.info("logged in")
    return {"token": tokens.issue(account.id, account.role, account.customer)}


def authenticated(request: Request) -> tokens.Caller:
    """Who sent the request, by the token it carries."""
    with check("auth.token_validate", auth_method="bearer", client_address=client_address(request)) as span:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused("token_invalid", "No bearer token was sent.")
        caller = tokens.signed_by_us(token)
        # Before the check that may fail, so that it stands on refusals too.
        span.set_attributes({"user.id": caller.id, "user.roles": [caller.role]})
        caller.refuse_expired()
    return caller


def permitted(caller: tokens.Caller, action: str, request: Request) -> None:
    """Nothing where the caller may do that to orders. Errors: Refused."""
    asked = {"auth_method": "bearer", "auth_resource": "order", "auth_action": action}
    with check("auth.permission_check", client_address=client_address(request), **asked) as span:
        span.set_attributes({"user.id": caller.id, "user.roles": [caller.role]})
        if ROLE == "orders":
            question = {"subject": caller.id, "role": caller.role, "action": action, "resource": "order"}
            # Who connected to the edge is handed on by hand; the trace goes along by itself.
            told = {"x-forwarded-for": client_address(request)}
            asked_of = f"{os.environ['POLICY_URL']}/decide"
            answer = httpx.post(asked_of, json=question, headers=told, timeout=5).raise_for_status().json()
            if not answer["allow"]:
                raise Refused("policy_denied", answer["reason"])
        elif caller.role != "clerk":
            raise Refused("forbidden", "lacks the role clerk")


Caller = Annotated[tokens.Caller, Depends(authenticated)]


@order_routes.get("/orders/{number}")
def read(number: int, request: Request, caller: Caller) -> JSONResponse:
    permitted(caller, "read", request)
    found = database.order(number, customer=caller.customer)
    if found is None:
        return JSONResponse({"error": "not_found"}, 404)
    log.info("order read")
    return JSONResponse(found)


@order_routes.post("/orders")
def create(given: NewOrder, request: Request, caller: Caller) -> JSONResponse:
    permitted(caller, "create", request)
    try:
        number = database.add_order(given.customer, given.item, customer=caller.customer)
    except psycopg.errors.InsufficientPrivilege:
        # The span of the statement says so: SQLSTATE 42501 and PostgreSQL's words.
        log.warning("refused: row_level_security")
        return JSONResponse({"error": "row_level_security"}, 403)
    log.info("order written")
    return JSONResponse({"id": number}, 201)


async def refused(request: Request, error: Refused) -> JSONResponse:
    """A refused check as an answer. What it tells is less than what the span does."""
    log.warning("refused: %s", error.reason)
    if error.reason in ("token_expired", "token_invalid"):
        return JSONResponse({"error": error.reason}, 401, {"WWW-Authenticate": f'Bearer error="{error.reason}"'})
    if error.reason in ("unknown_user", "invalid_credentials"):
        return JSONResponse({"error": "invalid_credentials"}, 401)
    return JSONResponse({"error": "forbidden"}, 403)


set_up("orders" if ROLE == "orders" else "python-shop")
app = FastAPI(openapi_url=None, lifespan=until_sent)
app.add_exception_handler(Refused, refused)
app.include_router(order_routes)
if ROLE == "all":
    app.include_router(login_routes)
instrument(app)


@app.get("/healthz")
def healthy() -> dict[str, bool]:
    return {"healthy": True}


if __name__ == "__main__":
    # Its own log would have lines without a trace; ours has one for each request.
    where = {"host": os.environ.get("HOST", "127.0.0.1"), "port": int(os.environ.get("PORT", "8080"))}
    uvicorn.run(app, **where, **PROXIES, log_config=None, access_log=False)
