"""Milliseconds of a training step: this class, PyTorch, scikit-learn.

    python -m pip install -r requirements-bench.txt
    python benchmarks/train_step.py [ROUNDS]          # 6; ten minutes of an idle machine

A step is the same for all: a batch of 30,000 rows, newly shuffled each epoch, a hidden layer with
ReLU, softmax cross-entropy over 10 classes, L2 penalty, plain SGD, the loss recorded; float32, one
BLAS thread. "products" is a step's five matrix products alone; "floor" adds what no program can
leave out, gathering the batch and one reading and writing of the parameters. Each time is taken in
a process of its own, the best of three stretches of half a second; the processes take turns, and
what counts is the median of the rounds. Writes train_step.md.
"""

import math
import os
import platform
import re
import subprocess
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from two_layer_net import TwoLayerNet

SHAPES = ("784,100,100", "784,512,200", "3072,50,200", "3072,512,200")  # inputs, hidden, batch
CLASSES, ROWS, RATE, REG = 10, 30_000, 1e-3, 1e-4


class Clock:
    """Called before or after each epoch; True once it has timed three stretches."""

    def __init__(self, steps):
        self.steps, self.epochs, self.found = steps, -1, []

    def __call__(self, *_):
        now, self.epochs = time.perf_counter(), self.epochs + 1
        if self.epochs > 0 and now - self.start >= 0.5:
            self.found.append((now - self.start) / (self.epochs * self.steps))
            self.epochs = 0
        if self.epochs == 0:
            self.start = now
        return len(self.found) == 3


def batches(X, batch, clock):
    rng = np.random.default_rng(0)
    while not clock():
        order = rng.permutation(len(X))
        yield from (order[i : i + batch] for i in range(0, len(X), batch))


def products(X, y, H, batch, clock, gather=False):
    rng, D = np.random.default_rng(0), X.shape[1]
    shapes = (batch, D), (D, H), (H, CLASSES), *[(batch, H)] * 3, *[(batch, CLASSES)] * 2
    X_batch, W1, W2, Z, A, dZ, S, dS = (rng.standard_normal(s, np.float32) for s in shapes)
    dA, dW1, dW2 = np.empty_like(Z), np.empty_like(W1), np.empty_like(W2)
    for rows in batches(X, batch, clock):
        if gather:
            np.take(X, rows, axis=0, out=X_batch, mode="clip")
        np.dot(X_batch, W1, out=Z)
        np.dot(A, W2, out=S)
        np.dot(A.T, dS, out=dW2)
        np.dot(dS, W2.T, out=dA)
        np.dot(X_batch.T, dZ, out=dW1)
        if gather:
            np.negative(W1, out=W1)
            np.negative(W2, out=W2)


def floor(*arguments):
    products(*arguments, gather=True)


def ours(X, y, H, batch, clock):
    net = TwoLayerNet(X.shape[1], H, CLASSES, "he", dtype=X.dtype, rng=0)
    options = {"reg": REG, "epochs": 10**6, "batch_size": batch, "callback": clock}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing can be learned from labels drawn at random
        net.train(X, y, X[:10], y[:10], RATE, 1, **options)


def pytorch(X, y, H, batch, clock):
    import torch

    torch.set_num_threads(1)
    X, y, losses = torch.from_numpy(X), torch.from_numpy(y), []
    first, last = torch.nn.Linear(X.shape[1], H), torch.nn.Linear(H, CLASSES)
    net, criterion = torch.nn.Sequential(first, torch.nn.ReLU(), last), torch.nn.CrossEntropyLoss()
    # weight_decay adds half of it times the squares
    weights = {"params": [first.weight, last.weight], "weight_decay": 2 * REG}
    optimizer = torch.optim.SGD([weights, {"params": [first.bias, last.bias]}], lr=RATE)
    while not clock():
        for rows in torch.randperm(len(X)).split(batch):
            optimizer.zero_grad()
            loss = criterion(net(X.index_select(0, rows)), y.index_select(0, rows))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())


def scikit_learn(X, y, H, batch, clock):
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # that training did not converge
    options = {"hidden_layer_sizes": (H,), "solver": "sgd", "momentum": 0, "batch_size": batch}
    options |= {"learning_rate_init": RATE, "tol": 0, "n_iter_no_change": 10**9, "random_state": 0}

    def fit(epochs):  # it divides the penalty by twice the batch
        start = time.perf_counter()
        MLPClassifier(**options, alpha=2 * REG * batch, max_iter=epochs).fit(X, y)
        return time.perf_counter() - start

    # fit has no callback, but fits of 1 and of 1 + k epochs differ by k epochs
    k = math.ceil(0.5 / fit(1))
    one, more = map(min, zip(*((fit(1), fit(1 + k)) for _ in range(3)), strict=True))
    clock.found.append((more - one) / (k * clock.steps))


CONTENDERS = {f.__name__: f for f in (products, floor, ours, pytorch, scikit_learn)}


def data(rows, D):
    rng = np.random.default_rng(0)
    return rng.random((rows, D), np.float32) - np.float32(0.5), rng.integers(CLASSES, size=rows)


def machine(*packages):
    """What it runs on, for the reports."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    cpu = found[1] if found else platform.machine()
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    parts = [cpu, f"{os.cpu_count()} CPUs", f"Python {platform.python_version()}"]
    parts += [f"numpy {np.__version__} with {blas['name']} {blas['version']}"]
    return ", ".join([*parts, *(f"{name} {metadata.version(name)}" for name in packages)])


def main(rounds):
    found = {(name, shape): [] for shape in SHAPES for name in CONTENDERS}
    env = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    for i in range(rounds):
        for turn, times in found.items():
            times.append(float(subprocess.check_output([sys.executable, __file__, *turn], env=env)))
            print(f"round {i + 1}: {turn[0]} {turn[1]} {times[-1]:.3f} ms", flush=True)
    ms = {turn: median(times) for turn, times in found.items()}
    ratios = (("ours", "floor"), ("pytorch", "ours"), ("scikit_learn", "ours"))
    heads = [*CONTENDERS, *(f"{a} / {b}" for a, b in ratios)]
    text = f"# Time of a training step\n\n| milliseconds | {' | '.join(heads)} |\n"
    text += f"|{' --- |' * (1 + len(heads))}\n"
    for shape in SHAPES:
        row = [f"{ms[name, shape]:.3f}" for name in CONTENDERS]
        row += [f"{ms[a, shape] / ms[b, shape]:.2f}" for a, b in ratios]
        text += "| {}-{}-10, batch {} | ".format(*shape.split(",")) + f"{' | '.join(row)} |\n"
    means = [geometric_mean(ms[a, s] / ms[b, s] for s in SHAPES) for a, b in ratios]
    text += (
        f"| geometric mean |{' |' * len(CONTENDERS)} {' | '.join(f'{m:.2f}' for m in means)} |\n\n"
    )
    text += f"Median of {rounds} rounds; {machine('torch', 'scikit-learn')}.\n"
    (HERE / "train_step.md").write_text(text)
    print(text)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        D, H, batch = map(int, sys.argv[2].split(","))
        clock = Clock(math.ceil(ROWS / batch))
        CONTENDERS[sys.argv[1]](*data(ROWS, D), H, batch, clock)
        print(1000 * min(clock.found))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 6)
