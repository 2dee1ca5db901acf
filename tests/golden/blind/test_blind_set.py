"""The blind sets are what their drawings say, and their labels speak of what is in the traces."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.traces.otlp import decode

SETS = [Path(__file__).parents[1] / name for name in ("blind", "second")]
each_set = pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)


def labels(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "labels.json").read_text(encoding="utf-8"))


@each_set
def test_drawing_again_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-B", str(folder / "make.py"), str(tmp_path)], check=True, capture_output=True, timeout=120)
    drawn = {f.relative_to(tmp_path): f.read_bytes() for f in tmp_path.rglob("*.json")}
    assert drawn == {path: (folder / path).read_bytes() for path in drawn}
    assert {f.stem for f in (folder / "traces").iterdir()} == {label["name"] for label in labels(folder)}


@each_set
def test_labels_speak_of_their_own_traces(folder: Path) -> None:
    for label in labels(folder):
        spans = decode((folder / "traces" / f"{label['name']}.json").read_bytes()).spans
        services = {span.span_id: span.resource.service for span in spans}
        assert {span.trace_id for span in spans} == {label["trace_id"]}, label["name"]
        for span_id in as_list(label.get("span_id")):
            assert services[span_id] in as_list(label["service"]), label["name"]
        assert not set(label.get("findings", [])) & set(label.get("no_findings", [])), label["name"]
        assert label["why"], label["name"]


def as_list(value: str | list[str] | None) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []
