"""By how much a counter rose, as Prometheus itself evaluates the overview's expression: promtool plays the samples."""

import subprocess

import pytest
import yaml
from support.parts import require
from support.promtool import JOB

from app.investigation.overview.metrics import rise
from app.times import MINUTE

UP = "1x40"
# What a counter did in the ten minutes looked at, every 30 s from ten minutes before: its samples, and how much it rose.
COUNTERS = {
    "known before": ("0+10x40", 199, 201),
    "born at its full value": ("_x30 400x10", 400, 400),
    "born, and rose": ("_x30 400+10x10", 500, 500),
    "born, and set back": ("_x24 100 200 300 10 20x12", 300, 320),
    "born, and its process ended": ("_x24 30x5 stale _x8", 30, 30),
    "set back, known before": ("1000+10x30 5+10x9", 180, 210),
    "came back after an outage of the target": ("500x22 _x4 500x14", 0, 0),
    "silent since before": ("500x5", 0, 0),
}


@pytest.mark.parametrize("samples", COUNTERS.values(), ids=COUNTERS)
def test_a_counter_rose_by_what_was_counted(tmp_path, samples):
    values, low, high = samples
    ups = "1x22 _x4 1x14" if values.startswith("500x22") else UP
    asked = f"(sum({rise('calls', '', 10 * MINUTE)}) or vector(0))"
    tests = {
        "interval": "30s",
        "input_series": [{"series": f"calls{{{JOB}}}", "values": values}, {"series": f"up{{{JOB}}}", "values": ups}],
        "promql_expr_test": [
            {"expr": f"({asked} >= bool {low}) * ({asked} <= bool {high})", "eval_time": "20m",
             "exp_samples": [{"labels": "{}", "value": 1}]}
        ],
    }  # fmt: skip
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "30s", "tests": [tests]}, width=10**9))
    done = subprocess.run([require("promtool", "prometheus"), "test", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
