"""An OTLP/HTTP endpoint that keeps what it receives: the lab's own ear, for recordings and for tests."""

from __future__ import annotations

import gzip
import http.server
import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Recorder:
    """Listens on a free loopback port from `start` to `stop`; `take` hands over what has arrived since."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []
        self._guard = threading.Lock()
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                recorder._keep(body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silent: a recording has nothing to say for each request."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="otlp-recorder", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def take(self) -> list[ExportTraceServiceRequest]:
        """All requests received since the last call, decoded."""
        with self._guard:
            bodies, self._bodies = self._bodies, []
        return [ExportTraceServiceRequest.FromString(body) for body in bodies]

    def _keep(self, body: bytes) -> None:
        with self._guard:
            self._bodies.append(body)
