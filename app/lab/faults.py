"""Breaks something in a running service and mends it again."""

from __future__ import annotations

import httpx2 as httpx
import msgspec

from app.errors import InvalidInput
from app.lab.control import Faults
from app.lab.control_client import ask
from app.lab.fleet import Shop

NONE = "none"


def parse(what: str) -> Faults:
    """`strip_context`, `clock_off_s=-4`, `none`. Errors: InvalidInput names what there is."""
    name, _, value = what.partition("=")
    try:
        return Faults() if what == NONE else msgspec.convert({name: value or "true"}, Faults, strict=False)
    except msgspec.ValidationError:
        raise InvalidInput(f"No such fault: {what}. {_KNOWN}") from None


async def put(via: httpx.AsyncClient, shop: Shop, service: str, faults: Faults) -> None:
    """Errors: InvalidInput for a service the shop has not; SourceUnavailable where it does not answer."""
    if service not in shop.urls:
        raise InvalidInput(f"No service of the shop is called {service}. They are: {', '.join(shop.urls)}.")
    await ask(via, shop, service, "/lab/faults", msgspec.json.encode(faults), method="PUT")


_KNOWN = f"There are: {', '.join(Faults.__struct_fields__)}; a number is given as clock_off_s=-4."
