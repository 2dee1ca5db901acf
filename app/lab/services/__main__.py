"""Runs one service of the lab until it is asked to stop."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from app.errors import AppError
from app.lab import config as configs
from app.lab.control import Act, Controlled, Faults
from app.lab.services import billing, edge_gateway, identity, orders, policy
from app.lab.services.answered import Answered
from app.lab.telemetry import Telemetry, instrument

CREATE = {
    configs.GATEWAY: edge_gateway.create,
    configs.IDENTITY: identity.create,
    configs.ORDERS: orders.create,
    configs.POLICY: policy.create,
    configs.BILLING: billing.create,
}


class Target(msgspec.Struct, frozen=True):
    """Where telemetry goes from now on."""

    otlp_url: str


def serve(config: configs.ServiceConfig) -> None:
    # Before the app is made: the instrumentations read their environment once, and tracers bind to the provider.
    faults = Faults()
    telemetry = Telemetry(config, faults)
    app, acts = CREATE[config.name](config, faults)
    if config.instrumented:
        instrument(app, config.name)
    served = Controlled(Answered(app), faults, config.control_key, {**acts, **_telemetry_acts(telemetry)})
    server = uvicorn.Server(
        uvicorn.Config(
            served,
            host=config.host,
            port=config.port,
            log_level="warning",
            access_log=False,
            # The gateway believes the lab's clients, the services behind it believe the gateway: all on loopback.
            proxy_headers=True,
            forwarded_allow_ips="127.0.0.1",
            # Longer than the callers keep a connection, so that none is closed just as it is used again.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
            lifespan="off",
        )
    )
    try:
        server.run()
    finally:
        telemetry.shutdown()


def _telemetry_acts(telemetry: Telemetry) -> dict[str, Act]:
    async def flush(request: Request) -> Response:
        await asyncio.to_thread(telemetry.flush)
        return Response(status_code=204)

    async def send_to(request: Request) -> Response:
        target = msgspec.json.decode(await request.body(), type=Target)
        await asyncio.to_thread(telemetry.send_to, target.otlp_url)
        return Response(status_code=204)

    return {"/lab/flush": flush, "/lab/telemetry": send_to}


def main() -> int:
    try:
        serve(configs.read())
    except AppError as error:
        sys.stderr.write(f"{error.sentence}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
