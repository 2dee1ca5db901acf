"""Programs of Debian's archive, unpacked into the cache and run from there: nothing is installed on the machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

PACKAGES = {
    "redis": ("redis-server", "redis-tools", "libatomic1", "libhiredis0.14", "libjemalloc2", "liblua5.1-0", "liblzf1",
              "lua-bitop", "lua-cjson"),
    "mariadb": ("mariadb-server-core", "mariadb-server", "libaio1", "libnuma1", "liburing2"),
    "rabbitmq": ("rabbitmq-server", *(f"erlang-{part}" for part in (
        "asn1", "base", "crypto", "eldap", "ftp", "inets", "mnesia", "os-mon", "parsetools", "public-key", "runtime-tools",
        "snmp", "ssl", "syntax-tools", "tftp", "tools", "xmerl"))),
}  # fmt: skip


def unpacked(cache: Path, name: str) -> Path:
    """The folder that stands for `/` with the packages of one program in it."""
    root = cache / "debian" / name
    if (root / ".whole").exists():
        return root
    downloads = cache / "debian" / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "--quiet", *PACKAGES[name]], cwd=downloads, check=True, stdout=subprocess.DEVNULL)
    for package in PACKAGES[name]:
        (archive,) = downloads.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", archive, root], check=True)
    (root / ".whole").touch()
    return root


def libraries(root: Path) -> str:
    """LD_LIBRARY_PATH for the programs below `root`."""
    return ":".join(str(folder) for folder in (root / "usr" / "lib").glob("*-linux-gnu"))


def version(cache: Path, package: str) -> str:
    (archive,) = (cache / "debian" / "downloads").glob(f"{package}_*.deb")
    done = subprocess.run(["dpkg-deb", "-f", archive, "Version"], check=True, capture_output=True, text=True)
    return done.stdout.strip()
