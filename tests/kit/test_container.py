"""The container image: what is in it, and that it runs without root, without capabilities and on a read-only root."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2 as httpx
import pytest
from kit.images import Image, built, first_process, output
from support.command import wait_for
from support.real_parts import free_port

import app

pytestmark = pytest.mark.kit


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Iterator[Image]:
    with built(tmp_path_factory.mktemp("image")) as one:
        yield one


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, 10001, 10001)
    return folder


def test_it_says_how_it_is_to_be_run(image):
    assert image.config["User"] == "10001:10001"
    assert image.config["Entrypoint"] + image.config["Cmd"] == ["clew", "serve"]
    assert image.config["Volumes"] == {"/data": {}}
    assert set(image.config["ExposedPorts"]) == {"8000/tcp"}
    names = {one.partition("=")[0] for one in image.config["Env"] if one.startswith("CLEW_")}
    assert names == {"CLEW_WEB__HOST", "CLEW_WEB__PORT", "CLEW_DATABASE__URL"}


def test_it_holds_clew_and_nothing_to_install_more(image):
    programs = {one.name for one in (image.rootfs / "opt/clew/bin").iterdir()}
    assert "clew" in programs
    assert not {one for one in programs if one.startswith(("pip", "hatch"))}
    assert not any((image.rootfs / name).exists() for name in ("src", "wheel", "opt/build"))
    packages = next((image.rootfs / "opt/clew/lib").glob("python3.11/site-packages"))
    assert (packages / "app/_data/static/css/tokens.css").is_file()
    assert not (packages / "pip").exists()


def test_its_user_owns_the_data_folder_and_nothing_else(image):
    owned, writable = [], []
    for folder, folders, files in os.walk(image.rootfs):
        for name in (*folders, *files):
            path = Path(folder, name)
            about = path.lstat()
            shown = f"/{path.relative_to(image.rootfs)}"
            if about.st_uid == 10001:
                owned.append(shown)
            if about.st_mode & stat.S_IWOTH and not stat.S_ISLNK(about.st_mode) and not shown.startswith("/dev"):
                writable.append(shown)
    assert owned == ["/data"]
    assert set(writable) <= {"/tmp", "/var/tmp", "/run/lock"}


def test_it_serves_confined_and_its_health_check_knows(image, data, tmp_path):
    port = str(free_port())
    settings = {"CLEW_WEB__HOST": "127.0.0.1", "CLEW_WEB__PORT": port}
    healthy = image.config["Healthcheck"]["Test"]
    assert healthy[0] == "CMD"
    command, environment = image.confined(data, *image.config["Entrypoint"], *image.config["Cmd"], **settings)
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz")
            clew = first_process(process)
            status = Path(f"/proc/{clew}/status").read_text()
            told = dict(re.findall(r"^(Uid|Gid|Groups|NoNewPrivs|CapEff|CapBnd|NSpid):\t(.*)$", status, re.MULTILINE))
            assert (told["Uid"].split()[0], told["Gid"].split()[0], told["Groups"].strip()) == ("10001", "10001", "")
            assert (int(told["CapEff"], 16), int(told["CapBnd"], 16), told["NoNewPrivs"]) == (0, 0, "1")
            assert told["NSpid"].split()[1:] == ["1"]
            page = httpx.get(f"http://127.0.0.1:{port}/login", trust_env=False)
            assert "Nobody can sign in yet." in page.text
            style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page.text)
            assert style
            assert httpx.get(f"http://127.0.0.1:{port}{style[1]}", trust_env=False).status_code == 200
            assert output(*image.confined(data, *healthy[1:], **settings)).returncode == 0
            # The first process of a container ends by a signal only if it listens to it.
            os.kill(clew, signal.SIGTERM)
            assert process.wait(30) == 0, (tmp_path / "log").read_text()[-2000:]
        finally:
            process.kill()
    assert output(*image.confined(data, *healthy[1:], **settings)).returncode != 0
    with closing(sqlite3.connect(data / "clew.db")) as database:
        assert database.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_nothing_else_can_be_written(image, data):
    places = "/x /opt/clew/x /opt/clew/lib/x /etc/x /usr/bin/x"
    tried = f"for f in {places}; do (: > $f) 2>/dev/null && echo $f; done; : > /tmp/x && : > /data/x"
    done = output(*image.confined(data, "sh", "-c", tried))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_commands_run_in_it_as_docs_say(image, data):
    shown = output(*image.confined(data, "clew", "--version"))
    assert shown.stdout == f"clew {app.__version__}\n"
    command, environment = image.confined(data, "clew", "user", "add", "ines", "--role", "admin", "--password-stdin")
    added = subprocess.run(
        command, env=environment, input="correct horse battery\n", capture_output=True, text=True, timeout=120, check=False
    )
    assert (added.returncode, added.stdout) == (0, "ines can sign in as admin.\n"), added.stderr
    kept = output(*image.confined(data, "clew", "db", "backup", "/data/copy.db"))
    assert kept.returncode == 0, kept.stderr
