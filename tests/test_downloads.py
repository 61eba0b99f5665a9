"""Downloads, from a server on this machine."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import data_utils

FILES = {name: name.encode() * 2000 for name in data_utils.MNIST}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        where, name = self.path[1:].split("/")
        content = self.server.files.get(name)
        if where == "missing" or content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if where == "wrong":
            content = content[::-1]
        self.wfile.write(content[: len(content) // 2] if where == "broken" else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked = dict(FILES), []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def mirrors(name, *places):
        base = f"http://127.0.0.1:{server.server_port}/"
        sums = [hashlib.md5(content).hexdigest() for content in server.files.values()]
        words = " ".join([*(f"{base}{place}/" for place in places), *sums])
        monkeypatch.setitem(data_utils.DOWNLOADS, name, words)

    server.mirrors = mirrors
    yield server
    server.shutdown()
    server.server_close()


def test_files_that_are_right_take_their_names(server, tmp_path):
    server.mirrors("mnist", "good")
    assert data_utils.download("mnist", tmp_path) == tmp_path / "mnist"
    assert {p.name: p.read_bytes() for p in (tmp_path / "mnist").iterdir()} == FILES
    asked = len(server.asked)
    data_utils.download("mnist", tmp_path)  # all is there
    assert len(server.asked) == asked == 4


def test_what_is_there_by_another_name_stays(server, tmp_path):
    server.mirrors("mnist", "good")
    mine = tmp_path / "mnist" / "train-images.idx3-ubyte"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    data_utils.download("mnist", tmp_path)
    assert mine.read_bytes() == b"mine" and len(list(mine.parent.iterdir())) == 4


@pytest.mark.parametrize("place", ["wrong", "missing", "broken"])
def test_failures_leave_nothing_and_say_what_to_do_by_hand(place, server, tmp_path):
    server.mirrors("mnist", place)
    with pytest.raises(ConnectionError) as error:
        data_utils.download("mnist", tmp_path)
    assert all(name in str(error.value) for name in FILES)
    assert f"put by hand into {tmp_path / 'mnist'}" in str(error.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("place", ["wrong", "missing", "broken"])
def test_the_next_mirror_is_tried(place, server, tmp_path):
    server.mirrors("mnist", place, "good")
    data_utils.download("mnist", tmp_path)
    assert {p.name: p.read_bytes() for p in (tmp_path / "mnist").iterdir()} == FILES


@pytest.mark.parametrize("by_hand", [False, True])
def test_cifar10_is_unpacked_and_only_a_downloaded_archive_removed(by_hand, server, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in (*data_utils.CIFAR10, "batches.meta"):
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    server.files = {"cifar-10-python.tar.gz": packed.getvalue()}
    server.mirrors("cifar10", "good")
    if by_hand:
        (tmp_path / "cifar-10-python.tar.gz").write_bytes(packed.getvalue())
    folder = data_utils.download("cifar10", tmp_path)
    assert {p.name: p.read_text() for p in folder.iterdir()} == {n: n for n in data_utils.CIFAR10}
    kept = ["cifar-10-python.tar.gz"] * by_hand
    assert sorted(os.listdir(tmp_path)) == ["cifar-10-batches-py", *kept]
    assert len(server.asked) == (not by_hand)


def test_command_line(server, tmp_path, capsys):
    server.mirrors("mnist", "good")
    assert data_utils.main(["mnist", "--directory", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"mnist: {tmp_path / 'mnist'}\n"
    server.mirrors("mnist", "missing")
    assert data_utils.main(["mnist", "--directory", str(tmp_path / "other")]) == 1
    assert "404" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        data_utils.main(["cifar100"])
    assert stop.value.code == 2


def test_without_pooch_it_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['pooch'] = None\nimport data_utils\n"
        f"sys.exit(data_utils.main(['mnist', '--directory', {str(tmp_path)!r}]))"
    )
    root = Path(data_utils.__file__).parent
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert run.returncode == 1
    assert "python -m pip install -r requirements-data.txt" in run.stderr
