"""Spring services with Micrometer's observations or under the Java agent, and Keycloak; all from Maven's repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keycloak
from kit.stage import Service, Stage, closed_port

HERE = Path(__file__).parent
OPTIONS = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:MaxJavaStackTraceDepth=60")  # deeper ones make recordings too large
LIBRARIES = ("spring-boot", "spring-security-core", "spring-cloud-gateway-server-webflux", "micrometer-tracing",
             "datasource-micrometer", "postgresql")  # fmt: skip


@dataclass(frozen=True)
class Java:
    """The archives that Maven made of `services/`, and the ways to run them."""

    built: Path
    keycloak: Path

    def observed(self, stage: Stage, name: str, *, archive: str = "observed", **settings: object) -> Service:
        """A service whose profile is its name, with Spring's own observations exported."""
        given = {
            "MANAGEMENT_OTLP_TRACING_ENDPOINT": f"{stage.otlp}/v1/traces",
            "MANAGEMENT_TRACING_OPENTELEMETRY_EXPORT_SCHEDULEDELAY": "200ms",
        }
        return self._start(stage, name, archive, [], given | settings)

    def agent(self, stage: Stage, name: str, **settings: object) -> Service:
        """A service whose profile is its name, with nothing in it but what the agent puts there."""
        agent = self.built / "plain" / "target" / "javaagent.jar"
        return self._start(stage, name, "plain", [f"-javaagent:{agent}"], settings)

    def _start(self, stage: Stage, name: str, archive: str, options: list[str], settings: dict[str, object]) -> Service:
        file, port = self.built / archive / "target" / f"{archive}.jar", closed_port()
        given = {"SPRING_APPLICATION_NAME": name, "SPRING_PROFILES_ACTIVE": name, "SERVER_PORT": port} | settings
        versions = _versions(file) | ({"opentelemetry-javaagent": _agent(self.built)} if options else {})
        return stage.start(name, ["java", *OPTIONS, *options, "-jar", file], port=port, versions=versions, **given)


def install(cache: Path) -> Java:
    """The services built in the cache, with a repository of Maven's beside them."""
    target = cache / "services"
    done = target / "built"
    wanted = "".join(sorted(f"{file}{file.stat().st_mtime}" for file in (HERE / "services").rglob("*") if file.is_file()))
    if not done.exists() or done.read_text() != wanted:
        # Anew from nothing: an archive that stands there is not put together again.
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(HERE / "services", target)
        command = ["mvn", "-B", "-q", "-Dstyle.color=never", f"-Dmaven.repo.local={cache / 'repository'}", "package"]
        subprocess.run(command, cwd=target, check=True)
        done.write_text(wanted)
    return Java(target, keycloak.install(cache, cache / "repository"))


def _versions(archive: Path) -> dict[str, str]:
    names = [Path(name).name for name in zipfile.ZipFile(archive).namelist() if name.startswith("BOOT-INF/lib/")]
    found = {library: re.compile(re.escape(library) + r"-(\d[\w.]*)\.jar") for library in LIBRARIES}
    return {library: hit[1] for library, named in found.items() for name in names if (hit := named.fullmatch(name))}


def _agent(built: Path) -> str:
    with zipfile.ZipFile(built / "plain" / "target" / "javaagent.jar") as agent:
        manifest = agent.read("META-INF/MANIFEST.MF").decode()
    found = re.search(r"Implementation-Version: (\S+)", manifest)
    return found[1] if found else ""
