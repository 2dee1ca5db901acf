"""One alert out of what four tellers say of it."""

import pytest

from app.investigation import alerts
from app.investigation.alerts import Episode, Kept, Severity, Source, Told
from app.sources.values import AlertHistory, AlertState, FiringAlert, Interval, Rule
from app.times import MINUTE, SECOND

NOW = 1_800_000_000 * SECOND
LABELS = {"alertname": "BruteForce", "severity": "warning", "service_name": "identity", "auth_client_subnet": "198.51.100.0/24"}
EXTERNAL = {"cluster": "eu-1", "replica": "a"}
RULE = Rule(
    kind="alerting", name="BruteForce", query="failures > 0.5", group="auth", file="auth.yml", interval_s=30, for_s=60,
    labels={"severity": "warning"}, annotations={"summary": "{{ $labels.auth_client_subnet }} fails {{ $value }}"},
)  # fmt: skip
PROMETHEUS = frozenset({Source.PROMETHEUS})
BOTH = frozenset({Source.PROMETHEUS, Source.ALERTMANAGER})


def ago(minutes):
    return NOW - int(minutes * MINUTE)


def live(started, state=AlertState.FIRING, labels=LABELS, value=0.75):
    return FiringAlert("prometheus", labels, {"summary": "fails 0.75"}, state, started, value=value)


def history(*stretches, labels=LABELS, evaluation_s=30):
    kinds = {"p": AlertState.PENDING, "f": AlertState.FIRING}
    made = [
        Interval(kinds[kind], start, end, **more)
        for kind, start, end, more in ((*s, {}) if len(s) == 3 else s for s in stretches)
    ]
    return AlertHistory(labels, tuple(made), evaluation_s)


def merged(told):
    found = alerts.merge(told, now_ns=NOW)
    assert len(found) == 1, found
    return found[0]


def test_a_live_alert_is_counted_from_pending_and_fires_after_its_for():
    alert = merged(Told(live=[live(ago(10))], rules=[RULE], answered=PROMETHEUS))
    assert alert.state is AlertState.FIRING
    assert (alert.episode.started_ns, alert.episode.fired_ns, alert.episode.ended_ns) == (ago(10), ago(9), None)
    assert alert.key == f"{alert.fingerprint}-{ago(10) // SECOND}"
    assert alert.rule == RULE


def test_a_pending_alert_has_not_fired():
    alert = merged(Told(live=[live(ago(0.5), AlertState.PENDING)], rules=[RULE], answered=PROMETHEUS))
    assert alert.state is AlertState.PENDING
    assert alert.episode.fired_ns is None


def test_history_and_the_live_list_tell_of_one_episode():
    told = Told(
        live=[live(ago(10))],
        history=[history(("f", ago(120), ago(100)), ("p", ago(10), ago(8)), ("f", ago(8), None))],
        rules=[RULE],
        answered=PROMETHEUS,
    )
    alert = merged(told)
    assert [(e.started_ns, e.fired_ns, e.ended_ns) for e in alert.episodes] == [
        (ago(120), ago(120), ago(100)),
        (ago(10), ago(8), None),
    ]
    assert alert.episode is alert.episodes[1]
    assert alert.episode.annotations == {"summary": "fails 0.75"}


def test_what_history_left_open_has_ended_when_prometheus_no_longer_lists_it():
    alert = merged(Told(history=[history(("f", ago(10), None))], answered=PROMETHEUS))
    assert alert.state is AlertState.RESOLVED
    assert alert.episode.ended_ns == NOW


def test_history_that_ended_a_moment_ago_goes_on_when_the_live_list_has_it():
    alert = merged(Told(live=[live(ago(10))], history=[history(("f", ago(9), ago(0.5)))], answered=PROMETHEUS))
    assert alert.state is AlertState.FIRING
    assert len(alert.episodes) == 1


def test_a_start_before_the_window_gives_way_to_the_known_one():
    told = Told(live=[live(ago(5000))], history=[history(("f", ago(1440), None, {"began_before": True}))], answered=PROMETHEUS)
    assert merged(told).episode.started_ns == ago(5000)
    assert not merged(told).episode.began_before


def test_alertmanager_knows_the_same_alert_by_more_labels():
    reported = FiringAlert("alertmanager", LABELS | EXTERNAL, {}, AlertState.FIRING, ago(9), receivers=("mail",))
    alert = merged(Told(live=[live(ago(10))], alertmanager=[reported], rules=[RULE], answered=BOTH))
    assert alert.labels == LABELS
    assert alert.sources == (Source.PROMETHEUS, Source.ALERTMANAGER)
    assert alert.episode.receivers == ("mail",)


def test_a_silence_is_seen_on_the_alert_and_does_not_hide_it():
    reported = FiringAlert("alertmanager", LABELS | EXTERNAL, {}, AlertState.SUPPRESSED, ago(9), silenced_by=("s1",))
    alert = merged(Told(live=[live(ago(10))], alertmanager=[reported], answered=BOTH))
    assert alert.state is AlertState.SUPPRESSED
    assert alert.episode.silenced_by == ("s1",)


def test_of_two_that_would_fit_alertmanagers_alert_belongs_to_the_closer():
    wide = {"alertname": "BruteForce"}
    reported = FiringAlert("alertmanager", LABELS | EXTERNAL, {}, AlertState.FIRING, ago(9), receivers=("mail",))
    found = alerts.merge(
        Told(live=[live(ago(10)), live(ago(10), labels=wide)], alertmanager=[reported], answered=BOTH), now_ns=NOW
    )
    assert {len(alert.labels): alert.episode.receivers for alert in found} == {4: ("mail",), 1: ()}


def test_an_alert_of_another_subnet_is_another_alert():
    other = LABELS | {"auth_client_subnet": "203.0.113.0/24"}
    reported = FiringAlert("alertmanager", other | EXTERNAL, {}, AlertState.FIRING, ago(9))
    assert len(alerts.merge(Told(live=[live(ago(10))], alertmanager=[reported], answered=BOTH), now_ns=NOW)) == 2


def test_alertmanager_alone_is_enough():
    reported = FiringAlert("alertmanager", LABELS | EXTERNAL, {"summary": "s"}, AlertState.FIRING, ago(9))
    alert = merged(Told(alertmanager=[reported], answered=frozenset({Source.ALERTMANAGER})))
    assert alert.sources == (Source.ALERTMANAGER,)
    assert alert.state is AlertState.FIRING


def kept(start, end=None, *, key="", sources=(Source.PROMETHEUS,), labels=LABELS, **more):
    episode = Episode(started_ns=start, fired_ns=start, ended_ns=end, key=key, sources=sources, **more)
    return Kept(alerts.fingerprint(labels), labels, episode)


def test_what_clew_kept_gives_the_episode_its_key_and_peak():
    told = Told(live=[live(ago(10))], kept=[kept(ago(10.2), key="0123456789abcdef-1", peak=3.5)], answered=PROMETHEUS)
    alert = merged(told)
    assert alert.key == "0123456789abcdef-1"
    assert alert.episode.peak == 3.5
    assert len(alert.episodes) == 1


def test_an_episode_older_than_the_sources_remember_stays():
    alert = merged(Told(live=[live(ago(10))], kept=[kept(ago(6000), ago(5990))], answered=PROMETHEUS))
    assert [e.started_ns for e in alert.episodes] == [ago(6000), ago(10)]
    assert alert.at(ago(6000), NOW).state is AlertState.RESOLVED
    assert alert.at(ago(3000), NOW) is None


def test_a_kept_alert_that_prometheus_no_longer_mentions_has_ended_when_it_was_last_seen():
    alert = merged(Told(kept=[kept(ago(60), seen_ns=ago(20))], answered=PROMETHEUS))
    assert alert.episode.ended_ns == ago(20)


def test_a_kept_alert_is_not_declared_over_by_a_source_that_did_not_answer():
    alert = merged(Told(kept=[kept(ago(60), seen_ns=ago(20))], answered=frozenset()))
    assert alert.state is AlertState.FIRING
    assert not alert.episode.confirmed


def test_a_webhook_that_told_of_the_end_is_believed():
    told = Told(kept=[kept(ago(60), ago(30), sources=(Source.WEBHOOK,), labels=LABELS | EXTERNAL)], answered=frozenset())
    alert = merged(told)
    assert alert.state is AlertState.RESOLVED
    assert alert.episode.confirmed


def test_a_webhook_speaks_of_the_alert_that_prometheus_knows():
    told = Told(
        history=[history(("p", ago(61), ago(60)), ("f", ago(60), ago(30)))],
        kept=[kept(ago(60), ago(29.5), sources=(Source.WEBHOOK,), labels=LABELS | EXTERNAL)],
        answered=PROMETHEUS,
    )
    alert = merged(told)
    assert len(alert.episodes) == 1
    assert alert.sources == (Source.PROMETHEUS, Source.WEBHOOK)
    assert alert.episode.ended_ns == ago(30)


def test_a_label_made_of_the_value_does_not_make_another_alert_each_time():
    rule = Rule("alerting", "Hot", "t > 1", "g", "f", 30, labels={"temperature": "{{ $value }}", "room": "{{ $labels.room }}"})
    told = Told(
        live=[live(ago(1), labels={"alertname": "Hot", "room": "a", "temperature": "31"})],
        history=[
            history(("f", ago(9), ago(5)), labels={"alertname": "Hot", "room": "a", "temperature": "29"}),
            history(("f", ago(4.6), ago(1)), labels={"alertname": "Hot", "room": "a", "temperature": "30"}),
        ],
        rules=[rule],
        answered=PROMETHEUS,
    )
    alert = merged(told)
    assert alert.labels == {"alertname": "Hot", "room": "a"}
    assert len(alert.episodes) == 1
    assert alert.episode.started_ns == ago(9)


def test_rules_that_share_a_name_are_told_apart_by_their_labels_and_counted_when_they_cannot_be():
    page = Rule("alerting", "BruteForce", "a > 9", "g", "f", 30, labels={"severity": "critical"})
    assert alerts.rule_for(LABELS, [page, RULE]) == (RULE, 1)
    assert alerts.rule_for(LABELS, [RULE, RULE])[1] == 2
    assert alerts.rule_for(LABELS, [Rule("recording", "BruteForce", "a", "g", "f", 30)]) == (None, 0)


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        ([("p", 10, 8), ("f", 8, 5)], [(10, 8, 5)]),
        ([("f", 10, 8), ("f", 7.8, 5)], [(10, 10, 5)]),
        ([("f", 10, 8), ("f", 6, 5)], [(10, 10, 8), (6, 6, 5)]),
        ([("f", 10, 8), ("p", 7.5, 7), ("f", 7, 5)], [(10, 10, 8), (7.5, 7, 5)]),
        ([("p", 10, 8)], []),
        ([("p", 10, 8), ("f", 3, 2)], [(3, 3, 2)]),
    ],
)
def test_stretches_become_episodes(stretches, expected):
    told = history(*[(kind, ago(start), ago(end)) for kind, start, end in stretches])
    found = alerts.episodes(told.intervals, told.evaluation_s)
    assert [(e.started_ns, e.fired_ns, e.ended_ns) for e in found] == [(ago(a), ago(b), ago(c)) for a, b, c in expected]


def test_an_outage_of_the_evaluator_interrupts_an_episode_and_does_not_end_it():
    told = history(("f", ago(30), ago(20)), ("f", ago(10), ago(5), {"after_outage": True}))
    (episode,) = alerts.episodes(told.intervals, told.evaluation_s)
    assert episode.interrupted
    assert (episode.started_ns, episode.ended_ns) == (ago(30), ago(5))


def test_the_lowest_value_is_the_peak_of_a_rule_that_fires_below():
    rule = Rule("alerting", "BruteForce", "up < 0.5", "g", "f", 30)
    told = Told(live=[live(ago(10), value=0.4)], rules=[rule], kept=[kept(ago(10), peak=0.1)], answered=PROMETHEUS)
    assert merged(told).episode.peak == 0.1


@pytest.mark.parametrize(
    ("word", "is_"),
    [
        ("critical", Severity.CRITICAL),
        ("PAGE", Severity.CRITICAL),
        ("warn", Severity.WARNING),
        ("none", Severity.INFO),
        ("", Severity.INFO),
    ],
)
def test_words_for_severity(word, is_):
    assert alerts.severity({"severity": word}) is is_


@pytest.mark.parametrize(
    "text", ["", "-", "412b653f57b878c0", "412b653f57b878c0-", "412b653f57b878c0-x", "412B653F57B878C0-1",
             "412b653f57b878c0-1²", "412b653f57b878c0-123456789012", "../etc-1"],
)  # fmt: skip
def test_what_is_no_key(text):
    assert alerts.parse_key(text) is None


def test_a_key_reads_back():
    assert alerts.parse_key(alerts.key("412b653f57b878c0", 1_700_000_000 * SECOND + 5)) == (
        "412b653f57b878c0", 1_700_000_000 * SECOND,
    )  # fmt: skip
