"""Find the best settings of a net, on all cores or on a cluster.

A trial trains one net and is judged by its accuracy on the validation rows after its last epoch; the best net
of all is then scored on the test images, once. A sweep can be stopped at any moment: the same command goes on
with the trials that are missing.

examples:
  a grid, every combination of the lists (with no lists at all: 90 nets on 5,000 digits):
    python tune.py --hidden 64 128 --lr 0.03 0.1 0.3 --reg 0 1e-3 --epochs 20 --out runs/grid
  a random search, settings drawn from ranges (and from lists):
    python tune.py --lr 1e-3:1 --reg 1e-6:1e-2 --activation relu tanh --trials 40 --out runs/random
  the same, but only the best third of the trials go on, then the best third of these:
    python tune.py --lr 1e-3:1 --reg 1e-6:1e-2 --trials 27 --halving --out runs/halving
  on a cluster, all in copies of this folder: `python -m dask scheduler` on one machine, on others
  `python -m dask worker tcp://THAT:8786 --nworkers 8 --nthreads 1`, and then here
    python tune.py --dask tcp://THAT:8786
  the results of a sweep once more:
    python tune.py --report runs/mnist5k
  in Python; in a script under `if __name__ == "__main__":`, because the workers import it:
    trials = tune.sweep("mnist5k", hidden=[64], lr=tune.Range(0.001, 0.3), trials=20)    # best first
    trials[0]["val_acc"], trials[0]["net"]
"""

import argparse
import csv
import hashlib
import inspect
import io
import json
import math
import multiprocessing
import os
import pickle
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Client, Listener, answer_challenge, deliver_challenge
from numbers import Integral, Real
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

from data_utils import DATASETS, Dataset, load_dataset, load_transform
from two_layer_net import ACTIVATIONS, OPTIMIZERS, TwoLayerNet

SETTINGS = {"hidden": "hidden_size", "lr": "learning_rate", "reg": "reg", "activation": "activation",
            "dropout": "dropout", "optimizer": "optimizer", "std": "std", "batch_size": "batch_size",
            "decay": "learning_rate_decay"}  # arguments of sweep() and what the class calls them  # fmt: skip
BOUNDS = {"hidden": ("[1, 1e12)", Integral), "batch_size": ("[1, 1e12)", Integral), "lr": ("(0, inf)",),
          "reg": ("[0, inf)",), "dropout": ("[0, 1)",), "decay": ("(0, inf)",)}  # fmt: skip
MEASURES = ("val_acc", "val_loss", "train_acc")
COLUMNS = ("trial", *SETTINGS.values(), "epochs", "status", *MEASURES, "seconds")
PART = f".{8 * '[0-9a-f]'}.part"  # ends the names of temporary files, as glob says it
PARTS = ("X_train", "y_train", "X_val", "y_val")
MOST = 100_000  # so many trials, values or workers are taken for a slip of the finger
PICTURES = ("sweep.png", "history.png", "weights.png")
FILES = ("sweep.json", "trials.csv", "best.json", "best.npz", "dataset.npz", *PICTURES)
# read by the BLAS libraries that numpy may be built with, once, when numpy is imported
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
           "VECLIB_MAXIMUM_THREADS")  # fmt: skip
# what a second attempt would not mend; all else may be a matter of the machine
BUGS = (ValueError, TypeError, LookupError, AttributeError, NameError, ImportError, AssertionError)


class Range(NamedTuple):
    """Values between two bounds, to draw from: logarithms are uniform, dropout and decay are themselves."""

    low: float
    high: float


def sweep(data, hidden=(16, 64, 256), lr=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
          reg=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1), *, activation=("relu",), dropout=(0.0,),
          optimizer=("momentum",), std=("he",), batch_size=(50,), decay=(0.95,), epochs=15, trials=None,
          halving=False, seed=0, workers=None, executor=None, host=None, out=None, verbose=True):  # fmt: skip
    """Train a net for each combination of settings, or for some drawn at random; returns the trials.

    data : a data_utils.Dataset or the name of one. Its test rows decide nothing.
    hidden ... decay : lists of values as the class takes them (batch_size also a single number); numbers may
        be a Range(low, high) instead. Lists give a grid. With a Range, every trial draws each setting.
    trials : how many to draw, below 100,000, default 30; for a grid, how many combinations, default all.
    epochs : passes over the training rows, below 1e9.
    halving : successive halving (Jamieson and Talwalkar 2016) by a factor of 3: all trials get
        ceil(epochs / 3**s) epochs, the best third (rounded up) goes on, from where it stood, to
        ceil(epochs / 3**(s - 1)), and so on to `epochs`; s is the largest number with 3**s <= epochs and
        3**s <= the number of trials.
    seed : of weights, order of examples and draws. A trial depends on this, its settings and `epochs` alone,
        not on the number of workers or the order in which trials finish.
    workers : number of local processes; default: one for each core.
    executor : any concurrent.futures.Executor to run the trials on, in place of local processes. Its workers
        import this module and fetch the data, once each, from this process, at the address `host` (default:
        that of this machine; unencrypted, to those who know a random key).
    out : folder for the results (README lists the files), brought up to date after each trial; `report` adds
        pictures and the test accuracy. Default: none.
        If it holds part of this very sweep, only what is missing is run. It must hold nothing else.
    verbose : print a line a trial, and on a terminal one that tells the time left.

    Returns a list of dicts, best validation accuracy first (then lowest validation loss): "trial" (its
    number), the settings by the class's names ("hidden_size" ... "learning_rate_decay"), "epochs" (trained so
    far), "status" ("ok", "diverged", or "failed": its worker died twice, which the next run tries again),
    "val_acc" and "train_acc" in 0..1 and "val_loss" (nan where diverged), "seconds" of training, "history"
    and "net" (None unless ok). ValueError or TypeError, before any training, for settings that the class
    or the memory refuses and for a folder with another sweep or other files; OSError if it cannot be written.
    """
    if isinstance(data, str):
        data = load_dataset(data)
    given = {"hidden": hidden, "lr": lr, "reg": reg, "activation": activation, "dropout": dropout,
             "optimizer": optimizer, "std": std, "batch_size": batch_size, "decay": decay}  # fmt: skip
    workers = _cores() if workers is None else workers
    workers = _number("workers", workers, f"[1, {MOST})", Integral)
    trials = trials if trials is None else _number("trials", trials, f"[1, {MOST})", Integral)
    epochs = _number("epochs", epochs, "[1, 1e9)", Integral)
    seed = _number("seed", seed, "[0, inf)", Integral)
    usable = callable(getattr(executor, "submit", None)) and not isinstance(executor, type)
    if executor is not None and not usable:
        raise TypeError(f"executor must be a concurrent.futures.Executor or None, got {executor!r}")
    if not isinstance(host, str | None):
        raise TypeError(f"host must be an address or None, got {host!r}")
    if host is not None and executor is None:
        raise ValueError(
            f"host={host!r} goes with executor (on the command line --dask), there is none"
        )
    halving, verbose = _flag("halving", halving), _flag("verbose", verbose)
    out = None if out is None else _path("out", out)
    _check_dataset(data)
    given = {name: _checked(name, values) for name, values in given.items()}
    _let_the_class_check(given, seed, data.mean.size + len(data.class_names))
    drawn = _draw(given, trials, seed)
    rungs, size = [epochs], len(drawn)
    while halving and 3 ** len(rungs) <= min(epochs, size):
        rungs.insert(0, math.ceil(epochs / 3 ** len(rungs)))
    plan = {"format": 1, "dataset": data.name, "data_checksum": _checksum(data), **given, "trials": size,
            "epochs": epochs, "halving": halving, "seed": seed}  # fmt: skip
    new = {"epochs": 0, "status": "waiting", **dict.fromkeys(MEASURES, math.nan), "seconds": 0.0,
           "history": None, "net": None, "checkpoint": b""}  # fmt: skip
    trials = [{"trial": i, **settings, **new} for i, settings in enumerate(drawn, 1)]

    with ExitStack() as stack:
        if out is not None:
            stack.enter_context(_claimed(out, plan))
            _take_over(out, trials)
            try:
                load_transform(out / "dataset.npz")
            except (OSError, ValueError):  # it is not there, or damaged
                data.save_transform(out / "dataset.npz")
        source, alive, finished, began, spent = None, trials, 0, time.perf_counter(), 0
        mean_size = np.mean([t["hidden_size"] for t in trials])
        for level, rung in enumerate(rungs):
            todo = [t for t in alive if t["epochs"] < rung and t["status"] in ("ok", "waiting")]
            # roughly in proportion to the seconds that are left, in this rung and in those after it
            costs = {t["trial"]: t["hidden_size"] * (rung - t["epochs"]) for t in todo}
            later = [
                (math.ceil(size / 3**i), rungs[i] - rungs[i - 1])
                for i in range(level + 1, len(rungs))
            ]
            later_cost = mean_size * sum(n * k for n, k in later)
            total = finished + len(todo) + sum(n for n, _ in later)
            if todo and source is None:
                if executor is None:
                    executor = stack.enter_context(WorkerPool(min(workers, size)))
                    source = _written(data, executor.folder)
                else:
                    source = stack.enter_context(_served(data, host))
            todo.sort(
                key=lambda t: costs[t["trial"]], reverse=True
            )  # so that no core waits at the end
            task = source, len(data.class_names), seed, rung, len(rungs) > 1
            if verbose and not spent and todo:
                _live(f"{finished}/{total} trials")
            for trial, result in _run(executor, task, todo):
                _record(out, trials, trial, result)
                finished, spent = finished + 1, spent + costs.pop(trial["trial"])
                if verbose:
                    after = (
                        f" after {trial['epochs']:{len(str(epochs))}}/{epochs}"
                        if len(rungs) > 1
                        else ""
                    )
                    left = (
                        (time.perf_counter() - began) / spent * (sum(costs.values()) + later_cost)
                    )
                    _announce(trials, trial, f"{finished:{len(str(total))}}/{total}", after, left)
            onward = [] if rung == epochs else _promoted(alive, rung)
            for trial in alive:
                if (
                    trial not in onward and trial["status"] != "failed"
                ):  # which would be tried again
                    trial["checkpoint"] = b""
                    if out is not None:
                        _files(out, trial)[2].unlink(missing_ok=True)
            alive = onward
    if verbose and len(rungs) > 1:
        spent, whole = sum(t["epochs"] for t in trials), size * epochs
        print(f"halving: {spent} of {whole} epochs ({spent / whole:.1%}), {whole - spent} saved, of "
              f"{len(data.X_train)} examples each")  # fmt: skip
    return _public(trials)


def _check_dataset(data):
    if not isinstance(data, Dataset):
        raise TypeError(f"data must be a Dataset or the name of one, got {type(data).__name__}")
    if np.size(data.y_val) == 0:
        raise ValueError(
            "data has no validation rows to judge the trials by: load it with validation > 0"
        )
    net = TwoLayerNet(data.mean.size, 1, len(data.class_names), "zeros", dtype=data.mean.dtype)
    for part in ("train", "val", "test") if np.size(data.y_test) else ("train", "val"):
        try:
            net.loss(getattr(data, f"X_{part}"), getattr(data, f"y_{part}"))
        except (TypeError, ValueError) as error:
            letter = "y" if str(error).startswith("y") else "X"
            raise ValueError(f"data.{letter}_{part} is wrong: {error}") from error


def _cores():
    """Those that this process may use; on a shared node that can be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _checked(name, values):
    """The values of one setting: a Range, or a list of Python's own numbers and strings."""
    if name == "batch_size" and isinstance(values, Real):
        values = [values]
    if isinstance(values, str) or not (
        np.iterable(values) and hasattr(values, "__len__") and len(values)
    ):
        raise ValueError(
            f"{name} must be a list of at least one value, such as [{values!r}], got {values!r}"
        )
    if len(values) >= MOST:
        raise ValueError(f"{name} must have fewer than {MOST} values, got {len(values)}")
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not all(isinstance(value, Real | str) for value in plain):
        raise TypeError(f"{name} must be a list of numbers or names, got {values!r}")
    if not isinstance(values, Range):
        return plain
    low, high = plain
    if name in ("activation", "optimizer"):
        raise ValueError(f"{name} must be a list of names, got {values!r}")
    if not all(isinstance(end, Real) for end in plain):
        raise TypeError(f"{name}: the ends of a range must be numbers, got {values!r}")
    least = -math.inf if name in ("dropout", "decay") else 0  # of which there is no logarithm
    if not least < low < high:
        raise ValueError(
            f"{name}: a range LOW:HIGH must have {least} < LOW < HIGH, got {low}:{high}"
        )
    return Range(low, high)


def _let_the_class_check(given, seed, width):
    """Train each value in turn for a moment on a net of one input and one class, so that wrong ones raise.

    width : numbers of inputs and of classes together, to see whether the nets have room.
    """
    rows = np.zeros((2, 1), np.float32), np.zeros(2, int)
    good = dict(zip(SETTINGS.values(), (1, 0.1, 0.0, "relu", 0.0, "sgd", 0.1, 1, 1.0), strict=True))
    for name, column in SETTINGS.items():
        for value in given[name]:  # of a Range, its ends
            try:
                if name in BOUNDS:
                    _number(column, value, *BOUNDS[name])
                if name == "hidden" and isinstance(value, Integral) and value > 1:
                    _room("hidden_size", value, width, value)
                    value = 1  # so that it does not take long
                _train(rows * 2, 1, {**good, column: value}, seed, 1)
            except (ValueError, TypeError, MemoryError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(str(error) if name == column else f"{name}: {error}") from error


def _draw(given, trials, seed):
    """The settings of all trials, a list of dicts by column."""
    rng = np.random.default_rng(seed)
    size = math.prod(map(len, given.values()))
    if any(isinstance(values, Range) for values in given.values()):
        drawn = [[_one(rng, *item) for item in given.items()] for _ in range(trials or 30)]
    else:
        most = MOST if trials is None else 2**62
        if size >= most:
            raise ValueError(f"the lists must have fewer than {most} combinations, got {size}")
        if trials is not None and trials > size:
            raise ValueError(f"trials must be at most {size}, the grid's size, got {trials}")
        chosen = range(size) if trials is None else np.sort(rng.choice(size, trials, replace=False))
        places = np.unravel_index(chosen, [len(values) for values in given.values()])
        drawn = zip(
            *([v[i] for i in at] for v, at in zip(given.values(), places, strict=True)), strict=True
        )
    return [dict(zip(SETTINGS.values(), values, strict=True)) for values in drawn]


def _one(rng, name, values):
    if not isinstance(values, Range):
        return values[rng.integers(len(values))]
    if name in ("dropout", "decay"):
        value = rng.uniform(*values)
    else:
        value = math.exp(rng.uniform(*map(math.log, values)))
    # three digits can be read and typed again
    value = round(value) if name in ("hidden", "batch_size") else float(f"{value:.3g}")
    return min(max(value, values.low), values.high)


@contextmanager
def _replacing(path):
    """Open a file of bytes that takes path's place when the block ends, and only if without an error.

    Of a link, what it leads to is replaced. The permissions of a file that is there are kept.
    """
    path = os.path.realpath(path)
    temporary = Path(f"{path}.{os.urandom(4).hex()}.part")  # as PART says
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(f"{path} is not an ordinary file")
        with open(temporary, "w+b") as file:
            with suppress(FileNotFoundError):
                os.chmod(temporary, os.stat(path).st_mode & 0o777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # a full disk says nothing of the path, others name the temporary file
        if error.errno and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, path) from error
        raise
    finally:
        with suppress(OSError):  # it is not there
            temporary.unlink()


def _path(name, path):
    # open takes integers, too: other files' descriptors
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{name} must be a path, got {path!r}")
    if os.fspath(path) == "" or "\0" in os.fspath(path):  # Path takes "" for the current folder
        raise ValueError(f"{name} must be a path, got {path!r}")
    return Path(path)


def _room(name, value, *shape, dtype=float):
    """Refuse an argument that asks for an array larger than all memory."""
    try:
        np.empty(shape, dtype)  # takes no time: memory is given only where it is written to
    except (MemoryError, ValueError, OverflowError) as error:
        raise MemoryError(
            f"{name} must be small enough for the memory, got {value!r}: {error}"
        ) from error


def _flag(name, value):
    if not isinstance(value, int | np.bool_) or value not in (0, 1):  # "no" would be true
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def _number(name, value, interval, kind=Real):
    """value as a Python float or int, once it is known to lie in an interval such as "[0, 1)"."""
    if not isinstance(value, kind) or isinstance(value, bool):
        noun = "an integer" if kind is Integral else "a number"
        raise TypeError(f"{name} must be {noun} in {interval}, got {value!r}")
    try:
        number = float(value)  # before it is compared: it may be rounded to the end of the interval
    except OverflowError:
        number = math.inf
    low, high = map(float, interval[1:-1].split(","))
    if not (low < number < high or (number == low and interval[0] == "[")):
        raise ValueError(f"{name} must be in {interval}, got {value!r}")
    return int(value) if kind is Integral else number


def _trial(source, classes, seed, epochs, halving, settings, checkpoint):
    """What a worker does: train to `epochs`; with halving from a checkpoint's bytes, b"" for none."""
    arrays = _arrays(source)
    if not halving:
        return _train(arrays, classes, settings, seed, epochs)
    with tempfile.TemporaryDirectory(prefix="tune-") as folder:
        path = Path(folder, "checkpoint.npz")
        if checkpoint:
            path.write_bytes(checkpoint)
        result = _train(arrays, classes, settings, seed, epochs, checkpoint=path, resume=True)
        return {**result, "checkpoint": path.read_bytes() if result["net"] else b""}


def _train(arrays, classes, settings, seed, epochs, **options):
    s, X, seen = settings, arrays[0], {}

    def watch(net, history):  # the penalty, so that the loss can be drawn without it
        weights = (net.params[name] for name in ("W1", "W2"))
        penalty = s["reg"] * sum(float(np.vdot(W, W)) for W in weights)
        history.setdefault("penalty_history", []).append(penalty)
        seen.update(history)

    start = time.perf_counter()
    net = TwoLayerNet(X.shape[1], s["hidden_size"], classes, s["std"], activation=s["activation"],
                      dropout=s["dropout"], dtype=X.dtype, rng=seed)  # fmt: skip
    try:
        history = net.train(*arrays, s["learning_rate"], s["learning_rate_decay"], s["reg"], epochs=epochs,
                            batch_size=s["batch_size"], optimizer=s["optimizer"],
                            callback=watch, **options)  # fmt: skip
        result = {"status": "ok", "epochs": epochs, "history": history, "net": net}
        result.update({key: history[f"{key}_history"][-1] for key in MEASURES})
    except FloatingPointError:
        result = {
            "status": "diverged",
            "history": seen,
            "net": None,
            **dict.fromkeys(MEASURES, math.nan),
        }
    return {**result, "seconds": time.perf_counter() - start}


def _run(executor, task, todo):
    """Yields (trial, result) as the tasks finish; what fails is tried once more, then its result is None."""
    pending, again = {}, set()

    def submit(trial):
        settings = {column: trial[column] for column in SETTINGS.values()}
        pending[executor.submit(_trial, *task, settings, trial["checkpoint"])] = trial

    try:
        for trial in todo:
            submit(trial)
        while pending:
            finished, _ = wait(
                pending, 1, FIRST_COMPLETED
            )  # for a second: Windows hears Ctrl-C in between
            for future in [f for f in pending if f in finished]:  # a set has no order
                trial, result = pending.pop(future), None
                try:
                    result = future.result()
                except BUGS:
                    raise
                except Exception as error:
                    first = trial["trial"] not in again
                    line = f"trial {trial['trial']}: {type(error).__name__}: {error}"
                    line += "; once more" if first else "; given up"
                    print(f"{line:<60}", file=sys.stderr, flush=True)  # over a terminal's line
                    if first:
                        again.add(trial["trial"])
                        submit(trial)
                        continue
                yield trial, result
    finally:
        for future in pending:
            future.cancel()


def _promoted(trials, rung):
    """The best third at the end of a rung, judged by what they were then: some may have gone on since."""

    def rank(t):
        accuracy, loss = (
            t["history"][f"{key}_history"][rung - 1] for key in ("val_acc", "val_loss")
        )
        return -accuracy, loss, t["trial"]

    able = [t for t in trials if t["history"] and len(t["history"]["val_acc_history"]) >= rung]
    return sorted(able, key=rank)[: math.ceil(len(trials) / 3)]


def _rank(trial):
    """Sorts the best trial first and those without a net last; the same for any order of finishing."""
    ok = trial["status"] == "ok"
    return not ok, -trial["val_acc"] if ok else 0, trial["val_loss"] if ok else 0, trial["trial"]


def _public(trials):
    """What the caller gets: the best first, no nets that are of no use, no checkpoints."""
    found = [dict(t) for t in sorted(trials, key=_rank) if t["status"] != "waiting"]
    for trial in found:
        del trial["checkpoint"]
        if trial["status"] != "ok":
            trial.update(history=None, net=None)
    return found


# ---- the folder of a sweep: one process writes it, and each file is whole at any moment


@contextmanager
def _claimed(out, plan):
    """See that the folder is new or holds this very sweep, and keep other processes out of it."""
    path, otherwise = out / "sweep.json", "choose another --out or remove the folder"
    plan = {key: f"{v.low}:{v.high}" if isinstance(v, Range) else v for key, v in plan.items()}
    with ExitStack() as stack:
        if out.exists() and not out.is_dir():
            raise NotADirectoryError(f"out must be a folder, {out} is none")
        out.mkdir(parents=True, exist_ok=True)
        try:
            import fcntl  # not on Windows

            folder = os.open(out, os.O_RDONLY)
            stack.callback(os.close, folder)
            fcntl.flock(
                folder, fcntl.LOCK_EX | fcntl.LOCK_NB
            )  # ends with this process, however that ends
            stack.callback(fcntl.flock, folder, fcntl.LOCK_UN)  # forked workers hold it, too
        except ImportError:
            pass
        except BlockingIOError as error:
            raise OSError(f"{out} is being written by another process") from error
        for name in (*FILES, "trials/[0-9]*"):  # what a process that was killed was about to write
            for rest in out.glob(name + PART):
                rest.unlink()
        if not path.exists():
            others = [other.name for other in out.iterdir() if not other.name.startswith(".")]
            if others:
                raise ValueError(
                    f"{out} has no sweep.json, so no sweep, but {others[0]}: {otherwise}"
                )
            _write(path, json.dumps(plan, indent=1, default=int))
        found = _json(path)
        for key, value in plan.items():
            if found.get(key) != value:
                raise ValueError(
                    f"{out} holds a sweep with {key} {found.get(key)}, not {value}: {otherwise}"
                )
        (out / "trials").mkdir(exist_ok=True)
        yield


def _take_over(out, trials):
    """Fill in what an earlier process has done."""
    by_number = {trial["trial"]: trial for trial in trials}
    for found in _read_trials(out):
        trial = by_number.get(found["trial"], {})
        if any(found[column] != trial.get(column) for column in SETTINGS.values()):
            raise ValueError(
                f"{out / 'trials.csv'}: trial {found['trial']} is not what sweep.json says"
            )
        trial.update(found)
        if trial["status"] == "failed":
            trial["status"] = "ok" if trial["epochs"] else "waiting"
    _keep_best(out, min(trials, key=_rank))


def _keep_best(out, best):
    """Make best.npz the best trial's net, unless it is."""
    if best["net"]:
        path, net = out / "best.npz", _files(out, best)[1].read_bytes()
        if not path.exists() or path.read_bytes() != net:
            _write(path, net)


def _read_trials(out):
    """The rows of trials.csv whose files are there, as dicts, with histories, nets and checkpoints."""
    path, trials = out / "trials.csv", []
    if not path.exists():
        return trials
    try:
        text = path.read_text(encoding="utf-8")
        rows = [
            {name: _parsed(row[name]) for name in COLUMNS}
            for row in csv.DictReader(io.StringIO(text))
        ]
        for row in rows:
            _check_row(row)
        if not text.endswith("\n") or len({row["trial"] for row in rows}) < len(rows):
            raise ValueError("its last line is not whole, or a trial has two")
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} is damaged or was saved by another program ({error!r}); without it all "
                         "trials are trained again") from error  # fmt: skip
    for trial in rows:
        history, net, checkpoint = _files(out, trial)
        keys = [f"{name}_history" for name in ("loss", *MEASURES)]
        trial["history"] = _json(history, *keys) if history.exists() else None
        trial["net"] = TwoLayerNet.load(net) if net.exists() else None
        trial["checkpoint"] = checkpoint.read_bytes() if checkpoint.exists() else b""
        if trial["status"] == "ok":
            if not (trial["history"] and trial["net"]):
                continue
            seen = trial["history"]["val_acc_history"]
            if (
                not isinstance(seen, list)
                or trial["val_acc"] not in seen[trial["epochs"] - 1 :][:1]
            ):
                raise ValueError(f"{history} does not tell of the trial in {path}")
            if trial["net"].hidden_size != trial["hidden_size"]:
                raise ValueError(f"{net} is not the net of the trial in {path}")
        trials.append(trial)
    return trials


def _check_row(row):
    """See that numbers are where they belong; a sweep also compares the settings with its own."""
    if row["status"] not in ("ok", "diverged", "failed"):
        raise ValueError(f"status must be ok, diverged or failed, got {row['status']!r}")
    ok = row["status"] == "ok"
    for name in ("trial", "hidden_size", "epochs"):
        _number(
            name, row[name], "[0, inf)" if name == "epochs" and not ok else "[1, inf)", Integral
        )
    for name in ("learning_rate", "reg", "seconds", *(MEASURES if ok else ())):
        _number(name, row[name], "[0, 1.0001)" if name in ("val_acc", "train_acc") else "[0, inf)")


def _parsed(text):
    for kind in (int, float, str):
        with suppress(ValueError):
            return kind(text)


def _record(out, trials, trial, result):
    """Take a result (None: it failed) into the trial and onto the disk.

    The row in trials.csv is written after the files that it tells of, and what it no longer tells of is
    removed after that, so that whatever is there when this process is killed is true.
    """
    if result is None:
        trial["status"] = "failed"
    else:
        seen = (
            result["history"] or trial["history"]
        )  # none was seen if it went on and diverged at once
        epochs = len(seen["val_acc_history"]) if seen else 0
        seconds = trial["seconds"] + result["seconds"]
        trial.update(
            {"checkpoint": b"", **result, "history": seen, "epochs": epochs, "seconds": seconds}
        )
    if out is None:
        return
    history, net, checkpoint = _files(out, trial)
    if trial["checkpoint"]:
        _write(checkpoint, trial["checkpoint"])
    if trial["net"]:
        trial["net"].save(net)
    if trial["history"]:
        _write(history, json.dumps(trial["history"]))
    best = min(trials, key=_rank)
    _keep_best(out, best)
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(t for t in trials if t["status"] != "waiting")
    _write(out / "trials.csv", table.getvalue())
    for path, wanted in ((net, trial["net"]), (checkpoint, trial["checkpoint"]),
                         (out / "best.npz", best["status"] == "ok")):  # fmt: skip
        if not wanted:
            path.unlink(missing_ok=True)


def _files(out, trial):
    return [
        out / "trials" / f"{trial['trial']:04}{kind}"
        for kind in (".json", ".npz", ".checkpoint.npz")
    ]


def _write(path, content):
    with _replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _json(path, *keys):
    """The dict in a file, which must have these keys."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not found.keys() >= set(keys):
            raise ValueError(f"it must hold a dict with {', '.join(keys) or 'any keys'}")
        return found
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: damaged: {error}") from error


def load_sweep(out):
    """The trials in the folder of a sweep, finished or not, as sweep() returns them.

    FileNotFoundError where there is none; ValueError, naming the file, where one is damaged.
    """
    out = _path("out", out)
    _planned(out)
    return _public(_read_trials(out))


def _planned(out):
    """How many trials the sweep in this folder has."""
    path = out / "sweep.json"
    if not path.exists():
        raise FileNotFoundError(f"there is no sweep in {out}: it has no sweep.json")
    plan = _json(path, "format", "trials")
    if plan["format"] != 1 or type(plan["trials"]) is not int:
        raise ValueError(f"{path}: damaged, or of another version")
    return plan["trials"]


# ---- workers


class WorkerPool(Executor):
    """An executor of local processes that have one BLAS thread each and end with this one.

    A process that dies fails the task that it was at, with BrokenExecutor, and is replaced. `folder` is a
    temporary folder for files of the tasks; it is removed at the end, also when all but one of the processes
    are killed. shutdown(wait=False), like an exception in the `with` block, ends the running tasks at once.
    """

    def __init__(self, workers):
        _number("workers", workers, f"[1, {MOST})", Integral)
        self.folder = Path(tempfile.gettempdir(), f"tune-{secrets.token_hex(8)}")
        self._before = {name: os.environ.get(name) for name in THREADS}
        os.environ.update(
            dict.fromkeys(THREADS, "1")
        )  # before a worker imports numpy, as it is spawned
        self._processes, self._idle = set(), SimpleQueue()
        self._closing, self._lock = threading.Event(), threading.Lock()
        self._threads = ThreadPoolExecutor(workers)
        try:
            # by the threads, as Ctrl-C might stop the main one half-way through the start of a process
            for start in [self._threads.submit(self._start) for _ in range(workers)]:
                self._idle.put(start.result())
            self.folder.mkdir(
                mode=0o700
            )  # now there are processes that will remove it should this one die
        except BaseException:
            self.shutdown(wait=False)
            raise

    def _start(self):
        """A new process and the pipe to it."""
        with self._lock:
            if self._closing.is_set():
                raise BrokenExecutor("the pool is shut down")
            ours, theirs = multiprocessing.Pipe()
            context = multiprocessing.get_context("spawn")
            process = context.Process(target=_work, args=(theirs, str(self.folder)), daemon=True)
            if hasattr(signal, "pthread_sigmask"):  # not on Windows
                resource_tracker.ensure_running()  # which would let the signal through once more
                # inherited: Ctrl-C is for the first process alone, also while the new one imports
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            process.start()
            self._processes.add(process)
            theirs.close()
            return process, ours

    def submit(self, function, /, *args, **kwargs):
        return self._threads.submit(self._run, pickle.dumps((function, args, kwargs)))

    def _run(self, task):
        """What a thread does: have the task done by an idle process; there is one for each thread."""
        process, pipe = self._idle.get()
        try:
            pipe.send_bytes(task)
            result, error, text = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            process.join()
            self._processes.discard(process)
            if self._closing.wait(0.2):  # a signal to all processes ends the workers first
                raise BrokenExecutor("the pool is shut down") from None
            code = process.exitcode
            if code == 1:
                raise ImportError("a worker process could not start, see above; a script must be a file and "
                                  'call sweep() under `if __name__ == "__main__":`') from None  # fmt: skip
            pipe.close()
            process, pipe = self._start()
            what = (
                f"signal {-code}, perhaps for lack of memory" if code < 0 else f"exit code {code}"
            )
            raise BrokenExecutor(f"its worker process died ({what})") from None
        finally:
            self._idle.put((process, pipe))
        if error is not None:
            raise error from RuntimeError(text)
        return result

    def shutdown(self, wait=True, *, cancel_futures=False):
        """End the processes: when all tasks are done, or with wait=False at once."""
        try:
            if not wait:
                self._kill()
            self._threads.shutdown(cancel_futures=cancel_futures or not wait)
            while not self._idle.empty():
                process, pipe = self._idle.get()
                with suppress(OSError):
                    pipe.send_bytes(b"")
                process.join()
                pipe.close()
        except BaseException:  # Ctrl-C while it waits
            self._kill()
            raise
        finally:
            for name, value in self._before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
            shutil.rmtree(self.folder, ignore_errors=True)

    def _kill(self):
        # first, as a second signal may end this process at any moment and killed ones cannot do it
        shutil.rmtree(self.folder, ignore_errors=True)
        with self._lock:
            self._closing.set()
            for process in list(self._processes):  # threads discard those that have died
                process.kill()

    def __exit__(self, kind, *_):
        self.shutdown(wait=kind is None)


def _work(pipe, folder):
    """What a worker process does: the tasks that come, until an empty one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it and ends this one
    tempfile.tempdir = folder

    def follow():  # a process that was killed cannot tell its workers to end
        multiprocessing.parent_process().join()
        for _ in range(50):  # others may be writing to it; Windows does not remove what is in use
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.exists(folder):
                break
            time.sleep(0.1)
        os._exit(1)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        while task := pipe.recv_bytes():
            try:
                function, args, kwargs = pickle.loads(task)
                answer = pickle.dumps((function(*args, **kwargs), None, ""))
            except Exception as error:
                text = f"in the worker:\n{traceback.format_exc()}"
                try:
                    answer = pickle.dumps((None, error, text))
                except Exception:  # as it cannot be sent
                    answer = pickle.dumps((None, RuntimeError(repr(error)), text))
            pipe.send_bytes(answer)
    except (EOFError, OSError):
        follower.join()


# ---- the data, which every process of workers gets once


def _checksum(data):
    """Of all that decides a sweep's results, and the test accuracy that is kept with them."""
    digest = hashlib.sha256(repr(tuple(data.class_names)).encode())
    for part in (*PARTS, "X_test", "y_test"):
        array = np.ascontiguousarray(getattr(data, part))
        digest.update(f"{part} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()[:32]


@contextmanager
def _served(data, host):
    """Serve the arrays; yields the address and the key, which are all that a task carries of them."""
    key, arrays = (
        secrets.token_bytes(32),
        [np.ascontiguousarray(getattr(data, part)) for part in PARTS],
    )
    host = host or _own_address()
    try:
        listener, closing = Listener((host, 0), backlog=100), threading.Event()
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"host must be an address of this machine, got {host!r}: {error}"
        ) from error

    def serve(
        connection,
    ):  # with the key asked for here: one who never answers would hold up the listener
        with connection, suppress(OSError, EOFError, multiprocessing.ProcessError):
            deliver_challenge(connection, key)
            answer_challenge(connection, key)
            for a in arrays:
                connection.send((a.dtype, a.shape))
                connection.send_bytes(memoryview(a).cast("B"))

    def accept():
        while not closing.is_set():
            with suppress(OSError):
                threading.Thread(target=serve, args=(listener.accept(),), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.address, key
    finally:
        closing.set()
        with suppress(OSError):
            Client(listener.address).close()  # wakes it
        listener.close()
        _fetched.clear()  # where the executor's workers are threads


def _own_address(towards="192.0.2.1"):
    """This machine's address on the way to another; the default is one for examples (RFC 5737)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect((towards, 9))  # sends nothing
        return probe.getsockname()[0]
    return "127.0.0.1"


def _written(data, folder):
    """Write the arrays to files: shared memory is often small, 64 MB in a container."""
    try:
        for part in PARTS:
            np.save(folder / f"{part}.npy", getattr(data, part))
    except OSError as error:
        what = f"the workers' data do not fit into {folder.parent} (TMPDIR says where): {error}"
        raise OSError(what) from error
    return folder


_fetched, _fetching = {}, threading.Lock()  # arrays by source, of one source at a time


def _arrays(source):
    """X_train, y_train, X_val, y_val, mapped from a folder's files or fetched from whoever serves them."""
    with _fetching:
        if source not in _fetched:
            _fetched.clear()
            if isinstance(source, Path):
                arrays = [np.load(source / f"{part}.npy", mmap_mode="r") for part in PARTS]
            else:
                address, key = source
                with Client(address, authkey=key) as connection:
                    parts = [(connection.recv(), connection.recv_bytes()) for _ in PARTS]
                arrays = [
                    np.frombuffer(part, dtype).reshape(shape) for (dtype, shape), part in parts
                ]
            _fetched[source] = arrays
        return _fetched[source]


# ---- words


def _outcome(trial):
    return f"{trial['val_acc']:.2%}" if trial["status"] == "ok" else trial["status"]


def _describe(trial, trials):
    """The main settings, the others where they differ among the trials, and the accuracy."""
    text = f"#{trial['trial']:<{len(str(len(trials)))}} hidden {trial['hidden_size']:<4} "
    text += f"lr {trial['learning_rate']:<8g} reg {trial['reg']:<8g}"
    for name, column in list(SETTINGS.items())[3:]:
        words = {str(t[column]) for t in trials}
        if len(words) > 1:
            text += f" {name.replace('_', ' ')} {trial[column]!s:<{max(map(len, words))}}"
    return f"{text} val {_outcome(trial):<8}"


def _announce(trials, trial, count, after, left):
    """Print a finished trial's line and below it, on a terminal only, one that the next call writes over."""
    end = f"best {_outcome(min(trials, key=_rank))}  {int(left) // 60}:{int(left) % 60:02} left"
    line = f"{count}  {_describe(trial, trials)}{after}  {end}"
    if not _on_terminal():
        print(line, flush=True)
    else:
        print(f"{line:<{_width()}}", flush=True)
        _live(f"{count} trials  {end}" if left else "")


def _live(line):
    """On a terminal, a line that the next print writes over."""
    if _on_terminal():
        print(f"{line[: _width()]:<{_width()}}", end="\r", flush=True)


def _on_terminal():
    return sys.stdout is not None and sys.stdout.isatty()  # None: closed by who started this


def _width():
    return (shutil.get_terminal_size().columns or 80) - 1  # Python 3.10 believes those that say 0


# ---- the command line


def report(out, data=None):
    """Print the best trials of the sweep in the folder `out`; bring its pictures and best.npz up to date.

    data : the Dataset or its name, to measure the test accuracy of the best trial, unless best.json has it.
    Returns the exit code: 1 if no trial is ok or if some are missing or failed, else 0.
    """
    out = _path("out", out)
    data = load_dataset(data) if isinstance(data, str) else data
    if not isinstance(data, Dataset | None):
        raise TypeError(
            f"data must be a Dataset, the name of one or None, got {type(data).__name__}"
        )
    trials, planned = load_sweep(out), _planned(out)
    count = len(trials) if len(trials) == planned else f"{len(trials)} (of {planned})"
    print(f"\nbest {min(10, len(trials))} of {count} trials")
    halved = len({t["epochs"] for t in trials if t["status"] == "ok"}) > 1
    for trial in trials[:10]:
        after = f" after {trial['epochs']} epochs" if halved else ""
        print(
            f"  {_describe(trial, trials)} val loss {trial['val_loss']:.4f}{after}  {trial['seconds']:.2f} s"
        )
    failed = sum(trial["status"] == "failed" for trial in trials)
    if failed:
        print(f"{failed} failed: the same command tries them again", file=sys.stderr)
    if not trials or trials[0]["net"] is None:
        if trials and not failed:
            print("every trial diverged: try smaller learning rates", file=sys.stderr)
        return 1

    _keep_best(out, trials[0])
    best = {name: trials[0][name] for name in COLUMNS}
    known = _json(out / "best.json") if (out / "best.json").exists() else {}
    if known.items() >= best.items():
        best = known
        try:
            _number("test_acc", best.get("test_acc"), "[0, 1.0001)")
            _number("test_images", best.get("test_images"), "[1, inf)", Integral)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{out / 'best.json'}: damaged: {error}") from error
    elif data is not None and np.size(data.y_test):
        best["test_acc"] = float(np.mean(trials[0]["net"].predict(data.X_test) == data.y_test))
        best["test_images"] = len(data.y_test)
        _write(out / "best.json", json.dumps(best, indent=1))
    if "test_acc" in best:
        print(
            f"\ntest accuracy of the best: {best['test_acc']:.2%} of {best['test_images']} images"
        )

    paths, table = [out / name for name in PICTURES], (out / "trials.csv").stat()
    if (
        not all(path.exists() and path.stat().st_mtime >= table.st_mtime for path in paths)
        or data is None
    ):
        import vis_utils  # here, because every worker would spend half a second on matplotlib

        vis_utils.plot_sweep(trials, path=paths[0])
        vis_utils.plot_curves(trials, path=paths[1])
        image_shape = load_transform(out / "dataset.npz").image_shape
        vis_utils.show_net_weights(trials[0]["net"], image_shape, path=paths[2])
    print("in", ", ".join(str(out / name) for name in ("trials.csv", "best.npz", *PICTURES)))
    return 1 if failed or len(trials) < planned else 0


def _parser():
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    option = parser.add_argument
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(sweep).parameters.items()
    }
    for name, kind, text in (
        ("hidden", int, "numbers of hidden units, or a range LOW:HIGH"),
        ("lr", float, "learning rates, or a range"),
        ("reg", float, "L2 strengths, or a range"),
        ("activation", str, ", ".join(ACTIVATIONS)),
        ("dropout", float, "probabilities that a hidden unit is dropped, or a range"),
        ("optimizer", str, ", ".join(OPTIMIZERS)),
        ("std", _parsed, "zeros, normal, xavier, he or numbers, or a range"),
        ("batch_size", int, "images a step, or a range"),
        ("decay", float, "the learning rate's factor after each epoch, or a range"),
    ):

        def value(word, kind=kind):
            low, colon, high = word.partition(":")
            try:
                return Range(kind(low), kind(high)) if colon else kind(word)
            except ValueError:
                nouns = "integers" if kind is int else "numbers"
                raise argparse.ArgumentTypeError(
                    f"{nouns} or one range LOW:HIGH, got {word!r}"
                ) from None

        shown = " ".join(v if isinstance(v, str) else f"{v:g}" for v in defaults[name])
        option(f"--{name.replace('_', '-')}", type=value, nargs="+", default=defaults[name],
               metavar=name[0].upper(), help=f"{text} (default: {shown})")  # fmt: skip
    for name, default, text in (
        ("trials", None, "how many to draw (default: 30 with a range, else the whole grid)"),
        ("epochs", defaults["epochs"], "passes over the training images (default: %(default)s)"),
        ("seed", defaults["seed"], "of weights, order of images and draws (default: %(default)s)"),
        ("workers", None, "processes (default: one a core)"),
    ):
        option(f"--{name}", type=int, default=default, metavar="N", help=text)
    option("--halving", action="store_true", help="successive halving: all trials train for epochs / 3**s "
           "epochs, the best third goes on to three times as many, and so on (s: the largest with 3**s <= "
           "trials and 3**s <= epochs)")  # fmt: skip
    option("--dataset", default="mnist5k", metavar="NAME", choices=DATASETS,
           help=f"{', '.join(DATASETS)} (default: %(default)s)")  # fmt: skip
    for name, metavar, text in (
        ("out", "FOLDER", "where results go (default: runs/NAME)"),
        ("dask", "tcp://HOST:PORT", "run the trials on the workers of this dask scheduler"),
        ("host", "HOST", "with --dask: this machine's address, as the workers know it"),
        ("report", "FOLDER", "print and draw what this folder holds; no other option"),
    ):
        option(f"--{name}", type=_not_empty, metavar=metavar, help=text)
    return parser


def _not_empty(word):
    if not word:
        raise argparse.ArgumentTypeError("must not be empty")
    return word


def main(arguments=None):
    parser = _parser()
    given = vars(parser.parse_args(arguments))  # the arguments of sweep(), but for these:
    folder, others = (
        given.pop("report"),
        [name for name in given if given[name] != parser.get_default(name)],
    )
    if folder is not None and others:
        parser.error(f"argument --report: not allowed with --{others[0].replace('_', '-')}")
    dataset, out, dask = (given.pop(name) for name in ("dataset", "out", "dask"))
    out = Path(out or f"runs/{dataset}")
    for name in SETTINGS:
        if any(isinstance(value, Range) for value in given[name]):
            if len(given[name]) > 1:
                parser.error(
                    f"argument --{name.replace('_', '-')}: one range or a list, got {given[name]}"
                )
            given[name] = given[name][0]
    start = time.perf_counter()
    try:
        with ExitStack() as stack:
            _stop_on_signals(stack)
            if folder is not None:
                return report(folder)
            data = load_dataset(dataset)
            if dask is not None:
                given["executor"], scheduler = _dask(dask, stack)
                given["host"] = given["host"] or _own_address(urlsplit(scheduler).hostname)
            sweep(data, **given, out=out)
            print(f"{time.perf_counter() - start:.1f} s")
            return report(out, data)
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # for what Python writes at its end
        return 1
    except (ValueError, TypeError, OSError, ImportError) as error:
        where = (
            "output: " if getattr(error, "errno", None) and not error.filename else ""
        )  # a full disk, say
        parser.exit(2, f"{parser.prog}: error: {where}{error}\n")
    except (KeyboardInterrupt, BrokenExecutor, MemoryError) as error:
        stopped, table = isinstance(error, KeyboardInterrupt), Path(folder or out, "trials.csv")
        done = f"what was done is in {table}" if table.exists() else "no trial was done yet"
        why = "stopped" if stopped else repr(error)
        print(f"\n{why}; {done}, and the same command goes on from there", file=sys.stderr)
        return (*error.args, 130)[0] if stopped else 1


def _stop_on_signals(stack):
    """SIGTERM is like Ctrl-C, and a second signal ends this process at once; its workers follow."""

    def stop(number, frame):
        for name in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(name) is stop:
                signal.signal(name, lambda number, frame: os._exit(128 + number))
        raise KeyboardInterrupt(128 + number)

    for name in (signal.SIGINT, signal.SIGTERM):
        if (
            signal.getsignal(name) != signal.SIG_IGN
        ):  # as where a shell began this in the background
            stack.callback(signal.signal, name, signal.signal(name, stop))


def _dask(address, stack):
    try:
        from distributed import Client as DaskClient
    except ImportError as error:
        raise ImportError(
            "--dask needs dask.distributed: python -m pip install distributed"
        ) from error
    try:
        client = stack.enter_context(DaskClient(address, timeout=10))
    except (OSError, ValueError) as error:
        raise OSError(f"--dask {address}: {error}") from error
    if not client.scheduler_info()["workers"]:
        print(f"waiting for workers at {address}", file=sys.stderr, flush=True)
    return client.get_executor(pure=False), client.scheduler.address


if __name__ == "__main__":
    from tune import (
        main,
    )  # so that what the workers get is tune's, which they can import, not __main__'s

    sys.exit(main())
