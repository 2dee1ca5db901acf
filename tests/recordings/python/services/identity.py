"""The identity service: tokens for users and passwords, RFC 7662 introspection and an OpenID userinfo endpoint.

Users are rows of PostgreSQL, read through SQLAlchemy.
"""

import os
import time
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, Form, HTTPException
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer
from sqlalchemy import create_engine, text

SECRET = os.environ["SECRET"]
CLIENTS = {"gateway": "gateway-secret"}
app = FastAPI(openapi_url=None)
users = create_engine(os.environ["DATABASE"].replace("postgresql:", "postgresql+psycopg2:"), pool_pre_ping=True)


def known_client(given: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> None:
    if CLIENTS.get(given.username) != given.password:
        raise HTTPException(401, "The client is not known.")


def claims(token: str) -> dict[str, object] | None:
    try:
        return jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        return None


@app.post("/introspect", dependencies=[Depends(known_client)])
def introspect(token: Annotated[str, Form()]) -> dict[str, object]:
    found = claims(token)
    return {"active": True, **found} if found else {"active": False}


@app.get("/userinfo")
def userinfo(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> dict[str, object]:
    if (found := claims(given.credentials)) is None:
        raise HTTPException(401, "invalid_token")
    return {"sub": found["sub"]}


@app.post("/oauth2/token")
def grant(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> JSONResponse:
    """As RFC 6749 wants it: a wrong password is a 400."""
    if found := granted(username, password):
        return JSONResponse(found)
    return JSONResponse({"error": "invalid_grant"}, 400)


@app.post("/token")
def token(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> dict[str, object]:
    if (found := granted(username, password)) is None:
        raise HTTPException(401, "invalid_grant")
    return found


def granted(username: str, password: str) -> dict[str, object] | None:
    with users.connect() as connection:
        row = connection.execute(text("SELECT password FROM users WHERE name = :name"), {"name": username}).one_or_none()
    if row is None or row.password != password:
        return None
    signed = jwt.encode({"sub": username, "exp": int(time.time()) + 300, "roles": ["clerk"], "tenant": "north"}, SECRET)
    return {"access_token": signed, "token_type": "Bearer"}
