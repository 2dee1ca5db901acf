"""What the demo refuses to start on, and what it finds in its folder."""

import asyncio
import socket

import pytest

from app.errors import Conflict
from app.lab import attacks, demo_folder, live
from app.lab.demo import Ports
from app.lab.demo_folder import DataFolder
from app.lab.processes import ChildFailed


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
    assert [path.name for path in (tmp_path / "data").iterdir()] == [demo_folder.MARKER]


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
    assert set(live.ROTATION) == set(attacks.ATTACKS)


class Ended:
    """A child that has ended with these words, or runs on."""

    def __init__(self, pid, words=None):
        self.pid = pid
        self.words = words

    def failure(self):
        return self.words


async def test_a_child_that_ends_is_told_once_and_an_essential_one_ends_the_demo():
    said = []
    orders, web = Ended(1, "orders ended with status 1."), Ended(2)
    watching = asyncio.create_task(live.watch([orders, web], [web], said.append))
    await asyncio.sleep(1.2)
    assert [line.split(" ", 1)[1] for line in said] == ["orders ended with status 1."]
    web.words = "clew ended with status 3."
    with pytest.raises(ChildFailed, match="clew ended"):
        await watching
