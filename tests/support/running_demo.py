"""`clew demo` as a process, as a person starts it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx2 as httpx
from support.real_parts import free_port

# Bounds a broken run; nothing is measured by it.
PATIENCE_S = 120


class RunningDemo:
    def __init__(self, folder: Path, data: Path) -> None:
        self.data = data
        self.ports = {name: free_port() for name in ("port", "otlp-port", "query-port", "prometheus-port")}
        options = [word for name, port in self.ports.items() for word in (f"--{name}", str(port))]
        self.command = [
            sys.executable,
            "-u",
            "-m",
            "app.cli",
            "demo",
            "--data",
            str(data),
            "--cache",
            str(folder / "cache"),
            *options,
        ]
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = ""

    def until(self, words: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.said:
            line = self.process.stdout.readline()
            self.said += line
            assert line, f"the demo ended: {self.said}"
            assert time.monotonic() < deadline, self.said

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def get(self, name: str, path: str, **params) -> httpx.Response:
        return httpx.get(self.url(name) + path, params=params, trust_env=False, timeout=20)

    def children(self) -> list[int]:
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.said += self.process.stdout.read()
        code = self.process.wait(30)
        self.process.stdout.close()
        return code
