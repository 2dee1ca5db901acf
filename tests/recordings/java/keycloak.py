"""Keycloak from its distribution, with its own tracing on, and PostgreSQL behind it."""

from __future__ import annotations

import contextlib
import html
import http.client
import json
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path

from kit.stage import Request, Service, Stage, closed_port

VERSION = "26.7.3"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:tar.gz"
REALM = {
    "realm": "shop",
    "enabled": True,
    "sslRequired": "none",
    "bruteForceProtected": True,
    "failureFactor": 2,
    "users": [
        {
            "username": name, "enabled": name != "dora", "email": f"{name}@shop.example", "emailVerified": True,
            "firstName": name.title(), "lastName": "Example", "credentials": [{"type": "password", "value": "right"}],
        }
        for name in ("mary", "bob", "dora", "lena")
    ],
    "clients": [
        {
            "clientId": "app", "publicClient": True, "directAccessGrantsEnabled": True, "redirectUris": ["http://shop.example/*"],
            # Only a client in the token's audience is told that it is active.
            "protocolMappers": [{
                "name": "helpdesk", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
                "config": {"included.client.audience": "helpdesk", "access.token.claim": "true",
                           "introspection.token.claim": "true"},
            }],
        },
        {"clientId": "kiosk", "publicClient": True, "directAccessGrantsEnabled": True},
        {"clientId": "helpdesk", "secret": "helpdesk-secret", "standardFlowEnabled": False},
        {"clientId": "report", "secret": "report-secret", "standardFlowEnabled": False, "directAccessGrantsEnabled": False},
    ],
}  # fmt: skip
TOKEN = "/realms/shop/protocol/openid-connect/token"
INTROSPECT = f"{TOKEN}/introspect"


def install(cache: Path, repository: Path) -> Path:
    """Keycloak's folder, built for PostgreSQL and tracing."""
    home = cache / "keycloak" / f"keycloak-{VERSION}"
    if (home / ".built").exists():
        return home
    shutil.rmtree(home, ignore_errors=True)
    maven = ["mvn", "-B", "-q", f"-Dmaven.repo.local={repository}"]
    subprocess.run(
        [*maven, "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={cache / 'keycloak'}"], cwd=cache, check=True
    )
    subprocess.run(
        ["tar", "-xzf", cache / "keycloak" / f"keycloak-quarkus-dist-{VERSION}.tar.gz"], cwd=cache / "keycloak", check=True
    )
    subprocess.run([home / "bin" / "kc.sh", "build", "--db=postgres", "--tracing-enabled=true"], check=True)
    (home / ".built").touch()
    return home


def start(stage: Stage, home: Path, database: int) -> Service:
    """Keycloak in production mode over plain HTTP, with the realm `shop`."""
    realms = home / "data" / "import"
    realms.mkdir(parents=True, exist_ok=True)
    (realms / "shop.json").write_text(json.dumps(REALM), encoding="utf-8")
    port = closed_port()
    options = {
        "http-enabled": "true", "http-host": "127.0.0.1", "http-port": port, "hostname-strict": "false",
        "db-url": f"jdbc:postgresql://127.0.0.1:{database}/shop", "db-username": "keycloak", "db-password": "keycloak-secret",
        "cache": "local", "log-level": "warn", "proxy-headers": "xforwarded",
        "tracing-endpoint": stage.otlp, "tracing-protocol": "http/protobuf", "telemetry-service-name": "keycloak",
    }  # fmt: skip
    command = [home / "bin" / "kc.sh", "start", "--optimized", "--import-realm", *(f"--{k}={v}" for k, v in options.items())]
    # `cdi` is Quarkus's name of its own exporter, which takes the place of the SDK's.
    settings = {
        "OTEL_TRACES_EXPORTER": "cdi",
        "JAVA_OPTS_KC_HEAP": "-Xmx512m",
        "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1 -Dquarkus.otel.bsp.schedule.delay=200ms",
    }
    return stage.start("keycloak", command, port=port, cwd=home, versions={"Keycloak": VERSION}, **settings)


def form(service: Service, path: str, *, cookie: str = "", client: str = "203.0.113.7", **fields: str) -> Request:
    """A form sent as a browser, or a client of OAuth, sends it."""
    sent = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": client, "User-Agent": "shop-app/3.2"}
    if cookie:
        sent["Cookie"] = cookie
    return Request(service.name, service.url, "POST", path, sent, urllib.parse.urlencode(fields).encode())


def password(service: Service, name: str, secret: str = "right", **fields: str) -> Request:
    """The password grant, for the client `app` unless another is named."""
    asked = {"grant_type": "password", "username": name, "password": secret, "client_id": "app", "scope": "openid"}
    return form(service, TOKEN, **(asked | fields))


def browser_login(service: Service, name: str, secret: str) -> Request:
    """What a browser sends from Keycloak's login page, with the cookies that came with the page."""
    asked = {
        "client_id": "app",
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": "http://shop.example/",
        "state": "s",
    }
    connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", f"/realms/shop/protocol/openid-connect/auth?{urllib.parse.urlencode(asked)}")
        answer = connection.getresponse()
        cookies = [value.partition(";")[0] for key, value in answer.getheaders() if key.lower() == "set-cookie"]
        action = re.search(rb'action="([^"]+)"', answer.read())
    if action is None:
        raise RuntimeError("Keycloak gave no login form.")
    path = html.unescape(action[1].decode()).removeprefix(service.url)
    return form(service, path, cookie="; ".join(cookies), username=name, password=secret)
