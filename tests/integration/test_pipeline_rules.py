"""The rules that watch the Collector: each fires on its failure, alone, and all are quiet while it works."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from support import promtool
from support.parts import require
from support.promtool import Scenario

from app.paths import folder

PROMETHEUS = folder("deploy/prometheus")
RULES = PROMETHEUS / "pipeline.rules.yml"
RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks.md"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule]

COLLECTOR = 'job="otel-collector",instance="otel:8888"'
METRICS = 'job="otel-security-metrics",instance="otel:8889"'
FAILURES = f'otel_security_calls_total{{{METRICS},service_name="identity",span_name="auth.login",auth_result="failure"}}'
SUCCESSES = f'otel_security_calls_total{{{METRICS},service_name="identity",span_name="auth.login",auth_result="success"}}'
KEPT = "otelcol_processor_tail_sampling_count_traces_sampled"
NEW = f"otelcol_processor_tail_sampling_new_trace_id_received{{{COLLECTOR}}}"
LATE = f"otelcol_processor_tail_sampling_sampling_late_span_age_count{{{COLLECTOR}}}"


def own(name: str, **labels: str) -> str:
    """One of the Collector's own series."""
    named = "".join(f',{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{COLLECTOR}{named}}}"


HEALTHY = {
    f"up{{{COLLECTOR}}}": "1x120",
    f"up{{{METRICS}}}": "1x120",
    f"scrape_series_added{{{METRICS}}}": "3x120",
    f"scrape_samples_scraped{{{METRICS}}}": "900x120",
    f"scrape_duration_seconds{{{METRICS}}}": "0.05x120",
    own("otelcol_receiver_accepted_spans", receiver="otlp"): "0+3000x120",
    own("otelcol_receiver_refused_spans", receiver="otlp"): "0x120",
    own("otelcol_exporter_send_failed_spans", exporter="otlp_grpc/tempo"): "0x120",
    own("otelcol_exporter_enqueue_failed_spans", exporter="otlp_grpc/tempo"): "0x120",
    own("otelcol_exporter_queue_size", exporter="otlp_grpc/tempo"): "200x120",
    own("otelcol_exporter_queue_capacity", exporter="otlp_grpc/tempo"): "20000x120",
    own("otelcol_process_memory_rss"): "400000000x120",
    own("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early"): "0x120",
    own("otelcol_processor_tail_sampling_sampling_policy_evaluation_error", policy="http-refused"): "0x120",
    NEW: "0+600x120",
    LATE: "0+3x120",
    own(KEPT, policy="auth-failure", sampled="true"): "0+30x120",
    SUCCESSES: "0+300x120",
    FAILURES: "0+30x120",
}


def but(**changes: str) -> dict[str, str]:
    """The healthy Collector with the series whose name begins so changed."""
    changed = dict(HEALTHY)
    for begin, values in changes.items():
        (name,) = [series for series in HEALTHY if series.startswith(begin) and "8889" not in series]
        changed[name] = values
    return changed


def without(*names: str) -> dict[str, str]:
    return {series: values for series, values in HEALTHY.items() if series not in names}


SCENARIOS = [
    Scenario("a Collector that works", HEALTHY, {"5m": [], "20m": [], "55m": []}),
    Scenario("a Collector that is down", but(up="1x30 0x90"), {"14m": [], "17m": ["CollectorDown"]}),
    Scenario("no Collector known", without(f"up{{{COLLECTOR}}}"), {"1m": [], "4m": ["CollectorAbsent"]}),
    Scenario(
        "spans arrive and nothing is counted",
        without(FAILURES, SUCCESSES),
        {"4m": [], "9m": ["AuthMetricsSilent"]},
    ),
    Scenario(
        "the receiver refuses", but(otelcol_receiver_refused="0x30 0+60x90"), {"14m": [], "20m": ["CollectorRefusingSpans"]}
    ),
    Scenario("the backend refuses", but(otelcol_exporter_send="0x30 0+60x90"), {"14m": [], "20m": ["CollectorExportFailing"]}),
    Scenario("the queue is full", but(otelcol_exporter_enqueue="0x30 0+60x90"), {"14m": [], "18m": ["CollectorLosingSpans"]}),
    Scenario(
        "the queue fills", but(otelcol_exporter_queue_size="200x30 17000x90"), {"14m": [], "22m": ["CollectorQueueFilling"]}
    ),
    Scenario(
        "memory runs short",
        but(otelcol_process_memory="400000000x30 1900000000x90"),
        {"14m": [], "22m": ["CollectorMemoryHigh"]},
    ),
    Scenario(
        "labels that grow without end",
        {**HEALTHY, f"scrape_series_added{{{METRICS}}}": "3x30 200x90"},
        {"14m": [], "35m": ["AuthSeriesGrowth"]},
    ),
    Scenario(
        "a scrape close to its limit of samples",
        {**HEALTHY, f"scrape_samples_scraped{{{METRICS}}}": "900x30 45000x90"},
        {"14m": [], "22m": ["AuthScrapeNearLimit"]},
    ),
    Scenario(
        "a scrape that takes too long",
        {**HEALTHY, f"scrape_duration_seconds{{{METRICS}}}": "0.05x30 7x90"},
        {"14m": [], "22m": ["AuthScrapeNearLimit"]},
    ),
    Scenario(
        "traces dropped unseen",
        but(otelcol_processor_tail_sampling_sampling_trace="0x30 0+6x90"),
        {"14m": [], "18m": ["TailSamplingEvictsEarly"]},
    ),
    Scenario(
        "a policy that fails",
        but(otelcol_processor_tail_sampling_sampling_policy="0x30 0+6x90"),
        {"14m": [], "18m": ["TailSamplingPolicyErrors"]},
    ),
    Scenario("spans that come late", {**HEALTHY, LATE: "0x30 0+60x90"}, {"14m": [], "30m": ["TailSamplingLateSpans"]}),
    Scenario(
        "refusals are counted and none is kept",
        but(otelcol_processor_tail_sampling_count="0+30x30 900x90"),
        {"14m": [], "35m": ["TailSamplingLosesFailures"]},
    ),
    Scenario(
        "two samplers and nobody to share out the traces",
        {**HEALTHY, NEW.replace("otel:", "otel-2:"): "0+600x120"},
        {"3m": [], "10m": ["TailSamplingSplit"]},
    ),
    Scenario(
        "two samplers behind one that does",
        {
            **HEALTHY,
            NEW.replace("otel:", "otel-2:"): "0+600x120",
            'otelcol_loadbalancer_num_backends{job="otel-agent",instance="agent:8888"}': "2x120",
        },
        {"10m": [], "40m": []},
    ),
]
# An hour of checks every five minutes, then the same hour a day later without any.
YESTERDAY = {f"up{{{COLLECTOR}}}": "1x400", f"up{{{METRICS}}}": "1x400", SUCCESSES: "0+30x288 _x112"}
WENT_SILENT = Scenario(
    "a service that was heard yesterday", YESTERDAY, {"23h": [], "26h": ["AuthServiceWentSilent"]}, interval="5m"
)


@pytest.mark.parametrize("scenario", [*SCENARIOS, WENT_SILENT], ids=lambda scenario: scenario.name)
def test_exactly_the_right_alerts_fire(scenario, tmp_path):
    assert promtool.run(RULES, [scenario], tmp_path) == ""


def test_every_alert_has_its_scenario():
    fired = {alert for scenario in [*SCENARIOS, WENT_SILENT] for alerts in scenario.firing.values() for alert in alerts}
    assert fired == {rule["alert"] for rule in ALERTS}


def test_promtool_accepts_the_rules():
    done = subprocess.run([require("promtool", "prometheus"), "check", "rules", str(RULES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule):
    told = rule["annotations"]
    assert rule["labels"] in ({"severity": s, "detection_type": "blind"} for s in ("warning", "critical"))
    assert told["summary"]
    assert told["description"].endswith(".")
    assert f"\n## {told['runbook_url'].removeprefix('/runbooks#')}\n" in RUNBOOKS.read_text()
    assert re.fullmatch(rf"/alerts\?q={rule['alert']}(\+\{{\{{ \$labels\.\w+ \| urlquery }}}})?", told["clew_url"])
