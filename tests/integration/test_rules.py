"""The alert rules: checked by promtool, tried on made-up series, on real telemetry of every attack, and on a quiet day."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import pytest
import yaml
from support import ordinary_model, promtool
from support.lab_shop import PEOPLE, SEED, open_shop
from support.parts import require
from support.promtool import Scenario, calls, up
from support.real_parts import free_port

from app.embedded.metrics import SpanMetrics, client_subnet
from app.lab import incident, metric_history, prometheus, traffic, truth
from app.lab.attacks import ATTACKS
from app.lab.processes import Family
from app.paths import folder
from app.times import MINUTE, SECOND
from app.traces.otlp import decode

RULES = folder("deploy/prometheus") / prometheus.RULES
RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks.md"


def alert_rules():
    document = yaml.safe_load(RULES.read_text())
    return [rule for group in document["groups"] for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize("name", ["auth.rules.yml", "prometheus.yml"])
def test_promtool_accepts_the_files(name):
    what = "rules" if name == prometheus.RULES else "config"
    done = subprocess.run(
        [require("promtool", "prometheus"), "check", what, str(RULES.parent / name)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule):
    assert {"summary", "description", "runbook_url"} <= set(rule["annotations"])
    assert rule["annotations"]["clew_url"].startswith(f"/alerts?q={rule['alert']}")
    assert rule["labels"]["severity"] in ("warning", "critical")
    anchor = rule["annotations"]["runbook_url"].partition("#")[2]
    assert f"\n## {anchor}\n" in RUNBOOKS.read_text()
    if rule["labels"]["detection_type"] != "blind":
        assert rule["annotations"]["trace_query"].startswith("{ ")


def test_every_attack_names_alerts_that_exist():
    assert {alert for attack in ATTACKS.values() for alert in attack.alerts} <= {rule["alert"] for rule in alert_rules()}


OFFICE, ELSEWHERE, HOME = "203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"
# Two log-ins a second that work and one in thirty that does not.
QUIET = {
    **up("1x240"),
    calls("identity", "auth.login", "success", HOME): "0+60x240",
    calls("identity", "auth.login", "failure", HOME, "invalid_credentials"): "0+2x240",
}


def spray(subnet, slices, values):
    return {
        f'otel_security_spray_calls_total{{{promtool.JOB},service_name="identity",auth_client_subnet="{subnet}",'
        f'auth_user_bucket="{slice_:02x}"}}': values
        for slice_ in slices
    }


def latency(values):
    name = f'otel_security_duration_seconds_bucket{{{promtool.JOB},service_name="identity",span_name="auth.login"'
    count = f'otel_security_duration_seconds_count{{{promtool.JOB},service_name="identity",span_name="auth.login"'
    return {**{f'{name},le="{le}"}}': value for le, value in values.items()}, f"{count}}}": values["+Inf"]}


SCENARIOS = [
    Scenario("quiet traffic fires nothing", QUIET, {"10m": [], "1h": [], "2h": []}),
    Scenario(
        "a brute force fires after its minute and ends with the attack",
        {**QUIET, calls("identity", "auth.login", "failure", OFFICE, "account_locked"): "0+0x40 0+30x20 600x100"},
        {"20m": [], "22m30s": [], "25m": ["AuthBruteForce"], "40m": []},
    ),
    Scenario(
        "a burst within one scrape counts although its counter is born with it",
        {**QUIET, calls("identity", "auth.login", "failure", OFFICE, "invalid_credentials"): "_x20 400x59"},
        {"9m": [], "12m": ["AuthBruteForce"], "30m": []},
    ),
    Scenario(
        "totals that come back after an outage of the scrape are no burst",
        {
            **up("1x39 0x23 1x56"),
            calls("identity", "auth.login", "success", HOME): "0+60x39 stale _x22 2400+60x56",
            calls("identity", "auth.login", "failure", OFFICE, "invalid_credentials"): "50000x39 stale _x22 50000x56",
        },
        {"15m": [], "24m": ["AuthMetricsDown"], "33m": [], "36m": [], "50m": []},
    ),
    Scenario(
        "nor after a short outage",
        {
            **up("1x39 0x6 1x80"),
            calls("identity", "auth.login", "success", HOME): "0+60x39 stale _x5 2400+60x80",
            calls("identity", "auth.login", "failure", OFFICE, "invalid_credentials"): "50000x39 stale _x5 50000x80",
        },
        {"19m": [], "24m": [], "26m": [], "30m": [], "50m": []},
    ),
    Scenario(
        "a Prometheus that has just started takes totals for totals",
        {**QUIET, calls("identity", "auth.login", "failure", OFFICE, "invalid_credentials"): "50000x60"},
        {"2m": [], "5m": [], "20m": []},
    ),
    Scenario(
        "and sees what begins two minutes later",
        {
            **QUIET,
            calls("identity", "auth.login", "failure", ELSEWHERE, "unknown_user"): "_x4 40x59",
            **spray(ELSEWHERE, range(40), "_x4 1x59"),
        },
        {"2m": [], "4m": ["AuthCredentialStuffing"]},
    ),
    Scenario(
        "a counter that starts again after a restart is no burst",
        {**QUIET, calls("identity", "auth.login", "failure", OFFICE, "invalid_credentials"): "50000x40 3x79"},
        {"21m": [], "24m": [], "40m": []},
    ),
    Scenario(
        "a busy office with many typing errors among more successes is left in peace",
        {
            **QUIET,
            calls("identity", "auth.login", "success", OFFICE): "0+40x240",
            calls("identity", "auth.login", "failure", OFFICE, "invalid_credentials"): "0+20x240",
            **spray(OFFICE, range(40), "0+1x240"),
        },
        {"20m": [], "2h": []},
    ),
    Scenario(
        "forty names from one subnet, one try each",
        {
            **QUIET,
            calls("identity", "auth.login", "failure", ELSEWHERE, "unknown_user"): "_x20 40x59",
            **spray(ELSEWHERE, range(40), "_x20 1x59"),
        },
        {"9m": [], "13m": ["AuthCredentialStuffing"], "40m": []},
    ),
    Scenario(
        "a few forgetful people in one subnet are no stuffing",
        {
            **QUIET,
            calls("identity", "auth.login", "failure", ELSEWHERE, "invalid_credentials"): "_x20 12x59",
            **spray(ELSEWHERE, range(12), "_x20 1x59"),
        },
        {"13m": [], "20m": []},
    ),
    Scenario(
        "guessing from twenty networks, each too quiet to notice",
        {
            **up("1x120"),
            calls("identity", "auth.login", "success", HOME): "0+10x120",
            **{
                calls("identity", "auth.login", "failure", f"2001:db8:{net}::/48", "invalid_credentials"): "0x40 0+2x80"
                for net in range(20)
            },
        },
        {"20m": [], "26m": ["AuthFailureShareHigh"], "50m": ["AuthFailureShareHigh"]},
    ),
    Scenario(
        "a log-in that fails for one network alone is not distributed",
        {
            **up("1x120"),
            calls("identity", "auth.login", "success", HOME): "0+2x120",
            calls("identity", "auth.login", "failure", OFFICE, "invalid_credentials"): "0x40 0+13x80",
            **spray(OFFICE, range(3), "0x40 0+4x80"),
        },
        {"30m": [], "50m": []},
    ),
    Scenario(
        "someone who is logged in and refused again and again",
        {
            **QUIET,
            calls("edge-gateway", "auth.permission_check", "success", OFFICE): "0+1x120",
            calls("edge-gateway", "auth.permission_check", "failure", OFFICE, "insufficient_scope"): "0x40 0+2x20 40x60",
            calls("orders", "auth.authorize", "failure", OFFICE, "policy_denied"): "0x40 0+1x20 20x60",
        },
        {"20m": [], "27m": ["AuthorizationProbing"], "45m": []},
    ),
    Scenario(
        "refusals without any success are no probing: nobody is logged in",
        {**QUIET, calls("edge-gateway", "auth.permission_check", "failure", OFFICE, "insufficient_scope"): "0x40 0+20x80"},
        {"30m": [], "50m": []},
    ),
    Scenario(
        "expired tokens again and again",
        {
            **QUIET,
            calls("edge-gateway", "auth.permission_check", "success", OFFICE): "0+1x120",
            calls("edge-gateway", "auth.token_validate", "failure", OFFICE, "token_expired"): "0x40 0+5x20 100x60",
        },
        {"20m": [], "26m": ["AuthTokenReplay"], "45m": []},
    ),
    Scenario(
        "checks that cannot decide",
        {**QUIET, calls("orders", "auth.authorize", "error", OFFICE, "upstream_error"): "0x40 0+2x20 40x60"},
        {"20m": [], "25m": ["AuthChecksBroken"], "45m": []},
    ),
    Scenario("a scrape that fails", {**QUIET, **up("1x20 0x220")}, {"9m": [], "12m30s": ["AuthMetricsDown"]}),
    Scenario(
        "no target left", {calls("identity", "auth.login", "success", HOME): "0+1x60"}, {"1m": [], "5m": ["AuthMetricsAbsent"]}
    ),
    Scenario(
        "span metrics at their limit",
        {**QUIET, f'otel_security_calls_total{{{promtool.JOB},otel_metric_overflow="true"}}': "0x40 0+5x80"},
        {"20m": [], "25m": ["AuthMetricOverflow"]},
    ),
]

# More than a day of checks below 100 ms, then an hour and a half of checks that take up to two seconds.
SLOWING = {"0.1": "0+300x1500 450000x90", "2.0": "0+300x1590", "+Inf": "0+300x1590"}
SLOWING_SOON = {"0.1": "0+300x200 60000x100", "2.0": "0+300x300", "+Inf": "0+300x300"}
SCENARIOS += [
    Scenario(
        "checks far slower than the baseline of a day",
        {**up("1x1590"), **latency(SLOWING)},
        {"24h": [], "25h": [], "25h12m": ["AuthLatencyAnomaly"]},
        interval="1m",
    ),
    Scenario(
        "as slow after three hours: without a day of baseline there is no verdict",
        {**up("1x300"), **latency(SLOWING_SOON)},
        {"3h30m": [], "4h10m": []},
        interval="1m",
    ),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_exactly_the_right_alerts_fire(scenario, tmp_path):
    assert promtool.run(RULES, [scenario], tmp_path) == ""


def test_a_wrong_expectation_fails(tmp_path):
    """The harness itself: promtool's complaint reaches the assertion."""
    said = promtool.run(RULES, [Scenario("quiet", QUIET, {"10m": ["AuthBruteForce"]})], tmp_path)
    assert "FAILED" in said


# Real telemetry: every attack of the lab, fifteen minutes apart, on a background of ordinary visits.
APART_MIN = 15
STORY = tuple((10 + APART_MIN * number, name) for number, name in enumerate(ATTACKS))
STEP_S = 5
VISITS_PER_MINUTE = 1.0
# The rules look back five minutes, stuffing ten: an alert has to be over well before the next attack.
LASTS_AT_MOST_S = 13 * 60


class Past(msgspec.Struct, frozen=True):
    """A recording, its ground truth, and the stretches in which each alert fired: (alert, first, last) in seconds."""

    recording: incident.Recording
    runs: dict[str, truth.Run]
    fired: list[tuple[str, float, float]]
    exemplars: int


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    base = tmp_path_factory.mktemp("past")
    log = truth.Log(base / "truth.jsonl")
    program = prometheus.find(base / "cache")
    if program is None:
        require("prometheus", "prometheus")
    with open_shop(base) as shop:
        recording = incident.window(time.time_ns(), APART_MIN * (len(STORY) + 1))

        async def perform():
            async for _part in incident.record(
                recording,
                shop.shop,
                PEOPLE,
                shop.recorder,
                seed=SEED,
                log=log,
                story=STORY,
                visits_per_minute=VISITS_PER_MINUTE,
            ):
                pass

        asyncio.run(perform())
    spans = [span for request in recording.requests for span in decode(request.SerializeToString()).spans]
    window = {"start_ns": recording.start_ns, "end_ns": recording.end_ns}
    family, port = Family(base / "logs"), free_port()
    api = prometheus.Api(f"http://127.0.0.1:{port}")
    try:
        prometheus.start(family, program, base / "prometheus", port=port, metrics="127.0.0.1:1")
        assert await_ready(api)
        series = metric_history.scrapes(spans, SpanMetrics(), instance="127.0.0.1:3200", **window)
        metric_history.write(api, series, metric_history.rules(RULES), step_s=STEP_S, **window)
        start_s, end_s = recording.start_ns / SECOND, recording.end_ns / SECOND
        fired = []
        for labels, points in api.range('ALERTS{alertstate="firing"}', start_s, end_s, STEP_S):
            for stretch in metric_history.runs([at for at, _ in points], STEP_S):
                fired.append((labels["alertname"], stretch[0], stretch[-1]))
    finally:
        api.close()
        family.stop()
    runs, _ordinary = truth.read(base / "truth.jsonl")
    return Past(recording, {run.begin.attack: run for run in runs}, fired, sum(len(one.exemplars) for one in series))


def await_ready(api):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if api.ready():
            return True
        time.sleep(0.1)
    return False


def during(past, name):
    """The alerts that began to fire between an attack's begin and the end of what the rules can see of it."""
    run = past.runs[name]
    begin, end = run.begin.start_ns / SECOND, run.end.end_ns / SECOND
    return [(alert, first - begin) for alert, first, _last in past.fired if begin <= first <= end + LASTS_AT_MOST_S]


@pytest.mark.slow
def test_the_recording_is_whole_and_stands_where_it_was_scheduled(past):
    assert past.recording.unexpected == 0
    assert past.recording.dropped_spans == 0
    spans = [
        span for request in past.recording.requests for resource in request.resource_spans
        for scope in resource.scope_spans for span in scope.spans
    ]  # fmt: skip
    # A script's own pace runs over the last scheduled minute by a little.
    assert all(past.recording.start_ns <= span.start_time_unix_nano for span in spans)
    assert all(span.end_time_unix_nano < past.recording.end_ns + MINUTE for span in spans)
    for minute, name in STORY:
        run = past.runs[name]
        at = [line.at_ns for line in run.requests]
        assert at == sorted(at)
        assert run.begin.start_ns == past.recording.start_ns + round(minute * MINUTE)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.alerts])
def test_an_attack_fires_its_alert_within_three_minutes(past, name):
    found = dict(reversed(during(past, name)))
    expected = ATTACKS[name].alerts
    assert set(expected) <= set(found), f"{name} did not fire {expected}"
    for alert in expected:
        assert found[alert] <= 180


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_fires_nothing_but_its_alert(past, name):
    assert {alert for alert, _ in during(past, name)} == set(ATTACKS[name].alerts)


@pytest.mark.slow
def test_between_the_attacks_nothing_fires(past):
    windows = [
        (run.begin.start_ns / SECOND, run.end.end_ns / SECOND + LASTS_AT_MOST_S) for run in past.runs.values()
    ]  # fmt: skip
    outside = [
        (alert, first) for alert, first, last in past.fired if not any(begin <= first <= last <= end for begin, end in windows)
    ]
    assert outside == []
    assert past.exemplars > 100, "an alert of the past leads to its traces as a live one does"


@pytest.mark.slow
def test_the_model_of_ordinary_visits_counts_what_real_visits_leave(past):
    """So that the day of the model below stands for a day of the shop."""
    ordinary = {
        trace_id for journal in past.recording.journals if journal.attack == truth.ORDINARY for trace_id in journal.shift_ns
    }
    real: Counter = Counter()
    for request in past.recording.requests:
        for span in decode(request.SerializeToString()).spans:
            if span.trace_id in ordinary and span.name.startswith("auth."):
                about = span.attributes
                event = (
                    span.service, span.name, about["auth.result"], about.get("auth.method", "unset"),
                    about.get("auth.failure_reason", "none"),
                )  # fmt: skip
                real[event, client_subnet(span)] += 1
    minutes = APART_MIN * (len(STORY) + 1)
    visits = list(traffic.plan(PEOPLE, SEED, minutes * 60 - 60, VISITS_PER_MINUTE))
    model = ordinary_model.counts(visits)
    denied = [key for key in model if key[0][4] == "policy_denied"]
    for key in denied:  # the model takes every refund for a denied one; the shop grants those of the agent's own region
        granted = (("orders", "auth.authorize", "success", "unset", "none"), key[1])
        refunds = model.pop(key)
        assert real[key] + (real[granted] - model[granted]) == refunds
        real[granted], real[key] = model[granted], 0
    assert +real == +model


SAMPLE_MIN = 2


def test_a_quiet_day_fires_nothing(tmp_path):
    """24 hours of ordinary visits at the demo's rate: not one alert, not even a pending one."""
    samples = 24 * 60 // SAMPLE_MIN
    counted: defaultdict = defaultdict(Counter)
    slices: defaultdict = defaultdict(Counter)
    for visit in traffic.plan(PEOPLE, 99, 24 * 3600, 8.0):
        network = ordinary_model.subnet(visit.address)
        for at, event in ordinary_model.events(visit):
            sample = int(at // (60 * SAMPLE_MIN)) + 1
            counted[event, network][sample] += 1
            if event[1:3] == ("auth.login", "failure"):
                slices[network, int(visit.person.id[-2:], 16)][sample] += 1
    series = dict(up(f"1x{samples}"))
    for (event, network), counts in counted.items():
        service, span, result, _method, reason = event
        series[calls(service, span, result, network, reason)] = cumulative(counts, samples)
    for (network, slice_), counts in slices.items():
        series |= spray(network, [slice_], cumulative(counts, samples))
    quiet = Scenario("a day", series, {"24h": []}, interval=f"{SAMPLE_MIN}m")
    assert promtool.run(RULES, [quiet], tmp_path, "count by (alertname) (count_over_time(ALERTS[1d]))") == ""


def cumulative(counts, last):
    total, values = 0, []
    for sample in range(last + 1):
        total += counts[sample]
        values.append(str(total))
    return " ".join(values)
