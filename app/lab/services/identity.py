"""identity: password log-in with argon2, lock-out, tokens, introspection."""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any

import argon2
import fastapi
import msgspec
from fastapi.responses import JSONResponse
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from app.lab import tokens
from app.lab.checks import CURRENT, check
from app.lab.config import IDENTITY, ServiceConfig
from app.lab.control import Act, Faults
from app.lab.database import Database, connect
from app.lab.world import user_hash

LOCK_AFTER = 5
LOCK_S = 900
# Cheap on purpose: five services, an attack and Clew share two cores. A real identity provider spends 50 times as much.
HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=4096, parallelism=1)


class Credentials(BaseModel):
    login: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=200)]


class Token(BaseModel):
    token: Annotated[str, Field(max_length=4000)]


class Account(msgspec.Struct, frozen=True):
    id: str
    login: str
    password_hash: str
    roles: tuple[str, ...]
    region: str


class AgedToken(msgspec.Struct, frozen=True):
    """A request of the lab: a token this account was given `age_s` ago, from `address`."""

    login: str
    address: str
    age_s: int


class Lockout:
    """Counts failures per account and locks it for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._locked_until: dict[str, float] = {}
        self._guard = threading.Lock()

    def locked(self, account_id: str) -> bool:
        with self._guard:
            return self._locked_until.get(account_id, 0.0) > self._clock()

    def failed(self, account_id: str) -> None:
        with self._guard:
            self._failures[account_id] = self._failures.get(account_id, 0) + 1
            if self._failures[account_id] >= LOCK_AFTER:
                self._failures[account_id] = 0
                self._locked_until[account_id] = self._clock() + LOCK_S

    def succeeded(self, account_id: str) -> None:
        with self._guard:
            self._failures.pop(account_id, None)

    def clear(self) -> None:
        with self._guard:
            self._failures.clear()
            self._locked_until.clear()


class Directory:
    """The accounts, read from the database by login name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, login: str) -> Account | None:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT id, login, password_hash, roles, region FROM users WHERE login = %s", (login,))
            row = cursor.fetchone()
        return Account(row[0], row[1], row[2], tuple(row[3].split(",")), row[4]) if row else None


def create(config: ServiceConfig, faults: Faults) -> tuple[fastapi.FastAPI, dict[str, Act]]:
    app = fastapi.FastAPI()
    tracer = trace.get_tracer("shop.identity")
    directory = Directory(connect(config.database, IDENTITY))
    lockout = Lockout()
    sessions: set[str] = set()
    nobody = HASHER.hash(secrets.token_hex(8))

    def token_for(account: Account, address: str, age_s: int = 0) -> str:
        sid = secrets.token_hex(16)
        sessions.add(sid)
        return tokens.issue(
            config.signing_key, sub=account.id, login=account.login, roles=account.roles, region=account.region,
            sid=sid, addr=address, age_s=age_s,
        )  # fmt: skip

    @app.post("/login")
    def login(given: Credentials, request: fastapi.Request) -> dict[str, str]:
        address = request.client.host if request.client else ""
        attributes: dict[str, Any] = {
            CURRENT.address: address, "auth.method": "password",
            "user.hash": user_hash(given.login, config.pseudonym_key),
            "user_agent.original": request.headers.get("user-agent", "")[:200],
        }  # fmt: skip
        if faults.careless:
            attributes["user.email"] = f"{given.login}@shop.example"
        name = f"auth.login {given.login}" if faults.free_names else "auth.login"
        with check(tracer, name, attributes) as opened:
            account = directory.find(given.login)
            if account is not None:
                opened.note(**{CURRENT.user_id: account.id})
            reason = _refusal(account, given.password, lockout, nobody)
            if reason or account is None:
                opened.deny(reason)
                # One answer for every reason: a visitor learns nothing about which accounts exist.
                raise fastapi.HTTPException(401, "login or password is wrong")
            lockout.succeeded(account.id)
            opened.allow()
            return {"token": token_for(account, address)}

    @app.post("/introspect")
    def introspect(given: Token) -> dict[str, Any]:
        try:
            claims = tokens.verify(given.token, config.signing_key)
        except tokens.Refused:
            return {"active": False}
        return {"active": claims.sid in sessions, "sub": claims.sub}

    @app.get("/me")
    def me(request: fastapi.Request) -> dict[str, Any]:
        claims = _claims(request, config.signing_key)
        return {"id": claims.sub, "region": claims.region, "roles": claims.roles}

    @app.post("/logout")
    def logout(request: fastapi.Request) -> dict[str, Any]:
        sessions.discard(_claims(request, config.signing_key).sid)
        return {}

    async def reset(request: Request) -> Response:
        lockout.clear()
        return Response(status_code=204)

    async def aged_token(request: Request) -> Response:
        wanted = msgspec.json.decode(await request.body(), type=AgedToken)
        # The lab's own question is no part of any trace.
        with suppress_instrumentation():
            account = directory.find(wanted.login)
        if account is None:
            return Response(status_code=404)
        return JSONResponse({"token": token_for(account, wanted.address, wanted.age_s)})

    return app, {"/lab/reset": reset, "/lab/token": aged_token}


def _refusal(account: Account | None, password: str, lockout: Lockout, nobody: str) -> str:
    """Why this log-in is refused, "" where it is not. Takes equally long whether the account exists or not."""
    if account is not None and lockout.locked(account.id):
        return "account_locked"
    try:
        HASHER.verify(account.password_hash if account else nobody, password)
    except argon2.exceptions.VerifyMismatchError:
        if account is None:
            return "unknown_user"
        lockout.failed(account.id)
        return "invalid_credentials"
    return ""


def _claims(request: fastapi.Request, key: str) -> tokens.Claims:
    try:
        return tokens.verify(tokens.bearer(request.headers.get("authorization")), key)
    except tokens.Refused:
        raise fastapi.HTTPException(401, "token not accepted") from None
