"""Milliseconds of a training step: this class, PyTorch, scikit-learn, JAX.

    python -m pip install -r requirements-bench.txt
    python benchmarks/train_step.py [ROUNDS]          # 6; a quarter of an hour of an idle machine

A step is the same for all: a batch of 30,000 rows, newly shuffled each epoch, a hidden layer with
ReLU, softmax cross-entropy over 10 classes, L2 penalty, plain SGD, the loss kept; float32, one
thread. "jax" calls a jitted step again and again, "jax scan" a jitted epoch. What their compiling
takes is not part of the step and has columns of its own. "products" is two of a step's matrix
products alone, the large ones: X_batch @ W1 and X_batch.T @ dZ.

Each time is taken in a process of its own, the best of three stretches of half a second; the first
epoch does not count. The processes take turns, and the median of the rounds goes to train_step.md.
Where a step of this class takes more than 1.15 of the products, a sentence below the table says
how long its other parts take, each timed alone; "all else" is what they leave.
"""

import re
import sys
import time
import timeit
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from contenders import CLASSES, CONTENDERS, Task
from machine import in_new_process, machine, use_cores

SHAPES = (
    "784-100-10, batch 100",
    "784-512-10, batch 200",
    "3072-50-10, batch 200",
    "3072-512-10, batch 200",
)
PEERS = ("pytorch", "scikit-learn", "jax", "jax scan")
ROWS = 30_000
RATE = 0.002
IMPORTS = "from contenders import REG; from two_layer_net import cross_entropy, sgd"
PARTS = {  # of a step of this class: what timeit runs
    "products": "X_batch @ W1; X_batch.T @ dZ",
    "drawing and gathering the batch": "rows = rng.integers(ROWS, size=N); X[rows]; y[rows]",
    "the small products": "A @ W2; A.T @ dS; dS @ W2.T",
    "softmax and loss": "cross_entropy(S, y[:N])",
    "penalty and update": "np.vdot(W1, W1); sgd(W1, dW1 + 2 * REG * W1, {}, RATE)",
}


def time_parts(X, y, H, N):
    """Milliseconds of each of the PARTS, with random numbers in all arrays."""
    rng = np.random.default_rng(0)
    X_batch = X[:N]
    W1, dW1 = rng.random((2, X.shape[1], H), np.float32)
    W2 = rng.random((H, CLASSES), np.float32)
    A, dZ = rng.random((2, N, H), np.float32)
    S, dS = rng.random((2, N, CLASSES), np.float32)
    variables = globals() | locals()  # for the statements
    found = {}
    for part, statements in PARTS.items():
        timer = timeit.Timer(statements, IMPORTS, globals=variables)
        calls, _ = timer.autorange()  # so many take 0.2 to 0.5 seconds
        found[part] = 1000 * min(timer.repeat(3, calls)) / calls
    return found


def time_contender(name, X, y, H, N):
    """Milliseconds of a step and, of JAX, of compiling."""
    times = []

    def ended(predict):
        times.append(time.perf_counter())
        return len(times) > 4 and times[-1] - times[1] > 1.5

    CONTENDERS[name](Task(X, y, H, N, "sgd", RATE, 1.0, 0, ended))
    epochs = (len(times) - 2) // 3  # in each of three stretches, which begin with times[1]
    stretches = np.diff(times[1::epochs]).tolist()
    found = {name: 1000 * min(stretches) / (epochs * ROWS / N)}
    if name.startswith("jax"):
        # It compiles in the first epoch, which takes longer than the second by this.
        first, second = np.diff(times[:3]).tolist()
        found[f"{name} compiles"] = 1000 * (first - second)
    return found


def measure(name, shape):
    """A dict of milliseconds by what took them."""
    D, H, _, N = map(int, re.findall(r"\d+", shape))
    rng = np.random.default_rng(0)
    X = rng.random((ROWS, D), np.float32) - np.float32(0.5)
    y = rng.integers(CLASSES, size=ROWS)
    warnings.simplefilter("ignore")  # labels drawn at random cannot be learned
    if name == "parts":
        return time_parts(X, y, H, N)
    try:
        return time_contender(name, X, y, H, N)
    except ImportError:
        return {name: np.nan}


def report(ms):
    """The table, and the sentences below it, of ms, a frame with a row for each shape."""
    table = ms.drop(columns=list(PARTS)[1:])
    for name in ("products", *PEERS):
        table[f"{name} / ours"] = ms[name] / ms["ours"]
    table.loc["geometric mean"] = np.exp(np.log(table).mean())
    cells = table.map("{:.3f}".format).replace("nan", "not installed")
    text = cells.to_markdown(disable_numparse=True)
    for shape, found in ms.iterrows():
        if found["ours"] > 1.15 * found["products"]:
            parts = ", ".join(f"{part} {found[part]:.3f}" for part in PARTS)
            rest = found["ours"] - found[list(PARTS)].sum()
            text += f"\n\n{shape}, in milliseconds: {parts}, all else {rest:.3f}."
    return text


def main(rounds):
    use_cores(1)
    found = []
    for _ in range(rounds):
        for shape in SHAPES:
            row = {"milliseconds": shape}
            for name in ("parts", "ours", *PEERS):
                row |= in_new_process(measure, name, shape)
            print(row, flush=True)
            found.append(row)
    ms = pd.DataFrame(found).groupby("milliseconds", sort=False).median()
    text = f"# Time of a training step\n\n{report(ms)}\n\n"
    text += f"Median of {rounds} rounds; {machine('torch', 'scikit-learn', 'jax')}.\n"
    Path(__file__).with_name("train_step.md").write_text(text)
    print(text)


if __name__ == "__main__":
    rounds = 6
    if len(sys.argv) == 2:
        rounds = int(sys.argv[1])
    main(rounds)
