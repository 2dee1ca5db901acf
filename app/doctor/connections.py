"""Each source as it answers just now: reachable, authorised, its version, its clock, and what it can do for Clew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from time import monotonic
from typing import TypeAlias, TypeVar

from app.doctor.finding import Area, Finding, Severity, Unknown, anchor
from app.doctor.report import Connection, Feature
from app.errors import SourceError, SourceUnavailable, SourceUnreadable
from app.investigation.sources import Sources
from app.sources.alertmanager import AlertmanagerClient
from app.sources.prometheus import PrometheusClient
from app.sources.tempo import TempoClient
from app.sources.values import BuildInfo
from app.times import MINUTE, SECOND, UnixNanos, format_duration

T = TypeVar("T")
Client: TypeAlias = TempoClient | PrometheusClient | AlertmanagerClient

# An HTTP date has whole seconds, and the answer was under way for a moment.
_CLOCK_SLACK = 3 * SECOND
_CLOCK_HARMFUL = 30 * SECOND
_URL = {"Tempo": "CLEW_TEMPO__URL", "Prometheus": "CLEW_PROMETHEUS__URL", "Alertmanager": "CLEW_ALERTMANAGER__URL"}
_PROBE = {"Tempo": "/api/echo", "Prometheus": "/api/v1/status/buildinfo", "Alertmanager": "/-/ready"}
_WITHOUT = {
    "Tempo": "Without it Clew has no traces: no verdict, no search, no evidence.",
    "Prometheus": "Without it Clew has no alerts, no counts beside the traces, and cannot tell what sampling left out.",
    "Alertmanager": "Without it Clew does not see silences, and learns of alerts from Prometheus alone.",
}

SOURCES = ("Tempo", "Prometheus", "Alertmanager")


async def ask(sources: Sources, now_ns: UnixNanos) -> tuple[Connection, ...]:
    """All three at once. Errors: none; a source that fails is a connection with a problem."""
    return tuple(
        await asyncio.gather(
            _tempo(sources.tempo, now_ns), _prometheus(sources.prometheus), _alertmanager(sources.alertmanager)
        )
    )


# --------------------------------------------------------------------------------------------------------- the sources


async def _tempo(tempo: TempoClient | None, now_ns: UnixNanos) -> Connection:
    if tempo is None:
        return _absent("Tempo")
    begun = monotonic()
    start = now_ns - 5 * MINUTE
    clock, asked = await asyncio.gather(_clock(tempo), _or_error(tempo.search("{ }", start, now_ns, limit=1, spans_per_set=1)))
    if isinstance(asked, SourceError):
        return _failed(tempo, asked, clock, begun)
    build, counted, tags = await asyncio.gather(
        _or_error(tempo.build_info()),
        _or_error(tempo.metrics_instant("{ } | count_over_time()", start, now_ns)),
        _or_error(tempo.tag_values("resource.service.name", start_ns=start, end_ns=now_ns)),
    )
    features = (
        Feature("search", True, "traces behind an alert are found"),
        Feature(
            "TraceQL metrics",
            not isinstance(counted, SourceError),
            "every search is counted a second way, so that a list is known to be whole",
            "" if not isinstance(counted, SourceError) else "Use Tempo 2.7 or later with query_frontend.metrics left on.",
        ),
        Feature("tag values", not isinstance(tags, SourceError), "service names are offered in searches"),
    )
    return _answered(tempo, build, clock, begun, features)


async def _prometheus(prometheus: PrometheusClient | None) -> Connection:
    if prometheus is None:
        return _absent("Prometheus")
    begun = monotonic()
    clock, asked = await asyncio.gather(_clock(prometheus), _or_error(prometheus.query("vector(1)")))
    if isinstance(asked, SourceError):
        return _failed(prometheus, asked, clock, begun)
    build, exemplars, rules, alerts, receivers = await asyncio.gather(
        _or_error(prometheus.build_info()),
        prometheus.exemplar_storage(),
        _or_error(prometheus.rules("alert")),
        _or_error(prometheus.query('count(last_over_time(ALERTS{alertstate="firing"}[1d]))')),
        _or_error(prometheus.alertmanagers()),
    )
    features = (
        Feature(
            "exemplars",
            exemplars,
            "an alert leads to its traces at once",
            "" if exemplars is not False else "Start Prometheus with --enable-feature=exemplar-storage.",
        ),
        Feature(
            "alerting rules",
            None if isinstance(rules, SourceError) else bool(rules),
            "there are alerts to begin with",
            "Load deploy/prometheus/auth.rules.yml with rule_files." if rules == () else "",
        ),
        Feature(
            "alert history (ALERTS)",
            None if isinstance(alerts, SourceError) or not alerts.series else True,
            "when an alert began, ended and came back; there is none until a first alert has fired",
        ),
        Feature(
            "receiver of alerts",
            None if isinstance(receivers, SourceError) else bool(receivers),
            "people and Clew's webhook are told",
            "Name an Alertmanager under alerting.alertmanagers in prometheus.yml." if receivers == () else "",
        ),
    )
    return _answered(prometheus, build, clock, begun, features)


async def _alertmanager(alertmanager: AlertmanagerClient | None) -> Connection:
    if alertmanager is None:
        return _absent("Alertmanager")
    begun = monotonic()
    clock, asked = await asyncio.gather(_clock(alertmanager), _or_error(alertmanager.alerts()))
    if isinstance(asked, SourceError):
        return _failed(alertmanager, asked, clock, begun)
    build, configuration = await asyncio.gather(
        _or_error(alertmanager.build_info()), _or_error(alertmanager.configuration())
    )  # fmt: skip
    hooked = None if isinstance(configuration, SourceError) else "/hooks/alertmanager" in configuration
    token = bool(alertmanager.settings.webhook_token.get_secret_value())
    features = (
        Feature(
            "webhook to Clew",
            hooked and token if hooked is not None else None,
            "alerts are remembered after Prometheus has forgotten them",
            _hook_remedy(hooked, token),
        ),
    )
    return _answered(alertmanager, build, clock, begun, features)


def _hook_remedy(hooked: bool | None, token: bool) -> str:
    if hooked is False:
        return "Add a receiver with Clew's /hooks/alertmanager to Alertmanager, as deploy/alertmanager shows."
    return "" if token else "Set CLEW_ALERTMANAGER__WEBHOOK_TOKEN: without it Clew takes no notifications."


# -------------------------------------------------------------------------------------------------------- what is said


def _absent(source: str) -> Connection:
    return Connection(source, configured=False, problem=f"{source} is not set up.", remedy=f"Set {_URL[source]}.")


def _failed(client: Client, error: SourceError, clock_ns: int | None, begun: float) -> Connection:
    reachable = not isinstance(error, SourceUnavailable) or bool(error.status) or clock_ns is not None
    # Whoever fails before looking at the credentials says nothing about them.
    authorised = None if isinstance(error, SourceUnavailable) else not _is_stranger(error)
    return Connection(
        client.NAME,
        configured=True,
        url=client.settings.url,
        tenant=client.settings.tenant,
        reachable=reachable,
        authorised=authorised,
        clock_ns=clock_ns,
        took_ms=_ms(begun),
        problem=error.sentence,
        remedy=_remedy(client, error),
    )


def _is_stranger(error: SourceError) -> bool:
    return error.status in (401, 403) or "tenant" in error.sentence


def _remedy(client: Client, error: SourceError) -> str:
    name, setting = client.NAME, _URL[client.NAME]
    prefix = setting.removesuffix("URL")
    if "tenant" in error.sentence:
        return f"Set {prefix}TENANT to the tenant's name."
    if error.status in (401, 403):
        return f"Set {prefix}BEARER_TOKEN, or {prefix}USERNAME and {prefix}PASSWORD."
    if error.status == 404:
        return f"Add the path prefix under which {name} stands to {setting}."
    if isinstance(error, SourceUnreadable):
        return f"Check that {setting} is {name}'s own address and no log-in page or other product answers there."
    if isinstance(error, SourceUnavailable) and error.status:
        return f"Look at the log of {name}, or of the proxy in front of it."
    if isinstance(error, SourceUnavailable):
        return f"Start {name}, or correct {setting}; from this machine: curl {client.settings.url}{_PROBE[name]}"
    return f"Check {setting} and what stands between Clew and {name}."


def _answered(
    client: Client,
    build: BuildInfo | SourceError,
    clock_ns: int | None,
    begun: float,
    features: Sequence[Feature],
) -> Connection:
    return Connection(
        client.NAME,
        configured=True,
        url=client.settings.url,
        tenant=client.settings.tenant,
        reachable=True,
        authorised=True,
        version="" if isinstance(build, SourceError) else f"{build.product} {build.version}".strip()[:80],
        clock_ns=clock_ns,
        took_ms=_ms(begun),
        features=tuple(features),
    )


async def _clock(client: Client) -> int | None:
    """How far the source's clock is ahead, by the date of its answer; zero within what such a date can tell."""
    try:
        answer = await client.http.probe(_PROBE[client.NAME], operation="readiness")
    except SourceError:
        return None
    if answer.date_ns is None:
        return None
    # A date is cut to its second: on average half a second early.
    ahead = answer.date_ns + SECOND // 2 - answer.received_ns
    return 0 if abs(ahead) < _CLOCK_SLACK else round(ahead / SECOND) * SECOND


async def _or_error(asked: Awaitable[T]) -> T | SourceError:
    try:
        return await asked
    except SourceError as error:
        return error


def _ms(begun: float) -> int:
    return round((monotonic() - begun) * 1000)


# ------------------------------------------------------------------------------------------------------------- checks


def reachable(check: str, connection: Connection) -> Iterator[Finding | Unknown]:
    """Does the source answer as Clew needs it?"""
    source = connection.source
    if connection.configured and not connection.problem:
        return
    needed = source != "Alertmanager"
    if connection.configured:
        severity = Severity.BROKEN if needed else Severity.HARMFUL
    else:
        # Not a failure but a choice; what it costs stands among the checks that could not be made.
        severity = {"Tempo": Severity.BROKEN, "Prometheus": Severity.WEAK}.get(source, Severity.NOTE)
    yield Finding(
        check=check,
        area=Area.CONNECTION,
        severity=severity,
        subject=source,
        title=connection.problem,
        detail=_WITHOUT[source],
        remedy=connection.remedy,
        paste=_paste(connection),
        paste_language="shell",
        docs=anchor(check),
    )


def _paste(connection: Connection) -> str:
    setting = _URL[connection.source]
    prefix = setting.removesuffix("URL")
    if not connection.configured:
        port = {"Tempo": 3200, "Prometheus": 9090, "Alertmanager": 9093}[connection.source]
        return f"export {setting}=http://{connection.source.lower()}.example:{port}"
    if connection.authorised is False and "tenant" in connection.problem:
        return f"export {prefix}TENANT=your-tenant"
    if connection.authorised is False:
        return f"export {prefix}BEARER_TOKEN=..."
    return f"curl -sS {connection.url}{_PROBE[connection.source]}"


def clocks(check: str, connections: Sequence[Connection]) -> Iterator[Finding | Unknown]:
    """Do the sources agree with Clew on what time it is?"""
    told = [connection for connection in connections if connection.clock_ns is not None]
    if not told:
        yield Unknown(check, "No source said what time it has.")
    for connection in told:
        ahead = connection.clock_ns or 0
        if not ahead:
            continue
        word = "ahead of" if ahead > 0 else "behind"
        yield Finding(
            check=check,
            area=Area.CONNECTION,
            severity=Severity.HARMFUL if abs(ahead) >= _CLOCK_HARMFUL else Severity.WEAK,
            subject=connection.source,
            title=f"The clock of {connection.source} is {format_duration(abs(ahead))} {word} Clew's.",
            detail="Windows of time that Clew asks for miss their beginning or end by as much.",
            measured=format_duration(abs(ahead)),
            remedy="Keep both machines on NTP.",
            paste="timedatectl set-ntp true",
            paste_language="shell",
            docs=anchor(check),
        )


_MATTERS = {"exemplars": Severity.WEAK, "TraceQL metrics": Severity.WEAK, "receiver of alerts": Severity.NOTE}
_FEATURE_PASTE = {
    "exemplars": "prometheus --config.file=prometheus.yml --enable-feature=exemplar-storage",
}


def features(check: str, connections: Sequence[Connection]) -> Iterator[Finding | Unknown]:
    """Can the sources do what Clew makes use of? Rules have a check of their own."""
    answering = [connection for connection in connections if connection.features]
    if not answering:
        yield Unknown(check, "No source answered.")
    for connection in answering:
        for feature in connection.features:
            if feature.has is not False or feature.name == "alerting rules":
                continue
            yield Finding(
                check=check,
                area=Area.CONNECTION,
                severity=_MATTERS.get(feature.name, Severity.NOTE),
                subject=connection.source,
                title=f"{connection.source} has no {feature.name}.",
                detail=f"With it {feature.buys}.",
                remedy=feature.remedy,
                paste=_FEATURE_PASTE.get(feature.name, ""),
                paste_language="shell" if _FEATURE_PASTE.get(feature.name) else "",
                docs=anchor(check),
            )
