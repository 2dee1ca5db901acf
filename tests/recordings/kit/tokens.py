"""Tokens as the services of the plays expect them: HS256 under one secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

SECRET = "a secret of the recordings, known to everybody"


def bearer(subject: str, *, secret: str = SECRET, lasts_s: int = 3600, **claims: object) -> str:
    """An Authorization header's value; negative `lasts_s` for a token that has expired."""
    now = int(time.time())
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": subject, "iat": now - 7200, "exp": now + lasts_s, **claims}]
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
    return f"Bearer {signed}.{_encoded(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
