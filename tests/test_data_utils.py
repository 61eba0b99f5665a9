"""Datasets and their files, one's own images and arrays, labels, augmentations."""

import gzip
import os
import pickle
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
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
    make_dataset,
    make_spirals,
    one_hot_decode,
    one_hot_encode,
    read_idx,
)

MNIST5K = Path(data_utils.__file__).parent / "datasets" / "mnist5k"
RAW = read_idx(MNIST5K / "train-images-idx3-ubyte.gz").reshape(4000, 784)
RAW_TEST = read_idx(MNIST5K / "t10k-images-idx3-ubyte.gz")
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def data():
    return load_dataset("mnist5k")


# ---- mnist5k, and what becomes of pixels


def test_last_training_rows_are_those_to_validate_with(data):
    labels = read_idx(MNIST5K / "train-labels-idx1-ubyte.gz")
    shapes = "X_train (3200, 784), X_val (800, 784), X_test (1000, 784)"
    assert repr(data) == f"<Dataset mnist5k: {shapes}>"
    assert np.array_equal(data.y_train, labels[:3200])
    assert np.array_equal(data.y_val, labels[3200:])
    assert data.X_train.dtype == np.float32
    assert data.y_train.dtype == np.int64


MEAN = RAW[:3000].mean(axis=0)
STD = np.std(RAW[:3000] - MEAN)


@pytest.mark.parametrize(
    ("normalize", "mean", "scale"),
    [(True, MEAN, 255), ("standard", MEAN, STD), ("mean", MEAN, 1), (False, 0, 1)],
)
def test_pixels_are_normalised_by_the_training_rows(normalize, mean, scale, tmp_path):
    data = load_dataset("mnist5k", validation=1000, normalize=normalize, dtype=np.float64)
    rows = np.concatenate([data.X_train, data.X_val])
    assert np.allclose(rows, (RAW - mean) / scale, atol=1e-12)
    data.save_transform(tmp_path / "look.npz")
    for look in (data, load_transform(tmp_path / "look.npz")):  # new images are treated alike
        assert np.array_equal(look.transform(RAW_TEST), data.X_test)
        assert np.allclose(look.to_pixels(data.X_test), RAW_TEST, atol=1e-9)
        assert look.class_names == tuple("0123456789")


DIGIT = np.zeros((28, 28), np.uint8)
DIGIT[4:9, 6:8] = 200


@pytest.mark.parametrize(
    "picture",
    [DIGIT > 0, DIGIT // 200, DIGIT / 200, DIGIT - 1.0, DIGIT * 2.0, DIGIT * np.nan],
)
def test_pixels_that_are_not_of_0_to_255_are_refused(picture, data):
    with pytest.raises(ValueError, match=r"of 0\.\.255 \(multiply 0\.\.1 by 255\)"):
        data.transform(picture)


def test_black_picture_is_accepted(data):
    assert np.array_equal(data.transform(np.zeros((28, 28))), -data.mean[None])


def test_pixels_outside_0_to_255_are_not_made(data):
    assert data.to_pixels(data.X_test * 1000).max() == 255


def test_folder_is_that_of_the_argument_or_of_the_environment(tmp_path, monkeypatch):
    here = tmp_path / "here"
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(here))
    assert len(load_dataset("mnist5k").X_train) == 3200  # comes with the project
    for directory, place in ((None, tmp_path), (here, here), ("~", here)):
        with pytest.raises(FileNotFoundError, match="lacks train-images") as error:
            load_dataset("mnist", directory=directory)
        assert f'`python data_utils.py mnist --directory "{place}"`' in str(error.value)


@pytest.mark.full_data
def test_first_image_of_cifar10_is_a_frog():
    try:
        data = load_dataset("cifar10")
    except FileNotFoundError:
        pytest.skip("cifar10 is not there")
    assert data.class_names[data.y_train[0]] == "frog"


def test_failed_write_leaves_what_another_program_wrote(data, tmp_path, monkeypatch):
    path = tmp_path / "look.npz"

    def savez(file, **arrays):
        file.write(b"half of it")
        monkeypatch.undo()
        data.save_transform(path)
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(OSError, match="disk full"):
        data.save_transform(path)
    assert np.array_equal(load_transform(path).mean, data.mean)
    assert os.listdir(tmp_path) == ["look.npz"]


def test_other_file_is_no_transform(tmp_path):
    np.savez(tmp_path / "net.npz", W1=MEAN)
    with pytest.raises(ValueError, match=r"net\.npz is damaged or not .*saved transform"):
        load_transform(tmp_path / "net.npz")


# ---- Files in the formats of MNIST, CIFAR-10 and SVHN


def lay_out_mnist(folder, form="{}.gz", dash="-idx"):
    """Write mnist5k's files into a folder, under names of another form."""
    for path in MNIST5K.iterdir():
        name = path.name.removesuffix(".gz").replace("-idx", dash)
        content = path.read_bytes()
        if not form.endswith(".gz"):
            content = gzip.decompress(content)
        copy = folder / form.format(name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)


@pytest.mark.parametrize("form", ["{}.gz", "{}", "{0}/{0}"])
def test_files_are_found_by_any_of_their_names(form, data, tmp_path):
    for dash in ("-idx", ".idx"):
        lay_out_mnist(tmp_path / dash / "mnist", form, dash)
        found = load_dataset("mnist", directory=tmp_path / dash, validation=800)
        assert np.array_equal(found.X_train, data.X_train)


def test_clothes_have_their_names(tmp_path):
    lay_out_mnist(tmp_path / "fashion_mnist")
    data = load_dataset("fashion_mnist", directory=tmp_path, validation=0)
    names = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle boot"
    assert " ".join(data.class_names) == names


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_as_usual_10000_images_are_to_validate_with(name, tmp_path):
    lay_out_mnist(tmp_path / name)
    with pytest.raises(ValueError, match=f"got 10000: {name} has 4000"):
        load_dataset(name, directory=tmp_path)


IDX = struct.pack(">HBB2I", 0, 8, 2, 3, 4) + bytes(12)
PACKED = gzip.compress(IDX)


@pytest.mark.parametrize(
    "content", [IDX[:7], IDX[:-1], IDX + b"\0", b"\0\0\x0d" + IDX[3:], PACKED[:-9]]
)
def test_damaged_idx_file_is_named(content, tmp_path):
    (tmp_path / "a-ubyte").write_bytes(PACKED)
    assert np.array_equal(read_idx(tmp_path / "a-ubyte"), np.zeros((3, 4)))
    (tmp_path / "a-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match="a-ubyte is damaged or not an IDX file"):
        read_idx(tmp_path / "a-ubyte")


@pytest.mark.parametrize("labels", [bytes(7), bytes([10] * 4000)])
def test_labels_that_do_not_fit_the_images_are_named(labels, tmp_path):
    lay_out_mnist(tmp_path / "mnist")
    content = struct.pack(">HBBI", 0, 8, 1, len(labels)) + labels
    (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"train-labels.* labels"):
        load_dataset("mnist", directory=tmp_path, validation=0)


ROWS = RNG.integers(0, 256, (60, 3072), np.uint8)
IMAGES = ROWS.reshape(60, 3, 32, 32).transpose(0, 2, 3, 1)
CLASSES = RNG.integers(0, 10, 60).tolist()
NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """The folder of a CIFAR-10 of 6 batches with 10 images each."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i in range(6):
        part = slice(10 * i, 10 * i + 10)
        batch = {b"data": ROWS[part], b"labels": CLASSES[part]}
        content = pickle.dumps(batch, protocol=i)
        if i < 4:  # as old versions of numpy wrote it
            content = content.replace(b"numpy._core", b"numpy.core")
        (folder / NAMES[i]).write_bytes(content)
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(tmp_path))
    return folder


def test_cifar10_in_the_official_format(cifar10):
    X, y, X_test, y_test = load_CIFAR10(str(cifar10))
    assert np.array_equal(X, IMAGES[:50])
    assert np.array_equal(X_test, IMAGES[50:])
    assert X.dtype == np.float64
    assert y.tolist() + y_test.tolist() == CLASSES
    names = load_dataset("cifar10", validation=10).class_names
    expected = "airplane automobile bird cat deer dog frog horse ship truck"
    assert " ".join(names) == expected


MEAN_OF_30 = IMAGES[:30].mean(axis=0)


@pytest.mark.parametrize(
    ("options", "mean"),
    [({}, MEAN_OF_30), ({"subtract_mean": False}, 0)],
)
def test_images_of_cs231n_are_centred_by_the_training_images(options, mean, cifar10):
    d = get_CIFAR10_data(30, 10, 5, **options)
    parts = {"train": slice(30), "val": slice(30, 40), "test": slice(50, 55)}
    for part, rows in parts.items():
        assert np.allclose(d[f"X_{part}"], IMAGES[rows] - mean)
        assert d[f"X_{part}"].dtype == np.float64
        assert d[f"y_{part}"].tolist() == CLASSES[rows]


@pytest.mark.parametrize("numbers", [(50, 1, 10), (40, 10, 11)])
def test_too_few_images_for_cs231n_are_refused(numbers, cifar10):
    with pytest.raises(ValueError, match="50 images to train on, 10 to test on"):
        get_CIFAR10_data(*numbers)


class Bomb:
    """Calls a function, one of numpy's, when it is unpickled."""

    def __reduce__(self):
        return np.savetxt, ("executed", [1])


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (Bomb(), CLASSES),
        (ROWS[:9], CLASSES),
        (ROWS[:10] / 255, CLASSES),
        (ROWS[:10], [10] * 10),
    ],
)
def test_batch_that_is_damaged_or_calls_functions_is_named(X, y, cifar10, monkeypatch):
    monkeypatch.chdir(cifar10)
    batch = {b"data": X, b"labels": y[:10]}
    (cifar10 / "data_batch_2").write_bytes(pickle.dumps(batch))
    with pytest.raises(ValueError, match="data_batch_2 is damaged or not a CIFAR-10 batch"):
        load_CIFAR10(cifar10)
    assert not os.path.exists("executed")


HOUSES = RNG.integers(0, 256, (32, 32, 3, 10), np.uint8)
NUMBERS = np.arange(1, 11)


def write_svhn(folder, X, y):
    (folder / "svhn").mkdir()
    for part in ("train", "test"):
        savemat(folder / "svhn" / f"{part}_32x32.mat", {"X": X, "y": y})


def test_svhn_has_ten_for_zero_and_the_images_last(tmp_path):
    write_svhn(tmp_path, HOUSES, NUMBERS)
    data = load_dataset("svhn", directory=tmp_path, validation=2, normalize=False)
    assert np.array_equal(data.to_pixels(data.X_test)[4], HOUSES[..., 4])
    assert data.y_test.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]


@pytest.mark.parametrize(("X", "y"), [(HOUSES, NUMBERS - 1), (HOUSES / 1.0, NUMBERS)])
def test_damaged_file_of_svhn_is_named(X, y, tmp_path):
    write_svhn(tmp_path, X, y)
    with pytest.raises(ValueError, match=r"train_32x32\.mat is damaged or not .*file"):
        load_dataset("svhn", directory=tmp_path)


# ---- One's own images


def picture(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def plain(color, rows=6):
    """An image of one colour, or of one gray, 8 columns wide."""
    color = np.array(color, np.uint8)
    return np.broadcast_to(color, (rows, 8, *color.shape))


@pytest.fixture
def flowers(tmp_path):
    """Ten daisies, yellow, and twenty roses, red, each of its own brightness."""
    folder = tmp_path / "flowers"
    for i in range(20):
        picture(folder / "rose" / f"{i}.png", plain((150 + i, 30, 40)))
    for i in range(10):
        picture(folder / "daisy" / f"{i}.bmp", plain((250, 200 + i, 10)))
    for left_behind in ("Thumbs.db", ".DS_Store"):
        (folder / "rose" / left_behind).write_bytes(b"no image")
    return folder


def test_folder_for_each_class(flowers):
    here = flowers / "rose" / ".."
    data = load_image_folder(here, size=[4, 5], test=0.1, normalize=False)
    assert (data.name, data.class_names) == ("flowers", ("daisy", "rose"))
    assert data.image_shape == (4, 5, 3)
    assert np.bincount(data.y_train).tolist() == [7, 14]
    assert np.bincount(data.y_val).tolist() == [2, 4]
    assert np.bincount(data.y_test).tolist() == [1, 2]
    X = np.concatenate([data.X_train, data.X_val, data.X_test])
    y = np.concatenate([data.y_train, data.y_val, data.y_test])
    assert np.array_equal(X[:, 1] < 100, y == 1)  # roses have little green
    assert 0 < np.argmin(data.y_train) < 14  # mixed


def test_mean_is_that_of_the_training_images(flowers):
    data = load_image_folder(flowers, dtype=np.float64)
    raw = load_image_folder(flowers, normalize=False)
    mean = raw.X_train.mean(axis=0, dtype=np.float64)
    assert np.allclose(data.X_val, (raw.X_val - mean) / 255, atol=1e-12)
    assert data.X_val.dtype == np.float64


def test_split_follows_from_the_seed_not_from_the_order_of_files(flowers, monkeypatch):
    load = partial(load_image_folder, flowers, normalize=False)
    data = load(seed=1)
    assert data.X_val.sum() != load(seed=2).X_val.sum()  # other flowers
    iterdir = Path.iterdir

    def backwards(path):
        return sorted(iterdir(path), reverse=True)

    monkeypatch.setattr(Path, "iterdir", backwards)
    assert np.array_equal(load(seed=1).X_train, data.X_train)


def gray_folder(folder, *images):
    """A folder of ten images in two classes, which these are repeated for."""
    for i in range(10):
        picture(folder / f"class {i % 2}" / f"{i}.png", images[i % len(images)])
    return folder


def test_middle_of_an_image_is_cut_out_and_its_pixels_averaged(tmp_path, data):
    wide = np.zeros((56, 120), np.uint8)
    wide[:, 32:88] = np.tile([[90, 110], [110, 90]], (28, 28))  # the middle, a chessboard
    own = load_image_folder(gray_folder(tmp_path, wide), size=28, normalize=False)
    assert (own.X_train == 100).all()
    assert (data.read(tmp_path / "class 0" / "0.png") == 100).all()


def test_images_without_colour_make_gray_rows(tmp_path):
    gray_folder(tmp_path, plain((77, 77, 77)))
    data = load_image_folder(tmp_path, normalize="standard")
    assert data.image_shape == (6, 8)
    assert not data.X_train.any()  # all are the same: nothing is divided by 0
    assert np.array_equal(data.read(tmp_path / "class 1" / "7.png"), plain(77))
    picture(tmp_path / "class 0" / "0.png", plain((77, 77, 78)))
    assert load_image_folder(tmp_path).image_shape == (6, 8, 3)


def test_mistakes_in_folders_are_named(flowers):
    with pytest.raises(ValueError, match=r"must hold a folder .* two or more classes"):
        load_image_folder(flowers.parent)
    for size in (0, (8, 0)):
        with pytest.raises(ValueError, match=r"size must be \(rows, columns\)"):
            load_image_folder(flowers, size=size)
    with pytest.raises(ValueError, match=r"daisy: none of 10 images is .* 0\.2 is a fifth"):
        load_image_folder(flowers, validation=0.6, test=0.4)
    picture(flowers / "rose" / "large.png", plain((99, 99, 99), rows=7))
    with pytest.raises(ValueError, match=r"sizes .*\(7, 8\).*: choose one"):
        load_image_folder(flowers)
    (flowers / "rose" / "note.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"note\.txt is damaged or not .*image"):
        load_image_folder(flowers, size=32)


def test_folder_inside_that_of_a_class_is_refused(flowers, tmp_path):
    split = tmp_path / "split"
    (split / "train").mkdir(parents=True)
    flowers.rename(split / "test")
    with pytest.raises(ValueError, match=r"daisy is a folder where images .* a folder for each"):
        load_image_folder(split, validation=0)


# ---- Single pictures


RAMP = np.tile(np.arange(0, 252, 9, np.uint8), (28, 1))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_are_read_and_a_dark_picture_gets_a_warning(name, data, tmp_path):
    path = tmp_path / name
    dark = RAMP.astype(np.uint16)
    picture(path, 0 * dark)
    assert not data.read(path).any()
    picture(path, 257 * dark + 129)
    assert np.array_equal(data.read(path), RAMP + 1)  # rounded
    picture(path, 16 * dark)
    with pytest.warns(UserWarning, match=rf"{name} is dark.* is 15 of 255") as warned:
        data.read(path)
    assert warned[0].filename == __file__


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_of_unknown_range_are_refused(kind, data, tmp_path):
    picture(tmp_path / "a.tif", RAMP.astype(kind))
    with pytest.raises(ValueError, match=r"a\.tif is .*; save 0\.\.255"):
        data.read(tmp_path / "a.tif")


def test_transparency_is_white_paper(data, tmp_path):
    image = np.zeros((28, 28, 4), np.uint8)
    image[..., 3] = DIGIT  # black ink on nothing
    picture(tmp_path / "a.png", image)
    assert np.array_equal(data.read(tmp_path / "a.png", invert=True), DIGIT)


def test_photo_is_turned_as_the_camera_says(data, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    picture(tmp_path / "a.png", DIGIT, exif=exif)
    assert np.array_equal(data.read(tmp_path / "a.png"), np.rot90(DIGIT, -1))


@pytest.mark.parametrize("normalize", [True, "standard", "mean", False])
def test_black_ink_on_white_paper_gets_a_warning(normalize, tmp_path):
    data = load_dataset("mnist5k", normalize=normalize)
    path = tmp_path / "one.png"
    picture(path, 255 - DIGIT)
    with pytest.warns(UserWarning, match=r"one\.png is bright .*invert=True") as warned:
        data.read(path)
    assert warned[0].filename == __file__
    assert np.array_equal(data.read(path, invert=True), DIGIT)


def test_white_is_as_usual_where_training_images_are_bright(tmp_path):
    data = load_image_folder(gray_folder(tmp_path, plain(255), plain(90)))
    assert data.read(tmp_path / "class 0" / "0.png").min() == 255


# ---- One's own arrays


TABLE = RNG.normal(size=(9, 4)) * 1000
KINDS = np.array([0, 1, 1, 0, 1, 0, 1, 1, 2])


def test_table_stays_as_it_is(tmp_path):
    data = make_dataset(TABLE[:5], KINDS[:5], TABLE[5:7], KINDS[5:7], TABLE[7:], KINDS[7:])
    assert np.array_equal(data.X_train, TABLE[:5])
    assert np.array_equal(data.y_test, KINDS[7:])
    data.save_transform(tmp_path / "look.npz")
    look = load_transform(tmp_path / "look.npz")
    assert np.array_equal(look.transform(TABLE[0]), TABLE[:1])
    assert look.class_names == ("0", "1", "2")
    assert look.image_shape is None


@pytest.mark.parametrize("shape", [(9, 4, 5), (9, 4, 5, 3)])
def test_images_become_rows_of_floats_and_come_back(shape):
    X = RNG.integers(0, 256, shape, np.uint8)
    data = make_dataset(X, KINDS, X * 2.0, KINDS)
    assert data.image_shape == shape[1:]
    assert data.X_train.dtype == np.float32
    assert np.array_equal(data.to_pixels(data.X_val), X * 2.0)
    assert np.array_equal(data.transform(X[2]), data.X_train[2:3])


def test_shape_and_names_of_rows_can_be_given():
    X = np.ones((9, 6), int)
    data = make_dataset(X, KINDS, X, KINDS, image_shape=[2, 3], class_names="abcd")
    assert data.image_shape == (2, 3)
    assert data.class_names == ("a", "b", "c", "d")
    assert data.X_train.dtype == np.float64  # as integers may need it


# ---- Labels and points


def test_one_hot_there_and_back():
    rows = one_hot_encode([1, 0], 3, np.float32)
    assert rows.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert rows.dtype == np.float32
    assert one_hot_encode(np.array([255], np.uint8)).shape == (1, 256)
    assert one_hot_decode([[0, 1], [1, 0]]).tolist() == [1, 0]


def test_spirals_have_an_arm_for_each_class():
    X, y = make_spirals(classes=4, points=100)
    assert np.array_equal(y, np.repeat([0, 1, 2, 3], 100))
    radius = np.tile(np.linspace(0, 1, 100), 4)
    angle = 4 * y + 4 * radius
    arms = [radius * np.sin(angle), radius * np.cos(angle)]
    assert np.allclose(X.T, arms, atol=0.7)


# ---- Augmentations


def rng(seed=0):
    return np.random.default_rng(seed)


def test_flip_mirrors_half_of_the_images_left_to_right():
    images = RNG.random((400, 3, 4, 2))
    before = images.copy()
    flipped = flip(images, rng())
    changed = (flipped != before).any(axis=(1, 2, 3))
    assert 0.4 < changed.mean() < 0.6
    assert np.array_equal(flipped[changed], before[changed, :, ::-1])
    assert np.array_equal(images, before)


def test_drop_inputs_keeps_the_mean():
    dropped = drop_inputs(np.ones((200, 300), np.float32), rng(), 0.3)
    assert dropped.dtype == np.float32
    assert abs(np.mean(dropped == 0) - 0.3) < 0.01
    assert np.allclose(dropped[dropped > 0], 1 / 0.7)


def test_distort_draws_what_it_has_always_drawn():
    images = np.arange(15.0).reshape(1, 3, 5)
    bent = distort(images, rng(1), pixels=1.0, degrees=30, zoom=0.2, elastic=0.5, sigma=2.0)
    expected = [
        [1.0372, 2.6644, 4.5169, 6.2697, 8.1368],
        [5.5689, 6.7663, 8.6176, 10.2650, 11.9626],
        [9.9804, 10.0000, 10.4413, 11.3973, 12.3685],
    ]
    assert np.allclose(bent, [expected], atol=1e-4)


def test_distort_rounds_bytes():
    images = RNG.integers(0, 256, (150, 9, 9, 3), np.uint8)
    bent = distort(images, rng())
    assert bent.dtype == np.uint8
    assert np.array_equal(bent, np.rint(distort(images * 1.0, rng())))


# ---- What gets an error that says what to do


make_own = partial(make_dataset, TABLE, KINDS, TABLE, KINDS)
BATCH = np.ones((5, 3, 32, 32))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (load_dataset, ["mnist5000"], "mnist5k, .* got 'mnist5000'"),
        (one_hot_encode, [[3, 0], 3], r"0\.\.2, got 0\.\.3"),
        (one_hot_encode, [[[1], [0]]], r"use y\.ravel\(\)"),
        (one_hot_encode, [[0.5]], r"y\.astype\(int\), .*\(y, return_inverse=True\)\[1\]"),
        (one_hot_decode, [[[0.9, 0.1]]], r"Y\.argmax\(axis=1\)"),
        (one_hot_decode, [[0, 1]], r"Y\.argmax\(axis=1\)"),
        (drop_inputs, [BATCH.astype(int), RNG], r"int64: give .* X\.astype\(np\.float32\)"),
        (flip, [BATCH.reshape(5, -1), RNG], r"\(5, 3072\); X\.reshape\(-1, \*image_shape\)"),
        (flip, [BATCH, RNG], r"X\.transpose\(0, 2, 3, 1\)"),
        (make_dataset, [TABLE, KINDS, TABLE[:, :3], KINDS], r"X_val .*\(9, 4\).*\(9, 3\)"),
        (make_dataset, [TABLE, KINDS, TABLE[:8], KINDS], r"X_val .*\(9, 4\).*\(8, 4\)"),
        (make_dataset, [TABLE.astype(str), KINDS, TABLE, KINDS], "X_train .* of <U"),
        (make_dataset, [TABLE, KINDS, TABLE, KINDS / 2], r"np\.unique\(y_train\), y_val\)"),
        (make_dataset, [TABLE, KINDS, TABLE, KINDS - 1], r"0\.\.2, got -1\.\.2"),
        (make_dataset, [BATCH, [0] * 5, BATCH, [0] * 5], r"give .* X\.transpose\(0, 2, 3, 1\)"),
    ],
)
def test_mistake_gets_an_error_that_says_what_to_do(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (load_dataset, {"name": "mnist5k", "validation": 4000}, r"0\.\.3999, got 4000"),
        (load_dataset, {"name": "mnist5k", "normalize": "minmax"}, "'mean', got 'minmax'"),
        (make_own, {"class_names": "ab"}, r"0\.\.1, got 0\.\.2; the first label is 0"),
        (make_own, {"image_shape": (2, 3)}, r"of 4 numbers, got \(2, 3\)"),
    ],
)
def test_wrong_option_gets_an_error(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(**options)
