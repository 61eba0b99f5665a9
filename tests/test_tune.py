"""Sweeps: what they train, keep and say, and how they go on after they were stopped."""

import csv
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tune
import vis_utils
from data_utils import PARTS, load_dataset, make_dataset
from tune import Range
from two_layer_net import TwoLayerNet

pytestmark = pytest.mark.filterwarnings("ignore:nothing was learned")
ROOT = Path(tune.__file__).parent
NET = ("hidden_size", "std", "activation", "dropout", "criterion")
TRAINING = ("learning_rate", "learning_rate_decay", "reg", "batch_size", "optimizer", "epochs")
GRID = {"hidden": [8, 20], "lr": [0.03, 1e8], "reg": [0, 1e-3], "epochs": 2, "seed": 3}


class Inline(Executor):
    """Trains in this process, which takes less time than processes need to start."""

    sizes = None  # the hidden sizes of the trials, in the order in which they are trained

    def __init__(self, *_):
        Inline.sizes = []

    def submit(self, function, stem, files, class_names, settings, *task):
        Inline.sizes.append(settings["hidden_size"])
        future = Future()
        future.set_result(function(stem, files, class_names, settings, *task))
        return future


def quick(data, lr=0.1, **options):
    """A sweep in this process: of small nets, one for each rate, unless the options say more."""
    few = {"hidden": 4, "reg": 0, "epochs": 1, "verbose": False}
    few.update(options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "ProcessPoolExecutor", Inline)
        return tune.sweep(data, lr=lr, **few)


@pytest.fixture(scope="module")
def data():
    """Some rows of mnist5k, under another name."""
    found = load_dataset("mnist5k")
    found.name = "mine"
    for part in PARTS:
        setattr(found, part, getattr(found, part)[:200])
    return found


@pytest.fixture(scope="module")
def swept(data, tmp_path_factory):
    """The folder of a sweep in two processes, and its trials."""
    out = tmp_path_factory.mktemp("new") / "new" / "out"
    return out, tune.sweep(data, **GRID, workers=2, out=out, verbose=False)


def facts(trials):
    """What must be the same to the bit: all but the seconds."""
    found = []
    for trial in trials:
        found.append(repr({**trial, "net": 0, "seconds": 0}))
        if trial["net"] is not None:
            found += [w.tobytes() for w in trial["net"].params.values()]
    return found


def assert_is_plain(trial, data, seed=0):
    """See that the trial is what the class itself makes of these settings, to the bit."""
    look = {name: trial[name] for name in NET}
    net = TwoLayerNet(784, output_size=10, dtype=np.float32, rng=seed, **look)
    options = {name: trial[name] for name in TRAINING}
    if trial["momentum"] is not None:
        options["momentum"] = trial["momentum"]
    history = net.train(data.X_train, data.y_train, data.X_val, data.y_val, **options)
    for name in ("val_acc", "val_loss", "train_acc"):
        assert trial[name] == history[f"{name}_history"][-1]
    assert trial["history"] == history
    assert np.array_equal(trial["net"].params["W1"], net.params["W1"])


# ---- What is trained


def test_every_combination_is_trained(swept):
    found = {(t["hidden_size"], t["learning_rate"], t["reg"]) for t in swept[1]}
    assert found == set(itertools.product(GRID["hidden"], GRID["lr"], GRID["reg"]))


def test_a_trial_is_what_the_class_makes_of_its_settings(swept, data):
    for trial in swept[1][:4]:
        assert_is_plain(trial, data, seed=3)


def test_a_diverged_trial_has_no_net_and_no_measures(swept):
    for trial in swept[1][4:]:
        assert (trial["status"], trial["net"]) == ("diverged", None)
        assert np.isnan([trial["val_acc"], trial["val_loss"], trial["train_acc"]]).all()


def test_workers_and_the_order_of_lists_change_nothing(swept, data):
    turned = {"hidden": [20, 8], "lr": [1e8, 0.03], "reg": [1e-3, 0]}
    assert facts(quick(data, **GRID | turned)) == facts(swept[1])


def test_the_test_rows_decide_nothing(data):
    other = replace(data, X_test=data.X_val * 9, y_test=data.y_val)
    assert facts(quick(other, [0.1, 0.3])) == facts(quick(data, [0.1, 0.3]))


def test_every_setting_reaches_the_class_and_makes_another_trial(data, tmp_path):
    others = {"hidden": 5, "lr": 0.2, "reg": 1e-3, "activation": "tanh", "dropout": 0.25}
    others.update(optimizer="adam", momentum=0.5, std=0.5, batch_size=7, decay=0.5, criterion="mse")
    quick(data, epochs=2, seed=2, out=tmp_path)
    for name, value in others.items():
        quick(data, **{"epochs": 2, "seed": 2, "out": tmp_path, name: value})
    trials = tune.load_sweep(tmp_path)
    assert len(trials) == 1 + len(others)
    for trial in trials:
        assert_is_plain(trial, data, seed=2)


def test_momentum_makes_trials_for_the_optimizer_momentum_only(data):
    trials = quick(data, optimizer=["sgd", "momentum"], momentum=[0.5, 0.9])
    assert {trial["momentum"] for trial in trials} == {None, 0.5, 0.9}
    assert len(trials) == 3


@pytest.mark.parametrize(("dtype", "trained"), [("uint8", "float32"), ("int64", "float64")])
def test_rows_of_other_types_become_floats(dtype, trained, data):
    integers = replace(data, X_train=(data.X_train > 0).astype(dtype))
    assert quick(integers)[0]["net"].dtype == trained


def test_the_longest_trials_come_first(data):
    quick(data, hidden=[2, 8, 4])
    assert Inline.sizes == [8, 4, 2]


# ---- The order of trials


def test_the_best_is_first(data):
    accuracies = [trial["val_acc"] for trial in quick(data, [0.003, 0.1, 1.0, 0.3, 0.03])]
    assert accuracies == sorted(accuracies, reverse=True)


def test_ranks_are_by_validation_accuracy_then_loss_and_diverged_trials_last():
    names = ("status", "val_acc", "val_loss", "train_acc", "trial")
    rows = [
        ("diverged", np.nan, np.nan, np.nan, "last"),
        ("ok", 0.0, 9.0, 0.0, "of no accuracy"),
        ("ok", 0.5, 0.1, 0.9, "third"),
        ("ok", 0.9, 0.5, 0.2, "second"),
        ("ok", 0.9, 0.4, 0.1, "first"),
    ]
    trials = sorted([dict(zip(names, row, strict=True)) for row in rows], key=tune.rank)
    found = [trial["trial"] for trial in trials]
    assert found == ["first", "second", "third", "of no accuracy", "last"]


def test_the_penalty_is_no_part_of_the_loss_that_decides(data):
    for trial in quick(data, reg=[0, 1]):
        loss, _ = trial["net"].evaluate(data.X_val, data.y_val)
        assert trial["val_loss"] == pytest.approx(loss)


# ---- Draws


@pytest.mark.parametrize(
    ("name", "low", "high", "middle"),
    [("hidden_size", 4, 400, 40), ("learning_rate", 1e-4, 1.0, 0.01), ("dropout", 0.0, 0.5, 0.25)],
)
def test_a_range_is_drawn_on_its_scale_and_within_its_bounds(name, low, high, middle):
    settings = {setting.name: setting for setting in tune.SETTINGS}
    rng = np.random.default_rng(0)
    drawn = [tune.draw_value(settings[name], Range(low, high), rng) for _ in range(500)]
    assert low <= min(drawn) < max(drawn) <= high
    assert {type(number) for number in drawn} == {type(low)}
    assert 0.4 < np.mean(np.less(drawn, middle)) < 0.6


def test_a_drawn_number_has_three_digits_but_stays_within_its_range(data):
    for trial in quick(data, Range(0.1234, 0.12344), reg=Range(0.001, 0.1), trials=3):
        assert 0.1234 <= trial["learning_rate"] <= 0.12344
        assert trial["reg"] == float(f"{trial['reg']:.3g}")


def test_lists_beside_a_range_are_not_multiplied(data, monkeypatch):
    monkeypatch.setattr(tune.itertools, "product", None)
    trials = quick(data, Range(0.01, 1), reg=[0, 0.1], trials=20)
    assert {trial["reg"] for trial in trials} == {0, 0.1}


@pytest.mark.parametrize("options", [{"lr": Range(1e-4, 1)}, {"lr": [0.1, 0.2], "reg": [0, 1, 2]}])
def test_more_trials_begin_with_the_same(options, data):
    few = {trial["trial"] for trial in quick(data, **options, trials=2)}
    more = {trial["trial"] for trial in quick(data, **options, trials=4)}
    others = {trial["trial"] for trial in quick(data, **options, trials=4, seed=1)}
    assert (len(few), len(more)) == (2, 4)
    assert few < more != others


def test_thirty_are_drawn_by_default_and_equal_ones_are_one(data):
    assert len(quick(data, Range(1e-4, 1))) == 30
    assert {trial["hidden_size"] for trial in quick(data, hidden=Range(4, 5))} == {4, 5}


# ---- What is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": []}, "--lr takes"),
        ({"hidden": [8.6]}, "--hidden takes"),
        ({"activation": Range("relu", "tanh")}, "--activation takes"),
        ({"epochs": 2.7}, "epochs .*2.7"),
        ({"halving": 2.9}, "halving .*2.9"),
    ],
)
def test_wrong_values_are_named_before_anything_is_made(options, words, data, tmp_path):
    with pytest.raises(ValueError, match=words):
        quick(data, **options, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_option_is_named(data):
    with pytest.raises(TypeError, match="learningrate"):
        quick(data, learningrate=[0.1])


def test_data_without_validation_rows_are_refused(data):
    with pytest.raises(ValueError, match="no validation rows"):
        quick(replace(data, y_val=data.y_val[:0]))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--lr 0.1,0.3", "--lr takes rates > 0, .*Write --lr 0.003 0.01 .* --lr LOW:HIGH"),
        ("--lr 1e-3:1 0.5", "--lr takes rates > 0, .*Write --lr 0.003 0.01 .* --lr LOW:HIGH"),
        ("--lr -0.1", "--lr takes rates > 0"),
        ("--hidden 0", "--hidden takes numbers of units > 0"),
        ("--std hey", "--std takes .*xavier.*Write --std he"),
        ("--reg 0:1", "--reg .*LOW must be .*, for its logarithm, above 0"),
        ("--decay 1:0.5", "--decay .*LOW must be a number below HIGH"),
        ("--optimizer sgd --momentum 0.5", "--momentum is for --optimizer momentum"),
        ("--halving -2", "halving must be .* at least 1, got -2"),
        ("--trials 0", "trials must be"),
        ("--workers 0", "workers must be"),
        ("--report nowhere", "nowhere holds no sweep"),
        ("--dask tcp://127.0.0.1:1", "pip install distributed"),
    ],
)
def test_the_command_says_what_is_wrong(flags, words, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert tune.main([*flags.split(), "--out", str(tmp_path / "out")]) == 2
    assert re.search(f"error: .*{words}", capsys.readouterr().err)


# ---- The folder


def read_table(out):
    with open(out / "trials.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_has_the_values_of_the_trials(swept):
    out, trials = swept
    for row, trial in zip(read_table(out), trials, strict=True):
        assert set(row) == set(trial) - {"history", "net"}
        for name, text in row.items():
            assert text == str(trial[name])


def test_the_best_net_is_kept(swept):
    best = TwoLayerNet.load(swept[0] / "best.npz")
    assert np.array_equal(best.params["W1"], swept[1][0]["net"].params["W1"])


def test_a_sweep_can_be_loaded(swept):
    assert facts(tune.load_sweep(str(swept[0]))) == facts(swept[1])


def test_the_same_call_trains_nothing_and_others_add(data, tmp_path):
    first = quick(data, [0.1, 1e9], out=tmp_path)
    assert facts(quick(data, [0.1, 1e9], out=tmp_path)) == facts(first)
    assert len(Inline.sizes) == 0
    quick(data, [0.1, 0.3], out=tmp_path)
    assert len(Inline.sizes) == 1
    assert [row["learning_rate"] for row in read_table(tmp_path)][2] == "1000000000.0"


@pytest.mark.parametrize("name", ["epochs", "seed", "halving", *PARTS])
def test_what_cannot_be_compared_is_refused(name, data, tmp_path):
    quick(data, out=tmp_path)
    options = {name: 2}
    if name in PARTS:
        data = replace(data, **{name: getattr(data, name)[::-1]})
        options = {}
    with pytest.raises(ValueError, match=f"{name} .*choose another --out"):
        quick(data, 0.2, **options, out=tmp_path)
    assert len(read_table(tmp_path)) == 1


def test_another_class_is_refused(data, tmp_path, monkeypatch):
    quick(data, out=tmp_path / "out")
    (tmp_path / "two_layer_net.py").write_text("changed")
    monkeypatch.setattr(tune, "HERE", tmp_path)
    with pytest.raises(ValueError, match=r"checksum of two_layer_net\.py"):
        quick(data, out=tmp_path / "out")


def test_a_folder_of_other_files_is_left_alone(data, tmp_path):
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(ValueError, match=r"photo\.jpg .*choose another --out"):
        quick(data, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_damaged_trial_is_named_and_a_removed_one_is_trained(data, tmp_path):
    trials = quick(data, [0.1, 0.2], out=tmp_path)
    path = tmp_path / "trials" / f"{trials[1]['trial']}.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{path.name} is damaged, remove it"):
        quick(data, [0.1, 0.2], out=tmp_path)
    path.unlink()
    assert facts(quick(data, [0.1, 0.2], out=tmp_path)) == facts(trials)
    assert len(Inline.sizes) == 1


def refuse(patch, is_refused, error, replaced=None):
    """Let no file be replaced whose path is_refused; note what is to replace others."""
    really = Path.replace

    def replacing(source, target):
        if replaced is not None:
            replaced.append(source)
        if is_refused(target):
            raise error
        return really(source, target)

    patch.setattr(Path, "replace", replacing)


def test_temporary_files_are_hidden_and_of_one_process_only(data, tmp_path, monkeypatch):
    """So that two sweeps into one folder do not take each other's, nor refuse the folder."""
    replaced = []
    refuse(monkeypatch, lambda path: False, None, replaced)
    quick(data, out=tmp_path)
    names = {path.name for path in replaced if tmp_path in path.parents}
    assert names == {f".{os.getpid()}.part"}


def test_a_file_that_cannot_be_replaced_stays(data, tmp_path, monkeypatch):
    quick(data, 1e-9, out=tmp_path)
    before = (tmp_path / "best.npz").read_bytes()
    refuse(monkeypatch, lambda path: path.name == "best.npz", OSError(28, "no space"))
    with pytest.raises(OSError, match="no space"):
        quick(data, out=tmp_path)
    assert (tmp_path / "best.npz").read_bytes() == before
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("moment", range(10))
def test_a_sweep_goes_on_after_it_was_stopped_at_any_moment(moment, data, tmp_path):
    options = {"lr": [0.1, 1e9, 1.0], "epochs": 3, "halving": True}
    left = iter(range(moment))  # files that are still written
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        refuse(patch, lambda path: next(left, None) is None, KeyboardInterrupt)
        quick(data, **options, out=tmp_path)
    assert facts(quick(data, **options, out=tmp_path)) == facts(quick(data, **options))
    assert not list(tmp_path.rglob("*.part"))


# ---- Successive halving


@pytest.mark.parametrize(
    ("epochs", "k", "trials", "expected"),
    [
        (9, 3, 27, [1, 3, 9]),
        (10, 3, 8, [4, 10]),
        (5, 2, 8, [2, 3, 5]),
        (9, 3, 2, [9]),
        (9, 1, 27, [9]),
    ],
)
def test_rungs(epochs, k, trials, expected):
    assert tune.rungs(epochs, k, trials) == expected


def trial_of(name, accuracies, losses):
    history = {"val_acc_history": accuracies, "val_loss_history": losses}
    return {"trial": name, "epochs": len(accuracies), "history": history}


def test_the_best_third_survives_as_it_was_then():
    trials = [trial_of("a", [0.5], [1.0]), trial_of("b", [0.7], [2.0])]
    trials += [trial_of("c", [0.4, 0.9], [1.0, 0.1]), trial_of("d", [0.7, 0.1], [1.0, 9.0])]
    assert tune.survivors(trials, 1, 3) == ["d", "b"]


def test_what_diverged_before_does_not_survive():
    trials = [trial_of("a", [], []), trial_of("b", [0.1], [9.0]), trial_of("c", [], [])]
    assert tune.survivors(trials, 1, 1) == ["b"]


def expected_epochs(trials, rungs):
    """The epochs that halving by 3 gives each of the trials, by name."""
    epochs = {}
    for rung in rungs:
        for trial in trials:
            epochs[trial["trial"]] = min(rung, trial["epochs"])
        names = tune.survivors(trials, rung, 3)
        trials = [trial for trial in trials if trial["trial"] in names]
    return epochs


HALVING = {"lr": Range(1e-3, 1e6), "halving": True, "epochs": 9, "batch_size": 40}


def test_halving_trains_the_best_further(data):
    trials = quick(data, **HALVING, trials=27)
    assert len(Inline.sizes) == 27 + 9 + 3
    found = {trial["trial"]: trial["epochs"] for trial in trials}
    assert found == expected_epochs(trials, [1, 3, 9])
    for trial in trials:
        if trial["status"] == "ok":
            assert_is_plain(trial, data)


def test_halving_takes_no_step_twice(data, monkeypatch):
    steps = []
    loss = TwoLayerNet.loss

    def counted(net, X, y=None, *rest):
        steps.append(y is not None and X.shape[1] == 784)
        return loss(net, X, y, *rest)

    monkeypatch.setattr(TwoLayerNet, "loss", counted)
    trials = quick(data, [0.1, 0.2, 0.3], halving=3, epochs=6)
    assert sum(steps) == sum(len(trial["history"]["loss_history"]) for trial in trials)


def test_trials_that_went_on_before_are_judged_as_they_were(data, tmp_path):
    early = quick(data, **HALVING, trials=8, out=tmp_path)
    trials = quick(data, **HALVING, trials=27, out=tmp_path)
    expected = expected_epochs(trials, [1, 3, 9])
    for trial in early:
        expected[trial["trial"]] = max(expected[trial["trial"]], trial["epochs"])
    assert {trial["trial"]: trial["epochs"] for trial in trials} == expected


# ---- What is printed, and the report


@pytest.fixture
def drawn(monkeypatch):
    """What `report` draws: the arguments by the file's name. The pictures are not made."""
    found = {}

    def record(*arguments, path, **options):
        found[path.name] = (*arguments, options)

    for name in ("plot_sweep", "plot_curves", "plot_predictions", "plot_confusion"):
        monkeypatch.setattr(vis_utils, name, record)
    monkeypatch.setattr(vis_utils, "show_net_weights", record)
    return found


def test_lines_fit_into_80_columns_and_do_not_jump(data, tmp_path, capsys, drawn):
    widest = {"activation": ["leaky_relu", "relu"], "optimizer": ["momentum", "sgd"]}
    widest.update(criterion=["softmax", "mse"], batch_size=[100, 200])
    quick(data, 1e6, **widest, verbose=True, out=tmp_path)
    progress = capsys.readouterr().out.splitlines()[2:]
    tune.report(tmp_path)
    listed = capsys.readouterr().out.splitlines()[2:13]
    for lines in (progress, listed):
        assert {len(line) for line in lines} == {len(lines[0])}
        assert len(lines[0]) <= 80


def test_progress_tells_count_settings_result_best_and_time(data, capsys, monkeypatch):
    monkeypatch.setattr(time, "perf_counter", itertools.count(0, 10).__next__)
    trials = quick(data, [0.1, 1e9], verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 of 2 trials to train up to epoch 1"
    assert lines[1].split() == ["lr", "val", "acc", "best", "left"]
    count, *_, best, left = lines[3].split()
    assert (count, best, left) == ("2", f"{trials[0]['val_acc']:.2%}", "0:00:00")
    assert lines[2].endswith("0:00:10")
    assert " 1000000000.0  diverged " in lines[2] + lines[3]


def test_a_quiet_sweep_prints_nothing(data, capsys):
    quick(data, [0.1, 1e9])
    assert capsys.readouterr() == ("", "")


def test_the_report_lists_the_best_ten(data, tmp_path, capsys, drawn):
    trials = quick(data, np.geomspace(0.01, 0.5, 12), epochs=3, out=tmp_path)
    assert tune.report(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "the best 10 of 12 trials"
    for line, trial in zip(lines[3:13], trials[:10], strict=True):
        measures = [f"{trial['val_acc']:.2%}", f"{trial['val_loss']:#.3g}", "3"]
        assert line.split() == [str(trial["learning_rate"]), *measures]


def test_the_report_tests_and_draws_the_best_net(data, tmp_path, capsys, drawn):
    named = replace(data, class_names=tuple("abcdefghij"))
    net = quick(named, [0.1, 0.2], epochs=3, out=tmp_path)[0]["net"]
    assert tune.report(tmp_path, named) == 0
    right = net.accuracy(data.X_test, data.y_test)
    assert f"test accuracy of the best: {right:.2%} of 200 rows" in capsys.readouterr().out
    y, predicted, names, _ = drawn["confusion.png"]
    assert np.array_equal(y, data.y_test)
    assert np.array_equal(predicted, net.predict(data.X_test))
    assert names == named.class_names
    shown, X, y, shape, options = drawn["predictions.png"]
    assert np.array_equal(shown.predict(X), predicted)
    assert np.array_equal(y, data.y_test)
    assert shape == drawn["weights.png"][1] == (28, 28)
    assert options["class_names"] == named.class_names
    assert options["images"].max() == 255


@pytest.mark.parametrize("normalize", [True, False, "standard", "mean"])
def test_the_report_finds_the_data_by_their_name(normalize, tmp_path, capsys, drawn):
    whole = load_dataset("mnist5k", normalize=normalize)
    rate = {True: 0.1, "standard": 0.01}.get(normalize, 1e-4)
    net = quick(whole, rate, std=1e-4, batch_size=20, epochs=2, out=tmp_path)[0]["net"]
    assert tune.main(["--report", str(tmp_path)]) == 0
    right = net.accuracy(whole.X_test, whole.y_test)
    assert f"{right:.2%} of 1000 rows" in capsys.readouterr().out


def test_data_of_the_same_name_but_other_rows_are_not_tested(data, tmp_path, capsys, drawn):
    quick(replace(data, name="mnist5k"), epochs=3, out=tmp_path)
    assert tune.report(tmp_path) == 0
    assert tune.report(tmp_path, replace(data, X_test=-data.X_test)) == 0
    said = capsys.readouterr().out
    assert "test accuracy" not in said
    assert said.count("no test: the test rows are not at hand") == 2
    assert sorted(drawn) == ["curves.png", "sweep.png", "weights.png"]


def test_arrays_of_ones_own_without_test_rows_and_images(tmp_path, capsys, drawn):
    X = np.random.default_rng(0).standard_normal((90, 4))
    y = (X[:, 0] > 0).astype(int)
    own = make_dataset(X[:60], y[:60], X[60:], y[60:])
    assert quick(own, epochs=30, out=tmp_path)[0]["val_acc"] > 0.8
    assert tune.report(tmp_path, own) == 0
    assert sorted(drawn) == ["curves.png", "sweep.png"]
    assert "no test" not in capsys.readouterr().out


@pytest.mark.parametrize("rate", [1e-9, 1e9])
def test_the_report_says_that_no_net_learned(rate, data, tmp_path, capsys):
    quick(data, rate, out=tmp_path)
    assert tune.report(tmp_path, data) == 1
    said = capsys.readouterr().out
    assert "no net is better than guessing" in said
    assert "try a smaller --lr" in said
    assert "test accuracy" not in said


def test_a_read_only_folder_can_be_reported(data, tmp_path, capsys, monkeypatch):
    quick(data, epochs=3, out=tmp_path)
    refuse(monkeypatch, lambda path: True, PermissionError(13, "read-only"))
    assert tune.report(tmp_path, data) == 0
    said = capsys.readouterr().out
    assert "test accuracy" in said
    assert "nothing is written: [Errno 13] read-only" in said


def test_a_closed_pipe_does_not_lose_the_sweep(data, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert len(quick(data, [0.1, 0.2], verbose=True)) == 2


def test_a_console_without_a_character_does_not_lose_the_report(data, tmp_path, monkeypatch, drawn):
    quick(data, epochs=3, out=tmp_path / "\u00fc")
    console = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", console)
    assert tune.report(tmp_path / "\u00fc", data) == 0
    assert b"\\xfc: trials.csv" in console.buffer.getvalue()


# ---- The command


@pytest.fixture
def given(monkeypatch):
    """The arguments with which the command calls `sweep`, which does nothing."""
    found = {}
    monkeypatch.setattr(tune, "sweep", lambda data, **options: found.update(options, data=data))
    monkeypatch.setattr(tune, "report", lambda *_: 0)
    return found


def test_options_of_the_command_reach_the_sweep(given):
    flags = "--lr 0.1 --lr 0.3 --learning-rate 1 --hidden-size 4 8 --hidden_size 16 --reg 0:1 "
    flags += "--learning-rate-decay 0.9 --batch-size 20 --criterion mse --momentum 0.5 --epochs 7 "
    flags += "--trials 6 --seed 5 --workers 4 --halving --dask tcp://a:1 --out there"
    assert tune.main(flags.split()) == 0
    del given["data"]
    expected = {"lr": ["0.1", "0.3", "1"], "hidden": ["4", "8", "16"], "reg": ["0:1"]}
    expected.update(decay=["0.9"], batch_size=["20"], criterion=["mse"], momentum=["0.5"])
    expected.update(epochs=7, trials=6, seed=5, workers=4, halving=3)
    assert given == {**expected, "client": "tcp://a:1", "out": "there"}


@pytest.mark.parametrize(
    ("word", "normalize"), [("yes", True), ("no", False), ("mean", "mean"), ("standard",) * 2]
)
def test_pixels_can_be_chosen(word, normalize, given):
    tune.main(["--normalize", word])
    expected = load_dataset("mnist5k", normalize=normalize)
    assert np.array_equal(given["data"].X_train, expected.X_train)
    assert given["out"] == "runs/mnist5k"


def test_texts_of_the_command_are_values(data):
    trials = quick(data, ["1e-3:1"], hidden=["4", "8"], std=["he", "0.1"], trials=20)
    assert {trial["hidden_size"] for trial in trials} == {4, 8}
    assert {trial["std"] for trial in trials} == {"he", 0.1}
    assert len({trial["learning_rate"] for trial in trials}) == 20


def test_help_tells_every_option_and_its_default(capsys):
    with pytest.raises(SystemExit):
        tune.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for setting in tune.SETTINGS:
        assert re.search(rf" --{setting.option} [^()]*\(default: {setting.default}\)", text)


# ---- Real processes


def test_workers_leave_nothing_behind(data, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = (dict(os.environ), list(sys.path), sys.modules["__main__"])
    tune.sweep(data, lr=0.1, hidden=4, reg=0, epochs=1, workers=1, verbose=False)
    assert (dict(os.environ), sys.path, sys.modules["__main__"]) == before
    assert not list(tmp_path.iterdir())


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
    """Start Python in the folder "here", beside "project", a copy of what a sweep needs."""
    for name in ("here", "project", "temporary"):
        (tmp_path / name).mkdir()
    for name in ("tune", "two_layer_net", "data_utils"):
        shutil.copy(ROOT / f"{name}.py", tmp_path / "project")
    no_pictures = "def __getattr__(_): return lambda *_, **__: None\n"
    (tmp_path / "project" / "vis_utils.py").write_text(no_pictures)
    env = {**os.environ, "TAG": str(tmp_path), "TMPDIR": str(tmp_path / "temporary")}
    env["TWO_LAYER_NET_DATA"] = str(ROOT / "datasets")
    look = {"env": env, "cwd": tmp_path / "here", "text": True, "start_new_session": True}
    look.update(dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE))
    started = []

    def start(*command):
        # A handler is not inherited, but that SIGINT is ignored would be.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        started.append(subprocess.Popen([sys.executable, *map(str, command)], **look))
        return started[-1]

    yield start
    for pid in processes(tmp_path):
        os.kill(pid, signal.SIGKILL)
    for process in started:
        process.communicate()


SCRIPT = """
import sys
sys.path.insert(0, "../project")
import multiprocessing.pool, os
import tune
os.chdir("/")
trials = tune.sweep("mnist5k", lr=[1e-9, 1e9], hidden=[4], reg=[0], epochs=1, verbose=False)
print([trial["status"] for trial in trials])
"""


@pytest.mark.parametrize("how", ["script.py", "-"])
def test_a_script_needs_no_guard_and_its_trials_are_silent(how, start, tmp_path):
    """It finds the modules by a relative path, and goes to another folder before the sweep."""
    (tmp_path / "here" / "script.py").write_text(SCRIPT)
    assert start(how).communicate(SCRIPT) == ("['ok', 'diverged']\n", "")


MANY = ["--reg=0", "--hidden=1", "--batch-size=25", "--epochs=3", "--workers=2", "--lr"]
MANY += [i / 20 for i in range(1, 21)]


def assert_is_complete(out):
    """See that the folder holds the 20 trials of MANY, as the class makes them."""
    trials = tune.load_sweep(out)
    assert len(trials) == 20
    for trial in trials:
        assert_is_plain(trial, load_dataset("mnist5k"))


def wait_for_a_trial(run):
    while not run.stdout.readline().startswith("   1 "):
        assert run.poll() is None


def test_two_sweeps_into_one_folder_at_once(start, tmp_path):
    script = tmp_path / "project" / "tune.py"
    runs = [start(script, *MANY, "--out", "out") for _ in range(2)]
    for run in runs:
        _, errors = run.communicate(timeout=60)
        assert (run.returncode, errors) == (0, "")
    out = tmp_path / "here" / "out"
    assert not list(out.rglob("*.part"))
    assert_is_complete(out)


def test_workers_that_die_again_are_told(start, tmp_path):
    with open(tmp_path / "project" / "two_layer_net.py", "a") as file:
        file.write("import os\n")
        file.write('OPTIMIZERS["sgd"] = lambda w, *_, **__: w.size < 99 or os._exit(1)\n')
    flags = "--hidden 4 --lr 0.1 --reg 0 --epochs 1 --workers 1 --optimizer adam sgd --out kept"
    run = start(tmp_path / "project" / "tune.py", *flags.split())
    said, errors = run.communicate(timeout=60)
    assert run.returncode == 1
    assert said.count("a worker died; new ones train what is missing") == 1
    assert re.fullmatch("the workers died .*fewer of them.*; kept keeps what .*\n", errors)
    assert [row["optimizer"] for row in read_table(tmp_path / "here" / "kept")] == ["adam"]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")
def test_stopped_in_any_way_and_taken_up_again(start, tmp_path):
    out = tmp_path / "here" / "out"
    done = {}
    for how in ("SIGINT of all", "SIGINT", "SIGKILL", "SIGKILL of a worker"):
        run = start(tmp_path / "project" / "tune.py", *MANY, "--out", "out")
        wait_for_a_trial(run)
        workers = [pid for pid, line in processes(tmp_path).items() if b"spawn_main" in line]
        pid = {"SIGINT of all": -run.pid, "SIGKILL of a worker": workers[0]}.get(how, run.pid)
        os.kill(pid, getattr(signal, how.split()[0]))
        said, errors = run.communicate(timeout=60)
        time.sleep(0.5)
        assert not processes(tmp_path)
        assert not list((tmp_path / "temporary").iterdir())
        if how.startswith("SIGINT"):
            assert run.returncode == 130
            assert errors.endswith(
                "\nstopped; out keeps what was done, the same command resumes it\n"
            )
        before = done
        done = {path: path.read_bytes() for path in out.glob("trials/*.json")}
        assert before.items() < done.items()
    assert (run.returncode, errors) == (0, "")
    assert said.count("a worker died") == 1
    assert_is_complete(out)


def test_ctrl_c_does_not_wait_for_the_end_of_a_trial(start, tmp_path):
    """One worker is in the midst of a long trial, the other one has nothing to do."""
    flags = "--hidden 1 4000 --lr 0.1 --reg 0 --epochs 200 --workers 2 --out out"
    run = start(tmp_path / "project" / "tune.py", *flags.split())
    wait_for_a_trial(run)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=20)
    assert errors == "\nstopped; out keeps what was done, the same command resumes it\n"
    assert run.returncode == 130


# ---- A cluster


def test_a_cluster_without_the_project_trains_what_a_lost_worker_had(start, tmp_path):
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    where = ("--no-dashboard", "--scheduler-file", file)
    start("-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", 0, *where)
    workers = []
    for _ in range(2):
        workers.append(start("-m", "dask", "worker", "--no-nanny", "--nthreads", 1, *where))
    while not file.exists():
        time.sleep(0.05)
    script = tmp_path / "project" / "tune.py"
    address = json.loads(file.read_text())["address"]

    run = start(script, *MANY, "--out", "out", "--dask", address)
    wait_for_a_trial(run)
    workers[0].kill()
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 0, errors
    assert_is_complete(tmp_path / "here" / "out")

    run = start(script, *MANY, "--out", "lost", "--dask", address)
    wait_for_a_trial(run)
    workers[1].kill()
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 1
    assert errors.startswith("the cluster lost its scheduler or workers; lost keeps")


@pytest.mark.filterwarnings("default")
def test_a_cluster_in_this_process_can_be_used_twice(data, swept):
    distributed = pytest.importorskip("distributed")
    look = {"processes": False, "n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with distributed.Client(**look) as client:
        for _ in range(2):
            trials = tune.sweep(data, **GRID, client=client, verbose=False)
            assert facts(trials) == facts(swept[1])
    assert type(trials[0]["net"]) is TwoLayerNet
    assert load_dataset("mnist5k").name == "mnist5k"
