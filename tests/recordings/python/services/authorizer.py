"""Asked by Envoy (ext_authz over HTTP) whether a request may pass: any method and path, answered by status alone."""

import os

import jwt
from fastapi import FastAPI, Request, Response

app = FastAPI(openapi_url=None)


def decided(method: str, path: str, authorization: str) -> int:
    """200, or the refusal: 401 without a good token, 403 where a clerk wants to remove something."""
    try:
        who = jwt.decode(authorization.removeprefix("Bearer "), os.environ["SECRET"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        return 401
    return 403 if method == "DELETE" and "manager" not in who.get("roles", []) else 200


@app.api_route("/check/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
async def check(path: str, request: Request) -> Response:
    return Response(status_code=decided(request.method, path, request.headers.get("authorization", "")))
