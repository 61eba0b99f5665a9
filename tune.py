"""Find the best hidden size, learning rate and regularization, on all cores.

    python tune.py                                            # 90 nets on 5,000 digits, some 20 seconds
    python tune.py --dataset mnist --hidden 100 300 --lr 0.03 0.1 --reg 0 1e-5 --epochs 5

    trials = tune.sweep("mnist5k", hidden=[64], lr=[0.01, 0.1], reg=[0, 1e-3])      # best first
    trials[0]["val_acc"], trials[0]["net"]

A trial trains one net with momentum and is judged by its accuracy on the validation rows after the last
epoch. Every worker process runs one trial at a time, with a single BLAS thread: small matrix products
spread over several threads spend their time waiting for each other. A script that calls sweep() does so
under `if __name__ == "__main__":`, because the workers import it.
"""

import argparse
import csv
import itertools
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from numbers import Integral
from pathlib import Path

import numpy as np

from data_utils import load_dataset
from two_layer_net import TwoLayerNet

HIDDEN = (16, 64, 256)
LR = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
REG = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
EPOCHS, BATCH_SIZE = 15, 50
COLUMNS = (
    "trial",
    "hidden_size",
    "learning_rate",
    "reg",
    "status",
    "val_acc",
    "val_loss",
    "train_acc",
    "seconds",
)
PARTS = ("X_train", "y_train", "X_val", "y_val")
# read by the BLAS libraries that numpy may be built with, once, when numpy is imported
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
           "VECLIB_MAXIMUM_THREADS")  # fmt: skip


def sweep(data, hidden=HIDDEN, lr=LR, reg=REG, *, epochs=EPOCHS, batch_size=BATCH_SIZE, seed=0, workers=None,
          out=None, verbose=True):  # fmt: skip
    """Train a net for each combination of hidden size, learning rate and regularization.

    data : a data_utils.Dataset or the name of one. Its test rows are not looked at.
    hidden, lr, reg : sequences of hidden sizes, learning rates and L2 strengths.
    epochs, batch_size, seed : the same for all trials. A trial's result depends on these and its own
        settings, not on the number of workers or the order in which they finish.
    workers : number of processes; default: one for each core.
    out : folder for trials.csv and best.npz, brought up to date after each trial; default: none.
    verbose : print a line a trial.

    Returns a list of dicts, best validation accuracy first (then lowest validation loss): "trial" (its
    number in the grid), "hidden_size", "learning_rate", "reg", "status" ("ok" or "diverged"), "val_acc" and
    "train_acc" in 0..1 and "val_loss" (nan where diverged), "seconds" of training, "history" and "net" (None
    where diverged). ValueError or TypeError for settings that the class refuses, before any training.
    """
    if isinstance(data, str):
        data = load_dataset(data)
    workers = os.cpu_count() if workers is None else workers
    for name, value, least in (("workers", workers, 1), ("seed", seed, 0), ("epochs", epochs, 1)):
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    for name, values in (("hidden", hidden), ("lr", lr), ("reg", reg)):
        if isinstance(values, str) or not np.iterable(values) or len(values) == 0:
            raise ValueError(f"{name} must be a list of at least one value, got {values!r}")
    if not len(data.X_val):
        raise ValueError("data has no validation rows to judge the trials by: load it with validation > 0")
    grid = [dict(zip(COLUMNS[1:4], values, strict=True)) for values in itertools.product(hidden, lr, reg)]
    training = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    row = np.zeros((1, 1), np.float32), np.zeros(1, int)
    for settings in grid:  # let the class check them all, in a moment, on a net of one input and one class
        _train(row * 2, 1, settings, **{**training, "epochs": 1})
    if out is not None:
        out = Path(out)
        out.mkdir(parents=True, exist_ok=True)
        _write_csv(out / "trials.csv", [])  # now rather than after a trial, should it be impossible
        (out / "best.npz").unlink(missing_ok=True)  # of an earlier sweep

    trials, start = [], time.perf_counter()
    cost = [settings["hidden_size"] for settings in grid]  # roughly in proportion to the seconds
    with _shared(data) as folder, worker_pool(workers) as pool:
        futures = {}
        for i in sorted(
            range(len(grid)), key=lambda i: -cost[i]
        ):  # the longest first: no core waits at the end
            with _signals_later():
                futures[pool.submit(_trial, folder, len(data.class_names), grid[i], training)] = i
        for future in as_completed(futures):
            trial = {"trial": futures[future] + 1, **grid[futures[future]], **future.result()}
            trials = sorted([*trials, trial], key=_rank)
            if out is not None:
                if trial is trials[0] and trial["net"]:
                    trial["net"].save(out / "best.npz")
                _write_csv(out / "trials.csv", trials)
            if verbose:
                done = sum(cost[trial["trial"] - 1] for trial in trials)
                left = (time.perf_counter() - start) * (sum(cost) / done - 1)
                print(f"{len(trials):{len(str(len(grid)))}}/{len(grid)}  {_describe(trial)}  "
                      f"best {_percent(trials[0])}  {_clock(left)} left", flush=True)  # fmt: skip
    return trials


def _trial(folder, classes, settings, training):
    """What a worker process does."""
    return _train(_attach(folder), classes, settings, **training)


def _train(arrays, classes, settings, epochs, batch_size, seed):
    X = arrays[0]
    net = TwoLayerNet(X.shape[1], settings["hidden_size"], classes, "he", dtype=X.dtype, rng=seed)
    start = time.perf_counter()
    result = {"status": "ok", "history": None, "net": None}
    try:
        history = net.train(*arrays, settings["learning_rate"], reg=settings["reg"], epochs=epochs,
                            batch_size=batch_size, optimizer="momentum")  # fmt: skip
        result.update(history=history, net=net)
        measured = {key: history[f"{key}_history"][-1] for key in ("val_acc", "val_loss", "train_acc")}
    except FloatingPointError:
        result["status"] = "diverged"
        measured = dict.fromkeys(("val_acc", "val_loss", "train_acc"), math.nan)
    return {**result, **measured, "seconds": time.perf_counter() - start}


def _rank(trial):
    """Sorts the best trial first and those that diverged last; the same for any order of finishing."""
    diverged = trial["status"] == "diverged"
    return (
        diverged,
        0 if diverged else -trial["val_acc"],
        0 if diverged else trial["val_loss"],
        trial["trial"],
    )


# ---- worker processes and the data they share


@contextmanager
def worker_pool(workers):
    """An executor of new processes that have one BLAS thread each and end with this one."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # in force before a worker imports numpy, as it is spawned
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()  # not to wait for trials that nobody will see
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _signals_later():
    """Hold Ctrl-C back while a worker is started: it inherits that, so no traceback from so early."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once and without a traceback
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def follow():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()  # a parent that was killed cannot tell it to end


@contextmanager
def _shared(data):
    """A folder of files with the training and validation arrays, which all workers map into memory.

    Files, because shared memory is often small (64 MB in a container) and ends a process that needs more.
    """
    with tempfile.TemporaryDirectory(prefix="tune-") as folder:
        for part in PARTS:
            np.save(Path(folder) / f"{part}.npy", getattr(data, part))
        yield folder


@lru_cache(maxsize=1)
def _attach(folder):
    return [np.load(Path(folder) / f"{part}.npy", mmap_mode="r") for part in PARTS]


# ---- words and files


def _percent(trial):
    return "diverged" if trial["status"] == "diverged" else f"{trial['val_acc']:.2%}"


def _describe(trial):
    settings = f"hidden {trial['hidden_size']:<4}  lr {trial['learning_rate']:<7g} reg {trial['reg']:<7g}"
    return f"{settings} val {_percent(trial):<8}"


def _clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _write_csv(path, trials):
    """One row a trial, in the order of the grid, to a temporary file that then takes path's place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(sorted(trials, key=lambda trial: trial["trial"]))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _parser():
    parser = argparse.ArgumentParser(
        description="Train a net for each combination of hidden size, learning rate and regularization, one "
        "to a core; then score the best one on the test images, once.",
        epilog="Writes to FOLDER: trials.csv (a row a trial), best.npz (for TwoLayerNet.load), sweep.png (a "
        "heat map) and history.png (the best trial's learning curves). Ctrl-C keeps what was done. "
        "Example: python tune.py --hidden 64 128 --lr 0.03 0.1 0.3 --reg 0 1e-3 --epochs 20",
    )

    def option(flag, default, text, **keywords):
        shown = " ".join(f"{value:g}" for value in default) if isinstance(default, tuple) else default
        parser.add_argument(flag, default=default, help=f"{text} (default: {shown})", **keywords)

    option("--hidden", HIDDEN, "numbers of hidden units", type=int, nargs="+", metavar="H")
    option(
        "--lr",
        LR,
        "learning rates, multiplied by 0.95 after each epoch",
        type=float,
        nargs="+",
        metavar="RATE",
    )
    option("--reg", REG, "L2 strengths", type=float, nargs="+", metavar="REG")
    option("--dataset", "mnist5k", "mnist5k, mnist or fashion_mnist", metavar="NAME")
    option("--epochs", EPOCHS, "passes over the training images", type=int, metavar="N")
    option("--batch-size", BATCH_SIZE, "images a step", type=int, metavar="N")
    option("--seed", 0, "of the weights and of the order of the images", type=int)
    option("--workers", os.cpu_count(), "processes, one a core unless said otherwise", type=int, metavar="N")
    option("--out", "runs/NAME", "where results go", metavar="FOLDER")
    return parser


def main(arguments=None):
    parser = _parser()
    options = parser.parse_args(arguments)
    out = Path("runs", options.dataset) if options.out == parser.get_default("out") else Path(options.out)
    start = time.perf_counter()
    try:
        data = load_dataset(options.dataset)
        trials = sweep(data, options.hidden, options.lr, options.reg, epochs=options.epochs, out=out,
                       batch_size=options.batch_size, seed=options.seed, workers=options.workers)  # fmt: skip
    except (ValueError, TypeError, OSError) as error:
        parser.error(str(error))
    except (KeyboardInterrupt, BrokenProcessPool, MemoryError) as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        why = "stopped" if interrupted else f"a worker process died, perhaps of too little memory: {error}"
        kept = [str(out / name) for name in ("trials.csv", "best.npz") if (out / name).exists()]
        print(f"\n{why}; what was done is in {' and '.join(kept) or 'no file'}", file=sys.stderr)
        return 130 if interrupted else 1

    best = trials[0]
    print(f"\nbest {min(10, len(trials))} of {len(trials)} trials, {time.perf_counter() - start:.1f} s")
    for trial in trials[:10]:
        print(f"  {_describe(trial)} val loss {trial['val_loss']:.4f}  {trial['seconds']:.2f} s")
    if best["net"] is None:
        print("every trial diverged: try smaller learning rates", file=sys.stderr)
        return 1
    net = TwoLayerNet.load(out / "best.npz")
    accuracy = np.mean(net.predict(data.X_test) == data.y_test)
    print(f"\ntest accuracy of the best: {accuracy:.2%} of {len(data.y_test)} images")

    import vis_utils  # here, because every worker would spend half a second on matplotlib

    vis_utils.plot_sweep(trials, path=out / "sweep.png")
    vis_utils.plot_history(best["history"], title=" ".join(_describe(best).split()), path=out / "history.png")
    print(
        "wrote", ", ".join(str(out / name) for name in ("trials.csv", "best.npz", "sweep.png", "history.png"))
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
