"""What an alert says, and whose words they are."""

from app.investigation.alerts import Alert, Episode
from app.investigation.summary import From, annotation, needs_value, summary
from app.sources.values import Rule

LABELS = {"alertname": "BruteForce", "subnet": "198.51.100.0/24"}


def rule(**annotations):
    return Rule("alerting", "BruteForce", "m > 1", "g", "f", 30, annotations=annotations)


def alert(made_by=None, **episode):
    one = Episode(started_ns=1, fired_ns=2, ended_ns=3, **episode)
    return Alert("f" * 16, LABELS, one, (one,), made_by)


def test_the_sources_own_words_come_first():
    told = summary(alert(rule(summary="{{ $labels.subnet }}"), annotations={"summary": "it said so"}))
    assert (told.text, told.origin) == ("it said so", From.SOURCE)


def test_then_the_rules_template_with_the_farthest_value():
    told = summary(alert(rule(summary="{{ $labels.subnet }} failed {{ $value }}"), value=3.0, peak=57.0))
    assert (told.text, told.origin) == ("198.51.100.0/24 failed 57", From.RULE)


def test_a_template_that_needs_an_unknown_value_gives_way_to_one_that_does_not():
    told = summary(alert(rule(summary="{{ $value }} fails", description="Log-ins fail.")))
    assert told.text == "Log-ins fail."


def test_the_name_is_better_than_half_a_sentence():
    told = summary(alert(rule(summary="{{ $value }} fails")))
    assert (told.text, told.origin) == ("BruteForce", From.NAME)


def test_the_value_is_asked_for_only_where_it_would_help():
    assert needs_value(alert(rule(summary="{{ $value }} fails")))
    assert not needs_value(alert(rule(summary="{{ $value }} fails"), peak=3.0))
    assert not needs_value(alert(rule(summary="{{ $labels.subnet }} fails")))
    assert not needs_value(alert(rule(summary="{{ $value }}"), annotations={"summary": "x"}))
    assert not needs_value(alert())


def test_an_annotation_that_is_not_there_is_none():
    assert annotation(alert(rule()), "runbook_url") is None
