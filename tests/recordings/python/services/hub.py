"""A hub whose handlers do with refusals what real ones do: go on without, go on all the same, ask again, hide, note them."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response

STOCK, POLICY, CARRIER, IDENTITY = (os.environ[name] for name in ("STOCK", "POLICY", "CARRIER", "IDENTITY"))
client = httpx.AsyncClient(timeout=3.0)


@asynccontextmanager
async def pool(app: FastAPI) -> AsyncIterator[None]:
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE"], min_size=1, max_size=2, command_timeout=1.5)
    yield
    app.state.pool.terminate()


app = FastAPI(openapi_url=None, lifespan=pool)


def token(request: Request) -> dict[str, str]:
    return {"Authorization": request.headers["authorization"]} if "authorization" in request.headers else {}


async def permitted(role: str, action: str) -> bool:
    return (await client.post(f"{POLICY}/decide", json={"role": role, "action": action})).status_code == 200


@app.get("/dashboard")
async def dashboard(request: Request) -> dict[str, int]:
    """Three panels; one that is refused stays empty."""
    panels = {"order": f"{STOCK}/items/1", "audit": f"{STOCK}/secrets/7", "parcels": f"{CARRIER}/parcels"}
    answers = await asyncio.gather(*(client.get(url, headers=token(request)) for url in panels.values()))
    return {name: answer.status_code for name, answer in zip(panels, answers, strict=True)}


@app.delete("/papers/{number}")
async def remove(number: int, request: Request) -> Response:
    """The answer of the policy service is asked for, and not looked at."""
    await permitted("clerk", "remove")
    await request.app.state.pool.execute("DELETE FROM papers WHERE id = $1", number)
    return Response(status_code=204)


@app.put("/papers/{number}")
async def change(number: int, request: Request) -> Response:
    """A refusal is noted for the auditors."""
    if not await permitted("clerk", "change"):
        await request.app.state.pool.execute("INSERT INTO audit_log (what) VALUES ('refused: change of a paper')")
        raise HTTPException(403)
    return Response(status_code=204)


@app.post("/papers")
async def propose(request: Request) -> Response:
    """What a guest may not is tried again in the role that the caller has besides."""
    if not await permitted("guest", "propose") and not await permitted("clerk", "propose"):
        raise HTTPException(403)
    await request.app.state.pool.execute("INSERT INTO papers (title) VALUES ('a proposal')")
    return Response(status_code=201)


@app.get("/parcels")
async def parcels() -> Response:
    return Response(status_code=(await client.get(f"{CARRIER}/closed/parcels")).status_code)


@app.post("/sessions")
async def log_in() -> Response:
    form = {"grant_type": "password", "username": "mary", "password": "guess"}
    answer = await client.post(f"{IDENTITY}/oauth2/token", data=form)
    if answer.status_code != 200:
        raise HTTPException(401, "The login failed.")
    return Response(status_code=204)


@app.get("/guests/secrets/{number}")
async def rewritten(number: int) -> Response:
    answer = await client.get(f"{STOCK}/secrets/{number}")
    if answer.status_code == 401:
        raise HTTPException(403, "Not for guests.")
    return Response(status_code=answer.status_code)


@app.post("/orders/batch")
async def batch(request: Request) -> Response:
    """Each row in a savepoint of its own; 207 where one was refused."""
    status = 201
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT set_config('app.tenant', 'north', true)")
        for tenant in ("north", "south", "north"):
            try:
                async with connection.transaction():
                    await connection.execute("INSERT INTO orders (tenant, item) VALUES ($1, 'lamp')", tenant)
            except asyncpg.InsufficientPrivilegeError:
                status = 207
    return Response(status_code=status)


@app.post("/holds")
async def later(request: Request, tasks: BackgroundTasks) -> Response:
    """Answered at once, done afterwards, by this very process."""
    tasks.add_task(client.post, f"{STOCK}/holds", json={"item": "safe"}, headers=token(request))
    return Response(status_code=202, background=tasks)


@app.get("/stubborn/{number}")
async def stubborn(number: int, request: Request) -> Response:
    for _ in range(3):
        answer = await client.get(f"{STOCK}/secrets/{number}", headers=token(request))
        if answer.status_code == 200:
            break
        await asyncio.sleep(0.05)
    return Response(status_code=answer.status_code)


@app.get("/papers/{number}")
async def read(number: int, request: Request) -> dict[str, object]:
    try:
        found = await request.app.state.pool.fetchrow("SELECT title FROM papers WHERE id = $1", number)
    except TimeoutError:
        raise HTTPException(504, "The database does not answer.") from None
    return {"title": found["title"] if found else None}
