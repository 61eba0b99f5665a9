"""Find the best hidden size, learning rate and regularization, on all cores or on a cluster.

A trial trains one net, which is judged by its accuracy on the validation rows after the last epoch;
the best net is then scored on the test rows, which decide nothing. By default momentum is 0.9, for
which good rates are about a tenth of plain SGD's, and the rate decays by 0.95 an epoch.

Ctrl-C stops a sweep and the same command resumes it; other lists, ranges or more --trials add to
its folder. Exit codes: 1 if no net learned or the workers died, 2 for a wrong call, 130 for Ctrl-C.

  every combination of the lists (with no lists at all: 90 nets on 5,000 digits, half a minute):
    python tune.py --hidden 64 128 --lr 0.03 0.1 0.3 --reg 0 1e-3 --out runs/grid
  settings drawn at random from ranges, then more of them where they were best:
    python tune.py --lr 1e-3:1 --reg 1e-6:1e-2 --activation relu tanh --trials 40 --out runs/random
    python tune.py --lr 0.03:0.3 --reg 1e-4:1e-3 --trials 20 --out runs/random
  successive halving: again and again, only the best third (with --halving 2, half) goes on:
    python tune.py --lr 1e-3:1 --reg 1e-6:1e-2 --trials 27 --halving --out runs/halving
  on a cluster (README.md tells how to start its scheduler and workers):
    python tune.py --dask tcp://THAT:8786
"""

import argparse
import csv
import io
import itertools
import json
import logging
import math
import operator
import os
import shutil
import signal
import sys
import tempfile
import time
import types
import warnings
import zlib
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from multiprocessing import Pipe, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np

from data_utils import DATASETS, PARTS, load_dataset, load_transform
from two_layer_net import ACTIVATIONS, CRITERIA, OPTIMIZERS, TwoLayerNet

HERE = Path(__file__).resolve().parent

# ---- The settings of a trial


class Range(NamedTuple):
    """Bounds to draw between: on a log scale; for dropout, momentum and decay on a linear one."""

    low: float
    high: float


def number_or_name(text):
    try:
        return float(text)
    except ValueError:
        return text


class Setting(NamedTuple):
    """A row of the table below."""

    name: str  # in the class and in the results
    option: str  # in `sweep` and, after --, in the command
    kind: object  # a function that makes a value of a text
    default: str  # the values, as they are written in the command
    help: str  # what values there are
    # On which a Range is drawn, "log" or "linear"; of names there is none.
    scale: str = "none"


SETTINGS = (
    Setting("hidden_size", "hidden", int, "16 64 256", "numbers of units > 0", "log"),
    Setting("learning_rate", "lr", float, "0.003 0.01 0.03 0.1 0.3 1.0", "rates > 0", "log"),
    Setting("reg", "reg", float, "1e-05 0.0001 0.001 0.01 0.1", "L2 strengths >= 0", "log"),
    Setting("activation", "activation", str, "relu", ", ".join(ACTIVATIONS)),
    Setting("dropout", "dropout", float, "0.0", "probabilities >= 0, < 1", "linear"),
    Setting("optimizer", "optimizer", str, "momentum", ", ".join(OPTIMIZERS)),
    Setting("momentum", "momentum", float, "0.9", "numbers >= 0, < 1", "linear"),
    Setting("std", "std", number_or_name, "he", "numbers, zeros, normal, xavier, he", "log"),
    Setting("batch_size", "batch_size", int, "50", "numbers of rows > 0", "log"),
    Setting("learning_rate_decay", "decay", float, "0.95", "factors > 0, <= 1", "linear"),
    Setting("criterion", "criterion", str, "softmax", ", ".join(CRITERIA)),
)
# The settings of the net; the others are of its training.
NET_SETTINGS = ("hidden_size", "activation", "dropout", "std", "criterion")
# Of the data, in `train`'s order
TRAINING_PARTS = ("X_train", "y_train", "X_val", "y_val")


# ---- The values of a setting


def values_of(setting, given):
    """What was given for a setting, as a list or a Range of values that the class accepts.

    given: a Range, a list or a single value. From the command come lists of texts, a Range as
    ["LOW:HIGH"].
    """
    try:
        if not isinstance(given, Range):
            given = np.ravel(given).tolist()
            if len(given) == 1 and ":" in str(given[0]):
                given = Range(*given[0].split(":"))
        values = [setting.kind(str(value)) for value in given]
        if not values:
            raise ValueError("there is no value")
        for value in values:
            # Let the class judge it: train a tiny net, on two rows of one number.
            settings = {"hidden_size": 1, "optimizer": "momentum", setting.name: value}
            train_net([np.zeros((2, 1)), [0, 0]] * 2, "AB", settings, seed=0, epochs=1)
        if not isinstance(given, Range):
            return values
        low, high = values
        if setting.scale == "none" or low >= high or (setting.scale == "log" and low <= 0):
            raise ValueError("LOW must be a number below HIGH and, for its logarithm, above 0")
        return Range(low, high)
    except (TypeError, ValueError) as error:
        flag = f"--{setting.option}"
        how = f"{flag} takes {setting.help}, not {given}. Write {flag} {setting.default}"
        if setting.scale != "none":
            how += f" or, to draw numbers between two, {flag} LOW:HIGH"
        raise ValueError(f"{how}. ({error})") from error


# ---- Drawing trials


def draw_trials(values, trials, seed):
    """The settings of each trial, a dict, by the trial's name.

    values: a list or a Range for each setting, by its name. trials: how many, or None.
    """
    rng = np.random.default_rng(seed)
    draw = draw_grid
    if any(isinstance(those, Range) for those in values.values()):
        draw = draw_random
    drawn = {}
    for settings in draw(values, trials, rng):
        if settings["optimizer"] != "momentum":
            settings["momentum"] = None
        name = "_".join(map(str, settings.values()))  # equal for equal trials
        drawn[name] = {"trial": name, **settings}
        if len(drawn) == trials:
            break
    return drawn


def draw_grid(values, trials, rng):
    """Every combination of the values; in random order if only some of them are wanted."""
    combinations = list(itertools.product(*values.values()))
    if trials is not None:
        rng.shuffle(combinations)
    for combination in combinations:
        yield dict(zip(values, combination, strict=True))


def draw_random(values, trials, rng):
    """Combinations of values that are drawn one by one, 30 unless `trials` is given."""
    for _ in range(trials or 30):
        yield {s.name: draw_value(s, values[s.name], rng) for s in SETTINGS}


def draw_value(setting, values, rng):
    """A value from a list, or a number from a Range, rounded to an integer or to 3 digits."""
    if not isinstance(values, Range):
        return values[rng.integers(len(values))]
    low, high = values
    number = rng.uniform(low, high)
    if setting.scale == "log":
        number = low * (high / low) ** rng.random()
    if setting.kind is int:
        return round(number)
    rounded = float(f"{number:.3g}")
    return min(max(rounded, low), high)


# ---- The sweep


def sweep(
    data,
    *,
    epochs=15,
    trials=None,
    halving=False,
    seed=0,
    workers=None,
    client=None,
    out=None,
    verbose=True,
    **lists,
):
    """Train a net for each combination of settings, or for some that are drawn at random.

    data: a data_utils.Dataset (of load_dataset, load_image_folder or, for your own arrays,
        make_dataset), or the name of one for load_dataset. Its test rows decide nothing.
    lists: hidden, lr, reg, activation, dropout, optimizer, momentum, std, batch_size, decay,
        criterion: each a list of values or a Range(low, high); SETTINGS has the defaults. With any
        Range all settings of a trial are drawn at random; without one every combination is a trial.
        momentum is for the optimizer of that name only.
    trials: how many to draw, 30 by default; without a Range, how many of the combinations.
    halving: True, or k > 1: successive halving (Jamieson and Talwalkar 2016) by 3, or k: all trials
        are trained for a few epochs, the best 1 / k of them for k times as many, and so on.
    seed: of weights, order of rows and draws. The same seed and settings give the same result.
    workers: how many processes, by default one a core.
    client: a distributed.Client or the address of a dask scheduler, to train on its cluster.
    out: folder of the results; a trial that it holds is not trained again.

    Returns all trials of the folder, best validation accuracy first (of equals, lowest validation
    loss): dicts of "trial" (the name of its files), the settings by the class's names ("momentum"
    is None for other optimizers), "epochs" (done), "status" ("ok" or "diverged"), "val_acc" and
    "train_acc" (0..1), "val_loss" (of the data alone, without the penalty), "seconds", "history"
    (that of `train`) and "net". If it diverged, there is no net (None), and the measures are nan.

    Raises ValueError for settings, data or a folder that do not fit, saying what to do, and
    RuntimeError if workers die and new ones do not help.
    """
    if isinstance(data, str):
        data = load_dataset(data)
    if len(data.y_val) == 0:
        raise ValueError("data has no validation rows, X_val, by which nets are judged")
    halving = halving or 1  # all go on
    if halving is True:
        halving = 3
    counts = {"epochs": epochs, "halving": halving, "trials": trials, "workers": workers}
    for name, count in counts.items():
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ValueError(f"{name} must be an integer of at least 1, got {count!r}")
    values = {}
    for setting in SETTINGS:
        values[setting.name] = values_of(
            setting, lists.pop(setting.option, setting.default.split())
        )
    if lists:
        raise TypeError(f"sweep has no {', '.join(lists)}; see what its help lists")
    if "momentum" not in values["optimizer"] and values["momentum"] != [0.9]:
        raise ValueError("--momentum is for --optimizer momentum: give both, or neither")
    drawn = draw_trials(values, trials, seed)

    plan = {"epochs": epochs, "halving": halving, "seed": seed}

    with ExitStack() as stack:
        if out is None:
            out = stack.enter_context(tempfile.TemporaryDirectory())
        folder = Path(out).absolute()

        def start_workers():
            if client is None:
                return start_processes(data, workers, folder)
            return connect_cluster(data, client)

        claim_folder(folder, data, plan)
        try:
            train_all(start_workers, folder, drawn, plan, verbose)
        finally:
            write_summary(folder)
        return load_sweep(folder)


def train_all(start_workers, out, drawn, plan, verbose):
    """Train what the folder lacks; when a worker dies, go on with new ones."""
    records = {record["trial"]: record for record in read_records(out)}
    while True:
        before = dict(records)  # `train_rungs` adds to records
        try:
            with start_workers() as submit:
                train_rungs(submit, out, drawn, plan, records, verbose)
                return
        except BrokenExecutor as error:
            if records == before:
                raise RuntimeError(
                    "the workers died before they had trained a net; "
                    "if memory ran out, try fewer of them, --workers 1"
                ) from error
            say("a worker died; new ones train what is missing")


def train_rungs(submit, out, drawn, plan, records, verbose):
    """Train all trials or, with halving, first all a little, then the best of them further."""
    names = drawn
    for epochs in rungs(plan["epochs"], plan["halving"], len(drawn)):
        waiting = []
        for name in names:
            record = records.get(name, {"status": "ok", "epochs": 0})
            if record["status"] == "ok" and record["epochs"] < epochs:
                waiting.append(drawn[name])
        if verbose:
            say(f"{len(waiting)} of {len(names)} trials to train up to epoch {epochs}")
        # What takes longest comes first, so that no worker ends long after the others.
        waiting.sort(key=lambda settings: settings["hidden_size"], reverse=True)
        futures = [submit(settings, plan["seed"], epochs, plan["halving"]) for settings in waiting]
        if futures:
            collect(futures, out, waiting, records, verbose)
        names = survivors([records[name] for name in names], epochs, plan["halving"])


def collect(futures, out, waiting, records, verbose):
    """Put what becomes of trials into the folder and into `records`, and tell it."""
    varied = varied_in(waiting)
    if verbose:
        say(f"    {line_of(s.option for s in varied)}   val acc     best     left")
    began = time.perf_counter()
    for count, future in enumerate(as_completed(futures), 1):
        futures.remove(future)  # and so the memory that it takes
        files = future.result()
        if isinstance(files, str):  # a stem: see "Workers" below
            files = read_files(files)
        net, text = files
        record = json.loads(text)
        name = record["trial"]
        write(out / f"trials/{name}.npz", net)
        write(out / f"trials/{name}.json", text)  # last, as it marks the trial as trained
        records[name] = record
        best = min(records.values(), key=rank)
        left = (time.perf_counter() - began) / count * len(futures)
        if verbose:
            say(
                f"{count:>4}{line_of(record[s.name] for s in varied)}"
                f"  {accuracy_of(record):>8}  {accuracy_of(best):>7}"
                f"  {timedelta(seconds=round(left))}"
            )


# ---- Successive halving


def rungs(epochs, k, trials):
    """The epochs up to which to train: all trials, then the best 1 / k of them, and so on.

    rungs(9, 3, 27) is [1, 3, 9]: 27 trials have 1 epoch, 9 go on to 3, 3 to 9. In the first rung a
    trial has at least 1 epoch, in the last there is at least 1 trial. k = 1 is no halving.
    """
    found = [epochs]
    while k > 1 and k ** len(found) <= min(epochs, trials):
        found.insert(0, math.ceil(epochs / k ** len(found)))
    return found


def survivors(trials, epochs, k):
    """The names of the best 1 / k of the trials, as they were after so many epochs.

    trials: dicts as `sweep` returns them. Some may have been trained further by an earlier sweep
    into the same folder. Those that diverged before are out.
    """
    marks = []
    for trial in trials:
        if trial["epochs"] >= epochs:
            accuracy = trial["history"]["val_acc_history"][epochs - 1]
            loss = trial["history"]["val_loss_history"][epochs - 1]
            marks.append((-accuracy, loss, trial["trial"]))
    return [mark[2] for mark in sorted(marks)[: math.ceil(len(trials) / k)]]


# ---- Training one trial


def train_net(arrays, class_names, settings, seed, **options):
    """Train a new net; returns it, and "ok" or "diverged".

    arrays: X_train, y_train, X_val, y_val. options: further ones for `train`.
    """
    X = arrays[0]
    of_net = {}
    for name, value in settings.items():
        if name in NET_SETTINGS:
            of_net[name] = value
        elif name != "trial" and value is not None:
            options[name] = value
    of_net["dtype"] = np.result_type(X, np.float32)  # float32 if it can hold X, else float64
    net = TwoLayerNet(X[0].size, output_size=len(class_names), rng=seed, **of_net)
    # Trials are silent: their results tell what went wrong. (The warnings are ascribed to this
    # module, which calls `train`.)
    warnings.filterwarnings("ignore", "nothing was|the steps were", module=__name__)
    try:
        with np.errstate(all="ignore"):
            net.train(*arrays, **options)
    except FloatingPointError:
        return net, "diverged"
    return net, "ok"


def train_trial(stem, arrays, class_names, settings, seed, epochs, halving):
    """What a worker does: train a net and write its files, whose names begin with `stem`.

    With halving a checkpoint is written, too, and training goes on from the one that is there.
    """
    began = time.perf_counter()
    options = {"epochs": epochs}
    if halving > 1:
        options.update(checkpoint=f"{stem}.checkpoint.npz", resume=True)
    net, status = train_net(arrays, class_names, settings, seed, **options)
    net.save(f"{stem}.npz")
    record = {**settings, "epochs": len(net.history["val_acc_history"]), "status": status}
    for name in ("val_acc", "val_loss", "train_acc"):
        record[name] = net.history[f"{name}_history"][-1] if status == "ok" else math.nan
    record["seconds"] = time.perf_counter() - began
    record["history"] = net.history
    Path(f"{stem}.json").write_text(json.dumps(record))


def read_files(stem):
    """The contents of the two files that `train_trial` has written: the net's, the record's."""
    return Path(f"{stem}.npz").read_bytes(), Path(f"{stem}.json").read_bytes()


# ---- The folder


def write(path, content):
    """Write a file, which stays as it is until the new one is whole."""
    part = path.with_name(f".{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_json(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged, remove it: {error}") from error


def checksum(array):
    return zlib.crc32(np.ascontiguousarray(array))


def claim_folder(out, data, plan):
    """Make the folder, or see that its trials can be compared with the new ones."""
    share = np.bincount(data.y_val).max() / len(data.y_val)  # of the commonest label
    facts = {
        **plan,
        "checksum of two_layer_net.py": zlib.crc32((HERE / "two_layer_net.py").read_bytes()),
        # More than share, as nets may be lucky
        "accuracy of guessing": 0.95 * share + 0.05,
    }
    for part in PARTS:
        facts[f"checksum of {part}"] = checksum(getattr(data, part))
    path = out / "sweep.json"
    strangers = list(out.glob("[!.]*"))  # all but hidden files
    # Only now, because another sweep may be making the same folder.
    if not path.exists():
        if strangers:
            raise ValueError(f"{strangers[0]} is not of a sweep: choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps(facts).encode())
    found = read_json(path)
    for name, value in facts.items():
        if found.get(name) != value:
            raise ValueError(
                f"{out} was made with {name} {found.get(name)}, this is {value}: "
                "choose another --out, or remove the folder"
            )
    (out / "trials").mkdir(exist_ok=True)
    data.save_transform(out / "dataset.npz")


def rank(trial):
    """What trials are sorted by, best first."""
    if trial["status"] == "ok":
        return -trial["val_acc"], trial["val_loss"], trial["trial"]
    return 1, 0, trial["trial"]  # after all others, whose first number is 0 or less


def read_records(out):
    """The trials in the folder, best first, without their nets."""
    return sorted([read_json(path) for path in out.glob("trials/*.json")], key=rank)


def write_summary(out):
    """Write trials.csv and best.npz, which follow from the files of the trials."""
    trials = read_records(out)
    if not trials:
        return
    columns = [key for key in trials[0] if key != "history"]
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore")
    table.writeheader()
    table.writerows(trials)
    write(out / "trials.csv", text.getvalue().encode())
    if trials[0]["status"] == "ok":
        net = out / f"trials/{trials[0]['trial']}.npz"
        write(out / "best.npz", net.read_bytes())


def load_sweep(out):
    """The trials in the folder of a sweep, finished or not, as `sweep` returns them."""
    out = Path(out)
    if not (out / "sweep.json").exists():
        raise FileNotFoundError(f"{out} holds no sweep; --out {out} would make one")
    trials = read_records(out)
    for trial in trials:
        path = out / f"trials/{trial['trial']}.npz"
        trial["net"] = TwoLayerNet.load(path) if trial["status"] == "ok" else None
    return trials


# ---- The report, and what else is printed


def say(text):
    """Print, but let neither a closed pipe, as of `| head`, nor an old console end a sweep."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        print(ascii(text), flush=True)
    except BrokenPipeError:
        # From now on nothing is printed: all goes to the null device.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def varied_in(trials):
    """The settings in which the trials differ. None stands for the momentum of no momentum."""
    return [s for s in SETTINGS if len({trial[s.name] for trial in trials} - {None}) > 1]


def line_of(cells):
    return "".join(f" {cell!s:>10}" for cell in cells)


def accuracy_of(trial):
    if trial["status"] == "diverged":
        return "diverged"
    return f"{trial['val_acc']:.2%}"


def report(out, data=None):
    """Print the best trials in a sweep's folder, test the best net, draw; returns the exit code.

    data: the Dataset that was swept, for the test; not needed if load_dataset finds it by its name.
        Its test rows are compared with the checksums in the folder.
    If no net is better than guessing, says what to try and returns 1. Raises FileNotFoundError if
    the folder holds no sweep.
    """
    out = Path(out)
    trials = load_sweep(out)
    facts = read_json(out / "sweep.json")
    shown = trials[:10]
    varied = varied_in(shown)
    say(
        f"\nthe best {len(shown)} of {len(trials)} trials\n"
        f"{line_of(s.option for s in varied)}   val acc  val loss  epochs"
    )
    for trial in shown:
        say(
            f"{line_of(trial[s.name] for s in varied)}  {accuracy_of(trial):>8}"
            f"  {trial['val_loss']:>#8.3g}  {trial['epochs']:>6}"
        )
    if not any(trial["val_acc"] > facts["accuracy of guessing"] for trial in shown):
        say(
            f"no net is better than guessing, which can reach {facts['accuracy of guessing']:.1%}. "
            "If nets diverged, try a smaller --lr; if not, a larger one, --optimizer momentum, "
            "--std he, more --epochs, --normalize yes"
        )
        return 1
    data = with_test_rows(out, facts, data)
    if len(data.y_test) > 0:
        say(
            f"test accuracy of the best: {trials[0]['net'].accuracy(data.X_test, data.y_test):.2%}"
            f" of {len(data.y_test)} rows"
        )
    try:
        write_summary(out)
        draw_pictures(out, trials, data)
        say(f"in {out}: trials.csv, best.npz and pictures")
    except OSError as error:  # the folder may be read-only
        say(f"nothing is written: {error}")
    return 0


def with_test_rows(out, facts, data):
    """The Dataset that was swept, with its test rows if they can be had, without others."""
    swept = load_transform(out / "dataset.npz")
    swept.y_test = ()
    try:
        if data is None:
            data = load_dataset(swept.name, normalize=swept.normalize)
        for part in ("X_test", "y_test"):
            if checksum(getattr(data, part)) != facts[f"checksum of {part}"]:
                raise ValueError
        swept.X_test = data.X_test
        swept.y_test = data.y_test
    except (OSError, ValueError):
        # The data are others; or load_dataset knows no such name, or does not find its files.
        say("no test: the test rows are not at hand; in Python: tune.report(out, data)")
    return swept


def draw_pictures(out, trials, data):
    import vis_utils  # here, because it takes long, and workers do not need it

    net = trials[0]["net"]
    X = data.X_test
    y = data.y_test
    shape = data.image_shape
    vis_utils.plot_sweep(trials, path=out / "sweep.png")
    vis_utils.plot_curves(trials, path=out / "curves.png")
    if len(y) > 0:
        path = out / "confusion.png"
        vis_utils.plot_confusion(y, net.predict(X), data.class_names, path=path)
    if shape is None:
        return
    vis_utils.show_net_weights(net, shape, path=out / "weights.png")
    if len(y) > 0:
        look = {"images": data.to_pixels(X), "class_names": data.class_names}
        vis_utils.plot_predictions(net, X, y, shape, path=out / "predictions.png", **look)


# ---- Workers: processes of this machine, or a cluster's. What a sweep does can be understood
# without this part. `submit` lets a worker call train_trial. The future that it returns results in
# what read_files gives or, if the files are on this machine, in their stem.

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def start_processes(data, count, out):
    """`submit` for new processes, which map the data from files."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        files = []
        for part in TRAINING_PARTS:
            files.append(f"{folder}/{part}.npy")
            np.save(files[-1], getattr(data, part))
        end, our_end = Pipe(duplex=False)
        pool = ProcessPoolExecutor(count, get_context("spawn"), start_process, (end, folder, out))

        def submit(settings, *task):
            stem = f"{folder}/{settings['trial']}"
            with surroundings_of_processes():
                return pool.submit(train_mapped, stem, files, data.class_names, settings, *task)

        try:
            yield submit
        finally:
            our_end.close()  # ends the processes, in the midst of a trial if need be
            pool.shutdown()


@contextmanager
def surroundings_of_processes():
    """Within this, a new process is given what it needs, and not what it must not have."""
    environ = dict(os.environ)
    for name in THREADS:
        os.environ[name] = "1"  # BLAS reads it when it is loaded
    sys.path.insert(0, str(HERE))
    # A new process imports the script that runs here, which would call `sweep` once more.
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        sys.path.remove(str(HERE))
        for name in THREADS:
            del os.environ[name]
        os.environ.update(environ)


def start_process(pipe, folder, out):
    """What a new process does first: see to it that it ends when the sweep does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback

    def wait():
        # Ends when the sweep closes the other end of the pipe, or is killed.
        with suppress(EOFError, OSError):
            pipe.recv()
        with suppress(OSError):
            for path in out.rglob(f".{parent_process().pid}.part"):  # see `write`
                path.unlink()
        for _ in range(9):  # as other processes may still be writing into it
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def train_mapped(stem, files, *task):
    arrays = [np.load(file, mmap_mode="r") for file in files]
    train_trial(stem, arrays, *task)
    return stem


@contextmanager
def connect_cluster(data, client):
    """`submit` for the workers of a dask cluster, which need no copy of this project."""
    import cloudpickle
    import distributed

    with ExitStack() as stack:
        if isinstance(client, str):
            client = stack.enter_context(distributed.Client(client, timeout=10))
        say(f"waiting for workers at {client.scheduler.address}")
        client.wait_for_workers(1)
        work = train_remotely
        if os.getpid() not in client.run(os.getpid).values():
            # They have no module tune: send the function itself, with all that it calls.
            for name in (__name__, TwoLayerNet.__module__):
                cloudpickle.register_pickle_by_value(sys.modules[name])
                stack.callback(cloudpickle.unregister_pickle_by_value, sys.modules[name])
            work = client.submit(cloudpickle.loads, cloudpickle.dumps(work))
        arrays = client.scatter([getattr(data, part) for part in TRAINING_PARTS], broadcast=True)
        executor = client.get_executor()
        stack.callback(executor.shutdown, wait=False)  # cancels what is still to be done

        def submit(*task):
            return executor.submit(operator.call, work, arrays, data.class_names, *task)

        try:
            yield submit
        except CancelledError as error:
            # Otherwise it would tell the same in 40 lines.
            logging.getLogger("distributed.client").disabled = True
            raise RuntimeError("the cluster lost its scheduler or workers") from error


def train_remotely(*task):
    with tempfile.TemporaryDirectory() as folder:
        stem = f"{folder}/trial"
        train_trial(stem, *task)
        return read_files(stem)


# ---- The command

NORMALIZE = {"yes": True, "standard": "standard", "mean": "mean", "no": False}


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        conflict_handler="resolve",  # of two options of one name, the later one counts
    )
    option = parser.add_argument
    for setting in SETTINGS:
        look = {"dest": setting.option, "nargs": "+", "action": "extend"}
        # The names in trials.csv are understood, too, with _ or -, but not shown.
        for name in (setting.name, setting.name.replace("_", "-")):
            option(f"--{name}", help=argparse.SUPPRESS, **look)
        option(f"--{setting.option}", help=f"{setting.help} (default: {setting.default})", **look)
    counts = {
        "--trials": "how many to draw (default: 30, without ranges all)",
        "--epochs": "passes over the data (default: 15)",
        "--seed": "of weights, order and draws (default: 0)",
        "--workers": "processes (default: one a core)",
    }
    for flag, text in counts.items():
        option(flag, type=int, help=text)
    option("--halving", type=int, nargs="?", const=3, help="1 of so many goes on (of 3)")
    option("--dataset", default="mnist5k", choices=DATASETS)
    option("--normalize", default="yes", choices=NORMALIZE, help="pixels: see README.md")
    option("--out", help="folder where the results go (default: runs/NAME)")
    option("--dask", dest="client", help="address of a dask scheduler, tcp://HOST:PORT")
    option("--report", help="folder of a sweep, only to print and draw what it holds")
    return parser


def main(arguments=None):
    """The command; returns its exit code."""
    given = vars(make_parser().parse_args(arguments))
    dataset = given.pop("dataset")
    out = given.setdefault("out", f"runs/{dataset}")
    kept = f"{out} keeps what was done, the same command resumes it"
    try:
        if "report" in given:
            return report(given["report"])
        data = load_dataset(dataset, normalize=NORMALIZE[given.pop("normalize")])
        # matplotlib takes long to import: do it while the workers train.
        Thread(target=__import__, args=["vis_utils"], daemon=True).start()
        sweep(data, **given)
        return report(out, data)
    except KeyboardInterrupt:
        print(f"\nstopped; {kept}", file=sys.stderr)
        return 130
    except RuntimeError as error:
        print(f"{error}; {kept}", file=sys.stderr)
        return 1
    except (ImportError, OSError, ValueError) as error:
        if isinstance(error, ImportError):
            error = f"{error}: python -m pip install {error.name}"
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    import tune  # this file as a module, whose functions workers find by their names

    sys.exit(tune.main())
