"""The container image, built by buildah from deploy/Containerfile and run without privileges on a read-only root.

The base image of the Containerfile comes from a registry of images; here it is a stand-in, the same Debian release with its
own Python 3.11. The packages to install are fetched beforehand, so that the build itself needs no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kit.building import CACHE, ROOT
from support.parts import require

BASE, NAME = "localhost/stand-in/python:3.11-bookworm", "localhost/clew:test"
# As an orchestrator would run it: nothing can be written but /data and /tmp, no capability, no way to get one.
CONFINED = """
set -e
mount --bind "$ROOTFS" "$ROOTFS"
mount -o remount,bind,ro "$ROOTFS"
mount --bind "$DATA" "$ROOTFS/data"
mount -t tmpfs -o mode=1777 tmp "$ROOTFS/tmp"
mount -t proc proc "$ROOTFS/proc"
mount --bind /dev "$ROOTFS/dev"
exec chroot "$ROOTFS" setpriv --reuid "${OWNER%:*}" --regid "${OWNER#*:}" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all env --ignore-environment --chdir=/data "$@"
"""


class Image:
    """A built image: its configuration, and its files under `rootfs`."""

    def __init__(self, rootfs: Path, config: Mapping[str, Any]) -> None:
        self.rootfs = rootfs
        self.config = config

    def confined(self, data: Path, *command: str, **settings: str) -> tuple[list[str], dict[str, str]]:
        """The command line and environment that run `command` in it, as its first process; `data` becomes /data."""
        given = [*self.config["Env"], *(f"{name}={value}" for name, value in settings.items())]
        environment = {**os.environ, "ROOTFS": str(self.rootfs), "DATA": str(data), "OWNER": self.config["User"]}
        confine = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "sh", "-c", CONFINED, "sh"]
        return [*confine, *given, *command], environment


@contextmanager
def built(folder: Path) -> Iterator[Image]:
    """Build it, and take everything away again at the end. Skips where the kernel or the user may not do this."""
    buildah = require("buildah", "buildah")
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("building and running a container here takes root and the right to mount")
    base, wheels = _base(), _wheels()
    (folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    call = [buildah, "--storage-driver=vfs", f"--root={folder}/storage", f"--runroot={folder}/run"]
    try:
        empty = _run(*call, "from", "scratch")
        _run(*call, "add", empty, str(base), "/")
        _run(*call, "commit", "--rm", empty, BASE)
        _run(
            "unshare", "--net", *call, "build", "--isolation=chroot", "--format=docker", f"--build-arg=PYTHON={BASE}",
            f"--volume={wheels}:/wheels:ro", f"--volume={folder}/pip.conf:/etc/pip.conf:ro",
            f"--tag={NAME}", f"--file={ROOT}/deploy/Containerfile", str(ROOT),
        )  # fmt: skip
        config = json.loads(_run(*call, "inspect", "--type=image", NAME))["Docker"]["config"]
        container = _run(*call, "from", NAME)
        yield Image(Path(_run(*call, "mount", container)), config)
    finally:
        _run(*call, "rm", "--all")
        _run(*call, "rmi", "--all", "--force")
        shutil.rmtree(folder / "storage", ignore_errors=True)


def _base() -> Path:
    """A file tree like the base image's as far as the Containerfile can tell: `python` is 3.11 and can make environments."""
    packages = "python3,python3-venv,ca-certificates"
    made = CACHE / f"debian-bookworm-{hashlib.sha256(packages.encode()).hexdigest()[:12]}.tar"
    if not made.exists():
        debootstrap = require("debootstrap", "debootstrap")
        made.parent.mkdir(parents=True, exist_ok=True)
        tree = made.with_suffix(".tree")
        shutil.rmtree(tree, ignore_errors=True)
        try:
            _run(debootstrap, "--variant=minbase", f"--include={packages}", "bookworm", str(tree), *_mirror())
            (tree / "usr/bin/python").symlink_to("python3")
            part = made.with_suffix(".part")
            _run("tar", "--create", f"--file={part}", f"--directory={tree}", "--exclude=./var/cache/apt/*", ".")
            part.rename(made)
        finally:
            shutil.rmtree(tree, ignore_errors=True)
    return made


def _mirror() -> list[str]:
    """Where this machine has its packages of that release from; without any, debootstrap takes Debian's own."""
    shown = output(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm"], os.environ)
    return shown.stdout.split()[:1]


def _wheels() -> Path:
    """What the Containerfile installs, held to the same hashes."""
    wanted = [ROOT / "requirements" / name for name in ("run.txt", "build.txt")]
    known = hashlib.sha256(b"".join(one.read_bytes() for one in wanted)).hexdigest()
    made = CACHE / f"wheels-{known[:12]}"
    if not made.exists():
        part = made.with_suffix(".part")
        for one in wanted:
            _run(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:",
                 f"--requirement={one}", f"--dest={part}")  # fmt: skip
        part.rename(made)
    return made


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
    return done.stdout.strip()


def first_process(confined: subprocess.Popen[bytes]) -> int:
    """The process id, seen from here, of what `Image.confined` runs."""
    return int(Path(f"/proc/{confined.pid}/task/{confined.pid}/children").read_text())


def output(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run what `Image.confined` gave to its end."""
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
