"""Sweeps: what they train, keep and say, and how they go on after they were stopped."""

import csv
import inspect
import itertools
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import tune
from data_utils import PARTS, load_dataset, load_transform
from tune import Range
from two_layer_net import OPTIMIZERS, TwoLayerNet

COLUMNS = ["trial", "hidden_size", "learning_rate", "reg", "activation", "dropout", "optimizer"]
COLUMNS += ["std", "batch_size", "learning_rate_decay", "epochs", "status"]
COLUMNS += ["val_acc", "val_loss", "train_acc", "seconds"]
SETTINGS, MEASURES = COLUMNS[1:10], COLUMNS[12:15]
ARGUMENTS = ["hidden", "lr", *SETTINGS[2:8], "decay"]
PICTURES = ["sweep.png", "curves.png", "weights.png", "predictions.png", "confusion.png"]
GRID = {"hidden": [8, 20], "lr": [0.03, 1e8], "reg": [0, 1e-3], "epochs": 2, "seed": 3}
RATES = " ".join(f"{i / 20}" for i in range(1, 21))
MANY = f"--hidden 1 --reg 0 --batch-size 25 --epochs 3 --lr {RATES} --out"
ROOT = Path(tune.__file__).parent
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


class Inline(Executor):
    """Trains in this process, which takes less time than a pool of processes needs to start."""

    def __init__(self, *_):
        Inline.count = 0  # of trainings

    def submit(self, function, *arguments):
        assert os.environ["OMP_NUM_THREADS"] == "1"  # which processes would inherit
        Inline.count += 1
        future = Future()
        future.set_result(function(*arguments))
        return future


def quick(data, lr=(0.1,), **options):
    """A sweep in this process, of one small net for each rate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "ProcessPoolExecutor", Inline)
        few = {"hidden": [4], "reg": [0], "epochs": 1, "verbose": False}
        return tune.sweep(data, lr=lr, **few | options)


@pytest.fixture(scope="module")
def data():
    """Some rows of mnist5k."""
    whole, counts = load_dataset("mnist5k"), {"train": 400, "val": 150, "test": 100}
    return replace(whole, **{part: getattr(whole, part)[: counts[part[2:]]] for part in PARTS})


@pytest.fixture(scope="module")
def swept(data, tmp_path_factory):
    """A sweep in two processes, which leaves nothing behind but its folder."""
    out, temporary = tmp_path_factory.mktemp("new") / "new" / "out", tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "3")
        patch.delenv("MKL_NUM_THREADS", raising=False)
        patch.setattr(tempfile, "tempdir", str(temporary))
        before = dict(os.environ)
        with pytest.raises(ValueError, match="workers"):
            tune.sweep(data, workers=0)
        trials = tune.sweep(data, **GRID, workers=2, out=out, verbose=False)
        assert dict(os.environ) == before and not list(temporary.iterdir())
    return trials, out


def facts(trials):
    """What must be the same to the bit: all but the time it took."""
    nets = [t["net"] and [zlib.crc32(w) for w in t["net"].params.values()] for t in trials]
    return [(repr({**t, "net": 0, "seconds": 0}), net) for t, net in zip(trials, nets, strict=True)]


def rows(out):
    """trials.csv without the times."""
    with open(out / "trials.csv", newline="", encoding="utf-8") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def fits(out, trials):
    """Whether trials.csv and best.npz in the folder are those of the trials."""
    best, table = TwoLayerNet.load(out / "best.npz").params, [row["trial"] for row in rows(out)]
    same = all(np.array_equal(best[k], w) for k, w in trials[0]["net"].params.items())
    return same and table == [trial["trial"] for trial in trials]


def is_plain(trial, data, epochs, seed=0):
    """Whether the trial is what the class itself makes of these settings, to the bit."""
    look = {k: trial[k] for k in ("hidden_size", "std", "activation", "dropout")}
    look |= {"input_size": data.X_train.shape[1], "output_size": len(data.class_names)}
    net = TwoLayerNet(**look, dtype=np.float32, rng=seed)
    options = {k: trial[k] for k in SETTINGS if k not in look}
    parts = data.X_train, data.y_train, data.X_val, data.y_val
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a rate so low that nothing is learned
        history = net.train(*parts, **options, epochs=epochs)
    plain = {**trial, **{k: history[f"{k}_history"][-1] for k in MEASURES}, "status": "ok"}
    plain |= {"epochs": epochs, "history": history, "net": net}
    return facts([trial]) == facts([plain])


def test_trials(swept, data):
    trials, _ = swept
    assert [trial["status"] for trial in trials] == ["ok"] * 4 + ["diverged"] * 4
    expected = itertools.product(*(GRID[name] for name in ("hidden", "lr", "reg")))
    assert {tuple(trial[name] for name in SETTINGS[:3]) for trial in trials} == {*expected}
    ranks = [(-trial["val_acc"], trial["val_loss"]) for trial in trials[:4]]
    assert ranks == sorted(ranks) and len(set(ranks)) > 1
    for trial in trials[:4]:
        assert is_plain(trial, data, 2, seed=3) and trial["seconds"] > 0
        assert trial["val_acc"] == np.mean(trial["net"].predict(data.X_val) == data.y_val) > 0.3
    for trial in trials[4:]:
        assert trial["net"] is None and all(math.isnan(trial[name]) for name in MEASURES)


def test_every_setting_reaches_the_class_and_makes_another_trial(data, tmp_path):
    values = 5, 0.2, 1e-3, "tanh", 0.25, "adam", 0.5, 7, 0.5
    trials = quick(data, epochs=3, seed=2, out=tmp_path)
    for name, value in zip(ARGUMENTS, values, strict=True):
        trials = quick(data, **{name: [value]}, epochs=3, seed=2, out=tmp_path)
    for name, value in zip(SETTINGS, values, strict=True):
        assert [trial[name] for trial in trials].count(value) == 1, name
    assert len(trials) == 10 and all(is_plain(trial, data, 3, seed=2) for trial in trials)


def test_of_equal_accuracies_the_lowest_loss_is_first(data):
    trials = quick(data, [1e-6, 3e-6, 2e-6])  # such rates change no prediction
    assert len({trial["val_acc"] for trial in trials}) == 1
    assert [trial["learning_rate"] for trial in trials] == [3e-6, 2e-6, 1e-6]


def test_workers_order_of_lists_and_test_rows_change_nothing(swept, data):
    turned = {name: GRID[name][::-1] for name in ("hidden", "lr", "reg")}
    other = replace(data, X_test=data.X_val * 9, y_test=data.y_val)
    assert facts(quick(other, **GRID | turned)) == facts(swept[0])


def test_table(swept):
    trials, out = swept
    table = np.genfromtxt(out / "trials.csv", None, delimiter=",", names=True, encoding="utf-8")
    assert list(table.dtype.names) == COLUMNS and fits(out, trials)
    for line, row, trial in zip(table, rows(out), trials, strict=True):
        assert row == {name: str(trial[name]) for name in COLUMNS} | {"seconds": ""}
        assert str(line["val_loss"]) == str(trial["val_loss"])  # nan is not equal to nan
        assert line["seconds"] == trial["seconds"]
    assert facts(tune.load_sweep(str(out))) == facts(trials)
    assert set(trials[0]) == {*COLUMNS, "history", "net"}


@pytest.mark.parametrize(("flag", "halving"), [("--halving", 3), ("--halving 2", 2)])
def test_command(flag, halving, data, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(tune, "ProcessPoolExecutor", Inline)
    monkeypatch.setattr(tune, "load_dataset", lambda name: data)
    flags = "--hidden 4:8 --lr 0.01:0.3 --reg 0 0.001 --activation relu tanh --dropout 0:0.5 "
    flags += "--optimizer momentum sgd --std he 0.1 --batch-size 20 50 --decay 0.9 "
    flags += f"--trials 4 --epochs 4 {flag} --seed 3 --workers 2 --out {out}"
    assert tune.main(flags.split()) == 0
    options = {"hidden": Range(4, 8), "lr": Range(0.01, 0.3), "reg": [0, 0.001], "decay": [0.9]}
    options |= {"activation": ["relu", "tanh"], "dropout": Range(0, 0.5), "std": ["he", 0.1]}
    options |= {"optimizer": ["momentum", "sgd"], "batch_size": [20, 50], "epochs": 4}
    trials = quick(data, **options, trials=4, halving=halving, seed=3)
    assert facts(tune.load_sweep(out)) == facts(trials) and fits(out, trials)
    said, right = capsys.readouterr().out, trials[0]["net"].accuracy(data.X_test, data.y_test)
    assert re.search(rf"([12])/\1  hidden .*  best {trials[0]['val_acc']:.2%}  0:00 left\n", said)
    assert right > 0.3 and f"test accuracy of the best: {right:.2%} of 100 images" in said
    files = [*PICTURES, "best.npz", "dataset.npz", "sweep.json", "trials", "trials.csv"]
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    net, look = TwoLayerNet.load(out / "best.npz"), load_transform(out / "dataset.npz")
    for i, pixels in enumerate(data.to_pixels(data.X_test[:5])):
        Image.fromarray(np.rint(pixels).astype(np.uint8)).save(tmp_path / "digit.png")
        X = look.transform(look.read(tmp_path / "digit.png"))
        assert net.predict(X) == net.predict(data.X_test[[i]])
    assert look.class_names == data.class_names


def test_report(data, tmp_path, capsys, monkeypatch):
    """Of a folder alone; of data without test rows; of data that are not found by their name."""
    calls = "plot_sweep", "plot_curves", "show_net_weights", "plot_predictions", "plot_confusion"
    drawn, one, two = [], tmp_path / "1", tmp_path / "2"
    whole = load_dataset("mnist5k", normalize="standard")
    pictures = dict.fromkeys(calls, lambda *_, path, **__: drawn.append(path.name))
    monkeypatch.setitem(sys.modules, "vis_utils", SimpleNamespace(**pictures))
    trials = quick(whole, [0.1, 0.2], out=one)
    (one / "best.npz").unlink(), (one / "trials.csv").unlink()
    assert tune.main(["--report", str(one)]) == 0 and fits(one, trials)
    right = trials[0]["net"].accuracy(whole.X_test, whole.y_test)
    assert f"test accuracy of the best: {right:.2%} of 1000 images" in capsys.readouterr().out
    without = replace(data, name="mine", X_test=data.X_test[:0], y_test=data.y_test[:0])
    assert quick(without, out=two) and tune.report(two, without) == tune.report(str(two)) == 0
    assert drawn == [*PICTURES, *PICTURES[:3], *PICTURES[:3]]
    assert "test accuracy" not in capsys.readouterr().out


def test_the_same_call_trains_nothing_and_others_add(data, tmp_path, capsys):
    def files():
        paths = (tmp_path / "trials").iterdir()
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}

    first = quick(data, [0.1, 0.2], out=tmp_path)
    before = files()
    again = quick(data, [0.1, 0.2], out=tmp_path, verbose=True)
    said = capsys.readouterr().out  # and nothing of the first
    assert said == "0 of 2 trials to train up to epoch 1\n"
    assert Inline.count == 0 and files() == before and facts(again) == facts(first)
    others = {"lr": [1e-9, 0.2], "activation": ["tanh", "relu"]}
    more = quick(data, **others, out=tmp_path, verbose=True)
    assert Inline.count == 3 and "3 of 4 trials to train" in capsys.readouterr().out
    assert sorted(facts(more)) == sorted(facts([*quick(data, **others), *quick(data)]))
    assert before.items() <= files().items() and fits(tmp_path, more)


@pytest.mark.parametrize("name", ["epochs", "seed", "halving", *PARTS])
def test_what_cannot_stand_beside_is_refused(name, data, tmp_path):
    quick(data, out=tmp_path / "out")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    changed, other, words = {name: 2}, data, f"{name} = (0|1|False), this is (2|True)"
    if name in PARTS:
        changed, other, words = {}, replace(data, **{name: -getattr(data, name)}), "checksums"
    with pytest.raises(ValueError, match=f"out was made with {words}.*another --out"):
        quick(other, **changed, out=tmp_path / "out")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.*")}


def test_a_folder_of_other_files_is_left_alone(data, tmp_path):
    (tmp_path / ".hidden").write_text("as file managers do")
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(ValueError, match=r"holds photo\.jpg .* choose another --out"):
        quick(data, out=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".hidden", "photo.jpg"}
    (tmp_path / "photo.jpg").unlink()
    assert len(quick(data, out=tmp_path)) == 1


def test_a_damaged_trial_is_named_and_a_removed_one_is_trained(data, tmp_path):
    first = quick(data, [0.1, 0.2, 0.3], out=tmp_path)
    path = tmp_path / "trials" / f"{first[1]['trial']}.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is damaged, remove it"):
        quick(data, [0.1, 0.2, 0.3], out=tmp_path)
    path.unlink()
    assert facts(quick(data, [0.1, 0.2, 0.3], out=tmp_path)) == facts(first)
    assert Inline.count == 1


def refuse(patch, refused, error):
    """Let no file be replaced for whose path refused(path) is true."""
    really = os.replace

    def replacing(source, target):
        if refused(Path(target)):
            raise error
        really(source, target)

    patch.setattr(os, "replace", replacing)


@pytest.mark.parametrize("name", ["trials.csv", "best.npz"])
@pytest.mark.parametrize("error", [PermissionError(13, "in use"), OSError(28, "no space")])
def test_a_file_that_cannot_be_written_stays(name, error, data, tmp_path, monkeypatch):
    quick(data, [1e-9], out=tmp_path)
    before, expected = (tmp_path / name).read_bytes(), pytest.raises(type(error))
    if name == "trials.csv" and error.errno == 13:  # a spreadsheet holds it on Windows
        expected = pytest.warns(UserWarning, match="trials.csv is not updated")
    with monkeypatch.context() as patch, expected:
        refuse(patch, lambda path: path.name == name, error)
        assert len(quick(data, [1.0, 0.5], out=tmp_path)) == 3
    assert (tmp_path / name).read_bytes() == before
    assert fits(tmp_path, quick(data, [1.0, 0.5], out=tmp_path))


def test_draws(data):
    lists = {"hidden": Range(4, 40), "lr": Range(1e-4, 1), "std": Range(0.01, 1)}
    lists |= {"dropout": Range(0, 0.5), "decay": Range(0.01, 1)}  # these two are linear
    trials = quick(data, **lists, reg=[0, 0.001], batch_size=[50, 100], trials=60, seed=1)
    middles = 12.6, 0.01, 0.1, 0.25, 0.505
    for (name, bounds), middle in zip(lists.items(), middles, strict=True):
        values = [trial[SETTINGS[ARGUMENTS.index(name)]] for trial in trials]
        assert bounds.low <= min(values) < max(values) <= bounds.high, name
        assert 0.35 < np.mean(np.less(values, middle)) < 0.65 and len(set(values)) > 20, name
    assert {type(trial["hidden_size"]) for trial in trials} == {int}
    for name, two in (("reg", {0, 0.001}), ("batch_size", {50, 100})):
        values = [trial[name] for trial in trials]
        assert set(values) == two and 15 < values.count(min(two)) < 45


def test_draws_follow_from_the_seed(data):
    def names(lr, **options):
        return {trial["trial"] for trial in quick(data, lr, **options)}

    few, some, default = (names(Range(1e-4, 1), trials=n) for n in (3, 6, None))
    assert [len(few), len(some), len(default)] == [3, 6, 30] and few < some < default
    assert not default & names(Range(1e-4, 1), trials=3, seed=1)
    assert len(names([0.1], hidden=Range(4, 5), trials=9)) == 2  # equal draws are one trial
    few, some, grid = (names([0.1, 0.2, 0.3], hidden=[2, 3, 4], trials=n) for n in (3, 5, None))
    assert [len(few), len(some), len(grid)] == [3, 5, 9] and few < some < grid
    assert grid == names([0.1, 0.2, 0.3], hidden=[2, 3, 4], trials=99)
    assert few != names([0.1, 0.2, 0.3], hidden=[2, 3, 4], trials=3, seed=1)


def halved(trials, rungs, factor=3):
    """The epochs that successive halving gives each of the trials."""
    epochs = {}
    for rung in rungs:
        ends = {t["trial"]: rung if t["status"] == "ok" else min(rung, t["epochs"]) for t in trials}
        reached = [t for t in trials if t["epochs"] >= rung]
        marks = [[t["history"][f"{k}_history"][rung - 1] for k in MEASURES[:2]] for t in reached]
        order = sorted(range(len(marks)), key=lambda i: (-marks[i][0], marks[i][1]))
        epochs |= ends
        trials = [reached[i] for i in order[: math.ceil(len(trials) / factor)]]
    return epochs


HALVING = {"lr": Range(1e-3, 1e6), "reg": [1e-3], "batch_size": [40], "halving": True}


@pytest.mark.parametrize(
    ("halving", "rungs", "numbers"),
    [(True, [1, 3, 9], [27, 9, 3]), (3, [4, 10], [8, 3]), (2, [2, 3, 5], [8, 3, 2]), (1, [3], [8])],
    # with 2, 5 of the 8 diverge in the first rung: 3 are left, not 4
)
def test_halving(halving, rungs, numbers, data, tmp_path, capsys, monkeypatch):
    steps, loss, clock = [], TwoLayerNet.loss, itertools.count()

    def counted(net, X, y=None, *rest):
        steps.append(y is not None and X.shape[1] == 784)
        return loss(net, X, y, *rest)

    options = {**HALVING, "halving": halving, "epochs": rungs[-1], "trials": numbers[0]}
    options["out"] = tmp_path
    with monkeypatch.context() as patch:
        patch.setattr(TwoLayerNet, "loss", counted)
        patch.setattr(time, "perf_counter", lambda: next(clock))  # each training takes a second
        trials = quick(data, **options, verbose=True)
    said = re.findall(r"of (\d+) trials to train .*?(\d+)", capsys.readouterr().out)
    assert said == [(str(n), str(rung)) for n, rung in zip(numbers, rungs, strict=True)]
    epochs = halved(trials, rungs, 2 if halving == 2 else 3)
    assert {trial["trial"]: trial["epochs"] for trial in trials} == epochs
    ok = [trial for trial in trials if trial["status"] == "ok"]
    for trial in ok:
        assert is_plain(trial, data, trial["epochs"])
        assert trial["seconds"] == 1 + rungs.index(trial["epochs"])
    done, diverged = sum(len(t["history"]["loss_history"]) for t in trials), len(trials) - len(ok)
    assert done <= sum(steps) <= done + diverged and diverged  # no step is taken twice
    assert facts(quick(data, **options)) == facts(trials) and Inline.count == 0


def test_halving_of_more_trials(data, tmp_path):
    """Trials that have gone on are judged by what they were at the time of the others."""
    early = halved(quick(data, **HALVING, epochs=9, trials=8, out=tmp_path), [3, 9])
    trials = quick(data, **HALVING, epochs=9, trials=27, out=tmp_path)
    expected = {k: max(n, early.get(k, 0)) for k, n in halved(trials, [1, 3, 9]).items()}
    assert {trial["trial"]: trial["epochs"] for trial in trials} == expected


def test_stopped_at_any_moment(data, tmp_path):
    """A sweep is stopped before each of the files that it writes, and taken up again."""
    options = {"lr": [0.1, 1e9, 1.0], "epochs": 3, "halving": True}
    expected = quick(data, **options)

    def is_stopped(moment, out):
        left = itertools.count(moment - 1, -1)
        with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
            refuse(patch, lambda path: out in path.parents and not next(left), KeyboardInterrupt)
            quick(data, **options, out=out)
            return False
        return True

    moment = 1
    while is_stopped(moment, out := tmp_path / str(moment)):
        assert facts(quick(data, **options, out=out)) == facts(expected), moment
        assert fits(out, expected), moment
        moment += 1
    assert moment > 15


def command(*flags):
    try:
        return tune.main(list(flags))
    except SystemExit as stopped:  # argparse's
        return stopped.code


def test_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # so that no line is broken
    assert command("--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    defaults = {name: p.default for name, p in inspect.signature(tune.sweep).parameters.items()}
    for name in (*ARGUMENTS, "epochs", "seed"):
        found = re.search(rf"--{name.replace('_', '-')} [A-Z] [^()]*\(default: ([^)]*)\)", text)
        assert found[1] == " ".join(map(str, np.ravel(defaults[name]).tolist())), name
    assert inspect.signature(OPTIMIZERS["momentum"]).parameters["momentum"].default == 0.9
    assert all(words in text for words in ("momentum is 0.9", "He's", "0.95 an epoch", "130 for"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--lr fast", "fast"),
        ("--reg 0:0.01", "reg: .* 0 < LOW"),
        ("--decay 1:1", "decay: .* LOW < HIGH"),
        ("--std hey", "std must be .*xavier.* got 'hey'"),
        ("--epochs 0", "epochs"),
        ("--trials 0", "trials"),
        ("--halving -2", "halving"),
        ("--dataset nothing", "nothing.*mnist5k.*svhn"),
        ("--report nowhere", "nowhere"),
    ],
)
def test_flags_that_are_refused(flags, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(*flags.split()) == 2
    assert re.search(f"error: .*{words}", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def copy_project(folder):
    """Copy what a sweep needs, without the pictures, which take seconds."""
    for name in ("tune", "two_layer_net", "data_utils"):
        shutil.copy(ROOT / f"{name}.py", folder)
    (folder / "vis_utils.py").write_text("def __getattr__(_): return lambda *_, **__: None\n")
    return {**os.environ, "TWO_LAYER_NET_DATA": str(ROOT / "datasets")}


def test_another_class_and_workers_that_die(tmp_path):
    look = {"cwd": tmp_path, "capture_output": True, "text": True, "env": copy_project(tmp_path)}

    def run(*flags):
        few = "tune.py", "--hidden", "4", "--reg", "0", "--epochs", "1", "--workers", "1", "--lr"
        return subprocess.run([sys.executable, *few, *flags], **look)

    first = run("1e9", "1e10")
    assert first.returncode == 1 and "all diverged" in first.stderr
    assert [row["status"] for row in rows(tmp_path / "runs" / "mnist5k")] == ["diverged"] * 2
    with open(tmp_path / "two_layer_net.py", "a") as file:
        file.write('OPTIMIZERS["sgd"] = lambda w, *_, **__: w.size < 99 or os._exit(1)\n')
    second, third = run("1e9"), run("0.1", "--optimizer", "adam", "sgd", "--out", "kept")
    assert second.returncode == 2 and "choose another --out, or remove" in second.stderr
    assert (
        "mnist5k was made with checksum of two_layer_net.py, comments included, = " in second.stderr
    )
    assert third.returncode == 1 and third.stderr.count("a worker died") == 2
    assert re.search("fewer --workers.*kept keeps what was done", third.stderr)
    assert [row["optimizer"] for row in rows(tmp_path / "kept")] == ["adam"]


def processes(tag):
    """The running processes with this TAG in their environment: {id: command line}."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"TAG={tag}\0".encode() in (path / "environ").read_bytes():
                found[int(path.name)] = (path / "cmdline").read_bytes()
    return found


@pytest.fixture
def start(tmp_path):
    """Start Python in an empty folder, in a session of its own, with a TAG in the environment."""
    before, started = signal.signal(signal.SIGINT, signal.default_int_handler), []
    for name in ("tmp", "empty", "project"):
        (tmp_path / name).mkdir()
    env = {**copy_project(tmp_path / "project"), "TAG": str(tmp_path), "TMPDIR": f"{tmp_path}/tmp"}
    env.pop("PYTHONPATH", None)
    look = {"env": env, "cwd": tmp_path / "empty", "text": True, "start_new_session": True}
    look |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def start(*command):
        started.append(subprocess.Popen([sys.executable, *command], **look))
        return started[-1]

    yield start
    signal.signal(signal.SIGINT, before)
    for pid in processes(tmp_path):
        os.kill(pid, signal.SIGKILL)
    for process in started:
        process.communicate()


@linux
def test_stopped_and_taken_up_again(start, tmp_path):
    """The same command is stopped three times, each in another way; then a worker is killed."""
    out, script, done = tmp_path / "out", tmp_path / "project" / "tune.py", {}
    for how in ("SIGINT of all", "SIGINT", "SIGKILL", "SIGKILL of a worker"):
        run = start(script, *MANY.split(), out, "--workers", "2")
        assert f"{20 - len(done)} of 20 trials to train" in run.stdout.readline()
        assert run.stdout.readline().startswith("1/")
        workers = []
        while len(workers) < 2 and run.poll() is None:  # the second may start later
            lines = processes(tmp_path).items()
            workers = [pid for pid, line in lines if b"spawn_main" in line]
        time.sleep(0.01)  # Python may miss a signal in the very moment that it begins to wait
        os.killpg(run.pid, signal.SIGSTOP)  # so that it does not end before it is stopped
        assert len(workers) == 2
        pid = {"SIGINT of all": -run.pid, "SIGKILL of a worker": workers[0]}.get(how, run.pid)
        os.kill(pid, getattr(signal, how.split()[0]))
        os.killpg(run.pid, signal.SIGCONT)
        errors, patience = run.communicate(timeout=60)[1], iter(range(99))
        while processes(tmp_path) and next(patience, None) is not None:
            time.sleep(0.02)
        assert not processes(tmp_path) and not list((tmp_path / "tmp").rglob("*.npy")), how
        if how.startswith("SIGINT"):
            assert run.returncode == 130, errors
            assert f"stopped; {out} keeps what was done, the same command" in errors
        before, paths = done, (out / "trials").glob("*.json")
        done = {path: path.read_bytes() for path in paths}
        assert before.items() < done.items(), how
    assert run.returncode == 0 and errors.count("a worker died") == 1, errors
    trials, data = tune.load_sweep(out), load_dataset("mnist5k")
    assert len(trials) == 20 and all(is_plain(trial, data, 3) for trial in trials)
    assert fits(out, trials)
    run = start(script, *MANY.split(), f"{out}2", "--epochs", "999999")
    assert "20 of 20 trials" in run.stdout.readline()
    time.sleep(0.1)
    os.kill(run.pid, signal.SIGINT)
    run.communicate(timeout=20)  # it does not wait for the end of a trial
    assert run.returncode == 130


@linux
@pytest.mark.filterwarnings("default")
def test_dask(start, swept, data, tmp_path):
    """A scheduler and workers that have no copy of the project, one of which dies."""
    distributed, dask = map(pytest.importorskip, ("distributed", "dask"))
    file, out = str(tmp_path / "scheduler.json"), tmp_path / "out"
    where = "--no-dashboard", "--scheduler-file", file
    start("-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", *where)
    for _ in range(2):
        start("-m", "dask", "worker", "--no-nanny", "--nthreads", "1", *where)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "5s"}),  # for the dead worker
        distributed.Client(scheduler_file=file, timeout=60) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        at = client.scheduler.address
        run = start(tmp_path / "project" / "tune.py", *MANY.split(), out, "--dask", at)
        assert "20 of 20" in run.stdout.readline() and run.stdout.readline().startswith("1/20")
        os.kill(client.run(os.getpid).popitem()[1], signal.SIGKILL)
        errors = run.communicate(timeout=60)[1]
        assert run.returncode == 0 and f"waiting for workers at {at}" in errors, errors
    local = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**local) as cluster, distributed.Client(cluster) as client:
        assert facts(tune.sweep(data, **GRID, client=client, verbose=False)) == facts(swept[0])
    assert Path(tune.__file__).parent == ROOT  # though the scheduler was in this process
    trials, data = tune.load_sweep(out), load_dataset("mnist5k")
    assert len(trials) == 20 and all(is_plain(trial, data, 3) for trial in trials)


@pytest.mark.filterwarnings("default")
def test_dask_that_is_not_there(tmp_path, capsys, monkeypatch):
    distributed, out = pytest.importorskip("distributed"), tmp_path / "out"
    Client = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda at, timeout: Client(at, timeout=timeout / 50))
    for words in ("Timed out trying to connect to tcp://127.0.0.1:1", "pip install distributed"):
        assert command("--dask", "tcp://127.0.0.1:1", "--out", str(out)) == 2
        assert re.search(f"error: .*{words}", capsys.readouterr().err)
        monkeypatch.setitem(sys.modules, "distributed", None)
