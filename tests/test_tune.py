import csv
import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tune
from data_utils import load_dataset
from two_layer_net import TwoLayerNet

SCRIPT = Path(tune.__file__)
COLUMNS = [
    "trial",
    "hidden_size",
    "learning_rate",
    "reg",
    "status",
    "val_acc",
    "val_loss",
    "train_acc",
    "seconds",
]
GRID = {"hidden": [8, 20], "lr": [0.03, 1e8], "reg": [0, 1e-3]}  # a rate of 1e8 diverges
SETTINGS = ("hidden_size", "learning_rate", "reg")


@pytest.fixture(scope="module")
def data():
    """Some rows of mnist5k."""
    whole = load_dataset("mnist5k")
    parts = {"X_train": 400, "y_train": 400, "X_val": 150, "y_val": 150, "X_test": 100, "y_test": 100}
    return dataclasses.replace(whole, **{part: getattr(whole, part)[:n] for part, n in parts.items()})


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


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def by_settings(trials):
    return {tuple(trial[name] for name in SETTINGS): trial for trial in trials}


def alike(a, b):
    """Two trials have the same bits in all but the time they took and their place in the grid."""
    values = [[repr(t[key]) for key in (*SETTINGS, *COLUMNS[4:8], "history")] for t in (a, b)]
    nets = [t["net"] and [w.tobytes() for w in t["net"].params.values()] for t in (a, b)]
    return values[0] == values[1] and nets[0] == nets[1]


def test_trials(swept, data):
    trials, _ = swept
    assert sorted(trial["trial"] for trial in trials) == list(range(1, 9))
    grid = [(h, lr, reg) for h in GRID["hidden"] for lr in GRID["lr"] for reg in GRID["reg"]]
    for trial in trials:
        assert tuple(trial[name] for name in SETTINGS) == grid[trial["trial"] - 1]
        assert trial["seconds"] > 0
        if trial["learning_rate"] == 0.03:
            net, history = trial["net"], trial["history"]
            assert trial["status"] == "ok" and net.hidden_size == trial["hidden_size"]
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


def test_best_first(swept):
    trials, _ = swept
    assert [trial["status"] for trial in trials] == ["ok"] * 4 + ["diverged"] * 4
    ranks = [(-trial["val_acc"], trial["val_loss"], trial["trial"]) for trial in trials[:4]]
    assert ranks == sorted(ranks)
    assert [trial["trial"] for trial in trials[4:]] == [3, 4, 7, 8]


def test_best_first_among_equals(data):
    rates_and_strengths = {"lr": [1e-9], "reg": [1e-3, 0, 1e-3]}  # such a rate changes no prediction
    trials = tune.sweep(data, [8], **rates_and_strengths, epochs=1, workers=1, verbose=False)
    assert len({trial["val_acc"] for trial in trials}) == 1
    assert [trial["trial"] for trial in trials] == [2, 1, 3]  # the lowest loss, then the first in the grid


def test_csv(swept):
    trials, out = swept
    table = np.genfromtxt(out / "trials.csv", names=True, delimiter=",", dtype=None, encoding="utf-8")
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
    assert sorted(path.name for path in out.iterdir()) == ["best.npz", "trials.csv"]
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
        sorted([row[name] for name in COLUMNS[1:8]] for row in rows(folder / "trials.csv"))
        for folder in (tmp_path, out)
    ]
    assert lists[0] == lists[1]

    printed, errors = capfd.readouterr()
    assert errors == "" and "\r" not in printed and "\x1b" not in printed
    lines = printed.splitlines()
    assert len(lines) == 8 and [line.split()[0] for line in lines] == [f"{n}/8" for n in range(1, 9)]
    assert sum("val diverged" in line for line in lines) == 4
    assert f"best {again[0]['val_acc']:.2%}" in lines[-1] and "0:00 left" in lines[-1]


def test_same_csv_with_one_worker(swept, data, tmp_path):
    _, out = swept
    tune.sweep(data, **GRID, epochs=2, workers=1, out=tmp_path, seed=3, verbose=False)
    tables = []
    for folder in (out, tmp_path):
        tables.append([{**row, "seconds": ""} for row in rows(folder / "trials.csv")])
    assert tables[0] == tables[1]


def test_a_trial_is_a_plain_training(swept, data):
    trial = by_settings(swept[0])[20, 0.03, 1e-3]
    net = TwoLayerNet(784, 20, 10, "he", dtype=np.float32, rng=3)
    history = net.train(data.X_train, data.y_train, data.X_val, data.y_val, 0.03, reg=1e-3, epochs=2,
                        batch_size=tune.BATCH_SIZE, optimizer="momentum")  # fmt: skip
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
    ],
)
def test_errors_of_sweep(options, error, words, data, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "ProcessPoolExecutor", None)
    before, out = dict(os.environ), tmp_path / "out"
    with pytest.raises(error) as caught:
        tune.sweep(data, **{"hidden": [4], "lr": [0.1], "reg": [0], "out": out, "verbose": False, **options})
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
    names = ["best.npz", "history.png", "sweep.png", "trials.csv"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert all((out / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for name in names[1:3])
    assert all(str(out / name) in printed.splitlines()[-1] for name in names)

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
    assert f"test accuracy of the best: {accuracy:.2%} of 1000 images\n" in printed


def test_all_diverged(tmp_path, capfd):
    flags = "--hidden 4 --lr 1e9 --reg 0 --epochs 1 --workers 1 --out"
    assert tune.main([*flags.split(), str(tmp_path)]) == 1
    printed, errors = capfd.readouterr()
    assert "every trial diverged" in errors and "test accuracy" not in printed
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv"]
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
    ],
)
def test_flags_that_are_refused(flags, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tune, "ProcessPoolExecutor", None)
    with pytest.raises(SystemExit) as stopped:
        tune.main(flags.split())
    printed, errors = capsys.readouterr()
    assert stopped.value.code == 2 and printed == ""
    message = errors.splitlines()[-1]
    assert "error:" in message and all(word in message for word in words), message
    assert not list(tmp_path.iterdir())


def test_folder_that_is_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit) as stopped:
        tune.main(["--hidden", "4", "--out", str(tmp_path / "file")])
    assert stopped.value.code == 2 and str(tmp_path / "file") in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_help():
    run = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr == ""
    for flag in (
        "--hidden",
        "--lr",
        "--reg",
        "--dataset",
        "--epochs",
        "--batch-size",
        "--seed",
        "--workers",
        "--out",
    ):
        assert flag in run.stdout
    for default in ("16 64 256", "0.003 0.01 0.03 0.1 0.3 1", "1e-05 0.0001 0.001 0.01 0.1", "mnist5k"):
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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
@pytest.mark.parametrize("everyone", [True, False], ids=["Ctrl-C", "the first process only"])
def test_interrupt(everyone, tmp_path):
    mark = f"SWEEP_OF_A_TEST={tmp_path}"
    command = [sys.executable, SCRIPT, "--hidden", "4", "--lr", *(f"{0.001 * i:.3f}" for i in range(1, 400))]
    command += ["--reg", "0", "--epochs", "20", "--workers", "2", "--out", str(tmp_path)]
    run = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SWEEP_OF_A_TEST": str(tmp_path)},
        start_new_session=True,
    )
    try:
        for _ in range(3):
            assert "/399 " in run.stdout.readline()
        assert len(processes_with(mark)) >= 3
        os.killpg(run.pid, signal.SIGINT) if everyone else run.send_signal(signal.SIGINT)
        printed, errors = run.communicate(timeout=12)  # all trials would take 30 s
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
    assert run.returncode == 130
    assert "stopped" in errors and str(tmp_path / "trials.csv") in errors and "Traceback" not in errors
    done = rows(tmp_path / "trials.csv")
    assert 3 <= len(done) < 399 and len(done) >= 3 + len(printed.splitlines()) - 1
    assert np.genfromtxt(tmp_path / "trials.csv", names=True, delimiter=",").shape == (len(done),)
    best = max(done, key=lambda row: float(row["val_acc"]))
    assert TwoLayerNet.load(tmp_path / "best.npz").hidden_size == int(best["hidden_size"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.npz", "trials.csv"]
    for _ in range(50):
        if not processes_with(mark):
            break
        time.sleep(0.1)
    assert not processes_with(mark)
