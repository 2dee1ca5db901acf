"""The deployment files agree with each other and with Clew: addresses, ports, networks, settings, confinement."""

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from app import settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
# What listens where, besides what the shipped configuration files say.
DEFAULTS = {"clew": {8000}, "postgres": {5432}, "prometheus": {9090}, "alertmanager": {9093}, "grafana": {3000}}
# Addresses that are outside on purpose: a template's, which people are told to replace.
OUTSIDE = {"clew.example", "clew.example.net", "grafana.example.net"}


def mounted(service: str) -> list[Path]:
    """The shipped files that a service of compose.yaml reads."""
    found = [DEPLOY / one.split(":")[0] for one in SERVICES[service].get("volumes", []) if one.startswith("./")]
    assert all(path.exists() for path in found), found
    return [file for path in found for file in ([path] if path.is_file() else path.rglob("*.y*ml"))]


def listening(service: str) -> set[int]:
    ports = set(DEFAULTS.get(service, ()))
    for file in mounted(service) if service in ("otel-collector", "tempo", "loki") else ():
        text = file.read_text()
        ports |= {int(port) for port in re.findall(r"(?:BIND_ADDR:-localhost\}|0\.0\.0\.0):(\d+)", text)}
        ports |= {int(port) for port in re.findall(r"(?:http_listen_port|[{ ]port): (\d+)", text)}
    return ports


def spoken_to(service: str) -> set[tuple[str, int]]:
    """Every HOST:PORT that a service's configuration and environment name."""
    texts = [re.sub(r"(?m)#.*$", "", file.read_text()) for file in mounted(service)]
    texts += [str(value) for value in SERVICES[service].get("environment", {}).values() if "${" not in str(value)]
    named = {(host, int(port)) for text in texts for host, port in re.findall(r"(?<![\w.$}-])([a-z][a-z-]+):(\d{2,5})\b", text)}
    return {(host, port) for host, port in named if host != "localhost"}


def networks(service: str) -> set[str]:
    return set(SERVICES[service].get("networks", []))


def test_every_address_in_a_configuration_is_a_service_that_listens_there_on_a_shared_network():
    pairs = {(asking, host, port) for asking in SERVICES for host, port in spoken_to(asking)}
    assert {(asking, host) for asking, host, _ in pairs} >= {
        ("clew", "postgres"), ("clew", "tempo"), ("clew", "prometheus"), ("clew", "alertmanager"), ("otel-collector", "tempo"),
        ("prometheus", "otel-collector"), ("prometheus", "alertmanager"), ("alertmanager", "clew"), ("grafana", "loki"),
        ("grafana", "tempo"), ("grafana", "prometheus"),
    }  # fmt: skip
    for asking, host, port in pairs:
        assert host in SERVICES, f"{asking} asks {host}, which is no service"
        assert port in listening(host), f"{asking} asks {host}:{port}, which listens on {listening(host)}"
        assert networks(asking) & networks(host), f"{asking} and {host} share no network"


def test_no_configuration_names_a_host_that_is_neither_a_service_nor_known_to_be_outside():
    for service in SERVICES:
        for file in mounted(service):
            hosts = re.findall(r"https?://([a-z0-9.-]+)", re.sub(r"(?m)#.*$", "", file.read_text()))
            assert set(hosts) <= SERVICES.keys() | OUTSIDE, file


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_and_confined(name):
    service = SERVICES[name]
    assert "build" in service or re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), service["image"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert not service.get("privileged")
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), port


def test_every_service_has_a_health_check_but_the_two_that_cannot():
    without = {name for name, service in SERVICES.items() if "test" not in service.get("healthcheck", {})}
    assert without == {"otel-collector", "otel-queue-owner"}
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed == "otel-queue-owner" else "service_healthy"
            assert how["condition"] == expected, (name, needed)


def test_there_is_no_default_secret():
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": "${CLEW_SECRETS:-./secrets}/" + name}
    given = [pair for service in SERVICES.values() for pair in service.get("environment", {}).items()]
    secret = {name: value for name, value in given if re.search(r"PASSWORD|TOKEN|SECRET|_KEY", name)}
    assert len(secret) >= 5
    for name, value in secret.items():
        assert value.startswith(("/run/secrets/", "${AUTH_PSEUDONYM_KEY:?")), name
    assert "AUTH_PSEUDONYM_KEY=\n" in (DEPLOY / ".env.example").read_text()


def test_the_collectors_memory_is_what_its_alert_takes_for_the_limit():
    rules = (DEPLOY / "prometheus" / "pipeline.rules.yml").read_text()
    assert SERVICES["otel-collector"]["mem_limit"] == "2g"
    assert f"vector({2 * 2**30})" in rules


def test_new_secrets_are_random_private_and_never_replaced(tmp_path):
    for name in ("new-secrets", ".env.example"):
        (tmp_path / name).write_bytes((DEPLOY / name).read_bytes())
    (tmp_path / "new-secrets").chmod(0o755)
    subprocess.run([tmp_path / "new-secrets"], check=True, capture_output=True)
    made = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert made.keys() == COMPOSE["secrets"].keys()
    random = [value for name, value in made.items() if name != "slack-url"]
    assert len(set(random)) == 3
    assert all(re.fullmatch(r"[\w-]{43}", value) for value in random)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    environment = (tmp_path / ".env").read_text()
    assert re.search(r"(?m)^AUTH_PSEUDONYM_KEY=[\w-]{43}$", environment)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    subprocess.run([tmp_path / "new-secrets"], check=True, capture_output=True)
    assert {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()} == made
    assert (tmp_path / ".env").read_text() == environment


def kubernetes(kind: str) -> list[dict]:
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [one for file in files for one in yaml.safe_load_all(file.read_text()) if one["kind"] == kind]


def test_kubernetes_names_fit_together():
    (deployment,), (service,), (settings_,) = kubernetes("Deployment"), kubernetes("Service"), kubernetes("ConfigMap")
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
    assert service["spec"]["selector"].items() <= labels
    assert kubernetes("NetworkPolicy")[0]["spec"]["podSelector"]["matchLabels"].items() <= labels
    (container,) = pod["spec"]["containers"]
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= {port["name"] for port in container["ports"]}
    for one in (container, *pod["spec"]["initContainers"]):
        assert one["envFrom"] == [{"configMapRef": {"name": settings_["metadata"]["name"]}}]
        assert {mount["name"] for mount in one["volumeMounts"]} <= {volume["name"] for volume in pod["spec"]["volumes"]}
        assert one["image"] == container["image"]
    # A Service called clew would otherwise put CLEW_PORT into the environment, a setting that Clew refuses.
    assert service["metadata"]["name"] == "clew"
    assert pod["spec"]["enableServiceLinks"] is False
    # Order of files is order of creation: the namespace is there first.
    assert yaml.safe_load((DEPLOY / "kubernetes" / "1-namespace.yaml").read_text())["kind"] == "Namespace"


def from_compose(monkeypatch) -> None:
    filled = {"CLEW_PUBLIC_URL": "https://clew.example.net", "CLEW_TRUSTED_PROXIES": '["172.16.0.0/12"]'}
    for name, value in SERVICES["clew"]["environment"].items():
        given = re.sub(r"\$\{(\w+):[-?]([^}]*)\}", lambda found: filled.get(found[1], found[2]), value)
        monkeypatch.setenv(name, given)


def from_kubernetes(monkeypatch) -> None:
    (deployment,), (settings_,) = kubernetes("Deployment"), kubernetes("ConfigMap")
    for name, value in settings_["data"].items():
        monkeypatch.setenv(name, value)
    for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]:
        monkeypatch.setenv(one["name"], one["value"])


@pytest.mark.parametrize("source", [from_compose, from_kubernetes])
def test_clew_takes_the_settings_it_is_given(source, monkeypatch, tmp_path):
    source(monkeypatch)
    for variable in ("CLEW_DATABASE__PASSWORD_FILE", "CLEW_ALERTMANAGER__WEBHOOK_TOKEN_FILE"):
        (tmp_path / variable).write_text(f"{variable}\n")
        monkeypatch.setenv(variable, str(tmp_path / variable))
    loaded = settings.load()
    assert loaded.database.password.get_secret_value() == "CLEW_DATABASE__PASSWORD_FILE"
    assert loaded.alertmanager.webhook_token.get_secret_value() == "CLEW_ALERTMANAGER__WEBHOOK_TOKEN_FILE"
    assert loaded.database.url.startswith("postgresql://clew@")
    assert loaded.tempo.enabled
    assert loaded.prometheus.enabled
    assert len(loaded.security.trusted_proxies) == 1


def test_the_containers_tools_are_those_the_project_pins():
    """requirements/build.txt is what builds the wheel in the container; it may not drift from pyproject.toml."""
    root = DEPLOY.parent
    pinned = (root / "requirements" / "build.txt").read_text()
    (backend,) = tomllib.loads((root / "pyproject.toml").read_text())["build-system"]["requires"]
    assert f"{backend} \\\n" in pinned
    tested = (root / "requirements" / "dev.txt").read_text()
    for block in re.findall(r"(?m)^\S.*?(?=^\S|\Z)", pinned, re.DOTALL):
        assert block.split(" \\")[0] in tested


def test_only_what_the_wheel_is_made_of_goes_into_the_image():
    root = DEPLOY.parent
    allowed = [line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all(any(root.glob(name)) for name in allowed), allowed
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for needed in (*wheel["packages"], *wheel["force-include"]):
        assert any(fnmatch(needed, name) for name in allowed), needed


def test_the_systemd_unit_runs_what_a_wheel_installs():
    unit = (DEPLOY / "systemd" / "clew.service").read_text()
    assert re.search(r"(?m)^ExecStart=/opt/clew/bin/clew serve$", unit)
    given = dict(re.findall(r"(?m)^Environment=(CLEW_\w+)=(.*)$", unit))
    assert given == {"CLEW_DATABASE__URL": "sqlite:////var/lib/clew/clew.db"}
    assert re.search(r"(?m)^StateDirectory=clew$", unit)
