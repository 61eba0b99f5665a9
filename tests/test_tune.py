"""Sweeps: what they train, keep and say, and how they go on after they were stopped."""

import csv
import io
import itertools
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE, Popen

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
FEW = {"hidden": 4, "lr": 0.1, "reg": 0, "epochs": 1, "verbose": False}
# The nets of the rate 1e4 diverge in the second epoch; sorted, they are the last four.
GRID = {"hidden": [8, 20], "lr": [0.03, 1e4], "reg": [0, 1e-3], "epochs": 2, "seed": 3}


def some_rows():
    """200 rows of each part of mnist5k, under a name that load_dataset does not know."""
    data = load_dataset("mnist5k")
    data.name = "mine"
    for part in PARTS:
        setattr(data, part, getattr(data, part)[:200])
    return data


DATA = some_rows()


class Inline(Executor):
    """Trains in this process, which takes less time than processes need to start."""

    sizes = None  # the hidden sizes of the trials, in the order in which they are trained

    def __init__(self, *_):
        Inline.sizes = []

    def submit(self, function, *task):
        settings = task[2]
        Inline.sizes.append(settings["hidden_size"])
        future = Future()
        future.set_result(function(*task))
        return future


def quick(lr=0.1, data=DATA, **options):
    """A sweep in this process: of a small net for each rate, unless the options say more."""
    settings = dict(FEW, lr=lr)
    settings.update(options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "ProcessPoolExecutor", Inline)
        return tune.sweep(data, **settings)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The folder of a sweep in two processes, and its trials."""
    out = tmp_path_factory.mktemp("new") / "new" / "out"
    return out, tune.sweep(DATA, **GRID, workers=2, out=out, verbose=False)


def facts(trials):
    """What must be the same to the bit."""
    found = []
    for trial in trials:
        found.append(repr({**trial, "net": 0}))
        if trial["net"] is not None:
            found += [w.tobytes() for w in trial["net"].params.values()]
    return found


def assert_is_plain(trial, data=DATA, seed=0):
    """See that the trial is what the class itself makes of these settings, to the bit."""
    settings = {s.name: trial[s.name] for s in tune.SETTINGS if trial[s.name] is not None}
    of_net = {name: settings.pop(name) for name in NET}
    net = TwoLayerNet(784, output_size=10, dtype=np.float32, rng=seed, **of_net)
    settings["epochs"] = trial["epochs"]
    history = net.train(data.X_train, data.y_train, data.X_val, data.y_val, **settings)
    for name in ("val_acc", "val_loss", "train_acc"):
        assert trial[name] == history[f"{name}_history"][-1]
    assert trial["history"] == history
    assert np.array_equal(trial["net"].params["W1"], net.params["W1"])


# ---- What is trained


def test_every_combination_is_trained(swept):
    assert len({trial["trial"] for trial in swept[1]}) == 8


def test_a_trial_is_what_the_class_makes_of_its_settings(swept):
    for trial in swept[1][:4]:
        assert_is_plain(trial, seed=3)


def test_a_diverged_trial_has_no_net_and_no_measures(swept):
    for trial in swept[1][4:]:
        assert (trial["status"], trial["net"]) == ("diverged", None)
        assert np.isnan([trial["val_acc"], trial["val_loss"], trial["train_acc"]]).all()


def test_workers_and_the_order_of_lists_change_nothing(swept):
    turned = {"hidden": [20, 8], "lr": [1e4, 0.03], "reg": [1e-3, 0]}
    assert facts(quick(**GRID | turned)) == facts(swept[1])


def test_every_setting_reaches_the_class_and_makes_another_trial(tmp_path):
    others = {"hidden": 5, "lr": 0.2, "reg": 1e-3, "activation": "tanh", "dropout": 0.25}
    others.update(optimizer="adam", momentum=0.5, std=0.5, batch_size=7, decay=0.5, criterion="mse")
    quick(epochs=2, out=tmp_path)
    for name, value in others.items():
        quick(epochs=2, out=tmp_path, **{name: value})
    trials = tune.load_sweep(tmp_path)
    assert len(trials) == 1 + len(others)
    for trial in trials:
        assert_is_plain(trial)


def test_momentum_makes_trials_for_the_optimizer_momentum_only():
    trials = quick(optimizer=["sgd", "momentum"], momentum=[0.5, 0.9])
    assert len(trials) == 3


def test_rows_of_integers_become_floats():
    integers = replace(DATA, X_train=DATA.X_train.astype("int64"))
    assert quick(data=integers)[0]["net"].dtype == "float64"


def test_the_longest_trials_come_first():
    quick(hidden=[2, 8, 4])
    assert Inline.sizes == [8, 4, 2]


# ---- The order of trials


def test_ranks_are_by_validation_accuracy_then_loss_and_diverged_trials_last():
    names = ("trial", "status", "val_acc", "val_loss", "train_acc")
    rows = [  # from the worst to the best
        ("a", "diverged", np.nan, np.nan, np.nan),
        ("b", "ok", 0.0, 0.1, 0.9),
        ("c", "ok", 0.9, 0.5, 0.2),
        ("d", "ok", 0.9, 0.4, 0.1),
    ]
    trials = [dict(zip(names, row, strict=True)) for row in rows]
    assert sorted(trials, key=tune.rank) == trials[::-1]


# ---- Draws


@pytest.mark.parametrize(
    ("name", "low", "middle", "high"), [("reg", 1e-4, 0.01, 1), ("dropout", 0, 0.25, 0.5)]
)
def test_a_range_is_drawn_on_its_scale_and_within_its_bounds(name, low, middle, high):
    trials = quick(**{name: Range(low, high)}, trials=100)
    drawn = [trial[name] for trial in trials]
    assert low <= min(drawn) < max(drawn) <= high
    assert 0.4 < np.mean(np.less(drawn, middle)) < 0.6


def test_a_drawn_number_has_three_digits_but_stays_within_its_range():
    for trial in quick(Range(0.1234, 0.12344), reg=Range(0.001, 0.1), trials=3):
        assert 0.1234 <= trial["learning_rate"] <= 0.12344
        assert trial["reg"] == float(f"{trial['reg']:.3g}")


def test_lists_beside_a_range_are_not_multiplied():
    trials = quick(Range(0.01, 1), reg=[0, 0.1], trials=20)
    assert len(trials) == 20
    assert {trial["reg"] for trial in trials} == {0, 0.1}


@pytest.mark.parametrize("options", [{"lr": Range(1e-4, 1)}, {"lr": [1, 2, 3], "reg": [0, 1]}])
def test_more_trials_begin_with_the_same(options):
    def names(**more):
        return {trial["trial"] for trial in quick(**options, **more)}

    few = names(trials=2)
    more = names(trials=4)
    assert len(few) == 2
    assert few < more
    assert more != names(trials=4, seed=1)


def test_thirty_are_drawn_by_default_and_equal_ones_are_one():
    assert len(quick(Range(1e-4, 1))) == 30
    assert {trial["hidden_size"] for trial in quick(hidden=Range(4, 5))} == {4, 5}


# ---- What is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": []}, "--lr takes"),
        ({"hidden": [8.6]}, "--hidden takes"),
        ({"activation": Range("relu", "tanh")}, "--activation takes"),
        ({"epochs": 2.7}, "epochs .*2.7"),
        ({"learningrate": 0.1}, "learningrate"),
        ({"data": replace(DATA, y_val=[])}, "no validation rows"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_made(options, words, tmp_path):
    with pytest.raises((TypeError, ValueError), match=words):
        quick(**options, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--lr 0.1,0.3", "--lr takes .* > 0, .*Write --lr 0.003 0.01 .* --lr LOW:HIGH"),
        ("--lr 1e-3:1 0.5", "--lr takes .* --lr LOW:HIGH"),
        ("--std hey", "--std takes .*xavier.*Write --std he"),
        ("--reg 0:1", "--reg .*LOW must be .* for logarithms above 0"),
        ("--decay 1:0.5", "--decay .*LOW must be a number below HIGH"),
        ("--optimizer sgd --momentum 0.5", "--momentum is for --optimizer momentum"),
        ("--seed -3", "seed must be at least 0, got -3"),
        ("--workers 0", "workers must be .* at least 1, got 0"),
        ("--report nowhere", "nowhere holds no trial of a sweep"),
        ("--dask tcp://127.0.0.1:1", "pip install distributed"),
    ],
)
def test_the_command_says_what_is_wrong(flags, words, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.chdir(tmp_path)
    assert tune.main(flags.split()) == 2
    assert re.search(f"error: .*{words}", capsys.readouterr().err)


# ---- The folder


def read_table(out):
    with open(out / "trials.csv", newline="") as file:
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


def test_a_diverged_net_is_not_kept_as_the_best(tmp_path):
    quick(1e9, out=tmp_path)
    assert not (tmp_path / "best.npz").exists()


def test_a_sweep_can_be_loaded(swept):
    assert facts(tune.load_sweep(str(swept[0]))) == facts(swept[1])


def test_the_same_call_trains_nothing_and_others_add(tmp_path):
    first = quick([0.1, 1e9], out=tmp_path)
    assert facts(quick([0.1, 1e9], out=tmp_path)) == facts(first)
    assert Inline.sizes == []
    assert len(quick([0.1, 0.3], out=tmp_path)) == 3
    assert len(Inline.sizes) == 1


@pytest.mark.parametrize("name", ["epochs", "seed", "halving", *PARTS])
def test_what_cannot_be_compared_is_refused(name, tmp_path):
    quick(out=tmp_path)
    changed = {name: 2}
    if name in PARTS:
        changed = {"data": replace(DATA, **{name: getattr(DATA, name)[::-1]})}
    with pytest.raises(ValueError, match=f"{name} .*choose another --out"):
        quick(0.2, **changed, out=tmp_path)


def test_another_class_is_refused(tmp_path, monkeypatch):
    quick(out=tmp_path / "out")
    (tmp_path / "two_layer_net.py").write_text("changed")
    monkeypatch.setattr(tune, "HERE", tmp_path)
    with pytest.raises(ValueError, match=r"checksum of two_layer_net\.py"):
        quick(out=tmp_path / "out")


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(ValueError, match=r"photo\.jpg .*choose another --out"):
        quick(out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_damaged_trial_is_named(tmp_path):
    quick(out=tmp_path)
    [path] = tmp_path.glob("trials/*.json")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{path.name} is damaged, remove it"):
        quick(out=tmp_path)


@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_a_trial_without_one_of_its_files_is_trained_again(suffix, tmp_path):
    trials = quick([0.1, 0.2], out=tmp_path)
    next(tmp_path.glob(f"trials/*.{suffix}")).unlink()
    assert facts(quick([0.1, 0.2], out=tmp_path)) == facts(trials)
    assert len(Inline.sizes) == 1


def before_replacing(patch, act):
    """Call act(source, target) before any file is replaced."""
    really = Path.replace

    def replacing(source, target):
        act(source, Path(target))
        return really(source, target)

    patch.setattr(Path, "replace", replacing)


def test_temporary_files_are_hidden_and_of_one_process_only(tmp_path, monkeypatch):
    """So that two sweeps into one folder neither take each other's nor refuse the folder."""
    names = set()

    def note(source, target):
        if tmp_path in target.parents:
            names.add(source.name)
            assert source.parent == target.parent

    before_replacing(monkeypatch, note)
    quick(out=tmp_path)
    assert names == {f".{os.getpid()}.part"}


@pytest.mark.parametrize("moment", range(10))
def test_a_sweep_goes_on_after_it_was_stopped_at_any_moment(moment, tmp_path):
    options = {"lr": [0.1, 1e9, 1.0], "epochs": 3, "halving": True}
    left = iter(range(moment))  # files of the folder that are still written

    def stop(_, target):
        if tmp_path in target.parents and next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        before_replacing(patch, stop)
        quick(**options, out=tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    assert facts(quick(**options, out=tmp_path)) == facts(quick(**options))


# ---- Successive halving


def test_rungs():
    assert tune.rungs(5, 2, 8) == [2, 3, 5]
    assert tune.rungs(10, 3, 8) == [4, 10]


def trial_of(name, accuracies, losses):
    history = {"val_acc_history": accuracies, "val_loss_history": losses}
    return {"trial": name, "epochs": len(accuracies), "history": history}


def test_the_best_third_survives_as_it_was_then():
    trials = [
        trial_of("diverged", [], []),
        trial_of("b", [0.7], [2.0]),
        trial_of("c", [0.4, 0.9], [1.0, 0.1]),
        trial_of("d", [0.7, 0.1], [1.0, 9.0]),
    ]
    assert tune.survivors(trials, 1, 3) == ["d", "b"]


def test_halving_trains_the_best_further():
    trials = quick([*np.geomspace(0.001, 0.5, 8), 1e9], epochs=9, halving=True)
    assert sorted(trial["epochs"] for trial in trials) == [0, 1, 1, 1, 1, 1, 3, 3, 9]
    assert len(Inline.sizes) == 9 + 3 + 1
    for trial in trials[:8]:
        assert_is_plain(trial)


def test_halving_takes_no_step_twice(monkeypatch):
    batches = []
    loss = TwoLayerNet.loss

    def counted(net, X, *rest):
        batches.append(len(X))
        return loss(net, X, *rest)

    monkeypatch.setattr(TwoLayerNet, "loss", counted)
    trials = quick([0.1, 0.2, 0.3], halving=True, epochs=6, batch_size=40)
    assert batches.count(40) == sum(len(trial["history"]["loss_history"]) for trial in trials)


# ---- What is printed, and the report


@pytest.fixture
def drawn(monkeypatch):
    """What `report` draws: the arguments by the file's name. No pictures are made."""
    found = {}

    def record(*arguments, path, **options):
        found[path.name] = (*arguments, options)

    for name in ("plot_sweep", "plot_curves", "plot_predictions", "plot_confusion"):
        monkeypatch.setattr(vis_utils, name, record)
    monkeypatch.setattr(vis_utils, "show_net_weights", record)
    return found


@pytest.fixture
def reported(capsys, drawn):
    """Report on a folder; returns what is printed."""

    def reported(out, data=None, code=0):
        assert tune.report(out, data) == code
        return capsys.readouterr().out

    return reported


def test_lines_fit_into_80_columns_and_do_not_jump(tmp_path, capsys, reported):
    quick(1e6, criterion="mse", out=tmp_path)  # so that the best is never a diverged one
    widest = {"activation": ["leaky_relu", "relu"], "optimizer": ["momentum", "sgd"]}
    widest.update(criterion=["softmax", "mse"], reg=np.logspace(-5, -4, 3))
    quick(1e6, **widest, verbose=True, out=tmp_path)
    progress = capsys.readouterr().out.splitlines()[2:]
    listed = reported(tmp_path).splitlines()[2:13]
    for lines in (progress, listed):
        assert {len(line) for line in lines} == {len(lines[0])}
        assert len(lines[0]) <= 80


def test_progress_tells_settings_result_best_and_time(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(time, "perf_counter", itertools.count(0, 10).__next__)
    best = quick(out=tmp_path)[0]["val_acc"]
    quick([1e8, 1e9], out=tmp_path, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 of 2 trials to train up to epoch 1"
    assert lines[1].split() == ["lr", "val", "acc", "best", "left"]
    result = rf"1e\+0[89]  diverged +{best:.2%}"  # of either trial
    assert re.fullmatch(rf"   1 +{result}  0:00:10", lines[2])
    assert re.fullmatch(rf"   2 +{result}  0:00:00", lines[3])


def test_a_quiet_sweep_prints_nothing(capsys):
    quick()
    assert capsys.readouterr() == ("", "")


def test_the_report_lists_the_best_ten_and_all_that_varies(tmp_path, reported, drawn):
    quick(np.geomspace(0.01, 0.5, 11), epochs=3, out=tmp_path)
    trials = quick(1e9, hidden=5, epochs=3, out=tmp_path)
    lines = reported(tmp_path).splitlines()
    assert lines[1] == "the best 10 of 12 trials"
    assert lines[2].split()[:2] == ["hidden", "lr"]
    for line, trial in zip(lines[3:13], trials[:10], strict=True):
        measures = [f"{trial['val_acc']:.2%}", f"{trial['val_loss']:#.3g}", "3"]
        assert line.split() == ["4", f"{trial['learning_rate']:.4g}", *measures]
    for name in ("sweep.png", "curves.png"):  # these show all trials
        assert facts(drawn[name][0]) == facts(trials)


def test_the_report_tests_and_draws_the_best_net(tmp_path, reported, drawn):
    named = replace(DATA, class_names=tuple("abcdefghij"))
    net = quick([0.1, 0.2], named, epochs=3, out=tmp_path)[0]["net"]
    right = net.accuracy(DATA.X_test, DATA.y_test)
    said = reported(tmp_path, named)
    assert f"test accuracy of the best: {right:.2%} of 200 rows" in said
    y, predicted, names, _ = drawn["confusion.png"]
    assert np.array_equal([y, predicted], [DATA.y_test, net.predict(DATA.X_test)])
    assert names == named.class_names
    shown, X, y, shape, options = drawn["predictions.png"]
    assert np.array_equal([y, shown.predict(X)], [DATA.y_test, predicted])
    assert shape == drawn["weights.png"][1] == (28, 28)
    assert options["class_names"] == named.class_names
    assert options["images"].max() == 255


@pytest.mark.parametrize(("normalize", "rate"), [(False, 1e-4), ("standard", 0.01)])
def test_the_report_finds_the_data_by_their_name(normalize, rate, tmp_path, reported):
    whole = load_dataset("mnist5k", normalize=normalize)
    net = quick(rate, whole, std=1e-4, batch_size=20, epochs=2, out=tmp_path)[0]["net"]
    right = net.accuracy(whole.X_test, whole.y_test)
    assert f"{right:.2%} of 1000 rows" in reported(tmp_path)


def test_data_of_the_same_name_but_other_rows_are_not_tested(tmp_path, reported, drawn):
    quick(data=replace(DATA, name="mnist5k"), epochs=3, out=tmp_path)
    other_rows = replace(DATA, X_test=-DATA.X_test)
    other_labels = replace(DATA, y_test=9 - DATA.y_test)
    for data in (None, other_rows, other_labels):
        said = reported(tmp_path, data)
        assert "test accuracy" not in said
        assert "no test: the test rows are not at hand" in said
    assert sorted(drawn) == ["curves.png", "sweep.png", "weights.png"]


def test_a_report_without_test_rows_removes_pictures_of_an_earlier_net(tmp_path, reported):
    quick(epochs=3, out=tmp_path)
    (tmp_path / "confusion.png").touch()
    (tmp_path / "predictions.png").touch()
    reported(tmp_path)
    assert not list(tmp_path.glob("*.png"))


def test_arrays_of_ones_own_without_test_rows_and_images(tmp_path, reported, drawn):
    own = make_dataset(DATA.X_train, DATA.y_train, DATA.X_val, DATA.y_val)
    quick(data=own, epochs=3, out=tmp_path)
    assert "no test" not in reported(tmp_path, own)
    assert sorted(drawn) == ["curves.png", "sweep.png"]


@pytest.mark.parametrize(("rate", "seed"), [(1e9, 0), (1e-9, 26)])
def test_the_report_says_that_no_net_learned(rate, seed, tmp_path, reported):
    """With seed 26 an untrained net has 16 %, the commonest label 12.5 %."""
    quick(rate, seed=seed, out=tmp_path)
    said = reported(tmp_path, DATA, code=1)
    # The commonest label has 12.5 % of the validation rows, and 1/20 of the others is 4.4 %.
    assert re.search("no net is better than guessing, up to 16.9%.* try a smaller --lr", said)


def test_a_read_only_folder_can_be_reported(tmp_path, reported, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "read-only")

    quick(epochs=3, out=tmp_path)
    before_replacing(monkeypatch, refuse)
    said = reported(tmp_path, DATA)
    assert "test accuracy" in said
    assert "not everything could be written: [Errno 13] read-only" in said


def test_a_closed_pipe_does_not_end_a_sweep(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        tune.say("of a trial")


def test_a_console_without_a_character_does_not_end_a_sweep(monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", console)
    tune.say("in \u00fc")
    console.flush()
    assert b"in \\xfc" in console.buffer.getvalue()


# ---- The command


@pytest.fixture
def given(monkeypatch):
    """The arguments with which the command calls `sweep`, a stub; `report` returns 1."""
    found = {}
    monkeypatch.setattr(tune, "sweep", lambda data, **more: found.update(more, data=data))
    monkeypatch.setattr(tune, "report", lambda *_: 1)
    return found


def test_options_of_the_command_reach_the_sweep(given):
    flags = "--lr 0.1 --lr 0.3 --learning-rate 1 --hidden-size 4 8 --hidden_size 16 --reg 0:1 "
    flags += "--batch-size 20 --epochs 7 --seed 5 --halving --dask tcp://a:1 --out there"
    assert tune.main(flags.split()) == 1
    del given["data"]
    lists = {
        "lr": ["0.1", "0.3", "1"],
        "hidden": ["4", "8", "16"],
        "reg": ["0:1"],
        "batch_size": ["20"],
    }
    others = {"epochs": 7, "seed": 5, "halving": 3, "client": "tcp://a:1", "out": "there"}
    assert given == lists | others


@pytest.mark.parametrize(
    ("word", "normalize"), [("yes", True), ("no", False), ("standard", "standard")]
)
def test_pixels_can_be_chosen(word, normalize, given):
    tune.main(["--normalize", word])
    expected = load_dataset("mnist5k", normalize=normalize)
    assert np.array_equal(given["data"].X_train, expected.X_train)
    assert given["out"] == "runs/mnist5k"


def test_help_tells_every_option_and_its_default(capsys):
    with pytest.raises(SystemExit):
        tune.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for setting in tune.SETTINGS:
        assert re.search(rf" --{setting.option} [^()]*\(default: {setting.default}\)", text)


# ---- Real processes


def test_workers_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = (dict(os.environ), list(sys.path), sys.modules["__main__"])
    tune.sweep(DATA, **FEW, workers=1)
    assert (dict(os.environ), sys.path, sys.modules["__main__"]) == before
    assert not list(tmp_path.iterdir())


TUNE = "../project/tune.py"
MANY = ["--reg=0", "--hidden=1", "--batch-size=25", "--epochs=3", "--workers=2", "--lr"]
MANY += [i / 20 for i in range(1, 21)]
STOPPED = "\nstopped; out keeps what was done, the same command resumes it\n"


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start Python in the folder "here", beside "project", a copy of what a sweep needs."""
    for name in ("here", "project", "temporary"):
        (tmp_path / name).mkdir()
    for name in ("tune", "two_layer_net", "data_utils"):
        shutil.copy(ROOT / f"{name}.py", tmp_path / "project")
    no_pictures = "def __getattr__(_): return lambda *_, **__: None\n"
    (tmp_path / "project" / "vis_utils.py").write_text(no_pictures)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("TWO_LAYER_NET_DATA", str(ROOT / "datasets"))
    look = {"cwd": tmp_path / "here", "text": True, "start_new_session": True}
    look.update(stdin=PIPE, stdout=PIPE, stderr=PIPE)
    started = []

    def start(*command):
        # A handler is not inherited, but that SIGINT is ignored would be.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command = [sys.executable, *map(str, command)]
        started.append(Popen(command, **look))
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its workers
        process.communicate()


def processes(folder):
    """The running processes in this current folder: {id: command line}."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (path / "cwd").readlink() == folder:
                found[int(path.name)] = (path / "cmdline").read_bytes()
    return found


def wait_until(condition):
    """Wait for what comes true within seconds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def wait_for_a_trial(run):
    while not run.stdout.readline().startswith("   1 "):
        assert run.poll() is None


def assert_is_complete(out):
    """See that the folder holds the 20 trials of MANY, the best as the class makes it."""
    trials = tune.load_sweep(out)
    assert len(trials) == 20
    assert_is_plain(trials[0], load_dataset("mnist5k"))


SCRIPT = """
import os, sys
sys.path.insert(0, "../project")
import tune
os.chdir("..")
tune.sweep("mnist5k", lr=[1e-9, 0.1, 1e9], hidden=4, reg=0, epochs=1, out="out", verbose=False)
tune.report("out")
"""


def test_a_script_needs_no_guard_and_its_trials_are_silent(start, tmp_path):
    """It finds the modules by a relative path and goes to another folder before the sweep."""
    (tmp_path / "here" / "script.py").write_text(SCRIPT)
    said, errors = start("script.py").communicate(timeout=60)
    assert errors == ""
    assert said.endswith("in out: trials.csv, best.npz and pictures\n")


def test_workers_that_die_again_are_told(start, tmp_path):
    with open(tmp_path / "project" / "two_layer_net.py", "a") as file:
        file.write("import os\n")
        file.write('OPTIMIZERS["sgd"] = lambda w, *_, **__: w.size < 99 or os._exit(1)\n')
    flags = "--hidden 4 --lr 0.1 --reg 0 --epochs 1 --workers 1 --optimizer adam sgd"
    run = start(TUNE, *flags.split(), "--out=kept")
    said, errors = run.communicate(timeout=60)
    assert run.returncode == 1
    assert said.count("a worker died; new ones train what is missing") == 1
    assert re.fullmatch("the workers died .*fewer of them.*; kept keeps what .*\n", errors)
    [row] = read_table(tmp_path / "here" / "kept")
    assert row["optimizer"] == "adam"


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks into /proc")
def test_stopped_in_any_way_and_taken_up_again(start, tmp_path):
    here = tmp_path / "here"
    out = here / "out"
    kills = [(signal.SIGINT, "all"), (signal.SIGKILL, "sweep"), (signal.SIGKILL, "worker")]
    for number, receiver in kills:
        run = start(TUNE, *MANY, "--out=out")
        wait_for_a_trial(run)
        (out / f".{run.pid}.part").touch()  # as if it had been writing
        workers = [pid for pid, line in processes(here).items() if b"spawn_main" in line]
        pids = {"all": -run.pid, "sweep": run.pid, "worker": workers[0]}
        os.kill(pids[receiver], number)
        _, errors = run.communicate(timeout=60)
        wait_until(lambda: not processes(here))
        assert not list((tmp_path / "temporary").iterdir())
        assert not list(out.rglob("*.part"))
        if number == signal.SIGINT:
            assert (run.returncode, errors) == (130, STOPPED)
    assert (run.returncode, errors) == (0, "")
    assert_is_complete(out)


def test_ctrl_c_does_not_wait_for_the_end_of_a_trial(start):
    """One worker is in the midst of a long trial, the other one has nothing to do."""
    flags = "--hidden 1 4000 --lr 0.1 --reg 0 --epochs 40 --workers 2 --out out"
    run = start(TUNE, *flags.split())
    wait_for_a_trial(run)
    os.kill(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=20)
    assert (run.returncode, errors) == (130, STOPPED)


# ---- A cluster


def test_a_cluster_without_the_project_trains_what_a_lost_worker_had(start, tmp_path):
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    where = ("--no-dashboard", "--scheduler-file", file)
    start("-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", 0, *where)
    workers = []
    for _ in range(2):
        workers.append(start("-m", "dask", "worker", "--no-nanny", "--nthreads", 1, *where))
    wait_until(file.exists)
    address = json.loads(file.read_text())["address"]

    def sweep_and_lose(worker, out):
        run = start(TUNE, *MANY, "--out", out, "--dask", address)
        wait_for_a_trial(run)
        worker.kill()
        _, errors = run.communicate(timeout=60)
        return run.returncode, errors

    code, errors = sweep_and_lose(workers[0], "out")
    assert code == 0, errors
    assert_is_complete(tmp_path / "here" / "out")

    code, errors = sweep_and_lose(workers[1], "lost")
    assert code == 1
    assert errors.startswith("the cluster lost its scheduler or workers; lost keeps")


@pytest.mark.filterwarnings("default")
def test_a_cluster_in_this_process_can_be_used_twice(swept):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, dashboard_address=None) as client:
        for _ in range(2):
            trials = tune.sweep(DATA, **GRID, client=client, verbose=False)
            assert facts(trials) == facts(swept[1])
