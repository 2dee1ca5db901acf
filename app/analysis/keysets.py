"""Sets of attribute keys: a trace has few of them, so what a set can and cannot mean is worked out once.

Most questions about a span ("is it a database call?", "may it hold a secret?") are answered by its keys alone, without
looking at a value.
"""

from __future__ import annotations

from app.analysis import secrets
from app.traces import semconv
from app.traces.model import Attributes

_CACHED = 20_000  # sets remembered; hostile input may have any number of them


class Keyset:
    """One set of keys, and what spans with it can be.

    looks:    keys whose values may hold a secret or personal data, with the class of each (see secrets.py).
    database, messaging, rpc, rpc_status, http: whether it has a key that marks such a span.
    paths:     the keys that may hold the path of a URL, the preferred first.
    principal, client: whether it may name who acted, and from where.
    answer:    whether it may hold the status of an answer.
    """

    __slots__ = ("answer", "client", "database", "http", "keys", "looks", "messaging", "paths", "principal", "rpc",
                 "rpc_status")  # fmt: skip

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = frozenset(keys)
        self.looks = tuple((key, kind) for key in keys if (kind := secrets.class_of(key)) != secrets.QUIET)
        self.database = not self.keys.isdisjoint(semconv.ALIASES["db.system"])
        self.messaging = "messaging.system" in self.keys
        self.rpc = not self.keys.isdisjoint(semconv.ALIASES["rpc.system"])
        self.paths = tuple(key for key in semconv.ALIASES["http.path"] if key in self.keys)
        self.rpc_status = not self.keys.isdisjoint(semconv.ALIASES["rpc.status"])
        self.http = not self.keys.isdisjoint(("http.request.method", "http.method", "url.full", "http.url", "method"))
        self.principal = not self.keys.isdisjoint(semconv.PRINCIPAL)
        self.client = not self.keys.isdisjoint(("client.address", "http.client_ip"))
        self.answer = self.rpc_status or not self.keys.isdisjoint((*semconv.HTTP_STATUS, "status"))


NONE = Keyset(())
_known: dict[tuple[str, ...], Keyset] = {}


def of(attributes: Attributes) -> Keyset:
    """The keyset of an attribute mapping; the same keys in the same order give the same object."""
    keys = tuple(attributes)
    found = _known.get(keys)
    if found is None:
        if len(_known) > _CACHED:
            _known.clear()
        found = _known[keys] = Keyset(keys)
    return found
