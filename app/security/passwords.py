"""Password hashes: argon2id with the library's current costs, raised silently at the next log-in when they rise.

One hash takes 64 MiB and a fifth of a second of a core; it runs in a thread, and only two at a time, so that a crowd at
the login page cannot take the memory from everybody else.
"""

from __future__ import annotations

import secrets

import anyio
from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import InvalidInput

SHORTEST, LONGEST = 12, 256

_hasher = PasswordHasher()
_limiters: dict[object, anyio.CapacityLimiter] = {}
# Verified against when nobody has that name: an unknown name costs as much time as a wrong password.
_NOBODY = _hasher.hash(secrets.token_hex(16))


def acceptable(password: str) -> str:
    """The password, if somebody may have it.

    Errors: InvalidInput where it is too short or too long.
    """
    if len(password) < SHORTEST:
        raise InvalidInput(f"A password needs at least {SHORTEST} characters.", field="password")
    if len(password) > LONGEST:
        raise InvalidInput(f"A password has at most {LONGEST} characters.", field="password")
    return password


async def hashed(password: str) -> str:
    """A new hash. Errors: InvalidInput where the password is not acceptable."""
    acceptable(password)
    return await to_thread.run_sync(_hasher.hash, password, limiter=_limiter())


async def verified(stored: str | None, password: str) -> bool:
    """Whether the password belongs to the hash. `None`, nobody's hash, takes as long and is never right."""
    if len(password) > LONGEST:
        password = ""
    right = await to_thread.run_sync(_verify, stored or _NOBODY, password, limiter=_limiter())
    return right and stored is not None


async def renewed(stored: str, password: str) -> str | None:
    """A new hash of a password known to be right, where the old one was made with lower costs; else None."""
    return await to_thread.run_sync(_hasher.hash, password, limiter=_limiter()) if is_dated(stored) else None


def is_dated(stored: str) -> bool:
    """Whether the hash was made with lower costs than today's."""
    try:
        return _hasher.check_needs_rehash(stored)
    except InvalidHashError:
        return True


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _limiter() -> anyio.CapacityLimiter:
    # A limiter belongs to the event loop it first waited in; tests use several loops in one process.
    token = anyio.lowlevel.current_token()
    if token not in _limiters:
        _limiters.clear()
        _limiters[token] = anyio.CapacityLimiter(2)
    return _limiters[token]
