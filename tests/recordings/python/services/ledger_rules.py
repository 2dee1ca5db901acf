"""What the ledger asks of its callers, for both of its servers."""

import os

import grpc
import jwt

ROLES = {"Close": "manager", "Read": "clerk", "Audit": "clerk", "Export": "clerk"}


def refusal(method: str, metadata: object) -> tuple[grpc.StatusCode, str] | None:
    """Why a call to `/package.Service/Method` is refused, if it is."""
    given = dict(metadata or ()).get("authorization", "").removeprefix("Bearer ")
    try:
        who = jwt.decode(given, os.environ["SECRET"], algorithms=["HS256"])
    except jwt.InvalidTokenError as wrong:
        return grpc.StatusCode.UNAUTHENTICATED, f"token refused: {wrong}"
    name = method.rpartition("/")[2]
    if ROLES[name] not in who.get("roles", []):
        return grpc.StatusCode.PERMISSION_DENIED, f"{name} needs the role {ROLES[name]}"
    if name == "Export":
        return grpc.StatusCode.RESOURCE_EXHAUSTED, "one export a day"
    return None
