import copy
import csv
import dataclasses
import json
import math
import multiprocessing
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tune
from data_utils import load_dataset, load_transform
from tune import Range
from two_layer_net import TwoLayerNet

SCRIPT = Path(tune.__file__)
SETTINGS = [
    "hidden_size",
    "learning_rate",
    "reg",
    "activation",
    "dropout",
    "optimizer",
    "std",
    "batch_size",
]
SETTINGS += ["learning_rate_decay"]
MEASURED = ["epochs", "status", "val_acc", "val_loss", "train_acc"]
COLUMNS = ["trial", *SETTINGS, *MEASURED, "seconds"]
GRID = {"hidden": [8, 20], "lr": [0.03, 1e8], "reg": [0, 1e-3]}  # a rate of 1e8 diverges
FEW = {"hidden": [4], "lr": [0.1], "reg": [0], "epochs": 1, "verbose": False}
linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for processes in /proc"
)


@pytest.fixture(scope="module")
def data():
    """Some rows of mnist5k."""
    whole = load_dataset("mnist5k")
    parts = {
        "X_train": 400,
        "y_train": 400,
        "X_val": 150,
        "y_val": 150,
        "X_test": 100,
        "y_test": 100,
    }
    return dataclasses.replace(
        whole, **{part: getattr(whole, part)[:n] for part, n in parts.items()}
    )


@pytest.fixture(scope="module")
def swept(data, tmp_path_factory):
    """One sweep in two processes, with all that it left behind: trials, files, printed lines, environment."""
    out = tmp_path_factory.mktemp("sweep") / "new" / "folder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "3")
        patch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        patch.delenv("MKL_NUM_THREADS", raising=False)
        before = dict(os.environ)
        trials = tune.sweep(data, **GRID, epochs=2, workers=2, out=out, seed=3, verbose=False)
        assert dict(os.environ) == before
    return trials, out


@pytest.fixture(scope="module")
def reported(swept, data, tmp_path_factory):
    """The same folder after a report, with best.json and pictures."""
    out = tmp_path_factory.mktemp("reported") / "out"
    shutil.copytree(swept[1], out)
    tune.report(out, data)
    return out


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def timeless(path):
    """The rows without the times, which differ between two runs."""
    return [{**row, "seconds": ""} for row in rows(path)]


def by_settings(trials):
    return {tuple(trial[name] for name in SETTINGS[:3]): trial for trial in trials}


def alike(a, b):
    """Two trials have the same bits in all but the time they took and their place in the grid."""
    values = [[repr(t[key]) for key in (*SETTINGS, *MEASURED, "history")] for t in (a, b)]
    nets = [t["net"] and [w.tobytes() for w in t["net"].params.values()] for t in (a, b)]
    return values[0] == values[1] and nets[0] == nets[1]


def test_trials(swept, data):
    trials, _ = swept
    assert sorted(trial["trial"] for trial in trials) == list(range(1, 9))
    grid = [(h, lr, reg) for h in GRID["hidden"] for lr in GRID["lr"] for reg in GRID["reg"]]
    for trial in trials:
        assert tuple(trial[name] for name in SETTINGS[:3]) == grid[trial["trial"] - 1]
        assert trial["seconds"] > 0 and set(trial) == {*COLUMNS, "history", "net"}
        if trial["learning_rate"] == 0.03:
            net, history = trial["net"], trial["history"]
            assert (
                trial["status"] == "ok"
                and trial["epochs"] == 2
                and net.hidden_size == trial["hidden_size"]
            )
            assert trial["val_acc"] == np.mean(net.predict(data.X_val) == data.y_val) > 0.3
            assert trial["val_loss"] == history["val_loss_history"][-1]
            assert trial["val_loss"] == pytest.approx(
                net.loss(data.X_val, data.y_val, trial["reg"])[0], rel=1e-5
            )
            assert trial["train_acc"] == history["train_acc_history"][-1]
            assert len(history["loss_history"]) == 2 * 8 and len(history["val_acc_history"]) == 2


def test_a_trial_that_diverges(swept):
    trials, _ = swept
    for trial in trials:
        if trial["learning_rate"] == 1e8:
            assert trial["status"] == "diverged" and trial["net"] is trial["history"] is None
            assert all(math.isnan(trial[key]) for key in ("val_acc", "val_loss", "train_acc"))
            assert trial["epochs"] == 0


def test_best_first(swept):
    trials, _ = swept
    assert [trial["status"] for trial in trials] == ["ok"] * 4 + ["diverged"] * 4
    ranks = [(-trial["val_acc"], trial["val_loss"], trial["trial"]) for trial in trials[:4]]
    assert ranks == sorted(ranks)
    assert [trial["trial"] for trial in trials[4:]] == [3, 4, 7, 8]


def test_best_first_among_equals(data):
    rates_and_strengths = {
        "lr": [1e-9],
        "reg": [1e-3, 0, 1e-3],
    }  # such a rate changes no prediction
    trials = tune.sweep(data, [8], **rates_and_strengths, epochs=1, workers=1, verbose=False)
    assert len({trial["val_acc"] for trial in trials}) == 1
    assert [trial["trial"] for trial in trials] == [
        2,
        1,
        3,
    ]  # the lowest loss, then the first in the grid


def test_csv(swept):
    trials, out = swept
    table = np.genfromtxt(
        out / "trials.csv", names=True, delimiter=",", dtype=None, encoding="utf-8"
    )
    assert list(table.dtype.names) == COLUMNS
    assert table["trial"].tolist() == list(range(1, 9))
    for row, trial in zip(table, sorted(trials, key=lambda trial: trial["trial"]), strict=True):
        for name in COLUMNS:  # repr, as nan is not equal to itself
            assert repr(row[name].item()) == repr(type(row[name].item())(trial[name])), name
    numbers = np.genfromtxt(out / "trials.csv", names=True, delimiter=",")
    assert np.isnan(numbers["val_acc"]).sum() == 4 and np.isfinite(numbers["learning_rate"]).all()
    assert b"\r" not in (out / "trials.csv").read_bytes()


def test_files_of_a_sweep(swept, data):
    trials, out = swept
    names = ["best.npz", "dataset.npz", "sweep.json", "trials", "trials.csv"]
    assert sorted(path.name for path in out.iterdir()) == names
    files = [f"{n:04}.{kind}" for n in (1, 2, 5, 6) for kind in ("json", "npz")]
    assert sorted(path.name for path in (out / "trials").iterdir()) == files
    for trial in trials[:4]:
        stem = out / "trials" / f"{trial['trial']:04}"
        assert json.loads(stem.with_suffix(".json").read_text()) == trial["history"]
        assert np.array_equal(
            TwoLayerNet.load(f"{stem}.npz").params["W1"], trial["net"].params["W1"]
        )
    transform = load_transform(out / "dataset.npz")
    assert transform.class_names == data.class_names and transform.image_shape == (28, 28)
    image = np.arange(784).reshape(28, 28) % 256
    assert transform.transform(image).tobytes() == data.transform(image).tobytes()
    best = TwoLayerNet.load(out / "best.npz")
    for name, w in trials[0]["net"].params.items():
        assert w.dtype == best.params[name].dtype and np.array_equal(w, best.params[name])


def test_one_worker_and_another_order(swept, data, tmp_path, capfd):
    trials, out = swept
    turned = {name: values[::-1] for name, values in GRID.items()}
    again = tune.sweep(data, **turned, epochs=2, workers=1, out=tmp_path, seed=3)
    found, expected = by_settings(again), by_settings(trials)
    assert found.keys() == expected.keys()
    assert all(alike(found[key], expected[key]) for key in expected)
    lists = [
        sorted(
            [row[name] for name in (*SETTINGS, *MEASURED)] for row in rows(folder / "trials.csv")
        )
        for folder in (tmp_path, out)
    ]
    assert lists[0] == lists[1]

    printed, errors = capfd.readouterr()
    assert errors == "" and "\r" not in printed and "\x1b" not in printed
    lines = printed.splitlines()
    assert len(lines) == 8 and [line.split()[0] for line in lines] == [
        f"{n}/8" for n in range(1, 9)
    ]
    assert sum("val diverged" in line for line in lines) == 4
    assert f"best {again[0]['val_acc']:.2%}" in lines[-1] and "0:00 left" in lines[-1]


def test_same_csv_with_one_worker(swept, data, tmp_path):
    _, out = swept
    tune.sweep(data, **GRID, epochs=2, workers=1, out=tmp_path, seed=3, verbose=False)
    assert timeless(out / "trials.csv") == timeless(tmp_path / "trials.csv")


def test_a_trial_is_a_plain_training(swept, data):
    trial = by_settings(swept[0])[20, 0.03, 1e-3]
    net = TwoLayerNet(784, 20, 10, "he", dtype=np.float32, rng=3)
    history = net.train(data.X_train, data.y_train, data.X_val, data.y_val, 0.03, reg=1e-3, epochs=2,
                        batch_size=50, optimizer="momentum")  # fmt: skip
    np.testing.assert_allclose(trial["history"]["loss_history"], history["loss_history"], rtol=1e-4)


# ---- settings that are refused, before any process is started


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"hidden": [16, 0]}, ValueError, ["hidden_size", "0"]),
        ({"hidden": [16.0]}, TypeError, ["hidden_size", "16.0"]),
        ({"lr": [0.1, 0]}, ValueError, ["learning_rate", "0"]),
        ({"lr": [math.nan]}, ValueError, ["learning_rate", "nan"]),
        ({"lr": ["0.1"]}, TypeError, ["learning_rate", "'0.1'"]),
        ({"reg": [1e-3, -1]}, ValueError, ["reg", "-1"]),
        ({"reg": []}, ValueError, ["reg", "[]"]),
        ({"hidden": []}, ValueError, ["hidden", "[]"]),
        ({"epochs": 0}, ValueError, ["epochs", "0"]),
        ({"epochs": -2}, ValueError, ["epochs", "-2"]),
        ({"epochs": 2.5}, TypeError, ["epochs", "2.5"]),
        ({"epochs": None}, TypeError, ["epochs", "None"]),
        ({"hidden": 4}, ValueError, ["hidden", "4"]),
        ({"lr": 0.1}, ValueError, ["lr", "0.1"]),
        ({"batch_size": 0}, ValueError, ["batch_size", "0"]),
        ({"batch_size": 2.5}, TypeError, ["batch_size", "2.5"]),
        ({"workers": 0}, ValueError, ["workers", "0"]),
        ({"workers": 1.5}, TypeError, ["workers", "1.5"]),
        ({"workers": True}, TypeError, ["workers", "True"]),
        ({"seed": -1}, ValueError, ["-1"]),
        ({"activation": ["relu", "step"]}, ValueError, ["activation", "step"]),
        ({"activation": "relu"}, ValueError, ["activation", "'relu'"]),
        ({"dropout": [1.0]}, ValueError, ["dropout", "1.0"]),
        ({"optimizer": ["fast"]}, ValueError, ["optimizer", "fast"]),
        ({"std": ["hey"]}, ValueError, ["std", "hey"]),
        ({"decay": [0]}, ValueError, ["learning_rate_decay", "0"]),
        ({"trials": 0}, ValueError, ["trials", "0"]),
        ({"trials": 1.0}, TypeError, ["trials", "1.0"]),
        ({"trials": 2}, ValueError, ["trials", "1", "2"]),  # more than the grid has
        ({"lr": Range(0, 0.1)}, ValueError, ["lr", "0:0.1"]),
        ({"lr": Range(0.1, 0.1)}, ValueError, ["lr", "0.1:0.1"]),
        ({"lr": Range(0.1, math.nan)}, ValueError, ["lr", "nan"]),
        ({"lr": Range(0.1, math.inf)}, ValueError, ["learning_rate", "inf"]),
        ({"lr": Range("0.1", 1)}, TypeError, ["lr", "'0.1'"]),
        ({"hidden": Range(4, 8.5)}, TypeError, ["hidden_size", "8.5"]),
        ({"dropout": Range(0, 1)}, ValueError, ["dropout", "1"]),
        ({"decay": Range(0, 1)}, ValueError, ["learning_rate_decay", "0"]),
        ({"optimizer": Range(1, 2)}, ValueError, ["optimizer", "Range"]),
    ],
)
def test_errors_of_sweep(options, error, words, data, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "WorkerPool", None)
    before, out = dict(os.environ), tmp_path / "out"
    with pytest.raises(error) as caught:
        tune.sweep(
            data,
            **{"hidden": [4], "lr": [0.1], "reg": [0], "out": out, "verbose": False, **options},
        )
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not out.exists() and dict(os.environ) == before


def test_unknown_dataset():
    with pytest.raises(ValueError, match="nothing"):
        tune.sweep("nothing")


# ---- command line


def test_command_line(tmp_path, capfd):
    out = tmp_path / "run"
    flags = "--hidden 16 24 --lr 0.02 1e8 --reg 1e-4 --epochs 1 --batch-size 100 --seed 5 --workers 2 --out"
    assert tune.main([*flags.split(), str(out)]) == 0
    printed, errors = capfd.readouterr()
    assert errors == "" and "\r" not in printed and "\x1b" not in printed
    pictures = ["history.png", "sweep.png", "weights.png"]
    others = ["best.json", "best.npz", "dataset.npz", "sweep.json", "trials", "trials.csv"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*pictures, *others])
    assert all((out / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for name in pictures)
    assert all(
        str(out / name) in printed.splitlines()[-1]
        for name in (*pictures, "trials.csv", "best.npz")
    )

    table = rows(out / "trials.csv")
    settings = [("16", "0.02"), ("16", "100000000.0"), ("24", "0.02"), ("24", "100000000.0")]
    assert [(row["hidden_size"], row["learning_rate"]) for row in table] == settings
    assert [row["status"] for row in table] == ["ok", "diverged"] * 2
    best = max(table, key=lambda row: float(row["val_acc"]) if row["status"] == "ok" else -1)
    data, net = load_dataset("mnist5k"), TwoLayerNet.load(out / "best.npz")
    assert net.hidden_size == int(best["hidden_size"])
    assert float(best["val_acc"]) == np.mean(net.predict(data.X_val) == data.y_val)
    accuracy = np.mean(net.predict(data.X_test) == data.y_test)
    assert accuracy > 0.5
    said = f"test accuracy of the best: {accuracy:.2%} of 1000 images\n"
    assert said in printed
    summary = json.loads((out / "best.json").read_text())
    assert summary["test_acc"] == accuracy and summary["val_acc"] == float(best["val_acc"])
    assert str(summary["trial"]) == best["trial"]

    # the same command again: the result, and nothing is done
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "WorkerPool", None)
        assert tune.main([*flags.split(), str(out)]) == 0
        again, errors = capfd.readouterr()
        assert errors == "" and said in again and "/4" not in again
        assert before == {path: path.stat().st_mtime_ns for path in before}
        # a report needs neither the data nor anything but the folder
        for name in pictures:
            (out / name).unlink()
        patch.setattr(tune, "load_dataset", None)
        assert tune.main(["--report", str(out)]) == 0
        again, errors = capfd.readouterr()
    assert errors == "" and said in again
    assert all((out / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for name in pictures)

    # other settings in the same folder
    with pytest.raises(SystemExit) as stopped:
        tune.main([*flags.replace("0.02", "0.03").split(), str(out)])
    message = capfd.readouterr().err.splitlines()[-1]
    assert stopped.value.code == 2 and "lr [0.02, 100000000.0], not [0.03, 100000000.0]" in message
    assert "another --out or remove the folder" in message and rows(out / "trials.csv") == table


def test_all_diverged(tmp_path, capfd):
    flags = "--hidden 4 --lr 1e9 --reg 0 --epochs 1 --workers 1 --out"
    assert tune.main([*flags.split(), str(tmp_path)]) == 1
    printed, errors = capfd.readouterr()
    assert "every trial diverged" in errors and "test accuracy" not in printed
    names = ["dataset.npz", "sweep.json", "trials", "trials.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert not list((tmp_path / "trials").iterdir())
    assert rows(tmp_path / "trials.csv")[0]["status"] == "diverged"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--hidden 0", ["hidden", "0"]),
        ("--hidden 1.5", ["--hidden", "1.5"]),
        ("--hidden", ["--hidden"]),
        ("--lr -0.1", ["learning_rate", "-0.1"]),
        ("--lr fast", ["--lr", "fast"]),
        ("--lr nan", ["learning_rate", "nan"]),
        ("--reg -1", ["reg", "-1"]),
        ("--dataset nothing", ["nothing", "mnist5k"]),
        ("--epochs 0", ["epochs", "0"]),
        ("--epochs two", ["--epochs", "two"]),
        ("--batch-size 0", ["batch_size", "0"]),
        ("--workers 0", ["workers", "0"]),
        ("--seed -1", ["seed", "-1"]),
        ("--colour red", ["--colour"]),
        ("--lr 1e-3:", ["--lr", "1e-3:"]),
        ("--lr 0.1:0.01", ["lr", "0.1:0.01"]),
        ("--reg 0:0.01", ["reg", "0:0.01"]),
        ("--lr 0.1:1 2", ["--lr", "2"]),
        ("--hidden 4.5:8", ["--hidden", "4.5:8"]),
        ("--activation step", ["activation", "step", "relu"]),
        ("--optimizer fast", ["optimizer", "fast", "adam"]),
        ("--std hey", ["std", "hey"]),
        ("--dropout 1", ["dropout", "1"]),
        ("--decay 0", ["decay", "0"]),
        ("--trials 0", ["trials", "0"]),
        ("--trials 91", ["trials", "90", "91"]),
        ("--report nowhere", ["nowhere", "sweep.json"]),
    ],
)
def test_flags_that_are_refused(flags, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tune, "WorkerPool", None)
    with pytest.raises(SystemExit) as stopped:
        tune.main(flags.split())
    printed, errors = capsys.readouterr()
    assert stopped.value.code == 2 and printed == ""
    message = errors.splitlines()[-1]
    assert "error:" in message and all(word in message for word in words), message
    assert not list(tmp_path.iterdir())


@linux
@pytest.mark.parametrize(
    ("closing", "code", "said"),
    [(">&-", 0, ""), (">/dev/full", 2, r"output: \[Errno 28\]"), ("| true", 0, "")],
)
def test_output_that_nobody_can_read(closing, code, said, tmp_path):
    flags = "--hidden 4 --lr 0.1 --reg 0 --epochs 1 --workers 1"
    command = f"{sys.executable} {SCRIPT} {flags} --out {tmp_path / 'out'} {closing}"
    run = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True)
    assert run.returncode == code and re.search(said, run.stderr) and "Traceback" not in run.stderr
    assert len((tmp_path / "out" / "trials.csv").read_text().splitlines()) == 2


def test_ctrl_c_of_a_report(reported, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt(130)

    monkeypatch.setattr(tune, "load_sweep", stop)
    assert tune.main(["--report", str(reported)]) == 130
    assert f"stopped; what was done is in {reported / 'trials.csv'}" in capsys.readouterr().err


def test_folder_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit) as stopped:
        tune.main(["--hidden", "4", "--out", str(tmp_path / "file")])
    assert stopped.value.code == 2 and str(tmp_path / "file") in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_help():
    run = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr == ""
    flags = "hidden lr reg activation dropout optimizer std batch-size decay trials halving epochs dataset seed"
    for flag in (*flags.split(), "workers", "out", "dask", "host", "report"):
        assert f"--{flag}" in run.stdout
    for example in ("--lr 1e-3:1", "--halving", "--dask tcp://", "--report runs/"):
        assert example in run.stdout.split("examples:")[1]
    assert max(map(len, run.stdout.splitlines())) <= 115
    for default in (
        "16 64 256",
        "0.003 0.01 0.03 0.1 0.3 1",
        "1e-05 0.0001 0.001 0.01 0.1",
        "mnist5k",
    ):
        assert default in " ".join(run.stdout.split())


def processes_with(text):
    """Ids of the running processes whose environment holds this text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


MANY = [
    "--hidden",
    "4",
    "--reg",
    "0",
    "--epochs",
    "6",
    "--lr",
    *(f"{0.01 * i:.2f}" for i in range(1, 15)),
]
HALVED = ["--hidden", "60:99", "--lr", "1e-2:0.1", "--reg", "0"]
HALVED += ["--trials", "9", "--epochs", "9", "--halving"]


def start(folder, *flags, **options):
    """The command in a session of its own; its processes and temporary files can be told by the folder."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, SCRIPT, *flags, "--workers", "2", "--out", folder / "out"]
    env = {**os.environ, "SWEEP_OF_A_TEST": f"<{folder}>", "TMPDIR": str(folder / "tmp")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    if os.name == "posix":  # where the tests run in the background, Ctrl-C may be ignored
        options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, text=True, env=env, start_new_session=True, **options)


def workers_of(folder):
    pids = processes_with(f"SWEEP_OF_A_TEST=<{folder}>")
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids}
    return [pid for pid, line in lines.items() if b"spawn_main" in line]


def nothing_is_left(folder):
    for _ in range(50):
        if not processes_with(f"SWEEP_OF_A_TEST=<{folder}>") and not list(
            (folder / "tmp").iterdir()
        ):
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The rows of the two sweeps above and the bits of their best nets' W1."""
    found, data = {}, load_dataset("mnist5k")
    many = {"hidden": [4], "lr": [round(0.01 * i, 2) for i in range(1, 15)], "epochs": 6}
    few = {
        "hidden": Range(60, 99),
        "lr": Range(1e-2, 0.1),
        "trials": 9,
        "epochs": 9,
        "halving": True,
    }
    for name, options in (("MANY", many), ("HALVED", few)):
        out = tmp_path_factory.mktemp(name)
        with ThreadPoolExecutor(2) as executor:
            trials = tune.sweep(
                data, **options, reg=[0.0], executor=executor, out=out, verbose=False
            )
        found[name] = timeless(out / "trials.csv"), trials[0]["net"].params["W1"].tobytes()
    return found


@linux
def test_ctrl_c_while_a_pool_waits_for_its_tasks():
    pool = tune.WorkerPool(1)
    future = pool.submit(time.sleep, 60)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        pool.shutdown()
    assert isinstance(future.exception(5), BrokenExecutor) and not pool.folder.exists()


@linux
@pytest.mark.parametrize(
    ("how", "code", "lines", "flags"),
    [
        ("SIGKILL", -9, 0, "MANY"),
        ("SIGKILL", -9, 10, "HALVED"),
        ("SIGINT all", 130, 0, "MANY"),  # while the workers import
        ("SIGINT all", 130, 7, "MANY"),
        ("SIGINT twice", 130, 3, "MANY"),
        ("SIGTERM all", 143, 1, "MANY"),
        ("SIGTERM", 143, 11, "HALVED"),
    ],
)
def test_stopped_and_taken_up_again(how, code, lines, flags, uninterrupted, tmp_path):
    expected, best = uninterrupted[flags]
    flags, out = {"MANY": MANY, "HALVED": HALVED}[flags], tmp_path / "out"
    run = start(tmp_path, *flags)
    try:
        for _ in range(lines):
            assert "best" in run.stdout.readline()
        while not list((tmp_path / "tmp").iterdir()):  # the shared data: workers have been started
            time.sleep(0.01)
        number = getattr(signal, how.split()[0])
        os.killpg(run.pid, number) if how.endswith("all") else run.send_signal(number)
        if how.endswith("twice"):
            run.send_signal(number)
        errors = run.communicate(timeout=10)[1]
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
    assert run.returncode == code and "Traceback" not in errors and "once more" not in errors
    assert (
        how.split()[0] == "SIGKILL"
        or "twice" in how
        or ("stopped" in errors and "goes on" in errors)
    )
    assert nothing_is_left(tmp_path)
    if lines:
        table = timeless(out / "trials.csv")
        assert min(lines, 7) <= len(table) <= len(expected) and table != expected
        assert TwoLayerNet.load(out / "best.npz").input_size == 784

    run = start(tmp_path, *flags)
    again, errors = run.communicate(timeout=30)
    assert run.returncode == 0 and errors == "" and nothing_is_left(tmp_path)
    assert timeless(out / "trials.csv") == expected
    assert f"{json.loads((out / 'best.json').read_text())['test_acc']:.2%}" in again
    assert (
        not list(out.rglob("*.part"))
        and not list(out.rglob(".*"))
        and not list(out.rglob("*.check*"))
    )
    assert TwoLayerNet.load(out / "best.npz").params["W1"].tobytes() == best


@linux
def test_killed_workers(uninterrupted, tmp_path):
    run = start(tmp_path, *MANY)
    run.stdout.readline()
    for pid in workers_of(tmp_path):
        os.kill(pid, signal.SIGKILL)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 0 and errors.count("once more") == 2 and "signal 9" in errors
    assert timeless(tmp_path / "out" / "trials.csv") == uninterrupted["MANY"][
        0
    ] and nothing_is_left(tmp_path)


@linux
def test_one_process_writes(tmp_path):
    flags = [*MANY, "--epochs", "200"]  # it must still be running when the second one looks
    run = start(tmp_path, *flags)
    run.stdout.readline()
    second = start(tmp_path, *flags)
    assert (
        "being written by another process" in second.communicate(timeout=10)[1]
        and second.returncode == 2
    )
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=10)


@linux
def test_lines_of_a_terminal(tmp_path):
    parent, child = os.openpty()
    flags = ["--hidden", "4", "--lr", "0.1", "0.2", "--reg", "0", "--epochs", "2"]
    run, text = start(tmp_path, *flags, stdout=child), b""
    os.close(child)
    while run.poll() is None or select.select([parent], [], [], 0)[0]:
        try:
            text += os.read(parent, 1000) if select.select([parent], [], [], 0.1)[0] else b""
        except OSError:
            break
    os.close(parent)
    assert run.wait() == 0 and run.communicate()[1] == ""
    live, end = text.decode().replace("\r\n", "\n").split("\nbest 2 of")
    assert "\r" in live and "\r" not in end and "\x1b" not in live
    shown = [line.rpartition("\r")[2] for line in live.split("\n")]  # what stays
    assert sum(line.startswith(("1/2  #", "2/2  #")) for line in shown) == 2
    assert "1/2 trials  best" in live and not any("/2 trials" in line for line in shown)


# ---- search


def test_draws_from_lists_too_long_for_a_grid(data):
    numbers = [i / 1000 for i in range(1, 100)]
    lists = {"hidden": range(1, 100), "lr": numbers, "reg": numbers, "dropout": numbers}
    trials = tune.sweep(
        data, **lists, trials=3, epochs=1, executor=Planted(lambda number, attempt: None)
    )
    assert (
        len({(t["hidden_size"], t["learning_rate"], t["reg"], t["dropout"]) for t in trials}) == 3
    )


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("X_val", lambda a: None),
        ("y_val", lambda a: a[:-1]),
        ("X_test", lambda a: a[:, :-1]),
        ("y_test", lambda a: a + 9),
        ("X_train", lambda a: np.where(a == a.max(), np.nan, a)),
    ],
)
def test_a_dataset_that_is_none_is_named(part, change, data):
    spoiled = copy.copy(data)
    setattr(spoiled, part, change(getattr(data, part)))
    with pytest.raises((TypeError, ValueError), match=rf"data\.{part} "):
        tune.sweep(spoiled, **FEW)


def test_numbers_of_numpy_do_not_overflow(data):
    grid = {**FEW, "hidden": [4, 300], "epochs": np.int8(2), "seed": np.uint8(3), "halving": True}
    assert len(tune.sweep(data, **grid, executor=Planted(lambda *_: None))) == 2


def test_a_dataset_without_test_rows(data, tmp_path, capsys):
    without = copy.copy(data)
    without.X_test, without.y_test = data.X_test[:0], data.y_test[:0]
    tune.sweep(without, **FEW, executor=Planted(lambda *_: None), out=tmp_path)
    assert tune.report(tmp_path, without) == 0
    assert "test accuracy" not in capsys.readouterr().out and (tmp_path / "sweep.png").exists()


def test_a_net_too_large_for_the_memory_is_refused_before_training(data, tmp_path):
    with pytest.raises(ValueError, match="hidden_size must be small enough for the memory"):
        tune.sweep(data, **{**FEW, "hidden": [2, 10**11]}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_draws(data):
    """Draws are seen without training."""

    def drawn(**options):
        executor = Planted(lambda number, attempt: BrokenExecutor("not now"))
        trials = tune.sweep(data, executor=executor, **{**FEW, **options})
        return sorted(trials, key=lambda t: t["trial"])

    some = {
        "hidden": Range(4, 400),
        "lr": Range(1e-4, 1),
        "dropout": Range(0, 0.5),
        "reg": [0, 1e-3, 1],
    }
    trials = drawn(**some, activation=["relu", "tanh"], trials=400, seed=1)
    sizes, rates, dropout, regs, names = (
        np.array([t[name] for t in trials])
        for name in ("hidden_size", "learning_rate", "dropout", "reg", "activation")
    )
    assert len(trials) == 400 and all(type(t["hidden_size"]) is int for t in trials)
    assert (
        sizes.min() in range(4, 8) and 300 < sizes.max() <= 400 and 0.4 < (sizes < 40).mean() < 0.6
    )
    assert (
        1e-4 <= rates.min() < 2e-4 and 0.5 < rates.max() <= 1 and 0.4 < (rates < 1e-2).mean() < 0.6
    )
    assert (
        0 <= dropout.min() < 0.02
        and 0.48 < dropout.max() <= 0.5
        and 0.4 < (dropout < 0.25).mean() < 0.6
    )
    assert all(100 < Counter(regs.tolist())[reg] < 170 for reg in (0, 1e-3, 1))
    assert 160 < Counter(names.tolist())["tanh"] < 240
    assert all(float(f"{rate:.3g}") == rate for rate in rates)
    assert len({t["learning_rate"] for t in trials}) > 300

    settings = [tuple(t[name] for name in SETTINGS) for t in trials]
    same = drawn(**some, activation=["relu", "tanh"], seed=1)
    assert [tuple(t[name] for name in SETTINGS) for t in same] == settings[
        :30
    ]  # the default number
    other = drawn(**some, activation=["relu", "tanh"], seed=2)
    assert [tuple(t[name] for name in SETTINGS) for t in other] != settings[:30]

    part = drawn(lr=[0.1, 0.2, 0.3], reg=[0, 1, 2], trials=5, seed=3)
    pairs = [(t["learning_rate"], t["reg"]) for t in part]
    assert len(set(pairs)) == 5 and pairs == sorted(pairs) and {p[1] for p in pairs} <= {0, 1, 2}
    assert part != drawn(lr=[0.1, 0.2, 0.3], reg=[0, 1, 2], trials=5, seed=4)


def test_all_settings_reach_the_class(data):
    options = {"activation": ["tanh"], "dropout": [0.25], "optimizer": ["adam"], "std": [0.05]}
    (trial,) = tune.sweep(data, [6], [0.002], [1e-4], **options, batch_size=30, decay=[0.5], epochs=3,
                          workers=1, seed=2, verbose=False)  # fmt: skip
    net = TwoLayerNet(784, 6, 10, 0.05, activation="tanh", dropout=0.25, dtype=np.float32, rng=2)
    history = net.train(data.X_train, data.y_train, data.X_val, data.y_val, 0.002, 0.5, 1e-4, epochs=3,
                        batch_size=30, optimizer="adam")  # fmt: skip
    np.testing.assert_allclose(trial["history"]["loss_history"], history["loss_history"], rtol=1e-4)
    assert [trial[name] for name in SETTINGS] == [
        6,
        0.002,
        1e-4,
        "tanh",
        0.25,
        "adam",
        0.05,
        30,
        0.5,
    ]


HALVING = {
    "hidden": [6],
    "lr": Range(1e-4, 1),
    "reg": [1e-4],
    "trials": 11,
    "epochs": 10,
    "seed": 5,
}


@pytest.fixture(scope="module")
def halved(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("halved")
    with ThreadPoolExecutor(1) as executor:
        trials = tune.sweep(
            data, **HALVING, halving=True, executor=executor, out=out, verbose=False
        )
    return trials, out


def test_halving(halved, data):
    """Rungs of 2, 4 and 10 epochs for 11, 4 and 2 trials."""
    trials, out = halved
    with ThreadPoolExecutor(1) as executor:
        whole = tune.sweep(data, **HALVING, executor=executor, verbose=False)
    whole, by_number = {t["trial"]: t for t in whole}, {t["trial"]: t for t in trials}

    def best(numbers, epoch, count):
        def rank(n):
            history = whole[n]["history"]
            return -history["val_acc_history"][epoch - 1], history["val_loss_history"][epoch - 1], n

        return sorted(numbers, key=rank)[:count]

    second = best(range(1, 12), 2, 4)
    third = best(second, 4, 2)
    for number, trial in by_number.items():
        assert trial["epochs"] == (10 if number in third else 4 if number in second else 2)
        for name, values in trial["history"].items():
            assert values == whole[number]["history"][name][: len(values)], name
    for number in third:
        assert alike(by_number[number], whole[number])  # the same bits
    assert not list(out.rglob("*.checkpoint.npz"))
    assert np.array_equal(
        TwoLayerNet.load(out / "best.npz").params["W1"], trials[0]["net"].params["W1"]
    )


@pytest.mark.parametrize("after", [0, 4, 11, 13, 15, 16])
def test_halving_is_taken_up_again(after, halved, data, tmp_path):
    executor = Planted(lambda number, attempt: KeyboardInterrupt() if number > after else None)
    with pytest.raises(KeyboardInterrupt):
        tune.sweep(data, **HALVING, halving=True, executor=executor, out=tmp_path, verbose=False)
    executor = Planted(lambda number, attempt: None)
    again = tune.sweep(
        data, **HALVING, halving=True, executor=executor, out=tmp_path, verbose=False
    )
    assert sum(executor.attempts.values()) == 17 - after
    assert executor.checkpoints.count(b"") == max(0, 11 - after)  # nobody starts again
    assert timeless(tmp_path / "trials.csv") == timeless(halved[1] / "trials.csv")
    assert all(alike(a, b) for a, b in zip(again, halved[0], strict=True))
    assert not list(tmp_path.rglob("*.checkpoint.npz"))


def test_a_rung_is_judged_by_what_was_known_then():
    accuracies = {
        1: [0.9, 0.1],
        2: [0.8],
        3: [],
        4: [0.8],
    }  # the first has gone on since, the third diverged
    trials = [
        {
            "trial": n,
            "history": {"val_acc_history": values, "val_loss_history": [n % 4] * len(values)},
        }
        for n, values in accuracies.items()
    ]
    assert [t["trial"] for t in tune._promoted(trials, 1)] == [
        1,
        4,
    ]  # of equals the one with the lower loss


@pytest.mark.parametrize("outcome", ["worse", "diverged"])
def test_the_best_may_change_for_the_worse(outcome, data, tmp_path):
    class Changed(Planted):
        def submit(self, function, *arguments):
            future = super().submit(function, *arguments)
            result = future.result()
            if arguments[3] == 3 and outcome == "worse":  # the second rung
                result["val_acc"] = 0.01
            elif arguments[3] == 3:
                result.update(status="diverged", net=None, val_acc=math.nan)
            return future

    options = {**FEW, "lr": [0.01, 0.1, 0.001], "epochs": 3, "halving": True, "out": tmp_path}
    trials = tune.sweep(data, **options, executor=Changed(lambda *_: None))
    assert [t["trial"] for t in trials] == [1, 3, 2] and trials[2]["epochs"] == 3
    best = TwoLayerNet.load(tmp_path / "best.npz").params["W1"]
    assert np.array_equal(best, trials[0]["net"].params["W1"])
    assert (tmp_path / "trials" / "0002.npz").exists() == (outcome == "worse")


def test_halving_says_what_it_spent(data, capsys):
    options = {
        "hidden": [4],
        "lr": [0.01, 0.1, 1e8],
        "reg": [0],
        "epochs": 3,
        "workers": 1,
        "halving": True,
    }
    trials = tune.sweep(data, **options)
    assert [(t["status"], t["epochs"]) for t in trials] == [("ok", 3), ("ok", 1), ("diverged", 0)]
    printed = capsys.readouterr().out.splitlines()
    assert "4 of 9 epochs (44.4%), 5 saved" in printed[-1] and "after 3/3" in printed[-2]
    assert len(printed) == 5


# ---- executors


class Planted:
    """An executor that does each task at once, unless plan(number of the task, attempt) gives an error."""

    def __init__(self, plan):
        self.plan, self.attempts, self.checkpoints = plan, Counter(), []

    def submit(self, function, *arguments):
        self.attempts[str(arguments)] += 1
        self.checkpoints.append(arguments[-1])
        number, future = list(self.attempts).index(str(arguments)) + 1, Future()
        error = self.plan(number, self.attempts[str(arguments)])
        if error is None:
            future.set_result(function(*arguments))
        else:
            future.set_exception(error)
        return future


def test_a_failed_trial_is_tried_once_more(data, tmp_path, capsys):
    grid = {**FEW, "lr": [0.1, 0.2, 0.3], "out": tmp_path}

    def plan(number, attempt):
        return BrokenExecutor("gone") if number == 3 or (number == 2 and attempt == 1) else None

    trials = tune.sweep(data, **grid, executor=Planted(plan))
    assert [t["status"] for t in trials] == ["ok", "ok", "failed"]
    assert trials[2]["trial"] == 3 and trials[2]["net"] is None and math.isnan(trials[2]["val_acc"])
    errors = capsys.readouterr().err
    assert errors.count("once more") == 2 and errors.count("given up") == 1 and "gone" in errors
    assert [row["status"] for row in rows(tmp_path / "trials.csv")] == ["ok", "ok", "failed"]
    assert tune.report(tmp_path) == 1 and "1 failed" in capsys.readouterr().err

    executor = Planted(lambda number, attempt: None)
    trials = tune.sweep(data, **grid, executor=executor)
    assert [t["status"] for t in trials] == ["ok"] * 3 and sum(executor.attempts.values()) == 1
    assert tune.report(tmp_path) == 0


def test_an_error_of_the_program_is_raised(data):
    with pytest.raises(ValueError, match="mine"):
        tune.sweep(data, **FEW, executor=Planted(lambda number, attempt: ValueError("mine")))


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_other_executors(kind, swept, data, tmp_path):
    context = multiprocessing.get_context("spawn")
    with (
        ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, context) as executor
    ):
        tune.sweep(data, **GRID, epochs=2, executor=executor, out=tmp_path, seed=3, verbose=False)
    assert timeless(tmp_path / "trials.csv") == timeless(swept[1] / "trials.csv")


def test_data_goes_out_once_to_who_has_the_key(data):
    with tune._served(data, "127.0.0.1") as source:
        with pytest.raises(multiprocessing.AuthenticationError):
            tune._arrays((source[0], b"wrong"))
        arrays = tune._arrays(source)
        assert [a.tobytes() for a in arrays] == [
            getattr(data, part).tobytes() for part in tune.PARTS
        ]
        assert tune._arrays(source) is arrays  # nobody is asked again
        assert len(str(source)) < 300


@linux
@pytest.mark.filterwarnings("default")
def test_dask(uninterrupted, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as cluster:
        run = start(tmp_path, *MANY, "--dask", cluster.scheduler_address)
        for _ in range(4):
            assert "best" in run.stdout.readline()
        os.kill(cluster.workers[0].pid, signal.SIGKILL)
        printed, errors = run.communicate(timeout=30)
    assert run.returncode == 0, errors
    assert (
        timeless(tmp_path / "out" / "trials.csv") == uninterrupted["MANY"][0] and "14/14" in printed
    )


def test_dask_that_is_not_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SystemExit):
        tune.main(["--dask", "tcp://127.0.0.1:1", "--out", str(tmp_path / "out")])
    assert "pip install distributed" in capsys.readouterr().err


def fail_with_what_cannot_be_sent():
    raise ValueError(lambda: 0)


def test_worker_pool_reports_an_error_that_cannot_be_sent():
    with tune.WorkerPool(1) as pool, pytest.raises(RuntimeError, match=r"ValueError.*lambda"):
        pool.submit(fail_with_what_cannot_be_sent).result()


def test_worker_pool():
    with tune.WorkerPool(2) as pool:
        folder = pool.folder
        values = [pool.submit(math.sqrt, i) for i in (4, 9, -1)]
        assert [future.result() for future in values[:2]] == [2, 3]
        with pytest.raises(ValueError):
            values[2].result()
        died = pool.submit(os._exit, 3)
        with pytest.raises(BrokenExecutor, match="exit code 3"):
            died.result()
        assert len({pool.submit(os.getpid).result() for _ in range(8)} | {os.getpid()}) > 1
        assert folder.is_dir()
    assert not folder.exists()
    began = time.perf_counter()
    with pytest.raises(RuntimeError), tune.WorkerPool(1) as pool:
        pool.submit(time.sleep, 30)
        raise RuntimeError("leave")
    assert time.perf_counter() - began < 5


# ---- folders


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epochs": 2}, "epochs 1, not 2"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"hidden": [5]}, r"hidden \[4\], not \[5\]"),
        ({"lr": Range(0.1, 0.2), "trials": 1}, r"lr \[0.1\], not 0.1:0.2"),
        ({"halving": True}, "halving False, not True"),
        ({"batch_size": [40]}, r"batch_size \[50\], not \[40\]"),
        ({"decay": [1.0]}, r"decay \[0.95\], not \[1.0\]"),
        ({"less": True}, "data_checksum"),
    ],
)
def test_changed_settings_are_refused(changed, words, data, tmp_path, monkeypatch):
    tune.sweep(data, **FEW, executor=Planted(lambda *_: None), out=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    if changed == {"less": True}:
        changed, data = {}, dataclasses.replace(data, X_val=data.X_val[1:], y_val=data.y_val[1:])
    with pytest.raises(ValueError, match=f"{words}.*another --out or remove the folder"):
        tune.sweep(data, **{**FEW, **changed}, out=tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_range_is_not_a_list_of_its_ends(data, tmp_path):
    options = {**FEW, "executor": Planted(lambda *_: None), "out": tmp_path, "trials": 2}
    tune.sweep(data, **{**options, "lr": [0.1, 0.2]})
    with pytest.raises(ValueError, match="lr"):
        tune.sweep(data, **{**options, "lr": Range(0.1, 0.2)})


def test_a_folder_of_others_is_left_alone(data, tmp_path):
    (tmp_path / "trials.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"no sweep\.json"):
        tune.sweep(data, **FEW, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv"]
    assert (tmp_path / "trials.csv").read_text() == "mine"


def test_missing_rows_and_files_are_made_again(data, tmp_path):
    options = {**FEW, "lr": np.array([0.05, 0.1, 0.2]), "epochs": np.int64(1), "out": tmp_path}
    first = tune.sweep(data, **options, executor=Planted(lambda *_: None))
    whole = timeless(tmp_path / "trials.csv")
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    (tmp_path / "trials.csv").write_text("\n".join([*lines[:2], *lines[3:]]) + "\n")
    (tmp_path / "trials" / "0003.npz").unlink()
    (tmp_path / "best.npz").unlink()
    (tmp_path / "trials.csv.0123abcd.part").write_text("half")
    executor = Planted(lambda *_: None)
    again = tune.sweep(data, **options, executor=executor)
    assert sum(executor.attempts.values()) == 2 and timeless(tmp_path / "trials.csv") == whole
    assert all(alike(a, b) for a, b in zip(first, again, strict=True))
    assert np.array_equal(
        TwoLayerNet.load(tmp_path / "best.npz").params["W1"], first[0]["net"].params["W1"]
    )
    assert not list(tmp_path.glob("*.part"))
    assert all(alike(a, b) for a, b in zip(first, tune.load_sweep(tmp_path), strict=True))

    (tmp_path / "trials.csv").write_text(
        "\n".join([lines[0], "9" + lines[1][1:].replace(",ok,", ",diverged,")]) + "\n"
    )
    with pytest.raises(ValueError, match=r"trials\.csv.*trial 9"):
        tune.sweep(data, **options)
    (tmp_path / "trials.csv").write_text("trial,mine\n1,2\n")
    with pytest.raises(ValueError, match=r"trials\.csv"):
        tune.sweep(data, **options)
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(ValueError, match=r"sweep\.json"):
        tune.sweep(data, **options)


def test_other_files_in_the_folder_are_left_alone(data, tmp_path):
    others = [
        "film.part",
        ".secret",
        "best.npz.2024.part",
        "notes.json.old.part",
        "trials/patient.pdf.part",
    ]
    with ThreadPoolExecutor(1) as executor:
        (tmp_path / ".secret").write_text("mine")
        tune.sweep(data, **FEW, executor=executor, out=tmp_path)
        for name in others:
            (tmp_path / name).write_text("mine")
        tune.sweep(data, **FEW, executor=executor, out=tmp_path)
    assert all((tmp_path / name).read_text() == "mine" for name in others)


@linux
def test_forked_workers_do_not_keep_the_folder(data, tmp_path):
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings(), ProcessPoolExecutor(1, context) as executor:
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        for _ in range(2):
            tune.sweep(data, **FEW, executor=executor, out=tmp_path)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("sweep.json", ".+", "{}"),
        ("sweep.json", ".+", "[1]"),
        ("sweep.json", ".+", "[" * 100_000),
        ("sweep.json", '"trials": [0-9]+', '"trials": null'),
        ("sweep.json", '"format": 1', '"format": 2'),
        ("trials/0001.json", ".+", '{"a": 1}'),
        ("trials/0001.json", '("val_acc_history": ).*?]', "\\1[0.5]"),
        ("best.json", ".+", "[]"),
        ("best.json", '"test_acc": [0-9.]+', '"test_acc": 9'),
        ("best.json", '"test_acc": [0-9.]+', '"test_acc": "all"'),
        ("best.json", ',\\s*"test_images": [0-9]+', ""),
        ("trials.csv", "\n$", ""),
        ("trials.csv", "(\n1,.*\n)", "\\1\\1"),
        ("trials.csv", "(\n1,.*,ok,)[0-9.]+", "\\g<1>5.0"),
        ("trials.csv", "(\n1,.*,ok,)[0-9.]+", "\\g<1>0,93"),
        ("trials.csv", "(\n1,.*,ok,)[0-9.]+", "\\1"),
        ("trials.csv", "(\n1,.*,ok,)[0-9.]+", "\\1abc"),
        ("trials.csv", "(\n1,.*,)[0-9.e-]+(?=\n)", "\\1x"),
        ("trials.csv", "(\n1,.*),ok,", "\\1,fine,"),
        ("trials.csv", "\n1,[0-9]+,[0-9.]+", "\n1,4,fast"),
        ("trials/0001.json", '("val_acc_history": ).*?]', "\\g<1>5"),
        ("trials.csv", "(?s).+", "\0" * 1000),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_named(name, old, new, reported, tmp_path, capsys):
    shutil.copytree(reported, tmp_path / "out")
    path = tmp_path / "out" / name
    text, count = re.subn(
        old, new, path.read_text(), count=1, flags=re.DOTALL if old == ".+" else 0
    )
    assert count == 1
    path.write_text(text)
    with pytest.raises(SystemExit) as stopped:
        tune.main(["--report", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert (
        stopped.value.code == 2 and str(path) in said and re.search("damaged|does not tell", said)
    ), said


def test_the_best_net_is_looked_after(reported, data, tmp_path):
    shutil.copytree(reported, tmp_path / "out")
    path = tmp_path / "out" / "best.npz"
    whole = path.read_bytes()
    for content in (whole[:99], (tmp_path / "out" / "trials" / "0001.npz").read_bytes(), None):
        path.unlink() if content is None else path.write_bytes(content)
        tune.report(tmp_path / "out", data)
        assert path.read_bytes() == whole
    other = min((tmp_path / "out" / "trials").glob("*.npz"), key=lambda p: p.stat().st_size)
    largest = max((tmp_path / "out" / "trials").glob("*.npz"), key=lambda p: p.stat().st_size)
    shutil.copy(other, largest)
    with pytest.raises(ValueError, match=rf"{largest.name} is not the net"):
        tune.report(tmp_path / "out", data)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": None}, "data must be a Dataset"),
        ({"halving": "no"}, "halving must be True or False"),
        ({"verbose": 1.5}, "verbose must be True or False"),
        ({"out": 5}, "out must be a path"),
        ({"lr": [abs]}, "lr must be a list of numbers or names"),
        ({"executor": 3}, "executor must be"),
    ],
)
def test_types_of_arguments(options, words, data):
    with pytest.raises(TypeError, match=words):
        tune.sweep(**{"data": data, **FEW, **options})
