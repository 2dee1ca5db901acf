"""`clew embedded` as a real process, on free ports."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2 as httpx


class EmbeddedBackend:
    """Started by `start`; `otlp` and `query` are its URLs."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.options = options
        self.otlp = self.query = ""
        self._process: subprocess.Popen[str] | None = None
        self._client: httpx.Client | None = None

    def start(self) -> EmbeddedBackend:
        command = [sys.executable, "-m", "app.cli", "embedded", "--otlp-port", "0", "--query-port", "0",
                   "--data", str(self.data), *self.options]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout
        found = []
        while len(found) < 2:
            line = self._process.stdout.readline()
            if not line:
                raise AssertionError(f"the backend did not start: {self._process.stderr and self._process.stderr.read()}")
            found += re.findall(r"http://127\.0\.0\.1:\d+", line)
        self.otlp, self.query = found
        self._client = httpx.Client(timeout=30, trust_env=False)
        return self

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process
        return self._process

    @property
    def client(self) -> httpx.Client:
        assert self._client
        return self._client

    def export(self, body: bytes, media_type: str = "application/json", **headers: str) -> httpx.Response:
        given = {"content-type": media_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.post(f"{self.otlp}/v1/traces", content=body, headers=given)

    def get(self, path: str, **params: object) -> httpx.Response:
        return self.client.get(self.query + path, params=params)  # type: ignore[arg-type]

    def kill(self) -> None:
        """As kill -9 does: nothing is said goodbye to."""
        self.process.send_signal(signal.SIGKILL)
        self._done()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code."""
        if self._process is None:
            return 0
        self.process.send_signal(number)
        return self._done()

    def _done(self) -> int:
        self.client.close()
        code = self.process.wait(timeout=20)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        self._process = None
        return code


def wait_until(condition, *, within_s: float = 10.0) -> None:  # type: ignore[no-untyped-def]
    """Poll until true; a deadline bounds a broken run and measures nothing."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not come about")
        time.sleep(0.02)
