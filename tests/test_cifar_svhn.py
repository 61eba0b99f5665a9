"""Tests of data_utils: CIFAR-10's batches, which are pickles, and SVHN's .mat files."""

import copyreg
import os
import pickle
import re
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data_utils
from data_utils import get_CIFAR10_data, load_CIFAR10, load_dataset

BATCHES = (
    "data_batch_1",
    "data_batch_2",
    "data_batch_3",
    "data_batch_4",
    "data_batch_5",
    "test_batch",
)
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture(autouse=True)
def no_data_variable(monkeypatch):
    monkeypatch.delenv("TWO_LAYER_NET_DATA", raising=False)


def short(text):
    """Python 2's pickle of a short 8-bit string."""
    return b"U" + bytes([len(text)]) + text


def python2_array(rows, dtype=b"u1"):
    """The opcodes with which Python 2 writes an array: numpy's three names, the shape, the bytes."""
    shape = b"".join(b"J" + struct.pack("<i", n) for n in rows.shape)
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short(b"b") + b"\x87R"
        b"(K\x01(" + shape + b"tcnumpy\ndtype\n" + short(dtype) + b"K\x00K\x01\x87R"
        b"(K\x03" + short(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + struct.pack("<i", rows.size) + rows.tobytes() + b"tb"
    )


def python2_batch(rows, labels):
    """A batch as the official ones are: protocol 2, 8-bit strings, numpy.core."""
    names = b"".join(short(b"%d.png" % i) for i in range(len(labels)))
    return (
        b"\x80\x02}q\x01(" + short(b"batch_label") + b"q\x02" + short(b"training batch 1 of 5") + b"q\x03"
        + short(b"labels") + b"q\x04]q\x05(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
        + short(b"data") + b"q\x06" + python2_array(rows) + b"r\x07\x00\x00\x00"
        + short(b"filenames") + b"]q\x08(" + names + b"eu."
    )  # fmt: skip


def make_cifar10(folder, n=6, write=python2_batch):
    """Write six small batches of noise, n images each; returns rows (6 n, 3072) and labels, all of them."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = rng.integers(0, 256, (6 * n, 3072), np.uint8)
    labels = rng.integers(0, 10, 6 * n)
    for i, file in enumerate(BATCHES):
        part = slice(n * i, n * (i + 1))
        (folder / file).write_bytes(write(rows[part], labels[part].tolist()))
    return rows, labels


def as_images(rows):
    """Rows of red, green and blue planes as images (N, 32, 32, 3)."""
    return np.stack([rows[:, :1024], rows[:, 1024:2048], rows[:, 2048:]], axis=-1).reshape(
        -1, 32, 32, 3
    )


# -------------------------------------------------------------------------------- CIFAR-10 as it is


def test_the_tests_batch_is_a_pickle_that_python_reads_alike():
    rows = np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8)
    batch = pickle.loads(python2_batch(rows, [3, 9]), encoding="bytes")
    assert batch[b"labels"] == [3, 9] and batch[b"data"].dtype == np.uint8
    np.testing.assert_array_equal(batch[b"data"], rows)


def test_cifar10_as_loaded(tmp_path):
    rows, labels = make_cifar10(tmp_path / "cifar-10-batches-py")
    data = load_dataset("cifar10", directory=tmp_path, validation=7, normalize=False)
    assert data.name == "cifar10" and data.image_shape == (32, 32, 3)
    assert list(data.class_names) == CLASSES
    assert data.X_train.dtype == np.float32 and data.y_train.dtype == np.int64
    images = as_images(rows)
    assert (images[4, 5, 6] == rows[4, [5 * 32 + 6, 1024 + 5 * 32 + 6, 2048 + 5 * 32 + 6]]).all()
    flat = images.reshape(36, 3072)
    np.testing.assert_array_equal(data.X_train, flat[:23])
    np.testing.assert_array_equal(data.X_val, flat[23:30])
    np.testing.assert_array_equal(data.X_test, flat[30:])
    np.testing.assert_array_equal(np.concatenate([data.y_train, data.y_val, data.y_test]), labels)
    np.testing.assert_array_equal(data.to_pixels(data.X_test), images[30:])
    with pytest.raises(ValueError, match=r"validation must be in \[0, 30\), got 1000"):
        load_dataset("cifar10", directory=tmp_path)


def test_cifar10_normalized(tmp_path):
    rows, _ = make_cifar10(tmp_path / "cifar-10-batches-py")
    images = as_images(rows).reshape(36, 3072) / 255
    data = load_dataset("cifar10", directory=tmp_path, validation=10, dtype=np.float64)
    np.testing.assert_allclose(data.X_val, images[20:30] - images[:20].mean(axis=0), atol=1e-14)
    assert data.transform(as_images(rows)[30:]).tobytes() == data.X_test.tobytes()
    one = data.transform(as_images(rows)[31])
    assert one.shape == (1, 3072) and one.tobytes() == data.X_test[1].tobytes()


def python3_batch(protocol, kind=str, array=np.ascontiguousarray):
    def write(rows, labels):
        name = str if kind is str else str.encode
        return pickle.dumps({name("labels"): labels, name("data"): array(rows)}, protocol)

    return write


def other_numpy(write):
    """The same file as numpy 1.26 and 2 write it: each has another name for one module."""

    def renamed(rows, labels):
        content, new, old = (
            write(rows, labels),
            b"cnumpy._core.multiarray",
            b"cnumpy.core.multiarray",
        )
        assert new in content or old in content
        return content.replace(new, old) if new in content else content.replace(old, new)

    return renamed


@pytest.mark.parametrize(
    "write",
    [
        python3_batch(3),
        python3_batch(4),
        python3_batch(3, bytes),
        python3_batch(4, bytes),
        python3_batch(4, array=np.asfortranarray),
        other_numpy(python3_batch(3)),
        other_numpy(python2_batch),
    ],
    ids=["3", "4", "3 bytes", "4 bytes", "column by column", "3, other numpy", "2, other numpy"],
)
@pytest.mark.parametrize("n", [1, 6])
def test_cifar10_pickled_otherwise(tmp_path, write, n):
    rows, labels = make_cifar10(tmp_path / "cifar", n, write)
    Xtr, Ytr, Xte, Yte = load_CIFAR10(tmp_path / "cifar")
    np.testing.assert_array_equal(np.concatenate([Xtr, Xte]), as_images(rows))
    np.testing.assert_array_equal(np.concatenate([Ytr, Yte]), labels)


def test_lists_longer_than_a_pickles_portions(
    tmp_path,
):  # which are of 1000 items: the last one comes alone
    make_cifar10(tmp_path / "x")
    rows, labels = np.zeros((1001, 3072), np.uint8), [i % 10 for i in range(1001)]
    (tmp_path / "x" / "test_batch").write_bytes(python3_batch(4)(rows, labels))
    assert load_CIFAR10(tmp_path / "x")[3].tolist() == labels


def test_load_CIFAR10(tmp_path):
    rows, labels = make_cifar10(tmp_path / "x")
    Xtr, Ytr, Xte, Yte = load_CIFAR10(str(tmp_path / "x"))
    assert Xtr.shape == (30, 32, 32, 3) and Xte.shape == (6, 32, 32, 3)
    assert Xtr.dtype == Xte.dtype == np.float64 and Ytr.dtype.kind == Yte.dtype.kind == "i"
    np.testing.assert_array_equal(Xtr, as_images(rows)[:30])
    np.testing.assert_array_equal(Yte, labels[30:])


def test_get_CIFAR10_data(tmp_path, monkeypatch):
    rows, labels = make_cifar10(tmp_path / "cifar-10-batches-py")
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path))
    data = get_CIFAR10_data(20, 4, 3)
    assert list(data) == ["X_train", "y_train", "X_val", "y_val", "X_test", "y_test"]
    images = rows.reshape(36, 3, 32, 32).astype(float)
    mean = images[:20].mean(axis=0)
    for part, rows_of in (("train", slice(0, 20)), ("val", slice(20, 24)), ("test", slice(30, 33))):
        X = data[f"X_{part}"]
        assert X.dtype == np.float64 and X.flags.c_contiguous
        np.testing.assert_allclose(X, images[rows_of] - mean, atol=1e-12)
        np.testing.assert_array_equal(data[f"y_{part}"], labels[rows_of])
    raw = get_CIFAR10_data(num_training=30, num_validation=0, num_test=6, subtract_mean=False)
    np.testing.assert_array_equal(np.concatenate([raw["X_train"], raw["X_test"]]), images)
    assert raw["X_val"].shape == (0, 3, 32, 32)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, r"30 with num_validation and 6 test images.*'num_training': 49000"),
        ({"num_training": 0}, ValueError, "num_training >= 1.*'num_training': 0"),
        ({"num_training": 31, "num_validation": 0}, ValueError, "got .*31"),
        ({"num_training": 40, "num_validation": -10}, ValueError, "num_validation must be .*-10"),
        ({"num_test": -1}, ValueError, "num_test must be .*-1"),
        ({"num_test": 7}, ValueError, "'num_test': 7"),
        ({"num_training": 10.0}, TypeError, r"num_training must be an integer in .*got 10\.0"),
        ({"num_validation": True}, TypeError, "num_validation must be an integer in .*got True"),
        ({"subtract_mean": None}, TypeError, "subtract_mean must be True or False, got None"),
    ],
)
def test_get_CIFAR10_data_refuses(tmp_path, monkeypatch, options, error, message):
    make_cifar10(tmp_path / "cifar-10-batches-py")
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path))
    sizes = {"num_training": 20, "num_validation": 4, "num_test": 3} if options else {}
    with pytest.raises(error, match=message):
        get_CIFAR10_data(**{**sizes, **options})


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "svhn"])
def test_missing_folder(tmp_path, monkeypatch, name):
    folder = re.escape(str(tmp_path / ("cifar-10-batches-py" if name == "cifar10" else name)))
    command = rf"`python data_utils\.py {name} --directory {re.escape(str(tmp_path))}` downloads"
    with pytest.raises(FileNotFoundError, match=f"{folder}; {command}"):
        load_dataset(name, directory=tmp_path)
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=rf"{folder}; `python data_utils\.py {name}` downloads"
    ):
        load_dataset(name)


@pytest.mark.parametrize("missing", BATCHES)
def test_missing_batch(tmp_path, missing):
    make_cifar10(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py" / missing).unlink()
    with pytest.raises(
        FileNotFoundError, match=f"{missing} is not in .*{re.escape(str(tmp_path))}"
    ):
        load_dataset("cifar10", directory=tmp_path)


# --------------------------------------------------------------------------- CIFAR-10 as it is not


def refuse(folder, content, match=""):
    """Check that a batch with this content is refused by a ValueError that names it."""
    path = folder / "data_batch_1"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ") + f".*{match}"):
        load_CIFAR10(folder)


ROWS = np.zeros((2, 3072), np.uint8)
TWO_ROWS = b"J\x02\0\0\0J\x00\x0c\0\0"  # their shape in Python 2's pickle
DATA, LABELS = b"data", b"labels"
WRONG_BATCHES = {
    "list": ([ROWS, [1, 2]], ""),
    "number": (3, ""),
    "no data": ({LABELS: [1, 2]}, "data"),
    "no labels": ({DATA: ROWS}, "labels"),
    "label 10": ({DATA: ROWS, LABELS: [1, 10]}, r"integers 0\.\.9"),
    "label -1": ({DATA: ROWS, LABELS: [-1, 1]}, r"integers 0\.\.9"),
    "label True": ({DATA: ROWS, LABELS: [True, 1]}, r"integers 0\.\.9"),
    "label None": ({DATA: ROWS, LABELS: [1, None]}, r"integers 0\.\.9"),
    "label '1'": ({DATA: ROWS, LABELS: ["1", 1]}, r"integers 0\.\.9"),
    "labels in a tuple": ({DATA: ROWS, LABELS: (1, 2)}, r"integers 0\.\.9"),
    "labels in bytes": ({DATA: ROWS, LABELS: b"\1\2"}, r"integers 0\.\.9"),
    "labels in an array": ({DATA: ROWS, LABELS: np.array([1, 2], np.uint8)}, r"integers 0\.\.9"),
    "a label fewer": ({DATA: ROWS, LABELS: [1]}, r"shape \(1, 3072\)"),
    "a label more": ({DATA: ROWS, LABELS: [1, 2, 3]}, r"shape \(3, 3072\)"),
    "empty": ({DATA: ROWS[:0], LABELS: []}, r"integers 0\.\.9"),
    "data in bytes": ({DATA: bytes(6144), LABELS: [1, 2]}, r"shape \(2, 3072\)"),
    "images": ({DATA: ROWS.reshape(2, 3, 32, 32), LABELS: [1, 2]}, r"shape \(2, 3072\)"),
    "narrow": ({DATA: ROWS[:, 1:], LABELS: [1, 2]}, r"shape \(2, 3072\)"),
    "one row": ({DATA: ROWS[0], LABELS: [1]}, r"shape \(1, 3072\)"),
    "int8": ({DATA: ROWS.astype(np.int8), LABELS: [1, 2]}, "uint8"),
    "float": ({DATA: ROWS.astype(float), LABELS: [1, 2]}, "uint8"),
    "objects": ({DATA: ROWS.astype(object), LABELS: [1, 2]}, ""),
    "record": ({DATA: np.zeros(2, "u1,u1"), LABELS: [1, 2]}, ""),
}


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("kind", WRONG_BATCHES)
def test_a_pickle_of_something_else_is_refused(tmp_path, kind, protocol):
    make_cifar10(tmp_path / "x")
    batch, message = WRONG_BATCHES[kind]
    refuse(tmp_path / "x", pickle.dumps(batch, protocol), message)


@pytest.mark.parametrize("protocol", [0, 1, 2, 5])
def test_a_protocol_that_is_not_read_is_refused(tmp_path, protocol):
    make_cifar10(tmp_path / "x")
    refuse(tmp_path / "x", pickle.dumps({DATA: ROWS, LABELS: [1, 2]}, protocol))


def test_a_damaged_test_batch_is_the_one_named(tmp_path):
    make_cifar10(tmp_path / "cifar-10-batches-py")
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load_dataset("cifar10", directory=tmp_path, validation=1)


WHOLE = python2_batch(ROWS, [1, 2])


@pytest.mark.parametrize(
    "at", [0, 1, 2, 5, 20, 60, 100, 250, 2000, len(WHOLE) - 30, len(WHOLE) - 1]
)
def test_a_cut_batch_is_refused(tmp_path, at):
    make_cifar10(tmp_path / "x")
    refuse(tmp_path / "x", WHOLE[:at])


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    seed=st.sampled_from(["2", "3", "4"]),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_mutated_batch_loads_or_is_refused_by_name(tmp_path_factory, seed, changes):
    base = WHOLE if seed == "2" else pickle.dumps({DATA: ROWS, LABELS: [1, 2]}, int(seed))
    content = bytearray(base)
    for at, value in changes:  # the header and what follows the pixels: where the opcodes are
        content[at if at < 250 else at - 401] = value
    folder = tmp_path_factory.mktemp("x")
    for file in BATCHES:
        (folder / file).write_bytes(content if file == "data_batch_3" else WHOLE)
    try:
        Xtr, Ytr, _, _ = load_CIFAR10(folder)
    except ValueError as error:
        assert str(folder / "data_batch_3") in str(error)
    else:
        assert (
            Xtr.shape[1:] == (32, 32, 3)
            and len(Xtr) == len(Ytr)
            and 0 <= Ytr.min() <= Ytr.max() <= 9
        )


class Call:
    """Pickled as a call of function(*arguments)."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def in_batch(opcodes, start=b"\x80\x02"):
    """A batch whose data is what the opcodes make."""
    return start + b"}(" + short(b"labels") + b"](K\x01K\x02e" + short(b"data") + opcodes + b"u."


def hostile(path):
    """Pickles that would make a file at path, by name."""
    command = f"touch {path}"
    python = f"open({str(path)!r}, 'w').close()"
    calls = {
        "os.system": Call(os.system, command),
        "eval": Call(eval, python),
        "exec": Call(exec, python),
        "open": Call(open, str(path), "w"),
        "Popen": Call(subprocess.Popen, ["touch", str(path)]),
        "import": Call(getattr, Call(__import__, "os"), "system"),
    }
    text, array = command.encode(), python2_array(ROWS)
    call = short(text) + b"\x85R."
    files = {
        "INST": b"(" + short(text) + b"ios\nsystem\n.",
        "OBJ": b"\x80\x02(cos\nsystem\n" + short(text) + b"o.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(" + short(text) + b"t\x81.",
        "BUILD": b"\x80\x02cos\nsystem\n" + short(text) + b"b.",
        "EXT1": b"\x80\x02\x82\xf0" + call,
        "EXT2": b"\x80\x02\x83\xf0\x00" + call,
        "EXT4": b"\x80\x02\x84\xf0\x00\x00\x00" + call,
        "chain of getattr": b"\x80\x02cbuiltins\ngetattr\ncbuiltins\n__import__\n" + short(b"os") + b"\x85R"
        + short(b"system") + b"\x86R" + call,
        "persistent id": b"\x80\x02" + short(text) + b"Q.",
        "persistent id as text": b"Ptouch\n.",
        "as numpy's": b"\x80\x02cnumpy.core.multiarray\nos.system\n" + call,
        "another of numpy's": b"\x80\x02cnumpy\nload\n" + call,
        "name in two": b"\x80\x02cnumpy.core\nmultiarray._reconstruct.x\n" + call,
        "in an array's shape": in_batch(array.replace(TWO_ROWS, b"cos\nsystem\n" + call[:-1])),
        "in place of the dtype": in_batch(array.replace(b"cnumpy\ndtype", b"cos\nsystem")),
        "in a key": b"\x80\x02}cos\nsystem\n" + call[:-1] + b"K\x01s.",
        "after a whole batch": WHOLE[:-1] + b"cos\nsystem\n" + call,
    }  # fmt: skip
    for name, call in calls.items():
        for protocol in range(6):
            files[f"{name} {protocol}"] = pickle.dumps(call, protocol)
            files[f"{name} in a dict {protocol}"] = pickle.dumps(
                {LABELS: [1, 2], DATA: call}, protocol
            )
            files[f"{name} nested {protocol}"] = pickle.dumps(
                {LABELS: [[([call],)]], DATA: ROWS}, protocol
            )
    return files


def test_hostile_pickles_run_nothing(tmp_path):
    make_cifar10(tmp_path / "x")
    copyreg.add_extension("posix" if os.name == "posix" else "nt", "system", 240)
    try:
        ran = tmp_path / "ran"
        files = hostile(ran)
        live = [
            name
            for name in files
            if name.startswith(("os.system", "exec", "INST", "EXT", "OBJ", "chain"))
        ]
        assert len(live) > 30
        for name in (
            live
        ):  # the attacks are real: the usual reader runs them, and remembers the extension code
            pickle.loads(files[name])
            assert ran.exists(), name
            ran.unlink()
        for name, content in files.items():
            refuse(tmp_path / "x", content)
            assert not ran.exists(), name
    finally:
        copyreg.remove_extension("posix" if os.name == "posix" else "nt", "system", 240)
        copyreg.clear_extension_cache()


def claims(shape):
    """A batch whose array says it has this shape, without the bytes."""
    dims = b"".join(b"J" + struct.pack("<i", n) for n in shape)
    return in_batch(python2_array(ROWS).replace(TWO_ROWS, dims))


NEST = b"".join([b"\x80\x02]", b"](" * 100_000, b"e" * 100_000, b"."])
KEYS = b"\x80\x02}K\x01\x85" + b"".join(b"q\x00h\x00h\x00\x87" for _ in range(100)) + b"K\x01s."
BOMBS = {
    "nested lists": NEST,
    "nested tuples": b"\x80\x02)" + b"\x85" * 150_000 + b".",
    "nested tuples as a key": KEYS,
    "memo index": b"\x80\x02}r\xff\xff\xff\x7f.",
    "string": b"\x80\x02T\xff\xff\xff\x7fabc.",
    "negative string": b"\x80\x02T\xff\xff\xff\xffabc.",
    "bytes": b"\x80\x03B\xff\xff\xff\xffabc.",
    "bytes of 2**60": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b".",
    "bytearray of 2**40": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"}.",
    "integer": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "decimal": b"I" + b"9" * 10**6 + b"\n.",
    "marks": b"(" * 10**6,
    "a million lists one after the other": b"\x80\x02}(" + b"]" * 10**6 + b"u.",
    "lists": b"]" * 10**6,
    "shape": claims((2**31 - 1, 2**31 - 1)),
    "shape of nothing": claims((2**31 - 1, 0)),
    "many dimensions": claims([1] * 1000 + [2, 3072]),
    "shape to be guessed": claims((-1, -1)),
    "ndarray called": in_batch(b"cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R"),
    "ndarray as its own type": in_batch(b"cnumpy\nndarray\ncnumpy\nndarray\n\x85R"),
    "reconstruct of a dtype": in_batch(
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nJ\xff\xff\xff\x7f\x85"
        + short(b"b")
        + b"\x87R"
    ),
    "dtype of objects": in_batch(python2_array(ROWS, b"O8")),
    "dtype of 2 GB": in_batch(python2_array(ROWS, b"V2147483647")),
    "dtype from a memo": in_batch(b"cnumpy\ndtype\nh\x07\x85R"),
    "dtype without arguments": in_batch(b"cnumpy\ndtype\n(tR"),
    "state of a function": in_batch(b"cnumpy\ndtype\n}b"),
    "array without state": in_batch(python2_array(ROWS)[: python2_array(ROWS).index(b"R") + 1]),
    "array in itself": in_batch(
        python2_array(ROWS)
        .replace(b"\x87R(K\x01", b"\x87Rq\x09(K\x01")
        .replace(b"\x89T", b"\x89h\x09T")
    ),
    "list in itself": b"\x80\x02]q\x00h\x00a.",
    "dict in itself": b"\x80\x02}q\x00("
    + short(b"data")
    + b"h\x00"
    + short(b"labels")
    + b"h\x00u.",
    "dict as a list": b"\x80\x02}(K\x01K\x02e.",
    "list as a dict": b"\x80\x02](K\x01K\x02u.",
    "half an entry": b"\x80\x02}(" + short(b"data") + b"u.",
    "empty stack": b"\x80\x02.",
    "no mark": b"\x80\x02e.",
    "no stop": WHOLE[:-1],
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_and_take_no_memory(tmp_path, name):
    make_cifar10(tmp_path / "x")
    tracemalloc.start()
    try:
        refuse(tmp_path / "x", BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


def test_a_file_too_large_is_not_read(tmp_path):
    make_cifar10(tmp_path / "x")
    with open(tmp_path / "x" / "data_batch_2", "wb") as f:
        f.truncate(2**36)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="data_batch_2: has more than 40000000 bytes"):
            load_CIFAR10(tmp_path / "x")
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


# --------------------------------------------------------------------------------------------- SVHN


def make_svhn(folder, n_train=25, n_test=11, compress=True):
    """Write SVHN's two files with noise; returns what is in them: images (32, 32, 3, N), labels 1..10."""
    scipy_io = pytest.importorskip("scipy.io")
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    content = {}
    for part, n in (("train", n_train), ("test", n_test)):
        X, y = (
            rng.integers(0, 256, (32, 32, 3, n), np.uint8),
            (np.arange(n) % 10 + 1).astype(np.uint8),
        )
        scipy_io.savemat(
            folder / f"{part}_32x32.mat",
            {"X": X, "y": y[:, None]},
            do_compression=compress,
            oned_as="column",
        )
        content[part] = X, y
    return content


@pytest.mark.parametrize("compress", [False, True])
def test_svhn_as_loaded(tmp_path, compress):
    content = make_svhn(tmp_path / "svhn", compress=compress)
    data = load_dataset("svhn", directory=tmp_path, validation=5, normalize=False)
    assert (
        data.name == "svhn"
        and data.image_shape == (32, 32, 3)
        and data.class_names == tuple("0123456789")
    )
    X, y = content["train"]
    assert data.X_train.shape == (20, 3072) and data.X_val.shape == (5, 3072)
    np.testing.assert_array_equal(data.X_train[7].reshape(32, 32, 3), X[..., 7])
    np.testing.assert_array_equal(data.X_val[4].reshape(32, 32, 3), X[..., 24])
    assert (
        data.y_train[:12].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
        and data.y_train.dtype == np.int64
    )
    X, y = content["test"]
    np.testing.assert_array_equal(data.to_pixels(data.X_test), X.transpose(3, 0, 1, 2))
    np.testing.assert_array_equal(data.y_test, y % 10)
    with pytest.raises(ValueError, match=r"validation must be in \[0, 25\), got 3257"):
        load_dataset("svhn", directory=tmp_path)


def test_svhn_without_scipy(tmp_path, monkeypatch):
    (tmp_path / "svhn").mkdir()
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match="python -m pip install scipy"):
        load_dataset("svhn", directory=tmp_path)


def test_scipy_is_imported_for_svhn_only():
    code = (
        "import sys, data_utils; data_utils.load_dataset('mnist5k'); print('scipy' in sys.modules)"
    )
    project = Path(data_utils.__file__).parent
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"


@pytest.mark.parametrize("missing", ["train_32x32.mat", "test_32x32.mat"])
def test_missing_mat_file(tmp_path, missing):
    make_svhn(tmp_path / "svhn")
    (tmp_path / "svhn" / missing).unlink()
    with pytest.raises(
        FileNotFoundError, match=f"{missing} is not in .*{re.escape(str(tmp_path / 'svhn'))}"
    ):
        load_dataset("svhn", directory=tmp_path)


IMAGES = np.zeros((32, 32, 3, 4), np.uint8)
DIGITS = np.array([[1], [10], [3], [4]], np.uint8)
WRONG_MATS = {
    "no X": {"y": DIGITS},
    "no y": {"X": IMAGES},
    "label 0": {"X": IMAGES, "y": DIGITS - 1},
    "label 11": {"X": IMAGES, "y": DIGITS + 1},
    "negative label": {"X": IMAGES, "y": -DIGITS.astype(np.int8)},
    "real labels": {"X": IMAGES, "y": DIGITS / 2},
    "real images": {"X": IMAGES / 255, "y": DIGITS},
    "signed images": {"X": IMAGES.astype(np.int8), "y": DIGITS},
    "complex images": {"X": IMAGES + 1j, "y": DIGITS},
    "other order": {"X": IMAGES.transpose(3, 0, 1, 2), "y": DIGITS},
    "gray": {"X": IMAGES[:, :, :1], "y": DIGITS},
    "a label fewer": {"X": IMAGES, "y": DIGITS[1:]},
    "no images": {"X": IMAGES[..., :0], "y": DIGITS[:0]},
    "text": {"X": "images", "y": DIGITS},
    "struct": {"X": {"a": {"b": IMAGES}}, "y": DIGITS},
    "cell": {"X": IMAGES, "y": np.array([1, "a", 3.0, IMAGES], object)},
    "bool": {"X": IMAGES > 3, "y": DIGITS},
}


def refuse_mat(folder, match=""):
    path = folder / "svhn" / "train_32x32.mat"
    with pytest.raises(ValueError, match=re.escape(f"{path}: ") + f".*{match}"):
        load_dataset("svhn", directory=folder, validation=0)


@pytest.mark.parametrize("kind", WRONG_MATS)
def test_a_mat_file_of_something_else_is_refused(tmp_path, kind):
    make_svhn(tmp_path / "svhn")
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "svhn" / "train_32x32.mat", WRONG_MATS[kind])
    refuse_mat(tmp_path)


def test_damaged_mat_files_are_refused(tmp_path):
    make_svhn(tmp_path / "svhn")
    path = tmp_path / "svhn" / "train_32x32.mat"
    whole = path.read_bytes()
    make_svhn(tmp_path / "plain", compress=False)
    plain = (tmp_path / "plain" / "train_32x32.mat").read_bytes()
    broken = [
        b"",
        b"text",
        whole[:100],
        whole[:130],
        whole[:1000],
        whole[:-40],
        whole[:-1],
        plain[:3000],
    ]
    broken.append(whole[:128] + bytes([whole[128] ^ 3]) + whole[129:])
    broken.append(whole[:5000] + bytes(100) + whole[5100:])
    broken.append(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    # what scipy alone would crash on: unknown type of values, complex without the second part, odd flags
    broken += [plain[:184] + b"\xff" + plain[185:], plain[:145] + b"\x08" + plain[146:]]
    broken.append(plain[:136] + b"\6\0\4\0\x08\0\0\0" + plain[144:])
    broken.append(b"MATLAB 5.0".ljust(124) + b"\1\0MI" + plain[128:])  # big-endian
    broken.append(
        struct.pack("<5i", 0, 2**15, 2**15, 0, 2) + b"X\0" + bytes(8)
    )  # level 4: 8 GB of doubles
    for content in broken:
        path.write_bytes(content)
        refuse_mat(tmp_path)


def test_a_mat_file_that_claims_too_much_takes_no_memory(tmp_path):
    make_svhn(tmp_path / "svhn", compress=False)
    path = tmp_path / "svhn" / "train_32x32.mat"
    content = path.read_bytes()
    assert content.count(struct.pack("<4i", 32, 32, 3, 25)) == 1
    path.write_bytes(
        content.replace(struct.pack("<4i", 32, 32, 3, 25), struct.pack("<4i", 32, 32, 3, 2**30))
    )
    tracemalloc.start()
    try:
        refuse_mat(tmp_path, "too large an array")
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (struct.pack("<2I", 2, 76800), struct.pack("<2I", 2, 2**31), "shape and size do not fit"),
        (struct.pack("<2I", 2, 76800), struct.pack("<2I", 4, 76800), "shape and size do not fit"),
        (
            struct.pack("<4i", 32, 32, 3, 25),
            struct.pack("<4i", 32, 32, 3, 24),
            "shape and size do not fit",
        ),
        (
            struct.pack("<4i", 32, 32, 3, 25),
            struct.pack("<4i", 32, 32, 3, 2**14),
            "too large an array",
        ),
    ],
)
def test_a_mat_file_whose_sizes_do_not_fit_is_refused_before_scipy_reads_it(
    tmp_path, old, new, match
):
    make_svhn(tmp_path / "svhn", compress=False)
    path = tmp_path / "svhn" / "train_32x32.mat"
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    refuse_mat(tmp_path, match)


def test_a_mat_file_of_many_elements_is_refused(tmp_path):
    make_svhn(tmp_path / "svhn")
    path = tmp_path / "svhn" / "train_32x32.mat"
    content = path.read_bytes()
    path.write_bytes(content + content[128:] * 60)
    refuse_mat(tmp_path, "more than 100 elements")


# ------------------------------------------------------------------------------------ full CIFAR-10


@pytest.fixture
def full_cifar10():
    directory = Path(FULL_DIRECTORY or Path(data_utils.__file__).resolve().parent / "datasets")
    if not (directory / "cifar-10-batches-py").is_dir():
        pytest.skip(f"cifar-10-batches-py is not in {directory}")
    return directory


FULL_DIRECTORY = os.environ.get("TWO_LAYER_NET_DATA")


@pytest.mark.full_data
def test_full_cifar10(full_cifar10):
    data = load_dataset("cifar10", directory=full_cifar10)
    assert (len(data.X_train), len(data.X_val), len(data.X_test)) == (49000, 1000, 10000)
    assert np.bincount(np.concatenate([data.y_train, data.y_val])).tolist() == [5000] * 10
    assert np.bincount(data.y_test).tolist() == [1000] * 10
    assert abs(data.X_train.mean()) < 1e-5 and 0.2 < data.X_train.std() < 0.3
    # neighbouring pixels of a photograph are alike: those of a wrong order of axes are less so
    images = data.to_pixels(data.X_test)
    assert abs(np.diff(images, axis=1)).mean() < 20 and abs(np.diff(images, axis=2)).mean() < 20
    blue_sky = data.class_names.index("airplane"), data.class_names.index("frog")
    red, blue = (images[..., channel].mean(axis=(1, 2)) for channel in (0, 2))
    more_blue = [(blue - red)[data.y_test == label].mean() for label in blue_sky]
    assert more_blue[0] > 5 > -5 > more_blue[1]


@pytest.mark.full_data
def test_full_cifar10_takes_at_most_twice_the_memory_of_its_rows(full_cifar10):
    code = (
        "import resource, sys, data_utils\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        "data_utils.load_dataset('cifar10', directory=sys.argv[1])\n"
        "print(peak() - before)"
    )
    command = [sys.executable, "-c", code, str(full_cifar10)]
    project = Path(data_utils.__file__).parent
    run = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert int(run.stdout) < 2 * 60000 * 3072 * 4


@pytest.mark.full_data
def test_full_cifar10_as_in_cs231n(full_cifar10, monkeypatch):
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(full_cifar10))
    data = get_CIFAR10_data()
    assert data["X_train"].shape == (49000, 3, 32, 32) and data["X_train"].dtype == np.float64
    assert data["X_val"].shape == data["X_test"].shape == (1000, 3, 32, 32)
    assert abs(data["X_train"].mean(axis=0)).max() < 1e-9
    ours = load_dataset("cifar10", directory=full_cifar10)
    np.testing.assert_array_equal(data["y_train"], ours.y_train)
    rows = data["X_val"].transpose(0, 2, 3, 1).reshape(1000, 3072) / 255
    np.testing.assert_allclose(rows, ours.X_val, atol=1e-6)
