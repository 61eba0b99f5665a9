"""Milliseconds of a training step: this class, PyTorch, scikit-learn, JAX.

    python -m pip install -r requirements-bench.txt
    python benchmarks/train_step.py  # seven minutes of an idle machine

A step is the same for all: a batch out of 30,000 rows, newly shuffled each epoch, a hidden layer
with ReLU, softmax cross-entropy over 10 classes, L2 penalty, momentum, the loss kept; float32, one
thread. JAX runs an epoch in one call; what compiling it takes is not part of the step and has a
column of its own. "products" is two of a step's matrix products alone, the large ones:
X_batch @ W1 and X_batch.T @ dZ.

Each contender is timed in a process of its own, the best of three or more stretches of about half
a second; the first epoch does not count. The processes take turns, and the median of the rounds
goes to train_step.md. Sentences below the table say how long the parts of a step of this class
take, each timed alone; "all else" is what they leave.
"""

import re
import time
import timeit
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from contenders import CLASSES, CONTENDERS
from machine import in_new_process, machine, use_cores

SHAPES = (
    "784-100-10, batch 100",
    "784-512-10, batch 200",
    "3072-50-10, batch 200",
    "3072-512-10, batch 200",
)
PEERS = ("pytorch", "scikit-learn", "jax")
ROWS = 30_000
ROUNDS = 3
RATE = 0.002
IMPORTS = "from contenders import REG; from two_layer_net import cross_entropy, momentum"
PARTS = {  # of a step of this class: what timeit runs
    "products": "X_batch @ W1; X_batch.T @ dZ",
    "gathering the batch": "X[rows]; y[rows]",
    "the small products": "A @ W2; A.T @ dS; dS @ W2.T",
    "softmax and loss": "cross_entropy(S, y[:N])",
    "penalty and update": "np.vdot(W1, W1); momentum(W1, dW1 + 2 * REG * W1, state, RATE)",
}


def time_parts(X, y, H, N):
    """Milliseconds of each of the PARTS, with random numbers in all arrays."""
    rng = np.random.default_rng(0)
    X_batch = X[:N]
    rows = rng.integers(ROWS, size=N)
    # Made of larger arrays of float64, as in a training: once those have been freed, C's allocator
    # keeps memory of this size for the next arrays, and need not ask the system for it each time.
    W1, dW1 = rng.random((2, X.shape[1], H)).astype(np.float32)
    W2 = rng.random((H, CLASSES), np.float32)
    state = {"v": np.zeros_like(W1)}
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

    CONTENDERS[name](X, y, H, N, RATE, 1.0, 0, ended)
    # The stretches have so many epochs each, and begin after the first epoch, with times[1].
    epochs = (len(times) - 2) // 3
    stretches = np.diff(times[1::epochs]).tolist()
    found = {name: 1000 * min(stretches) / (epochs * ROWS / N)}
    if name == "jax":
        # It compiles in the first epoch, between times[0] and times[1].
        first, second = np.diff(times[:3]).tolist()
        found["jax compiles"] = 1000 * (first - second)
    return found


def measure(name, shape):
    """A dict of milliseconds by what took them."""
    D, H, _, N = map(int, re.findall(r"\d+", shape))
    rng = np.random.default_rng(0)
    X = rng.random((ROWS, D), np.float32) - 0.5
    y = rng.integers(CLASSES, size=ROWS)
    warnings.simplefilter("ignore")  # of ours, that random labels cannot be learned
    if name == "parts":
        return time_parts(X, y, H, N)
    return time_contender(name, X, y, H, N)


def report(ms):
    """The table, and the sentences below it, of ms, a frame with a row for each shape."""
    table = ms[["products", "ours", *PEERS, "jax compiles"]]
    for name in ("products", *PEERS):
        table[f"{name} / ours"] = ms[name] / ms["ours"]
    table.loc["geometric mean"] = np.exp(np.log(table).mean())
    text = table.to_markdown(floatfmt=".3f", numalign="left")
    for shape, found in ms.iterrows():
        text += f"\n\n{shape}, in milliseconds: "
        for part in PARTS:
            text += f"{part} {found[part]:.3f}, "
        rest = found["ours"] - found[list(PARTS)].sum()
        text += f"all else {rest:.3f}."
    return text


def main():
    use_cores(1)
    found = []
    for _ in range(ROUNDS):
        for shape in SHAPES:
            row = {"milliseconds": shape}
            for name in ("parts", "ours", "pytorch", "scikit-learn", "jax"):
                row |= in_new_process(measure, name, shape)
            print(row)
            found.append(row)
    ms = pd.DataFrame(found).groupby("milliseconds", sort=False).median()
    text = f"# Time of a training step\n\n{report(ms)}\n\n"
    text += f"Median of {ROUNDS} rounds; {machine('torch', 'scikit-learn', 'jax')}.\n"
    Path(__file__).with_name("train_step.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
