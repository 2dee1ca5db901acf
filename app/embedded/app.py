"""The two HTTP applications of the backend, OTLP and queries, over one store."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.embedded.arrivals import Arrivals
from app.embedded.health import Health
from app.embedded.metrics import SpanMetrics
from app.embedded.receiver import Receiver
from app.embedded.store import Retention, Store
from app.embedded.tempo_api import Switches, TempoApi


class Backend:
    """Everything, plugged together. `otlp` and `query` are ASGI applications; `close` when both are done."""

    def __init__(self, data: Path, retention: Retention | None = None, switches: Switches | None = None) -> None:
        """Errors: StoreError."""
        switches = switches or Switches()
        self.span_metrics = SpanMetrics()
        self.arrivals = Arrivals(self.span_metrics)
        self.store = Store(data, retention or Retention(), on_commit=self.arrivals.observe)
        self.receiver = Receiver(self.store, require_tenant=switches.require_tenant)
        self.api = TempoApi(self.store, switches)
        self._health = Health(self.store, self.receiver, self.arrivals)
        self.otlp = _application([Route("/v1/traces", self.receiver.export, methods=["POST"])])
        self.query = _application([*self.api.routes(), Route("/metrics", self._metrics)])

    async def _metrics(self, request: Request) -> Response:
        text = self.span_metrics.exposition() + self._health.exposition() + "# EOF\n"
        return Response(text, media_type="application/openmetrics-text; version=1.0.0; charset=utf-8")

    def close(self) -> None:
        """Commit what was accepted, then close the store."""
        self.api.close()
        self.store.close()


def _application(routes: list[Route]) -> Starlette:
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = "404 page not found\n" if error.status_code == 404 else f"{error.detail}\n"
    return PlainTextResponse(words, error.status_code, error.headers)
