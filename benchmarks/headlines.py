"""What the class reaches on the courses' data, beside the figures that the courses printed.

    python benchmarks/headlines.py                              # all rows, seed 0: two hours
    python benchmarks/headlines.py report keras-simple --seeds 0 1 2 3 4

Every setting was chosen by validation rows; the test images are scored once a run. A run is one
process with one BLAS thread, and its seconds are those of the processor in `train`. Each run adds
a line to headlines.csv beside this file (remove lines to run them again); headlines.md is made
from all lines whose dataset and setting are those of the table below.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before numpy's import

import argparse
import csv
import math
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from data_utils import distort, drop_inputs, flip, load_dataset  # noqa: E402
from train_step import machine  # noqa: E402
from two_layer_net import TwoLayerNet  # noqa: E402

RESULTS = HERE / "headlines.csv"
FIELDS = ("row", "seed", "val", "test", "seconds", "setting", "machine")
DIGITS = partial(distort, pixels=1.5, degrees=12, zoom=0.12, elastic=0.9)


def photos(X_batch, rng):
    """Flips, and shifts by up to 2 pixels, 5 degrees, zoom by 5 %."""
    return distort(flip(X_batch, rng), rng, pixels=2, degrees=5, zoom=0.05)


# A row: the course's figure, what `train` is given (cosine: the rate at the start of half a
# cosine, Loshchilov and Hutter 2017), what the net is given, how the data are loaded, the words
# for what the options do not say
ROWS = {
    "cs231n-default": (
        "CIFAR-10 validation 28.7 to 29 %",
        {"learning_rate": 1e-4, "reg": 0.25, "num_iters": 1000, "optimizer": "sgd"},
        {"hidden_size": 50, "std": 1e-4},
        {"name": "cifar10", "validation": 1000, "normalize": False},
        "mean image subtracted",
    ),
    "cs231n-tuned": (
        "CIFAR-10 test: 48 % asked, 52 % best",
        {"cosine": 0.004, "reg": 1e-4, "epochs": 90, "augment": photos},
        {"hidden_size": 2000, "dropout": 0.4},
        {"name": "cifar10", "validation": 1000, "normalize": "standard"},
        "flips, shifts of 2, 5 degrees, zoom 0.05",
    ),
    "report": (
        "MNIST test 97.7 %",
        {"cosine": 0.1, "reg": 3e-5, "epochs": 20},
        {"hidden_size": 100, "dropout": 0.1},
        {"name": "mnist", "validation": 1000},
        "784-100-10",
    ),
    "report-fast": (
        "MNIST test 97.7 %",
        {"cosine": 0.15, "reg": 1e-5, "epochs": 5},
        {"hidden_size": 100},
        {"name": "mnist", "validation": 1000},
        "784-100-10",
    ),
    "mnist-plain": (
        "MNIST test 98.4 % (Simard 2003)",
        {"cosine": 0.15, "reg": 0, "epochs": 50, "batch_size": 200, "augment": drop_inputs},
        {"hidden_size": 2048, "dropout": 0.5},
        {"name": "mnist", "validation": 5000},
        "dropout of inputs 0.2",
    ),
    "mnist-distorted": (
        "MNIST test 99.3 % (Simard 2003)",
        {"cosine": 0.1, "reg": 0, "epochs": 120, "augment": DIGITS},
        {"hidden_size": 2048},
        {"name": "mnist", "validation": 5000},
        "shifts of 1.5, 12 degrees, zoom 0.12, elastic 0.9",
    ),
    "keras-simple": (
        "MNIST test 85 %, within 3 minutes",
        {"learning_rate": 1, "reg": 0, "epochs": 5, "batch_size": 32, "optimizer": "sgd"},
        {"hidden_size": 32, "std": "xavier", "criterion": "mse"},
        {"name": "mnist", "validation": 5000},
        "",
    ),
    "keras-advanced": (
        "MNIST test 95 %, within 3 minutes",
        {"learning_rate": 1e-3, "reg": 0, "epochs": 10, "batch_size": 64, "optimizer": "adam"},
        {"hidden_size": 128, "criterion": "mse", "activation": "leaky_relu"},
        {"name": "mnist", "validation": 5000},
        "",
    ),
    "momentum": (
        "MNIST, no figure printed",
        {"cosine": 0.1, "reg": 3e-5, "epochs": 20},
        {"hidden_size": 200, "std": 0.1, "activation": "tanh", "dropout": 0.1},
        {"name": "mnist", "validation": 5000},
        "",
    ),
    "svhn": (
        "SVHN validation 77.1 %, test 75.7 %",
        {"learning_rate": 1e-2, "reg": 0, "epochs": 30},
        {"hidden_size": 512, "activation": "leaky_relu", "dropout": 0.5},
        {"name": "svhn", "validation": 3257},
        "",
    ),
}


def setting(row):
    """The options of a row in words; what is not said is momentum 0.9, He weights, batches of 100."""
    _, train, net, _, words = ROWS[row]
    options = {**net, **train}
    options.pop("augment", None)
    found = [f"{name.replace('_', ' ')} {value:g}" if isinstance(value, (int, float)) else value
             for name, value in options.items()]  # fmt: skip
    return ", ".join(filter(None, [*found, words]))


def run(row, seed):
    """Train and score one net; a line of RESULTS."""
    _, options, net, load, _ = ROWS[row]
    data, options = load_dataset(**load), {"batch_size": 100, "optimizer": "momentum", **options}
    X, X_val, X_test = data.X_train, data.X_val, data.X_test
    if row == "cs231n-default":  # raw pixels less their mean, and the course's batches
        mean, options["batch_size"] = X.mean(axis=0), 200
        X, X_val, X_test = X - mean, X_val - mean, X_test - mean
    if peak := options.pop("cosine", None):
        options["learning_rate"] = lambda t: peak * (1 + math.cos(math.pi * t)) / 2
    net = TwoLayerNet(X.shape[1], output_size=10, dtype=X.dtype, rng=seed, **{"std": "he", **net})
    start, images = time.process_time(), X.reshape(-1, *data.image_shape)
    net.train(images, data.y_train, X_val, data.y_val, **options)
    seconds = time.process_time() - start
    scores = net.accuracy(X_val, data.y_val), net.accuracy(X_test, data.y_test)
    return [
        row,
        seed,
        *(f"{score:.4f}" for score in scores),
        f"{seconds:.2f}",
        setting(row),
        machine(),
    ]


def table(lines):
    text = "| Row | Course's figure | Ours, seed 0 | All seeds | Seconds | Setting |\n"
    text += "| --- | --- | --- | --- | --- | --- |\n"
    for row, (course, *_) in ROWS.items():
        part = "val" if row == "cs231n-default" else "test"
        runs = {int(r["seed"]): r for r in lines if (r["row"], r["setting"]) == (row, setting(row))}
        figures = [100 * float(r[part]) for r in runs.values()]
        ours, spread, seconds = "not measured", "", ""
        if runs:
            seconds = f"{median(float(r['seconds']) for r in runs.values()):.3g}"
            spread = f"{min(figures):.2f} to {max(figures):.2f} % ({len(runs)})"
            spread = spread if len(runs) > 1 else "1 seed"
            if 0 in runs:
                ours = f"{part.replace('val', 'validation')} **{100 * float(runs[0][part]):.2f} %**"
        text += f"| {row} | {course} | {ours} | {spread} | {seconds} | {setting(row)} |\n"
    return text


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", default=[*ROWS], help=", ".join(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    o = parser.parse_args()
    for seed in o.seeds:
        for row in o.rows:
            try:
                line = run(row, seed)
            except FileNotFoundError as error:
                print(f"{row}: {error}")
                continue
            with open(RESULTS, "a", newline="") as file:
                csv.writer(file).writerow(line)
            print(*line, sep=", ", flush=True)
    with open(RESULTS, newline="") as file:
        text = table([*csv.DictReader(file, FIELDS)])
    (HERE / "headlines.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
