"""Find the best hidden size, learning rate and regularization, on all cores or on a cluster.

A trial trains one net, which is judged by its accuracy on the validation rows after the last epoch;
the best net is then scored on the test rows, which decide nothing. By default momentum is 0.9, for
which good rates are about a tenth of plain SGD's, and the rate decays by 0.95 an epoch.

Ctrl-C stops a sweep and the same command resumes it; other lists, ranges or more --trials add to
its folder. Exit codes: 1 if no net learned or the workers died, 2 for a wrong call, a missing file
or package, 130 for Ctrl-C.

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
import sys
import tempfile
import time
import types
import warnings
import zlib
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from datetime import timedelta
from multiprocessing import Pipe, get_context, parent_process
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal
from threading import Thread
from typing import NamedTuple

import numpy as np

from data_utils import DATASETS, PARTS, load_dataset, load_transform
from two_layer_net import ACTIVATIONS, CRITERIA, OPTIMIZERS, TwoLayerNet

HERE = Path(__file__).resolve().parent
# Workers look for this project's modules in the folders of sys.path, too. Its entry for this folder
# may be a relative path, which is wrong after a change of folder; so add the absolute one.
sys.path.insert(0, str(HERE))

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
    kind: object  # a function that makes a value from a text
    default: str  # the values, as they are written in the command
    help: str  # what values there are
    scale: str = "none"  # on which a Range is drawn, "log" or "linear"; names have none


SETTINGS = (
    Setting("hidden_size", "hidden", int, "16 64 256", "numbers of hidden units > 0", "log"),
    Setting("learning_rate", "lr", float, "0.003 0.01 0.03 0.1 0.3 1.0", "rates > 0", "log"),
    Setting("reg", "reg", float, "1e-05 0.0001 0.001 0.01 0.1", "L2 strengths >= 0", "log"),
    Setting("activation", "activation", str, "relu", ", ".join(ACTIVATIONS)),
    Setting("dropout", "dropout", float, "0.0", "shares >= 0 and < 1", "linear"),
    Setting("optimizer", "optimizer", str, "momentum", ", ".join(OPTIMIZERS)),
    Setting("momentum", "momentum", float, "0.9", "numbers >= 0 and < 1", "linear"),
    Setting("std", "std", number_or_name, "he", "numbers, zeros, normal, xavier, he", "log"),
    Setting("batch_size", "batch_size", int, "50", "numbers of rows a step > 0", "log"),
    Setting("learning_rate_decay", "decay", float, "0.95", "factors > 0, <= 1", "linear"),
    Setting("criterion", "criterion", str, "softmax", ", ".join(CRITERIA)),
)
# The settings of the net; the others belong to its training.
NET_SETTINGS = ("hidden_size", "activation", "dropout", "std", "criterion")
# The data that trials need, in the order in which `train` takes them.
TRAINING_PARTS = ("X_train", "y_train", "X_val", "y_val")


# ---- The values of a setting


def values_of(setting, given):
    """What was given for a setting, as a list or a Range of values that the class accepts.

    given: a Range, a list or a single value. From the command come lists of texts, a Range as
    ["LOW:HIGH"].
    """
    try:
        if not isinstance(given, Range):
            given = np.ravel(given).tolist()  # and so a single value becomes a list
            if len(given) == 1 and ":" in str(given[0]):
                given = Range(*given[0].split(":"))
        # Through a text, because int("8.6") is an error, and int(8.6) is 8.
        values = [setting.kind(str(value)) for value in given]
        if not values:
            raise ValueError("there is no value")
        for value in values:
            # Let the class judge it: train a tiny net, on two rows of one number, with classes A
            # and B. Its optimizer is momentum because no other accepts the setting `momentum`.
            settings = {"hidden_size": 1, "optimizer": "momentum", setting.name: value}
            X = np.zeros((2, 1))
            y = [0, 0]
            train_net([X, y, X, y], "AB", settings, seed=0, epochs=1)
        if not isinstance(given, Range):
            return values
        low, high = values
        if (
            setting.scale == "none"
            or not low < high < math.inf
            or (setting.scale == "log" and low <= 0)
        ):
            raise ValueError("LOW must be a number below HIGH; for logarithms above 0")
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
        # Two combinations of a grid may be equal trials, when they differ in nothing but a momentum
        # that is not used: then more combinations are needed. draw_random stops by itself.
        if len(drawn) == trials:
            break
    return drawn


def draw_grid(values, trials, rng):
    """Every combination of the values; in random order if only some of them are wanted."""
    combinations = list(itertools.product(*values.values()))
    if trials:
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
    if setting.scale == "log":
        number = low * (high / low) ** rng.random()  # its logarithm is uniform
    else:
        number = rng.uniform(low, high)
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
    trials: how many to draw at most, 30 by default; without a Range, how many of the combinations.
    halving: True, or k > 1: successive halving (Jamieson and Talwalkar 2016) by 3, or k: all trials
        are trained for a few epochs, the best 1 / k of them for k times as many, and so on.
    seed: of weights, order of rows and draws. The same seed and settings give the same result.
    workers: how many processes, by default one per core.
    client: a distributed.Client or the address of a dask scheduler, to train on its cluster.
    out: folder of the results; what it holds is not trained again.
    verbose: print a line for each trial, with the best accuracy so far and the time left.

    Returns all trials of the folder, best validation accuracy first (of equals, lowest validation
    loss): dicts of "trial" (the name of its files), the settings by the class's names ("momentum"
    is None for other optimizers), "epochs" (done), "status" ("ok" or "diverged"), "val_acc" and
    "train_acc" (0..1), "val_loss" (of the data alone, without the penalty), "history" (that of
    `train`) and "net". If a trial diverged, its net is None and its measures are nan.

    Raises ValueError for settings, data or a folder that do not fit, saying what to do, and
    RuntimeError if workers die and new ones do not help.
    """
    if isinstance(data, str):
        data = load_dataset(data)
    if not len(data.y_val):
        raise ValueError("data has no validation rows, X_val, by which nets are judged")
    halving = halving or 1  # without halving, 1 / 1 of the trials goes on
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
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    if lists:
        raise TypeError(f"sweep has no {', '.join(lists)}; see what its help lists")
    if "momentum" not in values["optimizer"] and values["momentum"] != [0.9]:
        raise ValueError("--momentum is for --optimizer momentum: give both, or neither")
    drawn = draw_trials(values, trials, seed)

    plan = {"epochs": epochs, "halving": halving, "seed": seed}
    with ExitStack() as stack:
        if not verbose:
            stack.enter_context(redirect_stdout(io.StringIO()))
        if out is None:
            out = stack.enter_context(tempfile.TemporaryDirectory())
        folder = Path(out).absolute()
        claim_folder(folder, data, plan)
        try:
            train_all(data, workers, client, folder, drawn, plan)
        finally:
            write_summary(folder)
        return load_sweep(folder)


def train_all(data, workers, client, out, drawn, plan):
    """Train what the folder lacks; when a worker dies, go on with new ones."""
    records = {record["trial"]: record for record in read_records(out)}
    while True:
        # A copy, because `train_rungs` changes records when a trial has been trained.
        before = dict(records)
        if client is None:
            pool = start_processes(data, workers, out)
        else:
            pool = connect_cluster(data, client)
        try:
            # submit(settings, epochs, plan) lets a worker train a net; it returns a future.
            with pool as submit:
                train_rungs(submit, out, drawn, plan, records)
                return
        except BrokenExecutor as error:
            if records == before:
                raise RuntimeError(
                    "the workers died before they had trained a net; "
                    "if memory ran out, try fewer of them, --workers 1"
                ) from error
            say("a worker died; new ones train what is missing")


def train_rungs(submit, out, drawn, plan, records):
    """Train all trials or, with halving, first all a little, then the best of them further."""
    names = drawn  # at first all
    for epochs in rungs(plan["epochs"], plan["halving"], len(drawn)):
        waiting = []
        for name in names:
            record = records.get(name, {"status": "ok", "epochs": 0})
            if record["status"] == "ok" and record["epochs"] < epochs:
                waiting.append(drawn[name])
        say(f"{len(waiting)} of {len(names)} trials to train up to epoch {epochs}")
        # What probably takes longest comes first, so that no worker ends long after the others.
        waiting.sort(key=lambda settings: settings["hidden_size"], reverse=True)
        futures = [submit(settings, epochs, plan) for settings in waiting]
        if futures:
            collect(futures, out, waiting, records)
        names = survivors([records[name] for name in names], epochs, plan["halving"])


def collect(futures, out, waiting, records):
    """Put what becomes of trials into the folder and into `records`, and report it."""
    varied = varied_in(waiting)
    say(f"    {line_of(s.option for s in varied)}   val acc      best     left")
    began = time.perf_counter()
    for count, future in enumerate(as_completed(futures), 1):
        files = future.result()
        # A cluster sends the files; processes of this machine only tell where they are.
        if isinstance(files, str):
            files = read_files(files)
        net, text = files
        record = json.loads(text)
        name = record["trial"]
        write(out / f"trials/{name}.npz", net)
        write(out / f"trials/{name}.json", text)  # last, as it marks the trial as trained
        records[name] = record
        best = min(records.values(), key=rank)
        left = (time.perf_counter() - began) / count * (len(futures) - count)
        say(
            f"{count:>4}{line_of(record[s.name] for s in varied)}"
            f"  {accuracy_of(record):>8}  {accuracy_of(best):>8}"
            f"  {timedelta(seconds=round(left))}"
        )


# ---- Successive halving


def rungs(epochs, k, trials):
    """The epochs up to which to train: all trials, then the best 1 / k of them, and so on.

    rungs(9, 3, 27) is [1, 3, 9]: 27 trials have 1 epoch, 9 go on to 3, 3 to 9. In the first rung a
    trial has at least 1 epoch, in the last there is at least 1 trial. k = 1 is no halving.
    """
    found = [epochs]  # the last rung
    # The rungs before it have 1 / k of these epochs, 1 / k^2 and so on, as long as so small a part
    # of the epochs is at least one epoch, and such a part of the trials at least one trial. With
    # k = 1 that would never end, so part must be more than 1.
    part = k
    while 1 < part <= min(epochs, trials):
        found.insert(0, math.ceil(epochs / part))
        part *= k
    return found


def survivors(trials, epochs, k):
    """The names of the best 1 / k of the trials, as they were after so many epochs.

    trials: dicts as `sweep` returns them. Some may have been trained further by an earlier sweep
    into the same folder. Those that diverged before are out.
    """
    marks = []
    for trial in trials:
        # A trial with fewer epochs has diverged: its history ends with the last good one.
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
    # float32 for X of float32 or of bytes, float64 for X of float64 or of large integers.
    of_net["dtype"] = np.result_type(X, np.float32)
    net = TwoLayerNet(X[0].size, output_size=len(class_names), rng=seed, **of_net)
    # `train` warns of a net that has learned nothing, in the name of the module that called it.
    # Trials are silent: their results tell as much. Both of its warnings begin with these words.
    warnings.filterwarnings("ignore", "nothing was|the steps were", module=__name__)
    try:
        # Where numpy would only warn of an overflow, `train` raises an error.
        with np.errstate(all="ignore"):
            net.train(*arrays, **options)
    except FloatingPointError:
        return net, "diverged"
    return net, "ok"


def train_trial(stem, arrays, class_names, settings, epochs, plan):
    """What a worker does: train a net and write its files, whose names begin with `stem`.

    plan: dict of the "seed", and of "halving", which is 1 without.

    With halving a checkpoint is written, too, from which training goes on in the next rung. It is a
    temporary file: if the sweep was started again, or on a cluster, there is none, and training
    begins with the first epoch, to the same result.
    """
    options = {"epochs": epochs}
    if plan["halving"] > 1:
        options.update(checkpoint=f"{stem}.checkpoint.npz", resume=True)
    net, status = train_net(arrays, class_names, settings, plan["seed"], **options)
    net.save(f"{stem}.npz")
    record = {**settings, "epochs": len(net.history["val_acc_history"]), "status": status}
    for name in ("val_acc", "val_loss", "train_acc"):
        record[name] = net.history[f"{name}_history"][-1] if status == "ok" else math.nan
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
        raise ValueError(f"{path} is damaged, remove it, sweep.json with its folder") from error


def checksum(array):
    return zlib.crc32(np.ascontiguousarray(array))


def claim_folder(out, data, plan):
    """Make the folder, or see that its trials can be compared with the new ones."""
    # Whoever always guesses the commonest label is right on this share of the rows. As a net that
    # has learned nothing may be lucky, it must be right on 0.05 of the other rows, too.
    share = np.bincount(data.y_val).max() / len(data.y_val)
    facts = {
        **plan,
        "checksum of two_layer_net.py": zlib.crc32((HERE / "two_layer_net.py").read_bytes()),
        "accuracy of guessing": 0.05 + 0.95 * share,  # for the report
    }
    for part in PARTS:
        facts[f"checksum of {part}"] = checksum(getattr(data, part))
    path = out / "sweep.json"
    # Another sweep may be making the same folder now. Its sweep.json is written before its other
    # files, so whoever lists the folder first, and looks for sweep.json then, finds it if any of
    # its files were listed.
    strangers = list(out.glob("[!.]*"))  # all but hidden files
    if not path.exists():
        if strangers:
            raise ValueError(f"{strangers[0]} does not belong to a sweep: choose another --out")
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
    data.save_transform(out / "dataset.npz")  # all of a Dataset but its rows and labels


def rank(trial):
    """What trials are sorted by, best first."""
    if trial["status"] == "ok":
        return -trial["val_acc"], trial["val_loss"], trial["trial"]
    return 1, 0, trial["trial"]  # after all others, whose first number is 0 or less


def read_records(out):
    """The trials in the folder, best first, without their nets.

    One without its file .npz, which somebody has removed, is missing: it will be trained again.
    """
    paths = [path for path in out.glob("trials/*.json") if path.with_suffix(".npz").exists()]
    return sorted(map(read_json, paths), key=rank)


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
    trials = read_records(out)
    if not trials:
        raise FileNotFoundError(f"{out} holds no trial of a sweep: give the folder of one")
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
        print(ascii(text))
    except BrokenPipeError:
        # From now on nothing is printed: all goes to the null device.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def varied_in(trials):
    """The settings in which the trials differ. None (momentum of other optimizers) is no value."""
    return [s for s in SETTINGS if len({trial[s.name] for trial in trials} - {None}) > 1]


def line_of(cells):
    line = ""
    for cell in cells:
        if isinstance(cell, float):
            cell = f"{cell:.4g}"
        line += f" {cell!s:>10}"
    return line


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
    varied = varied_in(trials)
    say(
        f"\nthe best {len(shown)} of {len(trials)} trials\n"
        f"{line_of(s.option for s in varied)}   val acc  val loss  epochs"
    )
    for trial in shown:
        say(
            f"{line_of(trial[s.name] for s in varied)}  {accuracy_of(trial):>8}"
            f"  {trial['val_loss']:>8.3g}  {trial['epochs']:>6}"
        )
    # The first is the best. "not >", as its accuracy is nan if all diverged: nan > x is False, and
    # so is nan <= x.
    if not trials[0]["val_acc"] > facts["accuracy of guessing"]:
        say(
            f"no net is better than guessing, up to {facts['accuracy of guessing']:.1%}. "
            "If nets diverged, try a smaller --lr; if not, a larger one, "
            "--optimizer momentum, --std he, more --epochs, --normalize yes"
        )
        return 1
    data = with_test_rows(out, facts, data)
    if len(data.y_test) > 0:
        say(
            "test accuracy of the best: "
            f"{trials[0]['net'].accuracy(data.X_test, data.y_test):.2%} "
            f"of {len(data.y_test)} rows"
        )
    try:
        write_summary(out)  # once more, as a sweep that was killed did not
        draw_pictures(out, trials, data)
        say(f"in {out}: trials.csv, best.npz and pictures")
    except OSError as error:  # the folder may be read-only
        say(f"not everything could be written: {error}")
    return 0


def with_test_rows(out, facts, data):
    """The Dataset that was swept, with its test rows; without any if these cannot be found."""
    swept = load_transform(out / "dataset.npz")
    swept.X_test = []
    swept.y_test = []
    if data is None:
        try:
            data = load_dataset(swept.name, normalize=swept.normalize)
        except (OSError, ValueError):  # it knows no such name, or does not find the files
            data = swept
    # Without test rows at hand, those are empty. That is right if the sweep had none.
    for part in ("X_test", "y_test"):
        if checksum(getattr(data, part)) != facts[f"checksum of {part}"]:
            say("no test: the test rows are not at hand; in Python: tune.report(out, data)")
            return swept
    return data


def draw_pictures(out, trials, data):
    import vis_utils  # here, because workers do not need it

    net = trials[0]["net"]
    X = data.X_test
    y = data.y_test
    shape = data.image_shape
    for name in ("confusion.png", "predictions.png"):  # which may be of an earlier best net
        (out / name).unlink(missing_ok=True)
    vis_utils.plot_sweep(trials, path=out / "sweep.png")
    vis_utils.plot_curves(trials, path=out / "curves.png")
    if len(y) > 0:
        vis_utils.plot_confusion(y, net.predict(X), data.class_names, path=out / "confusion.png")
    if shape is None:
        return
    vis_utils.show_net_weights(net, shape, path=out / "weights.png")
    if len(y) > 0:
        vis_utils.plot_predictions(
            net,
            X,
            y,
            shape,
            images=data.to_pixels(X),
            class_names=data.class_names,
            path=out / "predictions.png",
        )


# ---- Workers: processes of this machine, or a cluster's. What a sweep does can be understood
# without this part. `submit` lets a worker call train_trial. It returns a future. Its result is
# what read_files gives or, from a process of this machine, no more than the stem, because all
# processes of a pool send their results through one pipe: one that is killed while it sends much
# leaves half a result in it, and the pool waits for the other half for ever.

# How many threads BLAS may use: it reads these variables when it is loaded.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


@contextmanager
def start_processes(data, count, out):
    """`submit` for new processes, which map the data from files."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for part in TRAINING_PARTS:
            np.save(f"{folder}/{part}.npy", getattr(data, part))
        # A pipe that only serves to be closed. Each process holds one end, and start_process waits
        # there until ours is closed, by us or because this program was killed. Then it ends the
        # process. By then the pool has given all results, so that it is no error.
        end, our_end = Pipe(duplex=False)
        pool = ProcessPoolExecutor(count, get_context("spawn"), start_process, (end, folder, out))

        def submit(*task):
            # The pool starts processes when it needs them: here.
            with surroundings_of_processes():
                return pool.submit(train_mapped, folder, data.class_names, *task)

        try:
            yield submit
        finally:
            our_end.close()  # ends the processes, in the midst of a trial if need be
            pool.shutdown()


@contextmanager
def surroundings_of_processes():
    """Within this, a new process is given what it needs, and not what it must not have."""
    environment = dict(os.environ)
    # A new process first runs the file of the module __main__, the script that runs here, which
    # would call `sweep` once more, if it has no `if __name__ == "__main__":`. What is put in its
    # place for a moment is a module without a file.
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    # A new process also ignores the signals that this one ignores. Ctrl-C, SIGINT, would make it
    # print a traceback; the pipe ends it.
    handler = signal(SIGINT, SIG_IGN)
    try:
        os.environ.update(dict.fromkeys(THREADS, "1"))
        yield
    finally:
        for name in THREADS:
            del os.environ[name]
        os.environ.update(environment)
        signal(SIGINT, handler)
        sys.modules["__main__"] = script


def start_process(pipe, folder, out):
    """What a new process does first: see to it that it ends when the sweep does."""

    def wait():
        # This raises EOFError when the sweep closes the other end of the pipe, or is killed.
        with suppress(Exception):
            pipe.recv()
        # What the parent was writing when it was killed: see `write`
        for path in out.rglob(f".{parent_process().pid}.part"):
            path.unlink(missing_ok=True)
        # A killed sweep leaves its temporary folder. Several times, as the other processes may
        # write into it until they end
        for _ in range(9):
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def train_mapped(folder, class_names, settings, epochs, plan):
    arrays = [np.load(f"{folder}/{part}.npy", mmap_mode="r") for part in TRAINING_PARTS]
    stem = f"{folder}/{settings['trial']}"
    train_trial(stem, arrays, class_names, settings, epochs, plan)
    return stem


@contextmanager
def connect_cluster(data, client):
    """`submit` for the workers of a dask cluster, which need no copy of this project."""
    import cloudpickle
    import distributed

    with ExitStack() as stack:
        if isinstance(client, str):
            client = stack.enter_context(distributed.Client(client))
        say(f"waiting for workers at {client.scheduler.address}")
        client.wait_for_workers(1)
        work = train_remotely
        # A worker with the process id of this program is a thread of it (processes=False).
        if os.getpid() not in client.run(os.getpid).values():
            # Others do not have the modules of this project. Send them the function as bytes, with
            # all that it calls. `work` is a future then: if it is given to a task as an argument,
            # dask replaces it by its result, the function.
            for name in (__name__, TwoLayerNet.__module__):
                cloudpickle.register_pickle_by_value(sys.modules[name])
                stack.callback(cloudpickle.unregister_pickle_by_value, sys.modules[name])
            work = client.submit(cloudpickle.loads, cloudpickle.dumps(work))
        arrays = client.scatter([getattr(data, part) for part in TRAINING_PARTS], broadcast=True)
        executor = client.get_executor()
        stack.callback(executor.shutdown, wait=False)  # cancels what is still to be done

        # operator.call(f, *a) is f(*a). As an argument, `work` may be a future, too.
        def submit(*task):
            return executor.submit(operator.call, work, arrays, data.class_names, *task)

        try:
            yield submit
        # What the body of a `with` raises is raised here, too. A future's result() raises this one
        # when what a trial needs is lost, such as the data.
        except CancelledError as error:
            # Otherwise dask would print the same in 40 lines.
            logging.getLogger("distributed.client").disabled = True
            raise RuntimeError("the cluster lost its scheduler or workers") from error


def train_remotely(*task):
    with tempfile.TemporaryDirectory() as folder:
        stem = f"{folder}/trial"
        train_trial(stem, *task)
        return read_files(stem)


# ---- The command

PIXELS = """what becomes of pixels of 0..255: 0..1 less the mean image (yes), also
    divided by the standard deviation (standard); 0..255 less the mean image (mean);
    0..255 (no)"""
NORMALIZE = {"yes": True, "standard": "standard", "mean": "mean", "no": False}


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # What is not given is not passed on to `sweep`.
        argument_default=argparse.SUPPRESS,
        conflict_handler="resolve",  # see the loop
    )
    option = parser.add_argument
    for setting in SETTINGS:
        look = {"dest": setting.option, "nargs": "+", "action": "extend"}
        # The names in trials.csv are understood, too, with _ or -, but not shown. For --reg, where
        # name and option are the same, the second call of `option` replaces the first; of
        # --batch_size and --batch-size it replaces one.
        name = f"--{setting.name}"
        option(name, name.replace("_", "-"), help=argparse.SUPPRESS, **look)
        option(f"--{setting.option}", help=f"{setting.help} (default: {setting.default})", **look)
    counts = {
        "--trials": "how many to draw (default: 30, without ranges all)",
        "--epochs": "passes over the data (default: 15)",
        "--seed": "of weights, order and draws (default: 0)",
        "--workers": "processes (default: one per core)",
    }
    for flag, text in counts.items():
        option(flag, type=int, help=text)
    option("--halving", type=int, nargs="?", const=3, help="keep the best 1 in N (N = 3)")
    option("--dataset", default="mnist5k", choices=DATASETS)
    option("--normalize", default="yes", choices=NORMALIZE, help=PIXELS)
    option("--out", help="folder where the results go (default: runs/NAME)")
    option("--dask", dest="client", help="address of a dask scheduler, tcp://HOST:PORT")
    option("--report", help="folder of a sweep, only to print and draw what it holds")
    return parser


def import_pictures():
    """Import matplotlib, which takes a long time, while the workers train."""
    time.sleep(1)  # until they have started
    with suppress(ImportError):  # `report` will raise it again
        import vis_utils  # noqa: F401


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
        Thread(target=import_pictures, daemon=True).start()
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
    # This file again, as a module: a function is sent to workers by its name, and they can find
    # tune.train_mapped, but not __main__.train_mapped, as their __main__ is empty.
    import tune

    sys.exit(tune.main())
