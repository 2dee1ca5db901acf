"""Settings are typed, documented, and refuse what would be silently wrong."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from app.settings import Settings, load

DOCS = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith("CLEW_"):
            monkeypatch.delenv(name)


def variables() -> list[tuple[str, str]]:
    found = []
    for section, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        for name, inner in field.annotation.model_fields.items():
            found.append((f"CLEW_{section.upper()}__{name.upper()}", inner.description or ""))
    return found


@pytest.mark.parametrize(("variable", "meaning"), variables())
def test_every_setting_is_documented_with_its_meaning(variable, meaning):
    line = next((line for line in DOCS.read_text().splitlines() if f"`{variable}`" in line), "")
    assert line, f"docs/configuration.md does not mention {variable}"
    assert meaning in line


def test_the_docs_name_no_setting_that_is_gone():
    import re

    named = set(re.findall(r"`(CLEW_[A-Z_]+__[A-Z_0-9]+)`", DOCS.read_text()))
    assert named == {variable for variable, _ in variables()}


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    file = tmp_path / "clew.toml"
    file.write_text('[tempo]\nurl = "http://file:3200"\ntenant = "blue"\n')
    monkeypatch.setenv("CLEW_CONFIG", str(file))
    monkeypatch.setenv("CLEW_TEMPO__URL", "http://env:3200/")
    settings = load()
    assert (settings.tempo.url, settings.tempo.tenant) == ("http://env:3200", "blue")


def test_a_config_file_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setenv("CLEW_CONFIG", "/nowhere/clew.toml")
    with pytest.raises(FileNotFoundError, match="not a file"):
        load()


@pytest.mark.parametrize("url", ["ftp://tempo", "tempo:3200", "http://user:secret@tempo:3200", "file:///etc/passwd"])
def test_a_source_is_an_http_address_without_credentials(url):
    with pytest.raises(ValidationError):
        load(tempo={"url": url})


def test_a_misspelt_setting_is_an_error(monkeypatch):
    with pytest.raises(ValidationError):
        load(tempos={"url": "http://tempo"})


@pytest.mark.parametrize("variable", ["CLEW_TEMPOS__URL", "CLEW_TEMPO__URI", "CLEW_URL"])
def test_a_misspelt_variable_is_an_error(variable, monkeypatch):
    monkeypatch.setenv(variable, "http://tempo")
    with pytest.raises(ValueError, match=r"(?i)unknown setting|uri"):
        load()


def test_secrets_do_not_show_when_settings_are_printed():
    settings = load(tempo={"url": "http://t", "password": "hunter2", "bearer_token": "tok", "headers": {"X-Key": "deep"}})
    assert not {word for word in ("hunter2", "tok'", "deep") if word in repr(settings)}


def test_a_secret_may_stand_in_a_file(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("from the file\n")
    monkeypatch.setenv("CLEW_ALERTMANAGER__WEBHOOK_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("CLEW_ALERTMANAGER__URL", "http://alertmanager:9093")
    settings = load().alertmanager
    assert (settings.webhook_token.get_secret_value(), settings.url) == ("from the file", "http://alertmanager:9093")


def test_a_secret_given_both_ways_is_an_error_without_the_secret(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("from the file")
    monkeypatch.setenv("CLEW_TEMPO__PASSWORD_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("CLEW_TEMPO__PASSWORD", "hunter2")
    with pytest.raises(ValueError, match=r"^CLEW_TEMPO__PASSWORD is given both by itself and by CLEW_TEMPO__PASSWORD_FILE$"):
        load()


def test_a_secrets_file_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("CLEW_DATABASE__PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(ValueError, match=r"CLEW_DATABASE__PASSWORD_FILE names a file that cannot be read: No such file"):
        load()


def test_what_is_no_secret_has_no_file(monkeypatch):
    monkeypatch.setenv("CLEW_TEMPO__URL_FILE", "/run/secrets/url")
    with pytest.raises(ValidationError):
        load()
