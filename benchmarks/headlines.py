"""What the class reaches on the courses' data, beside the figures that the courses printed.

    python -m pip install -r requirements-bench.txt
    python benchmarks/headlines.py                              # all rows, seed 0: two hours
    python benchmarks/headlines.py report keras-simple --seeds 0 1 2 3 4
    python benchmarks/headlines.py --seeds                      # only writes the table anew

ROWS below has what is trained and how. Settings were chosen by their accuracy on validation rows;
of settings that differ by no more than seeds do, the quickest was taken. Measured are each net's
accuracy on the validation rows and on the test rows, and the processor's seconds for training, with
one BLAS thread. Each net adds a line to headlines.csv. The table, headlines.md, shows the lines
whose setting is the row's present one; of several with the same seed, the last. Rows that have no
line are left out.
"""

import os

# numpy reads these when it is imported.
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
from two_layer_net import TwoLayerNet

RESULTS = HERE / "headlines.csv"
COLUMNS = ("row", "seed", "validation", "test", "seconds", "setting", "machine")

# How nets are trained where their row does not say otherwise; momentum is 0.9, the default. The
# words about a row do not name these: lines of RESULTS from before a change have to be deleted.
DEFAULTS = {"std": "he", "batch_size": 100, "optimizer": "momentum"}


# ---- What the rows use. An update rule, a callback or an augmentation of one's own is a function,
# written here and given in a row's settings. The table shows functions by name, so give a new name
# to one that you change: else the lines of nets that were trained with the old one still count.


def cosine(peak):
    """A rate that falls from `peak` to 0 along half a cosine (Loshchilov and Hutter 2017)."""

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


def train_net(row, data, seed):
    """A net, trained as the row says, and the processor's seconds for it."""
    images = data.X_train.reshape(-1, *data.image_shape)  # augmentations move pixels
    arrays = (images, data.y_train, data.X_val, data.y_val)
    start = time.process_time()
    net, _ = tune.train_net(arrays, data.class_names, DEFAULTS | row.settings, seed)
    return net, time.process_time() - start


def train_and_mirror(row, data, seed):
    """As train_net; then each hidden unit gets another one beside it, with its weights mirrored.

    The scores are the means of those of the image and of its mirror image.
    """
    net, seconds = train_net(row, data, seed)
    W1, b1, W2, b2 = net.params.values()
    mirrored = W1.reshape(*data.image_shape, -1)[:, ::-1].reshape(W1.shape)
    wide = TwoLayerNet(len(W1), 2 * W1.shape[1], 10, "zeros", dtype=np.float32)
    wide.params = {
        "W1": np.hstack([W1, mirrored]),
        "b1": np.hstack([b1, b1]),
        "W2": np.vstack([W2, W2]) / 2,
        "b2": b2,
    }
    return wide, seconds


def train_scikit_learn(row, data, seed):
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier(**row.settings, random_state=seed)
    start = time.process_time()
    net.fit(data.X_train, data.y_train)
    return net, time.process_time() - start


class Row(NamedTuple):
    elsewhere: str  # what the course printed, or others
    dataset: str
    validation: int  # how many of the training images are for validation
    normalize: object  # as in load_dataset
    fit: Callable  # returns an object with a method `predict`, and seconds
    settings: dict  # of the class and its method `train`, besides DEFAULTS


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
    "CIFAR-10 test: 48 % asked, 52 % best",
    "cifar10",
    validation=1000,
    normalize="standard",
    fit=train_and_mirror,
    hidden_size=3000,
    dropout=0.3,
    learning_rate=cosine(0.012),
    reg=1e-4,
    epochs=120,
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
    hidden_size=1024,
    dropout=0.5,
    learning_rate=cosine(0.1),
    reg=0,
    epochs=60,
    augment=drop_inputs,
)

add(
    "mnist-distorted",
    "MNIST test 99.3 % (Simard 2003)",
    "mnist",
    hidden_size=2048,
    learning_rate=cosine(0.1),
    reg=0,
    epochs=120,
    augment=distort_digits,
)

add(
    "keras-simple",
    "MNIST test 85 %, within 3 minutes",
    "mnist",
    hidden_size=32,
    std="xavier",
    criterion="mse",
    learning_rate=1,
    reg=0,
    epochs=5,
    batch_size=32,
    optimizer="sgd",
)

add(
    "keras-advanced",
    "MNIST test 95 %, within 3 minutes",
    "mnist",
    hidden_size=128,
    criterion="mse",
    activation="leaky_relu",
    learning_rate=0.001,
    reg=0,
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

# The course had 73,257 images to train on. These rows have 4,434, of which 434 are for validation,
# and a third of its test images.
add(
    "svhn-part",
    "SVHN test 75.7 %, with all images",
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

add(
    "svhn-part-sgd",
    "SVHN test 75.7 %, with all images",
    "svhn",
    validation=434,
    hidden_size=512,
    activation="leaky_relu",
    learning_rate=0.01,
    reg=0,
    epochs=40,
    optimizer="sgd",
)

add(
    "svhn-part-momentum",
    "SVHN, no figure printed",
    "svhn",
    validation=434,
    hidden_size=512,
    activation="leaky_relu",
    learning_rate=0.01,
    reg=0,
    epochs=40,
)

add(
    "fashion",
    "Fashion-MNIST test 88.3 % (Zalando: 256-128-100)",
    "fashion_mnist",
    hidden_size=1024,
    dropout=0.5,
    learning_rate=cosine(0.1),
    reg=0,
    epochs=60,
    augment=drop_inputs,
)

add(
    "fashion-moved",
    "Fashion-MNIST test 88.3 % (Zalando: 256-128-100)",
    "fashion_mnist",
    hidden_size=2048,
    dropout=0.2,
    learning_rate=cosine(0.1),
    reg=0,
    epochs=40,
    augment=move,
)

add(
    "fashion-scikit-learn",
    "Fashion-MNIST, MLPClassifier",
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
    test = np.mean(net.predict(data.X_test) == data.y_test)
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
    text += (
        "\nTest, validation and seconds are means of the seeds. Where a setting of the class does "
    )
    return f"{text}not say otherwise: {in_words(DEFAULTS)}.\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", default=ROWS, help=", ".join(ROWS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    options = parser.parse_args()
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
