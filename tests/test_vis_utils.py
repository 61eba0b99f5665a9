"""Pictures: what they show, and that pyplot's habits work on them."""

import copy
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import vis_utils
from two_layer_net import TwoLayerNet

ROOT = Path(vis_utils.__file__).parent


@pytest.fixture(autouse=True)
def no_figures_before_and_after():
    plt.close("all")
    yield
    plt.close("all")


@pytest.fixture
def net():
    return TwoLayerNet(4, 6, 3, "he", rng=0)


X = np.random.default_rng(0).standard_normal((30, 4))
y = np.arange(30) % 3


def trial(hidden, rate, reg, accuracy, epochs=9, **settings):
    history = {
        "val_acc_history": [accuracy / 2, accuracy],
        "val_loss_history": [2, 1],
        "penalty_history": [5 * reg, 6 * reg],
    }
    place = {"hidden_size": hidden, "learning_rate": rate, "reg": reg, "activation": "relu"}
    return (
        {"status": "ok", "val_acc": accuracy, "epochs": epochs, "history": history}
        | place
        | settings
    )


GRID = [
    trial(h, rate, reg, 0.9 + h / 1000 - reg - rate / 100)
    for h in (32, 64)
    for rate in (0.01, 0.1, 1.0)
    for reg in (0.0, 0.001)
]
PICTURES = {
    "show_net_weights": lambda net, **o: vis_utils.show_net_weights(net, (2, 2), **o),
    "plot_history": lambda net, **o: vis_utils.plot_history(net.train(X, y, X, y, epochs=2), **o),
    "plot_predictions": lambda net, **o: vis_utils.plot_predictions(net, X, y, (2, 2), **o),
    "plot_confusion": lambda net, **o: vis_utils.plot_confusion(y, net.predict(X), **o),
    "plot_decision_regions": lambda _, **o: vis_utils.plot_decision_regions(
        TwoLayerNet(2, 6, 3, "he", rng=0), X[:, :2], y, **o
    ),
    "plot_sweep": lambda _, **o: vis_utils.plot_sweep(GRID, **o),
    "plot_curves": lambda _, **o: vis_utils.plot_curves(GRID, **o),
}
every_picture = pytest.mark.parametrize("name", PICTURES)


def texts(axes):
    return [text.get_text() for ax in np.ravel(axes) for text in ax.texts]


# ---- the habits


@every_picture
def test_pyplot_acts_on_the_picture(name, net):
    axes = PICTURES[name](net)
    figure = np.ravel(axes)[0].figure
    assert plt.get_fignums() == [figure.number] and plt.gcf() is figure
    plt.title("mine")
    assert "mine" in [ax.get_title() for ax in np.ravel(axes)]


@every_picture
def test_pyplot_saves_the_same_picture(name, net, tmp_path):
    PICTURES[name](copy.deepcopy(net))
    plt.savefig(tmp_path / "pyplot.png")
    PICTURES[name](net, path=tmp_path / "ours.png")
    theirs, ours = (plt.imread(tmp_path / f"{whose}.png") for whose in ("pyplot", "ours"))
    assert np.array_equal(theirs, ours)
    assert (ours[..., :3] < 0.9).any(axis=-1).mean() > 0.01  # it is not a blank page


@every_picture
@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_with_a_path_it_is_written_and_closed(name, kind, net, tmp_path):
    path = tmp_path / f"picture.{kind}"
    path.write_bytes(b"old")
    PICTURES[name](net, path=path)
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[kind]
    assert path.read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [path.name]
    assert plt.get_fignums() == []


def test_an_old_file_stays_when_the_new_one_cannot_be_written(net, tmp_path):
    path = tmp_path / "picture.foo"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="foo"):
        vis_utils.show_net_weights(net, (2, 2), path=path)
    assert path.read_bytes() == b"old"


def test_in_a_notebook_every_picture_shows_once_wherever_it_is_drawn(tmp_path):
    start = """%matplotlib inline
import numpy as np, matplotlib.pyplot as plt, vis_utils
h = {f"{k}_history": [0.5] for k in ("loss", "train_acc", "val_acc")}
class Net: params = {"W1": np.eye(4), "W2": np.eye(4)}"""
    cells = {
        "vis_utils.plot_history(h)": 1,
        "vis_utils.plot_history(h)\nprint('after')": 1,
        "for _ in range(3):\n    vis_utils.plot_history(h)": 3,
        "vis_utils.plot_history(h)\nvis_utils.show_net_weights(Net, (2, 2))": 2,
        "vis_utils.plot_history(h)\nplt.title('mine')\nplt.show()": 1,
        f"vis_utils.plot_history(h, path={str(tmp_path / 'h.png')!r})": 0,
    }
    notebook = new_notebook(cells=[new_code_cell(code) for code in (start, *cells)])
    NotebookClient(notebook, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [
        sum("image/png" in output.get("data", {}) for output in cell.outputs)
        for cell in notebook.cells[1:]
    ]
    assert shown == list(cells.values())


def test_it_needs_no_other_module_of_the_project(tmp_path):
    (tmp_path / "vis_utils.py").write_text((ROOT / "vis_utils.py").read_text(encoding="utf-8"))
    run = [sys.executable, "-c", "import vis_utils"]
    subprocess.run(run, cwd=tmp_path, check=True, env=os.environ | {"MPLBACKEND": "Agg"})


# ---- the pictures


def test_grid_stretches_each_image_and_leaves_padding_black():
    images = np.array([[[0.0, 2.0]], [[5.0, 5.0]], [[-1.0, 1.0]]])  # three of 1 x 2 pixels
    expected = [[0, 255, 0, 0, 0], [0, 0, 0, 0, 0], [0, 255, 0, 0, 0]]
    assert (vis_utils.visualize_grid(images) == expected).all()
    assert vis_utils.visualize_grid(np.ones((5, 4, 3, 3)), padding=2).shape == (16, 13, 3)
    colors = np.random.default_rng(0).random((1, 2, 2, 3))
    grid = vis_utils.visualize_grid(colors, ubound=1.0)
    assert grid.min() == 0 and grid.max() == 1


def test_weights_are_columns_of_W1_and_of_many_the_largest_are_shown():
    net = TwoLayerNet(4, 120, 3, "zeros")
    net.params["W1"][:, 7] = [0, 1, 2, 3]
    net.params["W2"][7] = 9
    ax = vis_utils.show_net_weights(net, (2, 2))
    assert np.allclose(ax.images[0].get_array()[:2, :2], [[0, 1 / 3], [2 / 3, 1]])
    assert "100 of 120" in ax.get_title()


def test_history_is_drawn_at_its_true_steps():
    history = {
        "loss_history": [3.0, 2.0, 1.5, 1.2, 1.1, 1.0, 0.9],
        "train_acc_history": [0.1, 0.5],
        "val_acc_history": [0.2, 0.4],
        "val_loss_history": [2.5, 1.3],
        "step_history": [1, 4],
    }
    left, right = vis_utils.plot_history(history, title="mine")
    assert left.lines[0].get_xydata().tolist() == [
        [i + 1, v] for i, v in enumerate(history["loss_history"])
    ]
    assert left.lines[1].get_xydata().tolist() == [[1, 2.5], [4, 1.3]]
    assert [line.get_xydata().tolist() for line in right.lines] == [
        [[1, 10], [4, 50]],
        [[1, 20], [4, 40]],
    ]
    assert left.figure.get_suptitle() == "mine"
    del history["step_history"], history["val_loss_history"]  # as of cs231n's own class
    left, right = vis_utils.plot_history(history)
    assert right.lines[1].get_xdata().tolist() == [3.5, 7]


def test_validation_loss_is_drawn_with_the_penalty_and_says_so():
    history = {
        "loss_history": [3.0, 2.0],
        "train_acc_history": [0.1, 0.5],
        "val_acc_history": [0.2, 0.4],
        "val_loss_history": [2.5, 1.25],
        "penalty_history": [0.5, 0.25],
    }
    left, _ = vis_utils.plot_history(history)
    assert left.lines[1].get_ydata().tolist() == [3.0, 1.5]
    assert left.lines[1].get_label() == "validation, with the penalty"
    history["penalty_history"] = [0.0, 0.0]
    left, _ = vis_utils.plot_history(history)
    assert left.lines[1].get_label() == "validation"


def test_long_losses_are_smoothed_and_far_falling_ones_on_a_log_axis():
    acc = {"train_acc_history": [], "val_acc_history": []}
    left, _ = vis_utils.plot_history({"loss_history": [2.0, 1.0] * 100, **acc})
    assert left.get_yscale() == "linear"
    mean = left.lines[1].get_ydata()
    assert mean.min() > 1.3 and mean.max() < 1.7
    left, _ = vis_utils.plot_history({"loss_history": list(np.geomspace(2, 1e-3, 50)), **acc})
    assert left.get_yscale() == "log"


def test_predictions_show_ten_right_and_ten_wrong_with_their_labels():
    class Net:
        def predict(self, X):
            return X[:, 0].astype(int)

    images = np.arange(120, dtype=float).reshape(30, 4) % 7
    images[:, 0] = np.arange(30) % 3
    labels = np.where(np.arange(30) < 12, images[:, 0], 2).astype(int)  # 2 is right now and then
    ax = vis_utils.plot_predictions(Net(), images, labels, (2, 2), class_names=["a", "b", "c"])
    heights = {"right": [], "wrong": []}
    for text in ax.texts:
        found = re.fullmatch(r"label (\w)\npred. (\w)", text.get_text())
        if found:
            heights["right" if found[1] == found[2] else "wrong"].append(text.get_position()[1])
    right, wrong = heights.values()
    assert len(right) == len(wrong) == 10 and len({*right}) == len({*wrong}) == 1 and right != wrong
    pairs = [text for text in ax.texts if text.get_text().startswith("label")]
    for text, image, frame in zip(pairs, ax.images, ax.patches, strict=True):
        left, right, bottom, top = image.get_extent()
        assert left < text.get_position()[0] < right and text.get_position()[1] < top < bottom
        assert frame.get_bbox().extents.tolist() == [left, top, right, bottom]
        assert ax.get_xlim()[0] < left and right < ax.get_xlim()[1] and image.get_clim() == (0, 1)
    assert ax.get_title() == "Predictions: 18 of 30 right (60.0%)"
    shown = ax.images[1].get_array()
    assert np.allclose(shown, vis_utils.visualize_grid(images[1].reshape(1, 2, 2), 1.0))
    with_mean = np.full((30, 4), 51, np.uint8)  # is not stretched
    ax = vis_utils.plot_predictions(Net(), images, labels, (2, 2), images=with_mean)
    assert np.allclose(ax.images[0].get_array(), 0.2) and ax.images[0].get_clim() == (0, 1)


@pytest.mark.parametrize("shape", [(20, 40), (40, 20), (9, 9, 3)])
def test_labels_of_predictions_hide_no_image(shape, net):
    images = np.zeros((30, math.prod(shape)), np.uint8)
    ax = vis_utils.plot_predictions(net, X, y, shape, images=images)
    ax.figure.draw_without_rendering()
    texts = [text.get_window_extent() for text in ax.texts]
    boxes = [image.get_window_extent().padded(-3) for image in ax.images] + texts
    assert not any(t.overlaps(box) for t in texts for box in boxes if box is not t)
    assert all(ax.figure.bbox.containsx(x) for box in boxes for x in (box.x0, box.x1))


def test_confusion_counts_true_classes_in_rows():
    names = np.array(["cat", "dog", "bird"])
    ax = vis_utils.plot_confusion([0, 0, 0, 1, 2], [0, 0, 1, 1, 0], names)
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "2", (1, 0): "1", (1, 1): "1", (0, 2): "1"}
    assert ax.get_title() == "Accuracy 60.0% (3 of 5)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog", "bird"]
    assert np.allclose(ax.images[0].get_array()[0], [200 / 3, 100 / 3, 0])


def test_decision_regions_are_what_the_net_predicts():
    class Net:
        def predict(self, X):
            return (X[:, 0] > 0.5).astype(int)

    points = np.random.default_rng(0).random((50, 2))
    ax = vis_utils.plot_decision_regions(Net(), points, Net().predict(points))
    regions = ax.collections[0].get_array().reshape(200, 200)
    assert (regions[:, 0] == 0).all() and (regions[:, -1] == 1).all()
    assert "100.0%" in ax.get_title() and len(ax.get_legend().texts) == 2
    _, own = plt.subplots()
    assert vis_utils.plot_decision_regions(Net(), points, Net().predict(points), ax=own) is own
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        vis_utils.plot_decision_regions(Net(), np.ones((5, 3)), np.zeros(5, int))


def test_sweep_of_a_grid_has_a_map_for_each_hidden_size_and_frames_the_best():
    axes = vis_utils.plot_sweep(GRID)
    assert [ax.get_title() for ax in np.ravel(axes)] == ["32 hidden units", "64 hidden units"]
    assert "96.4" in texts(axes[0, 1])
    assert sorted(texts(axes)) == sorted(f"{100 * t['val_acc']:.1f}" for t in GRID)
    title = axes[0, 0].figure.get_suptitle()
    assert "96.4 % with hidden size 64, learning rate 0.01, reg 0" in title
    framed = [patch for ax in np.ravel(axes) for patch in ax.patches if patch.get_linewidth() == 3]
    assert [patch.get_xy() for patch in framed] == [(-0.5, -0.5)]


def test_sweep_tells_what_diverged_stopped_early_and_what_else_varied():
    others = [dict(t, activation="tanh", val_acc=t["val_acc"] - 0.1) for t in GRID]
    trials = [*GRID[2:], *others[2:], dict(GRID[0], status="diverged", val_acc=np.nan)]
    trials += [dict(GRID[1], epochs=3)]
    axes = vis_utils.plot_sweep(trials)
    assert "diverged" in texts(axes) and "93.1\n3 ep." in texts(axes)
    title = axes[0, 0].figure.get_suptitle()
    assert "22 trials, 1 diverged" in title and "activation relu" in title
    assert "its best trial, over activation" in title and "stopped early" in title


def test_colours_tell_bad_from_very_bad_and_good_from_better():
    accuracies = [0.1, 0.4, 0.8, 0.96, 0.97]
    axes = vis_utils.plot_sweep([trial(32, 10.0**-i, 0.0, a) for i, a in enumerate(accuracies)])
    found = np.array(sorted(patch.get_facecolor()[:3] for patch in axes[0, 0].patches))
    distances = np.abs(found[:, None] - found[None]).sum(axis=-1) + np.eye(5)
    assert distances.min() > 0.02


def test_sweep_of_ranges_is_a_scatter_plot_with_a_place_for_zero():
    rng = np.random.default_rng(0)
    trials = [
        trial(32, 10 ** rng.uniform(-3, 0), 10 ** rng.uniform(-5, -2), 0.9) for _ in range(20)
    ]
    trials += [trial(64, 0.1, 0.0, 0.95, epochs=3), dict(trial(64, 0.9, 0.0, 0), status="diverged")]
    ax = vis_utils.plot_sweep(trials)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "symlog")
    places = {tuple(map(float, c.get_offsets()[0])) for c in ax.collections if len(c.get_offsets())}
    assert places == {(t["learning_rate"], t["reg"]) for t in trials}
    labels = {text.get_text() for text in ax.figure.legends[0].texts}
    assert labels == {"32 hidden units", "64 hidden units", "diverged", "stopped early by halving"}


def test_curves_of_the_best_trials_are_without_penalty_and_named_by_what_differs():
    trials = sorted(GRID, key=lambda t: -t["val_acc"])
    left, right = vis_utils.plot_curves([dict(trials[0], status="diverged"), *trials[1:]], count=3)
    assert len(left.lines) == len(right.lines) == 3
    assert left.lines[0].get_xydata().tolist() == [
        [1, 50 * trials[1]["val_acc"]],
        [2, 100 * trials[1]["val_acc"]],
    ]
    for line in right.lines:
        assert np.allclose(line.get_ydata(), [2, 1])
    label = left.figure.legends[0].texts[0].get_text()
    assert (
        label.startswith(f"{100 * trials[1]['val_acc']:.2f} %")
        and "learning rate 0.1, reg 0" in label
    )
    assert "hidden" not in label and "activation" not in label
    with pytest.raises(ValueError, match="no trial is ok"):
        vis_utils.plot_curves([dict(trials[0], status="diverged")])
