"""An attack as it happens: real services, the real backend's span metrics, a real Prometheus with the project's rules.

Only the waits are shortened: one-second scrapes, `for` of two seconds, an attacker who hurries.
"""

from __future__ import annotations

import asyncio
import re
import time

import httpx2 as httpx
import pytest
from support.embedded_backend import EmbeddedBackend
from support.lab_shop import PEOPLE, SEED
from support.parts import require
from support.real_parts import free_port

from app.lab import attacks, fleet, prometheus, stage, traffic, truth
from app.lab.pace import Live
from app.lab.processes import Family
from app.paths import folder

pytestmark = pytest.mark.slow
PATIENCE_S = 90
HURRY = 12


class Hurried(Live):
    async def wait(self, seconds):
        await asyncio.sleep(seconds / HURRY)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    base = tmp_path_factory.mktemp("live")
    program = prometheus.find(base / "cache")
    if program is None:
        require("prometheus", "prometheus")
    shortened = re.sub(r"for: \w+", "for: 2s", (folder("deploy/prometheus") / prometheus.RULES).read_text())
    rules = base / "short.rules.yml"
    rules.write_text(shortened)
    backend = EmbeddedBackend(base / "traces").start()
    family, port = Family(base / "logs"), free_port()
    api = prometheus.Api(f"http://127.0.0.1:{port}")
    started = None
    try:
        metrics = backend.query.removeprefix("http://")
        prometheus.start(family, program, base / "prometheus", port=port, metrics=metrics, interval="1s", rules=rules)
        started = fleet.start(family, base / "shop", otlp_url=backend.otlp, seed=SEED)
        yield started.shop, backend, api, f"http://127.0.0.1:{port}", base
    finally:
        api.close()
        family.stop()
        if started:
            started.forget()
        backend.stop()


def alerts(api):
    return {alert["labels"]["alertname"]: alert for alert in api.alerts() if alert["state"] == "firing"}


@pytest.mark.parametrize("name", ["brute-force", "credential-stuffing"])
def test_an_attack_fires_its_alert_and_its_exemplars_lead_to_its_traces(live, name):
    shop, backend, api, url, base = live
    which = attacks.named(name)
    (expected,) = which.alerts
    log = truth.Log(base / f"{name}.jsonl")

    async def act():
        async with stage.client() as via:
            visits = asyncio.create_task(stage.ordinary(traffic.plan(PEOPLE, SEED, 600, 60), shop, PEOPLE, via))
            began = time.monotonic()
            task = asyncio.create_task(stage.attack(which, shop, PEOPLE, seed=SEED, log=log, pace=Hurried(), via=via))
            try:
                while expected not in (now := await asyncio.to_thread(alerts, api)):
                    assert time.monotonic() - began < PATIENCE_S, f"{expected} did not fire: {now}"
                    await asyncio.sleep(0.2)
                await task
                return now[expected]
            finally:
                visits.cancel()
                task.cancel()
                await asyncio.gather(visits, task, return_exceptions=True)

    alert = asyncio.run(act())
    (run,), _ = truth.read(base / f"{name}.jsonl")
    assert run.end.unexpected == 0
    assert alert["labels"]["auth_client_subnet"] == run.end.entities.addresses[0].rsplit(".", 1)[0] + ".0/24"
    assert "log" in alert["annotations"]["summary"]

    subnet = alert["labels"]["auth_client_subnet"]
    query = f'otel_security_calls_total{{auth_client_subnet="{subnet}", auth_result="failure"}}'
    found = httpx.get(
        f"{url}/api/v1/query_exemplars",
        params={"query": query, "start": time.time() - 600, "end": time.time()},
        trust_env=False,
    ).json()["data"]
    leads = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
    done = {line.trace_id for line in run.requests}
    assert leads
    assert leads <= done
    for trace_id in leads:
        assert backend.get(f"/api/traces/{trace_id}").status_code == 200


def test_the_alerts_own_query_finds_the_attack(live):
    """The `trace_query` annotation, as a person would paste it into Tempo."""
    _shop, backend, api, _url, base = live
    alert = alerts(api)["AuthBruteForce"]
    (run,), _ = truth.read(base / "brute-force.jsonl")
    answer = backend.get("/api/search", q=alert["annotations"]["trace_query"], limit=1000,
                         start=int(time.time()) - 600, end=int(time.time()) + 1).json()  # fmt: skip
    assert {trace["traceID"].rjust(32, "0") for trace in answer["traces"]} == {line.trace_id for line in run.requests}
