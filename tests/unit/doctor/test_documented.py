"""docs/doctor.md explains each check, at the place a finding points to."""

import re
from pathlib import Path

from app.doctor.checks import CHECKS
from app.doctor.finding import Severity, anchor

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_each_check_is_explained_where_findings_point_to():
    text = (DOCS / "doctor.md").read_text()
    anchors = re.findall(r'<a id="([a-z_-]+)"></a>`([a-z_.]+)`', text)
    assert [check for _, check in anchors] == [check.id for check in CHECKS]
    assert [f"doctor.md#{place}" for place, _ in anchors] == [anchor(check) for _, check in anchors]


def test_each_severity_is_explained():
    text = (DOCS / "doctor.md").read_text()
    assert all(f"| {severity.value} |" in text for severity in Severity)
