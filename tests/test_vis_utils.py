"""Pictures: what a person sees in them, and that pyplot's habits work on them."""

import os
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from two_layer_net import TwoLayerNet
from vis_utils import (
    COLORS,
    plot_confusion,
    plot_curves,
    plot_decision_regions,
    plot_history,
    plot_predictions,
    plot_sweep,
    show_net_weights,
    visualize_grid,
)

ROOT = Path(__file__).parents[1]
BLUE, RED, GREEN = COLORS[:3]


class FirstColumn:
    """A student's own net: it predicts the first number of each row, in a column (N, 1)."""

    def predict(self, X):
        return X[:, :1].astype(int)


NET = FirstColumn()
X = np.random.default_rng(0).integers(0, 3, (30, 4))
y = np.arange(30) % 3
HISTORY = {
    "loss_history": [3.0, 2.0, 1.5, 1.2, 1.1, 1.0, 0.9],
    "train_acc_history": [0.1, 0.5],
    "val_acc_history": [0.2, 0.4],
    "val_loss_history": [2.5, 1.3],
    "step_history": [1, 4],
}


def trial(hidden_size, learning_rate, reg, accuracy, **settings):
    found = {"hidden_size": hidden_size, "learning_rate": learning_rate, "reg": reg}
    found.update(status="ok", val_acc=accuracy, epochs=9, history=HISTORY)
    found.update(settings)
    return found


NAN = float("nan")
GRID = [
    trial(32, 0.01, 0.0, 0.9),
    trial(32, 0.1, 0.5, NAN, status="diverged", epochs=2),
    trial(64, 0.01, 0.0, 0.8),
    trial(64, 0.1, 0.0, 0.96),
    trial(64, 0.01, 0.5, 0.1),
    trial(64, 0.1, 0.5, 0.7, epochs=3),
]
RANGES = [
    trial(32, 0.001, 1e-5, 0.5),
    trial(32, 0.02, 0.0, 0.7, epochs=3),
    trial(64, 0.3, 1e-2, 0.9),
    trial(32, 2.0, 3e-4, NAN, status="diverged"),
]
LONG = trial(64, 0.1, 0.0, 0.97, optimizer="momentum", activation="leaky_relu", batch_size=200)
NAMES = ["T-shirt or top", "golden retriever", "Ankle boot"]
every_picture = pytest.mark.parametrize(
    "draw",
    [
        partial(show_net_weights, TwoLayerNet(4, 6, 3), (2, 2)),
        partial(plot_history, HISTORY),
        partial(plot_history, {"SGD": HISTORY, "momentum": HISTORY}),
        partial(plot_predictions, NET, X, y, (2, 2), class_names=NAMES),
        partial(plot_confusion, y, y[::-1], NAMES),
        partial(plot_decision_regions, NET, X[:, :2], y),
        partial(plot_sweep, [*GRID, LONG]),
        partial(plot_sweep, RANGES),
        partial(plot_curves, GRID),
    ],
)


@pytest.fixture(autouse=True)
def no_figures_before():
    plt.close("all")


# ---- Looking at a picture


def pixels_of(ax):
    """The whole picture, from the bottom row to the top: numbers 0..1 for red, green and blue."""
    if ax.figure.stale:
        ax.figure.canvas.draw()
    return np.asarray(ax.figure.canvas.buffer_rgba())[::-1, :, :3] / 255


def color_at(ax, x, y, right=0, up=0):
    """The colour at a place in the units of the axes, or some pixels to its right and above it."""
    pixels = pixels_of(ax)
    column, row = ax.transData.transform((x, y))
    return pixels[int(row) + up, int(column) + right]


def sees(ax, x, y, color, *pixels):
    return np.allclose(color_at(ax, x, y, *pixels), to_rgb(color), atol=0.05)


def words_of(ax):
    """All that can be read in the picture."""
    pixels_of(ax)  # which writes the ticks
    texts = ax.figure.findobj(Text)
    return "\n".join(text.get_text() for text in texts if text.get_visible())


def ticks_of(ax):
    labels = ax.get_xticklabels() + ax.get_yticklabels()
    assert not any(label.get_parse_math() for label in labels if "$" in label.get_text())
    return [label.get_text() for label in labels]


def cells_of(ax):
    """The texts in the cells of a map, by column and row; each can be read."""
    cells = {}
    for text in ax.texts:
        x, y = text.get_position()
        cells[x, y] = text.get_text()
        background = color_at(ax, x - 0.4, y - 0.4)
        assert abs(np.mean(to_rgb(text.get_color())) - np.mean(background)) > 0.35
    return cells


def points_of(ax):
    """The curves in a panel, each a list of points."""
    return [np.round(line.get_xydata(), 9).tolist() for line in ax.lines]


# ---- The habits of pyplot


@every_picture
def test_pyplot_saves_the_same_picture(draw, tmp_path):
    draw()
    plt.savefig(tmp_path / "pyplot.png")
    draw(path=tmp_path / "ours.png")
    assert (tmp_path / "ours.png").read_bytes() == (tmp_path / "pyplot.png").read_bytes()


@every_picture
def test_nothing_is_cut_off_and_no_texts_touch(draw):
    figure = np.ravel(draw())[0].figure
    figure.canvas.draw()
    left, bottom, right, top = figure.get_tightbbox().padded(-0.02).extents
    width, height = figure.get_size_inches()
    assert 0 < left < right < width
    assert 0 < bottom < top < height
    rows_of_texts = [ax.get_xticklabels() for ax in figure.axes]
    rows_of_texts.append([ax.title for ax in figure.axes if ax.get_title()])
    for texts in rows_of_texts:
        boxes = [text.get_window_extent() for text in texts]
        for box in boxes:
            assert box.count_overlaps(boxes) == 1  # itself


def test_with_a_path_it_is_written_in_the_format_of_the_suffix_and_closed(tmp_path):
    path = tmp_path / "picture.pdf"
    plot_confusion(y, y, path=path)
    assert path.read_bytes().startswith(b"%PDF")
    assert plt.get_fignums() == []


def test_an_old_file_stays_when_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    parts = []

    def fails_halfway(figure, file, **options):
        parts.append(file)
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fails_halfway)
    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            plot_confusion(y, y, path=path)
    assert parts[0] != parts[1]  # two programs may write the same picture at once
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


def test_in_a_notebook_every_picture_shows_once():
    code = """%matplotlib inline
import vis_utils
for _ in range(3):
    vis_utils.plot_history({"loss_history": [0.5]})"""
    notebook = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(notebook, resources={"metadata": {"path": str(ROOT)}}).execute()
    kinds = [kind for output in notebook.cells[0].outputs for kind in output.get("data", ())]
    assert kinds.count("image/png") == 3


# ---- Weights


def test_grid_goes_row_by_row_with_padding_and_each_image_stretched():
    images = np.full((5, 2, 3, 3), 7.0)  # of one colour: black
    images[1, 1, 0] = [7, 8, 9]
    images[3, 1, 0] = [5, 7, 7]
    grid = visualize_grid(images, padding=2)
    assert grid.shape == (10, 13, 3)
    assert grid[1, 5].tolist() == [0, 127.5, 255]
    assert grid[5, 0].tolist() == [0, 255, 255]
    assert grid[:4].sum() == 127.5 + 255
    assert visualize_grid(images, ubound=1.0).max() == 1
    assert images.max() == 9  # the images themselves stay


@pytest.mark.parametrize("layer, words", [(1, "6 hidden units"), (2, "class 0, 1,")])
def test_weights_are_shown_by_column(layer, words):
    net = TwoLayerNet(6, 6, 5, "zeros")
    net.params[f"W{layer}"][4, 4] = 1  # in the fifth picture: row 1, column 1
    ax = show_net_weights(net, (2, 3), layer)
    assert sees(ax, 3 + 1 + 1, 2 + 1 + 1, "white")
    assert ax.get_ylim() == (5.5, -0.5)  # two rows, as there are five pictures or six
    assert words in words_of(ax)


def test_of_many_units_those_are_shown_that_weigh_most_in_the_scores():
    net = TwoLayerNet(4, 120, 3, "zeros")
    net.params["W1"][2, 7] = 1
    net.params["W1"][1, 8] = 5  # a large weight, but no score depends on it
    net.params["W2"][7] = -9
    ax = show_net_weights(net, (2, 2))
    assert sees(ax, 0, 1, "white")
    assert "of 120 units those 100" in words_of(ax)


@pytest.mark.parametrize(
    "image_shape, layer, words",
    [
        ((28, 28), 1, r"shape \(4,\); give the shape of the images"),
        ((2, 2), 2, r"shape \(6,\); give any rows and columns with 6 places"),
        ((1, 2, 2), 1, r"transpose\(0, 2, 3, 1\)"),
        ((2, 2), 3, "layer must be 1 or 2"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_advice(image_shape, layer, words):
    with pytest.raises(ValueError, match=words):
        show_net_weights(TwoLayerNet(4, 6, 3), image_shape, layer)


# ---- Histories


def test_history_is_drawn_at_its_true_steps_training_blue_and_validation_red():
    loss, accuracy = plot_history(HISTORY, title="mine")
    training, validation = points_of(loss)
    assert training[:3] == [[1, 3.0], [2, 2.0], [3, 1.5]]
    assert validation == [[1, 2.5], [4, 1.3]]
    assert points_of(accuracy) == [[[1, 10], [4, 50]], [[1, 20], [4, 40]]]
    assert sees(loss, 2, 2.0, BLUE)
    assert sees(loss, 4, 1.3, RED)
    legend = loss.figure.legends[0]
    assert [line.get_color() for line in legend.get_lines()] == [BLUE, RED]
    for word in ("mine", "training\nvalidation", "step (mini-batch)", "accuracy (%)"):
        assert word in words_of(loss)


def test_without_steps_records_are_spread_evenly():
    _, accuracy = plot_history(HISTORY | {"step_history": []})
    assert points_of(accuracy)[1] == [[3.5, 20], [7, 40]]


def test_validation_loss_is_drawn_with_the_penalty_and_says_so():
    loss, _ = plot_history(HISTORY | {"penalty_history": [0.5, 0.25]})
    assert points_of(loss)[1] == [[1, 3.0], [4, 1.55]]
    assert "with the penalty" in words_of(loss)
    loss, _ = plot_history(HISTORY | {"penalty_history": [0.0, 0.0]})
    assert "penalty" not in words_of(loss)


def test_a_history_stays_as_it_is():
    accuracies = np.array([0.1, 0.2])
    plot_history({"val_acc_history": accuracies})
    assert accuracies.tolist() == [0.1, 0.2]


def test_long_losses_are_smoothed():
    (ax,) = plot_history({"loss_history": [2.0, 1.0] * 160})
    raw, means = points_of(ax)
    assert len(raw) == 320
    assert means[0] == [8.5, 1.5]  # the middle of a window of 16
    assert means[-1] == [312.5, 1.5]
    assert "smoothed" in words_of(ax)
    (ax,) = plot_history({"SGD": {"loss_history": [2.0, 1.0] * 50}})
    assert len(points_of(ax)) == 1  # of several histories, the means alone


@pytest.mark.parametrize("smallest, scale", [(0.101, "linear"), (0.099, "log"), (0, "linear")])
def test_losses_that_fall_far_have_a_logarithmic_axis(smallest, scale):
    (ax,) = plot_history({"loss_history": [3.0, 1.0, smallest]})
    assert ax.get_yscale() == scale


def test_accuracies_alone_are_not_said_to_be_of_steps():
    (ax,) = plot_history({"val_acc_history": [0.1, 0.2]})
    assert points_of(ax) == [[[1, 10], [2, 20]]]
    assert "step" not in words_of(ax)


def test_a_single_record_is_seen():
    loss, _ = plot_history({"loss_history": [2.0], "val_acc_history": [0.5]})
    assert sees(loss, 1, 2.0, BLUE)


def test_several_histories_have_a_colour_each_and_a_panel_for_each_list():
    slow = {"loss_history": [4.0, 3.5], "val_loss_history": [9.0]}
    axes = plot_history({"slow": slow, "fast": HISTORY})
    panels = {ax.get_title(): ax for ax in axes}
    assert points_of(panels["Validation loss"]) == [[[2, 9.0]], [[1, 2.5], [4, 1.3]]]
    for ax in axes:
        assert sees(ax, *points_of(ax)[-1][0], RED)
    assert "slow\nfast" in words_of(ax)


@pytest.mark.parametrize("wrong", [{}, {"a": [1.0]}, {"a": HISTORY, "b": {"loss": [1.0]}}])
def test_a_history_without_known_lists_is_refused(wrong):
    with pytest.raises(ValueError, match=r"loss_history|train returned"):
        plot_history(wrong)


# ---- Labels and predictions

with_labels = pytest.mark.parametrize(
    "draw",
    [
        partial(plot_predictions, NET, np.ones((4, 4)), image_shape=(2, 2)),
        partial(plot_confusion, y_pred=[1, 1, 1, 1]),
        partial(plot_confusion, [1, 1, 1, 1]),
        partial(plot_decision_regions, NET, [[1, 0], [1, 1], [1, 2], [2, 0]]),
    ],
)


@with_labels
def test_labels_may_be_a_column(draw):
    assert words_of(draw([[1], [1], [0], [1]])) == words_of(draw([1, 1, 0, 1]))


@with_labels
@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (np.eye(4, dtype=int), "argmax"),
        ([1], "a label a row"),
        ([1.0, 1.0, 1.0, 1.0], "astype.* return_inverse"),
        ([0, 1, 1, -1], "from 0"),
    ],
)
def test_other_labels_are_refused_with_advice(draw, labels, advice):
    with pytest.raises(ValueError, match=advice):
        draw(labels)


def test_predictions_show_the_first_ten_right_and_wrong_with_their_labels():
    images = np.zeros((30, 4))
    images[:, 0] = np.arange(30) // 10  # ten are predicted as 0, then ten as 1, ten as 2
    images[:, 3] = 4
    names = ["$a_1$", "dog", "cat"]
    ax = plot_predictions(NET, images, np.ones(30, int), (2, 2), class_names=names)
    assert ax.get_title() == "Predictions: 10 of 30 right (33.3%)"
    right = ["right"] + ["label dog\npred. dog"] * 10
    wrong = ["wrong"] + ["label dog\npred. $a_1$"] * 10
    assert [text.get_text() for text in ax.texts] == right + wrong
    assert not ax.texts[-1].get_parse_math()
    # The second of the right ones and the first of the wrong ones: frame and pixels
    assert sees(ax, 1.1, 0.5, GREEN)
    assert sees(ax, 0, 2.05, RED)
    assert sees(ax, 1.35, 0.25, [0.25, 0.25, 0.25])


def test_other_images_may_be_shown_and_bytes_are_not_stretched():
    draw = partial(plot_predictions, NET, X, y, (2, 2, 3))
    pixels = np.full((30, 2, 2, 3), [51, 102, 204], np.uint8)
    ax = draw(images=pixels)
    assert sees(ax, 0.75, 0.75, [0.2, 0.4, 0.8])
    with pytest.raises(ValueError, match="30 rows, but there are 29 images"):
        draw(images=pixels[1:])
    with pytest.raises(ValueError, match=r"\(3, 2, 2\); give the shape of one image"):
        draw(images=pixels.transpose(0, 3, 1, 2))


def test_a_label_without_a_name_is_refused():
    with pytest.raises(ValueError, match="label 2, but 2 class_names"):
        plot_confusion(y, y, ["a", "b"])


def test_confusion_counts_true_classes_in_rows():
    names = np.array(["cat", "$a_1$", "bird"])
    ax = plot_confusion([0, 0, 0, 1, 1], [0, 0, 1, 2, 2], names)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert cells_of(ax) == {(0, 0): "2", (1, 0): "1", (2, 1): "2"}
    assert ax.get_title() == "Accuracy 40.0% (2 of 5)"
    assert ticks_of(ax) == ["cat", "$a_1$", "bird"] * 2


def test_confusion_is_coloured_by_the_share_of_the_row():
    ax = plot_confusion([0, 0, 0, 1], [0, 0, 2, 1])
    cells = [(2, 2), (2, 0), (0, 0), (1, 1)]  # 0 of 0, 1 of 3, 2 of 3, 1 of 1
    brightness = [color_at(ax, x + 0.4, y + 0.4).sum() for x, y in cells]
    assert np.diff(brightness).min() > 0


@pytest.mark.parametrize("largest", [1, 9])
def test_regions_have_the_colours_of_their_points_up_to_the_edge(largest):
    corners = [[0, 0], [0, 5], [largest, 0], [largest, 5]]
    ax = plot_decision_regions(NET, corners, [0, 0, largest, largest])
    for x, y in corners:
        color = np.array(to_rgb(COLORS[x % 8]))
        assert sees(ax, x, y, color)
        x_edge = x + np.sign(x - 0.5) * 0.07 * largest
        y_edge = y + np.sign(y - 1) * 0.35
        assert sees(ax, x_edge, y_edge, 0.3 * color + 0.7)
    for word in ("100.0% of the points right", f"class {largest}"):
        assert word in words_of(ax)


def test_regions_may_be_drawn_in_axes_of_ones_own():
    _, (ax, _) = plt.subplots(1, 2)
    assert plot_decision_regions(NET, X[:, :2], y, ax=ax) is ax
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        plot_decision_regions(NET, X, y)


# ---- Sweeps


def test_a_grid_has_a_map_for_each_hidden_size():
    small, large = plot_sweep(GRID)
    assert (small.get_title(), large.get_title()) == ("32 hidden units", "64 hidden units")
    assert cells_of(small) == {(0, 0): "90.0", (1, 1): "diverged"}
    assert cells_of(large) == {
        (0, 0): "80.0",
        (1, 0): "96.0",
        (0, 1): "10.0",
        (1, 1): "70.0\n3 ep.",
    }
    assert (large.get_xlabel(), large.get_ylabel()) == ("learning rate", "regularization")
    assert ticks_of(large) == ["0.01", "0.1", "0", "0.5"]


def test_better_cells_are_brighter_the_best_is_framed_and_a_diverged_one_is_grey():
    small, large = plot_sweep(GRID)
    ascending = [(0, 1), (1, 1), (0, 0), (1, 0)]
    greens = [color_at(large, x + 0.4, y + 0.4)[1] for x, y in ascending]
    assert np.diff(greens).min() > 0.01
    assert sees(small, 1.4, 1.4, "lightgray")
    assert sees(large, 0.5, 0.2, RED)
    assert not sees(large, 0.5, 0.8, RED)


def test_good_trials_can_be_told_apart_beside_bad_ones():
    _, ax = plot_sweep(GRID)
    difference = color_at(ax, 1.4, 0.4) - color_at(ax, 0.4, 0.4)  # 96 and 80, beside 10
    assert difference[1] > 0.3


def test_the_title_tells_the_best_the_diverged_and_the_early_stopped():
    words = words_of(plot_sweep(GRID)[0])
    for word in ("6 trials, 1 diverged", "stopped early", "stretched towards the best"):
        assert word in words
    assert "best, framed: 96.0 % with hidden size 64, learning rate 0.1, reg 0\n" in words
    assert "stopped early" not in words_of(plot_sweep(GRID[2:4])[0])


def test_of_trials_in_one_place_the_best_is_shown_and_it_says_so():
    adam = trial(32, 0.01, 0.0, 0.93, optimizer="adam")
    sgd = trial(32, 0.01, 0.0, 0.95, optimizer="sgd")
    (ax,) = plot_sweep([adam, sgd, adam])
    assert cells_of(ax) == {(0, 0): "95.0"}
    assert "the best is shown; they differ in optimizer" in words_of(ax)
    assert "reg 0, optimizer sgd" in words_of(ax)


def test_the_first_of_equally_good_trials_is_the_best():
    (ax,) = plot_sweep([trial(8, 0.5, 0.0, 0.9), trial(8, 0.1, 0.0, 0.9)])
    assert "learning rate 0.5" in words_of(ax)


def test_the_colour_bar_goes_from_the_worst_to_the_best():
    bar = plot_sweep(GRID)[0].figure.axes[-1]
    labels = ticks_of(bar)
    assert (labels[0], labels[-1]) == ("96.0", "9.9")
    assert bar.yaxis_inverted()  # the first is on top


def test_where_all_diverged_nothing_is_called_the_best():
    (ax,) = plot_sweep(GRID[1:2])
    words = words_of(ax)
    assert "1 diverged" in words
    assert "best" not in words


def test_a_sweep_without_trials_is_refused():
    with pytest.raises(ValueError, match="no trials"):
        plot_sweep([])
    with pytest.raises(ValueError, match="no trial is ok"):
        plot_curves(GRID[1:2])


def test_settings_from_ranges_are_points_at_their_rate_and_strength():
    ax = plot_sweep(RANGES)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("learning rate", "regularization")
    assert ax.get_xscale() == "log"
    assert "0" in ticks_of(ax)
    greens = [color_at(ax, one["learning_rate"], one["reg"])[1] for one in RANGES[:3]]
    assert np.diff(greens).min() > 0.01  # the better, the brighter
    assert sees(ax, 2.0, 3e-4, "lightgray")
    assert sees(ax, 0.02, 0.0, "white", -3, -3)  # a triangle: it was stopped early
    assert not sees(ax, 0.001, 1e-5, "white", -3, -3)


def test_small_points_lie_on_large_ones():
    ax = plot_sweep([*RANGES, trial(16, 0.3, 1e-2, 0.2)])
    assert color_at(ax, 0.3, 1e-2)[1] < 0.4
    assert color_at(ax, 0.3, 1e-2, right=7)[1] > 0.7


def test_the_best_point_is_framed():
    ax = plot_sweep(RANGES)
    assert sees(ax, 0.3, 1e-2, RED, 15)


def test_the_legend_has_what_is_in_the_picture():
    words = words_of(plot_sweep(RANGES))
    assert "\n32 hidden units\n64 hidden units\nstopped early by halving\ndiverged" in words
    words = words_of(plot_sweep([trial(64, 0.1**i, 0.1**i, 0.9) for i in range(5)]))
    assert words.count("64 hidden units") == 1
    for entry in ("stopped early", "\ndiverged"):
        assert entry not in words


def test_curves_of_the_best_trials_are_by_epoch_and_without_penalty():
    history = HISTORY | {"penalty_history": [5.0, 6.0]}
    best = trial(64, 0.1, 0.0, 0.96, history=history)
    loss, accuracy = plot_curves([GRID[1], best, *GRID], count=2)
    assert points_of(loss) == [[[1, 2.5], [2, 1.3]]] * 2
    assert points_of(accuracy) == [[[1, 20], [2, 40]]] * 2
    assert loss.get_title() == "Validation loss, without the penalty"
    assert loss.get_xlabel() == "epoch"
    for word in ("\nloss\n", "1. 96.00 %  hidden size 64, learning rate 0.1, reg 0\n"):
        assert word in words_of(loss)
