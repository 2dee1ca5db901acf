"""The shop's access tokens: short-lived JWTs with the session they belong to and the address they were given to."""

from __future__ import annotations

import hashlib
import time

import jwt
import msgspec

ALGORITHM = "HS256"
LIFETIME_S = 900
ISSUER = "https://identity.shop.example"


class Claims(msgspec.Struct, frozen=True):
    sub: str
    login: str
    roles: tuple[str, ...]
    region: str
    sid: str
    addr: str
    exp: int
    iat: int
    iss: str = ISSUER

    @property
    def session_hash(self) -> str:
        """What a span may carry as session.id."""
        return hash_session(self.sid)


def hash_session(sid: str) -> str:
    return hashlib.sha256(sid.encode()).hexdigest()[:16]


def issue(key: str, *, sub: str, login: str, roles: tuple[str, ...], region: str, sid: str, addr: str, age_s: int = 0) -> str:
    """A signed token; `age_s` dates it back, for tokens that were taken long ago."""
    now = int(time.time()) - age_s
    claims = Claims(sub, login, roles, region, sid, addr, exp=now + LIFETIME_S, iat=now)
    return jwt.encode(msgspec.to_builtins(claims), key, algorithm=ALGORITHM)


class Refused(Exception):
    """The token is not accepted; `reason` is of the closed list of failure reasons."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def verify(token: str, key: str) -> Claims:
    """The claims of a valid token. Errors: Refused."""
    try:
        payload = jwt.decode(token, key, algorithms=[ALGORITHM], issuer=ISSUER, options={"require": ["exp", "sub"]})
        return msgspec.convert(payload, Claims)
    except jwt.ExpiredSignatureError:
        raise Refused("token_expired") from None
    except (jwt.InvalidTokenError, msgspec.ValidationError):
        raise Refused("token_invalid") from None


def bearer(header: str | None) -> str:
    """The token of an Authorization header. Errors: Refused where there is none."""
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Refused("token_invalid")
    return token
