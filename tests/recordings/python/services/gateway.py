"""The way in: it checks the caller's token and hands the request on, with the answer it gets.

CHECK says how: `jwt` by itself, `userinfo` or `introspect` by asking the identity service. An unreachable identity service
is a refusal, unless FAIL_OPEN is set.
"""

import os
from typing import Annotated

import httpx
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.util import get_remote_address

CHECK = os.environ.get("CHECK", "jwt")
IDENTITY = os.environ.get("IDENTITY", "")
ORDERS = os.environ["ORDERS"]
SECRET = os.environ["SECRET"]
client = httpx.AsyncClient(timeout=2.0)
limiter = Limiter(key_func=get_remote_address)
app = FastAPI(openapi_url=None)
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)

Credentials = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


async def known_caller(credentials: Credentials) -> None:
    if CHECK == "jwt":
        try:
            jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])
        except jwt.InvalidTokenError as wrong:
            raise HTTPException(401, str(wrong), {"WWW-Authenticate": "Bearer"}) from None
        return
    try:
        known = await asked(credentials.credentials)
    except httpx.HTTPError:
        if "FAIL_OPEN" in os.environ:
            return
        raise HTTPException(401, "The token cannot be checked.") from None
    if not known:
        raise HTTPException(401, "The token is not valid.")


async def asked(token: str) -> bool:
    if CHECK == "userinfo":
        answer = await client.get(f"{IDENTITY}/userinfo", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code == 200
    answer = await client.post(f"{IDENTITY}/introspect", data={"token": token}, auth=("gateway", "gateway-secret"))
    answer.raise_for_status()
    return bool(answer.json()["active"])


@app.get("/api/quotes")
@limiter.limit("1/hour")
async def quotes(request: Request) -> list[str]:
    return ["desk: 120"]


@app.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "DELETE"], dependencies=[Depends(known_caller)])
async def handed_on(path: str, request: Request) -> Response:
    kept = {key: request.headers[key] for key in ("authorization", "content-type") if key in request.headers}
    try:
        answer = await client.request(request.method, f"{ORDERS}/{path}", content=await request.body(), headers=kept)
    except httpx.HTTPError:
        raise HTTPException(502, "The orders service does not answer.") from None
    return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))
