"""The Prometheus client against a real Prometheus: an alert that fires, resolves, fires again and outlives a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from support.metrics_app import MetricsApp
from support.real_parts import START_S, RealPart, start_prometheus

from app.errors import SourceRefused
from app.settings import PrometheusSettings
from app.sources.prometheus import PrometheusClient
from app.sources.promql import selector
from app.sources.values import AlertHistory, AlertState, Rule
from app.times import SECOND, UnixNanos, now_ns

EVALUATION_S = 0.5
USER = 'al"ice\\ \n{user=~".*"}'  # what a label value from an attacker may hold

RULES = r"""
groups:
- name: logins
  rules:
  - {alert: Failing, expr: app_failing > 0, labels: {severity: page}, annotations: {summary: "of {{ $labels.user }}"}}
  - {alert: FailingLong, expr: app_failing > 0, for: 1500ms}
  - {alert: Valued, expr: app_failing > 0, labels: {value: "v{{ $value }}", severity: page}}
  - {record: "app:failing:max", expr: max(app_failing)}
"""


class Story(msgspec.Struct):
    """What happened, at times of this machine's clock."""

    prometheus: RealPart
    began_ns: UnixNanos
    first_ns: UnixNanos  # first set to failing
    healed_ns: UnixNanos
    second_ns: UnixNanos
    stopped_ns: UnixNanos
    restarted_ns: UnixNanos
    ended_ns: UnixNanos


def client(prometheus: RealPart, **given: object) -> PrometheusClient:
    return PrometheusClient(PrometheusSettings.model_validate({"url": prometheus.url} | given))


def ask(prometheus: RealPart, question: Callable[[PrometheusClient], Awaitable[object]], **given: object) -> object:
    async def asking() -> object:
        one = client(prometheus, **given)
        try:
            return await question(one)
        finally:
            await one.aclose()

    return asyncio.run(asking())


def wait_until(prometheus: RealPart, names: set[str]) -> None:
    """Until exactly these alerts fire."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        found = ask(prometheus, lambda one: one.alerts())
        if {alert.labels["alertname"] for alert in found if alert.state is AlertState.FIRING} == names:
            return
        time.sleep(0.1)
    raise AssertionError(f"these never were the firing alerts: {names}")


def wait_for_scrapes(prometheus: RealPart) -> None:
    """Prometheus begins to scrape about five seconds after its start."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        found = ask(prometheus, lambda one: one.targets())
        if [target.health for target in found] == ["up", "up"]:
            return
        time.sleep(0.1)
    raise AssertionError("the targets never were up")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    everything = {"Failing", "FailingLong", "Valued"}
    with MetricsApp() as app:
        app.user = USER
        began_ns = now_ns()
        with start_prometheus(
            folder, targets=[app.target], rules=RULES, interval=f"{int(EVALUATION_S * 1000)}ms"
        ) as prometheus:
            first_ns = now_ns()
            app.failing = 7
            wait_until(prometheus, everything)
            time.sleep(1.5)
            healed_ns = now_ns()
            app.failing = 0
            wait_until(prometheus, set())
            time.sleep(2.5)
            second_ns = now_ns()
            app.failing = 8
            wait_until(prometheus, everything)
            time.sleep(1.5)
            stopped_ns = now_ns()
            prometheus.stop()
            time.sleep(1.5)
            prometheus.start()
            restarted_ns = now_ns()
            wait_until(prometheus, everything)
            time.sleep(1.5)
            wait_for_scrapes(prometheus)
            yield Story(prometheus, began_ns, first_ns, healed_ns, second_ns, stopped_ns, restarted_ns, now_ns())


def history(story: Story, alertname: str, **labels: str) -> AlertHistory:
    found = ask(
        story.prometheus, lambda one: one.alert_history(alertname, story.began_ns, story.ended_ns, labels=labels or None)
    )
    assert len(found) == 1
    return found[0]


def test_an_alert_without_a_waiting_time_has_three_stretches_of_which_the_last_follows_an_outage(story):
    found = history(story, "Failing")
    assert found.labels == {"alertname": "Failing", "severity": "page", "user": USER, "job": "app",
                            "instance": found.labels["instance"]}  # fmt: skip
    assert found.evaluation_s == EVALUATION_S
    first, second, third = found.intervals
    assert {i.state for i in found.intervals} == {AlertState.FIRING}
    assert story.first_ns < first.start_ns < story.healed_ns < first.end_ns < story.second_ns
    assert story.second_ns < second.start_ns < story.stopped_ns
    # The last sample was just before the stop, and an evaluation later nobody looked.
    assert story.stopped_ns - 2 * SECOND < second.end_ns < story.restarted_ns
    assert third.start_ns > story.restarted_ns
    assert third.end_ns is None
    assert [i.after_outage for i in found.intervals] == [False, False, True]
    assert not first.began_before


def test_pending_and_firing_follow_each_other_without_a_gap(story):
    states = [(i.state, i.after_outage) for i in history(story, "FailingLong").intervals]
    pending, firing = AlertState.PENDING, AlertState.FIRING
    # A waiting time under ten minutes is not restored after a restart: the alert is pending anew.
    assert states[:2] == [(pending, False), (firing, False)]
    assert states[2:4] == [(pending, False), (firing, False)]
    assert states[4:] == [(pending, True), (firing, False)]
    intervals = history(story, "FailingLong").intervals
    for one, two in zip(intervals[::2], intervals[1::2], strict=True):
        assert one.end_ns == two.start_ns
        # After an outage its beginning may not have been seen.
        assert one.after_outage or two.start_ns - one.start_ns >= 1.5 * SECOND


def test_a_label_that_holds_the_value_does_not_split_the_history(story):
    found = history(story, "Valued")
    assert "value" not in found.labels
    assert len(found.intervals) == 3


def test_a_range_query_would_have_painted_over_the_outage(story):
    """Why the history is read from raw samples."""
    q = selector("ALERTS", {"alertname": "Failing", "alertstate": "firing"})
    painted = ask(story.prometheus, lambda one: one.query_range(q, story.stopped_ns, story.restarted_ns, 1))
    assert painted.series
    raw = ask(story.prometheus, lambda one: one.query(f"{q}[1h]", story.ended_ns))
    times = [sample.time_ns for sample in raw.series[0].samples]
    assert not [t for t in times if story.stopped_ns + SECOND < t < story.restarted_ns]


def test_a_window_within_a_stretch_knows_its_true_start_from_before_it(story):
    start = story.healed_ns - SECOND
    found = ask(story.prometheus, lambda one: one.alert_history("Failing", start, story.healed_ns))
    (stretch,) = found[0].intervals
    assert stretch.start_ns < start
    assert stretch.end_ns is None
    assert not stretch.began_before


def test_no_such_alert_has_no_history(story):
    assert ask(story.prometheus, lambda one: one.alert_history("Nobody", story.began_ns, story.ended_ns)) == ()
    labels = {"user": "somebody else"}
    found = ask(story.prometheus, lambda one: one.alert_history("Failing", story.began_ns, story.ended_ns, labels=labels))
    assert found == ()


def test_labels_select_an_instance_whatever_they_hold(story):
    assert history(story, "Failing", user=USER).labels["user"] == USER


def test_alerts_now_have_their_value_and_expanded_annotations(story):
    found = ask(story.prometheus, lambda one: one.alerts())
    alert = next(alert for alert in found if alert.labels["alertname"] == "Failing")
    assert alert.source == "prometheus"
    assert alert.value == 8
    assert alert.annotations == {"summary": f"of {USER}"}
    assert alert.started_ns > story.restarted_ns
    assert len(alert.fingerprint) == 16


def test_rules_are_alerting_or_recording_with_templates_unexpanded(story):
    rules = {rule.name: rule for rule in ask(story.prometheus, lambda one: one.rules())}
    assert set(rules) == {"Failing", "FailingLong", "Valued", "app:failing:max"}
    failing: Rule = rules["Failing"]
    assert (failing.kind, failing.state, failing.group, failing.health) == ("alerting", "firing", "logins", "ok")
    assert failing.query == "app_failing > 0"
    assert failing.annotations == {"summary": "of {{ $labels.user }}"}
    assert rules["FailingLong"].for_s == 1.5
    assert rules["app:failing:max"].kind == "recording"
    only = ask(story.prometheus, lambda one: one.rules("record"))
    assert [rule.name for rule in only] == ["app:failing:max"]


def test_exemplars_of_a_scraped_histogram(story):
    found = ask(story.prometheus, lambda one: one.query_exemplars("app_duration_seconds_bucket", story.began_ns, now_ns()))
    assert found.storage is True
    exemplar = found.exemplars[0]
    assert exemplar.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert exemplar.span_id == "00f067aa0ba902b7"
    assert exemplar.value == 0.093
    assert exemplar.series["le"] == "0.1"
    assert story.began_ns <= exemplar.time_ns <= story.ended_ns
    nothing = ask(story.prometheus, lambda one: one.query_exemplars("vector(1)", story.began_ns, now_ns()))
    assert nothing.exemplars == ()
    assert nothing.storage is True


def test_a_long_range_is_split_and_joined_without_seam_or_doubling(story):
    start, end = story.began_ns, story.ended_ns
    whole = ask(story.prometheus, lambda one: one.query_range("vector(1)", start, end, 0.1))
    split = ask(story.prometheus, lambda one: one.query_range("vector(1)", start, end, 0.1), max_points=100)
    assert len(whole.series[0].samples) > 150
    assert split == whole


def test_a_range_beyond_the_servers_limit_passes_in_pieces(story):
    end = story.ended_ns
    start = end - 12_000 * SECOND
    found = ask(story.prometheus, lambda one: one.query_range("vector(1)", start, end, 1))
    assert len(found.series[0].samples) == 12_001
    with pytest.raises(SourceRefused, match="exceeded maximum resolution"):
        ask(story.prometheus, lambda one: one.query_range("vector(1)", start, end, 1), max_points=100_000)


def test_what_is_scraped(story):
    targets = ask(story.prometheus, lambda one: one.targets())
    assert {target.labels["job"] for target in targets} == {"prometheus", "app"}
    assert {target.health for target in targets} == {"up"}
    values = ask(story.prometheus, lambda one: one.label_values("user", ["app_failing"]))
    assert values == (USER,)
    names = ask(story.prometheus, lambda one: one.labels([selector("app_failing", {"user": USER})]))
    assert set(names) == {"__name__", "instance", "job", "user"}


def test_who_answers(story):
    build = ask(story.prometheus, lambda one: one.build_info())
    assert build.product == "Prometheus"
    assert build.version[0].isdigit()
    assert ask(story.prometheus, lambda one: one.ready()) is True


def test_a_long_question_is_posted(story):
    q = " or ".join(selector("app_failing", {"user": f"{n}" * 40}) for n in range(60))
    assert len(q) > 3000
    assert ask(story.prometheus, lambda one: one.query(q)).series == ()


def test_any_text_comes_back_from_prometheus_as_it_was_quoted(story):
    """Prometheus' own parser reads the quoted text; `$` is doubled, because label_replace would expand it."""
    texts = ["", "a", '"', "\\", "\n\r\t\b\f\0\x1b\x7f", "é用🙂", "\u2028", "`'", "{}", "\\u0041", '"} or up{a="', "x" * 5000]
    texts += [chr(n) for n in range(1, 256)]
    q = " or ".join(
        f'label_replace(label_replace(vector({n}), "n", "{n}", "", ""), "x", {_quoted(text)}, "", "")'
        for n, text in enumerate(texts)
    )
    result = ask(story.prometheus, lambda one: one.query(q))
    got = {int(series.labels["n"]): series.labels.get("x", "") for series in result.series}
    assert [got[n] for n in range(len(texts))] == texts


def _quoted(text: str) -> str:
    return selector("", {"x": text.replace("$", "$$")})[len("{x=") : -1]
