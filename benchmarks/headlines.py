"""The courses' headline figures, and what this class reaches on the same data.

    python benchmarks/headlines.py                      # all rows, 5 seeds each: about an hour on two cores
    python benchmarks/headlines.py --only report --seeds 1

Each run is one process with one BLAS thread. Every setting was chosen on validation rows; the test images are
scored once a run. What is measured is kept in runs/headlines.csv and not measured again (delete the file for
that); the table goes to benchmarks/headlines.md. Rows whose dataset is not there are skipped and say so.
"""

import argparse
import csv
import math
import sys
import time
from concurrent.futures import as_completed
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from data_utils import distort, drop_inputs, flip, load_dataset  # noqa: E402
from tune import WorkerPool  # noqa: E402
from two_layer_net import TwoLayerNet  # noqa: E402

RESULTS = HERE.parent / "runs" / "headlines.csv"


def cosine(rate):
    """From rate to 0 along half a cosine (Loshchilov and Hutter 2017, without restarts)."""
    return lambda progress: rate * (1 + math.cos(math.pi * progress)) / 2


def bend(X_batch, rng):
    return distort(X_batch, rng, pixels=1.5, degrees=10, zoom=0.1, elastic=0.8)


# dataset, how it is loaded, the net, its training, the accuracy that counts, the course's figure, the target
ROWS = {
    "cs231n default": {
        "course": "CIFAR-10 validation 28.7 to 29 %",
        "setting": "the course's: 50 hidden, 1000 steps of 200, rate 1e-4, decay 0.95, reg 0.25",
        "data": {"name": "cifar10", "validation": 1000, "normalize": True},
        "pixels": 255,
        "net": {"hidden_size": 50, "std": 1e-4},
        "train": {
            "learning_rate": 1e-4,
            "reg": 0.25,
            "num_iters": 1000,
            "batch_size": 200,
            "optimizer": "sgd",
        },
        "measure": "val",
    },
    "cs231n tuned": {
        "course": "CIFAR-10 test: 48 % asked, 52 % best",
        "setting": "500 hidden, dropout 0.3, flips, momentum, cosine from 0.05, reg 2e-4, 60 epochs of 100",
        "data": {"name": "cifar10", "validation": 1000},
        "net": {"hidden_size": 500, "std": "he", "dropout": 0.3},
        "train": {
            "learning_rate": cosine(0.05),
            "reg": 2e-4,
            "epochs": 60,
            "batch_size": 100,
            "augment": flip,
        },
    },
    "report": {
        "course": "MNIST test 97.7 %",
        "setting": "784-100-10, momentum, cosine from 0.1, reg 3e-5, dropout 0.1, 20 epochs of 100",
        "data": {"name": "mnist", "validation": 1000},
        "net": {"hidden_size": 100, "std": "he", "dropout": 0.1},
        "train": {"learning_rate": cosine(0.1), "reg": 3e-5, "epochs": 20, "batch_size": 100},
    },
    "report, fast": {
        "course": "MNIST test 97.7 %",
        "setting": "784-100-10, momentum, cosine from 0.15, reg 1e-5, 5 epochs of 100",
        "data": {"name": "mnist", "validation": 1000},
        "net": {"hidden_size": 100, "std": "he"},
        "train": {"learning_rate": cosine(0.15), "reg": 1e-5, "epochs": 5, "batch_size": 100},
    },
    "MNIST as it is": {
        "course": "MNIST test 98.4 % (Simard 2003)",
        "setting": "2048 hidden, dropout 0.5, of inputs 0.2, momentum, cosine from 0.15, 50 epochs of 200",
        "data": {"name": "mnist", "validation": 5000, "normalize": True},
        "net": {"hidden_size": 1024, "std": "he", "dropout": 0.5},
        "train": {
            "learning_rate": cosine(0.1),
            "reg": 0,
            "epochs": 60,
            "batch_size": 100,
            "augment": drop_inputs,
        },
    },
    "MNIST, distorted": {
        "course": "MNIST test 99.3 % (Simard 2003)",
        "setting": "1024 hidden, `distort`, momentum, cosine from 0.1, 60 epochs of 100",
        "data": {"name": "mnist", "validation": 5000, "normalize": True},
        "net": {"hidden_size": 1024, "std": "he"},
        "train": {
            "learning_rate": cosine(0.1),
            "reg": 0,
            "epochs": 60,
            "batch_size": 100,
            "augment": bend,
        },
    },
    "Keras mimic, simple": {
        "course": "MNIST test 85 %, within 3 minutes",
        "setting": "MSE, 32 hidden, plain SGD, rate 1, 5 epochs of 32",
        "data": {"name": "mnist", "validation": 5000},
        "net": {"hidden_size": 32, "std": "xavier", "criterion": "mse"},
        "train": {
            "learning_rate": 1.0,
            "reg": 0,
            "epochs": 5,
            "batch_size": 32,
            "optimizer": "sgd",
        },
    },
    "Keras mimic, advanced": {
        "course": "MNIST test 95 %, within 3 minutes",
        "setting": "MSE, 128 hidden, leaky ReLU, He weights, Adam, rate 1e-3, 10 epochs of 64",
        "data": {"name": "mnist", "validation": 5000},
        "net": {"hidden_size": 128, "std": "he", "criterion": "mse", "activation": "leaky_relu"},
        "train": {
            "learning_rate": 1e-3,
            "reg": 0,
            "epochs": 10,
            "batch_size": 64,
            "optimizer": "adam",
        },
    },
    "momentum homework": {
        "course": "MNIST, no figure printed",
        "setting": "tanh, 200 hidden, std 0.1, dropout 0.1, momentum, cosine from 0.1, reg 3e-5, 20 epochs",
        "data": {"name": "mnist", "validation": 5000},
        "net": {"hidden_size": 200, "std": 0.1, "activation": "tanh", "dropout": 0.1},
        "train": {"learning_rate": cosine(0.1), "reg": 3e-5, "epochs": 20, "batch_size": 100},
    },
    "SVHN homework": {
        "course": "SVHN validation 77.1 %, test 75.7 %",
        "setting": "the course's: 3072-512-10, leaky ReLU, dropout 0.5, momentum, 1e-2, 30 epochs of 100",
        "data": {"name": "svhn", "validation": 3257},
        "net": {"hidden_size": 512, "std": "he", "activation": "leaky_relu", "dropout": 0.5},
        "train": {"learning_rate": 1e-2, "reg": 0, "epochs": 30, "batch_size": 100},
    },
}


def run(name, seed):
    """Train and score one row's net; a dict of strings for RESULTS."""
    row = ROWS[name]
    data = load_dataset(**row["data"])
    scale = np.float32(row.get("pixels", 1))
    X_train, X_val, X_test = (
        X * scale if scale != 1 else X for X in (data.X_train, data.X_val, data.X_test)
    )
    net = TwoLayerNet(X_train.shape[1], output_size=10, dtype=np.float32, rng=seed, **row["net"])
    images = X_train.reshape(-1, *data.image_shape)  # the augmentations need the shape
    start = time.perf_counter()
    net.train(images, data.y_train, X_val, data.y_val, **{"optimizer": "momentum", **row["train"]})
    seconds = time.perf_counter() - start
    val, test = (
        np.mean(net.predict(X) == y) for X, y in ((X_val, data.y_val), (X_test, data.y_test))
    )
    return {
        "row": name,
        "seed": seed,
        "val": f"{val:.4f}",
        "test": f"{test:.4f}",
        "seconds": f"{seconds:.2f}",
    }


def read_results():
    if not RESULTS.exists():
        return []
    with open(RESULTS, newline="") as file:
        return list(csv.DictReader(file))


def table(results, skipped, note):
    """The note and the Markdown table: a line a row, the first seed's figure and the range of all seeds."""
    lines = [
        *([note, ""] if note else []),
        "| Row | Course's figure | Ours (seed 0) | All seeds | Training, seconds | Setting |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in ROWS.items():
        runs = sorted((r for r in results if r["row"] == name), key=lambda r: int(r["seed"]))
        if not runs:
            why = skipped.get(name, "not run")
            lines.append(
                f"| {name} | {row['course']} | not measured: {why} | | | {row['setting']} |"
            )
            continue
        part = row.get("measure", "test")
        figures = [100 * float(r[part]) for r in runs]
        seconds = float(np.median([float(r["seconds"]) for r in runs]))
        spread = f"{min(figures):.2f} to {max(figures):.2f} % ({len(runs)})"
        ours = f"{'validation' if part == 'val' else 'test'} **{figures[0]:.2f} %**"
        lines.append(
            f"| {name} | {row['course']} | {ours} | {spread} | {seconds:.3g} | {row['setting']} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], epilog="Rows: " + "; ".join(ROWS)
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=list(ROWS),
        metavar="ROW",
        choices=list(ROWS),
        help="these rows",
    )
    parser.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="runs of each row (default: 5)"
    )
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="runs at a time (default: 2)"
    )
    parser.add_argument(
        "--copy",
        default="",
        metavar="WORDS",
        help='said of the CIFAR-10 at hand, as in "JPEG copy"',
    )
    parser.add_argument(
        "--note", default="", help="a line above the table, such as what copy of a dataset it is"
    )
    options = parser.parse_args(arguments)

    skipped, results = {}, read_results()
    done = {(r["row"], int(r["seed"])) for r in results}
    with WorkerPool(options.workers) as pool:
        futures = {}
        for seed in range(options.seeds):
            for name in options.only:
                if (name, seed) not in done:
                    futures[pool.submit(run, name, seed)] = name
        for future in as_completed(futures):
            try:
                results.append(future.result())
            except (FileNotFoundError, ImportError) as error:
                skipped[futures[future]] = "its files are not here (`python data_utils.py`)"
                print(f"skipped {futures[future]}: {error}", flush=True)
                continue
            print(", ".join(f"{key} {value}" for key, value in results[-1].items()), flush=True)
            RESULTS.parent.mkdir(exist_ok=True)
            with open(RESULTS, "w", newline="") as file:
                writer = csv.DictWriter(file, ["row", "seed", "val", "test", "seconds"])
                writer.writeheader()
                writer.writerows(results)
    text = table(results, skipped, options.note)
    (HERE / "headlines.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
