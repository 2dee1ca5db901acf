"""Asks a sample service's control routes."""

from __future__ import annotations

import httpx2 as httpx

from app.errors import SourceUnavailable
from app.lab.fleet import Shop

TIMEOUT_S = 20.0


async def ask(via: httpx.AsyncClient, shop: Shop, service: str, path: str, body: bytes = b"", *, method: str = "POST") -> bytes:
    """The body of the answer. Errors: SourceUnavailable names the service."""
    try:
        answer = await via.request(
            method, shop.urls[service] + path, content=body, headers=shop.control_headers, timeout=TIMEOUT_S
        )
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise SourceUnavailable("the shop", path, f"The sample service {service} does not answer.") from error
    return answer.content
