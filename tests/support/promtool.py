"""promtool's unit tests for rules, written as Python and run as the YAML it reads."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import yaml
from support.parts import require

JOB = 'job="otel-security-metrics",instance="clew:3200"'
FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'


class Scenario(msgspec.Struct, frozen=True):
    """Series (selector to promtool's value notation), and which alerts fire at which times: exactly these."""

    name: str
    series: Mapping[str, str]
    firing: Mapping[str, Sequence[str]]
    interval: str = "30s"


def calls(service: str, span: str, result: str, subnet: str, reason: str = "none") -> str:
    return (
        f'otel_security_calls_total{{{JOB},service_name="{service}",span_name="{span}",auth_result="{result}",'
        f'auth_method="unset",auth_failure_reason="{reason}",auth_client_subnet="{subnet}"}}'
    )


def up(values: str) -> dict[str, str]:
    return {f"up{{{JOB}}}": values}


def run(rules: Path, scenarios: Sequence[Scenario], folder: Path, ask: str = FIRING) -> str:
    """What promtool says; "" where every scenario holds. `ask` counts by alertname."""
    tests = [
        {
            "name": scenario.name,
            "interval": scenario.interval,
            "input_series": [{"series": name, "values": values} for name, values in scenario.series.items()],
            "promql_expr_test": [
                {
                    "expr": ask,
                    "eval_time": at,
                    "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(alerts)],
                }
                for at, alerts in scenario.firing.items()
            ],
        }
        for scenario in scenarios
    ]
    file = folder / "test.yml"
    document = {"rule_files": [str(rules)], "evaluation_interval": scenarios[0].interval, "tests": tests}
    file.write_text(yaml.safe_dump(document, width=10**9))
    done = subprocess.run([require("promtool", "prometheus"), "test", "rules", str(file)], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr
