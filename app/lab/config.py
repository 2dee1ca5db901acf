"""What one service of the lab is told at its start: one JSON object in one environment variable."""

from __future__ import annotations

import os

import msgspec

from app.errors import InvalidInput

VARIABLE = "CLEW_LAB_SERVICE"

GATEWAY, IDENTITY, ORDERS, POLICY, BILLING = "edge-gateway", "identity", "orders", "policy", "billing"
SERVICES = (GATEWAY, IDENTITY, ORDERS, POLICY, BILLING)


class ServiceConfig(msgspec.Struct, frozen=True):
    """One service's name, place, neighbours and keys.

    peers:        service name to base URL.
    database:     `postgresql://...` of this service's own role, `sqlite:///FILE`, or "" for none.
    instrumented: False where nobody has given it the SDK: it writes no spans and passes no trace context on.
    """

    name: str
    port: int
    otlp_url: str
    peers: dict[str, str]
    signing_key: str
    control_key: str
    pseudonym_key: str
    database: str = ""
    host: str = "127.0.0.1"
    instrumented: bool = True

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()

    @property
    def store_description(self) -> str:
        """How the rows are guarded, for the resource attributes: nobody should have to guess which of the two ran."""
        if self.database.startswith("postgresql:"):
            return "postgresql: least-privilege roles and row-level security"
        if self.database:
            return "sqlite: authorizer callback and triggers stand in for roles and row-level security"
        return ""


def read() -> ServiceConfig:
    """This process's configuration. Errors: InvalidInput where it was started by hand without one."""
    try:
        return msgspec.json.decode(os.environ[VARIABLE], type=ServiceConfig)
    except (KeyError, msgspec.MsgspecError):
        raise InvalidInput("The lab's services are started by clew lab run or clew demo.") from None
