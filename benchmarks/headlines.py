"""What the class reaches on the courses' data, beside the figures that the courses printed.

    python benchmarks/headlines.py                              # all rows, seed 0: an hour
    python benchmarks/headlines.py report keras-simple --seeds 0 1 2 3 4
    python benchmarks/headlines.py --seeds                      # only writes the table anew

ROWS below has what is trained and how. Settings were chosen by their accuracy on validation rows;
of settings that differ by no more than seeds do, the quickest was taken. Measured are each net's
accuracy on the validation rows and on the test rows, and the seconds that the processor spends in
`train`, with one BLAS thread. Each net adds a line to headlines.csv. The table, headlines.md, shows
the lines whose setting is the row's present one; of several with the same seed, the last.
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
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from machine import machine

from data_utils import distort, drop_inputs, flip, load_dataset
from two_layer_net import TwoLayerNet

# Its lines are row, seed, validation accuracy, test accuracy, seconds, setting, machine.
RESULTS = HERE / "headlines.csv"

# How nets are trained where their row does not say otherwise; momentum is 0.9, the default. A row's
# setting does not name these: lines of RESULTS from before a change here have to be deleted.
NET = {"std": "he"}
TRAIN = {"batch_size": 100, "optimizer": "momentum"}


# ---- What the rows use. An update rule, a callback or an augmentation of one's own is a function,
# written here and given in a row's dict `train`. What a callback has to remember it can keep on the
# net, which is new for each seed. The table shows functions by name, so give a new name to one that
# you change: else the lines of nets that were trained with the old one still count.


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


def train_net(row, data, seed):
    """A net, trained as the row says, and the processor's seconds in `train`."""
    net_options = NET | row.net  # the row decides what both name
    train_options = TRAIN | row.train
    D = data.X_train.shape[1]
    net = TwoLayerNet(D, output_size=10, dtype=np.float32, rng=seed, **net_options)
    images = data.X_train.reshape(-1, *data.image_shape)  # for augmentations
    start = time.process_time()
    net.train(images, data.y_train, data.X_val, data.y_val, **train_options)
    return net, time.process_time() - start


class Row(NamedTuple):
    course: str  # what the course printed
    dataset: str
    net: dict  # options of the class, besides NET
    train: dict  # arguments of its method `train`, besides TRAIN
    validation: int = 5000  # how many of the training images are for validation
    normalize: object = True  # as in load_dataset
    # For another library a function like train_net; its net needs a method `predict`.
    fit: object = train_net


ROWS = {}

ROWS["cs231n-default"] = Row(
    "CIFAR-10 validation 28.7 to 29 %",
    "cifar10",
    net={"hidden_size": 50, "std": 1e-4},
    train={
        "learning_rate": 1e-4,
        "reg": 0.25,
        "num_iters": 1000,
        "batch_size": 200,
        "optimizer": "sgd",
    },
    validation=1000,
    normalize="mean",
)

ROWS["cs231n-tuned"] = Row(
    "CIFAR-10 test: 48 % asked, 52 % best",
    "cifar10",
    net={"hidden_size": 2000, "dropout": 0.4},
    train={
        "learning_rate": cosine(0.012),
        "reg": 1e-4,
        "epochs": 90,
        "augment": flip_and_distort,
    },
    validation=1000,
    normalize="standard",
)

ROWS["report"] = Row(
    "MNIST test 97.7 %",
    "mnist",
    net={"hidden_size": 100, "dropout": 0.1},
    train={"learning_rate": cosine(0.1), "reg": 3e-5, "epochs": 20},
    validation=1000,
)

ROWS["report-fast"] = Row(
    "MNIST test 97.7 %",
    "mnist",
    net={"hidden_size": 100},
    train={"learning_rate": cosine(0.15), "reg": 1e-5, "epochs": 5},
    validation=1000,
)

ROWS["mnist-plain"] = Row(
    "MNIST test 98.4 % (Simard 2003)",
    "mnist",
    net={"hidden_size": 1024, "dropout": 0.5},
    train={"learning_rate": cosine(0.1), "reg": 0, "epochs": 60, "augment": drop_inputs},
)

ROWS["mnist-distorted"] = Row(
    "MNIST test 99.3 % (Simard 2003)",
    "mnist",
    net={"hidden_size": 2048},
    train={"learning_rate": cosine(0.1), "reg": 0, "epochs": 120, "augment": distort_digits},
)

ROWS["keras-simple"] = Row(
    "MNIST test 85 %, within 3 minutes",
    "mnist",
    net={"hidden_size": 32, "std": "xavier", "criterion": "mse"},
    train={
        "learning_rate": 1,
        "reg": 0,
        "epochs": 5,
        "batch_size": 32,
        "optimizer": "sgd",
    },
)

ROWS["keras-advanced"] = Row(
    "MNIST test 95 %, within 3 minutes",
    "mnist",
    net={"hidden_size": 128, "criterion": "mse", "activation": "leaky_relu"},
    train={
        "learning_rate": 0.001,
        "reg": 0,
        "epochs": 10,
        "batch_size": 64,
        "optimizer": "adam",
    },
)

ROWS["momentum"] = Row(
    "MNIST, no figure printed",
    "mnist",
    net={"hidden_size": 200, "std": 0.1, "activation": "tanh", "dropout": 0.1},
    train={"learning_rate": cosine(0.1), "reg": 3e-5, "epochs": 20},
)

ROWS["svhn"] = Row(
    "SVHN validation 77.1 %, test 75.7 %",
    "svhn",
    net={"hidden_size": 512, "activation": "leaky_relu", "dropout": 0.5},
    train={"learning_rate": 0.01, "reg": 0, "epochs": 30},
    validation=3257,
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


def setting(row):
    """All that a row says of its nets, in words."""
    data = f"{row.dataset}, {row.validation} for validation, normalize {row.normalize}"
    return f"{data}, {in_words(row.net)}, {in_words(row.train)}"


def run(name, seed):
    """Train and score one net; returns a line of RESULTS."""
    row = ROWS[name]
    data = load_dataset(row.dataset, validation=row.validation, normalize=row.normalize)
    net, seconds = row.fit(row, data, seed)
    validation = np.mean(net.predict(data.X_val) == data.y_val)
    test = np.mean(net.predict(data.X_test) == data.y_test)
    figures = [f"{validation:.4f}", f"{test:.4f}", f"{seconds:.2f}"]
    return [name, seed, *figures, setting(row), machine()]


def table():
    nets = {name: {} for name in ROWS}  # nets[name][seed] is a text about that net
    with RESULTS.open(newline="") as file:
        for name, seed, validation, test, seconds, words, _ in csv.reader(file):
            if name in ROWS and words == setting(ROWS[name]):
                accuracies = f"validation {float(validation):.2%}, test {float(test):.2%}"
                nets[name][seed] = f"seed {seed}: {accuracies}, {seconds} s"
    text = "| Row | Course's figure | Ours | Setting |\n| --- | --- | --- | --- |\n"
    for name, row in ROWS.items():
        ours = "<br>".join(nets[name].values())
        text += f"| {name} | {row.course} | {ours} | {setting(row)} |\n"
    return f"{text}\nWhere a setting does not say otherwise: {in_words(NET | TRAIN)}.\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", default=ROWS, help=", ".join(ROWS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    options = parser.parse_args()
    for seed in options.seeds:
        for name in options.rows:
            try:
                line = run(name, seed)
            except FileNotFoundError as error:
                print(f"{name} is skipped: {error}")
                continue
            print(*line, sep=", ", flush=True)
            with RESULTS.open("a", newline="") as file:
                csv.writer(file).writerow(line)
    text = table()
    (HERE / "headlines.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
