"""Access tokens: HS256 JWTs, signed and verified with TOKEN_KEY; and how passwords are compared."""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
import time
from dataclasses import dataclass

import jwt
from telemetry import Refused

ISSUER = "shop"
ROUNDS = 100_000
KEY = os.environ.get("TOKEN_KEY", "")
if len(KEY.encode()) < 32:
    sys.exit("TOKEN_KEY must be set, to at least 32 bytes.")


@dataclass(frozen=True)
class Caller:
    """Who a token speaks of."""

    id: str
    role: str
    customer: str
    expires: int

    def refuse_expired(self) -> None:
        if self.expires <= time.time():
            raise Refused("token_expired", "The token has expired.")


def issue(user_id: str, role: str, customer: str) -> str:
    now = int(time.time())
    lifetime = int(os.environ.get("TOKEN_SECONDS", "900"))
    claims = {"iss": ISSUER, "sub": user_id, "role": role, "customer": customer, "iat": now, "exp": now + lifetime}
    return jwt.encode(claims, KEY, algorithm="HS256")


def signed_by_us(token: str) -> Caller:
    """Whose token it is. Its age is not looked at, so that a span can name the person before an expired one is refused."""
    needed = {"require": ["exp", "sub", "role", "customer"], "verify_exp": False}
    try:
        claims = jwt.decode(token, KEY, algorithms=["HS256"], issuer=ISSUER, options=needed)
    except jwt.InvalidTokenError as error:
        raise Refused("token_invalid", f"The token is not ours: {type(error).__name__}.") from None
    return Caller(claims["sub"], str(claims["role"]), str(claims["customer"]), int(claims["exp"]))


def is_password(password: str, salt: str, expected: str) -> bool:
    """Whether the hash of a password is the one kept; salt and hash in hex."""
    found = hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), ROUNDS)
    return hmac.compare_digest(found, bytes.fromhex(expected))
