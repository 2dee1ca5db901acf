"""Links that leave Clew: to Grafana, to Prometheus, and where telemetry asks to be led."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from app.settings import GrafanaSettings
from app.times import MILLISECOND, MINUTE, iso

_LONGEST = 2_000


def outside(url: str) -> str:
    """A link that telemetry or a rule asks for, if it may be one: http or https with a host; "" otherwise."""
    url = url.strip()
    if len(url) > _LONGEST or any(char <= " " or char == "\\" for char in url):
        return ""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return ""
    # Credentials in a link are there to mislead about the host.
    return url if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc else ""


def runbook(url: str) -> str:
    """A runbook's address: outside, or Clew's own page of them."""
    url = url.strip()
    if url == "/runbooks" or url.startswith("/runbooks#"):
        return quote(url, safe="/#-_.")
    return outside(url)


def grafana_metric(grafana: GrafanaSettings, query: str, start_ns: int, end_ns: int) -> str:
    """A PromQL expression in Grafana's Explore; "" where no Grafana is configured."""
    source = {"type": "prometheus", "uid": grafana.prometheus_uid}
    asked = {"refId": "A", "datasource": source, "expr": query, "range": True}
    return _explore(grafana, grafana.prometheus_uid, asked, start_ns, end_ns)


def grafana_traces(grafana: GrafanaSettings, query: str, start_ns: int, end_ns: int) -> str:
    """A TraceQL query, of traces or of metrics, in Grafana's Explore; "" where no Grafana is configured."""
    source = {"type": "tempo", "uid": grafana.tempo_uid}
    asked = {"refId": "A", "datasource": source, "queryType": "traceql", "query": query}
    return _explore(grafana, grafana.tempo_uid, asked, start_ns, end_ns)


def _explore(grafana: GrafanaSettings, uid: str, asked: Mapping[str, object], start_ns: int, end_ns: int) -> str:
    if not grafana.url:
        return ""
    span = {"from": str(start_ns // MILLISECOND), "to": str(end_ns // MILLISECOND)}
    panes = json.dumps({"clew": {"datasource": uid, "queries": [asked], "range": span}}, separators=(",", ":"))
    query_string = urlencode({"schemaVersion": 1, "panes": panes, "orgId": grafana.org_id}, quote_via=quote)
    return f"{grafana.url}/explore?{query_string}"


def prometheus_graph(url: str, query: str, start_ns: int, end_ns: int) -> str:
    """A PromQL expression on Prometheus' own graph page; "" where none is set up."""
    if not url:
        return ""
    minutes = max(1, -(-(end_ns - start_ns) // MINUTE))
    end = iso(end_ns, digits=0)[:19].replace("T", " ")
    asked = {"g0.expr": query, "g0.tab": "0", "g0.range_input": f"{minutes}m", "g0.end_input": end, "g0.moment_input": end}
    return f"{url}/graph?{urlencode(asked, quote_via=quote)}"
