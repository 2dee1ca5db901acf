"""A scrape target whose one gauge and one exemplar the test sets."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class MetricsApp:
    """Serves OpenMetrics: the gauge `app_failing{user="..."}` and the histogram `app_duration_seconds`, with an exemplar."""

    def __init__(self) -> None:
        self.failing = 0
        self.user = "alice"
        self.exemplar = 'trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"'
        app = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = app.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.target = f"127.0.0.1:{self._server.server_port}"

    def text(self) -> str:
        user = self.user.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return (
            "# TYPE app_failing gauge\n"
            f'app_failing{{user="{user}"}} {self.failing}\n'
            "# TYPE app_duration_seconds histogram\n"
            f'app_duration_seconds_bucket{{le="0.1"}} 7 # {{{self.exemplar}}} 0.093\n'
            'app_duration_seconds_bucket{le="+Inf"} 7\n'
            "app_duration_seconds_count 7\n"
            "app_duration_seconds_sum 0.5\n"
            "# EOF\n"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
