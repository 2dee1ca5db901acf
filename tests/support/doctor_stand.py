"""Real parts for the doctor: the shop, Clew's backend and Prometheus as processes, and the doctor asking them over HTTP."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from support.embedded_backend import EmbeddedBackend, wait_until
from support.lab_shop import Shop
from support.parts import require
from support.real_parts import RealPart, free_port

from app.doctor import gather
from app.doctor.finding import Finding, Severity
from app.doctor.report import Report, State
from app.investigation import labels
from app.investigation.judging import judge_of
from app.investigation.sources import Sources
from app.lab import faults, fleet, incident, prometheus, stage
from app.lab.control import Faults
from app.paths import folder
from app.settings import load
from app.sources.alertmanager import AlertmanagerClient
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.times import SECOND, UnixNanos, now_ns

LOUD = (Severity.BROKEN, Severity.HARMFUL)


def scraping(place: Path, jobs: Mapping[str, Sequence[str]], *, interval: str = "1s") -> RealPart:
    """A real Prometheus with the project's rules on auth that has scraped these jobs once, each a list of host:port."""
    program = require("prometheus", "prometheus")
    place.mkdir(parents=True, exist_ok=True)
    port = free_port()
    known = {"prometheus": [f"127.0.0.1:{port}"], **jobs}
    config = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval, "scrape_timeout": interval},
        "rule_files": [str(folder("deploy/prometheus") / prometheus.RULES)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(targets)}]} for job, targets in known.items()
        ],
    }  # fmt: skip
    (place / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    command = [
        program, f"--config.file={place / 'prometheus.yml'}", f"--storage.tsdb.path={place / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn", "--enable-feature=exemplar-storage",
    ]  # fmt: skip
    part = RealPart(command, port, place / "prometheus.log").start()
    # It is ready some seconds before it knows its targets.
    wait_until(lambda: _tried(part) == sum(map(len, known.values())), within_s=30)
    return part


def _tried(part: RealPart) -> int:
    """How many targets it has tried to scrape."""
    with urllib.request.urlopen(f"{part.url}/api/v1/targets?state=active", timeout=10) as answer:
        targets = json.load(answer)["data"]["activeTargets"]
    return sum(target["health"] != "unknown" for target in targets)


def examine(
    *, tempo: str = "", metrics: str = "", alertmanager: str = "", start_ns: int, end_ns: int | None = None, settle_s: float = 2
) -> Report:
    """The doctor's report on the time since `start_ns`, from these addresses."""
    settings = load(
        tempo={"url": tempo, "attempts": 1}, prometheus={"url": metrics, "attempts": 1},
        alertmanager={"url": alertmanager, "attempts": 1},
    )  # fmt: skip

    async def act() -> Report:
        sources = Sources(
            TempoClient(settings.tempo) if tempo else None,
            PrometheusClient(settings.prometheus) if metrics else None,
            AlertmanagerClient(settings.alertmanager) if alertmanager else None,
        )
        now = now_ns()
        try:
            return await gather.examine(
                sources, judge_of(settings.analysis), labels.load(settings.analysis.labels_file),
                start_ns=UnixNanos(start_ns), end_ns=UnixNanos(end_ns or now), now_ns=now, settle_s=settle_s,
            )  # fmt: skip
        finally:
            for source in (sources.tempo, sources.prometheus, sources.alertmanager):
                if source is not None:
                    await source.aclose()

    return asyncio.run(act())


def examine_counts(tempo: str, metrics: str) -> Report:
    """On the last minutes, up to what Prometheus has surely scraped.

    Counts are sampled every 15 s, to the window's end, and what rose in its first minute proves nothing: it begins well before
    whatever a test has done.
    """
    end_ns = seconds_ago(2.5)
    return examine(tempo=tempo, metrics=metrics, start_ns=end_ns - 240 * SECOND, end_ns=end_ns, settle_s=2)


class Stand:
    """The shop sends to Clew's backend, which Prometheus scrapes."""

    def __init__(self, shop: Shop, backend: EmbeddedBackend, metrics: RealPart) -> None:
        self.shop = shop
        self.backend = backend
        self.metrics = metrics

    def send_to(self, otlp: str, *services: str) -> None:
        """Let these services, else all, export there."""

        async def act() -> None:
            async with stage.client() as via:
                part = self.shop.shop if not services else _only(self.shop, services)
                await incident.send_telemetry_to(part, otlp, via)

        asyncio.run(act())

    def put(self, service: str, broken: Faults) -> None:
        async def act() -> None:
            async with stage.client() as via:
                await faults.put(via, self.shop.shop, service, broken)

        asyncio.run(act())

    def examine(self, start_ns: int) -> Report:
        return examine(tempo=self.backend.query, metrics=self.metrics.url, start_ns=start_ns)

    def examine_counts(self) -> Report:
        return examine_counts(self.backend.query, self.metrics.url)


def _only(shop: Shop, services: Sequence[str]) -> fleet.Shop:
    return msgspec.structs.replace(shop.shop, urls={name: shop.shop.urls[name] for name in services})


def of(report: Report, check: str, subject: str = "") -> list[Finding]:
    """What a check found, about that subject."""
    return [one for one in report.findings if one.check == check and subject in one.subject]


def loud(report: Report) -> list[str]:
    """What would wake somebody: check and sentence of every broken or harmful finding."""
    return [f"{one.check}: {one.title} ({one.measured})" for one in report.findings if one.severity in LOUD]


def unknown(report: Report) -> dict[str, str]:
    return {check.check: check.why for check in report.checks if check.state is State.UNKNOWN}


def seconds_ago(seconds: float) -> int:
    return now_ns() - round(seconds * SECOND)
