"""The shipped Alertmanager configuration in a real Alertmanager: who hears of what, and where the messages lead."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.parts import require
from support.real_parts import RealPart, free_port, post_json

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "alertmanager"
TOKEN = "a token of this test"


class Inbox:
    """Takes what receivers are sent: (path, Authorization, body), in the order of arrival."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, dict[str, Any]]] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.got.append((self.path, self.headers.get("Authorization", ""), json.loads(body)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def at(self, path: str) -> list[dict[str, Any]]:
        return [body for where, _, body in self.got if where == path]


@pytest.fixture(scope="module")
def inbox(tmp_path_factory) -> Iterator[Inbox]:
    """What the receivers got of a brute force, a stuffing from the same subnet, and a token replay from elsewhere."""
    base = tmp_path_factory.mktemp("alertmanager")
    box = Inbox()
    threading.Thread(target=box.server.serve_forever, daemon=True).start()
    part = start(base, box.url)
    try:
        post_json(f"http://127.0.0.1:{part.port}/api/v2/alerts", [
            alert("AuthCredentialStuffing", "critical", "198.51.100.0/24"),
            alert("AuthBruteForce", "warning", "198.51.100.0/24"),
            alert("AuthTokenReplay", "warning", "203.0.113.0/24"),
        ])  # fmt: skip
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and (len(box.at("/hooks/alertmanager")) < 2 or not box.at("/slack")):
            time.sleep(0.1)
        yield box
    finally:
        part.stop()
        box.server.shutdown()
        box.server.server_close()


def start(base: Path, url: str) -> RealPart:
    program, port = require("prometheus-alertmanager", "prometheus-alertmanager"), free_port()
    text = (SHIPPED / "alertmanager.yml").read_text()
    text = text.replace("http://clew:8000", url).replace("/etc/alertmanager", str(base))
    text = text.replace("group_wait: 10s", "group_wait: 1s")
    (base / "alertmanager.yml").write_text(text)
    (base / "clew.tmpl").write_text((SHIPPED / "clew.tmpl").read_text())
    (base / "clew-token").write_text(TOKEN)
    (base / "slack-url").write_text(f"{url}/slack")
    command = [
        program, f"--config.file={base / 'alertmanager.yml'}", f"--storage.path={base / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn",
    ]  # fmt: skip
    return RealPart(command, port, base / "alertmanager.log").start()


def alert(name: str, severity: str, subnet: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": severity, "auth_client_subnet": subnet, "service_name": "identity"},
        "annotations": {
            "summary": f"{subnet}: {name}",
            "description": "What happened.",
            "clew_url": f"/alerts?q={name}",
            "runbook_url": f"/runbooks#{name}",
        },
    }


def test_clew_hears_of_each_alert_by_itself_and_with_its_token(inbox):
    told = inbox.at("/hooks/alertmanager")
    assert sorted(body["alerts"][0]["labels"]["alertname"] for body in told) == ["AuthCredentialStuffing", "AuthTokenReplay"]
    assert [len(body["alerts"]) for body in told] == [1, 1]
    assert {token for path, token, _ in inbox.got if path == "/hooks/alertmanager"} == {f"Bearer {TOKEN}"}


def test_the_graver_alert_of_one_subnet_tells_the_story_for_both(inbox):
    assert "AuthBruteForce" not in json.dumps(inbox.got)


def test_people_are_woken_for_the_critical_one_and_led_into_clew(inbox):
    (message,) = [body["attachments"][0] for body in inbox.at("/slack")]
    assert message["title"] == "FIRING: 198.51.100.0/24: AuthCredentialStuffing"
    assert message["title_link"] == "https://clew.example/alerts?q=AuthCredentialStuffing"
    assert "https://clew.example/runbooks#AuthCredentialStuffing" in message["text"]
    assert "AuthTokenReplay" not in json.dumps(message)


def test_no_secret_stands_in_the_shipped_file():
    receivers = yaml.safe_load((SHIPPED / "alertmanager.yml").read_text())["receivers"]
    assert receivers[0]["webhook_configs"][0]["http_config"]["authorization"].keys() == {"type", "credentials_file"}
