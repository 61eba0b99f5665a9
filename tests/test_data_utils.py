"""Datasets, their files, one's own images, augmentations."""

import gzip
import hashlib
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.io import savemat

import data_utils
from data_utils import (
    distort,
    drop_inputs,
    flip,
    get_CIFAR10_data,
    load_CIFAR10,
    load_dataset,
    load_image_folder,
    load_transform,
    make_spirals,
    one_hot_decode,
    one_hot_encode,
    read_idx,
)
from two_layer_net import TwoLayerNet

PROJECT = Path(data_utils.__file__).parent / "datasets"


@pytest.fixture(scope="module")
def data():
    return load_dataset("mnist5k")


def full(name, **options):
    try:
        return load_dataset(name, **options)
    except FileNotFoundError:
        pytest.skip(f"{name} is not there")


def write_idx(path, array):
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


# ---- mnist5k, and what is done to pixels


def test_mnist5k_is_split_and_centred(data):
    raw = read_idx(PROJECT / "mnist5k" / "train-images-idx3-ubyte.gz").reshape(4000, 784)
    labels = read_idx(PROJECT / "mnist5k" / "train-labels-idx1-ubyte.gz")
    assert (
        repr(data) == "<Dataset mnist5k: X_train (3200, 784), X_val (800, 784), X_test (1000, 784)>"
    )
    assert np.array_equal(data.y_train, labels[:3200]) and np.array_equal(data.y_val, labels[3200:])
    mean = (raw[:3200] / 255).mean(axis=0)
    assert np.allclose(data.X_val, raw[3200:] / 255 - mean, atol=1e-6)
    assert data.X_train.dtype == np.float32 and data.y_train.dtype == np.int64
    assert (
        np.abs(data.X_train.mean(axis=0)).max() < 1e-6
        and np.bincount(data.y_test).tolist() == [100] * 10
    )


def test_the_committed_files_are_those_of_the_readme():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    for path in (PROJECT / "mnist5k").iterdir():
        assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" in readme


@pytest.mark.parametrize("normalize", [True, False, "standard"])
def test_a_new_image_is_treated_like_the_training_rows(normalize, tmp_path):
    data = load_dataset("mnist5k", normalize=normalize, validation=100, dtype=np.float64)
    raw = read_idx(PROJECT / "mnist5k" / "t10k-images-idx3-ubyte.gz")
    assert np.array_equal(data.transform(raw), data.X_test)
    assert np.array_equal(data.transform(raw[7].astype(float)), data.X_test[7:8])
    assert np.allclose(data.to_pixels(data.X_test), raw, atol=1e-9) and len(data.X_val) == 100
    if normalize == "standard":
        assert data.X_train.std() == pytest.approx(1)
    data.save_transform(tmp_path / "t.npz")
    back = load_transform(tmp_path / "t.npz")
    assert np.array_equal(back.transform(raw), data.X_test)
    assert (back.class_names, back.image_shape, back.name) == (
        data.class_names,
        (28, 28),
        "mnist5k",
    )


def test_floats_of_0_to_1_and_other_wrong_pixels_are_refused(data):
    image = np.full((28, 28), 0.5)
    for wrong, message in (
        (image, r"multiply 0..1 by 255"),
        (image > 0, r"multiply 0..1 by 255"),
        (600 * image, "0..255"),
        (-image, "0..255"),
        (np.full((28, 28), np.nan), "0..255"),
        (np.zeros((3, 27, 28)), r"got \(3, 27, 28\)"),
    ):
        with pytest.raises(ValueError, match=message):
            data.transform(wrong)
    assert data.transform(np.zeros((28, 28))).shape == (1, 784)  # black is black in both


def test_wrong_names_sizes_and_folders(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"mnist5k.*got 'mnist5000'"):
        load_dataset("mnist5000")
    with pytest.raises(ValueError, match=r"validation must be in 0\.\.3999"):
        load_dataset("mnist5k", validation=4000)
    with pytest.raises(ValueError, match="normalize must be"):
        load_dataset("mnist5k", normalize="minmax")
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path))
    assert len(load_dataset("mnist5k").X_train) == 3200  # comes with the project
    for directory in (None, tmp_path):  # the download goes to where it was looked for
        with pytest.raises(FileNotFoundError, match="lacks train-images") as error:
            load_dataset("mnist", directory=directory)
        assert f'`python data_utils.py mnist --directory "{tmp_path}"`' in str(error.value)
    (tmp_path / "t.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"t\.npz is damaged"):
        load_transform(tmp_path / "t.npz")


@pytest.mark.full_data
def test_mnist_and_cifar10_as_published():
    data = full("mnist")
    assert (len(data.X_train), len(data.X_val), len(data.X_test)) == (50000, 10000, 10000)
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9] and data.y_test[:5].tolist() == [
        7,
        2,
        1,
        0,
        4,
    ]
    data = full("cifar10", normalize=False)
    assert data.X_train.shape == (49000, 3072) and data.class_names[6] == "frog"
    assert np.bincount(np.r_[data.y_train, data.y_val]).tolist() == [5000] * 10


# ---- files


def lay_out_mnist(folder, name=lambda file: file):
    folder.mkdir(parents=True)
    for path in (PROJECT / "mnist5k").iterdir():
        target = folder / name(path.name)
        target.parent.mkdir(exist_ok=True)
        content = path.read_bytes()
        target.write_bytes(content if target.suffix == ".gz" else gzip.decompress(content))


@pytest.mark.parametrize(
    "name",
    [
        lambda file: file,
        lambda file: file.removesuffix(".gz"),
        lambda file: file.removesuffix(".gz").replace("-idx", ".idx"),
        lambda file: file.replace("-idx", ".idx"),
        lambda file: f"{file.removesuffix('.gz')}/{file.removesuffix('.gz')}",
    ],
)
def test_files_are_found_by_any_of_their_names(name, data, tmp_path):
    lay_out_mnist(tmp_path / "mnist", name)
    found = load_dataset("mnist", directory=tmp_path, validation=800)
    assert np.array_equal(found.X_train, data.X_train)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.uint8, st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple)), st.booleans()
)
def test_idx_files_come_back(tmp_path_factory, array, packed):
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if packed else "a")
    write_idx(path, array)
    assert np.array_equal(read_idx(path), array)


def test_damaged_idx_files_are_named(tmp_path):
    good = struct.pack(">HBB2I", 0, 8, 2, 3, 4) + bytes(12)
    packed = gzip.compress(good)
    spoiled = packed[:20] + bytes([packed[20] ^ 255]) + packed[21:]
    for content in (
        b"",
        good[:7],
        good[:-1],
        good + b"\0",
        b"\0\0\x0d" + good[3:],
        packed[:-9],
        spoiled,
    ):
        (tmp_path / "a-ubyte").write_bytes(content)
        with pytest.raises(ValueError, match="a-ubyte is damaged"):
            read_idx(tmp_path / "a-ubyte")
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")


def test_images_and_labels_that_do_not_fit_are_named(tmp_path):
    lay_out_mnist(tmp_path / "mnist")
    labels = tmp_path / "mnist" / "train-labels-idx1-ubyte.gz"
    for wrong in (np.zeros(7, np.uint8), np.full(4000, 10, np.uint8)):
        write_idx(labels, wrong)
        with pytest.raises(ValueError, match=r"train-labels.*label above 9, or \("):
            load_dataset("mnist", directory=tmp_path)


RNG = np.random.default_rng(0)
ROWS, LABELS = RNG.integers(0, 256, (60, 3072), np.uint8), RNG.integers(0, 10, 60).tolist()


def lay_out_cifar10(folder, protocol=2, data=ROWS, labels=LABELS):
    folder.mkdir()
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        batch = {b"data": data[10 * i : 10 * i + 10], b"labels": labels[10 * i : 10 * i + 10]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol))


@pytest.mark.parametrize("protocol", [2, 4])
def test_cifar10_in_the_official_format(protocol, tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    lay_out_cifar10(folder, protocol)
    X, y, X_test, y_test = load_CIFAR10(folder)
    assert X.shape == (50, 32, 32, 3) and X.dtype == np.float64 and X_test.shape == (10, 32, 32, 3)
    assert np.array_equal(X[3, 5, 7], ROWS[3].reshape(3, 32, 32)[:, 5, 7])
    assert y.tolist() + y_test.tolist() == LABELS
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path))
    d = get_CIFAR10_data(30, 10, 5)
    assert {k: v.shape for k, v in d.items() if k[0] == "X"} == {
        "X_train": (30, 3, 32, 32),
        "X_val": (10, 3, 32, 32),
        "X_test": (5, 3, 32, 32),
    }
    assert np.allclose(d["X_train"].mean(axis=0), 0) and np.array_equal(d["y_val"], y[30:40])
    raw = get_CIFAR10_data(30, 10, 5, subtract_mean=False)
    assert np.array_equal(raw["X_val"], X[30:40].transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match="50 images to train on"):
        get_CIFAR10_data()


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_batch_can_run_nothing_and_damage_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cifar-10-batches-py"
    lay_out_cifar10(folder)
    batch, good = folder / "data_batch_2", (folder / "data_batch_2").read_bytes()
    wrong = {b"data": ROWS[:10], b"labels": [10] * 10}, {b"data": ROWS[:9], b"labels": LABELS[:10]}
    bombs = pickle.dumps({b"data": Bomb()}), pickle.dumps(np.save), b"", good[:-50]
    for content in (*bombs, *map(pickle.dumps, wrong)):
        batch.write_bytes(content)
        with pytest.raises(ValueError, match="data_batch_2 is damaged"):
            load_CIFAR10(folder)
    assert not (tmp_path / "executed").exists()


def test_svhn_has_ten_for_zero_and_the_images_last(tmp_path):
    (tmp_path / "svhn").mkdir()
    X, y = RNG.integers(0, 256, (32, 32, 3, 12), np.uint8), np.arange(1, 13)[:, None] % 10 + 1
    for part in ("train", "test"):
        savemat(tmp_path / "svhn" / f"{part}_32x32.mat", {"X": X, "y": y})
    data = load_dataset("svhn", directory=tmp_path, validation=2, normalize=False)
    assert np.array_equal(data.X_test[4].reshape(32, 32, 3), X[..., 4])
    assert data.y_test.tolist() == (y.ravel() % 10).tolist()
    savemat(tmp_path / "svhn" / "test_32x32.mat", {"X": X, "y": 0 * y})
    with pytest.raises(ValueError, match=r"test_32x32\.mat is damaged or not SVHN's"):
        load_dataset("svhn", directory=tmp_path)


# ---- one's own images


def picture(path, color, size=(8, 6), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    for kind, color in (("rose", (200, 30, 40)), ("daisy", (250, 250, 10))):
        for i in range(10):
            suffix = ("png", "jpg", "webp", "bmp")[i % 4]
            picture(tmp_path / "flowers" / kind / f"{i}.{suffix}", color, (8 + (i == 0), 6))
        for left in ("Thumbs.db", "desktop.ini", ".DS_Store"):
            (tmp_path / "flowers" / kind / left).write_bytes(b"no image")
    (tmp_path / "flowers" / "desktop.ini").write_bytes(b"no image")
    return tmp_path / "flowers"


def test_a_folder_for_each_class(folder):
    data = load_image_folder(folder, size=(4, 5))
    assert data.class_names == ("daisy", "rose") and data.image_shape == (4, 5, 3)
    assert (len(data.X_train), len(data.X_val), len(data.X_test)) == (12, 4, 4)
    assert np.bincount(data.y_val).tolist() == np.bincount(data.y_test).tolist() == [2, 2]
    for X, y in ((data.X_train, data.y_train), (data.X_test, data.y_test)):
        red, green, _ = data.to_pixels(X).mean(axis=(1, 2)).T
        assert ((green > 200) == (y == 0)).all() and (red > 150).all()
    again = load_image_folder(folder, size=(4, 5))
    assert np.array_equal(data.X_train, again.X_train)
    assert np.array_equal(data.transform(data.read(folder / "rose" / "1.jpg")).shape, (1, 60))


def test_pictures_without_colour_make_gray_rows(tmp_path):
    for i in range(10):
        picture(tmp_path / f"class {i % 2}" / f"{i}.png", (20 * i,) * 3)
    data = load_image_folder(tmp_path, normalize=False)
    assert data.image_shape == (6, 8) and data.X_train.shape == (6, 48)
    assert data.read(tmp_path / "class 1" / "7.png").tolist() == [[140] * 8] * 6


def test_mistakes_with_folders_are_named(folder):
    with pytest.raises(ValueError, match=r"has another size.*size"):
        load_image_folder(folder)
    with pytest.raises(ValueError, match="two classes"):
        load_image_folder(folder / "rose")
    (folder / "rose" / "note.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"note\.txt is damaged or no image"):
        load_image_folder(folder, size=(4, 4))
    (folder / "rose" / "note.txt").unlink()
    with pytest.warns(UserWarning, match="too few images for one to validate with"):
        load_image_folder(folder, size=(4, 4), validation=0.01)
    with pytest.raises(ValueError, match="none is left to train on"):
        load_image_folder(folder, size=(4, 4), validation=0.6, test=0.4)


def test_gray_sixteen_bit_transparent_and_turned_pictures(data, tmp_path):
    path = tmp_path / "image.png"
    digit = np.zeros((28, 28), np.uint8)
    digit[4:9, 6:8] = 200
    Image.fromarray(digit).save(path)
    assert np.array_equal(data.read(path), digit)
    Image.fromarray(digit.astype(np.uint16) * 257).save(path)
    assert np.array_equal(data.read(path), digit)
    clear = np.dstack([np.zeros((28, 28, 3), np.uint8), digit])
    Image.fromarray(clear).save(path)
    assert np.array_equal(
        data.read(path, invert=True) > 0, digit > 0
    )  # black ink on nothing is on white
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: to be turned right by a quarter
    Image.fromarray(digit).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    turned = data.read(tmp_path / "photo.jpg")
    assert np.abs(turned.astype(int) - np.rot90(digit, -1)).max() < 40
    Image.new("L", (56, 28), 90).save(path)
    assert data.read(path).shape == (28, 28) and (data.read(path) == 90).all()


@pytest.mark.parametrize("normalize", [True, "standard", False])
def test_black_ink_on_white_paper_gets_a_warning(normalize, tmp_path):
    data = load_dataset("mnist5k", normalize=normalize)
    paper = np.full((28, 28), 240, np.uint8)
    paper[8:20, 13:15] = 10
    Image.fromarray(paper).save(tmp_path / "one.png")
    with pytest.warns(UserWarning, match=r"one\.png is bright at its border.*invert=True"):
        data.read(tmp_path / "one.png")
    # no warning for ink made white, nor where there are no training images to compare with
    assert np.array_equal(data.read(tmp_path / "one.png", invert=True), 255 - paper)
    data.save_transform(tmp_path / "raw.npz")
    if not normalize:
        assert np.array_equal(
            load_transform(tmp_path / "raw.npz").read(tmp_path / "one.png"), paper
        )


def test_a_damaged_image_is_named(data, tmp_path):
    path = tmp_path / "b.png"
    picture(path, "red", (50, 50))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"b\.png is damaged or no image"):
        data.read(path)
    with pytest.raises(FileNotFoundError):
        data.read(tmp_path / "none.png")


# ---- spirals, one-hot labels, augmentations


def test_spirals_need_a_hidden_layer():
    X, y = make_spirals(rng=0)
    assert X.shape == (300, 2) and np.bincount(y).tolist() == [100] * 3
    assert np.allclose(np.linalg.norm(X[:100], axis=1), np.linspace(0, 1, 100))
    net = TwoLayerNet(2, 100, 3, "he", rng=0)
    net.train(X, y, X, y, 0.5, 1.0, 1e-4, epochs=300, batch_size=100, optimizer="momentum")
    assert net.accuracy(X, y) > 0.98
    linear = np.linalg.lstsq(np.c_[X, np.ones(300)], one_hot_encode(y), rcond=None)[0]
    assert 0.4 < (np.argmax(np.c_[X, np.ones(300)] @ linear, axis=1) == y).mean() < 0.6


def test_one_hot_there_and_back():
    assert one_hot_encode([1, 0], 3, np.float32).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert one_hot_decode([[0, 1], [1, 0]]).tolist() == [1, 0]
    for wrong in ([3, 0], [-1], [0.5], [[1]]):
        with pytest.raises(ValueError, match=r"in 0\.\.2"):
            one_hot_encode(np.array(wrong), 3)
    for wrong in ([[0.3, 0.7]], [[1, 1]], [[0, 0]], [0, 1]):
        with pytest.raises(ValueError, match="argmax"):
            one_hot_decode(wrong)


def test_flip_mirrors_half_of_the_images():
    X = RNG.random((400, 3, 4, 2))
    flipped = flip(X, np.random.default_rng(0))
    mirrored = (flipped == X[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (flipped == X).all(axis=(1, 2, 3))).all() and 0.4 < mirrored.mean() < 0.6


def test_distort_shifts_turns_and_stretches():
    X = np.zeros((300, 21, 21), np.float32)
    X[:, 9:12, 12:15] = 1
    y, x = np.mgrid[:21, :21] - 10

    def moments(images):
        weights = images / images.sum(axis=(1, 2), keepdims=True)
        return (
            (weights * y).sum(axis=(1, 2)),
            (weights * x).sum(axis=(1, 2)),
            images.sum(axis=(1, 2)),
        )

    nothing = {"pixels": 0, "degrees": 0, "zoom": 0}
    assert np.allclose(distort(X, np.random.default_rng(0), **nothing), X)
    down, right, _ = moments(distort(X, np.random.default_rng(0), **nothing | {"pixels": 2}))
    assert 1.9 < np.abs(down).max() <= 2.01 and 1.9 < np.abs(right - 3).max() <= 2.01
    down, right, _ = moments(distort(X, np.random.default_rng(0), **nothing | {"degrees": 30}))
    assert 28 < np.degrees(np.arctan2(down, right)).max() < 31
    assert np.allclose(np.hypot(down, right), 3, atol=0.1)
    *_, mass = moments(distort(X, np.random.default_rng(0), **nothing | {"zoom": 0.2}))
    assert 1.3 < mass.max() / 9 < 1.5 and 0.6 < mass.min() / 9 < 0.75
    bent = distort(X, np.random.default_rng(0), **nothing, elastic=1.0)
    assert np.abs(bent - X).max() > 0.3 and bent.dtype == np.float32
    with pytest.raises(ValueError, match="reshape"):
        distort(X.reshape(300, -1), np.random.default_rng(0))


def test_distort_keeps_integers_whole_and_colours_together():
    X = np.repeat(RNG.integers(0, 256, (5, 9, 9, 1), np.uint8), 3, axis=3)
    bent = distort(X, np.random.default_rng(0), elastic=0.5)
    assert bent.dtype == np.uint8 and (bent == bent[..., :1]).all() and bent.shape == X.shape


def test_drop_inputs_keeps_the_mean():
    X = np.ones((200, 300), np.float32)
    dropped = drop_inputs(X, np.random.default_rng(0), 0.3)
    assert dropped.dtype == np.float32 and abs((dropped == 0).mean() - 0.3) < 0.01
    assert np.allclose(dropped[dropped > 0], 1 / 0.7)
