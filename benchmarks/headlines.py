"""What the class reaches on the courses' data, beside the figures that the courses printed.

    python benchmarks/headlines.py                              # all rows, seed 0: an hour
    python benchmarks/headlines.py report keras-simple --seeds 0 1 2 3 4

rows.csv has the settings, chosen by validation rows (of those within what seeds differ, the
quickest): options of the class and of `train` by name, else momentum 0.9, He weights, batches of
100; "cosine" is the rate at the start of half a cosine (Loshchilov and Hutter 2017). One process
with one BLAS thread trains all; seconds are the processor's in `train`. Each net adds a line to
headlines.csv, the source of headlines.md.
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

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from train_step import machine

from data_utils import distort, drop_inputs, flip, load_dataset
from two_layer_net import TwoLayerNet

RESULTS = HERE / "headlines.csv"
with open(HERE / "rows.csv", newline="") as file:
    ROWS = {row["row"]: row for row in csv.DictReader(file)}
FIELDS = ("row", "seed", "val", "test", "seconds", "setting", "machine")
DIGITS = partial(distort, pixels=1.5, degrees=12, zoom=0.12, elastic=0.9)


def photos(X_batch, rng):
    return distort(flip(X_batch, rng), rng, pixels=2, degrees=5, zoom=0.05)


AUGMENT = {"cs231n-tuned": photos, "mnist-plain": drop_inputs, "mnist-distorted": DIGITS}
NAMES = {"xavier": "std", "mse": "criterion", "leaky_relu": "activation", "tanh": "activation"}
NAMES |= {"sgd": "optimizer", "adam": "optimizer"}
NET = ("hidden_size", "std", "dropout", "criterion", "activation")
TRAIN = ("learning_rate", "cosine", "reg", "num_iters", "epochs", "batch_size", "optimizer")


def run(row, seed):
    """Train and score one net; a line of RESULTS."""
    text, normalize = ROWS[row]["setting"], ROWS[row]["normalize"]
    options = {"std": "he", "batch_size": 100, "optimizer": "momentum"}
    for words in text.split(", "):
        option, _, value = words.replace(" ", "_").rpartition("_")
        if option in NET + TRAIN:
            options[option] = int(value) if value.isdigit() else float(value)
        elif words in NAMES:
            options[NAMES[words]] = words
    how = {"True": True, "False": False}.get(normalize, normalize)
    validation = int(ROWS[row]["validation"])
    data = load_dataset(ROWS[row]["dataset"], validation=validation, normalize=how)
    X, X_val, X_test = data.X_train, data.X_val, data.X_test
    if row == "cs231n-default":  # raw pixels less their mean
        X, X_val, X_test = (part - data.X_train.mean(axis=0) for part in (X, X_val, X_test))
    look = {name: options.pop(name) for name in NET if name in options}
    net = TwoLayerNet(X.shape[1], output_size=10, dtype=X.dtype, rng=seed, **look)
    if peak := options.pop("cosine", None):
        options["learning_rate"] = lambda t: peak * (1 + math.cos(math.pi * t)) / 2
    start, images = time.process_time(), X.reshape(-1, *data.image_shape)
    options["augment"] = AUGMENT.get(row)
    net.train(images, data.y_train, X_val, data.y_val, **options)
    seconds = time.process_time() - start
    scores = net.accuracy(X_val, data.y_val), net.accuracy(X_test, data.y_test)
    return [row, seed, *(f"{score:.4f}" for score in scores), f"{seconds:.2f}", text, machine()]


def table(lines):
    text = "| Row | Course's figure | Ours, seed 0 | All seeds | Seconds | Setting |\n"
    text += "| --- | --- | --- | --- | --- | --- |\n"
    for row, facts in ROWS.items():
        setting = facts["setting"]
        part = "val" if row == "cs231n-default" else "test"
        runs = {int(r["seed"]): r for r in lines if (r["row"], r["setting"]) == (row, setting)}
        figures = [100 * float(r[part]) for r in runs.values()]
        ours, spread, seconds = "not measured", "", ""
        if runs:
            seconds = f"{median(float(r['seconds']) for r in runs.values()):.4g}"
            spread = f"{min(figures):.2f} to {max(figures):.2f} % ({len(runs)})"
            spread = spread if len(runs) > 1 else "1 seed"
            if 0 in runs:
                ours = f"{part.replace('val', 'validation')} **{100 * float(runs[0][part]):.2f} %**"
        text += f"| {row} | {facts['course']} | {ours} | {spread} | {seconds} | {setting} |\n"
    return text


def main():
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("rows", nargs="*", default=[*ROWS], help=", ".join(ROWS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0], help="none: the table alone")
    parser.add_argument("--note", default="", help="a line above the table, of a copy of CIFAR-10")
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
    RESULTS.touch()
    output = HERE / "headlines.md"
    old = output.read_text().split("| Row")[0].strip() if output.exists() else ""
    note = o.note or old  # what was said of a dataset stays
    with open(RESULTS, newline="") as file:
        text = f"{note}\n\n" * bool(note) + table([*csv.DictReader(file, FIELDS)])
    output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
