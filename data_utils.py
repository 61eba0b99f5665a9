"""Datasets of images: read, split, normalise, download; augmentations, one-hot labels.

data = load_dataset("mnist5k")          # <Dataset mnist5k: X_train (3200, 784), ...>
net.train(data.X_train, data.y_train, data.X_val, data.y_val)
net.predict(data.transform(image))      # a new image is treated like those trained on
"""

import argparse
import gzip
import math
import os
import pickle
import sys
import tarfile
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import make_dataclass
from pathlib import Path

import numpy as np

INSTALL = "python -m pip install -r requirements-data.txt"
DIGITS = tuple("0123456789")
CLOTHES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
THINGS = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"
MNIST = [f"{p}-{x}-ubyte.gz" for p in ("train", "t10k") for x in ("images-idx3", "labels-idx1")]
CIFAR10 = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
DATASETS = {  # folder, image_shape, class_names, how many rows to validate with, files
    "mnist5k": ("mnist5k", (28, 28), DIGITS, 800, MNIST),
    "mnist": ("mnist", (28, 28), DIGITS, 10000, MNIST),
    "fashion_mnist": ("fashion_mnist", (28, 28), tuple(CLOTHES.split(",")), 10000, MNIST),
    "cifar10": ("cifar-10-batches-py", (32, 32, 3), tuple(THINGS.split(",")), 1000, CIFAR10),
    "svhn": ("svhn", (32, 32, 3), DIGITS, 3257, ("train_32x32.mat", "test_32x32.mat")),
}
# Addresses that have the files, then their MD5, as their authors and mirrors give them
DOWNLOADS = {
    "mnist": """https://ossci-datasets.s3.amazonaws.com/mnist/
        https://storage.googleapis.com/cvdf-datasets/mnist/
        f68b3c2dcbeaaa9fbdd348bbdeb94873 d53e105ee54ea40749a09fcbcd1e9432
        9fb629c4189551a2d022fa330f9573f3 ec29112dd5afa0611ce80d1b7f02629c""",
    "fashion_mnist": """http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/
        8d4fb7e6c68d591d4c3dfef9ec88bf0d 25c81989df183df01b3e8a0aad5dffbe
        bef4ecab320f06d8554ea6380940ec79 bb300cfdad3c16e7a12a480ee83cd310""",
    "cifar10": "https://www.cs.toronto.edu/~kriz/ c58f30108f718f92721af3b95e74349a",
    "svhn": """http://ufldl.stanford.edu/housenumbers/
        e26dedcc434d2e4c54c9b2d4a06d8373 eb5a983be6a315427106f1b164d9cef3""",
}
PARTS = ("X_train", "X_val", "X_test", "y_train", "y_val", "y_test")
FACTS = ("name", "image_shape", "class_names", "normalize", "mean", "std")
FIELDS = [*FACTS, *((part, np.ndarray, None) for part in PARTS)]


class Dataset(make_dataclass("Fields", FIELDS, repr=False, eq=False)):
    """Rows X (N, D), int64 labels y (N,), and the FACTS by which new images are treated alike.

    Unless normalize is False, pixels / 255 had mean (D,) subtracted and were divided by std.
    """

    def __repr__(self):
        shapes = (f"{part} {np.shape(getattr(self, part))}" for part in PARTS[:3])
        return f"<Dataset {self.name}: {', '.join(shapes)}>"

    def transform(self, images):
        """Rows (N, D) of raw images (N, *image_shape) of 0..255, treated like the training rows."""
        images = np.asarray(images)
        images = images[None] if images.shape == self.image_shape else images
        if images.shape[1:] not in (self.image_shape, self.mean.shape):
            raise ValueError(f"images must be (N, *{self.image_shape}) or rows, got {images.shape}")
        low, high = images.min(), images.max()
        if not (low >= 0 and high <= 255) or (images.dtype.kind in "fb" and 0 < high <= 1):
            raise ValueError(f"pixels must be of 0..255 (multiply 0..1 by 255), got {low}..{high}")
        return _normalize(images, self.normalize, self.mean, self.std)

    def read(self, path, invert=False):
        """Read an image file for `transform`: its middle, scaled to image_shape, as uint8.

        invert: turn black ink on white into white on black. Warns if that seems forgotten.
        """
        image = _read_image(path, self.image_shape[:2], gray=len(self.image_shape) == 2)
        image = 255 - image if invert else image
        # mean training image in 0..255; all zeros, so no hint, for `load_transform` of raw pixels
        usual = self.mean * 255 if self.normalize or self.X_train is None else self.X_train.mean(0)
        dark = usual.any() and usual.reshape(self.image_shape)[[0, -1]].mean() < 64
        if dark and image[[0, -1]].mean() > 127:
            hint = f"{path} is bright at its border: try read(path, invert={not invert})"
            warnings.warn(hint, stacklevel=2)
        return image

    def to_pixels(self, X):
        """Undo `transform`, for pictures: rows (N, D) to images (N, *image_shape) of 0..255."""
        pixels = np.array(X, self.mean.dtype) * self.std + self.mean
        pixels *= 255 if self.normalize else 1
        return np.clip(pixels, 0, 255).reshape(-1, *self.image_shape)

    def save_transform(self, path):
        """Write all that `transform` needs, without the data, as .npz for `load_transform`."""
        facts = {name: getattr(self, name) for name in FACTS}
        with open(f"{path}.part", "wb") as file:
            np.savez(file, **facts | {"normalize": str(self.normalize)})
        os.replace(f"{path}.part", path)


def load_transform(path):
    """The `Dataset` that `save_transform` wrote to path, without its rows and labels."""
    with _reading(path, "no saved transform") as file, np.load(file, allow_pickle=False) as data:
        name, shape, names, how, _, std = (data[key].tolist() for key in FACTS)
        how = {"True": True, "False": False}.get(how, how)
        return Dataset(name, tuple(shape), tuple(names), how, data["mean"], std)


def load_dataset(name, *, directory=None, validation=None, normalize=True, dtype=np.float32):
    """Read, split and normalise a dataset by its name; returns a `Dataset`.

    name: one of DATASETS. directory: holds the datasets' folders; by default what the environment
        variable TWO_LAYER_NET_DATA says, else datasets/ beside this file, where mnist5k always is.
    validation: how many of the training rows, the last ones, become X_val.
    normalize: True: pixels / 255 minus the mean image of X_train. "standard": also divided by the
        standard deviation of what is left, over all pixels. False: 0..255 as they are.
    Raises FileNotFoundError, saying what to do, or ValueError, naming a file that is damaged.
    """
    folder, shape, class_names, n_val, _ = _facts(name, directory)
    train, y_train, test, y_test = _read(name, folder)
    n = len(train) - (n_val if validation is None else validation)
    if not 0 < n <= len(train):
        raise ValueError(f"validation must be in 0..{len(train) - 1}, got {validation}")
    how = _fit(train[:n], normalize, dtype)
    X = (_normalize(images, *how) for images in (train[:n], train[n:], test))
    return Dataset(name, shape, class_names, *how, *X, y_train[:n], y_train[n:], y_test)


def load_image_folder(
    directory, *, size=None, validation=0.2, test=0.2, normalize=True, dtype=np.float32, seed=0
):
    """Read your own images, a folder of them for each class; returns a `Dataset`.

    size: (rows, columns) to bring all images to: the middle of each, scaled. Default: as they are.
    validation, test: the shares of each class, drawn by `seed`, that become X_val and X_test.
    The images are gray if all of them are. Photos are turned as their EXIF data say, transparency
    becomes white. Raises ValueError naming a file that is no image, or of another size.
    """
    rng, folders = np.random.default_rng(seed), _visible(directory, Path.is_dir)
    if len(folders) < 2:
        raise ValueError(f"{directory} must hold a folder for each of two classes or more")
    images, y, parts = [], [], []  # 0: a row to test with, 1: to validate with, 2: to train on
    for label, folder in enumerate(folders):
        paths = _visible(folder, Path.is_file)
        n_test, n_val = round(test * len(paths)), round(validation * len(paths))
        n_train = len(paths) - n_test - n_val
        if n_train <= 0:
            raise ValueError(f"{folder} has too few images, none is left to train on")
        if validation and not n_val:
            warnings.warn(f"{folder} has too few images for one to validate with", stacklevel=2)
        parts.extend(rng.permutation(np.repeat([0, 1, 2], [n_test, n_val, n_train])))
        y.extend([label] * len(paths))
        for path in paths:
            images.append(_read_image(path, size))
            if images[-1].shape != images[0].shape:
                raise ValueError(f"{path} has another size: give load_image_folder a size")
    images, y, parts = np.stack(images), np.array(y), np.array(parts)
    images = images[..., 0] if (images == images[..., :1]).all() else images
    rows = [rng.permutation(np.flatnonzero(parts == part)) for part in (2, 1, 0)]
    how = _fit(images[rows[0]], normalize, dtype)
    names, name = tuple(folder.name for folder in folders), Path(directory).resolve().name
    X = (_normalize(images[r], *how) for r in rows)
    return Dataset(name, images.shape[1:], names, *how, *X, *(y[r] for r in rows))


def _visible(folder, kind):
    """What a folder holds of this kind, without the files that file managers leave behind."""
    paths = (path for path in Path(folder).iterdir() if kind(path) and path.name[0] != ".")
    return sorted(path for path in paths if path.name not in ("Thumbs.db", "desktop.ini"))


def _read_image(path, size=None, gray=False):
    """An image file as uint8 (rows, columns, 3), or (rows, columns) if gray, brought to size."""
    from PIL import Image, ImageOps  # here, because nothing else in this file needs them

    with _reading(path, "no image") as file:
        image = ImageOps.exif_transpose(Image.open(file))
        if image.mode.startswith("I"):  # 16 bits
            image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BOX) if size else image
    return np.array(image.convert("L" if gray else "RGB"))


def load_CIFAR10(ROOT):
    """cs231n's: float64 images (50000, 32, 32, 3) and labels in ROOT, then those to test on."""
    Xtr, Ytr, Xte, Yte = _read("cifar10", Path(ROOT))
    return Xtr.astype(np.float64), Ytr, Xte.astype(np.float64), Yte


def get_CIFAR10_data(num_training=49000, num_validation=1000, num_test=1000, subtract_mean=True):
    """cs231n's: a dict of float64 X_train (N, 3, 32, 32), y_train ...: 0..255, less their mean."""
    train, y_train, test, y_test = _read("cifar10", _facts("cifar10")[0])
    n, end = num_training, num_training + num_validation
    if end > len(train) or num_test > len(test):
        raise ValueError(f"there are {len(train)} images to train on and {len(test)} to test on")
    data = {"y_train": y_train[:n], "y_val": y_train[n:end], "y_test": y_test[:num_test]}
    parts = {"X_train": train[:n], "X_val": train[n:end], "X_test": test[:num_test]}
    mean = train[:n].mean(axis=0) if subtract_mean else 0.0
    return {name: (X - mean).transpose(0, 3, 1, 2).copy() for name, X in parts.items()} | data


def make_spirals(classes=3, points=100, rng=0):
    """Points X (N, 2) on arms of a spiral, a class each, and labels y (cs231n's case study)."""
    rng, y = np.random.default_rng(rng), np.repeat(np.arange(classes), points)
    radius = np.tile(np.linspace(0, 1, points), classes)
    angle = 4 * (y + radius) + 0.2 * rng.standard_normal(len(y))
    return radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1), y


def one_hot_encode(y, num_classes=None, dtype=np.float64):
    """Integer labels y (N,) as rows (N, num_classes), 1 at the label, 0 elsewhere."""
    y = np.asarray(y)
    C = int(y.max()) + 1 if num_classes is None else num_classes
    if y.ndim != 1 or y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= C:
        raise ValueError(f"y must be integers (N,) in 0..{C - 1}, got {y.shape} up to {y.max()}")
    return np.eye(C, dtype=dtype)[y]


def one_hot_decode(Y):
    """One-hot rows Y (N, C) as labels (N,); for scores or probabilities use Y.argmax(axis=1)."""
    Y = np.asarray(Y)
    if Y.ndim != 2 or not ((Y == 0) | (Y == 1)).all() or not (Y.sum(axis=1) == 1).all():
        raise ValueError("Y must have one 1 in each row, else 0; for scores use Y.argmax(axis=1)")
    return Y.argmax(axis=1)


def flip(X_batch, rng):
    """Mirror each image (N, H, W[, C]) left to right with probability 1/2: train(augment=flip)."""
    X = _images(X_batch).copy()
    mirrored = rng.random(len(X)) < 0.5
    X[mirrored] = X[mirrored, :, ::-1]
    return X.reshape(X_batch.shape)


def drop_inputs(X_batch, rng, p=0.2):
    """Dropout of inputs: each float of X_batch is 0 with probability p, else divided by 1 - p."""
    return X_batch * ((rng.random(X_batch.shape) >= p) / X_batch.dtype.type(1 - p))


def distort(X_batch, rng, *, pixels=1.0, degrees=10.0, zoom=0.1, elastic=0.0, sigma=4.0):
    """Shift, rotate, stretch and bend each image a little: X_batch (N, H, W[, C]), a new array.

    pixels: shift down and to the right, each uniform in -pixels..pixels.
    degrees: rotation about the centre, uniform in -degrees..degrees.
    zoom: factors of height and of width, each uniform in 1 - zoom..1 + zoom.
    elastic, sigma: size and smoothness, in pixels, of random shifts of single pixels (Simard 2003).
    """
    if len(X_batch) > 100:  # small pieces stay in the cache: 18 microseconds an image instead of 31
        how = {"pixels": pixels, "degrees": degrees, "zoom": zoom, "elastic": elastic}
        pieces = (X_batch[i : i + 100] for i in range(0, len(X_batch), 100))
        return np.concatenate([distort(piece, rng, sigma=sigma, **how) for piece in pieces])
    X = _images(X_batch)
    N, H, W, C = X.shape
    y = np.arange(H, dtype=np.float32)[:, None] - (H - 1) / 2  # from the centre
    x = np.arange(W, dtype=np.float32) - (W - 1) / 2
    down, right, turn, tall, wide = (2 * rng.random((5, N, 1, 1)) - 1).astype(np.float32)
    cos, sin = np.cos(np.radians(degrees) * turn), np.sin(np.radians(degrees) * turn)
    tall, wide = 1 / (1 + zoom * tall), 1 / (1 + zoom * wide)
    # (N, H, W): the row and the column that each pixel comes from
    rows = (tall * cos) * y - (tall * sin) * x + (pixels * down + (H - 1) / 2)
    columns = (wide * sin) * y + (wide * cos) * x + (pixels * right + (W - 1) / 2)
    if elastic:
        # Gaussian bumps, sigma apart, a column each; rows of norm 1 make each shift's std `elastic`
        places = (np.arange(n)[:, None] / sigma - np.arange(-1, n / sigma + 1) for n in (H, W))
        bumps = (np.exp(-0.5 * place**2) for place in places)
        V, U = ((b / np.linalg.norm(b, axis=1, keepdims=True)).astype(np.float32) for b in bumps)
        noise = rng.standard_normal((2, N, V.shape[1], U.shape[1])).astype(np.float32)
        for field, bent in zip((rows, columns), noise, strict=True):
            field += elastic * (V @ bent @ U.T)
    top, left = (np.clip(a, 0, n - 2).astype(np.intp) for a, n in ((rows, H), (columns, W)))
    lower, righter = (np.clip(a, 0, 1)[..., None] for a in (rows - top, columns - left))
    i = (np.arange(N)[:, None, None] * H + top) * W + left
    pixel = X.reshape(-1, C) if X.dtype.kind == "f" else X.reshape(-1, C).astype(np.float64)

    def between(i):
        a = np.take(pixel, i, axis=0)
        return a + righter * (np.take(pixel, i + 1, axis=0) - a)

    above = between(i)
    bent = above + lower * (between(i + W) - above)
    bent = bent if X.dtype.kind == "f" else np.rint(bent)
    return bent.astype(X.dtype, copy=False).reshape(X_batch.shape)


def _images(X_batch):
    """X_batch as (N, H, W, C)."""
    if X_batch.ndim not in (3, 4):
        raise ValueError(f"X_batch is {X_batch.shape}: make it images, X.reshape(-1, *image_shape)")
    return X_batch if X_batch.ndim == 4 else X_batch[..., None]


@contextmanager
def _reading(path, else_):
    """Open a file; an error in the block says that the file is damaged or something else."""
    with open(path, "rb") as file:
        try:
            yield file
        except Exception as error:
            raise ValueError(f"{path} is damaged or {else_}: {error}") from error


def read_idx(path):
    """Read an IDX file of bytes (see Y. LeCun's MNIST page), gzipped or not, as a uint8 array."""
    with _reading(path, "no IDX file of bytes") as file:
        content = file.read()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        if content[:3] != b"\0\0\x08":
            raise ValueError("it does not start with 00 00 08")
        shape = np.frombuffer(content, ">u4", content[3], offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _facts(name, directory=None):
    """The dataset's folder, whether it is there or not, and the rest of its row in DATASETS."""
    if name not in DATASETS:
        raise ValueError(f"name must be one of {', '.join(DATASETS)}, got {name!r}")
    here = Path(__file__).resolve().parent / "datasets"
    root = Path(directory or os.environ.get("TWO_LAYER_NET_DATA") or here).expanduser()
    if name == "mnist5k" and directory is None and not (root / name).is_dir():
        root = here
    return root / DATASETS[name][0], *DATASETS[name][1:]


def _find(folder, file):
    """The path of a file, packed or not, with .idx for -idx, or in a folder of its name."""
    plain = file.removesuffix(".gz")
    names = [name + end for name in (plain, plain.replace("-idx", ".idx")) for end in (".gz", "")]
    paths = (path for name in names for path in (folder / name, folder / name / name))
    return next((path for path in paths if path.is_file()), None)


def _read(name, folder):
    """Images, uint8, and labels, int64, to train on, then those to test on."""
    paths = {file: _find(folder, file) for file in DATASETS[name][4]}
    missing = [file for file, path in paths.items() if path is None]
    if missing:
        how = f'run `python data_utils.py {name} --directory "{folder.absolute().parent}"`, or '
        how = how * (name in DOWNLOADS) + "put them there"
        raise FileNotFoundError(f"{folder.absolute()} lacks {', '.join(missing)}: {how}")
    *train, last = paths.values()
    if name == "cifar10":
        return *_read_cifar10(train), *_read_cifar10([last])
    if name == "svhn":
        return *_read_svhn(*train), *_read_svhn(last)
    data = [read_idx(path) for path in paths.values()]
    for path, images, labels in ((train[1], *data[:2]), (last, *data[2:])):
        if images.shape != (len(labels), 28, 28) or labels.ndim != 1 or labels.max(initial=0) > 9:
            raise ValueError(f"{path}: a label above 9, or {labels.shape} for {images.shape}")
    return data[0], data[1].astype(np.int64), data[2], data[3].astype(np.int64)


class _BatchUnpickler(pickle.Unpickler):
    """Admits what rebuilds an array, under numpy's old and new names, and nothing else."""

    def find_class(self, module, name):
        known = {"numpy": ("ndarray", "dtype"), "_codecs": ("encode",)}
        for core in ("numpy.core", "numpy._core"):
            known |= {f"{core}.multiarray": ("_reconstruct",), f"{core}.numeric": ("_frombuffer",)}
        if name not in known.get(module, ()):
            raise ValueError(f"it asks for {module}.{name}, which a batch does not")
        return super().find_class(module, name)


def _read_cifar10(paths):
    images, labels = [], []
    for path in paths:
        with _reading(path, "no CIFAR-10 batch") as file:
            batch = _BatchUnpickler(file, encoding="bytes").load()
            batch = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
            # a row holds the red of all pixels, then their green, then their blue
            rows = batch["data"].reshape(len(batch["labels"]), 3, 32, 32)
            images.append(rows.transpose(0, 2, 3, 1).astype(np.uint8, casting="safe"))
            labels.append(np.array(batch["labels"], np.int64))
            one_hot_encode(labels[-1], 10)  # raises for labels outside 0..9
    return np.concatenate(images), np.concatenate(labels)


def _read_svhn(path):
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError(f"SVHN's files need scipy: {INSTALL}") from error
    with _reading(path, "not SVHN's") as file:
        content = loadmat(file, variable_names=("X", "y"))
        X, y = content["X"].transpose(3, 0, 1, 2), content["y"].ravel().astype(np.int64)
        if X.shape != (len(y), 32, 32, 3) or X.dtype != np.uint8:
            raise ValueError(f"X is {X.dtype} {X.shape}, y {y.shape}")
        one_hot_encode(y - 1, 10)  # raises for labels outside 1..10
    return np.ascontiguousarray(X), y % 10  # 10 stands for the digit 0


def _fit(images, normalize, dtype):
    """normalize, mean and std, as `Dataset` has them, for uint8 training images."""
    if normalize not in (True, False, "standard"):
        raise ValueError(f"normalize must be True, False or 'standard', got {normalize!r}")
    rows, std = images.reshape(len(images), -1), 1.0
    if not normalize:
        return False, np.zeros(rows.shape[1], dtype), std
    mean = rows.sum(axis=0, dtype=np.int64) / (255 * len(rows))  # sums of integers are exact
    if normalize == "standard":  # in pieces, as float64 takes 8 times the memory
        pieces = (rows[i : i + 1000] for i in range(0, len(rows), 1000))
        squares = sum(float(np.square(piece / 255 - mean).sum()) for piece in pieces)
        std = math.sqrt(squares / rows.size) or 1.0  # of images that are all the same
    return normalize, mean.astype(dtype), std


def _normalize(images, normalize, mean, std):
    """Images to rows of mean's dtype; the one place where rows are normalised."""
    rows = images.reshape(len(images), mean.size).astype(mean.dtype)
    if normalize:
        rows /= 255
        rows -= mean
        rows /= std
    return rows


def download(name, directory=None):
    """Download a dataset, one of DOWNLOADS, to where `load_dataset` looks; returns its folder.

    What is there stays. A ConnectionError names the files that are needed and their folder.
    """
    folder, *_, files = _facts(name, directory)
    words = DOWNLOADS[name].split()
    mirrors, needed = [w for w in words if "://" in w], [f for f in files if not _find(folder, f)]
    archive, where = name == "cifar10", folder.parent if name == "cifar10" else folder
    files = ["cifar-10-python.tar.gz"] if archive else files
    by_hand = (where / files[0]).exists()
    for file, md5 in zip(files, words[len(mirrors) :], strict=True):
        if file in needed or (archive and needed):
            _fetch(mirrors, file, md5, where, f"into {folder.absolute()}: {', '.join(needed)}")
    if archive and needed:
        with tempfile.TemporaryDirectory(dir=where) as temporary:
            with tarfile.open(where / files[0]) as tar:
                tar.extractall(temporary, filter="data")
            folder.mkdir(exist_ok=True)
            for batch in CIFAR10:
                os.replace(Path(temporary, folder.name, batch), folder / batch)
        if not by_hand:
            os.remove(where / files[0])
    return folder


def _fetch(mirrors, file, md5, where, needed):
    """Download a file into the folder `where` from the first mirror that has it."""
    try:
        import pooch
        import tqdm  # noqa: F401, with which pooch shows the progress
    except ImportError as error:
        raise ImportError(f"downloads need pooch and tqdm: {INSTALL}") from error
    failures, get = [], pooch.HTTPDownloader(progressbar=True, timeout=30)
    for mirror in mirrors:
        try:
            return pooch.retrieve(mirror + file, f"md5:{md5}", file, where, downloader=get)
        except Exception as error:  # of the network, of the server, or a wrong checksum
            failures.append(f"{mirror}: {error}")
    hint = f"put by hand {needed}. Tried: {'; '.join(failures)}"
    raise ConnectionError(f"{file} cannot be downloaded; {hint}")


def main(arguments=None):
    text = f"Download datasets to where load_dataset looks. Needs pooch and tqdm: {INSTALL}"
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("names", nargs="+", choices=DOWNLOADS, help="one or more of these")
    parser.add_argument("--directory", help="default: $TWO_LAYER_NET_DATA, else datasets/")
    options, failed = parser.parse_args(arguments), 0
    for name in options.names:
        try:
            print(f"{name}: {download(name, options.directory)}")
        except (OSError, ImportError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
