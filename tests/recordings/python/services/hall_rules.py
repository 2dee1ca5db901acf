"""What every service of the hall asks of its callers: a good token, and its own name among the token's doors."""

import os

import jwt


def refusal(door: str, authorization: str | None) -> tuple[int, str] | None:
    try:
        who = jwt.decode((authorization or "").removeprefix("Bearer "), os.environ["SECRET"], algorithms=["HS256"])
    except jwt.InvalidTokenError as wrong:
        return 401, str(wrong)
    return None if door in who.get("doors", []) else (403, f"The door {door} stays shut.")
