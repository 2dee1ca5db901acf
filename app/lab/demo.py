"""Everything on one machine: traces, metrics, a shop with visitors and attackers, and Clew looking at it."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import msgspec

from app import paths
from app.errors import Conflict, SourceError
from app.lab import fleet, incident, live, metric_history, prometheus, stage, traffic, truth, world
from app.lab.config import SERVICES
from app.lab.demo_folder import DataFolder
from app.lab.processes import Child, ChildFailed, Family, inherited_environment, port_taken
from app.lab.recorder import Recorder
from app.times import now_ns
from app.traces.model import Span
from app.traces.otlp import decode

TRUTH = "ground-truth.jsonl"
LOGIN = "demo"
READY_S = 120.0
EVALUATION_S = 5
VISITS_PER_MINUTE = 8.0


class Ports(msgspec.Struct, frozen=True):
    """Where each part listens, on 127.0.0.1. `shop` 0 takes a free one."""

    web: int = 8000
    otlp: int = 4318
    query: int = 3200
    prometheus: int = 9090
    shop: int = 0

    def check(self) -> None:
        """Errors: Conflict names each taken port and the option that changes it."""
        options = {"--port": self.web, "--otlp-port": self.otlp, "--query-port": self.query,
                   "--prometheus-port": self.prometheus, "--shop-port": self.shop}  # fmt: skip
        taken = [
            f"port {port} is taken (choose another with {name})" for name, port in options.items() if port and port_taken(port)
        ]
        if taken:
            sentence = "; ".join(taken)
            raise Conflict(f"{sentence[0].upper()}{sentence[1:]}.")


class Options(msgspec.Struct, frozen=True):
    ports: Ports
    data: Path
    cache: Path
    fresh: bool = False
    seed: int = 7
    password: str = ""
    sqlite: bool = False
    with_attacks: bool = True


class Demo:
    """One run of the demo. Call `run` from the main thread."""

    def __init__(self, options: Options, meter: Callable[[], metric_history.Meter], say: live.Say) -> None:
        self._options = options
        self._meter = meter
        self._say = say
        self._folder = DataFolder(options.data)
        self._family = Family(self._folder.logs)
        self._essential: list[Child] = []
        self._fleet: fleet.Fleet | None = None

    def run(self) -> None:
        """Until interrupted. Errors: AppError where something did not start or an essential part ended."""
        self._options.ports.check()
        reused = self._folder.open(fresh=self._options.fresh)
        # A shell that starts us in the background has Ctrl-C's signal ignored, which children would inherit.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        try:
            self._run(reused)
        except KeyboardInterrupt:
            self._say("Stopping.")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._family.stop()
            if self._fleet:
                self._fleet.forget()
            self._folder.close()
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _run(self, reused: bool) -> None:
        options, ports, data = self._options, self._options.ports, self._folder.path
        if reused:
            self._say(f"Data of an earlier demo is used again: {data}. clew demo --fresh starts anew.")
        backend = self._clew("traces", "embedded", "--otlp-port", str(ports.otlp), "--query-port", str(ports.query),
                             "--data", str(data / "traces"))  # fmt: skip
        program = prometheus.find(options.cache, self._say)
        if program:
            metrics = f"127.0.0.1:{ports.query}"
            prometheus.start(
                self._family, program, data / "prometheus", port=ports.prometheus, metrics=metrics, interval=f"{EVALUATION_S}s"
            )
        else:
            self._say("Prometheus is not installed and could not be unpacked: the demo runs without metrics and alerts.")
        web = self._clew("clew", "serve", env=self._settings(bool(program)))
        self._essential = [backend, web]
        recorder = Recorder()
        recorder.start()
        try:
            otlp = f"http://127.0.0.1:{ports.otlp}"
            self._fleet = fleet.start(
                self._family, data / "shop", otlp_url=otlp if reused else recorder.url, seed=options.seed,
                gateway_port=ports.shop, sqlite=options.sqlite,
            )  # fmt: skip
            self._await(f"http://127.0.0.1:{ports.query}/ready", backend)
            self._await(f"{self._url}/readyz", web)
            self._introduce(self._add_user(known=reused), bool(program))
            if not reused:
                self._generate_past(recorder, program)
        finally:
            recorder.stop()
        asyncio.run(self._live(bool(program)))

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._options.ports.web}"

    @property
    def _truth(self) -> Path:
        return self._folder.path / "shop" / TRUTH

    def _clew(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> Child:
        return self._family.start(name, [sys.executable, "-m", "app.cli", *arguments], env=env)

    def _settings(self, with_prometheus: bool) -> dict[str, str]:
        ports = self._options.ports
        settings = {
            "CLEW_TEMPO__URL": f"http://127.0.0.1:{ports.query}",
            "CLEW_DATABASE__URL": f"sqlite:///{self._folder.path / 'clew.db'}",
            "CLEW_WEB__HOST": "127.0.0.1",
            "CLEW_WEB__PORT": str(ports.web),
            "CLEW_WEB__DEMO": "true",
            "CLEW_WEB__REFRESH_S": "5",
            "CLEW_ANALYSIS__KNOWN_SERVICES": msgspec.json.encode(list(SERVICES)).decode(),
        }
        if with_prometheus:
            settings["CLEW_PROMETHEUS__URL"] = f"http://127.0.0.1:{ports.prometheus}"
        return settings

    def _await(self, url: str, child: Child) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if failure := child.failure():
                raise ChildFailed(failure)
            try:
                if httpx.get(url, timeout=2.0, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise ChildFailed(f"{child.name} did not start within {READY_S:.0f} s. Its log: {child.log}")

    def _add_user(self, *, known: bool) -> str:
        """Create the demo's user, or give it a new password; the password. Errors: ChildFailed."""
        password = self._options.password or secrets.token_urlsafe(9)
        arguments = ["password", LOGIN] if known else ["add", LOGIN, "--role", "analyst"]
        settings = {**inherited_environment(), **self._settings(with_prometheus=False)}
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "app.cli", "user", *arguments, "--password-stdin"],
            input=password, text=True, capture_output=True, check=False, env=settings,
        )  # fmt: skip
        if done.returncode:
            words = done.stderr.strip().splitlines()
            raise ChildFailed(f"The demo's user could not be made: {words[-1] if words else 'no reason given'}")
        return password

    def _introduce(self, password: str, with_prometheus: bool) -> None:
        assert self._fleet is not None
        lines = [
            "",
            f"  Clew       {self._url}",
            f"  log in as  {LOGIN}   password  {password}",
            "",
            "  What to look at",
            "   1. Alerts: an attack runs now and fires within three minutes; earlier ones have ended." if with_prometheus
            else "   1. Traces: search for { span.auth.result = \"failure\" }.",
            "   2. Open an alert, then the first of its traces: who refused, where, and why.",
            "   3. The earlier incident: guessing, a leaked list of passwords that worked twice, and what the thief did next.",
            f"   4. Ground truth, to check Clew against: {self._truth}",
            "",
            f"  The shop's rows are guarded by {self._fleet.guard}.",
            f"  Logs: {self._folder.logs}",
            "  Ctrl-C stops everything.",
            "",
        ]  # fmt: skip
        for line in lines:
            self._say(line)

    def _generate_past(self, recorder: Recorder, program: prometheus.Program | None) -> None:
        """The earlier incident: traces first, since they are what a person can look at, then its metrics and alerts."""
        assert self._fleet is not None
        options, shop = self._options, self._fleet.shop
        people = world.make(options.seed)
        otlp = f"http://127.0.0.1:{options.ports.otlp}"

        recorded = incident.window(now_ns())

        async def traces() -> None:
            async with stage.client() as via:
                async for part in incident.record(recorded, shop, people, recorder, seed=options.seed, log=self._log()):
                    await incident.deliver(part.requests, otlp, via)
                await incident.send_telemetry_to(shop, otlp, via)

        asyncio.run(traces())
        ended = dt.datetime.fromtimestamp(recorded.end_ns / 1e9, dt.UTC)
        self._say(f"{live.clock()} The earlier incident is in: {recorded.traces} traces up to {ended:%H:%M} UTC.")
        if program and program.takes_the_past:
            self._past_metrics(recorded)
        elif program:
            self._say("This Prometheus takes no past samples, so the earlier incident has traces and no alerts.")
        self._folder.mark_complete(options.seed)

    def _past_metrics(self, recorded: incident.Recording) -> None:
        ports = self._options.ports
        spans: list[Span] = [span for request in recorded.requests for span in decode(request.SerializeToString()).spans]
        series = metric_history.scrapes(
            spans, self._meter(), instance=f"127.0.0.1:{ports.query}", start_ns=recorded.start_ns, end_ns=recorded.end_ns
        )
        book = metric_history.rules(paths.folder("deploy/prometheus") / prometheus.RULES)
        api = prometheus.Api(f"http://127.0.0.1:{ports.prometheus}")
        try:
            count = metric_history.write(
                api, series, book, start_ns=recorded.start_ns, end_ns=recorded.end_ns, step_s=EVALUATION_S
            )
            self._say(f"{live.clock()} Its metrics are in, and {count} alerts that have ended.")
        except SourceError as error:
            # The traces are there; a demo without past alerts is still one.
            self._say(f"The earlier incident has no alerts: {error.sentence} {error.detail}".rstrip())
        finally:
            api.close()

    def _log(self) -> truth.Log:
        return truth.Log(self._truth)

    async def _live(self, with_prometheus: bool) -> None:
        """Visitors, attacks in turn, and an eye on the children, until interrupted. Errors: ChildFailed."""
        assert self._fleet is not None
        shop, seed = self._fleet.shop, self._options.seed
        people, log = world.make(seed), self._log()
        visits = traffic.plan(people, seed + 1, float("inf"), VISITS_PER_MINUTE)
        try:
            async with stage.client() as via, asyncio.TaskGroup() as together:
                together.create_task(stage.ordinary(visits, shop, people, via, log))
                if self._options.with_attacks:
                    together.create_task(live.attack_in_turn(shop, people, seed=seed, log=log, via=via, say=self._say))
                if with_prometheus:
                    url = f"http://127.0.0.1:{self._options.ports.prometheus}"
                    together.create_task(live.announce_alerts(url, f"{self._url}/alerts", self._say))
                together.create_task(live.watch(self._family.children, self._essential, self._say))
        except* ChildFailed as failed:
            raise failed.exceptions[0] from None
