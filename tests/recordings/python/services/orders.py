"""Orders behind the gateway: roles by a FastAPI dependency, rows and grants by PostgreSQL, through asyncpg."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
import httpx
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

SECRET = os.environ["SECRET"]
STOCK = os.environ.get("STOCK", "")
client = httpx.AsyncClient(timeout=2.0)


@asynccontextmanager
async def pool(app: FastAPI) -> AsyncIterator[None]:
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE"], min_size=1, max_size=3, timeout=3)
    yield
    app.state.pool.terminate()


app = FastAPI(openapi_url=None, lifespan=pool)


def caller(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> dict[str, object]:
    try:
        return jwt.decode(given.credentials, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError as wrong:
        raise HTTPException(401, str(wrong)) from None


Caller = Annotated[dict[str, object], Depends(caller)]


def role(name: str) -> Callable[[Caller], None]:
    def check(who: Caller) -> None:
        if name not in who.get("roles", []):
            raise HTTPException(403, f"The role {name} is needed.")

    return check


@asynccontextmanager
async def rows(request: Request, who: dict[str, object]) -> AsyncIterator[asyncpg.Connection]:
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT set_config('app.tenant', $1, true)", who.get("tenant", ""))
        yield connection


@app.get("/orders")
async def listed(request: Request, who: Caller) -> list[dict[str, object]]:
    async with rows(request, who) as connection:
        return [dict(row) for row in await connection.fetch("SELECT id, item FROM orders")]


@app.get("/orders/{number}")
async def one(number: int, request: Request, who: Caller) -> dict[str, object]:
    async with rows(request, who) as connection:
        row = await connection.fetchrow("SELECT id, item FROM orders WHERE id = $1", number)
    if row is None:
        raise HTTPException(404, "There is no such order.")
    return dict(row)


@app.delete("/orders/{number}", dependencies=[Depends(role("manager"))])
async def remove(number: int, request: Request, who: Caller) -> dict[str, int]:
    async with rows(request, who) as connection:
        await connection.execute("DELETE FROM orders WHERE id = $1", number)
    return {"removed": number}


@app.post("/orders")
async def add(request: Request, who: Caller) -> JSONResponse:
    body = await request.json()
    try:
        async with rows(request, who) as connection:
            await connection.execute("INSERT INTO orders (tenant, item) VALUES ($1, $2)", body["tenant"], body["item"])
    except asyncpg.InsufficientPrivilegeError as refused:
        raise HTTPException(403, "This tenant is not yours.") from refused
    return JSONResponse({"item": body["item"]}, 201)


@app.get("/ledger")
async def ledger(request: Request, who: Caller) -> dict[str, int]:
    async with rows(request, who) as connection:
        return {"total": await connection.fetchval("SELECT sum(total) FROM ledger")}


@app.post("/reservations")
async def reserve(request: Request, who: Caller) -> JSONResponse:
    """The reservation is written, and committed, before the stock service is asked whether the caller may have it."""
    body = await request.json()
    async with rows(request, who) as connection:
        await connection.execute("INSERT INTO reservations (item) VALUES ($1)", body["item"])
    answer = await client.post(f"{STOCK}/holds", json=body, headers={"Authorization": request.headers["authorization"]})
    return JSONResponse(answer.json(), answer.status_code)


@app.post("/holds/bulk")
async def bulk(request: Request, who: Caller) -> JSONResponse:
    """One call for each item; 207 with each item's own status."""
    answers = {}
    for item in (await request.json())["items"]:
        given = {"Authorization": request.headers["authorization"]}
        answer = await client.post(f"{STOCK}/holds", json={"item": item}, headers=given)
        answers[item] = answer.status_code
    return JSONResponse(answers, 207)


@app.get("/secrets/{number}")
async def secret(number: int, request: Request, who: Caller) -> dict[str, object]:
    """Whether it exists is nobody's business: what the stock service forbids is a 404 here."""
    answer = await client.get(f"{STOCK}/secrets/{number}", headers={"Authorization": request.headers["authorization"]})
    if answer.status_code == 403:
        raise HTTPException(404, "There is no such thing.")
    return answer.json()
