"""Tests of data_utils.download and of the command line, against a server on this machine."""

import contextlib
import gzip
import hashlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import data_utils
from data_utils import download, load_dataset, read_idx, write_idx

PARTS = {"train": 40, "t10k": 20}
FILES = [f"{part}-{kind}-ubyte.gz" for part in PARTS for kind in ("images-idx3", "labels-idx1")]
IMAGES = FILES[0]


@pytest.fixture(autouse=True)
def quick_and_offline(monkeypatch):
    """No waiting between attempts, no proxy, and no mirror but the tests' own."""
    monkeypatch.delenv("TWO_LAYER_NET_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(data_utils, "_PAUSES", (0, 0, 0))
    for name, facts in data_utils.DATASETS.items():
        if "mirrors" in facts:
            monkeypatch.setitem(data_utils.DATASETS, name, {**facts, "mirrors": ()})


@pytest.fixture
def server():
    """A server of `server.files`, whose /SOMETHING/ answers as `server.answers[SOMETHING]` does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            _, kind, file = self.path.split("/")
            server.requests.append((kind, file, self.headers.get("Range")))
            self.close_connection = True
            with contextlib.suppress(OSError):  # the client had enough
                server.answers[kind](self, server.files[file])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.files, server.requests = {}, []
    server.answers = {
        "ok": send,
        "cut": cut,
        "cut-ranged": cut_ranged,
        "cut-lying": lambda handler, content: cut_ranged(handler, content, shift=1),
        "always-cut": lambda handler, content: cut(handler, content, always=True),
        "changed": lambda handler, content: send(handler, content[:-1] + b"?"),
        "longer": lambda handler, content: send(handler, content + b"?"),
        "shorter": lambda handler, content: send(handler, content[:-1]),
        "endless": endless,
        "drip": drip,
        "drip-headers": drip_headers,
        "chunked": chunked,
        "drip-chunk-size": drip_chunk_size,
        "endless-trailers": endless_trailers,
        "empty": lambda handler, content: send(handler, b""),
        "no-content": lambda handler, content: send(handler, b"", 204),
        "part": lambda handler, content: send(handler, content, 206),
        "garbage": lambda handler, content: handler.wfile.write(
            b"SSH-2.0-\x1b[31m" + b"hello" * 99 + b"\r\n"
        ),
        "redirect": lambda handler, content: redirect(
            handler, handler.path.replace("redirect", "ok")
        ),
        "redirect-file": lambda handler, content: redirect(handler, "file:///etc/passwd"),
        "redirect-ftp": lambda handler, content: redirect(handler, "ftp://127.0.0.1/x"),
        "redirect-loop": lambda handler, content: redirect(handler, handler.path),
        "403": lambda handler, content: send(handler, b"no", 403),
        "404": lambda handler, content: send(handler, b"no", 404),
        "503": lambda handler, content: send(handler, b"no", 503),
        "503-once": lambda handler, content: send(
            handler, content, 503 if len(server.requests) == 1 else 200
        ),
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def send(handler, content, status=200, **headers):
    handler.send_response(status)
    for name, value in {"Content-Length": len(content), **headers}.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(content)


def cut(handler, content, always=False):
    """Half of the file the first time, all of it, from the start, the next time."""
    first = always or len(handler.server.requests) == 1
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2] if first else content)


def cut_ranged(handler, content, shift=0):
    """The same, but the next time goes on where the first one ended, or somewhere else and says so."""
    if handler.headers["Range"] is None:
        cut(handler, content, always=True)
    else:
        start = int(re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"])[1]) - shift
        rest = content[start:]
        send(handler, rest, 206, Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")


def endless(handler, content):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(2**16))


def chunked(handler, content):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for i in range(0, len(content), 1000):
        chunk = content[i : i + 1000]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    handler.wfile.write(b"0\r\n\r\n")


def drip_chunk_size(handler, content):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for byte in b"1;" + 200 * b"a":
        handler.wfile.write(bytes([byte]))
        time.sleep(0.02)


def endless_trailers(handler, content):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%s\r\n0\r\n" % (len(content), content))
    while True:
        handler.wfile.write(b"more: and more\r\n" * 1000)


def drip(handler, content):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    for i in range(len(content)):
        handler.wfile.write(content[i : i + 1])
        time.sleep(0.02)


def drip_headers(handler, content):
    for byte in b"HTTP/1.0 200 OK\r\nX: " + 99 * b"x":
        handler.wfile.write(bytes([byte]))
        time.sleep(0.02)
    handler.wfile.write(b"\r\n\r\n" + content)


def redirect(handler, url):
    send(handler, b"", 302, Location=url)


@pytest.fixture
def mnist(server, tmp_path, monkeypatch):
    """Serve a small dataset as MNIST; returns a function that sets its mirrors."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "served"
    folder.mkdir()
    for part, n in PARTS.items():
        write_idx(
            folder / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (n, 28, 28), np.uint8)
        )
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", rng.integers(0, 10, n, np.uint8))
    server.files = {file: (folder / file).read_bytes() for file in FILES}
    facts = data_utils.DATASETS["mnist"]
    files = {file: (len(content), md5(content)) for file, content in server.files.items()}

    def set_mirrors(*kinds):
        mirrors = tuple(f"{server.url}/{kind}/" for kind in kinds)
        monkeypatch.setitem(
            data_utils.DATASETS, "mnist", {**facts, "files": files, "mirrors": mirrors}
        )
        return mirrors

    return set_mirrors


def md5(content):
    return hashlib.md5(content).hexdigest()


def tree(folder):
    """All files below a folder and their contents."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# ------------------------------------------------------------------------------------- one after another


def test_the_table_is_whole():
    import importlib.util

    spec = importlib.util.spec_from_file_location("fresh_data_utils", data_utils.__file__)
    fresh = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = fresh
    try:
        spec.loader.exec_module(fresh)
    finally:
        del sys.modules[spec.name]
    downloads = {name: facts for name, facts in fresh.DATASETS.items() if "files" in facts}
    assert list(downloads) == ["mnist", "fashion_mnist", "cifar10", "svhn"]
    for facts in downloads.values():
        assert all(
            re.fullmatch(r"https?://[\w.-]+/([~\w-]+/)*", mirror) for mirror in facts["mirrors"]
        )
        assert all(
            size > 1000 and re.fullmatch("[0-9a-f]{32}", md5)
            for size, md5 in facts["files"].values()
        )
    sums = [md5 for facts in downloads.values() for _, md5 in facts["files"].values()]
    assert len(set(sums)) == len(sums) == 11
    assert downloads["mnist"]["mirrors"][0] == "https://ossci-datasets.s3.amazonaws.com/mnist/"
    assert downloads["cifar10"]["files"] == {
        "cifar-10-python.tar.gz": (170498071, "c58f30108f718f92721af3b95e74349a")
    }


def test_download_and_load(server, mnist, tmp_path, capsys):
    mnist("ok")
    folder = download("mnist", tmp_path / "new" / "data")
    assert folder == tmp_path / "new" / "data" / "mnist"
    assert tree(folder) == server.files
    assert [file for _, file, _ in server.requests] == FILES
    assert (
        len(load_dataset("mnist", directory=tmp_path / "new" / "data", validation=10).X_train) == 30
    )
    out = capsys.readouterr().out
    assert all(f"{file}: 100%" in out for file in FILES) and "\r" not in out


def test_the_folder_is_where_load_dataset_looks(mnist, tmp_path, monkeypatch):
    mnist("ok")
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path / "env"))
    assert download("mnist") == tmp_path / "env" / "mnist"
    assert len(load_dataset("mnist", validation=0).X_train) == 40


@pytest.mark.parametrize(
    "first", ["chunked", "endless-trailers", "redirect", "503-once", "cut", "cut-ranged"]
)
def test_one_server_that_gets_there(server, mnist, tmp_path, first):
    mnist(first)
    folder = download("mnist", tmp_path)
    assert tree(folder) == server.files


def test_broken_connection_is_taken_up_where_it_broke(server, mnist, tmp_path):
    mnist("cut-ranged")
    download("mnist", tmp_path)
    half = len(server.files[IMAGES]) // 2
    assert server.requests[:2] == [
        ("cut-ranged", IMAGES, None),
        ("cut-ranged", IMAGES, f"bytes={half}-"),
    ]
    assert len(server.requests) == 8


def test_broken_connection_starts_again_where_ranges_are_not_known(server, mnist, tmp_path):
    mnist("cut")
    assert tree(download("mnist", tmp_path)) == server.files
    assert [request for request in server.requests if request[1] == IMAGES] == [
        ("cut", IMAGES, None),
        ("cut", IMAGES, f"bytes={len(server.files[IMAGES]) // 2}-"),
    ]


def test_two_halves_of_different_files_are_not_believed(server, mnist, tmp_path):
    def changed_meanwhile(handler, content):
        if len(server.requests) == 1:
            content = bytes(len(content))
        cut_ranged(handler, content) if len(server.requests) < 3 else send(handler, content)

    server.answers["changed-meanwhile"] = changed_meanwhile
    mnist("changed-meanwhile")
    assert tree(download("mnist", tmp_path)) == server.files
    assert server.requests[2] == ("changed-meanwhile", IMAGES, None)


BAD = {
    "403": "403",
    "404": "404",
    "503": "503",
    "changed": "MD5 is .*, not",
    "longer": r"has \d+ bytes, not \d+",
    "shorter": r"has \d+ bytes, not \d+",
    "empty": "has 0 bytes",
    "endless": "sends more than",
    "always-cut": "broke after",
    "cut-lying": "206|broke after",
    "garbage": "BadStatusLine",
    "no-content": "204",
    "part": "206",
    "redirect-file": "file:",
    "redirect-ftp": "ftp:",
    "redirect-loop": "302",
}


@pytest.mark.parametrize("kind", BAD)
def test_the_next_mirror_is_tried(server, mnist, tmp_path, kind, capsys):
    mnist(kind, "ok")
    assert tree(download("mnist", tmp_path)) == server.files
    assert ("ok", IMAGES, None) in server.requests  # never the rest of what the other one began
    assert re.search(rf"/{kind}/{IMAGES}: .*{BAD[kind]}", capsys.readouterr().out)


@pytest.mark.parametrize("kind", BAD)
def test_when_all_fail_each_is_listed_and_nothing_is_left(server, mnist, tmp_path, kind):
    mirrors = mnist("404", kind)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "my notes").write_text("keep")
    with pytest.raises(ConnectionError) as caught:
        download("mnist", tmp_path)
    lines = str(caught.value).splitlines()
    assert IMAGES in lines[0] and "HTTPError: HTTP Error 404" in lines[1]
    assert f"{mirrors[0]}{IMAGES}: " in lines[1] and f"{mirrors[1]}{IMAGES}: " in lines[2]
    assert re.search(BAD[kind], lines[2])
    assert lines[3] == f"Without a network, put {IMAGES} into {tmp_path / 'mnist'} by hand."
    assert all(line.isprintable() and len(line) < 400 for line in lines)
    assert tree(tmp_path / "mnist") == {"my notes": b"keep"}
    attempts = [request for request in server.requests if request[0] == kind]
    if kind in ("always-cut", "503", "garbage"):
        assert len(attempts) == 3
    if kind in ("403", "changed", "longer", "redirect-file"):
        assert len(attempts) == 1


def test_no_network(mnist, tmp_path, monkeypatch):
    mnist()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        mirror = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        monkeypatch.setitem(data_utils.DATASETS["mnist"], "mirrors", (mirror,))
        with pytest.raises(
            ConnectionError, match=re.escape(f"put {IMAGES} into {tmp_path / 'mnist'} by hand")
        ):
            download("mnist", tmp_path)


def test_redirects_keep_to_http_and_never_leave_https(server):
    redirects = data_utils._Redirects()
    secure = data_utils.urllib.request.Request("https://a.b/x")
    plain = data_utils.urllib.request.Request("http://a.b/x")
    for request, url in (
        (secure, "https://c.d/y"),
        (plain, "https://c.d/y"),
        (plain, "HTTP://c.d/y"),
    ):
        assert redirects.redirect_request(request, None, 302, "Found", {}, url).full_url == url
    for request, url in ((secure, "http://c.d/y"), (plain, "ftp://c.d/y"), (secure, "file:///c/y")):
        with pytest.raises(ValueError, match=re.escape(f"redirects to {url}")):
            redirects.redirect_request(request, None, 302, "Found", {}, url)


def test_a_server_that_only_drips_is_given_up(mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(data_utils, "_TIMEOUT", 0.2)
    monkeypatch.setattr(data_utils, "_PAUSES", (0,))
    mnist("drip")
    with pytest.raises(ConnectionError, match="sends less than 2000 bytes a second"):
        download("mnist", tmp_path)
    for server, what in (("drip-headers", "no answer"), ("drip-chunk-size", "no more")):
        mnist(server)
        with pytest.raises(ConnectionError, match=rf"{what} within 0\.2 seconds"):
            download("mnist", tmp_path)


def test_when_the_disk_is_full_no_other_mirror_is_tried(server, mnist, tmp_path, monkeypatch):
    mnist("ok", "ok")
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(
            OSError, match=rf"File too large: '{re.escape(str(tmp_path / 'mnist' / IMAGES))}'"
        ):
            download("mnist", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(server.requests) == 1 and tree(tmp_path / "mnist") == {}


def test_headers_without_end_are_given_up(server, mnist, tmp_path):
    def headers(handler, content):
        handler.send_response(200)
        while True:
            handler.send_header("X", "x" * 1000)
            handler.flush_headers()

    server.answers["headers"] = headers
    mnist("headers", "ok")
    assert tree(download("mnist", tmp_path)) == server.files


@pytest.mark.parametrize("length", ["-1", "x", "9" * 5000])
def test_a_length_that_is_none_is_refused(server, mnist, tmp_path, length):
    server.answers["length"] = lambda handler, content: send(
        handler, content, Content_Length=length
    )
    mnist("length", "ok")
    assert tree(download("mnist", tmp_path)) == server.files


def test_a_chunk_of_terabytes_is_not_believed(server, mnist, tmp_path):
    def chunk(handler, content):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"fffffffffff\r\n" + content)

    server.answers["chunk"] = chunk
    mnist("chunk", "ok")
    assert tree(download("mnist", tmp_path)) == server.files


def test_a_server_that_is_silent_is_given_up(server, mnist, tmp_path, monkeypatch):
    enough = threading.Event()
    server.answers["silent"] = lambda handler, content: enough.wait(10)
    monkeypatch.setattr(data_utils, "_TIMEOUT", 0.1)
    mnist("silent", "ok")
    try:
        assert tree(download("mnist", tmp_path)) == server.files
    finally:
        enough.set()


# ---------------------------------------------------------------------------------- what is already there


def test_what_is_there_is_not_downloaded_again(server, mnist, tmp_path, capsys):
    mnist("ok")
    download("mnist", tmp_path)
    server.requests.clear()
    (tmp_path / "mnist" / FILES[2]).unlink()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "mnist").iterdir()}
    capsys.readouterr()
    download("mnist", tmp_path)
    assert server.requests == [("ok", FILES[2], None)]
    assert all(path.stat().st_mtime_ns == mtime for path, mtime in times.items())
    assert f"{tmp_path / 'mnist' / IMAGES} is already there" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_files_packed_otherwise_are_left_alone(server, mnist, tmp_path, suffix):
    mnist("ok")
    (tmp_path / "mnist").mkdir()
    path = tmp_path / "mnist" / IMAGES.replace(".gz", suffix)
    content = gzip.decompress(server.files[IMAGES])
    path.write_bytes(gzip.compress(content, 1) if suffix else content)
    before = path.read_bytes()
    download("mnist", tmp_path)
    assert path.read_bytes() == before != server.files[IMAGES]
    assert sorted(file for _, file, _ in server.requests) == sorted(FILES[1:])
    np.testing.assert_array_equal(
        read_idx(path)[3], np.frombuffer(content, np.uint8)[16:].reshape(-1, 28, 28)[3]
    )


def test_a_damaged_file_in_the_way_is_named_and_left(server, mnist, tmp_path):
    mnist("ok")
    (tmp_path / "mnist").mkdir()
    path = tmp_path / "mnist" / IMAGES
    path.write_bytes(server.files[IMAGES][:-50])
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*move this file away"):
        download("mnist", tmp_path)
    assert path.read_bytes() == server.files[IMAGES][:-50]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("mnist5k",), ValueError, "mnist5k comes with the project"),
        (("MNIST",), ValueError, "name must be one of .*got 'MNIST'"),
        (("mnist", 3), TypeError, "directory must be .*got 3"),
    ],
)
def test_download_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        download(*arguments)


# ---------------------------------------------------------------------------------------- CIFAR-10's archive

FOLDER = "cifar-10-batches-py"
BATCHES = [
    f"{FOLDER}/{file}"
    for file in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
]


def member(name, content=b"", **attributes):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def whole_archive():
    """The official archive's members, with other contents."""
    files = [
        member(file, b"content of " + file.encode()) for file in (*BATCHES, f"{FOLDER}/readme.html")
    ]
    return [member(f"{FOLDER}/", type=tarfile.DIRTYPE, mode=0o755), *files]


def archive_of(members):
    f = io.BytesIO()
    with tarfile.open(fileobj=f, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return f.getvalue()


@pytest.fixture
def cifar10(server, monkeypatch):
    """Serve an archive as CIFAR-10's; returns a function that sets it."""
    facts = data_utils.DATASETS["cifar10"]

    def set_archive(content, kind="ok"):
        server.files = {"cifar-10-python.tar.gz": content}
        files = {"cifar-10-python.tar.gz": (len(content), md5(content))}
        changed = {**facts, "files": files, "mirrors": (f"{server.url}/{kind}/",)}
        monkeypatch.setitem(data_utils.DATASETS, "cifar10", changed)

    return set_archive


def test_cifar10_is_unpacked(cifar10, tmp_path):
    cifar10(archive_of(whole_archive()))
    folder = download("cifar10", tmp_path / "data")
    assert folder == tmp_path / "data" / FOLDER
    assert tree(tmp_path / "data") == {file: b"content of " + file.encode() for file in BATCHES}


def test_cifar10_takes_an_empty_folder(cifar10, tmp_path):
    cifar10(archive_of(whole_archive()))
    (tmp_path / FOLDER).mkdir()
    download("cifar10", tmp_path)
    assert len(tree(tmp_path / FOLDER)) == 7


def test_cifar10_that_is_there_is_left_alone(server, cifar10, tmp_path):
    cifar10(archive_of(whole_archive()))
    download("cifar10", tmp_path)
    server.requests.clear()
    before = tree(tmp_path)
    with pytest.raises(
        ValueError, match=r"data_batch_1: damaged.*move this file away"
    ):  # it holds no images
        download("cifar10", tmp_path)
    (tmp_path / FOLDER / "data_batch_3").unlink()
    with pytest.raises(FileExistsError, match=f"{FOLDER} is there, but lacks data_batch_3; move"):
        download("cifar10", tmp_path)
    del before[f"{FOLDER}/data_batch_3"]
    assert tree(tmp_path) == before and not server.requests


def hostile_members():
    """Archives that try to write elsewhere, or too much: what is wrong, and the members."""
    whole = whole_archive()
    one = BATCHES[2]

    def instead(**attributes):
        return [
            member(one, **attributes) if info.name == one else (info, content)
            for info, content in whole
        ]

    return {
        "symlink": instead(type=tarfile.SYMTYPE, linkname="../../outside"),
        "hard link": instead(type=tarfile.LNKTYPE, linkname=BATCHES[0]),
        "link to the outside": instead(type=tarfile.LNKTYPE, linkname="../../outside"),
        "device": instead(type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        "fifo": instead(type=tarfile.FIFOTYPE),
        "directory": instead(type=tarfile.DIRTYPE),
        "huge": instead(content=bytes(40_000_001)),
        "huge and unknown": [*whole, member("unknown", bytes(40_000_001))],
        "missing": [pair for pair in whole if pair[0].name != one],
        "twice, first as a symlink": [
            member(one, type=tarfile.SYMTYPE, linkname="../../outside"),
            *whole,
        ],
        "folder as a symlink": [
            member(FOLDER, type=tarfile.SYMTYPE, linkname=".."),
            *[
                pair
                for pair in whole
                if pair[0].name != f"{FOLDER}/data_batch_3" and pair[0].type == b"0"
            ],
        ],
        "absolute": [
            (member(f"/{info.name}", content)[0], content) if info.name == one else (info, content)
            for info, content in whole
        ],
        "dots": [
            (member(f"{FOLDER}/../{info.name}", content)[0], content)
            if info.name == one
            else (info, content)
            for info, content in whole
        ],
    }


@pytest.mark.parametrize("kind", hostile_members())
def test_hostile_archives_are_refused(cifar10, tmp_path, kind):
    cifar10(archive_of(hostile_members()[kind]))
    (tmp_path / "outside").write_text("before")
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz: "):
        download("cifar10", tmp_path / "data")
    assert tree(tmp_path) == {"outside": b"before"}
    assert list((tmp_path / "data").iterdir()) == []


def test_members_that_nobody_asked_for_stay_packed(cifar10, tmp_path):
    others = [
        member("/outside", b"x"),
        member("../outside", b"x"),
        member(f"{FOLDER}/../../outside", b"x"),
        member(f"{FOLDER}/data_batch_6", b"x"),
        member("link", type=tarfile.SYMTYPE, linkname="/"),
        member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    ]
    cifar10(archive_of([*others, *whole_archive()]))
    download("cifar10", tmp_path / "data")
    assert sorted(tree(tmp_path)) == sorted(f"data/{file}" for file in BATCHES)


@pytest.mark.parametrize(
    "change", [lambda c: b"not an archive", lambda c: c[:-200], lambda c: c[:20] + c[30:]]
)
def test_damaged_archives_are_refused(cifar10, tmp_path, change):
    cifar10(change(archive_of(whole_archive())))
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz: "):
        download("cifar10", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_does_not_come(cifar10, tmp_path):
    cifar10(archive_of(whole_archive()), "404")
    with pytest.raises(
        ConnectionError, match=rf"unpack cifar-10-python\.tar\.gz in {re.escape(str(tmp_path))}"
    ):
        download("cifar10", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_the_data_filter_nothing_is_downloaded(server, cifar10, tmp_path, monkeypatch):
    cifar10(archive_of(whole_archive()))
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(RuntimeError, match=r"needs Python 3\.10\.12, 3\.11\.4"):
        download("cifar10", tmp_path)
    assert not server.requests


# ------------------------------------------------------------------------------------------- command line


def test_command_line(server, mnist, tmp_path, capsys):
    mnist("ok")
    assert data_utils.main(["mnist", "--directory", str(tmp_path)]) == 0
    assert tree(tmp_path / "mnist") == server.files
    assert capsys.readouterr().out.splitlines()[-1] == f"mnist: {tmp_path / 'mnist'}"


def test_command_line_goes_on_after_a_failure(server, mnist, cifar10, tmp_path, capsys):
    files = server.files
    cifar10(archive_of(whole_archive()), "404")
    server.files.update(files)
    mnist("ok")
    assert data_utils.main(["cifar10", "mnist", "--directory", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("cifar10: could not download cifar-10-python.tar.gz:\n")
    assert "Traceback" not in captured.err and tree(tmp_path / "mnist") == files


def test_command_line_with_a_folder_that_cannot_be(mnist, tmp_path, capsys):
    mnist("ok")
    (tmp_path / "file").write_text("keep")
    assert data_utils.main(["mnist", "--directory", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "keep"


def test_progress_on_a_terminal_stays_on_one_line(server, mnist, tmp_path, capsys, monkeypatch):
    mnist("ok")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    download("mnist", tmp_path)
    lines = [line for line in capsys.readouterr().out.split("\n") if line]
    assert len(lines) == 4 and all(line.startswith("\r") and "100%" in line for line in lines)
    assert "MB, 0 s left" in lines[0]


def test_progress_in_a_file_has_a_line_every_tenth(server, mnist, tmp_path, capsys):
    server.answers["halves"] = lambda handler, content: drip_in(handler, content, 40)
    mnist("halves")
    download("mnist", tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(IMAGES)]
    assert 5 <= len(lines) <= 11 and "100%" in lines[-1]
    assert all(re.fullmatch(r"\S+: +\d+%  0\.\d of 0\.\d MB, \d+ s left", line) for line in lines)


def drip_in(handler, content, parts):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    step = -(-len(content) // parts)
    for i in range(0, len(content), step):
        handler.wfile.write(content[i : i + step])
        time.sleep(0.005)


def command(*arguments):
    program = [sys.executable, str(Path(data_utils.__file__)), *arguments]
    return subprocess.run(program, capture_output=True, text=True)


def test_help():
    run = command("--help")
    assert run.returncode == 0
    names = ["mnist ", "fashion_mnist", "cifar10", "svhn", "--directory", "TWO_LAYER_NET_DATA"]
    facts = [
        "170.5 MB",
        "https://www.cs.toronto.edu/~kriz/",
        "datasets/README.md",
        "python data_utils.py mnist",
    ]
    for text in names + facts:
        assert text in run.stdout
    assert "mnist5k" not in run.stdout


@pytest.mark.parametrize("arguments", [(), ("imagenet",), ("mnist5k",), ("mnist", "--folder", "x")])
def test_wrong_usage(arguments):
    run = command(*arguments)
    assert run.returncode == 2 and "usage: data_utils.py" in run.stderr


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to one process")
def test_interrupted(server, mnist, tmp_path):
    mirrors = mnist("drip")
    facts = data_utils.DATASETS["mnist"]
    code = (
        "import sys, data_utils\n"
        f"data_utils.DATASETS['mnist'].update(mirrors={mirrors!r}, files={facts['files']!r})\n"
        "sys.exit(data_utils.main(['mnist', '--directory', sys.argv[1]]))"
    )
    run = subprocess.Popen(
        [sys.executable, "-u", "-c", code, str(tmp_path)],
        cwd=Path(data_utils.__file__).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert IMAGES in run.stdout.readline()  # in the middle of it
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=20)
    assert run.returncode == 130 and "stopped" in err and "Traceback" not in err
    assert tree(tmp_path / "mnist") == {}
