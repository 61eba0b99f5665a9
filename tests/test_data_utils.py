"""Tests of data_utils: IDX files, datasets, one-hot labels."""

import doctest
import gzip
import hashlib
import os
import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.image import imsave

import data_utils
from data_utils import (
    load_dataset,
    load_transform,
    one_hot_decode,
    one_hot_encode,
    read_idx,
    write_idx,
)

PROJECT = Path(data_utils.__file__).resolve().parent
KINDS = ("images-idx3", "labels-idx1")
FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in KINDS)
COUNTS = {"train": 30, "t10k": 12}
repeatable = settings(derandomize=True, deadline=None, max_examples=60)


@pytest.fixture(autouse=True)
def no_data_variable(monkeypatch):
    monkeypatch.delenv("TWO_LAYER_NET_DATA", raising=False)


def make_set(folder, suffix=".gz", seed=0):
    """Write a small dataset of noise in MNIST's files; returns what is in them, by name."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    content = {}
    for part, n in COUNTS.items():
        content[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        content[f"{part}-labels-idx1-ubyte"] = rng.integers(0, 10, n, np.uint8)
    for name, array in content.items():
        write_idx(folder / f"{name}{suffix}", array)
    return content


def raw_mnist5k(part):
    return [
        read_idx(PROJECT / "datasets" / "mnist5k" / f"{part}-{kind}-ubyte.gz") for kind in KINDS
    ]


def peak_memory(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_module_example():
    result = doctest.testmod(data_utils)
    assert result.attempted >= 3 and result.failed == 0


# ---------------------------------------------------------------------------------------- IDX files


@repeatable
@given(
    array=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6)),
    suffix=st.sampled_from(["", ".gz"]),
)
def test_idx_round_trip(tmp_path_factory, array, suffix):
    path = tmp_path_factory.mktemp("idx") / f"x-ubyte{suffix}"
    write_idx(path, array)
    back = read_idx(str(path))
    assert back.dtype == np.uint8 and back.shape == array.shape
    np.testing.assert_array_equal(back, array)


def test_idx_bytes_are_the_documented_ones(tmp_path):
    expected = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 1, 44]) + bytes(range(200)) * 3
    array = np.frombuffer(bytes(range(200)) * 3, np.uint8).reshape(2, 300)
    write_idx(tmp_path / "x", np.asfortranarray(array))
    assert (tmp_path / "x").read_bytes() == expected
    write_idx(tmp_path / "x.gz", array)
    assert gzip.decompress((tmp_path / "x.gz").read_bytes()) == expected
    (tmp_path / "y.gz").write_bytes(gzip.compress(expected, 1))
    np.testing.assert_array_equal(read_idx(tmp_path / "y.gz"), array)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_is_written_can_be_read(tmp_path, suffix):
    """Also an array that gzip makes so small that it would be taken for a bomb."""
    array = np.zeros((51_200, 784), np.uint8)
    write_idx(tmp_path / f"x{suffix}", array)
    assert read_idx(tmp_path / f"x{suffix}").shape == array.shape


def test_idx_gzip_depends_on_the_array_only(tmp_path, monkeypatch):
    array = np.arange(100, dtype=np.uint8)
    write_idx(tmp_path / "x.gz", array)
    monkeypatch.setattr("time.time", lambda: 1e9)
    write_idx(tmp_path / "other.gz", array)
    assert (tmp_path / "x.gz").read_bytes() == (tmp_path / "other.gz").read_bytes()


def test_read_idx_array_can_be_written_to(tmp_path):
    write_idx(tmp_path / "x.gz", np.zeros((2, 3), np.uint8))
    array = read_idx(tmp_path / "x.gz")
    array[1, 2] = 7
    assert array.sum() == 7


WHOLE = bytes([0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 50]) + bytes(range(150))
PACKED = gzip.compress(WHOLE, mtime=0)
BROKEN = {
    "empty": ("x", b"", "not an IDX file"),
    "empty gzip": ("x.gz", b"", "ends too early"),
    "half a magic": ("x", WHOLE[:3], "not an IDX file"),
    "wrong first byte": ("x", b"\x01" + WHOLE[1:], "starts with '01 00 08 02'"),
    "wrong second byte": ("x", b"\x00\x02" + WHOLE[2:], "starts with '00 02 08 02'"),
    "floats": ("x", b"\0\0\x0d" + WHOLE[3:], "starts with '00 00 0d 02'"),
    "gzipped without .gz": ("x", PACKED, "starts with '1f 8b"),
    "header cut": ("x", WHOLE[:11], "header"),
    "cut": ("x", WHOLE[:-1], "needs 150 bytes, but it holds 149"),
    "cut before gzipping": ("x.gz", gzip.compress(WHOLE[:-1]), "needs 150 bytes, but it holds 149"),
    "too long": ("x", WHOLE + b"\0", "needs 150 bytes, but it holds more"),
    "too long before gzipping": ("x.gz", gzip.compress(WHOLE + b"\0"), "it holds more"),
    "not gzip": ("x.gz", WHOLE, "incorrect header check"),
    "gzip cut in its header": ("x.gz", PACKED[:6], "ends too early"),
    "gzip cut in its data": ("x.gz", PACKED[:60], "ends too early"),
    "gzip without checksum": ("x.gz", PACKED[:-8], "ends too early"),
    "gzip with wrong checksum": (
        "x.gz",
        PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:],
        "incorrect data check",
    ),
    "gzip with damaged data": ("x.gz", PACKED[:10] + b"\xff\xff\xff" + PACKED[13:], "Error -3"),
    "gzip with more behind it": ("x.gz", PACKED + b"more", "goes on behind its end"),
    "gzip in parts": (
        "x.gz",
        gzip.compress(WHOLE[:50]) + gzip.compress(WHOLE[50:]),
        "goes on behind its end",
    ),
    "gzip with an endless name": (
        "x.gz",
        PACKED[:3] + b"\x08" + 6 * b"\0" + 2**20 * b"a",
        "ends too early",
    ),
    "claims 2**31 bytes": (
        "x",
        struct.pack(">HBBI", 0, 8, 1, 2**31) + bytes(9),
        "needs 2147483648 bytes.* 9",
    ),
    "claims 2**93 bytes": (
        "x.gz",
        gzip.compress(struct.pack(">HBB3I", 0, 8, 3, *[2**31] * 3)),
        "holds 0",
    ),
    "claims 255 dimensions": ("x", b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0", "dim"),
    "claims too large an empty array": (
        "x",
        struct.pack(">HBB4I", 0, 8, 4, *[2**31] * 3, 0),
        "array|dim",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_read_idx_refuses_a_broken_file(tmp_path, kind):
    name, content, message = BROKEN[kind]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ") + f".*{message}"):
        read_idx(path)


@pytest.mark.parametrize(
    ("shape", "filler"),
    [((10,), 64 * 2**20), ((2**31,), 100), ((2**32 - 1, 2**32 - 1, 28), 0)],
    ids=["bomb", "2**31", "2**69"],
)
def test_read_idx_takes_no_memory_for_what_is_not_there(tmp_path, shape, filler):
    path = tmp_path / "x.gz"
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape))
        f.write(bytes(filler))

    def refuse():
        with pytest.raises(ValueError, match=r"x\.gz"):
            read_idx(path)

    assert peak_memory(refuse) < 4 * 2**20


def test_read_idx_refuses_a_bomb_that_keeps_its_word(tmp_path):
    path, n = tmp_path / "x.gz", 2**27
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(struct.pack(">HBBI", 0, 8, 1, n) + bytes(n))

    def refuse():
        with pytest.raises(
            ValueError, match=r"x\.gz: unpacks to more than 33554432 bytes, 20 times its size"
        ):
            read_idx(path)

    assert peak_memory(refuse) < 100 * 2**20


def test_read_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere.gz")


@pytest.mark.parametrize("array", [[1, 2], np.zeros(3), np.zeros(3, np.int8), np.zeros(3, bool)])
def test_write_idx_refuses_other_types_and_keeps_the_old_file(tmp_path, array):
    path = tmp_path / "x.gz"
    write_idx(path, np.arange(5, dtype=np.uint8))
    with pytest.raises(TypeError, match="array must be uint8, got"):
        write_idx(path, array)
    assert read_idx(path).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_write_idx_that_fails_keeps_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "x.gz"
    write_idx(path, np.arange(5, dtype=np.uint8))

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="disk full"):
        write_idx(path, np.zeros(3, np.uint8))
    assert read_idx(path).tolist() == [0, 1, 2, 3, 4]
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------------ mnist5k


def test_mnist5k_as_loaded():
    data = load_dataset("mnist5k")
    assert data.name == "mnist5k" and data.image_shape == (28, 28)
    assert data.class_names == tuple("0123456789")
    for X, y, n in (
        (data.X_train, data.y_train, 3200),
        (data.X_val, data.y_val, 800),
        (data.X_test, data.y_test, 1000),
    ):
        assert X.shape == (n, 784) and X.dtype == np.float32 and X.flags.c_contiguous
        assert y.shape == (n,) and y.dtype == np.int64
    assert data.y_train[:8].tolist() == [6, 0, 5, 4, 9, 9, 8, 3]
    assert data.y_test[:8].tolist() == [6, 3, 0, 8, 8, 3, 0, 0]
    assert (
        repr(data) == "<Dataset mnist5k: X_train (3200, 784), X_val (800, 784), X_test (1000, 784)>"
    )


def test_mnist5k_is_balanced_mixed_and_without_repeats():
    images, labels = zip(raw_mnist5k("train"), raw_mnist5k("t10k"), strict=True)
    assert np.bincount(labels[0]).tolist() == [400] * 10
    assert np.bincount(labels[1]).tolist() == [100] * 10
    for block in np.concatenate(labels).reshape(-1, 200):
        assert np.bincount(block, minlength=10).min() >= 5 and np.bincount(block).max() <= 40
    assert len({image.tobytes() for part in images for image in part}) == 5000


def test_mnist5k_files_have_the_checksums_of_the_readme():
    readme = (PROJECT / "datasets" / "README.md").read_text(encoding="utf-8")
    for name in FILES:
        content = (PROJECT / "datasets" / "mnist5k" / f"{name}.gz").read_bytes()
        assert f"{hashlib.sha256(content).hexdigest()}  {name}.gz\n" in readme
        assert f"{hashlib.md5(content).hexdigest()}  {name}.gz\n" in readme
        assert f"{hashlib.sha256(gzip.decompress(content)).hexdigest()}  {name}\n" in readme


# ------------------------------------------------------------------------- splitting and normalising


@pytest.mark.parametrize("validation", [0, 1, 7, 29])
def test_validation_rows_are_the_last_training_rows(tmp_path, validation):
    raw = make_set(tmp_path / "mnist")
    data = load_dataset("mnist", directory=tmp_path, validation=validation, normalize=False)
    rows, labels = raw["train-images-idx3-ubyte"].reshape(30, 784), raw["train-labels-idx1-ubyte"]
    n = 30 - validation
    assert data.X_train.shape == (n, 784) and data.X_val.shape == (validation, 784)
    np.testing.assert_array_equal(data.X_train, rows[:n])
    np.testing.assert_array_equal(data.X_val, rows[n:])
    np.testing.assert_array_equal(data.y_train, labels[:n])
    np.testing.assert_array_equal(data.y_val, labels[n:])
    np.testing.assert_array_equal(data.X_test, raw["t10k-images-idx3-ubyte"].reshape(12, 784))
    np.testing.assert_array_equal(data.y_test, raw["t10k-labels-idx1-ubyte"])


def test_not_normalized():
    data = load_dataset("mnist5k", normalize=False)
    images = raw_mnist5k("train")[0].reshape(4000, 784)
    assert data.normalize is False and data.std == 1.0 and not data.mean.any()
    assert data.X_train.dtype == np.float32 and data.X_train.max() == 255
    np.testing.assert_array_equal(np.concatenate([data.X_train, data.X_val]), images)


def test_mean_image_subtracted():
    data = load_dataset("mnist5k", dtype=np.float64)
    pixels = raw_mnist5k("train")[0].reshape(4000, 784)
    mean = pixels[:3200].sum(axis=0, dtype=np.int64) / (3200 * 255)
    assert data.normalize is True and data.std == 1.0 and type(data.std) is float
    np.testing.assert_array_equal(data.mean, mean)
    np.testing.assert_array_equal(data.X_train, pixels[:3200] / 255 - mean)
    np.testing.assert_array_equal(data.X_val, pixels[3200:] / 255 - mean)
    assert abs(data.X_train.mean(axis=0)).max() < 1e-14
    single = load_dataset("mnist5k")
    assert single.mean.dtype == np.float32
    np.testing.assert_array_equal(single.mean, mean.astype(np.float32))
    np.testing.assert_allclose(
        single.X_test, load_dataset("mnist5k", dtype=np.float64).X_test, atol=2e-7
    )


def test_standard_divides_by_one_number():
    data = load_dataset("mnist5k", normalize="standard", dtype=np.float64)
    centred = load_dataset("mnist5k", dtype=np.float64)
    assert data.normalize == "standard" and type(data.std) is float
    assert data.std == pytest.approx(centred.X_train.std(), rel=1e-13)
    np.testing.assert_array_equal(data.mean, centred.mean)
    np.testing.assert_array_equal(data.X_test, centred.X_test / data.std)
    assert data.X_train.std() == pytest.approx(1, rel=1e-13)
    assert load_dataset("mnist5k", normalize="standard").std == data.std


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.dtype("float64"), "float32", float])
def test_dtype_of_the_rows(tmp_path, dtype):
    make_set(tmp_path / "mnist")
    data = load_dataset(
        "mnist", directory=tmp_path, validation=5, normalize="standard", dtype=dtype
    )
    for array in (
        data.X_train,
        data.X_val,
        data.X_test,
        data.mean,
        data.transform(np.zeros((28, 28))),
    ):
        assert array.dtype == dtype
    assert data.to_pixels(data.X_val).dtype == dtype


def test_loading_takes_less_than_twice_the_memory_of_the_rows():
    rows = 5000 * 784 * 4
    assert peak_memory(lambda: load_dataset("mnist5k", normalize="standard")) < 2 * rows


NORMALIZATIONS = [(n, d) for n in (True, "standard", False) for d in (np.float32, np.float64)]


@pytest.mark.parametrize(("normalize", "dtype"), NORMALIZATIONS)
def test_transform_gives_the_bits_of_the_loaded_rows(normalize, dtype):
    data = load_dataset("mnist5k", normalize=normalize, dtype=dtype)
    images = raw_mnist5k("t10k")[0]
    before = images.copy()
    for given_images in (images, images.reshape(1000, 784), images.reshape(1000, 4, 7, 28, 1)):
        assert data.transform(given_images).tobytes() == data.X_test.tobytes()
    for image_type in (np.int16, np.int64, np.float32, np.float64):
        assert data.transform(images.astype(image_type)).tobytes() == data.X_test.tobytes()
    assert data.transform(raw_mnist5k("train")[0]).tobytes() == b"".join([data.X_train, data.X_val])
    one = data.transform(images[3])
    assert one.shape == (1, 784) and one.tobytes() == data.X_test[3].tobytes()
    assert data.transform(images[4].tolist()).tobytes() == data.X_test[4].tobytes()
    assert data.transform(images[:, :, ::-1]).shape == (1000, 784)
    assert data.transform(images[:0]).shape == (0, 784)
    np.testing.assert_array_equal(images, before)


def test_transform_gives_a_new_array():
    data = load_dataset("mnist5k", normalize=False)
    rows = np.zeros((2, 784), np.float32)
    data.transform(rows)[:] = 9
    assert not rows.any()


@pytest.mark.parametrize(("normalize", "dtype"), NORMALIZATIONS)
def test_to_pixels_is_the_inverse(normalize, dtype):
    data = load_dataset("mnist5k", normalize=normalize, dtype=dtype)
    images = raw_mnist5k("t10k")[0]
    before = data.X_test.copy()
    pixels = data.to_pixels(data.X_test)
    assert pixels.shape == (1000, 28, 28) and pixels.min() >= 0 and pixels.max() <= 255
    np.testing.assert_allclose(pixels, images, atol=1e-3 if dtype == np.float32 else 1e-12)
    np.testing.assert_array_equal(data.to_pixels(data.X_test[5]), pixels[5:6])
    assert data.to_pixels(data.X_test[:0]).shape == (0, 28, 28)
    pixels[:] = 0
    np.testing.assert_array_equal(data.X_test, before)


@pytest.mark.parametrize(("normalize", "dtype"), NORMALIZATIONS)
def test_saved_transform_gives_the_same_bits(normalize, dtype, tmp_path):
    data = load_dataset("mnist5k", normalize=normalize, dtype=dtype)
    data.save_transform(tmp_path / "a.npz")
    transform = load_transform(tmp_path / "a.npz")
    assert transform.transform(raw_mnist5k("t10k")[0]).tobytes() == data.X_test.tobytes()
    assert transform.transform(raw_mnist5k("t10k")[0]).dtype == dtype
    assert transform.to_pixels(data.X_test).tobytes() == data.to_pixels(data.X_test).tobytes()
    assert transform.image_shape == (28, 28) and transform.class_names == data.class_names
    assert (
        transform.normalize == normalize
        and transform.name == "mnist5k"
        and "mnist5k" in repr(transform)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_damaged_transform_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    load_dataset("mnist5k").save_transform(path)
    whole = path.read_bytes()
    with np.load(path) as file:
        content = dict(file)
    wrong = {
        "format": 2, "image_shape": [28, 27], "normalize": "perhaps", "std": 0.0,
        "mean": np.full(784, np.nan), "class_names": np.array([{}], object),
    }  # fmt: skip
    for name, value in wrong.items():
        np.savez(path, **{**content, name: value})
        said = "has format 2" if name == "format" else "is damaged or no saved transform"
        with pytest.raises(ValueError, match=rf"a\.npz {said}"):
            load_transform(path)
    np.savez_compressed(path, **{**content, "mean": np.zeros(50_000_000)})
    with pytest.raises(ValueError, match=r"a\.npz.*compressed"):
        load_transform(path)
    for bad in (b"", whole[:-100], whole[:200], b"mine"):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=r"a\.npz"):
            load_transform(path)
    with pytest.raises(FileNotFoundError):
        load_transform(tmp_path / "b.npz")


def test_to_pixels_clips():
    data = load_dataset("mnist5k")
    assert data.to_pixels(data.X_test - 5).max() == 0
    assert data.to_pixels(data.X_test + 5).min() == 255


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((3, 27, 28)), ValueError, r"\(3, 27, 28\)"),
        (np.zeros(784), ValueError, r"\(784,\)"),
        (np.float64(3), ValueError, r"\(\)"),
        (np.full((2, 784), -1), ValueError, r"0\.\.255, got -1 to -1"),
        (np.full((2, 784), -1, np.int8), ValueError, r"0\.\.255, got -1 to -1"),
        (np.full((28, 28), 255.5), ValueError, r"0\.\.255, got 255\.5"),
        (np.full((28, 28), np.nan), ValueError, r"0\.\.255, got nan"),
        (np.zeros((28, 28), complex), TypeError, "real numbers, got complex"),
        (np.zeros((28, 28), bool), TypeError, "real numbers, got bool"),
        (np.full((28, 28), "7"), TypeError, "real numbers"),
    ],
)
def test_transform_refuses(images, error, message):
    with pytest.raises(error, match=f"images must.*{message}"):
        load_dataset("mnist5k").transform(images)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((3, 783)), ValueError, r"\(3, 783\)"),
        (np.zeros((3, 28, 28)), ValueError, r"\(3, 28, 28\)"),
        (np.zeros((2, 3, 784)), ValueError, r"\(2, 3, 784\)"),
        (0.5, ValueError, r"\(\)"),
        (np.full((2, 784), "7"), TypeError, "real numbers"),
    ],
)
def test_to_pixels_refuses(X, error, message):
    with pytest.raises(error, match=f"X must.*{message}"):
        load_dataset("mnist5k").to_pixels(X)


def test_to_pixels_of_what_is_too_bright_for_any_image():
    pixels = load_dataset("mnist5k").to_pixels(np.array([[3e38] * 784, [-3e38] * 784], np.float32))
    assert pixels.min(axis=(1, 2)).tolist() == [255, 0] == pixels.max(axis=(1, 2)).tolist()


def test_standard_needs_images_that_differ(tmp_path):
    make_set(tmp_path / "mnist")
    with pytest.raises(ValueError, match="normalize='standard' needs training images that differ"):
        load_dataset("mnist", directory=tmp_path, validation=29, normalize="standard")


# ----------------------------------------------------------------------------- where the files are


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize(
    ("name", "class_7"), [("mnist", "7"), ("mnist5k", "7"), ("fashion_mnist", "Sneaker")]
)
def test_one_loader_reads_all_three(tmp_path, name, class_7, suffix):
    raw = make_set(tmp_path / name, suffix)
    data = load_dataset(name, directory=str(tmp_path), validation=10, normalize=False)
    assert data.name == name and data.X_train.shape == (20, 784) and data.image_shape == (28, 28)
    assert len(set(data.class_names)) == 10 and data.class_names[7] == class_7
    np.testing.assert_array_equal(data.X_test, raw["t10k-images-idx3-ubyte"].reshape(12, 784))
    with pytest.raises(ValueError, match=r"validation must be in \[0, 30\), got (800|10000)"):
        load_dataset(name, directory=tmp_path)


def test_fashion_mnist_class_names_are_in_the_order_of_its_labels(tmp_path):
    make_set(tmp_path / "fashion_mnist")
    names = load_dataset("fashion_mnist", directory=tmp_path, validation=0).class_names
    assert isinstance(names, tuple)
    assert ", ".join(names) == (
        "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"
    )


def test_environment_variable_names_the_folder(tmp_path, monkeypatch):
    raw = make_set(tmp_path / "env" / "mnist", seed=1)
    other = make_set(tmp_path / "given" / "mnist", seed=2)
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path / "env"))
    data = load_dataset("mnist", validation=0)
    np.testing.assert_array_equal(data.y_train, raw["train-labels-idx1-ubyte"])
    data = load_dataset("mnist", validation=0, directory=tmp_path / "given")
    np.testing.assert_array_equal(data.y_train, other["train-labels-idx1-ubyte"])


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    make_set(tmp_path / "data" / "mnist")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("TWO_LAYER_NET_DATA", "~/data")
    assert load_dataset("mnist", validation=0).X_train.shape == (30, 784)


def test_mnist5k_is_found_wherever_the_variable_points(tmp_path, monkeypatch):
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path))
    assert len(load_dataset("mnist5k").X_train) == 3200
    monkeypatch.setenv("TWO_LAYER_NET_DATA", "")
    assert len(load_dataset("mnist5k").X_train) == 3200
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path))
    make_set(tmp_path / "mnist5k")
    assert len(load_dataset("mnist5k", validation=0).X_train) == 30
    (tmp_path / "mnist5k" / f"{FILES[2]}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=FILES[2]):
        load_dataset("mnist5k", validation=0)


def test_a_given_directory_is_the_only_one_looked_in(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "mnist5k"))):
        load_dataset("mnist5k", directory=tmp_path)


@pytest.mark.parametrize("missing", FILES)
def test_missing_file(tmp_path, missing):
    make_set(tmp_path / "mnist")
    (tmp_path / "mnist" / f"{missing}.gz").unlink()
    folder = re.escape(str(tmp_path / "mnist"))
    with pytest.raises(FileNotFoundError, match=rf"{missing}\.gz nor {missing} is in .*{folder}"):
        load_dataset("mnist", directory=tmp_path, validation=0)


def replace_labels(n, value):
    return lambda old: np.full(n, value, np.uint8)


WRONG = {
    "labels for images": ("train-images-idx3-ubyte", lambda old: old[:, 0, 0], r"\(30,\)"),
    "images for labels": (
        "t10k-labels-idx1-ubyte",
        lambda old: np.zeros((12, 28, 28), np.uint8),
        "labels",
    ),
    "label 10": ("train-labels-idx1-ubyte", replace_labels(30, 10), r"0\.\.9, got 10"),
    "label 255": ("t10k-labels-idx1-ubyte", replace_labels(12, 255), r"0\.\.9, got 255"),
    "an image fewer": (
        "train-images-idx3-ubyte",
        lambda old: old[1:],
        r"\(29, 28, 28\), but \(30, 28, 28\)",
    ),
    "an image more": (
        "t10k-images-idx3-ubyte",
        lambda old: old[[0, *range(12)]],
        r"\(13, 28, 28\)",
    ),
    "wrong size": ("train-images-idx3-ubyte", lambda old: old[:, 1:], r"\(30, 27, 28\)"),
    "flat images": ("t10k-images-idx3-ubyte", lambda old: old.reshape(12, 784), r"\(12, 784\)"),
    "no labels": ("train-labels-idx1-ubyte", lambda old: old[:0], r"N >= 1"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_files_that_do_not_belong_are_named(tmp_path, kind):
    name, change, message = WRONG[kind]
    raw = make_set(tmp_path / "mnist")
    path = tmp_path / "mnist" / f"{name}.gz"
    write_idx(path, change(raw[name]))
    with pytest.raises(ValueError, match=re.escape(f"{path}: ") + f".*{message}"):
        load_dataset("mnist", directory=tmp_path, validation=0)


def test_a_damaged_file_is_named(tmp_path):
    make_set(tmp_path / "mnist")
    path = tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load_dataset("mnist", directory=tmp_path, validation=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"name": "MNIST"},
            ValueError,
            "name must be one of 'mnist5k', 'mnist', 'fashion_mnist'.*got 'MNIST'",
        ),
        ({"name": ["mnist5k"]}, ValueError, "name must be one of 'mnist5k'"),
        ({"directory": 3}, TypeError, "directory must be .*got 3"),
        ({"normalize": "yes"}, ValueError, "normalize must be .*got 'yes'"),
        ({"normalize": None}, ValueError, "normalize must be .*got None"),
        ({"dtype": np.int64}, ValueError, "dtype must be one of .*got 'int64'"),
        ({"dtype": "float16"}, ValueError, "dtype must be one of .*got 'float16'"),
        ({"dtype": None}, ValueError, "dtype must be one of .*got None"),
        ({"validation": 4000}, ValueError, r"validation must be in \[0, 4000\), got 4000"),
        ({"validation": -1}, ValueError, r"validation must be in \[0, 4000\), got -1"),
        ({"validation": 0.2}, TypeError, r"validation must be an integer in .*got 0\.2"),
        ({"validation": True}, TypeError, "validation must be an integer in .*got True"),
    ],
)
def test_load_dataset_refuses(options, error, message):
    with pytest.raises(error, match=message):
        load_dataset(**{"name": "mnist5k", **options})


def test_validation_may_be_numpys_integer():
    assert len(load_dataset("mnist5k", validation=np.int32(3999)).X_train) == 1


# ---------------------------------------------------------------------------------- one-hot labels


@repeatable
@given(
    y=hnp.arrays(
        st.sampled_from([np.int64, np.uint8, np.int8]),
        st.integers(1, 30),
        elements=st.integers(0, 12),
    ),
    more=st.none() | st.integers(0, 3),
    dtype=st.sampled_from([np.float64, np.float32, np.float16, np.int8, np.uint64]),
)
def test_one_hot_round_trip(y, more, dtype):
    num_classes = None if more is None else int(y.max()) + 1 + more
    Y = one_hot_encode(y, num_classes, dtype)
    assert Y.dtype == dtype and Y.shape == (len(y), num_classes or int(y.max()) + 1)
    assert (Y.sum(axis=1) == 1).all()
    labels = one_hot_decode(Y)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, y)


def test_one_hot_by_hand():
    Y = one_hot_encode([2, 0], 4)
    assert Y.dtype == np.float64 and Y.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]
    assert one_hot_encode(np.array([255], np.uint8)).shape == (1, 256)
    empty = one_hot_encode(np.zeros(0, int), 3)
    assert empty.shape == (0, 3) and one_hot_decode(empty).shape == (0,)
    assert one_hot_decode([[0, 1], [1, 0]]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 3], 3), ValueError, r"y must lie in 0\.\.num_classes-1.*num_classes=3.*3"),
        (([0, -1], 3), ValueError, "y must lie .*-1"),
        (([-2],), ValueError, "y must lie .*-2"),
        (([0.0, 1.0],), TypeError, "y must hold integers, got float64"),
        (([True, False],), TypeError, "y must hold integers, got bool"),
        ((np.zeros((2, 2), int),), ValueError, r"y must have shape \(N,\).*\(2, 2\)"),
        ((np.zeros(0, int),), ValueError, "num_classes is given"),
        ((np.zeros(0, int), 0), ValueError, "num_classes must be .*got 0"),
        (([1], 2.0), TypeError, r"num_classes must be an integer in .*got 2\.0"),
        (([1], 2, str), TypeError, "dtype must be"),
    ],
)
def test_one_hot_encode_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        one_hot_encode(*arguments)


@pytest.mark.parametrize(
    ("Y", "error", "message"),
    [
        ([[0, 1], [0.3, 0.7]], ValueError, r"row 1 .*argmax"),
        ([[0, 1], [1, 0], [0, 0]], ValueError, "row 2"),
        ([[1, 1], [1, 0]], ValueError, "row 0"),
        ([[0, 2]], ValueError, "row 0"),
        ([[0, -1]], ValueError, "row 0"),
        ([[2, -1]], ValueError, "row 0"),
        ([[0, np.nan]], ValueError, "row 0"),
        ([[1, np.nan]], ValueError, "row 0"),
        ([0, 1], ValueError, r"Y must have shape \(N, C\).*\(2,\)"),
        (np.zeros((2, 0)), ValueError, r"\(2, 0\)"),
        ([["0", "1"]], TypeError, "Y must hold real numbers"),
    ],
)
def test_one_hot_decode_refuses(Y, error, message):
    with pytest.raises(error, match=message):
        one_hot_decode(Y)


# ------------------------------------------------------------------------------------- whole datasets


def full_directory(name, variable):
    directory = Path(variable or PROJECT / "datasets")
    if not (directory / name).is_dir():
        pytest.skip(f"{name} is not in {directory}")
    return directory


FULL_DIRECTORY = os.environ.get("TWO_LAYER_NET_DATA")


@pytest.mark.full_data
def test_full_mnist():
    data = load_dataset("mnist", directory=full_directory("mnist", FULL_DIRECTORY))
    assert (len(data.X_train), len(data.X_val), len(data.X_test)) == (50000, 10000, 10000)
    labels = np.concatenate([data.y_train, data.y_val])
    assert np.bincount(labels).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert np.bincount(data.y_test).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert labels[:5].tolist() == [5, 0, 4, 1, 9] and data.y_test[:5].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.full_data
def test_mnist5k_is_the_first_500_of_each_digit_of_full_mnist():
    directory = full_directory("mnist", FULL_DIRECTORY)
    data = load_dataset("mnist", directory=directory, validation=0, normalize=False)
    first = [np.flatnonzero(data.y_train == digit)[:500] for digit in range(10)]
    expected = {(data.X_train[i].tobytes(), digit) for digit in range(10) for i in first[digit]}
    small = load_dataset("mnist5k", validation=0, normalize=False)
    rows = [(x.tobytes(), y) for x, y in zip(small.X_train, small.y_train, strict=True)]
    rows += [(x.tobytes(), y) for x, y in zip(small.X_test, small.y_test, strict=True)]
    assert set(rows) == expected


@pytest.mark.full_data
def test_full_fashion_mnist():
    data = load_dataset("fashion_mnist", directory=full_directory("fashion_mnist", FULL_DIRECTORY))
    assert (len(data.X_train), len(data.X_val), len(data.X_test)) == (50000, 10000, 10000)
    assert np.bincount(np.concatenate([data.y_train, data.y_val])).tolist() == [6000] * 10
    assert np.bincount(data.y_test).tolist() == [1000] * 10
    assert data.class_names[data.y_train[0]] == "Ankle boot"


# ---- a folder of one's own images


def make_folders(root, images):
    """Write {"class/file": array of uint8} as image files."""
    for name, image in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        imsave(root / name, image)
    return root


def shades(label, n, shape=(3, 4)):
    """n gray images whose every pixel tells class and number."""
    return {
        f"{label}/{i}.png": np.full(shape, 100 * (label == "dog") + i, np.uint8) for i in range(n)
    }


def test_image_folder_splits_each_class_and_keeps_labels_with_images(tmp_path):
    make_folders(tmp_path / "pets", shades("dog", 10) | shades("cat", 20))
    (tmp_path / "pets" / ".cache").touch()
    (tmp_path / "pets" / "cat" / ".DS_Store").touch()
    data = data_utils.load_image_folder(
        tmp_path / "pets", validation=0.1, test=0.2, normalize=False
    )
    assert (data.name, data.class_names, data.image_shape) == ("pets", ("cat", "dog"), (3, 4))
    counts = [np.bincount(y).tolist() for y in (data.y_train, data.y_val, data.y_test)]
    assert counts == [[14, 7], [2, 1], [4, 2]]
    X, y = np.concatenate([data.X_train, data.X_val, data.X_test]), data.y_train
    assert sorted(X[:, 0].astype(int)) == [*range(20), *range(100, 110)]  # every image once
    assert ((data.X_train[:, 5] >= 100) == data.y_train).all() and X.dtype == np.float32
    assert (np.diff(y) != 0).sum() > 2  # shuffled
    again, other = (
        data_utils.load_image_folder(
            tmp_path / "pets", validation=0.1, test=0.2, normalize=False, seed=seed
        )
        for seed in (0, 1)
    )
    np.testing.assert_array_equal(again.X_train, data.X_train)
    assert not np.array_equal(other.X_train, data.X_train)


def test_image_folder_is_normalised_like_a_dataset(tmp_path):
    make_folders(tmp_path, shades("a", 5) | shades("b", 5))
    data = data_utils.load_image_folder(tmp_path, normalize="standard", test=0, dtype=np.float64)
    assert data.X_test.shape == (0, 12) and data.y_test.shape == (0,)
    np.testing.assert_allclose(data.X_train.mean(axis=0), 0, atol=1e-14)
    assert data.X_train.std() == pytest.approx(1)
    pixels = data.to_pixels(data.X_val)
    np.testing.assert_array_equal(data.transform(pixels.round()), data.X_val)


def test_image_folder_is_in_colour_when_one_pixel_is(tmp_path):
    red = np.full((2, 2, 3), 7, np.uint8)
    red[1, 0] = 250, 0, 3
    make_folders(tmp_path, {"a/gray.png": np.array([[1, 2], [3, 4]], np.uint8), "b/red.bmp": red})
    data = data_utils.load_image_folder(tmp_path, validation=0, test=0, normalize=False)
    assert data.image_shape == (2, 2, 3)
    images = data.X_train.reshape(-1, 2, 2, 3)
    np.testing.assert_array_equal(images[data.y_train == 1][0], red)
    np.testing.assert_array_equal(
        images[data.y_train == 0][0], np.repeat([[[1], [2]], [[3], [4]]], 3, axis=2)
    )


def test_image_folder_resizes_by_area_means_of_the_middle(tmp_path):
    wide = np.zeros((4, 8), np.uint8)
    wide[:, 2:6] = [[10, 20, 0, 4], [30, 40, 0, 0], [8, 8, 90, 90], [8, 8, 90, 90]]
    wide[:, [0, 7]] = 200  # cut off
    small = np.array([[60, 120]], np.uint8).repeat(2, axis=0)
    make_folders(tmp_path, {"a/0.png": wide, "b/0.png": small})
    with pytest.raises(
        ValueError, match=r"b.0\.png: its \(rows, columns\) are \(2, 2\).* \(4, 8\).*size="
    ):
        data_utils.load_image_folder(tmp_path, validation=0, test=0)
    data = data_utils.load_image_folder(
        tmp_path, size=(2, 2), validation=0, test=0, normalize=False
    )
    assert data.X_train[data.y_train == 0][0].tolist() == [25, 1, 8, 90]
    data = data_utils.load_image_folder(
        tmp_path, size=(3, 3), validation=0, test=0, normalize=False
    )
    assert (
        data.X_train[data.y_train == 1][0].tolist() == [60, 90, 120] * 3
    )  # 2/3 of 60, 1/3 of each, 2/3 of 120


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_image_folder_reads_gray_png_of_every_depth(tmp_path, depth):
    top = 2**depth - 1
    values = [0, top, 1, top - 1]
    line = b"\0" + (
        sum(v << depth * (3 - i) for i, v in enumerate(values)) << (-4 * depth) % 8
    ).to_bytes((4 * depth + 7) // 8, "big")
    make_folders(tmp_path, shades("b", 1, (1, 4)))
    (tmp_path / "a").mkdir()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 4, 1, depth, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(line)),
    ]
    png = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in [*chunks, (b"IEND", b"")]
    )
    (tmp_path / "a" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + png)
    try:
        data = data_utils.load_image_folder(tmp_path, validation=0, test=0, normalize=False)
    except ValueError as error:
        assert depth in (2, 4) and "0.png: has 2 or 4 bits a pixel" in str(error)
    else:
        assert data.X_train[data.y_train == 0][0].tolist() == [round(255 * v / top) for v in values]


def test_image_folder_names_what_is_wrong(tmp_path):
    def refused(match, error=ValueError, **options):
        with pytest.raises(error, match=match):
            data_utils.load_image_folder(tmp_path / "set", **options)

    refused("set", FileNotFoundError)
    make_folders(tmp_path / "set", shades("a", 5))
    refused("set must hold only folders, one for each of 2 or more classes; has 1 folders")
    (tmp_path / "set" / "b").mkdir()
    refused("b has 0 images")
    make_folders(tmp_path / "set", shades("b", 5))
    (tmp_path / "set" / "notes.txt").touch()
    refused("must hold only folders.*has notes.txt")
    (tmp_path / "set" / "notes.txt").unlink()
    data_utils.load_image_folder(tmp_path / "set")
    for options in ({"validation": 0.5, "test": 0.5}, {"test": -0.1}, {"size": (2, 0)}, {"size": 28},
                    {"normalize": "max"}, {"dtype": np.uint8}, {"seed": -1}):  # fmt: skip
        refused(next(iter(options)), **options)
    refused("size must be an integer", TypeError, size=(2.0, 2))
    refused("a has 5 images, 5 of them", validation=0.6, test=0.3)

    last = tmp_path / "set" / "b" / "4.png"
    whole = last.read_bytes()
    last.write_bytes(whole[:-30])
    refused("4.png: damaged")
    last.write_bytes(b"")
    refused("4.png: damaged")
    clear = np.full((3, 4, 4), 200, np.uint8)
    clear[0, 0, 3] = 254
    imsave(last, clear)
    refused("4.png: is transparent in places")
    last.rename(last.with_suffix(".tif"))
    refused(r"4.tif: must be a \.png, \.jpg, \.jpeg or \.bmp file")


def test_an_image_of_ones_own_is_read_like_those_of_the_folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a/1", "a/2", "b/1", "b/2"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        imsave(tmp_path / "set" / f"{name}.png", rng.integers(0, 256, (9, 7, 3), np.uint8))
    data = data_utils.load_image_folder(tmp_path / "set", size=(4, 4), validation=0, test=0.5)
    read = {data.transform(data.read(path)).tobytes() for path in (tmp_path / "set").rglob("*.png")}
    assert read == {row.tobytes() for row in (*data.X_train, *data.X_test)}


def test_a_colour_image_becomes_gray_for_a_gray_dataset(tmp_path):
    data = data_utils.load_dataset("mnist5k")
    colours = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    imsave(
        tmp_path / "x.png", np.repeat(np.repeat(colours.reshape(2, 2, 3), 28, axis=0), 28, axis=1)
    )
    image = data.read(tmp_path / "x.png")
    assert image.dtype == np.uint8 and image.shape == data.image_shape
    assert [image[i, j] for i in (0, 27) for j in (0, 27)] == [255, 0, 76, 150]
    with pytest.raises(TypeError, match="path must be a path, got 3"):
        data.read(3)
