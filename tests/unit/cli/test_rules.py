"""`clew rules`: a folder is checked with file and line, a file is tried on a trace."""

import json

import pytest
from support.draw import spans_of
from typer.testing import CliRunner

from app.cli.__main__ import build
from app.errors import AppError
from app.traces.otlp import encode_json

GATE = """
rules:
  - id: house.gate
    match: {span_name: '^gate\\.ask$'}
    layer: application
    phase: authz
    decision:
      deny: [{attr: {gate.answer: shut}}]
"""
TRACE = encode_json(spans_of("orders: GET /x  403\n  orders: gate.ask\x1b[31m  x=1\n  orders: gate.ask  gate.answer=shut"))


def run(*arguments, stdin=None):
    """Exit code, standard output and standard error, as the command gives them: an AppError is 2 and its sentence."""
    done = CliRunner().invoke(build(["rules"]), ["rules", *map(str, arguments)], input=stdin)
    if isinstance(done.exception, AppError):
        return 2, done.stdout, done.exception.sentence
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def test_a_sound_folder_lists_its_rules(tmp_path):
    (tmp_path / "gate.yaml").write_text(GATE)
    (tmp_path / "login.yaml").write_text(GATE.replace("house.gate", "generic.hand-written.login"))
    code, out, _ = run("check", tmp_path)
    assert code == 0
    assert out.splitlines() == [
        "gate.yaml, line 3: house.gate (deny)",
        "login.yaml, line 3: generic.hand-written.login (deny, replaces the shipped rule of generic.yaml)",
        "2 files, 2 rules, nothing wrong.",
    ]


def test_every_file_with_a_mistake_is_told_with_its_line(tmp_path):
    (tmp_path / "a.yaml").write_text(GATE.replace("layer: application", "layer: nowhere"))
    (tmp_path / "b.yaml").write_text(GATE.replace("'^gate\\.ask$'", "'(?=x)'"))
    (tmp_path / "c.yaml").write_text("rules: ]")
    (tmp_path / "d.yaml").write_bytes(b"\xff\xfe")
    code, out, err = run("check", tmp_path)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "a.yaml, line 5",
        "b.yaml, line 4",
        "c.yaml, line 1",
        "d.yaml, line 1",
    ]
    assert "layer is one of edge_waf" in lines[0]


def test_one_id_in_two_files_is_a_mistake(tmp_path):
    (tmp_path / "a.yaml").write_text(GATE)
    (tmp_path / "b.yaml").write_text(GATE)
    assert run("check", tmp_path)[::2] == (2, "b.yaml, line 3: the id 'house.gate' is taken by line 3 of a.yaml.\n")


def test_a_file_that_would_not_be_read_is_pointed_out(tmp_path):
    (tmp_path / "gate.yml").write_text("nonsense: [")
    code, out, err = run("check", tmp_path)
    assert (code, err) == (0, "gate.yml is not read: rule files end in .yaml.\n")
    assert "nothing to check" in out


def test_the_folder_of_the_settings_is_checked_where_none_is_named(tmp_path, monkeypatch):
    (tmp_path / "gate.yaml").write_text(GATE)
    monkeypatch.setenv("CLEW_ANALYSIS__RULES_DIR", str(tmp_path))
    assert run("check")[0] == 0
    monkeypatch.delenv("CLEW_ANALYSIS__RULES_DIR")
    assert "No folder is named" in run("check")[2]


def test_a_folder_that_is_none_is_an_error(tmp_path):
    assert run("check", tmp_path / "missing")[::2] == (2, f"{tmp_path / 'missing'} is no folder.")


def test_a_file_is_tried_on_a_trace(tmp_path):
    (tmp_path / "gate.yaml").write_text(GATE)
    (tmp_path / "trace.json").write_bytes(TRACE)
    code, out, _ = run("test", tmp_path / "gate.yaml", tmp_path / "trace.json")
    assert code == 0
    assert "house.gate (gate.yaml, line 3)\n  deny     orders: gate.ask [" in out
    assert "Without: denied, application, authz (medium confidence" in out
    assert "With:    denied, application, authz (high confidence, rule house.gate)" in out
    assert "Changed: span_id, rule," in out
    assert "\x1b" not in out


def test_the_answer_as_json(tmp_path):
    (tmp_path / "gate.yaml").write_text(GATE)
    code, out, _ = run("test", tmp_path / "gate.yaml", "-", "--json", stdin=TRACE)
    found = json.loads(out)
    assert code == 0
    assert (found["rules"][0]["held"][0]["decision"], found["with"]["rule"]) == ("deny", "house.gate")
    assert found["without"]["rule"] != "house.gate"


@pytest.mark.parametrize(("rules", "trace", "words"), [("rules: x", TRACE, "gate.yaml, line 1"), (GATE, b"{}", "not a trace")])
def test_what_cannot_be_read_is_one_sentence(tmp_path, rules, trace, words):
    (tmp_path / "gate.yaml").write_text(rules)
    code, out, err = run("test", tmp_path / "gate.yaml", "-", stdin=trace)
    assert (code, out) == (2, "")
    assert words in err


# ------------------------------------------------------------------------------------------------------- the database


@pytest.fixture
def database(tmp_path, monkeypatch):
    """The settings' database, at the newest schema."""
    import asyncio

    from app.db import migrate
    from app.settings import DatabaseSettings

    url = f"sqlite:///{tmp_path}/clew.db"
    monkeypatch.setenv("CLEW_DATABASE__URL", url)
    asyncio.run(migrate.upgrade(DatabaseSettings(url=url)))


def test_a_file_is_put_into_the_database_and_taken_out_again(tmp_path, database):
    gate = tmp_path / "gate.yaml"
    gate.write_text(GATE)
    assert run("import", gate) == (0, "gate: version 1, in force.\n", "")
    assert run("list")[1] == "house.gate: house rule gate, line 3\n"
    code, _, err = run("import", gate)
    assert (code, err) == (2, "There is already a house rule gate. Replace it with --replace, or give a --name.")
    gate.write_text(GATE.replace("house.gate", "generic.hand-written.login"))
    assert run("import", gate, "--replace")[1] == "gate: version 2, in force.\n"
    assert ", in place of " in run("list")[1]
    assert run("import", gate, "--replace", "--off")[1] == "gate: version 3, off.\n"
    assert run("list")[1] == "off: house rule gate\n"
    assert len(run("list", "--all")[1].splitlines()) > 98
    gate.write_text(GATE)
    assert run("import", gate, "--name", "Second gate")[0] == 0
    out = tmp_path / "out"
    assert run("export", out)[1] == f"2 files in {out}.\n"
    assert (out / "Second gate.yaml").read_text() == GATE
    assert sorted(file.name for file in out.iterdir()) == ["Second gate.yaml", "gate.yaml.off"]
    assert run("check", out)[0] == 0
    code, _, err = run("export", out)
    assert code == 2
    assert err.endswith("is already there. Nothing was written.")


def test_a_file_that_is_wrong_or_takes_an_id_is_not_put_in(tmp_path, database):
    gate = tmp_path / "gate.yaml"
    gate.write_text(GATE.replace("layer: application", "layer: x"))
    code, _, err = run("import", gate)
    assert (code, err[:43]) == (2, "gate, line 5: layer is one of edge_waf, rat")
    gate.write_text(GATE)
    assert run("import", gate)[0] == 0
    code, _, err = run("import", gate, "--name", "other")
    assert (code, err) == (2, "other, line 3: the id 'house.gate' is taken by line 3 of gate.")
    assert run("list")[1].count("\n") == 1


def test_the_files_of_the_settings_stand_below_the_database(tmp_path, database, monkeypatch):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "file.yaml").write_text(GATE)
    monkeypatch.setenv("CLEW_ANALYSIS__RULES_DIR", str(folder))
    assert run("list")[1] == "house.gate: file.yaml, line 3\n"
    assert run("import", folder / "file.yaml", "--name", "db")[0] == 0
    assert run("list")[1] == "house.gate: house rule db, line 3, in place of file.yaml, line 3\n"
