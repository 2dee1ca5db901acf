"""What the demo refuses to start on, and what it finds in its folder."""

import socket

import pytest

from app.errors import Conflict
from app.lab import attacks, demo
from app.lab.demo import DataFolder, Ports


def test_taken_ports_are_named_with_the_option_that_changes_them():
    with socket.socket() as first, socket.socket() as second:
        for other in (first, second):
            other.bind(("127.0.0.1", 0))
            other.listen()
        ports = Ports(web=first.getsockname()[1], prometheus=second.getsockname()[1], otlp=0, query=0)
        with pytest.raises(Conflict) as caught:
            ports.check()
    assert f"Port {ports.web} is taken (choose another with --port)" in caught.value.sentence
    assert f"port {ports.prometheus} is taken (choose another with --prometheus-port)" in caught.value.sentence


def test_a_new_folder_is_empty_and_a_finished_one_is_used_again(tmp_path):
    folder = DataFolder(tmp_path / "data")
    assert not folder.open(fresh=False)
    (folder.path / "clew.db").write_text("cases")
    folder.mark_complete(7)
    folder.close()
    again = DataFolder(tmp_path / "data")
    assert again.open(fresh=False)
    assert (again.path / "clew.db").exists()
    again.close()


def test_an_interrupted_first_start_begins_again(tmp_path):
    folder = DataFolder(tmp_path)
    folder.open(fresh=False)
    (tmp_path / "half-written.db").write_text("")
    folder.close()
    assert not DataFolder(tmp_path).open(fresh=False)
    assert not (tmp_path / "half-written.db").exists()


def test_fresh_removes_what_was_there(tmp_path):
    folder = DataFolder(tmp_path / "data")
    folder.open(fresh=False)
    (folder.path / "traces").mkdir()
    (folder.path / "clew.db").write_text("cases")
    folder.mark_complete(7)
    folder.close()
    assert not DataFolder(tmp_path / "data").open(fresh=True)
    assert [path.name for path in (tmp_path / "data").iterdir()] == [demo.MARKER]


def test_a_folder_of_somebody_elses_is_left_alone_even_with_fresh(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(Conflict, match="holds other things"):
            DataFolder(tmp_path).open(fresh=fresh)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_two_demos_do_not_share_a_folder(tmp_path):
    first = DataFolder(tmp_path)
    first.open(fresh=False)
    with pytest.raises(Conflict, match="already runs"):
        DataFolder(tmp_path).open(fresh=True)
    first.close()
    DataFolder(tmp_path).open(fresh=False)


def test_every_attack_has_its_turn():
    assert set(demo.ROTATION) == set(attacks.ATTACKS)
