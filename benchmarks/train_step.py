"""Milliseconds a training step takes: this class, the textbook's loop, PyTorch and scikit-learn.

    python -m pip install -r requirements-bench.txt     # PyTorch and scikit-learn, both optional
    python benchmarks/train_step.py                     # all of it: half an hour of an idle machine
    python benchmarks/train_step.py --quick             # one short round: does it work here?
    python benchmarks/train_step.py --only ours PyTorch --shapes 784,512,200 --rounds 3
    python benchmarks/train_step.py --memory            # peaks of memory instead, half a minute

A step is the same for all: a batch out of 30,000 rows (newly shuffled each epoch), a hidden layer with ReLU,
softmax cross-entropy over 10 classes, L2 penalty, plain SGD, the loss recorded (PyTorch's has no penalty in
it); float32, one BLAS thread. "products" is the floor: a step's five matrix products on arrays in place.
Each time is taken in a process of its own: after one epoch to warm up, the best of three stretches of half a
second or longer. The processes take turns, and what counts is the median over the rounds.

The whole benchmark writes benchmarks/train_step.md and --memory renews the memory part of that file; --quick,
--shapes and --only print their tables and write nothing.
"""

import argparse
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
import tracemalloc
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from two_layer_net import OPTIMIZERS, TwoLayerNet  # noqa: E402

SHAPES = [
    "784,100,100",
    "784,512,200",
    "3072,50,200",
    "3072,512,200",
]  # inputs, hidden units, batch
NAMES = ["products", "ours", "textbook-float32", "textbook-float64", "PyTorch", "scikit-learn"]
VARIANTS = ["momentum", "Adam", "dropout-0.5", "2-threads"]  # of ours
PACKAGES = {"PyTorch": "torch", "scikit-learn": "scikit-learn"}
VERSIONS = {name: d.version for name, p in PACKAGES.items() for d in metadata.distributions(name=p)}
CLASSES, ROWS, QUICK_ROWS, RATE, REG = 10, 30_000, 3_000, 1e-3, 1e-4

# ---- the contenders, each in a process of its own


class Clock:
    """Called before the first epoch and after each; True once it has three stretches past the first epoch."""

    def __init__(self, steps, seconds):
        self.steps, self.seconds, self.epochs, self.found = steps, seconds, -2, []

    def __call__(self, *_):  # train's callback gets the net and its history
        now = time.perf_counter()
        self.epochs += 1
        if self.epochs > 0 and now - self.start >= self.seconds:
            self.found.append((now - self.start) / (self.epochs * self.steps))
            self.epochs = 0
        if self.epochs <= 0:
            self.start = now
        return len(self.found) == 3


def products(D, H, batch, clock):
    rng = np.random.default_rng(0)
    shapes = (batch, D), (D, H), (H, CLASSES), *[(batch, H)] * 3, *[(batch, CLASSES)] * 2
    X, W1, W2, Z, A, dZ, S, dS = (rng.standard_normal(shape, np.float32) for shape in shapes)
    dA, dW1, dW2 = np.empty_like(Z), np.empty_like(W1), np.empty_like(W2)
    while not clock():
        for _ in range(clock.steps):
            np.dot(X, W1, out=Z)
            np.dot(A, W2, out=S)
            np.dot(A.T, dS, out=dW2)
            np.dot(dS, W2.T, out=dA)
            np.dot(X.T, dZ, out=dW1)


def textbook(X, y, H, batch, clock):
    """The step as a first course writes it: new arrays everywhere, all of X's dtype."""
    rng, D, losses = np.random.default_rng(0), X.shape[1], []
    W1 = (math.sqrt(2 / D) * rng.standard_normal((D, H))).astype(X.dtype)
    W2 = (math.sqrt(2 / H) * rng.standard_normal((H, CLASSES))).astype(X.dtype)
    b1, b2 = np.zeros(H, X.dtype), np.zeros(CLASSES, X.dtype)
    while not clock():
        order = rng.permutation(len(X))
        for first in range(0, len(X), batch):
            rows = order[first : first + batch]
            X_batch, y_batch, each = X[rows], y[rows], np.arange(len(rows))
            A = np.maximum(0, X_batch.dot(W1) + b1)
            S = A.dot(W2) + b2
            P = np.exp(S - S.max(axis=1, keepdims=True))
            P = P / P.sum(axis=1, keepdims=True)
            data_loss = np.mean(-np.log(P[each, y_batch]))
            losses.append(data_loss + REG * (np.sum(W1 * W1) + np.sum(W2 * W2)))
            dS = P.copy()
            dS[each, y_batch] -= 1
            dS = dS / len(rows)
            dW2 = A.T.dot(dS) + 2 * REG * W2
            dZ = dS.dot(W2.T)
            dZ[A <= 0] = 0
            dW1 = X_batch.T.dot(dZ) + 2 * REG * W1
            W1 -= RATE * dW1
            b1 -= RATE * dZ.sum(axis=0)
            W2 -= RATE * dW2
            b2 -= RATE * dS.sum(axis=0)


def pytorch(X, y, H, batch, clock):
    import torch

    torch.set_num_threads(1)
    X, y, losses = torch.from_numpy(X), torch.from_numpy(y), []
    first, last = torch.nn.Linear(X.shape[1], H), torch.nn.Linear(H, CLASSES)
    net, criterion = torch.nn.Sequential(first, torch.nn.ReLU(), last), torch.nn.CrossEntropyLoss()
    # weight_decay stands for half of it times the squares
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
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)

    def fit(epochs):
        net = MLPClassifier(
            hidden_layer_sizes=(H,), solver="sgd", momentum=0, nesterovs_momentum=False,
            learning_rate_init=RATE, alpha=2 * REG * batch,  # it divides the penalty by twice the batch
            batch_size=batch, shuffle=True, tol=0, max_iter=epochs, n_iter_no_change=10**9, random_state=0,
        )  # fmt: skip
        start = time.perf_counter()
        net.fit(X, y)
        return time.perf_counter() - start

    # fit has no callback, but fits of 1 and of 1 + k epochs differ by k epochs
    k = math.ceil(clock.seconds / fit(1))
    one, more = map(min, zip(*((fit(1), fit(1 + k)) for _ in range(3)), strict=True))
    clock.found.append((more - one) / (k * clock.steps))


def ours(contender, X, y, H, batch, clock):
    optimizer = contender.lower() if contender.lower() in OPTIMIZERS else "sgd"
    dropout = 0.5 if contender == "dropout-0.5" else 0.0
    net = TwoLayerNet(X.shape[1], H, CLASSES, "he", dropout=dropout, dtype=np.float32, rng=0)
    options = {
        "reg": REG,
        "epochs": 10**6,
        "batch_size": batch,
        "optimizer": optimizer,
        "callback": clock,
    }
    clock()
    net.train(X, y, X[:10], y[:10], RATE, 1, **options)


def data(rows, D):
    rng = np.random.default_rng(0)
    X = rng.random((rows, D), np.float32)
    X -= 0.5
    return X, rng.integers(CLASSES, size=rows)


def milliseconds(contender, shape, quick):
    D, H, batch = map(int, shape.split(","))
    X, y = data(QUICK_ROWS if quick else ROWS, D)
    clock = Clock(math.ceil(len(X) / batch), 0.05 if quick else 0.5)
    if contender == "products":
        products(D, H, batch, clock)
    elif contender.startswith("textbook"):
        textbook(X.astype(contender.split("-")[1], copy=False), y, H, batch, clock)
    elif contender == "PyTorch":
        pytorch(X, y, H, batch, clock)
    elif contender == "scikit-learn":
        scikit_learn(X, y, H, batch, clock)
    else:
        ours(contender, X, y, H, batch, clock)
    return 1000 * min(clock.found)


def memory():
    """The memory part of the .md."""
    (X, y), held = data(ROWS, 3072), []

    def at_epoch_end(net, history):
        held.append(tracemalloc.get_traced_memory())  # now, and at most since the last reset
        tracemalloc.reset_peak()

    net = TwoLayerNet(3072, 512, CLASSES, "he", dtype=np.float32, rng=0)
    tracemalloc.start()
    net.train(X, y, X[:10], y[:10], RATE, reg=REG, epochs=2, batch_size=200, callback=at_epoch_end)
    tracemalloc.stop()
    epoch = (held[1][1] - held[0][0]) / 1e6
    X, net = data(60_000, 3072)[0], TwoLayerNet(3072, 1024, CLASSES, "he", dtype=np.float32, rng=0)
    tracemalloc.start()
    net.predict(X)
    scoring = tracemalloc.get_traced_memory()[1] / 1e6
    return f"""## Memory

Peaks, float32: {epoch:.2f} MB in the second epoch of training 3072-512-10 by plain SGD on batches of 200,
beyond what is held when that epoch begins (its steps, and the evaluation at its end); {scoring:.1f} MB while
`predict` scores 60,000 x 3072 numbers with 1024 hidden units, beyond those.
"""


# ---- taking turns, and the report


def in_process(threads, *arguments):
    """What a process of this script prints, run with so many BLAS threads."""
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    env = os.environ | dict.fromkeys(names, str(threads))
    run = subprocess.run(
        [sys.executable, __file__, *arguments], env=env, stdout=subprocess.PIPE, text=True
    )
    if run.returncode:
        sys.exit(f"{' '.join(arguments)}: ended with exit code {run.returncode}, see above")
    return run.stdout


def measure(shapes, contenders, rounds, quick):
    """{(contender, shape): median of the rounds in ms}"""
    turns = [(c, s) for s in shapes for c in contenders if c not in PACKAGES or c in VERSIONS]
    plan, found, took = turns * rounds, {turn: [] for turn in turns}, {}
    for i, turn in enumerate(plan):
        start, threads = time.perf_counter(), 2 if turn[0] == "2-threads" else 1
        ms = float(in_process(threads, "--worker", *turn, *["--quick"] * quick))
        found[turn].append(ms)
        took[turn] = time.perf_counter() - start
        mean = statistics.mean(took.values())
        left = sum(took.get(later, mean) for later in plan[i + 1 :]) / 60
        print(
            f"{i + 1}/{len(plan)}  {turn[1]} {turn[0]}: {ms:.3f} ms; {left:.1f} min left",
            flush=True,
        )
    return {turn: statistics.median(times) for turn, times in found.items()}


def machine():
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        cpu = found[1]
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    blas = f"{blas.get('name', 'unknown BLAS')} {blas.get('version', '')}".strip()
    parts = [f"{cpu}, {os.cpu_count()} CPUs", f"Python {platform.python_version()}"]
    return ", ".join(
        [*parts, f"numpy {np.__version__} with {blas}", *map(" ".join, VERSIONS.items())]
    )


def table(columns):
    lines = [columns, ["---"] * len(columns), *zip(*columns.values(), strict=True)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def report(ms, shapes, rounds, quick):
    """The tables of milliseconds and ratios; the cells of what was not asked for are empty."""

    def times(c):
        missing = "not installed" if c in PACKAGES and c not in VERSIONS else ""
        return [f"{ms[c, s]:.3f}" if (c, s) in ms else missing for s in shapes] + [""]

    def ratios(a, b):
        found = [ms.get((a, s), math.nan) / ms.get((b, s), math.nan) for s in shapes]
        found.append(math.exp(statistics.mean(map(math.log, found))))
        return ["" if math.isnan(r) else f"{r:.2f}" for r in found]

    labels = ["{}-{}-10 batch {}".format(*s.split(",")) for s in shapes]
    columns = {"milliseconds a step": [*labels, "geometric mean"], **{c: times(c) for c in NAMES}}
    for a, b in (("ours", "products"), ("PyTorch", "ours"), ("scikit-learn", "ours")):
        columns[f"{a} / {b}"] = ratios(a, b)
    variants = {c: ratios(c, "ours") for c in VARIANTS}
    text = "# Time of a training step\n\n" + table(columns)
    text += table({"ours / plain SGD, one thread": [*labels, "geometric mean"], **variants})
    verdicts = {"faster": [], "as fast": [], "slower": []}
    for label, ratio in zip(labels, variants["2-threads"], strict=False):  # leaves the mean out
        if ratio:
            verdict = (
                "faster" if float(ratio) < 0.95 else "slower" if float(ratio) > 1.05 else "as fast"
            )
            verdicts[verdict].append(f"{label} ({ratio})")
    if said := "; ".join(
        f"{verdict} for {', '.join(found)}" for verdict, found in verdicts.items() if found
    ):
        where = (
            "where they are not faster and " if verdicts["as fast"] or verdicts["slower"] else ""
        )
        text += f"Against one BLAS thread, two are {said}: set `OPENBLAS_NUM_THREADS=1` {where}"
        text += "where several nets train at once.\n\n"
    rows = QUICK_ROWS if quick else ROWS
    return text + f"Batches out of {rows:,} rows, median of {rounds} round(s); {machine()}.\n\n"


def main():
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    add, names = parser.add_argument, NAMES + VARIANTS
    add(
        "--rounds",
        type=int,
        default=7,
        metavar="N",
        help="take the median of N rounds (default: 7)",
    )
    add(
        "--quick", action="store_true", help=f"1 round of short stretches, out of {QUICK_ROWS} rows"
    )
    add("--shapes", nargs="+", default=SHAPES, choices=SHAPES, help="inputs, hidden units, batch")
    add(
        "--only",
        nargs="+",
        default=names,
        choices=names,
        metavar="NAME",
        help=f"of: {', '.join(names)}",
    )
    add("--memory", action="store_true", help="measure memory instead of time")
    add("--worker", nargs=2, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.rounds < 1:
        parser.error(f"argument --rounds: must be >= 1, got {o.rounds}")
    if o.worker:
        print(memory() if o.worker[0] == "memory" else milliseconds(*o.worker, o.quick), end="")
        return
    output, rounds = HERE / "train_step.md", 1 if o.quick else o.rounds
    whole = not o.quick and o.shapes == SHAPES and o.only == names
    text = in_process(1, "--worker", "memory", "") if whole or o.memory else ""
    if not o.memory:
        text = report(measure(o.shapes, o.only, rounds, o.quick), o.shapes, rounds, o.quick) + text
    elif output.exists():
        text = output.read_text(encoding="utf-8").split("## Memory")[0] + text
    print(text)
    if whole or o.memory:
        temporary = output.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, output)
        print(f"written to {output}")


if __name__ == "__main__":
    main()
