"""Alerts, groups and silences as Alertmanager's API v2 lists them. Read only.

Only what fires now is listed: what has resolved is gone, and history comes from the webhook or from Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from app.errors import InvalidInput, SourceError, SourceRefused
from app.settings import AlertmanagerSettings
from app.sources.answer import Answer, Clean
from app.sources.client import SourceClient
from app.sources.fingerprint import fingerprint
from app.sources.values import AlertGroup, AlertState, BuildInfo, FiringAlert, Silence
from app.times import parse_iso

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

T = TypeVar("T")
R = TypeVar("R")


class _Named(msgspec.Struct):
    name: str = ""


class _Status(msgspec.Struct, rename="camel"):
    state: str = ""
    silenced_by: list[str] | None = None


class _Alert(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    starts_at: str
    annotations: dict[str, str] | None = None
    fingerprint: str = ""
    generator_url: str = msgspec.field(default="", name="generatorURL")
    receivers: list[_Named] | None = None
    status: _Status | None = None

    def as_alert(self) -> FiringAlert:
        """`endsAt` of a live alert is when it would expire without news, not an end: left out."""
        status = self.status or _Status()
        return FiringAlert(
            source="alertmanager",
            labels=self.labels,
            annotations=self.annotations or {},
            state=AlertState.SUPPRESSED if status.state == "suppressed" else AlertState.FIRING,
            started_ns=parse_iso(self.starts_at),
            fingerprint=self.fingerprint or fingerprint(self.labels),
            generator_url=self.generator_url,
            receivers=tuple(receiver.name for receiver in self.receivers or ()),
            silenced_by=tuple(status.silenced_by or ()),
        )


class _Group(msgspec.Struct):
    labels: dict[str, str]
    receiver: _Named | None = None
    alerts: list[_Alert] | None = None


class _Matcher(msgspec.Struct, rename="camel"):
    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def __str__(self) -> str:
        operator = ("=~" if self.is_equal else "!~") if self.is_regex else ("=" if self.is_equal else "!=")
        return f"{_name(self.name)}{operator}{_quote(self.value)}"


class _Silence(msgspec.Struct, rename="camel"):
    id: str
    starts_at: str
    ends_at: str
    matchers: list[_Matcher] | None = None
    created_by: str = ""
    comment: str = ""
    status: _Status | None = None

    def as_silence(self) -> Silence:
        return Silence(
            id=self.id,
            matchers=tuple(str(matcher) for matcher in self.matchers or ()),
            starts_ns=parse_iso(self.starts_at),
            ends_ns=parse_iso(self.ends_at),
            created_by=self.created_by,
            comment=self.comment,
            state=self.status.state if self.status else "",
        )


class _Version(msgspec.Struct):
    version: str = ""
    revision: str = ""


class _Config(msgspec.Struct):
    original: str = ""


class _ServerStatus(msgspec.Struct, rename="camel"):
    version_info: _Version | None = None
    config: _Config | None = None


class AlertmanagerClient(SourceClient[AlertmanagerSettings]):
    """Questions to one Alertmanager. All times in Unix nanoseconds."""

    NAME = "Alertmanager"

    def refusal(self, answer: Answer, operation: str, clean: Clean) -> SourceError | None:
        return _refusal(answer, operation, clean)

    async def alerts(self, labels: Mapping[str, str] | None = None) -> tuple[FiringAlert, ...]:
        """Alerts firing now, silenced and inhibited ones among them; only those with these labels."""
        return await self._list("alerts", _filters(labels), _Alert, _Alert.as_alert)

    async def groups(self, labels: Mapping[str, str] | None = None) -> tuple[AlertGroup, ...]:
        """The same alerts in the groups in which they are notified."""
        return await self._list("alerts/groups", _filters(labels), _Group, _as_group)

    async def silences(self) -> tuple[Silence, ...]:
        """Silences, expired ones among them for as long as Alertmanager keeps them."""
        return await self._list("silences", [], _Silence, _Silence.as_silence)

    async def build_info(self) -> BuildInfo:
        status = await self.http.read_json("/api/v2/status", (), _ServerStatus, operation="status")
        version = status.version_info or _Version()
        return BuildInfo("Alertmanager", version.version, version.revision)

    async def configuration(self) -> str:
        """Its configuration as loaded; Alertmanager itself leaves the secrets out."""
        status = await self.http.read_json("/api/v2/status", (), _ServerStatus, operation="status")
        return status.config.original if status.config else ""

    async def ready(self) -> bool:
        answer = await self.http.probe("/-/ready", operation="readiness")
        if answer.status == 404:  # Mimir's readiness stands outside the prefix
            answer = await self.http.probe("/api/v2/status", operation="readiness")
        return answer.status == 200

    async def _list(
        self, route: str, params: Iterable[tuple[str, str]], shape: type[T], convert: Callable[[T], R]
    ) -> tuple[R, ...]:
        # The shape is a list of what is given here, which no annotation can say.
        rows: list[T] = await self.http.read_json(f"/api/v2/{route}", params, list[shape], operation=route)  # type: ignore[valid-type]
        try:
            return tuple(convert(row) for row in rows)
        except InvalidInput as error:
            sentence = "Alertmanager answered with values that its API does not promise."
            raise self.http.unreadable(route, sentence, str(error)) from None


def _as_group(group: _Group) -> AlertGroup:
    receiver = group.receiver.name if group.receiver else ""
    return AlertGroup(group.labels, receiver, tuple(alert.as_alert() for alert in group.alerts or ()))


def _filters(labels: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """One matcher per parameter; Alertmanager reads no list of them."""
    return [("filter", f"{_name(name)}={_quote(value)}") for name, value in sorted((labels or {}).items())]


def _name(label: str) -> str:
    """A matcher's name; since 0.27 it may be any text, in quotes."""
    return label if _LABEL.fullmatch(label) else _quote(label)


def _quote(value: str) -> str:
    """A matcher's value. Unlike PromQL, Alertmanager before 0.27 knows these three escapes only."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class _Error(msgspec.Struct):
    message: str = ""


def _refusal(answer: Answer, operation: str, clean: Clean) -> SourceError | None:
    """Alertmanager's errors are a JSON string, or an object with a message where validation failed.

    401, 403, 404 and 429 are words of a gateway in front of it.
    """
    if answer.status not in (400, 422) or "json" not in answer.media_type:
        return None
    try:
        told = msgspec.json.decode(answer.body, type=str | _Error)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    detail = clean(told if isinstance(told, str) else told.message)
    sentence = f"Alertmanager does not accept the request for {operation}: {detail[:200].rstrip('.')}."
    return SourceRefused("Alertmanager", operation, sentence, detail=detail)
