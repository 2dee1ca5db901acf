#!/usr/bin/env python3
"""Write dashboards/*.json from dashboards.yaml, in Grafana's classic JSON model: `dashboards.py [FOLDER]`.

What a panel asks, draws and links to stands there once. The variable `clew` of each dashboard holds the address of your Clew;
`prometheus` and `tempo` choose the data sources.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
TEMPO = {"type": "tempo", "uid": "${tempo}"}
WINDOW = "start=${__from:date:iso}&end=${__to:date:iso}"
# Into Clew, by the labels of the point that was clicked.
LINKS = {
    "subnet": ("Alerts of this subnet in Clew", "${clew}/alerts?q=${__field.labels.auth_client_subnet}"),
    "service": (
        "Refused requests of this service in Clew",
        f"${{clew}}/search?service=${{__field.labels.service_name}}&ended=refused&{WINDOW}",
    ),
    "reason": (
        "Requests with this reason in Clew",
        f"${{clew}}/search?reason=${{__field.labels.auth_failure_reason}}&{WINDOW}",
    ),
}
# Choices at the top of a dashboard: label and what fills it.
VARIABLES = {
    "service": ("Service", "label_values(otel_security_calls_total, service_name)"),
    "subnet": ("Subnet", "label_values(otel_security_calls_total, auth_client_subnet)"),
}


@dataclass(frozen=True)
class Panel:
    """A panel. `asks` are PromQL queries with their legends; `traceql` makes it a table of traces instead."""

    title: str
    asks: Sequence[dict[str, str]] = ()
    traceql: str = ""
    kind: str = "timeseries"
    unit: str = "short"
    wide: int = 12
    tall: int = 8
    links: Sequence[str] = ()
    says: str = ""
    exemplars: bool = False
    most: float | None = None
    bad_above: float | None = None
    bad_below: float | None = None

    def drawn(self, number: int, x: int, y: int) -> dict[str, Any]:
        source = TEMPO if self.traceql else PROMETHEUS
        return {
            "id": number,
            "title": self.title,
            "description": self.says,
            "type": "table" if self.traceql else self.kind,
            "datasource": source,
            "gridPos": {"x": x, "y": y, "w": self.wide, "h": self.tall},
            "targets": list(self._targets()),
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
        }

    def _targets(self) -> Iterator[dict[str, Any]]:
        if self.traceql:
            yield {
                "refId": "A",
                "datasource": TEMPO,
                "queryType": "traceql",
                "query": self.traceql,
                "limit": 50,
                "tableType": "traces",
            }
        table = self.kind in ("table", "stat", "bargauge")
        for letter, ask in zip("ABCDEFGH", self.asks, strict=False):
            yield {
                "refId": letter,
                "datasource": PROMETHEUS,
                "expr": ask["promql"],
                "legendFormat": ask["legend"],
                "exemplar": self.exemplars,
                "instant": table,
                "range": not table,
                "format": "table" if self.kind == "table" else "time_series",
            }

    def _defaults(self) -> dict[str, Any]:
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if self.bad_above is not None:
            steps.append({"color": "red", "value": self.bad_above})
        if self.bad_below is not None:
            steps = [{"color": "red", "value": None}, {"color": "green", "value": self.bad_below}]
        made: dict[str, Any] = {
            "unit": self.unit,
            "min": 0,
            "links": [{"title": LINKS[name][0], "url": LINKS[name][1], "targetBlank": True} for name in self.links],
            "thresholds": {"mode": "absolute", "steps": steps},
        }
        if self.most is not None:
            made["max"] = self.most
        if self.kind == "timeseries":
            limited = self.bad_above is not None or self.bad_below is not None
            made["custom"] = {
                "lineWidth": 1,
                "fillOpacity": 8,
                "showPoints": "never",
                "spanNulls": False,
                "thresholdsStyle": {"mode": "line" if limited else "off"},
            }
        return made

    def _options(self) -> dict[str, Any]:
        if self.traceql or self.kind == "table":
            return {"showHeader": True}
        if self.kind == "timeseries":
            return {
                "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "orientation": "horizontal"}


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    says: str
    panels: Sequence[Panel]
    variables: Sequence[str]

    def drawn(self) -> dict[str, Any]:
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.says,
            "tags": ["authentication", "clew"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "timezone": "utc",
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "templating": {"list": list(self._variables())},
            "links": [
                {
                    "type": "link",
                    "title": "Clew: alerts",
                    "url": "${clew}/alerts",
                    "targetBlank": True,
                    "icon": "external link",
                },
                {"type": "dashboards", "title": "Authentication", "tags": ["clew"], "asDropdown": True, "keepTime": True},
            ],
            "annotations": {
                "list": [
                    {
                        "name": "Alerts",
                        "datasource": PROMETHEUS,
                        "enable": True,
                        "iconColor": "red",
                        "titleFormat": "{{alertname}}",
                        "expr": 'max by (alertname) (ALERTS{alertstate="firing", detection_type!=""})',
                        "step": "30s",
                    }
                ]
            },
            "panels": list(self._placed()),
        }

    def _variables(self) -> Iterator[dict[str, Any]]:
        yield {"name": "clew", "label": "Clew", "type": "textbox", "query": "http://localhost:8000"}
        yield {"name": "prometheus", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
        yield {"name": "tempo", "label": "Tempo", "type": "datasource", "query": "tempo"}
        for name in self.variables:
            label, query = VARIABLES[name]
            yield {
                "name": name,
                "label": label,
                "type": "query",
                "datasource": PROMETHEUS,
                "refresh": 2,
                "sort": 1,
                "query": {"query": query, "refId": name},
                "definition": query,
                "includeAll": True,
                "multi": True,
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
            }

    def _placed(self) -> Iterator[dict[str, Any]]:
        x = y = row = 0
        for number, panel in enumerate(self.panels, 1):
            if x + panel.wide > 24:
                x, y, row = 0, y + row, 0
            yield panel.drawn(number, x, y)
            x, row = x + panel.wide, max(row, panel.tall)


def read() -> list[Dashboard]:
    """The dashboards of dashboards.yaml. Errors: TypeError for a key that no panel has."""
    document = yaml.safe_load((HERE / "dashboards.yaml").read_text(encoding="utf-8"))
    return [Dashboard(**{**one, "panels": [Panel(**panel) for panel in one["panels"]]}) for one in document]


def write(folder: Path) -> None:
    """The dashboards as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in read():
        text = json.dumps(dashboard.drawn(), indent=2, ensure_ascii=False) + "\n"
        (folder / f"{dashboard.uid}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dashboards")
