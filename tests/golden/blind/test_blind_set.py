"""The labelled set is what its drawings say, and its labels speak of what is in the traces."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from app.traces.otlp import decode

HERE = Path(__file__).parent
LABELS = json.loads((HERE / "labels.json").read_text(encoding="utf-8"))


def test_drawing_again_writes_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(HERE / "make.py"), str(tmp_path)], check=True, capture_output=True, timeout=120)
    drawn = {f.relative_to(tmp_path): f.read_bytes() for f in tmp_path.rglob("*.json")}
    assert drawn == {path: (HERE / path).read_bytes() for path in drawn}
    assert {f.stem for f in (HERE / "traces").iterdir()} == {label["name"] for label in LABELS}


def test_labels_speak_of_their_own_traces() -> None:
    for label in LABELS:
        spans = decode((HERE / "traces" / f"{label['name']}.json").read_bytes()).spans
        services = {span.span_id: span.resource.service for span in spans}
        assert {span.trace_id for span in spans} == {label["trace_id"]}, label["name"]
        for span_id in as_list(label.get("span_id")):
            assert services[span_id] in as_list(label["service"]), label["name"]
        assert not set(label.get("findings", [])) & set(label.get("no_findings", [])), label["name"]
        assert label["why"], label["name"]


def as_list(value: str | list[str] | None) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []
