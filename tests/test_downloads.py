"""Downloads, from a server on this machine."""

import hashlib
import io
import os
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import data_utils
from data_utils import download, main

MNIST = [
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
]
FILES = {name: name.encode() * 2000 for name in MNIST}
BATCHES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
ARCHIVE = "cifar-10-python.tar.gz"


class Handler(BaseHTTPRequestHandler):
    """Serves server.files in the folder good/, and spoils them in others."""

    def do_GET(self):
        self.server.asked.append(self.path)
        _, place, name = self.path.split("/")
        if place == "missing":
            self.send_error(404)
            return
        content = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if place == "wrong":
            content = content[::-1]
        if place == "broken":
            content = content[: len(content) // 2]
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def offer(server, monkeypatch):
    """offer(name, files, *places): a dataset's files are to be had in these folders only."""

    def offer(name, files, *places):
        server.files = files
        base = f"http://127.0.0.1:{server.server_port}"
        row = {
            "addresses": [f"{base}/{place}/" for place in places],
            "md5": {file: hashlib.md5(content).hexdigest() for file, content in files.items()},
        }
        monkeypatch.setitem(data_utils.DOWNLOADS, name, row)

    return offer


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_downloaded_once(server, offer, tmp_path):
    offer("mnist", FILES, "good")
    assert download("mnist", tmp_path) == tmp_path / "mnist"
    assert contents(tmp_path / "mnist") == FILES
    download("mnist", tmp_path)
    assert len(server.asked) == 4


def test_what_is_there_by_another_name_stays(offer, tmp_path):
    offer("mnist", FILES, "good")
    mine = tmp_path / "mnist" / "train-images.idx3-ubyte"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    download("mnist", tmp_path)
    assert mine.read_bytes() == b"mine"
    assert sorted(contents(mine.parent)) == [*MNIST[:2], mine.name, MNIST[3]]


@pytest.mark.parametrize("place", ["wrong", "missing", "broken"])
def test_failure_leaves_nothing_and_says_what_to_do_by_hand(place, offer, tmp_path):
    offer("mnist", FILES, place)
    with pytest.raises(ConnectionError, match=f"Tried: .*/{place}/") as error:
        download("mnist", tmp_path)
    assert f"put by hand into {tmp_path / 'mnist'}: " in str(error.value)
    for name in MNIST:
        assert name in str(error.value)
    assert contents(tmp_path / "mnist") == {}


@pytest.mark.parametrize("place", ["wrong", "missing", "broken"])
def test_next_address_is_tried(place, offer, tmp_path):
    offer("mnist", FILES, place, "good")
    download("mnist", tmp_path)
    assert contents(tmp_path / "mnist") == FILES


@pytest.mark.parametrize("by_hand", [False, True])
def test_cifar10_is_unpacked_and_only_a_downloaded_archive_removed(
    by_hand, server, offer, tmp_path
):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in [*BATCHES, "batches.meta"]:
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    offer("cifar10", {ARCHIVE: packed.getvalue()}, "good")
    if by_hand:
        (tmp_path / ARCHIVE).write_bytes(packed.getvalue())
    folder = download("cifar10", tmp_path)
    assert contents(folder) == {name: name.encode() for name in BATCHES}
    assert os.path.exists(tmp_path / ARCHIVE) == by_hand
    assert len(os.listdir(tmp_path)) == 1 + by_hand
    assert len(server.asked) == 1 - by_hand


def test_command_goes_on_after_a_failure_and_returns_1(offer, tmp_path, capsys):
    offer("fashion_mnist", FILES, "missing")
    offer("mnist", FILES, "good")
    assert main(["fashion_mnist", "mnist", "--directory", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == f"mnist: {tmp_path / 'mnist'}\n"
    assert "fashion_mnist: " in said.err
    assert "404" in said.err
    assert main(["mnist", "--directory", str(tmp_path)]) == 0


def test_command_refuses_unknown_names(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["cifar100"])
    assert ended.value.code == 2
    assert "cifar10" in capsys.readouterr().err


def test_without_pooch_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert main(["mnist", "--directory", str(tmp_path)]) == 1
    assert "python -m pip install -r requirements-data.txt" in capsys.readouterr().err
