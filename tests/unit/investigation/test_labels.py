"""The label map: what is shipped is sound, a house's file is read whole or refused with its line."""

import pytest

from app.errors import InvalidInput
from app.investigation import labels
from app.investigation.conditions import field
from app.investigation.entities import Entity, EntityKind
from app.investigation.labels import Compare

BLUEPRINT = [
    "service_name", "span_name", "auth_result", "auth_method", "auth_failure_reason", "auth_client_subnet", "auth_user_bucket",
]  # fmt: skip
OLDER = ["net_peer_ip", "auth_username", "auth_subject", "http_method", "http_status_code", "http_route", "http_target"]


@pytest.mark.parametrize("label", BLUEPRINT + OLDER)
def test_names_of_both_generations_are_explained(label):
    meaning = labels.load().meaning(label)
    assert meaning is not None
    assert meaning.attributes


def test_old_and_new_spelling_are_asked_for_alike():
    meaning = labels.load().meaning("http_status_code")
    assert set(meaning.attributes) == {"span.http.response.status_code", "span.http.status_code"}
    assert meaning.compare is Compare.NUMBER


def test_every_shipped_attribute_is_one_that_traceql_can_name():
    for meaning in labels.load().meanings.values():
        for name in (*meaning.attributes, *meaning.addresses):
            field(name)


def test_labels_of_the_measuring_are_ignored_and_others_reported():
    known = labels.load()
    assert known.unknown(["job", "instance", "le", "severity", "service_name", "flavour"]) == ["flavour"]


def test_entities_are_read_from_labels_and_empty_values_name_nobody():
    found = labels.load().entities({"service_name": "identity", "auth_username": "", "auth_client_subnet": "10.0.0.0/24"})
    assert found == (
        Entity(EntityKind.SERVICE, "identity", "service_name"),
        Entity(EntityKind.SUBNET, "10.0.0.0/24", "auth_client_subnet"),
    )


@pytest.mark.parametrize(
    "name", ["otel_security_calls_total", "otel_security_duration_seconds_bucket", "otel_security_duration_seconds_count"]
)
def test_a_metric_is_known_with_its_suffix(name):
    assert labels.load().metric(name).auth_spans


def test_a_house_adds_replaces_and_stops_ignoring(tmp_path):
    house = tmp_path / "labels.yaml"
    house.write_text("labels:\n  job:\n    attributes: [resource.service.name]\n    entity: service\nignore: [auth_layer]\n")
    known = labels.load(house)
    assert known.meaning("job").entity is EntityKind.SERVICE
    assert "job" not in known.ignored
    assert known.meaning("auth_layer") is None
    assert known.meaning("span_name") is not None


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("labels:\n  a:\n    attributes: [auth.result]\n", 3, "scope"),
        ("labels:\n  a:\n    attributes: []\n", 3, "at least one"),
        ("labels:\n  a:\n    compare: equal\n", 2, "no attributes"),
        ("labels:\n  a:\n    attributes: [span.x]\n    compare: like\n", 4, "none of equal"),
        ("labels:\n  a:\n    attributes: [span.x]\n    addresses: [span.y]\n", 4, "subnet"),
        ("labels:\n  a:\n    attributes: [span.x]\n  a:\n    attributes: [span.y]\n", 4, "twice"),
        ("labels:\n  a:\n    attribute: [span.x]\n", 3, "not known"),
        ("labels:\n  a: {attributes: [span.x], outcome: maybe}\n", 2, "true or false"),
        ("ignore: all\n", 1, "list"),
        ("- a\n", 1, "mapping"),
        ("labels: [a\n", 2, "expected"),
        ("counters:\n  - metric: x\n", 2, "exactly"),
        ("metrics:\n  m: {implies: [a]}\n", 2, "mapping"),
        ("other: 1\n", 1, "use labels"),
    ],
)
def test_a_mistake_is_named_with_its_line(text, line, word):
    with pytest.raises(InvalidInput) as error:
        labels.parse(text, "house.yaml")
    assert f"house.yaml, line {line}:" in str(error.value)
    assert word in str(error.value)


def test_a_missing_file_is_said_plainly(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be read"):
        labels.load(tmp_path / "none.yaml")


def test_an_empty_file_adds_nothing(tmp_path):
    house = tmp_path / "labels.yaml"
    house.write_text("# nothing yet\n")
    assert labels.load(house) == labels.load()


def test_explained_and_ignored_at_once_is_refused():
    with pytest.raises(InvalidInput, match="both explained and ignored"):
        labels.parse("labels:\n  a: {attributes: [span.x]}\nignore: [a]\n", "house.yaml")
