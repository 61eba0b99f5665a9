"""Datasets of images for TwoLayerNet: read, split, normalise.

    >>> from data_utils import load_dataset
    >>> data = load_dataset("mnist5k")
    >>> data
    <Dataset mnist5k: X_train (3200, 784), X_val (800, 784), X_test (1000, 784)>
    >>> data.image_shape, data.class_names[7]
    ((28, 28), '7')

Train on X_train, choose by X_val, look at X_test once, at the end. A new image must be treated like the
training images, `net.predict(data.transform(image))`, and a row turned back before it is shown,
`plt.imshow(data.to_pixels(data.X_test[0])[0])`. "mnist5k" comes with the project, in datasets/.
"""

import gzip
import math
import os
import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_PROJECT_DATA = Path(__file__).resolve().parent / "datasets"
_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip
_DATASETS = {  # `validation`: how many of the training rows X_val gets by default
    "mnist5k": {"image_shape": (28, 28), "class_names": _DIGITS, "validation": 800},
    "mnist": {"image_shape": (28, 28), "class_names": _DIGITS, "validation": 10000},
    "fashion_mnist": {"image_shape": (28, 28), "class_names": _CLOTHES, "validation": 10000},
}


@dataclass(repr=False, eq=False)
class Dataset:
    """A dataset, split and normalised, as `load_dataset` returns it.

    X_train, X_val, X_test are rows (N, D), float32 or float64; y_train, y_val, y_test (N,) int64 indices into
    class_names; image_shape that of one image, D numbers. normalize is as given; mean, (D,) in units of
    pixels / 255, was subtracted (zeros: nothing was) and the float std divided by (1.0: nothing was).
    """

    name: str
    image_shape: tuple
    class_names: tuple
    normalize: bool | str
    mean: np.ndarray
    std: float
    X_train: np.ndarray
    X_val: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_val: np.ndarray
    y_test: np.ndarray

    def __repr__(self):
        shapes = ", ".join(f"{part} {getattr(self, part).shape}" for part in ("X_train", "X_val", "X_test"))
        return f"<Dataset {self.name}: {shapes}>"

    def transform(self, images):
        """Treat raw images exactly like X_train: the same pixels give the same bits.

        images: (N, ...), D numbers each, or one image of image_shape; 0..255, of any real dtype (multiply an
        image scaled to 0..1 by 255 first). Returns new rows (N, D) of X_train's dtype. Raises ValueError for
        another shape or values outside 0..255, TypeError for other types.
        """
        images = _real_array("images", images)
        if images.shape == self.image_shape:
            images = images[None]
        if math.prod(images.shape[1:]) != self.mean.size:
            raise ValueError(f"images must have shape (N, ...) or {self.image_shape}, got {images.shape}")
        if not ((images >= 0) & (images <= 255)).all():
            raise ValueError(f"images must lie in 0..255, got {images.min()} to {images.max()}")
        return _normalize(images, self.normalize, self.mean, self.std)

    def to_pixels(self, X):
        """Undo `transform`, for pictures: rows (N, D), or one row (D,), to images (N, *image_shape).

        Returns new images of X_train's dtype, right but for rounding and clipped to 0..255. Raises ValueError
        for another shape, TypeError for other types.
        """
        X = _real_array("X", X)
        if X.ndim not in (1, 2) or X.shape[-1] != self.mean.size:
            raise ValueError(f"X must have shape (N, {self.mean.size}), got {X.shape}")
        pixels = X.astype(self.mean.dtype)
        if self.normalize:
            pixels *= self.std
            pixels += self.mean
            pixels *= 255
        return np.clip(pixels, 0, 255, out=pixels).reshape(-1, *self.image_shape)


def load_dataset(name, *, directory=None, validation=None, normalize=True, dtype=np.float32):
    """Read, split and normalise "mnist5k", "mnist" or "fashion_mnist"; returns a `Dataset`.

    directory: holds a folder `name` with MNIST's four files (train-images-idx3-ubyte.gz and so on, with or
        without .gz). Default: the environment variable TWO_LAYER_NET_DATA, else datasets/ beside this file;
        mnist5k is taken from the latter if the former has none.
    validation: how many of the N training rows, the last ones, become X_val: 0..N-1. Default: 800 for
        mnist5k, 10000 for the others.
    normalize: True: pixels / 255 minus the mean image of X_train's rows. "standard": this divided by the
        standard deviation of all X_train's centred pixels together: one number, because a pixel that is
        constant, as at the border, has no deviation of its own to divide by. False: 0..255 as they are.
    dtype: float32 or float64, of the rows.

    Raises FileNotFoundError if a file is missing, ValueError if one is damaged or not what its name says, and
    ValueError or TypeError for a bad argument.
    """
    if not isinstance(name, str) or name not in _DATASETS:
        raise ValueError(f"name must be one of {', '.join(_DATASETS)}, got {name!r}")
    if not isinstance(directory, str | os.PathLike | None):
        raise TypeError(f"directory must be a path or None, got {directory!r}")
    if not isinstance(normalize, bool) and normalize != "standard":
        raise ValueError(f"normalize must be True, False or 'standard', got {normalize!r}")
    if dtype not in (np.float32, np.float64, float, "float32", "float64"):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    root = os.environ.get("TWO_LAYER_NET_DATA") or _PROJECT_DATA if directory is None else directory
    folder = Path(root).expanduser() / name
    if name == "mnist5k" and directory is None and not folder.is_dir():
        folder = _PROJECT_DATA / name
    facts = _DATASETS[name].copy()
    default_validation = facts.pop("validation")
    train, y_train = _read_mnist(folder, "train", **facts)
    test, y_test = _read_mnist(folder, "t10k", **facts)
    n_val = default_validation if validation is None else _integer("validation", validation)
    if not 0 <= n_val < len(train):
        raise ValueError(f"validation must lie in 0..{len(train) - 1}, got {n_val}")

    n = len(train) - n_val
    mean, std = _mean_and_std(train[:n], normalize)
    how = (normalize, mean.astype(dtype), std)
    rows = [_normalize(images, *how) for images in (train[:n], train[n:], test)]
    return Dataset(name, *facts.values(), *how, *rows, y_train[:n], y_train[n:], y_test)


def one_hot_encode(y, num_classes=None, dtype=np.float64):
    """Turn integer labels y, (N,), into rows (N, num_classes) of real `dtype`: 1 at the label, else 0.

    num_classes defaults to the largest label + 1. Raises ValueError for labels outside 0..num_classes-1,
    TypeError for labels that are not integers.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "iu":
        raise TypeError(f"y must hold integers, got {y.dtype}")
    if np.dtype(dtype).kind not in "iuf":
        raise TypeError(f"dtype must be an integer or float type, got {dtype!r}")
    if y.ndim != 1 or (y.size == 0 and num_classes is None):
        raise ValueError(f"y must have shape (N,), N >= 1 unless num_classes is given, got {y.shape}")
    C = max(int(y.max()), 0) + 1 if num_classes is None else _integer("num_classes", num_classes)
    wrong = (y < 0) | (y >= C)
    if C < 1 or wrong.any():
        raise ValueError(f"y must lie in 0..num_classes-1, num_classes={C} >= 1; got {y[wrong][:5]}")
    Y = np.zeros((len(y), C), dtype)
    Y[np.arange(len(y)), y] = 1
    return Y


def one_hot_decode(Y):
    """Turn one-hot rows Y, (N, C), back into labels (N,), int64.

    Raises ValueError unless each row is one 1 among zeros, TypeError if Y does not hold real numbers.
    """
    Y = _real_array("Y", Y)
    if Y.ndim != 2 or Y.shape[1] == 0:
        raise ValueError(f"Y must have shape (N, C), C >= 1, got {Y.shape}")
    wrong = (np.count_nonzero(Y, axis=1) != 1) | (Y.max(axis=1) != 1)
    if wrong.any():
        hint = "for scores or probabilities use Y.argmax(axis=1)"
        raise ValueError(f"Y must be one-hot, but row {wrong.argmax()} is {Y[wrong][0]}; {hint}")
    return Y.argmax(axis=1).astype(np.int64)


def read_idx(path):
    """Read an IDX file of bytes, MNIST's format, gzipped if its name ends in .gz; returns a uint8 array.

    The format, as the MNIST page (Y. LeCun) gives it: two zero bytes, the type (8: unsigned byte), the number
    of dimensions, each size as a big-endian uint32, the bytes, last dimension fastest. Raises ValueError,
    naming the file, if it is anything else: another start, damaged gzip, too few or too many bytes.
    """
    opener = gzip.open if os.fspath(path).endswith(".gz") else open
    try:
        with opener(path, "rb") as f:
            magic = f.read(4)
            if len(magic) < 4 or magic[:3] != b"\0\0\x08":
                raise ValueError(f"not an IDX file of bytes: starts with '{magic.hex(' ')}', not '00 00 08'")
            sizes = f.read(4 * magic[3])
            if len(sizes) < 4 * magic[3]:
                raise ValueError("ends inside its header")
            shape = struct.unpack(f">{magic[3]}I", sizes)
            size = math.prod(shape)
            # In steps, so that a header that claims too much takes no memory, and up to one byte too many: to
            # see that there is none, and because only at the end does gzip compare its checksum.
            data = bytearray()
            while chunk := f.read(min(2**20, size + 1 - len(data))):
                data += chunk
        if len(data) != size:
            found = len(data) if len(data) < size else "more"
            raise ValueError(f"the shape in its header, {shape}, needs {size} bytes, but it holds {found}")
        return np.frombuffer(data, np.uint8).reshape(shape)
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: {error}") from error


def write_idx(path, array):
    """Write a uint8 array as an IDX file (see `read_idx`), gzipped if the name ends in .gz.

    An older file is replaced only when the new one is whole. Raises TypeError if array is not uint8.
    """
    array = np.asarray(array)
    if array.dtype != np.uint8:
        raise TypeError(f"array must be uint8, got {array.dtype}")
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    with _replacing(path) as f:
        if os.fspath(path).endswith(".gz"):
            # no time and no name: the same array always gives the same file
            with gzip.GzipFile(filename="", mode="wb", fileobj=f, mtime=0) as packed:
                packed.write(content)
        else:
            f.write(content)


@contextmanager
def _replacing(path):
    """Open a file that takes path's place when the block ends, and only if it ends without an error."""
    temporary = Path(f"{os.fspath(path)}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_mnist(folder, part, image_shape, class_names):
    """Images (N, *image_shape), uint8, and labels (N,), int64, of the part "train" or "t10k"."""
    paths = []
    for file in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
        found = [path for path in (folder / f"{file}.gz", folder / file) if path.exists()]
        if not found:
            raise FileNotFoundError(f"neither {file}.gz nor {file} is in the folder {folder.absolute()}")
        paths.append(found[0])
    images, labels = map(read_idx, paths)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{paths[1]}: labels have shape (N,) with N >= 1, this has {labels.shape}")
    if labels.max() >= len(class_names):
        raise ValueError(f"{paths[1]}: labels must lie in 0..{len(class_names) - 1}, got {labels.max()}")
    needed = (len(labels), *image_shape)
    if images.shape != needed:
        raise ValueError(f"{paths[0]}: has shape {images.shape}, but {needed} goes with {paths[1]}")
    return images, labels.astype(np.int64)


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
        raise ValueError("normalize='standard' needs training images that differ; they are all the same")
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
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got {array.dtype}")
    return array


def _integer(name, value):
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    return int(value)
