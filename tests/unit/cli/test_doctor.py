"""`clew doctor` as a person and as a script meet it."""

import json

import msgspec
import pytest
from support.command import here
from support.doctor_facts import facts, many, report

from app.cli.doctor import render
from app.doctor.finding import Area

MUTE = "gateway: GET /orders/7  403 client.address=203.0.113.9"


def test_without_any_source_it_says_what_is_missing_and_ends_well(tmp_path):
    done = here("doctor", folder=tmp_path)
    assert done.returncode == 0
    assert "Tempo is not set up." in done.stdout
    assert "export CLEW_TEMPO__URL=" in done.stdout
    assert "is not to be read as fine" in done.stdout
    assert not (tmp_path / "clew.db").exists(), "asking must not make a database"


@pytest.mark.parametrize(("fail_on", "code"), [("broken", 1), ("harmful", 1), (None, 0)])
def test_a_script_may_fail_on_what_it_finds(tmp_path, fail_on, code):
    arguments = ["--fail-on", fail_on] if fail_on else []
    assert here("doctor", *arguments, folder=tmp_path).returncode == code


def test_only_what_was_asked_for_counts(tmp_path):
    done = here("doctor", "--only", "privacy", "--fail-on", "note", folder=tmp_path)
    assert done.returncode == 0
    assert "CLEW_TEMPO__URL" not in done.stdout


def test_json_is_the_report(tmp_path):
    told = json.loads(here("doctor", "--json", folder=tmp_path).stdout)
    assert told["findings"][0]["check"] == "connection.tempo"
    assert {"score", "checks", "services", "connections", "sample"} <= set(told)


@pytest.mark.parametrize("since", ["1s", "30d", "soon"])
def test_a_window_that_cannot_be_is_refused(tmp_path, since):
    done = here("doctor", "--since", since, folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""


def test_a_finding_reads_with_number_evidence_remedy_and_lines_to_paste():
    text = render(report(facts(many(MUTE, 20))))
    assert "HARMFUL (1)" in text
    assert "[coverage.auth_signals]" in text
    assert f"{3:032x}" in text
    assert "       | with tracer.start_as_current_span" in text
    assert "Score: " in text


def test_one_area_shows_no_more_than_that():
    told = report(facts(many(MUTE, 20)))
    text = render(told.only(Area.COVERAGE), Area.COVERAGE)
    assert "Sources" not in text
    assert "Services" in text


def test_names_from_telemetry_move_no_cursor():
    hostile = many(MUTE, 20)
    hostile = [
        msgspec.structs.replace(
            one, parts=tuple(msgspec.structs.replace(part, service="evil\x1b[2J\nok") for part in one.parts)
        )
        for one in hostile
    ]
    text = render(report(facts([*hostile, *many("shop: GET /x  200\n  shop: auth.authorize  auth=passed", 5, first=90)])))
    assert "\x1b" not in text
    assert "evil\\u001b[2J\\u000aok" in text
