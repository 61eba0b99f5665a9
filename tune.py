"""Find the best hidden size, learning rate and regularization, on all cores or on a cluster.

A trial trains one net and is judged by its accuracy on the validation rows after the last epoch;
the best net is then scored on the test images. By default, momentum is 0.9 (so that rates are about
a tenth of plain SGD's), weights are He's, batches are of 50, and the rate decays by 0.95 an epoch.

Ctrl-C stops a sweep, the same command resumes it; other lists, ranges or more --trials add to its
folder. Exit codes: 1 if all trials diverged or workers died, 2 for a wrong call, 130 for Ctrl-C.

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
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
import zlib
from collections import namedtuple
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing import Pipe, get_context
from pathlib import Path
from threading import Thread

import numpy as np

from data_utils import DATASETS, PARTS, load_dataset, load_transform
from two_layer_net import ACTIVATIONS, OPTIMIZERS, TwoLayerNet

SETTINGS = {  # the class's name: `sweep`'s name, type, help
    "hidden_size": ("hidden", int, "numbers of hidden units (default: 16 64 256)"),
    "learning_rate": ("lr", float, "learning rates (default: 0.003 0.01 0.03 0.1 0.3 1.0)"),
    "reg": ("reg", float, "L2 strengths (default: 1e-05 0.0001 0.001 0.01 0.1)"),
    "activation": ("activation", str, f"{', '.join(ACTIVATIONS)} (default: relu)"),
    "dropout": ("dropout", float, "probabilities that a hidden unit is dropped (default: 0.0)"),
    "optimizer": ("optimizer", str, f"{', '.join(OPTIMIZERS)} (default: momentum)"),
    "std": ("std", lambda s: s if str(s).isalpha() else float(s), "initial weights (default: he)"),
    "batch_size": ("batch_size", int, "images a step (default: 50)"),
    "learning_rate_decay": ("decay", float, "the rate's factor after an epoch (default: 0.95)"),
}
LINEAR = ("dropout", "learning_rate_decay")  # drawn uniformly; other ranges log-uniformly
MEASURES = ("val_acc", "val_loss", "train_acc")
COLUMNS = ("trial", *SETTINGS, "epochs", "status", *MEASURES, "seconds")
TRAINING = ("X_train", "y_train", "X_val", "y_val")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
Range = namedtuple("Range", ("low", "high"))
Range.__doc__ = "Bounds to draw between: log-uniformly, but dropout and decay uniformly."


def sweep(
    data,
    hidden=(16, 64, 256),
    lr=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    reg=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    *,
    activation=("relu",),
    dropout=(0.0,),
    optimizer=("momentum",),
    std=("he",),
    batch_size=(50,),
    decay=(0.95,),
    epochs=15,
    trials=None,
    halving=False,
    seed=0,
    workers=None,
    client=None,
    out=None,
    verbose=True,
):
    """Train a net for each combination of settings, or for some drawn at random.

    data: a data_utils.Dataset or the name of one; its test rows decide nothing.
    hidden ... decay: lists of values, or a Range(low, high). With any Range all settings of a trial
        are drawn at random; without one, every combination is a trial.
    trials: how many to draw, default 30; without a Range, how many of the combinations.
    halving: True, or k > 1: successive halving (Jamieson and Talwalkar 2016) by 3, or k: all train
        for ceil(epochs / k**s) epochs, the best 1 / k goes on to ceil(epochs / k**(s - 1)), and so
        on; s is the largest number with k**s <= epochs and k**s <= the number of trials.
    seed: of weights, order of rows and draws. The same seed and settings give the same result.
    workers: processes, default one a core; guard a script's call by `if __name__ == "__main__":`.
    client: a distributed.Client or the address of a dask scheduler, to train on its cluster.
    out: folder of the results; a trial that it holds is not trained again.

    Returns all trials of the folder, best validation accuracy first (then lowest validation loss):
    dicts of "trial" (the name of its files), the settings by the class's names, "epochs" (done),
    "status" ("ok" or "diverged"), "val_acc" and "train_acc" in 0..1 and "val_loss" (nan if it
    diverged; without the penalty), "seconds", "history" (that of `train`), "net" (None if it
    diverged). ValueError: wrong settings, or an unfit folder.
    """
    data = load_dataset(data) if isinstance(data, str) else data
    given = (hidden, lr, reg, activation, dropout, optimizer, std, batch_size, decay)
    lists = {name: _values(name, values) for name, values in zip(SETTINGS, given, strict=True)}
    drawn = _draw(lists, trials, seed)
    k = 3 if halving is True else int(halving or 1)  # 1: all go on
    if min(len(drawn), epochs, len(data.y_val), k, 1 if trials is None else trials) < 1:
        raise ValueError("trials, epochs, halving and validation rows must be at least 1")
    plan = {"epochs": int(epochs), "halving": k, "seed": int(seed)}
    with tempfile.TemporaryDirectory(prefix="tune-") as folder:
        for settings in drawn.values():  # so that the class refuses wrong settings at once
            tiny = [np.ones((2, 1)), np.zeros(2, int)] * 2
            _trial(Path(folder, ".tiny"), tiny, 1, settings, seed, 1)
        folder = Path(out or folder)
        _claim(folder, data, plan)
        for attempt in range(3):
            try:
                with _cluster(data, client) if client else _processes(data, workers) as submit:
                    _train_missing(submit, folder, drawn, plan, verbose)
                return load_sweep(folder)
            except BrokenExecutor:
                if attempt == 2:
                    raise
                print("a worker died, new ones train what is missing", file=sys.stderr, flush=True)


def _values(setting, values):
    """The values of a setting, of its kind: a list or a Range."""
    values = values if isinstance(values, Range) else np.ravel(values).tolist()
    name, kind, _ = SETTINGS[setting]
    if kind is not str and len(values) == 1 and ":" in str(values[0]):
        values = Range(*values[0].split(":", 1))
    found = [round(float(value)) if kind is int else kind(value) for value in values]
    if not all(isinstance(value, str) or value >= (kind is int) for value in found):
        raise ValueError(f"{name} must not be negative, and an integer at least 1, got {found}")
    bounds = isinstance(values, Range)
    if bounds and not (found[0] < found[1] and (found[0] > 0 or setting in LINEAR)):
        raise ValueError(f"{name}: LOW:HIGH needs LOW < HIGH and, for its logarithm, 0 < LOW")
    return Range(*found) if bounds else found


def _draw(lists, trials, seed):
    """The settings of each trial by its name, which joins them; drawn numbers have 3 digits."""
    rng, drawn = np.random.default_rng(seed), [*itertools.product(*lists.values())]

    def draw(setting, values):
        if not isinstance(values, Range):
            return values[rng.integers(len(values))]
        number = rng.uniform(*values) if setting in LINEAR else np.exp(rng.uniform(*np.log(values)))
        return round(number) if SETTINGS[setting][1] is int else float(f"{number:.3g}")

    if any(isinstance(values, Range) for values in lists.values()):
        drawn = [[draw(*item) for item in lists.items()] for _ in range(trials or 30)]
    elif trials:
        drawn = [drawn[i] for i in rng.permutation(len(drawn))[:trials]]
    named = [{"trial": "_".join(map(str, d)), **dict(zip(lists, d, strict=True))} for d in drawn]
    return {settings["trial"]: settings for settings in named}


def _train_missing(submit, out, drawn, plan, verbose):
    """Train the drawn trials that the folder does not hold, with halving only the best of them."""
    epochs, k, alive, spent = plan["epochs"], plan["halving"], [*drawn], 0
    found = [_read(path) for path in (out / "trials").glob("*.json")]
    records, rungs, began = {r["trial"]: r for r in found}, [epochs], time.perf_counter()
    while k > 1 and k ** len(rungs) <= min(epochs, len(drawn)):
        rungs.insert(0, -(-epochs // k ** len(rungs)))  # rounded up
    say = print if verbose else lambda *_, **__: None
    for i, rung in enumerate(rungs):
        futures, cost = {}, {}  # the cost of a trial is about in proportion to its seconds
        for name in sorted(alive, key=lambda name: -drawn[name]["hidden_size"]):  # longest first
            before = records.get(name, {"status": "ok", "epochs": 0, "seconds": 0})
            if before["status"] == "ok" and before["epochs"] < rung:
                task = drawn[name], plan["seed"], rung, k > 1, before["seconds"]
                futures[submit((out / "trials" / name).absolute(), *task)] = name
                cost[name] = drawn[name]["hidden_size"] * (rung - before["epochs"])
        say(f"{len(futures)} of {len(alive)} trials to train up to epoch {rung}", flush=True)
        for count, future in enumerate(as_completed(futures), 1):
            name = futures[future]
            for file, content in (future.result() or {}).items():
                _write(out / "trials" / file, content)
            records[name] = _read(out / "trials" / f"{name}.json")
            best = _summarize(out, records.values())
            spent += cost.pop(name)
            ahead = sum(cost.values()) + (len(rungs) - 1 - i) * spent / (i + 1)  # rungs cost alike
            left = int((time.perf_counter() - began) / spent * ahead)
            line = f"{count}/{len(futures)}  {_describe(records[name], drawn.values())}  best"
            say(f"{line} {best['val_acc']:.2%}  {left // 60}:{left % 60:02} left", flush=True)
        marks = []  # at this rung, also of trials that were trained further before
        for name in alive:
            acc, loss = (records[name]["history"][f"{m}_history"] for m in MEASURES[:2])
            marks += [(-acc[rung - 1], loss[rung - 1], name)] if len(acc) >= rung else []
        alive = [name for *_, name in sorted(marks)[: -(-len(alive) // k)]]
    _summarize(out, records.values())  # which a sweep that was killed may have left undone


def _trial(stem, arrays, classes, settings, seed, epochs, halving=False, seconds=0.0):
    """What a worker does: train a net and write the trial's files, whose names begin with stem."""
    began, status = time.perf_counter(), "diverged"
    X, *others = (np.load(a, mmap_mode="r") if isinstance(a, str) else a for a in arrays)
    of_net = {name: settings[name] for name in ("hidden_size", "std", "activation", "dropout")}
    options = {name: settings[name] for name in SETTINGS if name not in of_net}
    options |= {"checkpoint": f"{stem}.checkpoint.npz", "resume": True} if halving else {}
    net = TwoLayerNet(X.shape[1], output_size=classes, dtype=X.dtype, rng=seed, **of_net)
    with suppress(FloatingPointError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing was learned: its accuracy says so
        net.train(X, *others, **options, epochs=epochs)
        net.save(f"{stem}.npz")
        status = "ok"
    ends = {m: net.history[f"{m}_history"][-1] if status == "ok" else np.nan for m in MEASURES}
    record = {**settings, "epochs": len(net.history["val_acc_history"]), "status": status, **ends}
    record |= {"seconds": seconds + time.perf_counter() - began, "history": net.history}
    _write(f"{stem}.json", json.dumps(record).encode())  # last, as it marks the trial as done


def _remote_trial(name, checkpoints, *task):
    """`_trial` for a worker that does not see the folder: returns what it would write there."""
    with tempfile.TemporaryDirectory(prefix="tune-") as folder:
        for content in checkpoints:
            Path(folder, f"{name}.checkpoint.npz").write_bytes(content)
        _trial(Path(folder, name), *task)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())[::-1]}


@contextmanager
def _processes(data, count):
    """`submit` for processes of one BLAS thread each, which map the data from files."""
    before = {name: os.environ.get(name) for name in THREADS}
    living, ours = Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="tune-", ignore_cleanup_errors=True) as folder:
        files = [f"{folder}/{part}.npy" for part in TRAINING]
        for part, file in zip(TRAINING, files, strict=True):
            np.save(file, getattr(data, part))
        pool = ProcessPoolExecutor(count, get_context("spawn"), _start_worker, (living, folder))
        os.environ.update(dict.fromkeys(THREADS, "1"))  # BLAS reads them when a worker begins
        try:
            yield lambda stem, *task: pool.submit(_trial, stem, files, len(data.class_names), *task)
        finally:
            ours.close()  # which ends the workers, in the midst of a trial if need be
            pool.shutdown(cancel_futures=True)
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _start_worker(living, folder):
    """End this process when the one that began the sweep has closed its end of a pipe, or died."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback

    def follow():
        with suppress(EOFError, OSError):
            living.recv()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    Thread(target=follow, daemon=True).start()


@contextmanager
def _cluster(data, client):
    """`submit` for the workers of a dask cluster; dask itself sees to those that die."""
    from distributed import Client
    from distributed.diagnostics.plugin import UploadFile

    with Client(client, timeout=10) if isinstance(client, str) else nullcontext(client) as client:
        print(f"waiting for workers at {client.scheduler.address}", file=sys.stderr, flush=True)
        client.wait_for_workers(1)
        here = client.run_on_scheduler(os.getpid) == os.getpid()  # keep our modules there
        for name in ("two_layer_net", "data_utils", "tune"):
            py = str(Path(__file__).with_name(f"{name}.py"))
            client.register_plugin(UploadFile(py), name=name) if here else client.upload_file(py)
        arrays = client.scatter([getattr(data, part) for part in TRAINING], broadcast=True)
        executor = client.get_executor(pure=False, retries=2)

        def submit(stem, *task):
            saved = [path.read_bytes() for path in stem.parent.glob(f"{stem.name}.checkpoint.npz")]
            task = stem.name, saved, arrays, len(data.class_names), *task
            return executor.submit(_remote_trial, *task)

        try:
            yield submit
        finally:
            executor.shutdown(wait=False)  # cancels what is still to be done


def _claim(out, data, plan):
    """Make the folder, or see that its trials can be compared with new ones."""
    code = Path(__file__).with_name("two_layer_net.py").read_text("utf-8")
    sums = [zlib.crc32(np.ascontiguousarray(getattr(data, part), np.float32)) for part in PARTS]
    wanted = {**plan, "dataset": data.name, "checksums of the data": sums}
    wanted["checksum of two_layer_net.py, comments included,"] = zlib.crc32(code.encode())
    if not (out / "sweep.json").exists():
        if others := [path.name for path in out.glob("[!.]*") if path.suffix != ".part"]:
            raise ValueError(f"{out} holds {others[0]} and no sweep: choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        _write(out / "sweep.json", json.dumps(wanted, indent=1).encode())
    found = _read(out / "sweep.json")
    for name, value in wanted.items():
        if found.get(name) != value:
            what = f"{out} was made with {name} = {found.get(name)}, this is {value}"
            raise ValueError(f"{what}: choose another --out, or remove the folder")
    (out / "trials").mkdir(exist_ok=True)  # after sweep.json, without which it would be refused
    data.save_transform(out / "dataset.npz")


def _write(path, content):  # whole or not at all
    temporary = Path(f"{path}.{os.getpid()}.part")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _read(path):
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged, remove it or the folder: {error}") from error


def _rank(t):  # nan: it diverged
    return t["status"] != "ok", *np.nan_to_num([-t["val_acc"], t["val_loss"]]), t["trial"]


def _summarize(out, records):
    """Write trials.csv and best.npz, which follow from the trials' files; returns the best."""
    records = sorted(records, key=_rank)
    rows = [COLUMNS, *([str(record[name]) for name in COLUMNS] for record in records)]
    try:
        _write(out / "trials.csv", "".join(f"{','.join(row)}\n" for row in rows).encode())
    except PermissionError as error:  # a spreadsheet on Windows holds it open
        warnings.warn(f"trials.csv is not updated: close what has it open ({error})", stacklevel=2)
    if records[0]["status"] == "ok":
        _write(out / "best.npz", (out / "trials" / f"{records[0]['trial']}.npz").read_bytes())
    return records[0]


def load_sweep(out):
    """The trials in the folder of a sweep, finished or not, as `sweep` returns them."""
    _read(Path(out, "sweep.json"))
    trials = [_read(path) for path in Path(out, "trials").glob("*.json")]
    for trial in trials:
        path = Path(out, "trials", f"{trial['trial']}.npz")
        trial["net"] = TwoLayerNet.load(path) if trial["status"] == "ok" else None
    return sorted(trials, key=_rank)


def _describe(trial, trials):
    varied = [name for name in SETTINGS if len({t[name] for t in trials}) > 1]
    text = "".join(f"{SETTINGS[name][0]} {trial[name]!s:<8} " for name in varied)
    outcome = f"{trial['val_acc']:.2%}" if trial["status"] == "ok" else trial["status"]
    return f"{text}val {outcome:<8} after {trial['epochs']} epochs"


def report(out, data=None):
    """Print the best trials of a sweep's folder, test the best net, draw; returns the exit code.

    data: the Dataset that was swept; by default the one that load_dataset knows by its name.
    """
    out, trials, name = Path(out), load_sweep(out), _read(Path(out, "sweep.json"))["dataset"]
    print(f"\nbest {min(10, len(trials))} of {len(trials)} trials")
    for trial in trials[:10]:
        print(f"  {_describe(trial, trials)}  val loss {trial['val_loss']:.4f}")
    if not trials or _summarize(out, trials)["status"] != "ok":
        print("no trial has ended, or all diverged: try smaller rates", file=sys.stderr)
        return 1
    import vis_utils  # here, because the workers would spend half a second on matplotlib

    net, look = trials[0]["net"], load_transform(out / "dataset.npz")
    vis_utils.plot_sweep(trials, path=out / "sweep.png")
    vis_utils.plot_curves(trials, path=out / "curves.png")
    vis_utils.show_net_weights(net, look.image_shape, path=out / "weights.png")
    if data is None and name in DATASETS:
        data = load_dataset(name, normalize=False)
        data.X_test = look.transform(data.X_test)
    if data is not None and np.size(data.y_test):
        X, y, names = data.X_test, data.y_test, look.class_names
        print(f"\ntest accuracy of the best: {net.accuracy(X, y):.2%} of {len(y)} images")
        how = {"images": look.to_pixels(X), "class_names": names, "path": out / "predictions.png"}
        vis_utils.plot_predictions(net, X, y, look.image_shape, **how)
        vis_utils.plot_confusion(y, net.predict(X), names, path=out / "confusion.png")
    print(f"in {out}: trials.csv, best.npz and pictures")
    return 0


def main(arguments=None):  # the command; returns its exit code
    def import_pictures():  # matplotlib takes long to import: do it while the workers train
        time.sleep(1)  # until they have started
        with suppress(ImportError):  # `report` raises it again
            import vis_utils  # noqa: F401

    parser = argparse.ArgumentParser(description=__doc__, argument_default=argparse.SUPPRESS)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    option = parser.add_argument
    for name, _, text in SETTINGS.values():
        option(f"--{name.replace('_', '-')}", nargs="+", metavar=name[0].upper(), help=text)
    option("--trials", type=int, metavar="N", help="how many to draw (default: 30, or the grid)")
    option("--epochs", type=int, metavar="N", help="passes over the data (default: 15)")
    option("--halving", type=int, nargs="?", const=3, metavar="K", help="the best 1/K go on (K: 3)")
    option("--seed", type=int, metavar="N", help="of weights, order and draws (default: 0)")
    option("--workers", type=int, metavar="N", help="processes (default: one a core)")
    option("--dataset", default="mnist5k", choices=DATASETS, help="(default: mnist5k)")
    option("--out", metavar="FOLDER", help="where the results go (default: runs/NAME)")
    option("--dask", metavar="tcp://HOST:PORT", dest="client", help="a dask scheduler, to use it")
    option("--report", metavar="FOLDER", help="only print and draw what this folder holds")
    given = vars(parser.parse_args(arguments))  # the arguments of `sweep`, and:
    dataset, folder = given.pop("dataset"), given.pop("report", None)
    out = given.setdefault("out", folder or f"runs/{dataset}")
    try:
        if folder:
            return report(folder)
        data = load_dataset(dataset)
        Thread(target=import_pictures, daemon=True).start()
        sweep(data, **given)
        return report(out, data)
    except (KeyboardInterrupt, BrokenExecutor) as error:
        why = f"{error} If memory ran out, try fewer --workers" if error.args else "stopped"
        print(f"\n{why}; {out} keeps what was done, the same command resumes it", file=sys.stderr)
        return 1 if error.args else 130
    except (ImportError, OSError, ValueError) as error:
        hint = f": python -m pip install {error.name}" if isinstance(error, ImportError) else ""
        print(f"{parser.prog}: error: {error}{hint}", file=sys.stderr)
        return 2


if __name__ == "__main__":  # as the module tune, since dask's workers lack functions of __main__
    sys.exit(__import__("tune").main())
