"""Downloads, from a server on this machine."""

import hashlib
import io
import os
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

import data_utils
from data_utils import download, main

MNIST = [
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
]
FILES = {name: name.encode() for name in MNIST}
BATCHES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
ARCHIVE = "cifar-10-python.tar.gz"


@pytest.fixture
def offer(tmp_path_factory, monkeypatch):
    """offer(name, files, *places): a dataset's addresses are these folders of a server.

    The folder good/ has its files, wrong/ has others of the same names, missing/ has none.
    """
    site = tmp_path_factory.mktemp("site")
    (site / "good").mkdir()
    (site / "wrong").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def offer(name, files, *places):
        md5 = {}
        for file, content in files.items():
            md5[file] = hashlib.md5(content).hexdigest()
            (site / "good" / file).write_bytes(content)
            (site / "wrong" / file).write_bytes(content[::-1])
        addresses = [f"http://127.0.0.1:{server.server_port}/{place}/" for place in places]
        monkeypatch.setitem(data_utils.DOWNLOADS, name, {"addresses": addresses, "md5": md5})

    yield offer
    server.shutdown()
    server.server_close()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_are_downloaded_once(offer, tmp_path):
    offer("mnist", FILES, "good")
    assert download("mnist", tmp_path) == tmp_path / "mnist"
    assert contents(tmp_path / "mnist") == FILES
    offer("mnist", FILES, "missing")
    download("mnist", tmp_path)


def test_what_is_there_by_another_name_stays(offer, tmp_path):
    offer("mnist", FILES, "good")
    mine = tmp_path / "mnist" / "train-images.idx3-ubyte"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    download("mnist", tmp_path)
    assert mine.read_bytes() == b"mine"
    assert not (mine.parent / "train-images-idx3-ubyte.gz").exists()


@pytest.mark.parametrize("place", ["wrong", "missing"])
def test_failure_leaves_nothing_and_says_what_to_do_by_hand(place, offer, tmp_path):
    offer("mnist", FILES, place)
    with pytest.raises(ConnectionError, match=f"Tried: .*/{place}/") as error:
        download("mnist", tmp_path)
    assert f"put by hand into {tmp_path / 'mnist'}: " in str(error.value)
    for name in MNIST:
        assert name in str(error.value)
    assert contents(tmp_path / "mnist") == {}


def test_next_address_is_tried(offer, tmp_path):
    offer("mnist", FILES, "missing", "wrong", "good")
    download("mnist", tmp_path)
    assert contents(tmp_path / "mnist") == FILES


@pytest.mark.parametrize("place", ["good", "missing"])
def test_cifar10_is_unpacked_from_an_archive_that_is_kept(place, offer, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in [*BATCHES, "batches.meta"]:
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    archive = packed.getvalue()
    offer("cifar10", {ARCHIVE: archive}, place)
    if place == "missing":  # it was put there by hand, and not all was unpacked
        (tmp_path / ARCHIVE).write_bytes(archive)
        (tmp_path / "cifar-10-batches-py").mkdir()
    folder = download("cifar10", tmp_path)
    assert contents(folder) == {name: name.encode() for name in BATCHES}
    assert (tmp_path / ARCHIVE).read_bytes() == archive
    assert len(os.listdir(tmp_path)) == 2


def test_command_goes_on_after_a_failure_and_returns_1(offer, tmp_path, capsys):
    offer("fashion_mnist", FILES, "missing")
    offer("mnist", FILES, "good")
    assert main(["fashion_mnist", "mnist", "--directory", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == f"mnist: {tmp_path / 'mnist'}\n"
    assert "fashion_mnist: " in said.err
    assert "404 Client Error" in said.err
    assert main(["mnist", "--directory", str(tmp_path)]) == 0


def test_without_pooch_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert main(["mnist", "--directory", str(tmp_path)]) == 1
    assert "python -m pip install -r requirements-data.txt" in capsys.readouterr().err
