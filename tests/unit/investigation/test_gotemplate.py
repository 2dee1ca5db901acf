"""Go's templates, as far as alerts' summaries use them; the expected texts are Prometheus' own output."""

import math

import pytest

from app.investigation import gotemplate

LABELS = {"service_name": "identity", "auth_client_subnet": "198.51.100.0/24", "http.route": "/login"}


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("{{ $labels.auth_client_subnet }} fails", 1.0, "198.51.100.0/24 fails"),
        ("{{.Labels.service_name}}{{ .Value }}", 3.0, "identity3"),
        ('{{ printf "%.2f" $value }} logins/s', 0.756, "0.76 logins/s"),
        ('{{ $value | printf "%.1f%%" }}', 12.34, "12.3%"),
        ("{{ $value | humanizePercentage }}", 0.7543, "75.43%"),
        ("{{ $value | humanizeDuration }}", 0.612, "612ms"),
        ("{{ humanizeDuration $value }}", 3725.5, "1h 2m 5s"),
        ("{{ $value | humanizeDuration }}", 90061.0, "1d 1h 1m 1s"),
        ("{{ $value | humanizeDuration }}", 12.5, "12.5s"),
        ("{{ $value | humanize }}", 1234567.0, "1.235M"),
        ("{{ $value | humanize }}", 0.00754, "7.54m"),
        ("{{ $value | humanize }}", 0.0, "0"),
        ("{{ $value | humanize1024 }}", 3725.5, "3.638ki"),
        ("{{ $value }}", 148.0, "148"),
        ("{{ $value }}", 0.5, "0.5"),
        ("{{ $value }}", math.inf, "+Inf"),
        ("a {{- $labels.service_name -}}  b", 1.0, "aidentityb"),
        ("{{ $labels.gone }}.", 1.0, "."),
        ('{{ index $labels "http.route" }}', 1.0, "/login"),
        ("{{ $labels.service_name | toUpper }}", 1.0, "IDENTITY"),
        ('{{ printf "%s|x" $labels.service_name }}', 1.0, "identity|x"),
        ("no places", None, "no places"),
    ],
)
def test_known_forms(template, value, text):
    assert gotemplate.expand(template, LABELS, value) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ range query \"up\" }}{{ .Value }}{{ end }}",
        "{{ $externalLabels.cluster }}",
        "{{ if gt $value 1.0 }}x{{ end }}",
        "{{ $value | reReplaceAll \"a\" \"b\" }}",
        "{{ $value",
        "half }} open",
        '{{ printf "%d" $value }}',
        "x" * 5000,
    ],
)  # fmt: skip
def test_a_form_that_is_not_known_gives_nothing_rather_than_half(template):
    assert gotemplate.expand(template, LABELS, 1.0) is None


def test_a_value_that_is_not_known_any_more_gives_nothing():
    assert gotemplate.expand("{{ $value }} logins", LABELS, None) is None
    assert gotemplate.needs_value("{{ $value }} logins")
    assert not gotemplate.needs_value("{{ $labels.service_name }}")


def test_a_hostile_label_stays_text():
    text = gotemplate.expand("{{ $labels.a }}", {"a": "{{ $labels.b }}<script>"}, 1.0)
    assert text == "{{ $labels.b }}<script>"
