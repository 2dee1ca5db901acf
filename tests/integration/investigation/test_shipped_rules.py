"""The rules that ship with Clew, as Clew itself reads them, held against Prometheus' own parser."""

import subprocess

import yaml
from support.parts import require

from app import paths
from app.investigation import alerts, labels, pivots, promql
from app.investigation.alerts import Source, Told
from app.investigation.pivots import Way
from app.sources.values import AlertState, FiringAlert, Rule
from app.times import SECOND
from app.traceql import parse

NOW = 1_800_000_000 * SECOND
WHO = {"service_name": "identity", "auth_client_subnet": "198.51.100.0/24", "span_name": "auth.login"}


def shipped():
    document = yaml.safe_load((paths.folder("deploy/prometheus") / "auth.rules.yml").read_text())
    return [
        Rule(
            kind="alerting" if "alert" in rule else "recording",
            name=rule.get("alert") or rule["record"],
            query=rule["expr"],
            group=group["name"],
            file="auth.rules.yml",
            interval_s=30,
            for_s=60,
            labels=rule.get("labels") or {},
            annotations=rule.get("annotations") or {},
        )
        for group in document["groups"]
        for rule in group["rules"]
    ]


RULES = shipped()
ALERTING = [rule for rule in RULES if rule.kind == "alerting"]


def test_every_expression_is_read():
    assert len(ALERTING) >= 5
    for rule in RULES:
        assert promql.read(rule.query).problem == "", rule.name


def test_what_clew_makes_of_them_is_promql_that_prometheus_reads(tmp_path):
    made = {}
    for rule in ALERTING:
        subject = promql.read(rule.query).subject
        made[f"{rule.name}:subject"] = subject
        narrowed = promql.narrow(subject, WHO | {"user": 'a"b\\c\nd'})
        if narrowed:
            made[f"{rule.name}:narrowed"] = narrowed
            made[f"{rule.name}:peak"] = f"max_over_time(({narrowed})[60000ms:15000ms])"
    assert any(name.endswith(":narrowed") for name in made)
    recorded = [{"record": name.replace("-", "_"), "expr": expression} for name, expression in made.items()]
    file = tmp_path / "made.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "made", "rules": recorded}]}))
    done = subprocess.run([require("promtool", "prometheus"), "check", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_alert_about_requests_leads_to_searches_that_traceql_reads():
    for rule in ALERTING:
        who = {name: value for name, value in WHO.items() if name in rule.query or name == "service_name"}
        named = {"alertname": rule.name, **rule.labels, **who}
        live = FiringAlert("prometheus", named, {}, AlertState.FIRING, NOW - 600 * SECOND, value=3.0)
        alert = alerts.merge(Told(live=[live], rules=RULES, answered=frozenset({Source.PROMETHEUS})), now_ns=NOW)[0]
        plan = pivots.plan(alert, rules=RULES, labels=labels.load(), now_ns=NOW)
        assert plan.searches[0].way in (Way.ANY, Way.COUNTED), rule.name
        for search in plan.searches:
            assert parse.parse(search.query).pipeline == search.filter
        if "trace_query" in rule.annotations:
            assert Way.RULE in [search.way for search in plan.searches], (rule.name, plan.notes)
