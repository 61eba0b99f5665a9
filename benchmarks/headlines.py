"""What TwoLayerNet reaches on the courses' data, beside the figures of courses and of others.

    python -m pip install -r requirements-bench.txt
    python benchmarks/headlines.py                              # all rows, seed 0: two hours
    python benchmarks/headlines.py report keras-simple --seeds 0 1 2 3 4
    python benchmarks/headlines.py --seeds                      # only writes the table anew

ROWS below says what is trained and how. Settings that do not come from a course were chosen by
accuracy on the validation images; of two settings whose accuracies differ no more than those of two
seeds, the quicker was taken. Each net adds a line to headlines.csv: its accuracy on validation and
test images, and the CPU seconds of training with one BLAS thread. The table, headlines.md, shows
the lines whose setting is the row's present one; if a seed was run more than once, the last.
"""

import os

# BLAS reads these when numpy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import csv
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from machine import machine

import tune
from data_utils import distort, drop_inputs, flip, load_dataset
from two_layer_net import TwoLayerNet, momentum

RESULTS = HERE / "headlines.csv"
COLUMNS = ("row", "seed", "validation", "test", "seconds", "setting", "machine")

# How a TwoLayerNet is trained where its row does not say otherwise. The lines of RESULTS do not
# name these: if you change them, delete RESULTS.
DEFAULTS = {"std": "he", "reg": 0, "batch_size": 100, "optimizer": "momentum"}


# ---- The functions in the rows' settings and, below them, the ways to fit. RESULTS has only their
# names: if you change what one does, give it another name, or old lines are taken for new ones.


def cosine(peak):
    """A schedule: half a cosine from `peak` to 0 (Loshchilov and Hutter 2017)."""

    def rate(progress):
        return peak * (1 + math.cos(math.pi * progress)) / 2

    rate.__name__ = f"cosine({peak})"
    return rate


def distort_digits(X_batch, rng):
    return distort(X_batch, rng, pixels=1.5, degrees=12, zoom=0.12, elastic=0.9)


def flip_and_distort(X_batch, rng):
    return distort(flip(X_batch, rng), rng, pixels=2, degrees=5, zoom=0.05)


def move(X_batch, rng):
    return distort(X_batch, rng, pixels=1, degrees=0, zoom=0)


def turn_and_move(X_batch, rng):
    return distort(X_batch, rng, pixels=3, degrees=10, zoom=0.1)


def momentum_in_windows(w, g, state, learning_rate):
    """momentum, for nets whose hidden units see a window of 17 x 17 pixels of a CIFAR-10 image.

    The window's centre is drawn for each hidden unit, the same for all seeds of a row. Windows end
    where the image ends. For any hidden_size but 3072.
    """
    # The rule is called for each parameter, but only W1 has a row for each pixel and colour.
    if len(w) == 32 * 32 * 3:
        if "window" not in state:
            rng = np.random.default_rng(0)
            hidden_size = w.shape[1]
            pixels = np.arange(32)[:, np.newaxis]
            rows = abs(pixels - rng.integers(32, size=hidden_size)) <= 8  # (32, hidden_size)
            columns = abs(pixels - rng.integers(32, size=hidden_size)) <= 8
            window = rows[:, np.newaxis] & columns  # (32, 32, hidden_size)
            # A row for each pixel, then three for each, as W1 has them: its red, green and blue
            window = window.reshape(-1, hidden_size)
            state["window"] = np.repeat(window, 3, axis=0)
            w *= state["window"]
        # Weights outside of the window are 0 now. As they get no gradient, they stay 0.
        g *= state["window"]
    momentum(w, g, state, learning_rate)


# ---- Ways to fit a net to a row's data. Each returns an object with a method `predict`, and the
# CPU seconds of training.


def train_net(row, data, seed):
    images = data.X_train.reshape(-1, *data.image_shape)  # for augmentations
    arrays = (images, data.y_train, data.X_val, data.y_val)
    start = time.process_time()
    net, status = tune.train_net(arrays, data.class_names, DEFAULTS | row.settings, seed)
    if status != "ok":
        raise SystemExit(f"the training {status}")
    return net, time.process_time() - start


def widened(net, versions):
    """One wide net with the mean scores of nets that differ from `net` only in W1.

    It has the hidden units of all of them. Shifting W1 acts like shifting the image the other way,
    mirroring W1 like mirroring the image: so these are mean scores of moved images.
    """
    W1, b1, W2, b2 = net.params.values()
    count = len(versions)
    wide = TwoLayerNet(
        net.input_size,
        count * net.hidden_size,
        net.output_size,
        "zeros",
        activation=net.activation,
        dtype=net.dtype,
    )
    wide.params = {
        "W1": np.hstack([version.reshape(W1.shape) for version in versions]),
        "b1": np.tile(b1, count),
        "W2": np.tile(W2 / count, (count, 1)),
        "b2": b2,
    }
    return wide


def shifted(weights, pixels):
    """Five versions of weights (rows, columns, ...): as they are, shifted up, down, left, right.

    What leaves at one edge comes in again at the other.
    """
    versions = [weights]
    for axis in (0, 1):
        for shift in (-pixels, pixels):
            versions.append(np.roll(weights, shift, axis))
    return versions


def train_and_shift(row, data, seed):
    """Train a net, then give it each hidden unit five times: as it is, and moved by a pixel."""
    net, seconds = train_net(row, data, seed)
    weights = net.params["W1"].reshape(*data.image_shape, -1)
    return widened(net, shifted(weights, 1)), seconds


def train_mirror_and_shift(row, data, seed):
    """Train a net, then give it each hidden unit ten times.

    These are the unit and its mirror image, each as it is, and shifted by two pixels.
    """
    net, seconds = train_net(row, data, seed)
    weights = net.params["W1"].reshape(*data.image_shape, -1)
    mirrored = weights[:, ::-1]
    return widened(net, shifted(weights, 2) + shifted(mirrored, 2)), seconds


def train_scikit_learn(row, data, seed):
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier(**row.settings, random_state=seed)
    start = time.process_time()
    net.fit(data.X_train, data.y_train)
    return net, time.process_time() - start


class Row(NamedTuple):
    elsewhere: str  # the figure to compare with
    dataset: str
    validation: int  # how many of the training images are for validation
    normalize: object  # as in load_dataset
    fit: Callable  # one of the functions above
    settings: dict  # of TwoLayerNet and `train`, overriding DEFAULTS; or of MLPClassifier


ROWS = {}


def add(name, elsewhere, dataset, validation=5000, normalize=True, fit=train_net, **settings):
    ROWS[name] = Row(elsewhere, dataset, validation, normalize, fit, settings)


add(
    "cs231n-default",
    "CIFAR-10 validation 28.7 to 29 %",
    "cifar10",
    validation=1000,
    normalize="mean",
    hidden_size=50,
    std=1e-4,
    learning_rate=1e-4,
    reg=0.25,
    num_iters=1000,
    batch_size=200,
    optimizer="sgd",
)

add(
    "cs231n-tuned",
    "CIFAR-10 validation 48 % asked, 52 % best",
    "cifar10",
    validation=1000,
    normalize="standard",
    fit=train_mirror_and_shift,
    hidden_size=3000,
    dropout=0.2,
    learning_rate=cosine(0.02),
    reg=1e-4,
    epochs=100,
    optimizer=momentum_in_windows,
    augment=flip_and_distort,
)

add(
    "report",
    "MNIST test 97.7 %",
    "mnist",
    validation=1000,
    hidden_size=100,
    dropout=0.1,
    learning_rate=cosine(0.1),
    reg=3e-5,
    epochs=20,
)

add(
    "report-fast",
    "MNIST test 97.7 %",
    "mnist",
    validation=1000,
    hidden_size=100,
    learning_rate=cosine(0.15),
    reg=1e-5,
    epochs=5,
)

add(
    "mnist-plain",
    "MNIST test 98.4 % (Simard 2003)",
    "mnist",
    fit=train_and_shift,
    hidden_size=1024,
    dropout=0.5,
    learning_rate=cosine(0.1),
    epochs=60,
    augment=drop_inputs,
)

add(
    "mnist-distorted",
    "MNIST test 99.3 % (Simard 2003)",
    "mnist",
    fit=train_and_shift,
    hidden_size=2048,
    learning_rate=cosine(0.2),
    epochs=120,
    augment=distort_digits,
)

add(
    "keras-simple",
    "MNIST test 85 % asked, in 3 minutes",
    "mnist",
    hidden_size=32,
    std="xavier",
    criterion="mse",
    learning_rate=1,
    epochs=5,
    batch_size=32,
    optimizer="sgd",
)

add(
    "keras-advanced",
    "MNIST test 95 % asked, in 3 minutes",
    "mnist",
    hidden_size=128,
    criterion="mse",
    activation="leaky_relu",
    learning_rate=0.001,
    epochs=10,
    batch_size=64,
    optimizer="adam",
)

add(
    "momentum",
    "MNIST, no figure printed",
    "mnist",
    hidden_size=200,
    std=0.1,
    activation="tanh",
    dropout=0.1,
    learning_rate=cosine(0.1),
    reg=3e-5,
    epochs=20,
)

# The course trained on 73,257 images. The next three rows have 4,434, 434 of them for validation,
# and are tested on a third of the test images. Anyone who has all of SVHN trains on all of it: then
# the figures are no longer those of a part.
add(
    "svhn-part",
    "SVHN test 75.7 % (70,000 images; here 4,000)",
    "svhn",
    validation=434,
    normalize="standard",
    hidden_size=512,
    dropout=0.3,
    learning_rate=cosine(0.012),
    reg=1e-4,
    epochs=200,
    augment=turn_and_move,
)

for optimizer in ("sgd", "momentum"):
    add(
        f"svhn-part-{optimizer}",
        "SVHN test 75.7 % (70,000 images; here 4,000)",
        "svhn",
        validation=434,
        hidden_size=512,
        activation="leaky_relu",
        learning_rate=0.01,
        epochs=40,
        optimizer=optimizer,
    )

add(
    "fashion",
    "Fashion-MNIST test 88.3 % (Zalando, hidden 256, 128, 100)",
    "fashion_mnist",
    hidden_size=1024,
    dropout=0.5,
    learning_rate=cosine(0.1),
    reg=1e-5,
    epochs=60,
    augment=drop_inputs,
)

# Flipped clothes were no better: 90.64 % of the validation images.
add(
    "fashion-moved",
    "Fashion-MNIST test 88.3 % (Zalando, hidden 256, 128, 100)",
    "fashion_mnist",
    hidden_size=2048,
    dropout=0.2,
    learning_rate=cosine(0.1),
    epochs=40,
    augment=move,
)

add(
    "fashion-scikit-learn",
    "Fashion-MNIST, MLPClassifier instead of TwoLayerNet",
    "fashion_mnist",
    fit=train_scikit_learn,
    hidden_layer_sizes=1024,
    early_stopping=True,
)


# ---- Training and the table


def in_words(options):
    """Names and values, as "hidden_size 100, dropout 0.1"; a function is shown by its name."""
    words = []
    for name, value in options.items():
        if callable(value):
            value = value.__name__
        words.append(f"{name} {value}")
    return ", ".join(words)


def words_of(row):
    """All that a row says of its nets, in words."""
    words = f"{row.dataset}, {row.validation} for validation, normalize {row.normalize}, "
    if row.fit is not train_net:
        words += f"{row.fit.__name__}, "
    return words + in_words(row.settings)


def run(name, seed):
    """Train and score one net; returns a line of RESULTS."""
    row = ROWS[name]
    data = load_dataset(row.dataset, validation=row.validation, normalize=row.normalize)
    net, seconds = row.fit(row, data, seed)
    validation = np.mean(net.predict(data.X_val) == data.y_val)
    # In ten parts: 30,000 hidden units of 10,000 images would take gigabytes.
    predicted = [net.predict(X) for X in np.array_split(data.X_test, 10)]
    test = np.mean(np.concatenate(predicted) == data.y_test)
    figures = [f"{validation:.4f}", f"{test:.4f}", f"{seconds:.2f}"]
    return [name, seed, *figures, words_of(row), machine()]


def table():
    lines = pd.read_csv(RESULTS, names=COLUMNS)
    lines = lines.drop_duplicates(["row", "seed", "setting"], keep="last")
    text = "| Row | Elsewhere | Test | Validation | Seconds | Seeds | Setting |\n"
    text += "| --- | --- | --- | --- | --- | --- | --- |\n"
    for name, row in ROWS.items():
        words = words_of(row)
        nets = lines[(lines.row == name) & (lines.setting == words)]
        if len(nets) == 0:
            continue
        tests = ", ".join(nets.test.map("{:.2%}".format))
        seeds = ", ".join(nets.seed.map(str))
        text += f"| {name} | {row.elsewhere} | {nets.test.mean():.2%} ({tests}) "
        text += f"| {nets.validation.mean():.2%} | {nets.seconds.mean():.1f} | {seeds} "
        text += f"| {words} |\n"
    text += f"""
Test, validation and seconds are means over the seeds, in brackets is the test of each. Seconds are
CPU seconds of training with one BLAS thread; headlines.csv names the machines. Settings that no
course gives were chosen by validation images. A TwoLayerNet has, unless its row says otherwise:
{in_words(DEFAULTS)}, momentum 0.9, and a learning rate that is a number decays by 0.95 an epoch.

With momentum_in_windows each hidden unit sees at most 17 x 17 pixels. With train_and_shift the net
that is tested has five times the hidden units, with train_mirror_and_shift ten times: its scores
are the means of the trained net's scores of an image and its moved (and mirrored) copies. The
SVHN rows are tested on a third of SVHN's test images.
"""
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", default=list(ROWS), help=", ".join(ROWS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    options = parser.parse_args()
    unknown = set(options.rows) - set(ROWS)
    if len(unknown) > 0:
        parser.error(f"no rows {unknown}, there are {', '.join(ROWS)}")
    for seed in options.seeds:
        for name in options.rows:
            line = run(name, seed)
            print(line, flush=True)
            with RESULTS.open("a", newline="") as file:
                csv.writer(file).writerow(line)
    text = table()
    (HERE / "headlines.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
