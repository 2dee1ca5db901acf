"""Prometheus and Alertmanager as the distribution ships them, run on free ports in folders of the test's own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from support.parts import require

START_S = 20.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class RealPart:
    """A program that serves HTTP: started, ready, and stopped at the end of the `with` block.

    `stop` and `start` again restart it on the same port and data. It is ready when `ready` answers 200, and works in
    `folder`, else where its log is.
    """

    def __init__(
        self, command: Sequence[str], port: int, log: Path, *, ready: str = "/-/ready", env: Mapping[str, str] | None = None,
        folder: Path | None = None, start_s: float = START_S,
    ) -> None:  # fmt: skip
        self._command = list(command)
        self._folder = folder or log.parent
        self._start_s = start_s
        self._ready = ready
        self._env = dict(env) if env is not None else None
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder, env=self._env)
        until = time.monotonic() + self._start_s
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}{self._ready}", timeout=2) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                pass
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"{self._command[0]} did not get ready:\n{self._log.read_text()[-3000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start_prometheus(
    folder: Path,
    *,
    targets: Sequence[str] = (),
    rules: str = "",
    alertmanagers: Sequence[str] = (),
    interval: str = "1s",
    flags: Sequence[str] = ("--enable-feature=exemplar-storage",),
    remote_write: Sequence[Mapping[str, object]] = (),
) -> RealPart:
    """A Prometheus that scrapes itself and `targets` (host:port) and evaluates `rules` (the text of a rule file).

    Its job for the targets is `app`, its own is `prometheus`.
    """
    program = require("prometheus", "prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval, "scrape_timeout": interval},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
            {"job_name": "app", "static_configs": [{"targets": list(targets)}]},
        ],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]},
        "remote_write": list(remote_write),
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    (folder / "rules.yml").write_text(rules or "groups: []\n")
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        # By default an alert sent before the Alertmanager was discovered is sent again after a minute only.
        "--rules.alert.resend-delay=1s",
        *flags,
    ]
    return RealPart(command, port, folder / "prometheus.log").start()


def start_alertmanager(folder: Path, *, webhook: str = "", token: str = "") -> RealPart:
    """An Alertmanager that notifies `webhook` (a URL, which may ask for a bearer token) of each alert at once, or nobody."""
    program = require("prometheus-alertmanager", "prometheus-alertmanager")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    hook: dict[str, object] = {"url": webhook, "send_resolved": True}
    if token:
        hook["http_config"] = {"authorization": {"type": "Bearer", "credentials": token}}
    receiver = {"name": "hook", "webhook_configs": [hook]} if webhook else {"name": "hook"}
    route = {"receiver": "hook", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "1s"}
    (folder / "alertmanager.yml").write_text(json.dumps({"route": route, "receivers": [receiver]}))
    command = [
        program,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    return RealPart(command, port, folder / "alertmanager.log").start()


def post_json(url: str, value: object) -> bytes:
    """The answer to a POST of JSON."""
    request = urllib.request.Request(url, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body
