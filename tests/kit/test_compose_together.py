"""What compose.yaml plugs together, run as processes under the services' names and with the settings Compose hands over.

Containers cannot be had here, and Tempo's place is taken by the embedded backend; Clew, PostgreSQL, Prometheus and
Alertmanager are real, and all but PostgreSQL find each other by the names and ports of the shipped files, in a network of
their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kit import compose
from support import postgres
from support.parts import require

pytestmark = pytest.mark.kit
CLEW = [sys.executable, "-m", "app.cli"]
PASSWORD = "correct horse battery staple"
# Not of the loopback network: Clew refuses names that lead there.
ADDRESS = {
    name: f"10.77.0.{number}"
    for number, name in enumerate(("clew", "tempo", "prometheus", "alertmanager", "otel-collector"), start=1)
}
# The names, and /run/secrets as in a container: seen by this process alone.
INSIDE = """
set -e
mount --bind "$HOSTS" /etc/hosts
mount -t tmpfs run /run
mkdir /run/secrets
cp "$SECRETS"/* /run/secrets
exec "$@"
"""
# A person who waits until Clew heard of the alert in every way; prints what the last answer was.
WATCH = """
import json, sys, time
import httpx2 as httpx

until, told = time.monotonic() + 120, {}
with httpx.Client(base_url="http://clew:8000", trust_env=False, timeout=20) as browser:
    while time.monotonic() < until:
        try:
            if not browser.cookies:
                browser.post("/login", data={"name": "ines", "password": sys.argv[1]})
            told = browser.get("/api/v1/alerts").json()
        except httpx.TransportError:
            pass
        found = [one for one in told.get("alerts", ()) if one["name"] == "CollectorDown"]
        if told.get("whole") and {source for one in found for source in one["episode"]["sources"]} == set(sys.argv[2:]):
            break
        time.sleep(0.5)
print(json.dumps({"found": found, "troubles": told.get("troubles"), "whole": told.get("whole")}))
"""


class Together:
    """A network of its own with an address for each service, and the copied deployment files."""

    def __init__(self, deploy: Path, holder: int) -> None:
        self.deploy = deploy
        self._network = f"--net=/proc/{holder}/ns/net"

    def inside(self, *command: str | Path) -> tuple[list[str], dict[str, str]]:
        hosts = self.deploy / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in ADDRESS.items()))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")}
        environment |= {"HOSTS": str(hosts), "SECRETS": str(self.deploy / "secrets")}
        entered = ["nsenter", self._network, "unshare", "--mount", "--propagation=private", "sh", "-c", INSIDE, "sh"]
        return [*entered, *map(str, command)], environment

    def run(self, *command: str | Path, given: str = "", **settings: str) -> str:
        called, environment = self.inside(*command)
        done = subprocess.run(
            called, env=environment | settings, input=given, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self, name: str, *command: str | Path, **settings: str) -> Iterator[None]:
        called, environment = self.inside(*command)
        with (self.deploy / f"{name}.log").open("w") as said, subprocess.Popen(
            called, env=environment | settings, cwd=self.deploy, stdout=said, stderr=said
        ) as process:  # fmt: skip
            try:
                yield
            finally:
                process.terminate()
                process.wait(30)

    def logs(self) -> str:
        return "\n".join(f"{file.name}: {file.read_text()[-1500:]}" for file in sorted(self.deploy.glob("*.log")))


@pytest.fixture
def together(tmp_path) -> Iterator[Together]:
    if (
        os.geteuid() != 0
        or subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a network and names of its own take root and the right to make them")
    addresses = "; ".join(f"ip address add {address}/32 dev lo" for address in ADDRESS.values())
    up = f"{require('ip', 'iproute2')} link set lo up; {addresses}; echo ready; exec sleep infinity"
    with subprocess.Popen(["unshare", "--net", "sh", "-c", up], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == "ready\n"
            yield Together(compose.copied(tmp_path), holder.pid)
        finally:
            holder.kill()


def prepared(deploy: Path) -> None:
    """The shipped files, impatient, and with the folders of this machine."""
    for file in (deploy / "prometheus").glob("*.yml"):
        text = file.read_text().replace("interval: 15s", "interval: 1s").replace("interval: 30s", "interval: 1s")
        file.write_text(text.replace("for: 1m", "for: 1s"))
    routes = deploy / "alertmanager" / "alertmanager.yml"
    text = routes.read_text().replace("/etc/alertmanager/clew-token", "/run/secrets/webhook-token")
    routes.write_text(text.replace("/etc/alertmanager/slack-url", "/run/secrets/slack-url"))


def of_this_machine(command: list[str], name: str, folder: Path) -> list[str]:
    return [one.replace(f"=/etc/{name}/", f"={folder}/").replace(f"path=/{name}", f"path={folder}/data") for one in command]


def test_an_alert_comes_to_clew_by_all_its_ways(together):
    """Nobody runs a Collector, Prometheus says so, Alertmanager tells Clew with the shared token, and Clew asks both."""
    deploy = together.deploy
    services: dict[str, Any] = compose.project(compose.judge(), deploy / "compose.yaml")["services"]
    prepared(deploy)
    with ExitStack() as parts:
        server = parts.enter_context(postgres.running())
        server.create("clew")
        settings = services["clew"]["environment"] | {
            "CLEW_DATABASE__URL": f"postgresql://{server.user}@/clew?host={server.folder}",
            "CLEW_WEB__HOST": ADDRESS["clew"],
            "CLEW_SECURITY__SECURE_COOKIES": "false",  # the HTTPS proxy is not part of this
        }
        parts.enter_context(together.running(
            "tempo", *CLEW, "embedded", "--host", ADDRESS["tempo"], "--query-port", "3200", "--otlp-port", "4318",
            "--data", deploy / "spans",
        ))  # fmt: skip
        for name, package, port in (("alertmanager", "prometheus-alertmanager", 9093), ("prometheus", "prometheus", 9090)):
            command = of_this_machine(services[name]["command"], name, deploy / name)
            listens = f"--web.listen-address={ADDRESS[name]}:{port}"
            parts.enter_context(together.running(name, require(package, package), *command, listens))
        together.run(*CLEW, "db", "upgrade", **settings)
        together.run(*CLEW, "user", "add", "ines", "--role", "admin", "--password-stdin", given=PASSWORD, **settings)
        parts.enter_context(together.running("clew", *CLEW, "serve", **settings))
        ways = ("prometheus", "alertmanager", "webhook")
        seen = json.loads(together.run(sys.executable, "-c", WATCH, PASSWORD, *ways))
    assert {source for one in seen["found"] for source in one["episode"]["sources"]} == set(ways), f"{seen}\n{together.logs()}"
    assert [one["labels"]["instance"] for one in seen["found"]] == ["otel-collector:8888"]
    assert (seen["whole"], seen["troubles"]) == (True, [])
