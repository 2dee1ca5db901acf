"""A real Prometheus for the demo: found on the PATH or unpacked from the distribution's package, then started."""

from __future__ import annotations

import re
import shutil
import string
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2 as httpx
import msgspec

from app import paths
from app.errors import SourceRefused, SourceUnavailable
from app.lab import remote_write
from app.lab.processes import Child, Family

RULES = "auth.rules.yml"
CONFIG = "prometheus.demo.yml"
# Out-of-order samples, by which the past reaches a Prometheus that already runs, came with this version.
TAKES_THE_PAST = (2, 39)
PAST_WINDOW = "6h"
PACKAGE_TIMEOUT_S = 120
_SERIES_PER_REQUEST = 200


class Program:
    """A Prometheus binary and its version."""

    def __init__(self, path: Path, version: tuple[int, ...]) -> None:
        self.path = path
        self.version = version

    @property
    def takes_the_past(self) -> bool:
        return self.version >= TAKES_THE_PAST


def find(cache: Path, say: Callable[[str], None] = lambda sentence: None) -> Program | None:
    """Prometheus from the PATH, else from the distribution's package, unpacked below `cache` without root.

    None where neither can be had: no apt, no network, another distribution.
    """
    on_path = shutil.which("prometheus")
    path = Path(on_path) if on_path else _unpacked(cache, say)
    if path is None:
        return None
    shown = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"version (\d+)\.(\d+)", shown.stdout + shown.stderr)
    return Program(path, (int(found[1]), int(found[2]))) if found else None


def _unpacked(cache: Path, say: Callable[[str], None]) -> Path | None:
    cache = cache.resolve()
    binary = cache / "prometheus" / "usr" / "bin" / "prometheus"
    if binary.exists():
        return binary
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if not apt or not dpkg:
        return None
    say("Prometheus is not installed: fetching the distribution's package, which is unpacked and not installed.")
    folder = cache / "download"
    folder.mkdir(parents=True, exist_ok=True)
    if not _runs([apt, "download", "prometheus"], folder):
        return None
    packages = sorted(folder.glob("prometheus_*.deb"))
    if not packages or not _runs([dpkg, "-x", str(packages[-1]), str(cache / "prometheus")], folder):
        return None
    return binary if binary.exists() else None


def _runs(command: Sequence[str], folder: Path) -> bool:
    """Whether a program of the system did what was asked, within bounded time."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=PACKAGE_TIMEOUT_S)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def start(
    family: Family, program: Program, folder: Path, *, port: int, metrics: str, interval: str = "5s", rules: Path | None = None
) -> Child:
    """Start it on `port`, scraping `metrics` (HOST:PORT) and evaluating the project's rules, or those given."""
    folder.mkdir(parents=True, exist_ok=True)
    template = string.Template((paths.folder("deploy/prometheus") / CONFIG).read_text())
    config = template.substitute(
        interval=interval,
        metrics=f"'{metrics}'",
        self=f"'127.0.0.1:{port}'",
        rules=rules or paths.folder("deploy/prometheus") / RULES,
    )
    if program.takes_the_past:
        config += f"storage:\n  tsdb:\n    out_of_order_time_window: {PAST_WINDOW}\n"
    (folder / "prometheus.yml").write_text(config)
    return family.start(
        "prometheus",
        [
            str(program.path),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
            "--web.enable-remote-write-receiver",
        ],
        # Debian's package reads console templates from there; an unpacked one has none.
        cwd=folder,
    )


class Api:
    """The few calls the lab makes: write the past, ask for a range."""

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(base_url=url, timeout=60.0, trust_env=False, transport=transport)

    def close(self) -> None:
        self._client.close()

    def ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def write(self, series: Sequence[remote_write.Series]) -> None:
        """Errors: SourceRefused in Prometheus' own words."""
        headers = {
            "content-type": "application/x-protobuf", "content-encoding": "snappy",
            "x-prometheus-remote-write-version": "0.1.0",
        }  # fmt: skip
        for start in range(0, len(series), _SERIES_PER_REQUEST):
            body = remote_write.encode(series[start : start + _SERIES_PER_REQUEST])
            answer = self._send("POST", "/api/v1/write", content=body, headers=headers)
            if answer.status_code >= 400:
                raise SourceRefused("Prometheus", "remote write", "Prometheus does not take past samples.", detail=answer.text)

    def range(
        self, query: str, start_s: float, end_s: float, step_s: float
    ) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Series of a range query as (labels, [(seconds, value)])."""
        form = {"query": query, "start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        answer = self._send("POST", "/api/v1/query_range", data=form)
        body: Any = msgspec.json.decode(answer.content)
        if body.get("status") != "success":
            raise SourceRefused("Prometheus", "range query", "Prometheus refuses a rule's expression.", detail=str(body))
        return [
            (series["metric"], [(float(time), float(value)) for time, value in series["values"]])
            for series in body["data"]["result"]
        ]

    def alerts(self) -> list[Mapping[str, Any]]:
        """What is pending or firing now, as Prometheus reports it."""
        body: Any = msgspec.json.decode(self._send("GET", "/api/v1/alerts").content)
        found: list[Mapping[str, Any]] = body["data"]["alerts"]
        return found

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise SourceUnavailable("Prometheus", path, "Prometheus does not answer.") from error
