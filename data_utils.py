"""Datasets of images for TwoLayerNet: read, split, normalise, download.

    >>> from data_utils import load_dataset
    >>> data = load_dataset("mnist5k")
    >>> data
    <Dataset mnist5k: X_train (3200, 784), X_val (800, 784), X_test (1000, 784)>
    >>> data.image_shape, data.class_names[7]
    ((28, 28), '7')

Train on X_train, choose by X_val, look at X_test once, at the end. A new image must be treated like the
training images, `net.predict(data.transform(image))`, and a row turned back before it is shown,
`plt.imshow(data.to_pixels(data.X_test[0])[0])`. "mnist5k" comes with the project, in datasets/;
`python data_utils.py --help` tells how to get the others.
"""

import argparse
import errno
import gzip
import hashlib
import http.client
import io
import math
import os
import pickle
import pickletools
import struct
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
import zipfile
import zlib
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path

import numpy as np

FILE_FORMAT = 1  # of saved transforms
_PROJECT_DATA = Path(__file__).resolve().parent / "datasets"
_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# validation: how many of the training rows X_val gets by default; files: size in bytes and MD5
# fmt: off
DATASETS = {
    "mnist5k": {"folder": "mnist5k", "image_shape": (28, 28), "class_names": _DIGITS, "validation": 800},
    "mnist": {
        "folder": "mnist", "image_shape": (28, 28), "class_names": _DIGITS, "validation": 10000,
        "mirrors": ("https://ossci-datasets.s3.amazonaws.com/mnist/",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        "files": {"train-images-idx3-ubyte.gz": (9912422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
                  "train-labels-idx1-ubyte.gz": (28881, "d53e105ee54ea40749a09fcbcd1e9432"),
                  "t10k-images-idx3-ubyte.gz": (1648877, "9fb629c4189551a2d022fa330f9573f3"),
                  "t10k-labels-idx1-ubyte.gz": (4542, "ec29112dd5afa0611ce80d1b7f02629c")},
    },
    "fashion_mnist": {
        "folder": "fashion_mnist", "image_shape": (28, 28), "class_names": _CLOTHES, "validation": 10000,
        "mirrors": ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        "files": {"train-images-idx3-ubyte.gz": (26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
                  "train-labels-idx1-ubyte.gz": (29515, "25c81989df183df01b3e8a0aad5dffbe"),
                  "t10k-images-idx3-ubyte.gz": (4422102, "bef4ecab320f06d8554ea6380940ec79"),
                  "t10k-labels-idx1-ubyte.gz": (5148, "bb300cfdad3c16e7a12a480ee83cd310")},
    },
    "cifar10": {
        "folder": "cifar-10-batches-py", "image_shape": (32, 32, 3), "class_names": _THINGS,
        "validation": 1000,
        "mirrors": ("https://www.cs.toronto.edu/~kriz/",),
        "files": {"cifar-10-python.tar.gz": (170498071, "c58f30108f718f92721af3b95e74349a")},
    },
    "svhn": {
        "folder": "svhn", "image_shape": (32, 32, 3), "class_names": _DIGITS, "validation": 3257,
        "mirrors": ("http://ufldl.stanford.edu/housenumbers/",),
        "files": {"train_32x32.mat": (182040794, "e26dedcc434d2e4c54c9b2d4a06d8373"),
                  "test_32x32.mat": (64275384, "eb5a983be6a315427106f1b164d9cef3")},
    },
}
# fmt: on
_CIFAR10_FILES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
_CIFAR10_LARGEST = 40_000_000  # bytes of a file; the official batches have 31 million
_SMALL, _PACKED = (
    2**25,
    20,
)  # what unpacks to more bytes than _SMALL, and than _PACKED a byte, is a bomb
_TIMEOUT = 30  # seconds to wait for a server's next bytes
_SLOWEST = 2000  # bytes a second that a server must send on average, looked at after _TIMEOUT
_PAUSES = (0, 1, 3)  # seconds before each attempt at one server


@dataclass(repr=False, eq=False)
class Transform:
    """What was done to a dataset's pixels, and what its labels mean; `load_transform` reads it from a file.

    image_shape is that of one image, D numbers; class_names has a name for each label. normalize is as given
    to `load_dataset`; mean, (D,) in units of pixels / 255, was subtracted (zeros: nothing was) and the float
    std divided by (1.0: nothing was).
    """

    name: str
    image_shape: tuple
    class_names: tuple
    normalize: bool | str
    mean: np.ndarray
    std: float

    def __repr__(self):
        return (
            f"<Transform {self.name}: images {self.image_shape}, {len(self.class_names)} classes>"
        )

    def transform(self, images):
        """Treat raw images exactly like the training rows: the same pixels give the same bits.

        images: (N, ...), D numbers each, or one image of image_shape; 0..255, of any real dtype (multiply an
        image scaled to 0..1 by 255 first). Returns new rows (N, D) of mean's dtype. Raises ValueError for
        another shape or values outside 0..255, TypeError for other types.
        """
        images = _real_array("images", images)
        if images.shape == self.image_shape:
            images = images[None]
        if math.prod(images.shape[1:]) != self.mean.size:
            raise ValueError(
                f"images must have shape (N, ...) or {self.image_shape}, got {images.shape}"
            )
        if not ((images >= 0) & (images <= 255)).all():
            raise ValueError(f"images must lie in 0..255, got {images.min()} to {images.max()}")
        return _normalize(images, self.normalize, self.mean, self.std)

    def read(self, path):
        """Read an image of one's own for `transform`, brought to image_shape like those of a folder.

        path: a PNG, JPEG or BMP file. Its middle is cut to the right proportions and scaled by area means; if
        the dataset is gray, colours become their luma (ITU-R BT.601). Returns uint8 of image_shape. Raises
        ValueError, naming the file, if it is transparent, damaged or of another format.
        """
        image = _read_image(_path("path", path), self.image_shape[:2])
        if len(self.image_shape) == 2:
            image = np.rint(image @ (0.299, 0.587, 0.114)).astype(np.uint8)
        return image

    def to_pixels(self, X):
        """Undo `transform`, for pictures: rows (N, D), or one row (D,), to images (N, *image_shape).

        Returns new images of mean's dtype, right but for rounding and clipped to 0..255. Raises ValueError
        for another shape or NaN, TypeError for other types.
        """
        X = _real_array("X", X)
        if X.ndim not in (1, 2) or X.shape[-1] != self.mean.size:
            raise ValueError(f"X must have shape (N, {self.mean.size}), got {X.shape}")
        if np.isnan(X).any():
            raise ValueError("X must hold numbers, got NaN")
        with np.errstate(over="ignore"):  # what overflows is clipped, too
            pixels = X.astype(self.mean.dtype)
            if self.normalize:
                pixels *= self.std
                pixels += self.mean
                pixels *= 255
        return np.clip(pixels, 0, 255, out=pixels).reshape(-1, *self.image_shape)

    def save_transform(self, path):
        """Write all that `transform` needs, without the data, to path as .npz, for `load_transform`."""
        words = {"class_names": list(map(str, self.class_names)), "normalize": str(self.normalize)}
        arrays = {
            "name": self.name,
            "image_shape": self.image_shape,
            "mean": self.mean,
            "std": self.std,
        }
        _write_npz(_path("path", path), {**arrays, **words})


@dataclass(repr=False, eq=False)
class Dataset(Transform):
    """A dataset, split and normalised, as `load_dataset` returns it.

    X_train, X_val, X_test are rows (N, D), float32 or float64; y_train, y_val, y_test (N,) int64 indices into
    class_names.
    """

    X_train: np.ndarray
    X_val: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_val: np.ndarray
    y_test: np.ndarray

    def __repr__(self):
        shapes = ", ".join(
            f"{part} {getattr(self, part).shape}" for part in ("X_train", "X_val", "X_test")
        )
        return f"<Dataset {self.name}: {shapes}>"


def load_transform(path):
    """Read what `Dataset.save_transform` wrote, to treat new images like those that a net was trained on.

    Returns an object with transform(images), to_pixels(X), class_names and image_shape; its rows have the
    dtype that the dataset had. Raises FileNotFoundError, or ValueError if the file is damaged or another's.
    """
    data = _read_npz(_path("path", path), "saved transform")
    try:
        shape, names = data["image_shape"], data["class_names"]
        mean, std = data["mean"], data["std"].item()
        if (shape.ndim, shape.dtype.kind, names.ndim, names.dtype.kind) != (1, "i", 1, "U"):
            raise ValueError("image_shape must be a list of integers, class_names one of words")
        if mean.dtype not in (np.float32, np.float64) or mean.shape != (math.prod(shape.tolist()),):
            raise ValueError(f"mean {mean.dtype} {mean.shape} does not fit images {shape}")
        if not (
            len(names) and (shape > 0).all() and (np.abs(mean) <= 1).all() and 0 < std < math.inf
        ):
            raise ValueError("a value is out of range")
        normalize = {"True": True, "False": False, "standard": "standard"}[data["normalize"].item()]
        shape, names = tuple(shape.tolist()), tuple(names.tolist())
        return Transform(data["name"].item(), shape, names, normalize, mean, std)
    except Exception as error:
        raise ValueError(f"{path} is damaged or no saved transform: {error!r}") from error


def load_dataset(name, *, directory=None, validation=None, normalize=True, dtype=np.float32):
    """Read, split and normalise a dataset by its name; returns a `Dataset`.

    name: "mnist5k", "mnist", "fashion_mnist", "cifar10" or "svhn" (which needs scipy).
    directory: holds a folder `name` (for cifar10: cifar-10-batches-py) with the files as their authors
        publish them; MNIST's four may also be unpacked. Default: the environment variable TWO_LAYER_NET_DATA,
        else datasets/ beside this file; mnist5k is taken from the latter if the former has none.
    validation: how many of the N training rows, the last ones, become X_val: 0..N-1. Default: 800 for
        mnist5k, 1000 for cifar10, 3257 for svhn, 10000 for the others.
    normalize: True: pixels / 255 minus the mean image of X_train's rows. "standard": this divided by the
        standard deviation of all X_train's centred pixels together: one number, because a pixel that is
        constant, as at the border, has no deviation of its own to divide by. False: 0..255 as they are.
    dtype: float32 or float64, of the rows.

    A row is an image of image_shape, flattened: for colour (32, 32, 3), so red, green and blue of each pixel
    together. Raises FileNotFoundError if a folder or file is missing, ValueError if a file is damaged or not
    what its name says, ImportError without scipy for svhn, ValueError or TypeError for a bad argument.
    """
    folder = _folder(name, directory)
    normalize, dtype = _check_how(normalize, dtype)
    facts = DATASETS[name]
    if not folder.is_dir():
        where = "" if directory is None else f" --directory {os.fspath(directory)}"
        hint = f"; `python data_utils.py {name}{where}` downloads it" if "files" in facts else ""
        raise FileNotFoundError(f"there is no folder {folder.absolute()}{hint}")
    train, y_train, test, y_test = _read(name, folder)
    n_val = facts["validation"] if validation is None else validation
    n = len(train) - _number("validation", n_val, f"[0, {len(train)})", Integral)
    mean, std = _mean_and_std(train[:n], normalize)
    how = (normalize, mean.astype(dtype), std)
    rows = [_normalize(images, *how) for images in (train[:n], train[n:], test)]
    labels = (y_train[:n], y_train[n:], y_test)
    return Dataset(name, facts["image_shape"], facts["class_names"], *how, *rows, *labels)


def load_image_folder(directory, *, size=None, validation=0.2, test=0.2, normalize=True, dtype=np.float32,
                      seed=0):  # fmt: skip
    """Read your own images, a folder of PNG, JPEG or BMP files for each class; returns a `Dataset`.

    directory: holds the folders of two classes or more, and nothing else; class_names are their names,
        sorted. What begins with a dot is skipped.
    size: (rows, columns) to bring all images to: the middle of each, cut to this shape, every new pixel the
        mean over its area. Default: as they are, all of one size.
    validation, test: shares of each class, drawn by `seed`, that become X_val and X_test: >= 0, together
        below 1, rounded to whole images.
    normalize, dtype: as for `load_dataset`.

    image_shape is (rows, columns) if red = green = blue in all pixels of all files, else (rows, columns, 3).
    16 bits a channel are rounded to 8, PNG with 2 or 4 bits is refused; the orientation noted in a
    photograph's EXIF data is not applied. Raises FileNotFoundError without the directory; ValueError, naming
    the folder or file, for images that differ in size, are transparent, damaged or of another format, and
    where none of a class is left to train on; ValueError, TypeError or MemoryError for a bad argument.
    """
    directory = Path(os.path.expanduser(_path("directory", directory)))
    normalize, dtype = _check_how(normalize, dtype)
    if size is not None:
        if not isinstance(size, tuple | list) or len(size) != 2:
            raise ValueError(f"size must be (rows, columns), got {size!r}")
        size = tuple(_number("size", n, "[1, inf)", Integral) for n in size)
        _room("size", size, *size, 3)
    validation, test = _number("validation", validation, "[0, 1)"), _number("test", test, "[0, 1)")
    if validation + test >= 1:
        raise ValueError(
            f"validation and test must be below 1 together, got {validation} and {test}"
        )
    rng = np.random.default_rng(_number("seed", seed, "[0, inf)", Integral))

    def visible(folder):
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))

    folders, images, labels = visible(directory), [], []
    if len(folders) < 2 or not all(folder.is_dir() for folder in folders):
        found = (
            ", ".join(path.name for path in folders if not path.is_dir())
            or f"{len(folders)} folders"
        )
        raise ValueError(
            f"{directory} must hold only folders, one for each of 2 or more classes; has {found}"
        )
    rows_test, rows_val, rows_train = parts = [], [], []
    for label, folder in enumerate(folders):
        paths = visible(folder)
        n_test, n_val = (round(share * len(paths)) for share in (test, validation))
        if len(paths) <= n_test + n_val:
            used = f"{n_test + n_val} of them to validate and test with"
            raise ValueError(
                f"{folder} has {len(paths)} images, {used}: it needs more, to train on"
            )
        order = len(images) + rng.permutation(len(paths))
        for part, rows in zip(parts, np.split(order, [n_test, n_test + n_val]), strict=True):
            part.extend(rows)
        for path in paths:
            images.append(_read_image(path, size))
            labels.append(label)
            if images[-1].shape != images[0].shape:
                sizes = f"{images[-1].shape[:2]}, the images before it {images[0].shape[:2]}"
                raise ValueError(
                    f"{path}: its (rows, columns) are {sizes}; give size=(rows, columns)"
                )

    images, labels = np.stack(images), np.array(labels, np.int64)
    if (images == images[..., :1]).all():
        images = images[..., 0]
    mean, std = _mean_and_std(images[rows_train], normalize)
    how, name = (normalize, mean.astype(dtype), std), directory.resolve().name
    order = [rng.permutation(np.array(rows, np.intp)) for rows in (rows_train, rows_val, rows_test)]
    X, y = [_normalize(images[rows], *how) for rows in order], [labels[rows] for rows in order]
    return Dataset(name, images.shape[1:], tuple(folder.name for folder in folders), *how, *X, *y)


def _read_image(path, size):
    """An image file as uint8 (rows, columns, 3), brought to size unless that is None."""
    from matplotlib.image import imread  # here, because nothing else in this file needs matplotlib

    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".bmp"):
        raise ValueError(f"{path}: must be a .png, .jpg, .jpeg or .bmp file")
    try:
        image = np.atleast_3d(imread(path))
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file can lead to any
        raise ValueError(f"{path}: damaged, or no image: {error!r}") from error
    white = 255 if image.dtype == np.uint8 else 1  # imread gives PNG as 0..1
    if image.max() > white:
        raise ValueError(
            f"{path}: has 2 or 4 bits a pixel, which matplotlib misreads; save it with 8"
        )
    if image.shape[2] == 4 and image[..., 3].min() < white:
        raise ValueError(f"{path}: is transparent in places; put it on a background first")
    image = np.broadcast_to(image[..., :3], (*image.shape[:2], 3)) * (255.0 / white)
    if size is not None:
        (H, W), (h, w) = image.shape[:2], size
        tall, wide = min(H, max(1, round(W * h / w))), min(W, max(1, round(H * w / h)))
        top, left = (H - tall) // 2, (W - wide) // 2
        channels = image[top : top + tall, left : left + wide].transpose(2, 0, 1)
        image = (_area_means(tall, h) @ channels @ _area_means(wide, w).T).transpose(1, 2, 0)
    return np.rint(image).astype(np.uint8)


def _area_means(old, new):
    """A matrix (new, old) that takes a line of old pixels to the means over `new` equal lengths of it."""
    ends, pixel = np.arange(new + 1)[:, None] * (old / new), np.arange(old)
    overlap = np.minimum(ends[1:], pixel + 1) - np.maximum(ends[:-1], pixel)
    return np.maximum(overlap, 0) * (new / old)


def load_CIFAR10(ROOT):
    """Read CIFAR-10 from the folder ROOT, cifar-10-batches-py, as cs231n's function of this name does.

    Returns Xtr (50000, 32, 32, 3), Ytr (50000,), Xte (10000, 32, 32, 3), Yte (10000,): float64 images, 0..255
    as they are (1.5 GB), and int64 labels. Raises FileNotFoundError or ValueError as `load_dataset` does.
    """
    Xtr, Ytr, Xte, Yte = _read("cifar10", _path("ROOT", ROOT))
    return Xtr.astype(np.float64), Ytr, Xte.astype(np.float64), Yte


def get_CIFAR10_data(num_training=49000, num_validation=1000, num_test=1000, subtract_mean=True):
    """Read CIFAR-10, found as by `load_dataset`, as cs231n's function of this name does: channels first.

    Returns a dict: X_train, X_val, X_test, float64 (N, 3, 32, 32), and y_train, y_val, y_test, int64 (N,):
    the first num_training training images, the num_validation after them, the first num_test test images;
    0..255, minus the mean image of X_train if subtract_mean. The rows of W1 of a net trained on them are thus
    in the order (3, 32, 32); with `load_dataset`, where colour comes last, they are in (32, 32, 3). Raises
    what that raises for files, ValueError for a negative size, num_training=0 or more images than there are.
    """
    sizes = {"num_training": num_training, "num_validation": num_validation, "num_test": num_test}
    n, n_val, n_test = (_number(key, value, "[0, inf)", Integral) for key, value in sizes.items())
    subtract_mean = _flag("subtract_mean", subtract_mean)
    train, y_train, test, y_test = _read("cifar10", _folder("cifar10"))
    if n < 1 or n + n_val > len(train) or n_test > len(test):
        allowed = f"num_training >= 1, {len(train)} with num_validation and {len(test)} test images at most"
        raise ValueError(f"allowed are {allowed}; got {sizes}")
    mean = train[:n].mean(axis=0).transpose(2, 0, 1) if subtract_mean else 0.0
    train, y_train = train[: n + n_val], y_train[: n + n_val]
    data = {}
    for part, X, y in (("train", train[:n], y_train[:n]), ("val", train[n:], y_train[n:]),
                       ("test", test[:n_test], y_test[:n_test])):  # fmt: skip
        data[f"X_{part}"] = X.transpose(0, 3, 1, 2).astype(np.float64, order="C")
        data[f"X_{part}"] -= mean
        data[f"y_{part}"] = y
    return data


def download(name, directory=None):
    """Download "mnist", "fashion_mnist", "cifar10" or "svhn" to where `load_dataset` looks.

    Returns the dataset's folder, a Path; prints the progress. A file is checked (size, MD5) before it takes
    its name; a broken connection is taken up again, and the next mirror tried when one fails. Nothing that is
    already there is overwritten: it is kept if it can be read, whatever its checksum. Raises ConnectionError,
    which lists what was tried and says which file to put where by hand; ValueError for another name or if a
    file that is there is damaged; FileExistsError if cifar-10-batches-py is there but lacks files.
    """
    folder = _folder(name, directory)
    if "files" not in DATASETS[name]:
        raise ValueError(f"{name} comes with the project, there is nothing to download")
    kept = False  # whether there is a file that no checksum vouches for
    for file, (size, md5) in DATASETS[name]["files"].items():
        urls = [mirror + file for mirror in DATASETS[name]["mirrors"]]
        if name == "cifar10":
            kept = not _get_cifar10(urls, folder, size, md5)
        elif path := _find(folder, file):
            print(f"{path} is already there")
            with open(path, "rb") as f:
                kept |= _md5(f) != md5
        else:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(urls, folder / file, size, md5, f"put {file} into {folder.absolute()}")
    if kept:
        try:
            _read(name, folder)
        except ValueError as error:
            raise ValueError(f"{error}; move this file away, then download again") from error
    return folder


def one_hot_encode(y, num_classes=None, dtype=np.float64):
    """Turn integer labels y, (N,), into rows (N, num_classes) of real `dtype`: 1 at the label, else 0.

    num_classes defaults to the largest label + 1. Raises ValueError for labels outside 0..num_classes-1,
    TypeError for labels that are not integers, MemoryError for too many classes.
    """
    y = _array("y", y)
    if y.dtype.kind not in "iu":
        raise TypeError(f"y must hold integers, got {y.dtype}")
    try:
        real = np.dtype(dtype).kind in "iuf"
    except (TypeError, ValueError):
        real = False
    if dtype is None or not real:
        raise TypeError(f"dtype must be an integer or float type, got {dtype!r}")
    if y.ndim != 1 or (y.size == 0 and num_classes is None):
        raise ValueError(
            f"y must have shape (N,), N >= 1 unless num_classes is given, got {y.shape}"
        )
    C = max(int(y.max()), 0) + 1 if num_classes is None else num_classes
    C = _number("num_classes", C, "[1, inf)", Integral)
    wrong = (y < 0) | (y >= C)
    if wrong.any():
        raise ValueError(f"y must lie in 0..num_classes-1, num_classes={C}; got {y[wrong][:5]}")
    _room("num_classes", C, len(y), C, dtype=dtype)
    Y = np.zeros((len(y), C), dtype)
    Y[np.arange(len(y)), y] = 1
    return Y


def one_hot_decode(Y):
    """Turn one-hot rows Y, (N, C), back into labels (N,), int64.

    Raises ValueError unless each row is one 1 among zeros, TypeError if Y does not hold real numbers.
    """
    Y = _array("Y", Y)
    Y = Y if Y.dtype == bool else _real_array("Y", Y)
    if Y.ndim != 2 or Y.shape[1] == 0:
        raise ValueError(f"Y must have shape (N, C), C >= 1, got {Y.shape}")
    wrong = (np.count_nonzero(Y, axis=1) != 1) | (Y.max(axis=1) != 1)
    if wrong.any():
        hint = "for scores or probabilities use Y.argmax(axis=1)"
        raise ValueError(f"Y must be one-hot, but row {wrong.argmax()} is {Y[wrong][0]}; {hint}")
    return Y.argmax(axis=1).astype(np.int64)


# ---- augmentations, functions (X_batch, rng) for TwoLayerNet.train(augment=...)


def flip(X_batch, rng):
    """Mirror each image left to right with probability 1/2: X_batch (N, H, W[, C]), a new array."""
    X_batch, rng = _real_array("X_batch", X_batch), _random(rng)
    X = _images(X_batch).copy()
    mirrored = rng.random(len(X)) < 0.5
    X[mirrored] = X[mirrored, :, ::-1]
    return X.reshape(X_batch.shape)


def distort(X_batch, rng, *, pixels=1.0, degrees=10.0, zoom=0.1, elastic=0.0, sigma=4.0):
    """Shift, rotate, stretch and bend each image a little: X_batch (N, H, W) or (N, H, W, C), a new array.

    pixels : shift down and to the right, each uniform in -pixels..pixels.
    degrees : rotation about the centre, uniform in -degrees..degrees.
    zoom : factors of height and of width, each uniform in 1 - zoom..1 + zoom, 0 <= zoom < 1.
    elastic, sigma : displacements of the single pixels, normally distributed with the standard deviation
        `elastic` and smooth over distances of `sigma` >= 0.1, both in pixels (after Simard et al. 2003).
    All are to be below a million.
    A pixel takes its value between the four around the place it comes from; beyond the edge, from the edge.
    """
    pixels, degrees = _number("pixels", pixels, "[0, 1e6)"), _number("degrees", degrees, "[0, 1e6)")
    zoom, elastic = _number("zoom", zoom, "[0, 1)"), _number("elastic", elastic, "[0, 1e6)")
    sigma = _number(
        "sigma", sigma, "[0.1, 1e6)"
    )  # bumps that are narrower are as good as single pixels
    X_batch = _real_array("X_batch", X_batch)
    X, rng = _images(X_batch), _random(rng)
    if (
        len(X) > 100
    ):  # 28 x 28 images: 18 microseconds each a hundred at a time, 31 for two hundred at once
        options = {
            "pixels": pixels,
            "degrees": degrees,
            "zoom": zoom,
            "elastic": elastic,
            "sigma": sigma,
        }
        parts = (X_batch[i : i + 100] for i in range(0, len(X), 100))
        return np.concatenate([distort(part, rng, **options) for part in parts])
    N, H, W, C = X.shape
    y = np.arange(H, dtype=np.float32)[:, None] - (H - 1) / 2  # from the centre
    x = np.arange(W, dtype=np.float32) - (W - 1) / 2
    down, right, turn, tall, wide = (2 * rng.random((5, N, 1, 1)) - 1).astype(np.float32)
    cos, sin = np.cos(np.radians(degrees) * turn), np.sin(np.radians(degrees) * turn)
    tall, wide = 1 / (1 + zoom * tall), 1 / (1 + zoom * wide)
    rows = (
        (tall * cos) * y - (tall * sin) * x + (pixels * down + (H - 1) / 2)
    )  # (N, H, W), where from
    columns = (wide * sin) * y + (wide * cos) * x + (pixels * right + (W - 1) / 2)
    if elastic:
        # a bump at every sigma pixels, of normally distributed height; each pixel's variance sums to 1
        bumps = [
            np.exp(-0.5 * (np.arange(n)[:, None] / sigma - np.arange(-1, n / sigma + 1)) ** 2)
            for n in (H, W)
        ]
        V, U = ((b / np.linalg.norm(b, axis=1, keepdims=True)).astype(np.float32) for b in bumps)
        noise = rng.standard_normal((2, N, V.shape[1], U.shape[1])).astype(np.float32)
        for field, bent in zip((rows, columns), noise, strict=True):
            field += elastic * (V @ bent @ U.T)

    top, left = (np.clip(a, 0, n - 2).astype(np.intp) for a, n in ((rows, H), (columns, W)))
    lower, righter = (
        np.clip(rows - top, 0, 1),
        np.clip(columns - left, 0, 1),
    )  # weights of the next pixels
    i = (np.arange(N)[:, None, None] * H + top) * W + left
    pixel = X.reshape(-1, C) if X.dtype.kind == "f" else X.reshape(-1, C).astype(np.float64)
    lower, righter = lower[..., None], righter[..., None]

    def between(i):
        a = np.take(pixel, i, axis=0)
        return a + righter * (np.take(pixel, i + 1, axis=0) - a)

    with np.errstate(invalid="ignore", over="ignore"):  # infinity times 0
        above = between(i)
        bent = above + lower * (between(i + W) - above)
    return (
        (bent if X.dtype.kind == "f" else np.rint(bent))
        .astype(X.dtype, copy=False)
        .reshape(X_batch.shape)
    )


def drop_inputs(X_batch, rng, p=0.2):
    """Dropout of inputs: each number is 0 with probability p in [0, 1), else divided by 1 - p; a copy."""
    rng = _random(rng)
    p = _number("p", p, "[0, 1)")
    X_batch = _real_array("X_batch", X_batch)
    if X_batch.dtype.kind != "f":
        raise TypeError(f"X_batch must hold floats, got {X_batch.dtype}")
    keep = X_batch.dtype.type(1 - p)
    if not keep:
        raise ValueError(
            f"p must be so far below 1 that 1 - p is above 0 in {X_batch.dtype}, got {p}"
        )
    with np.errstate(invalid="ignore", over="ignore"):  # infinity times 0
        return X_batch * ((rng.random(X_batch.shape) >= p) / keep)


def _random(rng):
    if rng is not np.random and not isinstance(rng, np.random.Generator | np.random.RandomState):
        raise TypeError(
            f"rng must be a numpy.random.Generator or the module numpy.random, got {rng!r}"
        )
    return rng


def _images(X_batch):
    """X_batch as (N, H, W, C)."""
    if X_batch.ndim not in (3, 4) or min(X_batch.shape[1:3]) < 2 or 0 in X_batch.shape[3:]:
        raise ValueError(
            f"X_batch must be images (N, H, W) or (N, H, W, C), got shape {X_batch.shape}: "
            "give train() X.reshape(-1, *image_shape) instead of rows"
        )
    return X_batch if X_batch.ndim == 4 else X_batch[..., None]


# ---- files


def read_idx(path):
    """Read an IDX file of bytes, MNIST's format, gzipped if its name ends in .gz; returns a uint8 array.

    The format, as the MNIST page (Y. LeCun) gives it: two zero bytes, the type (8: unsigned byte), the number
    of dimensions, each size as a big-endian uint32, the bytes, last dimension fastest. Raises ValueError,
    naming the file, if it is anything else: another start, damaged gzip, too few or too many bytes; or if
    it unpacks to more than 20 times its size (and 32 MB), which files of images do not.
    """
    path = _path("path", path)
    try:
        with open(path, "rb") as f:
            most = max(_SMALL, _PACKED * os.fstat(f.fileno()).st_size)
            source = _Gunzip(f) if path.suffix == ".gz" else f
            magic = source.read(4)
            if len(magic) < 4 or magic[:3] != b"\0\0\x08":
                raise ValueError(
                    f"not an IDX file of bytes: starts with '{magic.hex(' ')}', not '00 00 08'"
                )
            sizes = source.read(4 * magic[3])
            if len(sizes) < 4 * magic[3]:
                raise ValueError("ends inside its header")
            shape = struct.unpack(f">{magic[3]}I", sizes)
            size = math.prod(shape)
            # In steps, so that a header that claims too much takes no memory, and up to one byte too many: to
            # see that there is none, and because only at the end is gzip's checksum compared.
            data = bytearray()
            while chunk := source.read(min(2**20, size + 1 - len(data))):
                data += chunk
                if len(data) > most:
                    raise ValueError(f"unpacks to more than {most} bytes, {_PACKED} times its size")
        if len(data) != size:
            found = len(data) if len(data) < size else "more"
            raise ValueError(
                f"the shape in its header, {shape}, needs {size} bytes, but it holds {found}"
            )
        return np.frombuffer(data, np.uint8).reshape(shape)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from error


class _Gunzip:
    """Reads a gzip file; gzip.open would take its time over names without end or a million empty parts."""

    def __init__(self, f):
        self.f, self.unpacker = f, zlib.decompressobj(16 + zlib.MAX_WBITS)

    def read(self, size):
        data = b""
        while len(data) < size and not self.unpacker.eof:
            packed = self.unpacker.unconsumed_tail or self.f.read(2**16)
            if not packed:
                raise ValueError("gzip file that ends too early")
            data += self.unpacker.decompress(packed, size - len(data))
        if self.unpacker.eof and (self.unpacker.unused_data + self.f.read()).strip(b"\0"):
            raise ValueError("gzip file that goes on behind its end")
        return data


def write_idx(path, array):
    """Write a uint8 array as an IDX file (see `read_idx`), gzipped if the name ends in .gz.

    An older file is replaced only when the new one is whole. Raises TypeError if array is not uint8.
    """
    path, array = _path("path", path), _array("array", array)
    if array.dtype != np.uint8:
        raise TypeError(f"array must be uint8, got {array.dtype}")
    if max(array.shape, default=0) >= 2**32:
        raise ValueError(
            f"array must have fewer than 2**32 numbers in each dimension, got {array.shape}"
        )
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    if path.suffix == ".gz":
        packed = gzip.compress(
            content, mtime=0
        )  # no time: the same array always gives the same file
        bomb = len(content) > max(_SMALL, _PACKED * len(packed))  # as `read_idx` would think
        content = gzip.compress(content, compresslevel=0, mtime=0) if bomb else packed
    with _replacing(path) as f:
        f.write(content)


@contextmanager
def _replacing(path):
    """Open a file of bytes that takes path's place when the block ends, and only if without an error.

    Of a link, what it leads to is replaced. The permissions of a file that is there are kept.
    """
    path = os.path.realpath(path)
    temporary = Path(f"{path}.{os.urandom(4).hex()}.part")  # as PART says
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(f"{path} is not an ordinary file")
        with open(temporary, "w+b") as file:
            with suppress(FileNotFoundError):
                os.chmod(temporary, os.stat(path).st_mode & 0o777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # a full disk says nothing of the path, others name the temporary file
        if error.errno and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, path) from error
        raise
    finally:
        with suppress(OSError):  # it is not there
            temporary.unlink()


def _write_npz(path, arrays):
    content = io.BytesIO()  # a full disk would leave np.savez half-way, with complaints of its own
    np.savez(content, format=FILE_FORMAT, **arrays)
    with _replacing(path) as file:
        file.write(content.getbuffer())


def _read_npz(path, kind):
    """The arrays in a file of `_write_npz`, without its format number; kind is what it is to be."""
    with open(path, "rb") as file:
        try:
            if file.read(4) != b"PK\3\4":
                raise ValueError("it is no .npz file")
            with zipfile.ZipFile(file) as z:
                sizes = [e.file_size for e in z.filelist if e.compress_type == zipfile.ZIP_STORED]
                if len(sizes) < len(z.filelist) or sum(sizes) > os.path.getsize(path):
                    raise ValueError(
                        "its entries are compressed or overlap"
                    )  # a little could become a lot
                data = {name.removesuffix(".npy"): _read_npy(z, name) for name in z.namelist()}
            found = data.pop("format").item()
        except Exception as error:
            raise ValueError(f"{path} is damaged or no {kind}: {error}") from error
    if found != FILE_FORMAT:
        raise ValueError(f"{path} has format {found!r}; this version reads format {FILE_FORMAT}")
    if ("checkpoint" in data) != (kind == "checkpoint"):
        raise ValueError(
            f"{path} is not a {kind}" + ", it is a checkpoint" * ("checkpoint" in data)
        )
    return data


def _read_npy(z, name):
    """An array of the archive z, not by np.load, which makes room for all that the header claims."""
    with z.open(name) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is not of version 1.0")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
        array = np.frombuffer(bytearray(file.read()), dtype)  # refuses objects
    return array.reshape(shape, order="F" if fortran_order else "C")


def _array(name, value):
    if _is_masked(value):
        raise TypeError(
            f"{name} has a masked array, its mask would be lost: give its .filled(0) instead"
        )
    try:
        return np.asarray(value)
    except Exception as error:  # of objects that can be made into arrays, and cannot
        raise ValueError(
            f"{name} must be an array, got a {type(value).__name__}: {error}"
        ) from error


def _is_masked(value):
    if isinstance(value, list | tuple):
        return any(map(_is_masked, value))
    return np.ma.isMaskedArray(value)


def _path(name, path):
    # open takes integers, too: other files' descriptors
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{name} must be a path, got {path!r}")
    if os.fspath(path) == "" or "\0" in os.fspath(path):  # Path takes "" for the current folder
        raise ValueError(f"{name} must be a path, got {path!r}")
    return Path(path)


def _room(name, value, *shape, dtype=float):
    """Refuse an argument that asks for an array larger than all memory."""
    try:
        np.empty(shape, dtype)  # takes no time: memory is given only where it is written to
    except (MemoryError, ValueError, OverflowError) as error:
        raise MemoryError(
            f"{name} must be small enough for the memory, got {value!r}: {error}"
        ) from error


def _dtype(dtype):
    with suppress(TypeError, ValueError, SyntaxError):  # what is no dtype at all is refused below
        dtype = None if dtype is None else np.dtype(dtype).name  # numpy takes None for float64
    return np.dtype(_choice("dtype", dtype, ("float64", "float32")))


def _flag(name, value):
    if not isinstance(value, int | np.bool_) or value not in (0, 1):  # "no" would be true
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def _choice(name, value, allowed):
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def _number(name, value, interval, kind=Real):
    """value as a Python float or int, once it is known to lie in an interval such as "[0, 1)"."""
    if not isinstance(value, kind) or isinstance(value, bool):
        noun = "an integer" if kind is Integral else "a number"
        raise TypeError(f"{name} must be {noun} in {interval}, got {value!r}")
    try:
        number = float(value)  # before it is compared: it may be rounded to the end of the interval
    except OverflowError:
        number = math.inf
    low, high = map(float, interval[1:-1].split(","))
    if not (low < number < high or (number == low and interval[0] == "[")):
        raise ValueError(f"{name} must be in {interval}, got {value!r}")
    return int(value) if kind is Integral else number


def _folder(name, directory=None):
    """The dataset's folder, whether it is there or not; see `load_dataset`."""
    _choice("name", name, DATASETS)
    root = os.environ.get("TWO_LAYER_NET_DATA") or _PROJECT_DATA if directory is None else directory
    folder = Path(os.path.expanduser(_path("directory", root))) / DATASETS[name]["folder"]
    if name == "mnist5k" and directory is None and not folder.is_dir():
        folder = _PROJECT_DATA / name
    return folder


def _find(folder, file):
    """The path of a file in a folder, unpacked if need be; None if it is not there."""
    paths = (folder / file, folder / file.removesuffix(".gz"))
    return next((path for path in paths if path.exists()), None)


def _missing(what, folder):
    hint = "`python data_utils.py --help` tells how to get it"
    return FileNotFoundError(f"{what} in the folder {folder.absolute()}; {hint}")


def _read(name, folder):
    """Images (N, *image_shape), uint8, and labels (N,), int64, to train on, then those to test on."""
    read = {"cifar10": _read_cifar10, "svhn": _read_svhn}.get(name, _read_mnist)
    return *read(folder, "train"), *read(folder, "test")


def _read_mnist(folder, part):
    paths = []
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        file = f"{'t10k' if part == 'test' else part}-{kind}"
        paths.append(_find(folder, f"{file}.gz"))
        if paths[-1] is None:
            raise _missing(f"neither {file}.gz nor {file} is", folder)
    images, labels = map(read_idx, paths)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{paths[1]}: labels have shape (N,) with N >= 1, this has {labels.shape}")
    if labels.max() > 9:
        raise ValueError(f"{paths[1]}: labels must lie in 0..9, got {labels.max()}")
    needed = (len(labels), 28, 28)
    if images.shape != needed:
        raise ValueError(f"{paths[0]}: has shape {images.shape}, but {needed} goes with {paths[1]}")
    return images, labels.astype(np.int64)


def _read_cifar10(folder, part):
    images, labels = [], []
    for file in _CIFAR10_FILES[part]:
        path = folder / file
        if not path.exists():
            raise _missing(f"{file} is not", folder)
        with open(path, "rb") as f:
            content = f.read(_CIFAR10_LARGEST + 1)
        if len(content) > _CIFAR10_LARGEST:
            raise ValueError(
                f"{path}: has more than {_CIFAR10_LARGEST} bytes, so it is no CIFAR-10 batch"
            )
        try:
            batch = _unpickle(content)
            rows, y = batch[b"data"], batch[b"labels"]
            if (
                type(y) is not list
                or not y
                or not all(type(label) is int and 0 <= label <= 9 for label in y)
            ):
                raise ValueError("its labels are not a list of integers 0..9")
            if not isinstance(rows, np.ndarray) or rows.shape != (len(y), 3072):
                raise ValueError(f"its data is not an array of shape ({len(y)}, 3072)")
        except Exception as error:  # a damaged file can lead to any; the answer is to be one
            raise ValueError(f"{path}: damaged, or no CIFAR-10 batch: {error!r}") from error
        # a row holds the red of all pixels, then their green, then their blue
        images.append(np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)))
        labels.append(np.array(y, np.int64))
    return np.concatenate(images), np.concatenate(labels)


# what Python 2 and 3 write for a dict of strings, lists of numbers and arrays, by pickletools' names
_OPCODES = """PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 SHORT_BINSTRING BINSTRING
    BINUNICODE SHORT_BINUNICODE SHORT_BINBYTES BINBYTES BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET
    EMPTY_DICT EMPTY_LIST APPEND APPENDS SETITEM SETITEMS TUPLE TUPLE1 TUPLE2 TUPLE3 GLOBAL STACK_GLOBAL
    REDUCE BUILD"""


class _Uint8:
    """In place of numpy.dtype."""

    def __init__(self, kind, *_):
        if kind not in (b"u1", "u1"):
            raise ValueError(f"it has an array of {kind}, not of uint8")

    def __setstate__(self, state):  # the byte order, which one byte does not have
        pass


class _Array:
    """In place of an array that numpy would make before it knows how much there is to put into it."""

    def __init__(self, *_):
        self.array = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Uint8):
            raise ValueError("it has an array of unknown type")
        self.array = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


class _BatchUnpickler(pickle.Unpickler):
    """Admits what rebuilds a uint8 array, under numpy's old and new module names, and nothing else."""

    def find_class(self, module, name):
        admitted = {"multiarray._reconstruct": _Array, "ndarray": "ndarray", "dtype": _Uint8}
        asked = f"{module}.{name}".replace("numpy._core.", "numpy.").replace(
            "numpy.core.", "numpy."
        )
        if asked.removeprefix("numpy.") not in admitted or not asked.startswith("numpy."):
            raise ValueError(f"it asks for {module}.{name}, which a batch does not")
        return admitted[asked.removeprefix("numpy.")]


def _unpickle(content):
    """The dict in the pickle of a CIFAR-10 batch; calls nothing that the file names."""
    tuples, allowed = 0, _OPCODES.split()
    for count, (opcode, argument, position) in enumerate(pickletools.genops(content)):
        if opcode.name not in allowed:
            raise ValueError(
                f"opcode {opcode.name} at byte {position}, which a batch does not have"
            )
        tuples += opcode.name.startswith("TUPLE")
        # an official batch has some 30,000 opcodes, 5 of them tuples; the memo is as long as its largest
        # index, and tuples of tuples may take forever to hash
        if count > 200_000 or tuples > 20 or (opcode.name == "LONG_BINPUT" and argument > 100_000):
            raise ValueError(
                f"opcode {opcode.name} {argument} at byte {position} goes beyond what a batch needs"
            )
    batch = _BatchUnpickler(io.BytesIO(content), encoding="bytes").load()
    batch = {key.encode() if isinstance(key, str) else key: value for key, value in batch.items()}
    return {
        key: value.array if isinstance(value, _Array) else value for key, value in batch.items()
    }


def _read_svhn(folder, part):
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError("SVHN's .mat files need scipy: python -m pip install scipy") from error
    path = folder / f"{part}_32x32.mat"
    if not path.exists():
        raise _missing(f"{path.name} is not", folder)
    with open(path, "rb") as f:
        try:
            _check_mat(f)
            f.seek(0)
            content = loadmat(f, variable_names=("X", "y"))
            X, y = content["X"], content["y"].ravel()
            whole = (
                X.dtype == np.uint8
                and X.shape == (32, 32, 3, len(y))
                and len(y)
                and y.dtype.kind in "iu"
            )
            if not whole or y.min() < 1 or y.max() > 10:
                got = f"{X.dtype} {X.shape} and {y.dtype} {content['y'].shape}"
                raise ValueError(
                    f"X must be uint8 (32, 32, 3, N) and y N integers 1..10, got {got}"
                )
        except (
            Exception
        ) as error:  # scipy raises many kinds for a damaged file; the answer is to be one
            raise ValueError(f"{path}: damaged, or not SVHN's: {error!r}") from error
    return np.ascontiguousarray(X.transpose(3, 0, 1, 2)), y.astype(
        np.int64
    ) % 10  # 10 means digit 0


def _check_mat(f):
    """Raise ValueError unless all in the .mat file f are arrays of integers, no larger than the file allows.

    scipy trusts what a file says of itself: of damaged ones some crash Python, some take all memory. The
    format is MATLAB 5's, as its "MAT-File Format" document gives it: after 128 bytes come elements, each a
    type, its size in bytes and the content; an array's content is four elements: flags, shape, name, values.
    """
    most = max(_SMALL, _PACKED * os.fstat(f.fileno()).st_size)
    width = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 12: 8, 13: 8}  # of stored integers, by their type
    if f.read(128)[124:] != b"\0\1IM":
        raise ValueError("not a little-endian MATLAB 5 file")
    for _ in range(100):  # SVHN's have two
        tag = f.read(8)
        if not tag:
            return
        kind, size = struct.unpack("<2I", tag)
        after = f.tell() + size
        head = tag + f.read(min(size, 400))
        if kind == 15:  # a compressed element, whose own tag comes first in it
            head = zlib.decompressobj().decompress(head[8:], 400)
        kinds, contents, at = [], [], 8
        for _ in range(4):
            kind, size = struct.unpack_from("<2I", head, at)
            small = kind >> 16  # up to 4 bytes come within the tag, in place of the size
            kinds.append(kind & 0xFFFF)
            contents.append(head[at + 4 : at + 4 + small] if small else head[at + 8 :][:size])
            at += 8 if small else 8 + size + -size % 8
        flags, shape, *_ = contents
        # of classes 8..15, integers; not complex (8) or logical (2); stored as integers of any size
        plain = 8 <= flags[0] <= 15 and not flags[1] & 10 and kinds[3] in width
        if head[:4] != b"\x0e\0\0\0" or kinds[:3] != [6, 5, 1] or len(flags) != 8 or not plain:
            raise ValueError("it holds something else than arrays of integers")
        count = math.prod(struct.unpack(f"<{len(shape) // 4}i", shape))
        if not 0 <= count << (flags[0] - 8) // 2 <= most:
            raise ValueError("it holds too large an array")
        if count * width[kinds[3]] != (small or size):
            raise ValueError("it holds an array whose shape and size do not fit")
        f.seek(after)
    raise ValueError("it holds more than 100 elements")


def _mean_and_std(images, normalize):
    """What `Dataset` calls mean and std, for uint8 images; both in float64."""
    rows = images.reshape(len(images), -1)
    if not normalize:
        return np.zeros(rows.shape[1]), 1.0
    mean = rows.sum(axis=0, dtype=np.int64) / (255 * len(rows))  # sums of integers are exact
    if normalize is True:
        return mean, 1.0
    # in chunks: a float64 copy of all rows would take eight times their memory
    chunks = (rows[i : i + 1000] for i in range(0, len(rows), 1000))
    std = math.sqrt(sum(float(np.square(chunk / 255 - mean).sum()) for chunk in chunks) / rows.size)
    if std == 0:
        raise ValueError(
            "normalize='standard' needs training images that differ; they are all the same"
        )
    return mean, std


def _normalize(images, normalize, mean, std):
    """Images to rows of mean's dtype; the one place where pixels change, so that all are treated alike."""
    rows = images.reshape(len(images), mean.size).astype(mean.dtype)
    if normalize:
        rows /= 255
        rows -= mean
        rows /= std
    return rows


def _real_array(name, values):
    array = _array(name, values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got {array.dtype}")
    return array


def _check_how(normalize, dtype):
    if not isinstance(normalize, bool | np.bool_ | str) or normalize not in (
        True,
        False,
        "standard",
    ):
        raise ValueError(f"normalize must be True, False or 'standard', got {normalize!r}")
    normalize = bool(normalize) if isinstance(normalize, np.bool_) else normalize
    return normalize, _dtype(dtype)


def _get_cifar10(urls, folder, size, md5):
    """Download and unpack CIFAR-10's archive, unless its folder is there; returns whether it was not."""
    files = [file for part in _CIFAR10_FILES.values() for file in part]
    lacking = [file for file in files if not (folder / file).exists()]
    if not lacking:
        print(f"{folder} is already there")
        return False
    if folder.exists() and any(folder.iterdir()):
        lacks = f"{folder.absolute()} is there, but lacks {', '.join(lacking)}"
        raise FileExistsError(f"{lacks}; move this folder away, then download again")
    if not hasattr(tarfile, "data_filter"):
        raise RuntimeError(
            "unpacking an archive safely needs Python 3.10.12, 3.11.4, 3.12 or later"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix="cifar10.", suffix=".part", dir=folder.parent
    ) as temporary:
        archive = Path(temporary) / urls[0].rpartition("/")[2]
        _fetch(urls, archive, size, md5, f"unpack {archive.name} in {folder.parent.absolute()}")
        _unpack(archive, {f"{folder.name}/{file}" for file in (*files, "batches.meta")})
        if folder.exists():
            folder.rmdir()
        os.rename(archive.with_name(folder.name), folder)
    return True


def _unpack(archive, wanted):
    """Unpack these files of a .tar.gz, and no others, beside it; ValueError if one is no ordinary file."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.size > _CIFAR10_LARGEST or (member.name in wanted and not member.isreg()):
                    raise ValueError(f"{member.name} is too large, or not an ordinary file")
                if member.name in wanted:
                    tar.extract(member, archive.parent, filter="data")
                    wanted = wanted - {member.name}
        if wanted:
            raise ValueError(f"it lacks {', '.join(sorted(wanted))}")
    except (ValueError, EOFError, tarfile.TarError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{archive.name}: {error}") from error


def _fetch(urls, path, size, md5, by_hand):
    """Download a file of this size and MD5 from the first of urls that gives it; by_hand: what else to do."""
    failures = []
    with _replacing(path) as f:
        for url in urls:
            f.truncate(0)
            for pause in _PAUSES:
                time.sleep(pause)
                try:
                    resumed = _receive(url, f, size)
                    found = _md5(f)
                    if found == md5:
                        return
                    f.truncate(0)
                    # two halves may be of different files; a file in one piece would be the same once more
                    raise (OSError if resumed else ValueError)(f"MD5 is {found}, not {md5}")
                except (OSError, http.client.HTTPException, ValueError) as error:
                    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                        raise  # the disk is full: no mirror can help
                    said = "".join(
                        c if c.isprintable() else " " for c in str(error)[:200]
                    )  # by the server
                    problem = f"{url}: {type(error).__name__}: {said}"
                    print(problem)
                    if isinstance(error, ValueError) or getattr(error, "code", 500) < 500:
                        break  # trying again will not help
            failures.append(problem)
        tried = "\n  ".join([f"could not download {path.name}:", *failures])
        raise ConnectionError(f"{tried}\nWithout a network, {by_hand} by hand.")


def _receive(url, f, size):
    """Append to f what url sends, `size` bytes in all; returns whether it went on where f ended before."""
    done = start = f.seek(0, os.SEEK_END)
    headers = {"User-Agent": "TwoLayerNet"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)
    with ExitStack() as stack:
        opener = urllib.request.build_opener(_Redirects)
        response = stack.enter_context(_within("no answer", opener.open, request, None, _TIMEOUT))
        content_range = response.headers.get("Content-Range", "")
        if start and not (response.status == 206 and content_range.startswith(f"bytes {start}-")):
            done = start = f.seek(0)
            f.truncate()
        if response.status != (206 if start else 200):
            raise ConnectionError(f"the server answered {response.status}")
        length = response.headers.get("Content-Length")
        if length is not None and start + int(length) != size:
            raise ValueError(f"has {start + int(length)} bytes, not {size}")
        terminal, shown, began = (
            sys.stdout is not None and sys.stdout.isatty(),
            None,
            time.monotonic(),
        )
        try:
            # behind an answer's last chunk, should it come in chunks, there could be headers without end
            while done < size or not response.chunked:
                chunk = _within("no more", response.read1, 2**16)
                if not chunk:
                    break
                done += len(chunk)
                if done > size:
                    raise ValueError(f"sends more than {size} bytes")
                f.write(chunk)
                now = time.monotonic()
                if now - began > _TIMEOUT and done - start < _SLOWEST * (now - began):
                    raise TimeoutError(f"sends less than {_SLOWEST} bytes a second")
                step = int(5 * now) if terminal and done < size else 10 * done // size
                if step != shown:
                    shown, left = step, (size - done) * (now - began) / (done - start)
                    amount = f"{100 * done // size:3}%  {done / 1e6:.1f} of {size / 1e6:.1f} MB"
                    line = f"{url.rpartition('/')[2]}: {amount}, {left:.0f} s left"
                    with suppress(OSError):  # whoever listened to it has gone
                        print(
                            f"\r{line:<75}" if terminal else line,
                            end="" if terminal else "\n",
                            flush=True,
                        )
        except _Hang:
            stack.pop_all()  # closing waits for the thread that reads
            threading.Thread(target=response.close, daemon=True).start()
            raise
        finally:
            if terminal:
                print()
    if done < size:
        raise ConnectionError(f"the connection broke after {done} of {size} bytes")
    return start > 0


class _Hang(TimeoutError):
    """Of a server that does not let go of a thread that listens to it."""


def _within(what, function, *arguments):
    """What the function returns, or _Hang after _TIMEOUT seconds: urllib's begin anew with every byte."""
    found = {}

    def work():
        try:
            found["answer"] = function(*arguments)
        except Exception as error:
            found["error"] = error

    thread = threading.Thread(target=work, daemon=True)  # it may be left behind
    thread.start()
    thread.join(_TIMEOUT)
    if thread.is_alive():
        raise _Hang(f"{what} within {_TIMEOUT} seconds")
    if "error" in found:
        raise found.pop("error")  # kept here it would, in a circle, keep its connection open
    return found["answer"]


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects may lead to http and https only, and never from https back to http."""

    def redirect_request(self, request, response, code, message, headers, url):
        scheme = url.partition(":")[0].lower()
        if scheme != "https" and (scheme != "http" or request.type == "https"):
            raise ValueError(f"redirects to {url}, which is not safe")
        return super().redirect_request(request, response, code, message, headers, url)


def _md5(f):
    """The MD5 of the file f, opened for reading bytes, as hexadecimal digits."""
    f.seek(0)
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := f.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()


def main(arguments=None):
    """The command line; returns its exit code: 0, 1 for a failure, 2 for wrong usage, 130 for Ctrl-C."""
    names = [name for name in DATASETS if "files" in DATASETS[name]]
    text = "The datasets, the size of what is downloaded, and where from:\n"
    for name in names:
        size = sum(size for size, _ in DATASETS[name]["files"].values()) / 1e6
        text += f"  {name:14}{size:6.1f} MB  {' or '.join(DATASETS[name]['mirrors'])}\n"
    text += """
Each file is checked before it is used, and nothing that is there is overwritten.
datasets/README.md has the licences, and says which file to put where by hand.

example: python data_utils.py mnist cifar10"""
    what = "Download datasets to where load_dataset looks for them."
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=what, epilog=text, formatter_class=raw)
    parser.add_argument("names", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    where = "where to put the datasets (default: $TWO_LAYER_NET_DATA, else datasets/ beside this program)"
    parser.add_argument("--directory", metavar="DIR", help=where)
    options = parser.parse_args(arguments)
    exit_code = 0
    for name in options.names:
        try:
            print(f"{name}: {download(name, options.directory)}")
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            exit_code = 1
        except KeyboardInterrupt:
            print("stopped; no half-written file is left", file=sys.stderr)
            return 130
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
