"""Datasets of images: read, split, normalise, download; augmentations, one-hot labels.

    data = load_dataset("mnist5k")          # <Dataset mnist5k: X_train (3200, 784), ...>
    net.train(data.X_train, data.y_train, data.X_val, data.y_val)
    net.predict(data.transform(image))      # a new image is treated like those trained on

Your own images, in a folder for each class: `load_image_folder`. Your own arrays: `make_dataset`.
"""

import argparse
import gzip
import math
import os
import pickle
import shutil
import sys
import tempfile
import uuid
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

INSTALL = "python -m pip install -r requirements-data.txt"

# ---- Labels


def _check_labels(name, y, advice):
    """Check that y is (N,) and of integers.

    advice: the code by which a student can turn names such as "cat" into integers.
    """
    if y.ndim != 1:
        raise ValueError(
            f"{name} must have shape (N,), got {y.shape}; "
            f"use {name}.ravel() for (N, 1), {name}.argmax(axis=1) for one-hot rows"
        )
    if y.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must hold integers, got {y.dtype}; use {name}.astype(int), for names {advice}"
        )


def _check_range(name, y, num_classes):
    """Check that all labels are in 0..num_classes - 1."""
    # With initial=0 an empty y is no error.
    if y.min(initial=0) < 0 or y.max(initial=0) >= num_classes:
        raise ValueError(
            f"{name} must be in 0..{num_classes - 1}, got {y.min()}..{y.max()}; "
            "the first label is 0"
        )


def one_hot_encode(y, num_classes=None, dtype=np.float64):
    """Integer labels y (N,) as rows (N, num_classes), 1 at the label, 0 elsewhere.

    num_classes: by default the largest label + 1. Raises ValueError, saying what to do, for labels
    of another shape or kind, or out of range.
    """
    y = np.asarray(y)
    _check_labels("y", y, "np.unique(y, return_inverse=True)[1]")
    if num_classes is None:
        num_classes = int(y.max()) + 1
    _check_range("y", y, num_classes)
    # For each label y the row y of the identity matrix
    return np.eye(num_classes, dtype=dtype)[y]


def one_hot_decode(Y):
    """One-hot rows Y (N, C) as labels (N,); for scores or probabilities use Y.argmax(axis=1)."""
    Y = np.asarray(Y)
    y = Y.argmax(axis=-1)
    # Y is one-hot if these labels give Y again.
    if Y.ndim != 2 or not np.array_equal(Y, one_hot_encode(y, Y.shape[1])):
        raise ValueError("rows of Y must have one 1, else 0; scores: Y.argmax(axis=1)")
    return y


# ---- Files: first what reads and writes any of them, then a function for each format


@contextmanager
def _reading(path, kind):
    """Open a file; any error in the `with` block becomes a ValueError that names the file.

    To be used as in `with _reading(path, "an IDX file") as file: ...`
    """
    with open(path, "rb") as file:  # outside `try`: a missing file is a FileNotFoundError
        try:
            # Here the caller's block runs, and here its errors are raised.
            yield file
        except Exception as error:
            raise ValueError(f"{path} is damaged or not {kind}: {error}") from error


def _write_npz(path, arrays):
    """np.savez, but the file at `path` stays as it is until the new one is whole."""
    part = f"{path}.{uuid.uuid4().hex}.part"
    try:
        with open(part, "xb") as file:
            np.savez(file, **arrays)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)  # it is only there if something failed


def read_idx(path):
    """Read an IDX file of bytes (see Y. LeCun's MNIST page), gzipped or not, as a uint8 array.

    Raises ValueError, naming the file, if it is damaged or of another kind.
    """
    with _reading(path, "an IDX file of bytes") as file:
        content = file.read()
        if content.startswith(b"\x1f\x8b"):  # as every gzipped file does
            content = gzip.decompress(content)
        # The first two bytes are 0, the third is 8 for an array of bytes, the fourth is the number
        # of axes. Then comes the length of each axis, in 4 bytes, and then the array.
        if not content.startswith(b"\0\0\x08"):
            raise ValueError("it does not start with 00 00 08")
        ndim = content[3]
        shape = np.frombuffer(content, ">u4", count=ndim, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def _read_mnist(paths):
    """Images (N, 28, 28), uint8, and labels (N,), int64. paths: the images' file, the labels'."""
    images_path, labels_path = paths
    images = read_idx(images_path)
    labels = read_idx(labels_path)
    # There must be a label for each image.
    if images.shape != (*labels.shape, 28, 28):  # (N, 28, 28) for labels of shape (N,)
        raise ValueError(
            f"{labels_path} has {labels.shape} labels, "
            f"{images_path} {images.shape} images; remove both and download them again"
        )
    _check_range(f"{labels_path}: labels", labels, 10)
    return images, labels.astype(np.int64)


# Python calls the functions that a pickle names: a pickle of an attacker may do anything. Only
# these functions are allowed below. They make an array, in old and in new versions of numpy.
PICKLED_BY_NUMPY = (
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
    "_codecs.encode",  # makes the bytes of an array
)


class _BatchUnpickler(pickle.Unpickler):
    """Reads a batch of CIFAR-10, a pickled dict of an array and a list; refuses all else."""

    # pickle calls this for each function that is named.
    def find_class(self, module, name):
        if f"{module}.{name}" not in PICKLED_BY_NUMPY:
            raise ValueError(f"it asks for {module}.{name}, which a batch does not")
        return super().find_class(module, name)


def _read_cifar10(paths):
    """Images (N, 32, 32, 3), uint8, and labels (N,), int64, of all these batches."""
    images = []
    labels = []
    for path in paths:
        with _reading(path, "a CIFAR-10 batch") as file:
            # Python 2 wrote it; its strings become bytes, such as b"labels".
            batch = _BatchUnpickler(file, encoding="bytes").load()
            y = np.array(batch[b"labels"], np.int64)
            _check_range("labels", y, 10)
            # A row holds the red of all pixels, then their green, then their blue.
            X = batch[b"data"].reshape(len(y), 3, 32, 32).transpose(0, 2, 3, 1)
            # transpose moves nothing in memory. order="C" moves the pixels once, so that later
            # reshapes need no copy. casting="safe" raises an error if the numbers are not bytes.
            images.append(X.astype(np.uint8, order="C", casting="safe"))
            labels.append(y)
    return np.concatenate(images), np.concatenate(labels)


def _read_svhn(paths):
    """Images (N, 32, 32, 3), uint8, and labels (N,), int64, of one file."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError(f"SVHN's files need scipy: {INSTALL}") from error
    with _reading(paths[0], "a file of SVHN") as file:
        content = loadmat(file)
        # The images are (32, 32, 3, N) in the file. The labels are 1..10, 10 is the digit 0.
        X = content["X"].transpose(3, 0, 1, 2).astype(np.uint8, order="C", casting="safe")
        y = content["y"].ravel().astype(np.int64)
        # 1..10 are checked as 0..9. The remainder y % 10 makes 10 the digit 0.
        _check_range("labels - 1", y - 1, 10)
    return X, y % 10


def _read_image(path, size=None, mode="RGB"):
    """The image in a file as uint8, (rows, columns, 3), or (rows, columns) if mode is "L", gray.

    size: (rows, columns) to bring it to: cut around the centre to their proportions, and scaled.
    Photos are turned as their EXIF data say; what is transparent becomes white.
    """
    from PIL import Image, ImageOps  # here, because nothing else in this file needs them

    with _reading(path, "an image of 8 or 16 bits") as file:
        image = Image.open(file)
        # Refuse pixels of 32 bits, as nobody knows which number is white. Their modes are "F" and
        # "I". But Pillow also uses "I" for PNG and PPM files of 16 bits, which are accepted.
        if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
            raise ValueError("it has 32 bits, where white may be any number; save 0..255")
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # gray of 16 bits, "I" or "I;16"
            # From 0..65535 to 0..255: 65535 is 257 times 255. Pillow does it itself for colours.
            image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # A camera with 12 or 14 bits may use only 0..4095 or 0..16383 of the 0..65535 in its file. By
    # now that is 0..16 or 0..64, nearly black. A picture of 0 and 1, not 0 and 255, is as dark.
    brightest = image.convert("L").getextrema()[1]
    if 0 < brightest <= 64:
        warnings.warn(
            f"{path} is dark: its brightest pixel is {brightest} of 255; "
            "if it should be white, multiply pixels of 12 bits by 16, of 14 bits by 4",
            stacklevel=3,  # the warning shows the line that called our caller
        )
    if size is not None:
        # BOX: each new pixel is the mean of those that it covers. Pillow wants (columns, rows).
        image = ImageOps.fit(image, size[::-1], Image.BOX)
    return np.array(image.convert(mode))


# ---- The datasets that are known by name


class Source(NamedTuple):
    """What is known of a dataset before it is read."""

    folder: str
    class_names: list
    num_validation: int  # how many of the training images become X_val by default
    # A function: from these files it returns images (N, ...), uint8, and labels (N,), int64.
    read: object
    training_files: list
    test_files: list


DIGITS = list("0123456789")
CLOTHES = "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"
THINGS = "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck"
MNIST_TRAINING = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
MNIST_TEST = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
CIFAR10_TRAINING = [
    "data_batch_1",
    "data_batch_2",
    "data_batch_3",
    "data_batch_4",
    "data_batch_5",
]
CIFAR10_ARCHIVE = "cifar-10-python.tar.gz"

DATASETS = {
    "mnist5k": Source("mnist5k", DIGITS, 800, _read_mnist, MNIST_TRAINING, MNIST_TEST),
    "mnist": Source("mnist", DIGITS, 10000, _read_mnist, MNIST_TRAINING, MNIST_TEST),
    "fashion_mnist": Source(
        "fashion_mnist", CLOTHES.split(", "), 10000, _read_mnist, MNIST_TRAINING, MNIST_TEST
    ),
    "cifar10": Source(
        "cifar-10-batches-py",
        THINGS.split(", "),
        1000,
        _read_cifar10,
        CIFAR10_TRAINING,
        ["test_batch"],
    ),
    "svhn": Source("svhn", DIGITS, 3257, _read_svhn, ["train_32x32.mat"], ["test_32x32.mat"]),
}

# Where the datasets can be had. The addresses of a dataset are tried in turn. "md5" has the
# checksum of each file, as its authors, or those who copied it, give it.
DOWNLOADS = {
    "mnist": {
        "addresses": [
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        "md5": {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    },
    "fashion_mnist": {
        "addresses": ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
        "md5": {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    },
    "cifar10": {
        "addresses": ["https://www.cs.toronto.edu/~kriz/"],
        "md5": {CIFAR10_ARCHIVE: "c58f30108f718f92721af3b95e74349a"},
    },
    "svhn": {
        "addresses": ["http://ufldl.stanford.edu/housenumbers/"],
        "md5": {
            "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
            "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
        },
    },
}


def _folder(name, directory):
    """The folder with the files of a dataset, whether it exists or not."""
    if name not in DATASETS:
        raise ValueError(f"name must be one of {', '.join(DATASETS)}, got {name!r}")
    project = Path(__file__).parent / "datasets"
    if directory is None:
        directory = os.environ.get("TWO_LAYER_NET_DATA") or project
    folder = Path(directory).expanduser() / DATASETS[name].folder
    if name == "mnist5k" and not folder.is_dir():
        return project / "mnist5k"  # which comes with the project
    return folder


def _find(folder, file):
    """The path of a file, or None if it is missing.

    Names that are found for "train-images-idx3-ubyte.gz":
        train-images-idx3-ubyte.gz and train-images.idx3-ubyte.gz
        train-images-idx3-ubyte and train-images.idx3-ubyte, unpacked
        the last two in a folder of their own name, where some programs unpack them
    """
    unpacked = file.removesuffix(".gz")
    for name in (unpacked, unpacked.replace("-idx", ".idx")):
        for path in (folder / f"{name}.gz", folder / name, folder / name / name):
            if path.is_file():
                return path
    return None


def _missing(name, folder):
    """The files of a dataset that are not in its folder."""
    source = DATASETS[name]
    files = source.training_files + source.test_files
    return [file for file in files if _find(folder, file) is None]


def _read(name, folder):
    """Images (N, ...), uint8, and labels (N,), int64, to train on, then those to test on."""
    missing = _missing(name, folder)
    if missing:
        advice = f'run `python data_utils.py {name} --directory "{folder.absolute().parent}"`'
        if name == "mnist5k":
            advice = "copy the folder datasets/mnist5k of the project"
        raise FileNotFoundError(
            f"{folder.absolute()} lacks {', '.join(missing)}: put them there, or {advice}"
        )
    source = DATASETS[name]
    train = source.read([_find(folder, file) for file in source.training_files])
    test = source.read([_find(folder, file) for file in source.test_files])
    return *train, *test


# ---- What all loaders return


# The arrays of a Dataset, for whoever goes through all of them
PARTS = ("X_train", "X_val", "X_test", "y_train", "y_val", "y_test")


def _scale(normalize):
    """What pixels of 0..255 are divided by first. normalize: as in load_dataset, below.

    With True and "standard" they become 0..1, with "mean" and False they stay 0..255.
    """
    if normalize in (True, "standard"):
        return 255
    return 1


@dataclass(repr=False)
class Dataset:
    """Rows to train, validate and test on, their labels, and how the rows were made of pixels.

    A row is (pixels / scale - mean) / std. The scale is 255, or 1 if normalize is "mean"; std is 1
    unless normalize is "standard". If normalize is False, rows are pixels of 0..255 as they are; if
    it is None, numbers of any range, from make_dataset.
    """

    name: str
    image_shape: tuple  # (rows, columns) or (rows, columns, 3); None if X is not of images
    class_names: tuple  # a text for each of the C classes
    normalize: object  # as in load_dataset; None for the arrays of make_dataset
    mean: np.ndarray  # (D,): the mean training image / scale, in the dtype of X_train
    std: float  # 1 if normalize is not "standard"
    X_train: np.ndarray = None  # (N, D); after load_transform this and all below are None
    X_val: np.ndarray = None  # (N, D)
    X_test: np.ndarray = None  # (N, D)
    y_train: np.ndarray = None  # (N,), integers 0..C-1
    y_val: np.ndarray = None  # (N,)
    y_test: np.ndarray = None  # (N,)

    def __repr__(self):
        return (
            f"<Dataset {self.name}: X_train {np.shape(self.X_train)}, "
            f"X_val {np.shape(self.X_val)}, X_test {np.shape(self.X_test)}>"
        )

    def _rows(self, images):
        """Rows (N, D) of images (N, ...): here pixels are normalised."""
        # `mean` also tells D and the dtype of rows.
        rows = images.reshape(len(images), self.mean.size).astype(self.mean.dtype)
        if self.normalize:  # False and None leave the numbers as they are
            rows /= _scale(self.normalize)
            rows -= self.mean
            rows /= self.std
        return rows

    def to_pixels(self, X):
        """Undo `transform`, for pictures: rows X (N, D) to images (N, *image_shape) of 0..255.

        The numbers of arrays of your own (make_dataset) stay as they are.
        """
        if self.image_shape is None:
            raise ValueError("no image_shape is known: give make_dataset one")
        pixels = np.array(X, self.mean.dtype)
        if self.normalize:
            pixels = (pixels * self.std + self.mean) * _scale(self.normalize)
            pixels = np.clip(pixels, 0, 255)  # rounding may have led out of this range
        return pixels.reshape(-1, *self.image_shape)

    def transform(self, images):
        """Rows (N, D) of new images, treated like the training rows.

        images: pixels of 0..255, in the shape (N, *image_shape) or (N, D), or a single image. With
            make_dataset: numbers like those in X_train.
        Raises ValueError for other shapes and other pixels.
        """
        images = np.asarray(images)
        shapes = (self.image_shape, self.mean.shape)  # of an image, and of a row
        if images.shape in shapes:
            images = images[None]
        if images.shape[1:] not in shapes:
            raise ValueError(
                f"images must be (N, {self.mean.size}) or (N, *image_shape), got {images.shape}; "
                f"image_shape is {self.image_shape}"
            )
        if self.normalize is not None:
            low = images.min(initial=0)
            high = images.max(initial=0)
            in_range = low >= 0 and high <= 255  # if one is nan this is False
            if not in_range or 0 < high <= 1:  # up to 1: they are of 0..1, not of 0..255
                raise ValueError(
                    f"pixels must be of 0..255 (multiply 0..1 by 255), got {low}..{high}"
                )
        return self._rows(images)

    def read(self, path, invert=False):
        """Read an image file for `transform`: its middle, scaled to image_shape, as uint8.

        invert: turn black ink on white into white on black. Warns if that seems forgotten.
        Raises ValueError naming a file that is not an image, or whose numbers may be of any range.
        """
        if self.normalize is None:
            raise ValueError("read it with Pillow, and treat it as you treated X_train")
        mode = "RGB"
        if len(self.image_shape) == 2:
            mode = "L"
        image = _read_image(path, self.image_shape[:2], mode)
        if invert:
            image = 255 - image
        mean_image = self.mean.reshape(self.image_shape) * _scale(self.normalize)
        # The first and the last row show the background. Is it dark in the training images, and
        # bright in this one?
        if mean_image[[0, -1]].mean() < 64 and image[[0, -1]].mean() > 127:
            warnings.warn(
                f"{path} is bright at its border: try read(path, invert={not invert})",
                stacklevel=2,
            )
        return image

    def save_transform(self, path):
        """Write all that `transform` needs, without the data, as .npz for `load_transform`."""
        arrays = {
            "name": self.name,
            "image_shape": self.image_shape or (),
            "class_names": self.class_names,
            "normalize": str(self.normalize),
            "mean": self.mean,
            "std": self.std,
        }
        _write_npz(path, arrays)


def load_transform(path):
    """The `Dataset` that `save_transform` wrote to path, without its rows and labels.

    Raises ValueError, naming the file, if it is damaged or of another kind.
    """
    with _reading(path, "a saved transform") as file, np.load(file, allow_pickle=False) as arrays:
        # tolist turns an array into a list, a text or a number.
        name, image_shape, class_names, normalize, std = [
            arrays[key].tolist()
            for key in ("name", "image_shape", "class_names", "normalize", "std")
        ]
        # Strings were saved. "standard" and "mean" stay as they are.
        normalize = {"True": True, "False": False, "None": None}.get(normalize, normalize)
        return Dataset(
            name,
            tuple(image_shape) or None,
            tuple(class_names),
            normalize,
            arrays["mean"],
            std,
        )


def _begin_dataset(name, class_names, normalize, dtype, images):
    """A Dataset with the mean and std of these training images, (N, ...) of uint8.

    The caller then fills in X_train, X_val, ..., y_test; Dataset._rows makes the rows.
    """
    if normalize not in (True, "standard", "mean", False):
        raise ValueError(f"normalize must be True, False, 'standard' or 'mean', got {normalize!r}")
    rows = images.reshape(len(images), -1)
    # Sums of integers are exact.
    mean = rows.sum(axis=0, dtype=np.int64) / (_scale(normalize) * len(rows))
    std = 1.0
    if normalize == "standard":
        # When the mean image is subtracted, the mean of all numbers is 0, and so their variance is
        # the mean of their squares.
        squares = 0.0
        for start in range(0, len(rows), 1000):  # all at once would take much memory
            squares += np.square(rows[start : start + 1000] / 255 - mean).sum()
        if squares > 0:  # 0 if all images are the same
            std = math.sqrt(squares / rows.size)
    return Dataset(name, images.shape[1:], tuple(class_names), normalize, mean.astype(dtype), std)


def load_dataset(name, *, directory=None, validation=None, normalize=True, dtype=np.float32):
    """Read, split and normalise a dataset by its name; returns a `Dataset`.

    name: "mnist5k", "mnist", "fashion_mnist", "cifar10" or "svhn".
    directory: holds the datasets' folders; by default what the environment variable
        TWO_LAYER_NET_DATA says, else datasets/ beside this file, where mnist5k always is.
    validation: how many of the training images, the last ones, become X_val; by default 800, of
        MNIST and Fashion-MNIST 10000, of CIFAR-10 1000, of SVHN 3257 (70000 are left).
    normalize: what becomes of pixels of 0..255.
        True: pixels / 255, minus the mean image of X_train.
        "standard": also divided by the standard deviation of what is left, over all pixels.
        "mean": 0..255, minus the mean image (as in Stanford's course cs231n).
        False: 0..255 as they are.
    Raises FileNotFoundError, saying what to do, or ValueError, naming a file that is damaged.
    """
    images, labels, test_images, test_labels = _read(name, _folder(name, directory))
    source = DATASETS[name]
    if validation is None:
        validation = source.num_validation
    n = len(images) - validation
    if not 0 < n <= len(images):
        raise ValueError(
            f"validation must be in 0..{len(images) - 1}, got {validation}: "
            f"{name} has {len(images)} training images"
        )
    data = _begin_dataset(name, source.class_names, normalize, dtype, images[:n])
    data.X_train = data._rows(images[:n])
    data.X_val = data._rows(images[n:])
    data.X_test = data._rows(test_images)
    data.y_train = labels[:n]
    data.y_val = labels[n:]
    data.y_test = test_labels
    return data


def load_CIFAR10(ROOT):
    """Images (50000, 32, 32, 3), float64, and labels from ROOT, then those to test on.

    The name and the result are those of cs231n's own function, so that its notebooks run.
    """
    Xtr, Ytr, Xte, Yte = _read("cifar10", Path(ROOT))
    return Xtr.astype(np.float64), Ytr, Xte.astype(np.float64), Yte


def get_CIFAR10_data(num_training=49000, num_validation=1000, num_test=1000, subtract_mean=True):
    """cs231n's: a dict of X_train, y_train, X_val, y_val, X_test and y_test.

    Images are (N, 32, 32, 3), float64, 0..255, by default minus the mean image of X_train. They are
    read from where load_dataset looks for "cifar10". Raises ValueError if they are too few.
    """
    X, y, X_test, y_test = _read("cifar10", _folder("cifar10", None))
    end = num_training + num_validation
    if end > len(X) or num_test > len(X_test):
        raise ValueError(f"there are {len(X)} images to train on, {len(X_test)} to test on")
    mean = 0.0
    if subtract_mean:
        mean = X[:num_training].mean(axis=0)
    return {
        "X_train": X[:num_training] - mean,
        "y_train": y[:num_training],
        "X_val": X[num_training:end] - mean,
        "y_val": y[num_training:end],
        "X_test": X_test[:num_test] - mean,
        "y_test": y_test[:num_test],
    }


# ---- Data of your own


def _own_part(part, X, y, data, row_shape):
    """X as rows (N, D) and y (N,) as int64, if they fit each other and the Dataset."""
    X = np.asarray(X)
    y = np.asarray(y)
    # If labels are names, the error advises this code: it gives each name its position among the
    # sorted names of y_train, so that a name has the same number in all parts.
    _check_labels(f"y_{part}", y, f"np.searchsorted(np.unique(y_train), y_{part})")
    wanted = (len(y), *row_shape)
    # "biuf": bool, integer, unsigned integer, float
    if X.shape != wanted or X.dtype.kind not in "biuf":
        raise ValueError(
            f"X_{part} must hold numbers in the shape {wanted}, a row for each label and like "
            f"X_train's, got {X.shape} of {X.dtype}"
        )
    return data._rows(X), y.astype(np.int64)


def make_dataset(
    X_train, y_train, X_val, y_val, X_test=None, y_test=None, *, image_shape=None, class_names=None
):
    """A `Dataset` of arrays of your own, such as tune.sweep wants: their numbers stay as they are.

    X_train, X_val, X_test: rows (N, D), such as a table of D columns, or images (N, rows, columns)
        or (N, rows, columns, 3). They become float32, or float64 if X_train is of float64 or of
        integers of more than 16 bits.
    y_train, y_val, y_test: integer labels (N,), of which the first is 0.
    image_shape: (rows, columns) or (rows, columns, 3), for pictures; not needed if X is of images.
    class_names: a name for each label; by default the numbers.
    Raises ValueError, saying what to do, for arrays and labels that do not fit.
    """
    X_train = np.asarray(X_train)
    row_shape = X_train.shape[1:]
    D = math.prod(row_shape)
    if X_test is None:
        X_test = X_train[:0]
        y_test = np.zeros(0, int)  # (0,)
    if len(row_shape) > 1:
        image_shape = row_shape
    if image_shape is not None:
        image_shape = tuple(image_shape)
        # What comes after rows and columns: nothing, or 3 for red, green and blue
        if image_shape[2:] not in ((), (3,)) or math.prod(image_shape) != D:
            raise ValueError(
                f"images must be (rows, columns) or (rows, columns, 3), of {D} numbers, "
                f"got {image_shape}; give X[..., 0] for (N, rows, columns, 1), "
                "X.transpose(0, 2, 3, 1) for (N, 3, rows, columns), "
                "X.reshape(len(X), -1) for what is not an image"
            )
    # With normalize None the mean is not subtracted: `_rows` only takes the length and the dtype of
    # rows from it. That is float32, or float64 for float64 and for integers of more than 16 bits.
    mean = np.zeros(D, np.result_type(X_train, np.float32))
    data = Dataset("arrays", image_shape, class_names, None, mean, 1.0)
    data.X_train, data.y_train = _own_part("train", X_train, y_train, data, row_shape)
    data.X_val, data.y_val = _own_part("val", X_val, y_val, data, row_shape)
    data.X_test, data.y_test = _own_part("test", X_test, y_test, data, row_shape)
    labels = np.concatenate([data.y_train, data.y_val, data.y_test])
    if class_names is None:
        class_names = range(labels.max() + 1)
    data.class_names = tuple(map(str, class_names))
    _check_range("labels for these class_names", labels, len(data.class_names))
    return data


def _visible(folder):
    """The paths in a folder, by name, without what file managers leave behind."""
    left_behind = ("Thumbs.db", "desktop.ini")
    return [
        path
        for path in sorted(Path(folder).iterdir())
        if path.name[0] != "." and path.name not in left_behind
    ]


def _draw_parts(folder, n, validation, test, rng):
    """What each of the n images of a class is for: "train", "val" or "test", in random order."""
    n_val = round(validation * n)
    n_test = round(test * n)
    n_train = n - n_val - n_test
    if n_train <= 0:
        raise ValueError(
            f"{folder}: none of {n} images is left to train on, as validation={validation} and "
            f"test={test} are the shares kept for these; 0.2 is a fifth"
        )
    return rng.permutation(np.repeat(["test", "val", "train"], [n_test, n_val, n_train]))


def _read_class(folder, size):
    """The images (rows, columns, 3) in the folder of a class."""
    images = []
    for path in _visible(folder):
        if path.is_dir():
            raise ValueError(
                f"{path} is a folder where images should be: move them up, or give "
                "load_image_folder the folder that holds a folder for each class"
            )
        images.append(_read_image(path, size))
    return images


def load_image_folder(
    directory, *, size=None, validation=0.2, test=0.2, normalize=True, dtype=np.float32, seed=0
):
    """Read your own images, a folder of them for each class; returns a `Dataset`.

    size: (rows, columns) to bring all images to, or one number for both: the middle of each,
        scaled. Default: as they are.
    validation, test: the shares of each class, drawn by `seed`, that become X_val and X_test.
    normalize: see load_dataset.
    The images are gray if all of them are. Photos are turned as their EXIF data say, transparency
    becomes white. Raises ValueError, saying what to do, for images of several sizes, for a folder
    among images, for a file that is not an image, and for pixels of 32 bits.
    """
    if isinstance(size, int):
        size = (size, size)
    if size is not None and min(size) < 1:
        raise ValueError(f"size must be (rows, columns), each at least 1, got {size}")
    folders = [path for path in _visible(directory) if path.is_dir()]
    if len(folders) < 2:
        raise ValueError(f"{directory} must hold a folder for each of two or more classes")
    rng = np.random.default_rng(seed)
    images = []
    labels = []
    parts = []
    for label, folder in enumerate(folders):
        of_class = _read_class(folder, size)
        images.extend(of_class)
        labels.extend([label] * len(of_class))
        parts.extend(_draw_parts(folder, len(of_class), validation, test, rng))
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        raise ValueError(f"images have the sizes {sizes}: choose one, such as size=32")
    # They are in the order of their classes: mix them.
    order = rng.permutation(len(images))
    images = np.stack(images)[order]
    labels = np.array(labels)[order]
    parts = np.array(parts)[order]
    in_train = parts == "train"
    in_val = parts == "val"
    in_test = parts == "test"
    if (images == images[..., :1]).all():  # green and blue are like red: all are gray
        images = images[..., 0]
    names = [folder.name for folder in folders]
    name = Path(directory).resolve().name
    data = _begin_dataset(name, names, normalize, dtype, images[in_train])
    data.X_train = data._rows(images[in_train])
    data.X_val = data._rows(images[in_val])
    data.X_test = data._rows(images[in_test])
    data.y_train = labels[in_train]
    data.y_val = labels[in_val]
    data.y_test = labels[in_test]
    return data


def make_spirals(classes=3, points=100, rng=0):
    """Points X (N, 2) on arms of a spiral, a class each, and labels y (cs231n's case study)."""
    rng = np.random.default_rng(rng)
    y = np.repeat(np.arange(classes), points)
    radius = np.tile(np.linspace(0, 1, points), classes)
    # While the radius goes from 0 to 1, the angle of arm y goes from 4 * y to 4 * y + 4 radians.
    angle = 4 * (y + radius) + 0.2 * rng.standard_normal(len(y))
    X = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    return X, y


# ---- Augmentations, for train(..., augment=...): each returns a new array


def _check_images(X_batch):
    """Check that X_batch is (N, H, W) or (N, H, W, C), of two rows and two columns or more.

    If the last of four axes is longer than 4, it is refused, as it is probably (N, C, H, W).
    """
    if (
        X_batch.ndim not in (3, 4)
        or min(X_batch.shape[1:3]) < 2
        or (X_batch.ndim == 4 and X_batch.shape[3] > 4)
    ):
        raise ValueError(
            f"X_batch must be (N, H, W) or (N, H, W, C), with H and W at least 2, "
            f"got {X_batch.shape}; X.reshape(-1, *image_shape) makes images of rows, "
            "X.transpose(0, 2, 3, 1) moves the colours of (N, C, H, W)"
        )


def flip(X_batch, rng):
    """Mirror each image (N, H, W[, C]) left to right with probability 1/2: train(augment=flip)."""
    _check_images(X_batch)
    X = X_batch.copy()
    mirrored = rng.random(len(X)) < 0.5
    X[mirrored] = X[mirrored, :, ::-1]
    return X


def drop_inputs(X_batch, rng, p=0.2):
    """Dropout of inputs: each float of X_batch is 0 with probability p, else divided by 1 - p."""
    if X_batch.dtype.kind != "f":
        raise ValueError(f"X_batch is {X_batch.dtype}: give floats, X.astype(np.float32)")
    kept = rng.random(X_batch.shape) >= p
    # Convert 1 - p to float32 if X_batch is float32. Otherwise the mask would be float64.
    mask = kept / X_batch.dtype.type(1 - p)
    return X_batch * mask


def _blur(n, sigma):
    """A matrix (n, n) that blurs noise: row i has the weights of n pixels for the new pixel i.

    In the usual blur the weights in a row add up to 1. Here their squares do, because blurred noise
    should have variance 1, like the noise z itself: the variance of sum_k w_k z_k is sum_k w_k^2.
    """
    i = np.arange(n)
    distances = i[:, None] - i
    weights = np.exp(-0.5 * (distances / sigma) ** 2)
    norms = np.linalg.norm(weights, axis=1, keepdims=True)
    return (weights / norms).astype(np.float32)


def _places(shape, rng, shift, degrees, zoom, elastic, sigma):
    """The row and the column, in the old image, from which each pixel of the new one is taken.

    shape: (N, H, W[, C]) of the images. shift: the largest one, in pixels. The others are those of
    `distort`. Returns two arrays (N, H, W) of float32.
    """
    N, H, W = shape[:3]
    # Five random numbers of -1..1 for each image. Each of these is (N, 1, 1), for all its pixels.
    down, right, turn, tall, wide = rng.uniform(-1, 1, (5, N, 1, 1)).astype(np.float32)
    angle = math.radians(degrees) * turn
    cos = np.cos(angle)
    sin = np.sin(angle)
    # y, (H, 1), and x, (W,), are measured from the centre, about which an image is rotated and
    # stretched.
    middle_row = (H - 1) / 2
    middle_column = (W - 1) / 2
    y = np.arange(H, dtype=np.float32)[:, None] - middle_row
    x = np.arange(W, dtype=np.float32) - middle_column
    # Everything here goes from the new image back to the old one. Rotate: (N, H, W).
    rows = cos * y - sin * x
    columns = sin * y + cos * x
    # Stretch. To make the image twice as high, the pixel at y = 10 is taken from y = 5.
    rows /= 1 + zoom * tall
    columns /= 1 + zoom * wide
    # Shift. To move the image down by 2, the pixel at y = 10 is taken from y = 8.
    rows -= shift * down
    columns -= shift * right
    # Measure from the corner again.
    rows += middle_row
    columns += middle_column
    if elastic > 0:
        noise = rng.standard_normal((2, N, H, W), np.float32)
        # Blurred noise shifts neighbours nearly alike. A @ image blurs the columns of an image, and
        # image @ B.T its rows: (H, H) @ (2, N, H, W) @ (W, W). numpy does so with each (H, W). Each
        # of the two leaves its variance at 1.
        noise = _blur(H, sigma) @ noise @ _blur(W, sigma).T
        rows += elastic * noise[0]
        columns += elastic * noise[1]
    return rows, columns


def _values_at(places, images):
    """The values of images at places (rows, columns) between pixels: bilinear interpolation.

    Beyond its border an image goes on as at the border.
    """
    rows, columns = places
    N, H, W = rows.shape
    rows = np.clip(rows, 0, H - 1)
    columns = np.clip(columns, 0, W - 1)
    # A place is between four pixels: in the rows top and top + 1, the columns left and left + 1.
    # There must be a row top + 1, and so top is at most H - 2. Likewise for the columns.
    top = np.minimum(rows.astype(np.intp), H - 2)
    left = np.minimum(columns.astype(np.intp), W - 2)
    # How near the place is to the lower two, and to the right two: from 0 to 1, which it is in the
    # last row or column. (N, H, W, 1), as the last axis is for the colours.
    down = (rows - top).astype(np.float32)[..., None]
    right = (columns - left).astype(np.float32)[..., None]
    # All pixels in one list, (N * H * W, C), where C is 1 for gray. In it, pixel (n, row, column)
    # has the number i = (n * H + row) * W + column; i + 1 is in the next column, i + W in the next
    # row.
    pixels = images.reshape(N * H * W, -1)
    i = (np.arange(N)[:, None, None] * H + top) * W + left
    # np.take(pixels, i, axis=0) is pixels[i], (N, H, W, C), but faster.
    top_left = np.take(pixels, i, axis=0)
    top_right = np.take(pixels, i + 1, axis=0)
    bottom_left = np.take(pixels, i + W, axis=0)
    bottom_right = np.take(pixels, i + W + 1, axis=0)
    above = (1 - right) * top_left + right * top_right
    below = (1 - right) * bottom_left + right * bottom_right
    values = (1 - down) * above + down * below
    if images.dtype.kind != "f":  # integers are rounded
        values = np.rint(values)
    return values.astype(images.dtype).reshape(images.shape)


def distort(X_batch, rng, *, pixels=1.0, degrees=10.0, zoom=0.1, elastic=0.0, sigma=4.0):
    """Shift, rotate, stretch and bend each image a little: X_batch (N, H, W[, C]), a new array.

    pixels: shift down and to the right, each uniform in -pixels..pixels.
    degrees: rotation about the centre, uniform in -degrees..degrees.
    zoom: factors of height and of width, each uniform in 1 - zoom..1 + zoom.
    elastic, sigma: size and smoothness, in pixels, of random shifts that differ from pixel to pixel
        (Simard 2003).
    Integers are rounded. Raises ValueError for other shapes, and images of one row or column.
    """
    _check_images(X_batch)
    X = np.empty_like(X_batch)
    for start in range(0, len(X), 100):  # a hundred small ones fit into a cache
        part = X_batch[start : start + 100]
        places = _places(part.shape, rng, pixels, degrees, zoom, elastic, sigma)
        X[start : start + 100] = _values_at(places, part)
    return X


# ---- Downloads


def _fetch(name, file, where, advice):
    """Download a file of a dataset into the folder `where`, from the first address that has it."""
    try:
        import pooch
        import tqdm  # noqa: F401, with which pooch shows the progress
    except ImportError as error:
        raise ImportError(f"downloads need pooch and tqdm: {INSTALL}") from error
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=30)
    message = f"{file} cannot be downloaded; {advice}. Tried:"
    for address in DOWNLOADS[name]["addresses"]:
        try:
            pooch.retrieve(
                f"{address}{file}",
                f"md5:{DOWNLOADS[name]['md5'][file]}",
                file,
                where,
                downloader=downloader,
            )
            return
        except Exception as error:  # of the network, of the server, or a wrong checksum
            message += f" {address}: {error};"
    raise ConnectionError(message)


def download(name, directory=None):
    """Download a dataset, one of DOWNLOADS, to where `load_dataset` looks; returns its folder.

    What is there stays. The archive of CIFAR-10 is kept beside its folder. A ConnectionError names
    the files that are needed and their folder.
    """
    folder = _folder(name, directory)
    missing = _missing(name, folder)
    advice = f"put by hand into {folder.absolute()}: {', '.join(missing)}"
    if name == "cifar10" and missing:
        archive = folder.parent / CIFAR10_ARCHIVE
        # An archive that is there already, and whole, is not downloaded again. It is kept.
        _fetch(name, CIFAR10_ARCHIVE, folder.parent, advice)
        # Unpack elsewhere, then move what is missing: no file half unpacked gets into the folder.
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            # The filter refuses what would go to other folders.
            shutil.unpack_archive(archive, temporary, filter="data")
            folder.mkdir(exist_ok=True)
            for file in missing:  # they are in a folder of the same name
                os.replace(Path(temporary, folder.name, file), folder / file)
    else:
        for file in missing:
            _fetch(name, file, folder, advice)
    return folder


def main(arguments=None):
    """The command: download datasets, return the exit code."""
    parser = argparse.ArgumentParser(
        description=f"Download datasets to where load_dataset looks; before: {INSTALL}"
    )
    parser.add_argument("names", nargs="+", choices=DOWNLOADS)
    parser.add_argument("--directory")
    options = parser.parse_args(arguments)
    failed = 0
    for name in options.names:
        try:
            print(f"{name}: {download(name, options.directory)}")
        except (OSError, ImportError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
