"""Finding Prometheus where it is not installed, and the few words the lab exchanges with a running one."""

import shutil

import httpx2 as httpx
import pytest

from app.errors import SourceRefused, SourceUnavailable
from app.lab import prometheus
from app.lab.remote_write import Series

FAKE = '#!/bin/sh\necho "prometheus, version {version} (branch: x)"\n'


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A PATH with nothing but what the test puts there; returns how to put it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shell = shutil.which("sh")
    monkeypatch.setenv("PATH", str(folder))

    def install(name, script):
        path = folder / name
        path.write_text(script.replace("/bin/sh", shell))
        path.chmod(0o755)
        return path

    return install


def test_prometheus_on_the_path_is_taken_with_its_version(system, tmp_path):
    path = system("prometheus", FAKE.format(version="2.42.0"))
    found = prometheus.find(tmp_path / "cache")
    assert (found.path, found.version, found.takes_the_past) == (path, (2, 42), True)
    system("prometheus", FAKE.format(version="2.24.1"))
    assert not prometheus.find(tmp_path / "cache").takes_the_past


def test_without_it_the_distributions_package_is_unpacked_once(system, tmp_path):
    said = []
    system("apt-get", '#!/bin/sh\n[ "$1 $2" = "download prometheus" ] && echo x > prometheus_2.42.0_amd64.deb\n')
    binary = '"$3/usr/bin/prometheus"'
    fake = FAKE.format(version="2.42.0").replace("\n", "\\n").replace('"', '\\"')
    steps = ('/bin/mkdir -p "$3/usr/bin"', f'printf "{fake}" > {binary}', f"/bin/chmod +x {binary}")
    system("dpkg", "\n".join(["#!/bin/sh", *steps, ""]))
    found = prometheus.find(tmp_path / "cache", said.append)
    assert found.path == tmp_path / "cache" / "prometheus" / "usr" / "bin" / "prometheus"
    assert len(said) == 1
    assert prometheus.find(tmp_path / "cache", said.append).path == found.path
    assert len(said) == 1, "the second time it is there"


@pytest.mark.parametrize("apt", [None, "#!/bin/sh\nexit 100\n", "#!/bin/sh\nexit 0\n"])
def test_where_no_package_comes_there_is_no_prometheus(system, tmp_path, apt):
    system("dpkg", "#!/bin/sh\nexit 0\n")
    if apt:
        system("apt-get", apt)
    assert prometheus.find(tmp_path / "cache") is None


def api(handler):
    return prometheus.Api("http://prometheus", transport=httpx.MockTransport(handler))


def test_a_refused_write_carries_prometheus_own_words():
    client = api(lambda request: httpx.Response(400, text="out of bounds"))
    with pytest.raises(SourceRefused) as caught:
        client.write([Series({"__name__": "x"}, [(1, 1.0)])])
    assert caught.value.detail == "out of bounds"


def test_many_series_are_written_in_several_requests():
    sizes = []
    client = api(lambda request: sizes.append(len(request.content)) or httpx.Response(204))
    client.write([Series({"__name__": f"x{number}"}, [(1, 1.0)]) for number in range(450)])
    assert len(sizes) == 3


def test_a_query_prometheus_refuses_is_refused_here():
    client = api(lambda request: httpx.Response(400, json={"status": "error", "error": "parse error"}))
    with pytest.raises(SourceRefused, match="expression"):
        client.range("sum(", 0, 1, 1)


def test_a_silent_prometheus_is_unavailable():
    def refuse(request):
        raise httpx.ConnectError("refused")

    client = api(refuse)
    assert not client.ready()
    with pytest.raises(SourceUnavailable):
        client.alerts()
