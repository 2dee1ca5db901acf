"""What must hold for any bytes: a verdict that names spans of the trace, or the project's own error with one sentence."""

from __future__ import annotations

from collections.abc import Iterator

from app.analysis.examine import examine
from app.analysis.verdict import Verdict
from app.errors import NotATrace
from app.traces import build, otlp
from app.traces.model import Trace


def hold(body: bytes, media_type: str | None) -> Verdict | None:
    """Judge the bytes; None where they are refused as no trace. Anything else that happens is a defect of Clew."""
    try:
        trace = build.build(otlp.decode(body, media_type))
    except NotATrace as error:
        _check_sentence(error.sentence)
        return None
    verdict = examine(trace)
    _check(trace, verdict)
    return verdict


def _check_sentence(sentence: str) -> None:
    assert sentence
    assert "\n" not in sentence
    assert len(sentence) < 400


def _check(trace: Trace, verdict: Verdict) -> None:
    strangers = [span_id for span_id in _named(verdict) if span_id and span_id not in trace.by_id]
    assert not strangers, f"the verdict names spans that are not in the trace: {strangers[:3]}"
    assert len(verdict.because) == len(verdict.grounds)
    assert verdict.sentence
    assert (verdict.span_id is None) == (verdict.layer is None)


def _named(verdict: Verdict) -> Iterator[str | None]:
    yield verdict.span_id
    for place in (verdict.entry, verdict.enforced_by):
        yield place.span_id if place is not None else None
    for listed in (verdict.findings, verdict.side_effects, verdict.path, verdict.grounds, verdict.layers):
        for item in listed:
            yield item.span_id
