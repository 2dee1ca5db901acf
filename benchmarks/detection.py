"""Time to detect: from the first request of an attack to its alert firing, with the project's rules as they are shipped.

Everything is real and by the wall clock: the sample shop, ordinary visitors, the embedded backend, Prometheus at the demo's
interval. Each attack takes a few minutes; `--quick` takes the two that matter most.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from app.lab import attacks, demo, fleet, prometheus, stage, traffic, truth, world
from app.lab.processes import Family, free_port

SEED = 7
QUICK = ("brute-force", "credential-stuffing")
# After the last request an alert has no more reason to come.
PATIENCE_S = 150.0
GOALS_S = {"brute-force": 120, "credential-stuffing": 300}


def main(*, quick: bool) -> None:
    for name, seconds in run(QUICK if quick else [name for name, attack in attacks.ATTACKS.items() if attack.alerts]).items():
        goal = f" (goal {GOALS_S[name]} s)" if name in GOALS_S else ""
        print(f"{name:24} {'not detected' if seconds is None else f'{seconds:.0f} s'}{goal}", flush=True)


def run(names: list[str] | tuple[str, ...]) -> dict[str, float | None]:
    """Attack to seconds, None where no alert came."""
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as temporary:
        folder = Path(temporary)
        program = prometheus.find(folder / "cache")
        if program is None:
            print("Prometheus is not installed.")
            return {}
        otlp, query, port = free_port(), free_port(), free_port()
        family, started = Family(folder / "logs"), None
        api = prometheus.Api(f"http://127.0.0.1:{port}")
        try:
            family.start("traces", [sys.executable, "-m", "app.cli", "embedded", "--otlp-port", str(otlp),
                                    "--query-port", str(query), "--data", str(folder / "traces")])  # fmt: skip
            interval = f"{demo.EVALUATION_S}s"
            prometheus.start(family, program, folder / "prometheus", port=port, metrics=f"127.0.0.1:{query}", interval=interval)
            started = fleet.start(family, folder / "shop", otlp_url=f"http://127.0.0.1:{otlp}", seed=SEED)
            return asyncio.run(_measure(started.shop, api, names, truth.Log(folder / "truth.jsonl")))
        finally:
            family.stop()
            if started:
                started.forget()
            api.close()


async def _measure(
    shop: fleet.Shop, api: prometheus.Api, names: list[str] | tuple[str, ...], log: truth.Log
) -> dict[str, float | None]:
    people = world.make(SEED)
    found: dict[str, float | None] = {}
    async with stage.client() as via:
        visits = traffic.plan(people, SEED, float("inf"), demo.VISITS_PER_MINUTE)
        ordinary = asyncio.create_task(stage.ordinary(visits, shop, people, via))
        try:
            for name in names:
                attack = asyncio.create_task(stage.attack(attacks.named(name), shop, people, seed=SEED, log=log, via=via))
                found[name] = await _fires(api, attacks.named(name).alerts[0], attack)
                await attack
        finally:
            ordinary.cancel()
            await asyncio.gather(ordinary, return_exceptions=True)
    return found


async def _fires(api: prometheus.Api, alert: str, attack: asyncio.Task[object]) -> float | None:
    """Seconds until an instance of the alert fires that did not when the attack began."""
    began, over = time.monotonic(), None
    before = {str(one["labels"]) for one in await asyncio.to_thread(api.alerts)}
    while over is None or time.monotonic() - over < PATIENCE_S:
        for one in await asyncio.to_thread(api.alerts):
            new = one["labels"]["alertname"] == alert and str(one["labels"]) not in before
            if new and one["state"] == "firing":
                return time.monotonic() - began
        if over is None and attack.done():
            over = time.monotonic()
        await asyncio.sleep(0.5)
    return None
