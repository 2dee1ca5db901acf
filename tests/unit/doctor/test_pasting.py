"""Lines offered for pasting: they are what their language says, and no name in them can do more than be a name."""

import importlib
import pkgutil
import shlex

import pytest
import yaml
from support.doctor_facts import WHOLE, facts, found, many

from app import doctor

HOSTILE = "billing$(reboot|sh)"
CALL = "gateway: GET /pay  200 client.address=203.0.113.9\n  gateway: > POST http://billing:8080/pay  200 peer.service={}"


def blocks():
    """Every text of configuration in the checks, by where it stands; what a finding fills in is filled in here."""
    for module in pkgutil.iter_modules(doctor.__path__, "app.doctor."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, str) and name.isupper() and value.count("\n") >= 1:
                if "{attribute}" in value or "{label}" in value:
                    value = value.format(attribute="auth.failure_reason", label="user_name")
                yield pytest.param(value, id=f"{module.name}.{name}")


@pytest.mark.parametrize(
    "text",
    [
        block
        for block in blocks()
        if ": " in block.values[0] and not block.values[0].startswith(("# Python", "OTEL_", "with ", "# a second"))
    ],
)
def test_configuration_is_yaml(text):
    assert isinstance(yaml.safe_load(text), (dict, list))


def test_there_is_configuration_to_try():
    assert len(list(blocks())) > 10


def test_a_services_name_is_one_word_of_the_shell():
    about = facts([*many(WHOLE, 10), *many(CALL.format(shlex.quote(HOSTILE)), 10, first=50)])
    [finding] = found("coverage.uninstrumented", about)
    line = finding.paste.splitlines()[0]
    assert shlex.split(line)[0].startswith(f"OTEL_SERVICE_NAME={HOSTILE}")
    assert "='" in line


def test_a_silent_services_name_is_quoted_too():
    spans = {"gateway": 1_000, "orders": 1_000}
    [finding] = found("coverage.silent", facts(spans=spans, before=spans | {"a;b\nc": 900}))
    assert finding.paste.splitlines()[0] == "OTEL_SERVICE_NAME='a;b?c'"


def test_an_attributes_name_stays_one_key_of_yaml():
    name = 'x", action: insert}, {key: "y'
    text = f"gateway: GET /a  200 client.address=203.0.113.9\n  gateway: work  {shlex.quote(name + '.password')}=hunter22hunter"
    [finding] = found("privacy.secrets", facts(many(text, 5)))
    [action] = yaml.safe_load(finding.paste)["processors"]["attributes/drop"]["actions"]
    assert action == {"key": name + ".password", "action": "delete"}
