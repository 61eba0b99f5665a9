import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

import vis_utils
from two_layer_net import TwoLayerNet
from vis_utils import (
    plot_confusion,
    plot_curves,
    plot_history,
    plot_predictions,
    plot_sweep,
    show_net_weights,
    visualize_grid,
)


@pytest.fixture(scope="module")
def net():
    return TwoLayerNet(12, 5, 3, std=0.5, rng=0)


class Answers:
    """A net that predicts what it was told to."""

    def __init__(self, labels):
        self.labels = np.asarray(labels)

    def predict(self, X):
        return self.labels


def history(steps=4, records=2, **lists):
    return {
        "loss_history": [2.0 - 0.1 * i for i in range(steps)],
        "train_acc_history": [0.25 + 0.25 * i / max(records, 1) for i in range(records)],
        "val_acc_history": [0.5 + 0.25 * i / max(records, 1) for i in range(records)],
        "val_loss_history": [1.5 - 0.25 * i for i in range(records)],
        "learning_rate_history": [1e-3] * records,
        **lists,
    }


def trial(hidden_size=50, learning_rate=1e-3, reg=0.1, val_acc=0.5, status="ok"):
    return {
        "hidden_size": hidden_size,
        "learning_rate": learning_rate,
        "reg": reg,
        "val_acc": val_acc,
        "status": status,
    }


DIVERGED = {"val_acc": math.nan, "status": "diverged"}
FIGURES = {  # one call of each function that draws
    "show_net_weights": lambda path: show_net_weights(TwoLayerNet(12, 5, 3, rng=0), (4, 3), path=path),
    "plot_history": lambda path: plot_history(history(), path=path),
    "plot_predictions": lambda path: plot_predictions(
        Answers([0, 1, 1]), np.eye(3, 4), [0, 1, 0], (2, 2), path=path
    ),
    "plot_confusion": lambda path: plot_confusion([0, 1, 2], [0, 2, 2], path=path),
    "plot_sweep": lambda path: plot_sweep([trial(), trial(reg=0.2, **DIVERGED)], path=path),
    "plot_curves": lambda path: plot_curves([{**trial(), "history": history()}], path=path),
}


def texts(ax):
    return [text.get_text() for text in ax.texts]


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def lines(ax):
    """{legend label: (x, y)}"""
    return {line.get_label(): line.get_data() for line in ax.lines}


# -- visualize_grid


def test_grid_places_images_row_by_row():
    Xs = np.zeros((5, 2, 3))
    for i in range(5):
        Xs[i, i % 2, i % 3] = i + 1  # one bright pixel each, elsewhere 0
    grid = visualize_grid(Xs)
    # 3 x 3 places of 2 x 3 pixels, one pixel apart: tops 0, 3, 6 and lefts 0, 4, 8
    expected = np.zeros((8, 11))
    for row, column in [(0 + 0, 0 + 0), (0 + 1, 4 + 1), (0 + 0, 8 + 2), (3 + 1, 0 + 0), (3 + 0, 4 + 1)]:
        expected[row, column] = 255
    np.testing.assert_array_equal(grid, expected)
    assert grid.dtype == np.float64


def test_grid_stretches_each_image_by_its_own_range_over_all_channels():
    Xs = np.array([[[[-1.0, 0.0]], [[1.0, 3.0]]], [[[10.0, 10.5]], [[11.0, 12.0]]]])  # (2, 2, 1, 2)
    grid = visualize_grid(Xs, ubound=8, padding=0)
    assert grid.shape == (4, 2, 2)
    np.testing.assert_allclose(grid[:2, 0], [[0, 2], [4, 8]])
    np.testing.assert_allclose(grid[:2, 1], [[0, 2], [4, 8]])
    assert not grid[2:].any()


def test_grid_padding_is_zero_and_as_wide_as_asked():
    Xs = np.arange(16.0).reshape(4, 2, 2)[:, ::-1, ::-1] + 1
    grid = visualize_grid(Xs, padding=3)
    assert grid.shape == (7, 7)
    assert not grid[2:5].any() and not grid[:, 2:5].any()
    assert [grid[0, 0], grid[0, 5], grid[5, 0], grid[5, 5]] == [255] * 4


def test_constant_images_become_zero():
    Xs = np.stack([np.full((2, 2, 3), 7.0), np.arange(12.0).reshape(2, 2, 3)])
    grid = visualize_grid(Xs)
    assert not grid[:2, :2].any()
    assert grid[1, 4, 2] == 255


def test_grid_of_the_widest_range_there_is():
    huge = np.finfo(np.float64).max
    np.testing.assert_array_equal(visualize_grid(np.array([[[-huge, 0, huge]]]), ubound=2), [[0, 1, 2]])


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int64, np.float32, np.float64]),
        hnp.array_shapes(min_dims=3, max_dims=4, max_side=6),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    st.integers(0, 3),
)
def test_grid_of_any_images(Xs, padding):
    before = Xs.copy()
    grid = visualize_grid(Xs, ubound=1.0, padding=padding)
    np.testing.assert_array_equal(Xs, before)
    N, H, W = Xs.shape[:3]
    side = math.ceil(math.sqrt(N))
    assert grid.shape == (side * (H + padding) - padding, side * (W + padding) - padding, *Xs.shape[3:])
    for i, image in enumerate(Xs):
        top, left = i // side * (H + padding), i % side * (W + padding)
        tile = grid[top : top + H, left : left + W]
        # darkest and brightest pixel keep their places; numbers too close for a double may count as equal
        assert tile.min() == 0
        assert tile.max() in (0, 1)
        if tile.max():
            assert tile.ravel()[image.argmin()] == 0 and tile.ravel()[image.argmax()] == 1


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"Xs": np.zeros((0, 2, 2))}, ValueError, r"Xs.*\(0, 2, 2\)"),
        ({"Xs": np.zeros((2, 0, 2, 3))}, ValueError, "Xs"),
        ({"Xs": np.zeros((2, 2))}, ValueError, "Xs"),
        ({"Xs": np.zeros((1, 2, 2, 3, 1))}, ValueError, "Xs"),
        ({"Xs": np.array([[[0, np.nan]]])}, ValueError, "Xs.*NaN"),
        ({"Xs": np.array([[[0, np.inf]]])}, ValueError, "Xs.*infinity"),
        ({"Xs": np.array([[["a"]]])}, TypeError, "Xs"),
        ({"Xs": np.ones((1, 2, 2), complex)}, TypeError, "Xs"),
        ({"padding": -1}, ValueError, "padding"),
        ({"padding": 1.5}, TypeError, "padding"),
        ({"ubound": 0}, ValueError, "ubound"),
        ({"ubound": math.nan}, ValueError, "ubound"),
        ({"ubound": math.inf}, ValueError, "ubound"),
        ({"ubound": "255"}, TypeError, "ubound"),
    ],
)
def test_grid_refuses(arguments, error, match):
    with pytest.raises(error, match=match):
        visualize_grid(**{"Xs": np.ones((2, 2, 2)), **arguments})


# -- what all figures have in common


@pytest.mark.parametrize("name", FIGURES)
def test_returns_a_figure_of_its_own_and_saves_it(name, tmp_path):
    path = tmp_path / "picture.png"
    fig = FIGURES[name](path)
    assert isinstance(fig, Figure)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]
    image = matplotlib.image.imread(path)
    np.testing.assert_array_equal(image.shape[:2], np.round(fig.get_size_inches()[::-1] * 100).astype(int))
    assert image[..., :3].std() > 0.05  # not blank


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_and_inside_the_picture(name):
    fig = FIGURES[name](None)
    assert all(text.get_fontsize() >= 9 for text in fig.findobj(matplotlib.text.Text) if text.get_text())
    fig.draw_without_rendering()
    drawn, (width, height) = fig.get_tightbbox(), fig.get_size_inches()
    assert drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= width and drawn.y1 <= height


def test_a_notebook_shows_the_figure_without_pyplot(net):
    # IPython asks an object for its picture by this name
    assert show_net_weights(net, (4, 3))._repr_png_().startswith(b"\x89PNG")


def test_neither_importing_nor_drawing_needs_pyplot(tmp_path):
    code = (
        "import sys, numpy as np, vis_utils\n"
        "vis_utils.plot_confusion([0, 1], [1, 1], path=sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(vis_utils.__file__).parent
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], cwd=root, check=True)
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("suffix", "start"), [(".PNG", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".jpg", b"\xff\xd8")]
)
def test_suffix_decides_the_format(suffix, start, tmp_path):
    path = tmp_path / f"picture{suffix}"
    plot_sweep([trial(), trial(reg=0.2, **DIVERGED)], path=str(path))
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["picture", "picture.txt", "png"])
def test_unknown_format_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"path.*{name}.*png"):
        plot_confusion([0], [0], path=tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["write", "rename"])
def test_a_failed_save_leaves_the_old_file_whole(step, tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def refused(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, {"write": "fsync", "rename": "replace"}[step], refused)
    with pytest.raises(OSError, match="disk full"):
        plot_history(history(), path=path)
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_full_disk_is_named(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(b"old")
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match=f"File too large: '{path}'"):
            plot_history(history(), path=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == [path.name] and path.read_bytes() == b"old"


def test_saving_through_a_link_replaces_what_it_leads_to(tmp_path):
    (tmp_path / "real.png").write_bytes(b"old")
    link = tmp_path / "link.png"
    link.symlink_to("real.png")
    plot_confusion([0, 1], [0, 1], path=link)
    assert link.is_symlink()
    assert (tmp_path / "real.png").read_bytes().startswith(b"\x89PNG")


# -- show_net_weights


def test_weights_are_the_columns_of_W1(net):
    fig = show_net_weights(net, (2, 2, 3))
    (ax,) = fig.axes
    assert "5 hidden units" in ax.get_title()
    shown = np.asarray(ax.images[0].get_array())
    expected = visualize_grid(np.stack([column.reshape(2, 2, 3) for column in net.params["W1"].T]), 1.0, 2)
    np.testing.assert_array_equal(shown, expected[:6])  # two rows of three; the third is empty


def test_grey_weights_and_a_trailing_1(net):
    two, three = (show_net_weights(net, shape).axes[0].images[0].get_array() for shape in [(4, 3), (4, 3, 1)])
    np.testing.assert_array_equal(two, three)
    assert two.shape == (2 * 4 + 2, 3 * 3 + 2 * 2)


def test_one_hidden_unit():
    ax = show_net_weights(TwoLayerNet(6, 1, 2, rng=0), (2, 3)).axes[0]
    assert ax.get_title().endswith("1 hidden unit")
    assert ax.images[0].get_array().shape == (2, 3)


def test_of_many_units_those_with_the_largest_outgoing_weights_are_shown(tmp_path):
    net = TwoLayerNet(4, 130, 2, std="zeros")
    order = np.random.default_rng(0).permutation(130)
    net.params["W2"][order, 0] = -np.arange(130.0)  # the last units of `order` have the largest norms
    net.params["W1"][0] = 1
    net.params["W1"][1] = np.arange(130)  # second pixel / first = number of the unit
    net.params["W1"][2] = 200
    ax = show_net_weights(net, (2, 2), path=tmp_path / "a.png").axes[0]
    assert "100 of 130" in ax.get_title() and "largest" in ax.get_title()
    shown = np.asarray(ax.images[0].get_array())
    assert shown.shape == (38, 38)
    units = np.round(200 * shown[::4, 1::4].ravel()).astype(int)  # pixel / range of 0..200
    np.testing.assert_array_equal(units, order[::-1][:100])


@pytest.mark.parametrize("shape", [(4, 4), (12,), (2, 6, 1, 1), (-4, -3), (3, 2, 2), (4.0, 3.0), 12, "43"])
def test_image_shape_must_fit(net, shape):
    with pytest.raises(ValueError, match="image_shape"):
        show_net_weights(net, shape)


@pytest.mark.parametrize("name", ["W1", "W2"])
def test_weights_that_are_not_finite_are_refused(name):
    net = TwoLayerNet(4, 3, 2, rng=0)
    net.params[name][1, 1] = np.nan
    with pytest.raises(ValueError, match=f"{name}.*NaN"):
        show_net_weights(net, (2, 2))


# -- plot_history


def test_history_of_a_real_run(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
    record = TwoLayerNet(4, 5, 3, rng=0).train(X, y, X[:9], y[:9], epochs=4, batch_size=20)
    fig = plot_history(record, title="My run", path=tmp_path / "a.png")
    left, right = fig.axes
    assert fig.get_suptitle() == "My run"
    assert (left.get_xlabel(), left.get_ylabel()) == ("step (mini-batch)", "loss")
    assert "%" in right.get_ylabel() and "epoch" in right.get_xlabel()
    x, loss = lines(left)["training batch"]
    np.testing.assert_array_equal(x, np.arange(1, 13))
    np.testing.assert_array_equal(loss, record["loss_history"])
    x, val_loss = lines(left)["validation"]
    np.testing.assert_allclose(x, [3, 6, 9, 12])  # the last steps of the epochs
    np.testing.assert_array_equal(val_loss, record["val_loss_history"])
    for label, key in (("training batch", "train_acc_history"), ("validation", "val_acc_history")):
        x, accuracy = lines(right)[label]
        np.testing.assert_array_equal(x, [1, 2, 3, 4])
        np.testing.assert_allclose(accuracy, 100 * np.array(record[key]))
        assert label in [text.get_text() for text in right.get_legend().get_texts()]


def test_long_history_is_smoothed():
    loss = np.random.default_rng(0).uniform(1, 2, 500)
    left = plot_history(history(loss_history=loss)).axes[0]
    np.testing.assert_array_equal(lines(left)["training batch"][1], loss)
    x, mean = lines(left)["mean of 10 batches"]
    assert len(x) == 491
    for i in (0, 123, 490):
        assert x[i] == np.mean(np.arange(i, i + 10) + 1)
        assert mean[i] == pytest.approx(loss[i : i + 10].mean())


@pytest.mark.parametrize(
    ("last", "scale"), [(0.01, "log"), (0.5, "linear"), (0.0, "linear"), (-1.0, "linear")]
)
def test_loss_axis_is_logarithmic_only_where_the_loss_falls_far(last, scale, tmp_path):
    fig = plot_history(history(loss_history=[2.3, 1.0, last]), path=tmp_path / "a.png")
    assert fig.axes[0].get_yscale() == scale
    assert ("log" in fig.axes[0].get_ylabel()) == (scale == "log")


@pytest.mark.parametrize(
    "record",
    [
        history(steps=1, records=1),
        history(steps=1, records=0),
        history(steps=0, records=0),
        history(steps=200, records=200),
        history(val_acc_history=[], val_loss_history=[]),
        history(loss_history=[2.0, math.nan, math.inf, 1e-3]),
        history(loss_history=[math.nan] * 150),
        history(loss_history=[1.0] * 99 + [math.inf, -math.inf] + [1e-3] * 99),
        {
            key: values
            for key, values in history().items()
            if key not in ("val_loss_history", "learning_rate_history")
        },
    ],
)
def test_short_and_odd_histories_are_drawn(record, tmp_path):
    left, right = plot_history(record, path=tmp_path / "a.png").axes
    for ax, key in ((left, "loss_history"), (right, "train_acc_history")):
        if len(record[key]):
            np.testing.assert_allclose(
                lines(ax)["training batch"][1][0] / (100 if ax is right else 1), record[key][0]
            )
        else:
            assert texts(ax) == ["nothing recorded"]
    assert ("validation" in lines(left)) == bool(record.get("val_loss_history"))
    assert ("validation" in lines(right)) == bool(record["val_acc_history"])


@pytest.mark.parametrize(
    ("record", "error", "match"),
    [
        ([1, 2], TypeError, "history"),
        (None, TypeError, "history"),
        ({"loss_history": [1.0]}, ValueError, "train_acc_history"),
        ({**history(), "val_acc_history": [0.5, 97.5]}, ValueError, "val_acc_history.*0..1"),
        ({**history(), "val_acc_history": [0.5, math.nan]}, ValueError, "val_acc_history"),
        ({**history(), "loss_history": [[1.0], [2.0]]}, ValueError, "loss_history"),
        ({**history(), "loss_history": 2.0}, ValueError, "loss_history"),
        ({**history(), "loss_history": ["high", "low"]}, TypeError, "loss_history"),
        ({**history(), "val_loss_history": None}, TypeError, "val_loss_history"),
    ],
)
def test_history_refuses(record, error, match, tmp_path):
    with pytest.raises(error, match=match):
        plot_history(record, path=tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


# -- plot_predictions


def test_predictions_show_the_first_ten_right_and_wrong():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 6)), rng.integers(0, 4, 60)
    predicted = np.where(rng.random(60) < 0.6, y, (y + 1) % 4)
    fig = plot_predictions(Answers(predicted), X, y, (2, 3))
    right = [i for i in range(60) if predicted[i] == y[i]]
    wrong = [i for i in range(60) if predicted[i] != y[i]]
    assert (
        f"{len(right)} of 60 right" in fig.get_suptitle() and f"{len(right) / 60:.1%}" in fig.get_suptitle()
    )
    assert len(fig.axes) == 20
    for ax, i in zip(fig.axes, right[:10] + wrong[:10], strict=True):
        assert ax.get_title() == f"label {y[i]}\npred. {predicted[i]}"
        image = X[i].reshape(2, 3)
        np.testing.assert_allclose(ax.images[0].get_array(), (image - image.min()) / np.ptp(image))
    # not by colour alone
    assert (fig.axes[0].get_ylabel(), fig.axes[10].get_ylabel()) == ("RIGHT", "WRONG")
    assert fig.axes[0].spines["top"].get_linestyle() != fig.axes[10].spines["top"].get_linestyle()


def test_fewer_than_ten_leave_blank_axes(tmp_path):
    fig = plot_predictions(Answers([0, 1, 1]), np.eye(3, 4), [0, 1, 0], (2, 2), path=tmp_path / "a.png")
    assert [len(ax.images) for ax in fig.axes] == [1, 1] + [0] * 8 + [1] + [0] * 9
    assert not any(spine.get_visible() for spine in fig.axes[11].spines.values())
    fig = plot_predictions(Answers([0, 1]), np.eye(2, 4), [0, 1], (2, 2))
    assert fig.axes[10].get_ylabel() == "none wrong"


def test_images_are_shown_in_place_of_X():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    for images in (pixels, pixels.reshape(2, -1)):
        fig = plot_predictions(Answers([0, 0]), np.zeros((2, 5)), [0, 1], (2, 2, 3), images=images)
        np.testing.assert_array_equal(fig.axes[0].images[0].get_array(), pixels[0])
        np.testing.assert_array_equal(fig.axes[10].images[0].get_array(), pixels[1])


def test_grey_uint8_keeps_its_brightness():
    images = np.array([[[10, 20]]], np.uint8)
    image = plot_predictions(Answers([0]), np.zeros((1, 5)), [0], (1, 2), images=images).axes[0].images[0]
    assert image.get_clim() == (0, 255)


def test_class_names_are_shown_as_they_are_but_short(tmp_path):
    names = ["cost $5, not $6", "b" * 100, "T-shirt/top"]  # dollar signs are not formulas
    fig = plot_predictions(
        Answers([1, 2]), np.eye(2, 4), [0, 2], (2, 2), class_names=names, path=tmp_path / "a.png"
    )
    assert fig.axes[10].get_title() == f"label cost $5, n…\npred. {'b' * 10}…"
    assert fig.axes[0].get_title() == "label T-shirt/top\npred. T-shirt/top"
    assert not fig.axes[10].title.get_parse_math()


def test_predictions_of_a_real_net(net):
    X = np.random.default_rng(1).normal(size=(30, 12)).astype(np.float32)
    y = net.predict(X)
    y[4] = (y[4] + 1) % 3
    fig = plot_predictions(net, X.reshape(30, 2, 2, 3), y, (2, 2, 3))
    assert fig.axes[10].get_title() == f"label {y[4]}\npred. {(y[4] + 2) % 3}"


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"y": [0, 1]}, ValueError, "X"),
        ({"y": []}, ValueError, "y"),
        ({"y": [[0], [1], [1]]}, ValueError, "y"),
        ({"y": [0, 1, -1]}, ValueError, "y"),
        ({"y": [0.0, 1.0, 1.0]}, TypeError, "y"),
        ({"image_shape": (2, 3)}, ValueError, "image_shape"),
        ({"images": np.zeros((2, 4))}, ValueError, "images"),
        ({"images": np.zeros((3, 5))}, ValueError, "image_shape"),
        ({"images": np.full((3, 4), np.nan)}, ValueError, "images.*NaN"),
        ({"images": np.full((3, 4), "a")}, TypeError, "images"),
        ({"class_names": ["a"]}, ValueError, "class_names.*2 or more"),
        ({"class_names": "ab"}, TypeError, "class_names"),
    ],
)
def test_predictions_refuse(arguments, error, match):
    arguments = {"X": np.eye(3, 4), "y": [0, 1, 0], "image_shape": (2, 2), **arguments}
    with pytest.raises(error, match=match):
        plot_predictions(Answers([0, 1, 1]), **arguments)


# -- plot_confusion


def contrast(one, other):
    """Contrast ratio of WCAG 2, 1..21."""
    dark, light = sorted(
        sum(
            weight * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
            for weight, c in zip((0.2126, 0.7152, 0.0722), to_rgb(color), strict=True)
        )
        for color in (one, other)
    )
    return (light + 0.05) / (dark + 0.05)


def test_confusion_counts():
    y_true, y_pred = [0, 0, 0, 0, 1, 1, 3], [0, 0, 1, 3, 1, 0, 3]
    fig = plot_confusion(y_true, y_pred)
    ax = fig.axes[0]
    expected = [[2, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    assert cells == {(j, i): str(count) for (i, j), count in np.ndenumerate(expected) if count}
    shares = [[50, 25, 0, 25], [50, 50, 0, 0], [0, 0, 0, 0], [0, 0, 0, 100]]
    np.testing.assert_allclose(ax.images[0].get_array(), shares)
    assert ax.images[0].get_clim() == (0, 100)
    assert ax.get_title() == "Accuracy 57.1% (4 of 7)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert tick_labels(ax.xaxis) == tick_labels(ax.yaxis) == ["0", "1", "2", "3"]
    assert ax.yaxis_inverted()  # class 0 on top
    assert "%" in fig.axes[1].get_ylabel()


def test_confusion_text_stands_out_on_every_colour():
    y_true = np.repeat(np.arange(30), 29)
    y_pred = np.concatenate([np.where(np.arange(29) < k, k, 0) for k in range(30)])  # shares of 0 to 1
    ax = plot_confusion(y_true, y_pred).axes[0]
    for text in ax.texts:
        column, row = text.get_position()
        assert contrast(text.get_color(), ax.images[0].to_rgba(ax.images[0].get_array()[row, column])) > 4.4


def test_confusion_names_and_small_label_types(tmp_path):
    names = [*"abcdefghijk", "n" * 100, "$x$"]
    y = np.arange(13, dtype=np.int8)
    ax = plot_confusion(y, y[::-1].astype(np.uint64), names, path=tmp_path / "a.png").axes[0]
    assert tick_labels(ax.xaxis) == tick_labels(ax.yaxis) == [*names[:11], "n" * 15 + "…", "$x$"]
    assert {text.get_position(): text.get_text() for text in ax.texts} == {(12 - i, i): "1" for i in y}
    assert not ax.get_xticklabels()[12].get_parse_math()


def test_confusion_has_a_row_for_every_name():
    assert plot_confusion([0], [0], ["a", "b", "c"]).axes[0].images[0].get_array().shape == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([], []), ValueError, "y_true"),
        (([0, 1], [0]), ValueError, "y_pred"),
        (([0, -1], [0, 0]), ValueError, "y_true"),
        (([0, 1], [[0, 1]]), ValueError, "y_pred"),
        (([0, 1], [0.0, 1.0]), TypeError, "y_pred"),
        (([True, False], [0, 1]), TypeError, "y_true"),
        (([0, 10**12], [0, 0]), ValueError, "100"),
        (([0, 2], [0, 0], ["a", "b"]), ValueError, "class_names.*label 2"),
        (([0, 1], [0, 0], "ab"), TypeError, "class_names"),
    ],
)
def test_confusion_refuses(arguments, error, match):
    with pytest.raises(error, match=match):
        plot_confusion(*arguments)


# -- plot_sweep


def maps(fig):
    return [ax for ax in fig.axes if ax.get_xlabel() == "learning rate"]


def test_sweep_puts_every_trial_in_its_cell():
    sizes, rates, regs = (100, 50), (0.03, 3e-4, 1e-3), (0.5, 0)
    accuracies = {}
    for i, cell in enumerate(itertools.product(sizes, rates, regs)):
        accuracies[cell] = 0.3 + 0.05 * i
    fig = plot_sweep([trial(*cell, accuracy) for cell, accuracy in accuracies.items()])
    assert [ax.get_title() for ax in maps(fig)] == ["50 hidden units", "100 hidden units"]
    for ax, size in zip(maps(fig), (50, 100), strict=True):
        assert tick_labels(ax.xaxis) == ["3e-4", "1e-3", "0.03"]
        assert tick_labels(ax.yaxis) == ["0", "0.5"]
        assert ax.get_ylabel() == "regularization"
        cells = {text.get_position(): text.get_text() for text in ax.texts}
        for (x, rate), (y, reg) in itertools.product(enumerate(sorted(rates)), enumerate(sorted(regs))):
            assert cells[x, y] == f"{100 * accuracies[size, rate, reg]:.1f}"
    assert "12 trials, 0 diverged" in fig.get_suptitle()
    assert "%" in fig.axes[-1].get_ylabel()  # of the colour bar


def test_sweep_colours_share_one_scale():
    fig = plot_sweep([trial(50, val_acc=0.5), trial(100, val_acc=0.6), trial(200, val_acc=0.55)])
    colors = [to_hex(ax.patches[0].get_facecolor()) for ax in maps(fig)]
    assert colors == [to_hex(matplotlib.colormaps["viridis"](share)) for share in (0.0, 1.0, 0.5)]
    assert fig.axes[-1].get_ylim() == pytest.approx((50, 60))


def test_sweep_colours_tell_the_good_ones_apart():
    fig = plot_sweep([trial(50, val_acc=0.1), trial(100, val_acc=0.9), trial(200, val_acc=0.8)])
    colors = [to_hex(ax.patches[0].get_facecolor()) for ax in maps(fig)]
    assert colors == [to_hex(matplotlib.colormaps["viridis"](share)) for share in (0.0, 1.0, 0.5)]
    assert fig.axes[-1].get_ylim() == pytest.approx((70, 90))


def stars(fig):
    return [(ax.get_title(), *np.round(line.get_xydata()[0])) for ax in maps(fig) for line in ax.lines]


def test_sweep_marks_the_best_cell():
    trials = [
        trial(h, lr, reg, 0.5) for h, lr, reg in itertools.product((50, 100), (1e-3, 1e-2), (0, 0.1, 1))
    ]
    trials[7]["val_acc"] = 0.876  # 100 hidden units, 1e-3, 0.1
    fig = plot_sweep(trials)
    assert stars(fig) == [("100 hidden units", 0, 1)]
    (frame,) = (patch for ax in maps(fig) for patch in ax.patches if not patch.get_fill())
    assert frame.axes.get_title() == "100 hidden units" and frame.get_xy() == (-0.5, 0.5)
    title = fig.get_suptitle()
    assert "87.6%" in title and "100 hidden units" in title and "rate 1e-3" in title and "reg 0.1" in title


def test_sweep_of_equals_marks_the_first():
    fig = plot_sweep([trial(reg=1, val_acc=0.4), trial(reg=0.5, val_acc=0.8), trial(reg=0.1, val_acc=0.8)])
    assert stars(fig) == [("50 hidden units", 0, 1)]


def test_sweep_cell_shows_its_best_trial():
    fig = plot_sweep(
        [trial(**DIVERGED), trial(val_acc=0.4), trial(val_acc=0.7), trial(val_acc=0.6), trial(**DIVERGED)]
    )
    assert texts(maps(fig)[0]) == ["70.0"]
    assert "5 trials, 2 diverged" in fig.get_suptitle()


def test_sweep_diverged_and_missing_cells(tmp_path):
    trials = [trial(50, 1e-3), trial(50, 1e-2, **DIVERGED), trial(100, 1e-3, val_acc=0.0)]
    fig = plot_sweep(trials, path=tmp_path / "a.png")
    first, second = maps(fig)
    assert texts(first) == ["50.0", "diverged"]
    assert [bool(patch.get_hatch()) for patch in first.patches if patch.get_fill()] == [False, True]
    assert texts(second) == ["0.0"]  # an accuracy of 0 is no divergence, and the missing cell stays blank
    assert len(second.patches) == 1


def test_sweep_in_which_all_diverged(tmp_path):
    fig = plot_sweep([trial(**DIVERGED), trial(100, **DIVERGED)], path=tmp_path / "a.png")
    assert [texts(ax) for ax in maps(fig)] == [["diverged"], ["diverged"]]
    assert not stars(fig) and "best" not in fig.get_suptitle()
    assert len(fig.axes) == 2  # no colour bar


def test_sweep_of_one_trial(tmp_path):
    fig = plot_sweep([trial(1, val_acc=1.0)], path=tmp_path / "a.png")
    assert "1 trial," in fig.get_suptitle()
    assert maps(fig)[0].get_title() == "1 hidden unit" and texts(maps(fig)[0]) == ["100.0"]


def test_sweep_text_stands_out_on_every_colour():
    fig = plot_sweep([trial(reg=i % 15, learning_rate=1 + i // 15, val_acc=i / 224) for i in range(225)])
    (ax,) = maps(fig)
    for text, patch in zip(ax.texts, (patch for patch in ax.patches if patch.get_fill()), strict=True):
        assert contrast(text.get_color(), patch.get_facecolor()) > 4.4


def test_many_hidden_sizes_wrap_and_stay_in_reach(tmp_path):
    rates, regs = [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03], [0, 1e-5, 1e-4, 1e-3, 0.01, 0.1]
    trials = [trial(*cell) for cell in itertools.product((10, 20, 40, 80, 160), rates, regs)]
    fig = plot_sweep(trials, path=tmp_path / "a.png")
    assert len(maps(fig)) == 5
    assert fig.get_size_inches()[0] <= 13
    fig.draw_without_rendering()
    for ax in maps(fig):
        cell = ax.get_window_extent().width / 6
        assert all(text.get_window_extent().width < cell for text in ax.texts)


def points(ax):
    """Where the markers of a scatter plot lie, with their areas, but for those of the legend."""
    collections = [(c.get_offsets(), c.get_sizes()) for c in ax.collections]
    return [(*place, area) for places, areas in collections
            for place, area in zip(places, np.broadcast_to(areas, len(places)), strict=True)]  # fmt: skip


def test_long_axes_become_a_scatter_plot(tmp_path):
    rng = np.random.default_rng(0)
    rates, regs = 10 ** rng.uniform(-5, -1, (2, 20))
    trials = [trial(50, lr, reg, rng.random()) for lr, reg in itertools.product(rates, regs[:17])]
    fig = plot_sweep(trials, path=tmp_path / "a.png")
    assert fig.axes[0].get_xscale() == "log" and len({p[:2] for p in points(fig.axes[0])}) == 340


def test_sweep_names_the_other_settings_that_vary(tmp_path):
    trials = [
        {**trial(8, lr, reg, 0.9 - lr - reg - d), "activation": "tanh", "dropout": d, "batch_size": 50}
        for lr, reg, d in itertools.product((0.1, 0.2), (0, 0.1), (0.3, 0.0, 0.5))
    ]
    title = plot_sweep(trials, path=tmp_path / "a.png").get_suptitle()
    assert "reg 0, dropout 0\n(in each place the best of all choices of dropout)" in title
    assert "tanh" not in title and "batch" not in title


def test_sweep_of_random_draws_is_a_scatter_plot(tmp_path):
    trials = [trial(32, 1e-3, 1e-5, 0.5), trial(64, 1e-2, 0, 0.8), trial(512, 0.1, 1e-2, 0.7)]
    trials += [trial(100, 0.5, 3e-4, **DIVERGED), trial(200, 0.3, 2e-4, math.nan, "failed")]
    fig = plot_sweep(trials, path=tmp_path / "a.png")
    ax = fig.axes[0]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert "learning rate" in ax.get_xlabel() and "regularization" in ax.get_ylabel()
    assert "5 trials, 1 diverged, 1 failed" in fig.get_suptitle() and "64 hidden units" in fig.get_suptitle()
    (small, *_), (middle, frame, star), (large,), (cross,) = (
        [p for p in points(ax) if p[0] == lr] for lr in (1e-3, 1e-2, 0.1, 0.5)
    )
    assert small[1] == 1e-5 and large[1] == 1e-2 and cross[1] == 3e-4
    assert small[2] < middle[2] < cross[2] < large[2] < frame[2] + 300
    assert middle[1] == frame[1] == star[1] == pytest.approx(1e-6)  # reg 0, a decade below the smallest
    assert tick_labels(ax.yaxis)[0] == "0" and ax.get_yticks()[0] == pytest.approx(1e-6)
    assert not [p for p in points(ax) if p[0] == 0.3]
    words = [text.get_text() for text in fig.legends[0].get_texts()]
    assert words == ["32 hidden units", "100 hidden units", "512 hidden units", "diverged"]


@pytest.mark.parametrize("regs", [[0, 0, 0, 0], [0.1, 0.1, 0.1, 0.1], [0, 1e-9, 1e4, 2]])
def test_scatter_plot_of_odd_values(regs, tmp_path):
    sizes = (1, 7, 7, 3000)
    trials = [trial(h, 10.0**-i, reg, 0.25 * i) for i, (h, reg) in enumerate(zip(sizes, regs, strict=True))]
    ax = plot_sweep(trials, path=tmp_path / "a.png").axes[0]
    low, high = ax.get_ylim()
    assert all(low < p[1] < high and np.isfinite(p).all() for p in points(ax))


def test_trials_with_numbers_of_numpy_and_of_many_sizes(tmp_path):
    """Not a map for each of a thousand sizes, which would take minutes."""
    plot_sweep([trial(np.int64(4), np.float32(0.1), np.float64(0))])
    fig = plot_sweep([trial(i, 0.1, 0.1) for i in range(1, 1001)], path=tmp_path / "a.png")
    assert len(points(fig.axes[0])) == 1002 and len(fig.axes) == 1  # with the best one's frame and star


def test_names_are_no_formulas(tmp_path):
    plot_history(history(), title=r"$\foo$", path=tmp_path / "a.png")
    trials = [{**trial(), "optimizer": name, "history": history()} for name in (r"$\foo$", r"$\bar$")]
    plot_curves(trials, path=tmp_path / "a.png")
    plot_sweep(trials, path=tmp_path / "a.png")


def test_scatter_plot_in_which_all_diverged(tmp_path):
    trials = [trial(2**i, 2.0**i, 2.0**i, **DIVERGED) for i in range(5)]
    fig = plot_sweep(trials, path=tmp_path / "a.png")
    assert len(points(fig.axes[0])) == 5 and len(fig.axes) == 1 and "best" not in fig.get_suptitle()


def test_curves_of_the_best(tmp_path):
    trials = [
        {**trial(16 * i, val_acc=0.9 - i / 10), "activation": "tanh", "history": history(records=i)}
        for i in range(1, 8)
    ]
    trials.insert(2, {**trial(**DIVERGED), "history": None})
    fig = plot_curves(trials, path=tmp_path / "a.png")
    accuracy, loss = fig.axes
    assert [len(line.get_xdata()) for line in accuracy.lines] == [1, 2, 3, 4, 5]
    for i, (top, bottom) in enumerate(zip(accuracy.lines, loss.lines, strict=True), 1):
        np.testing.assert_allclose(top.get_ydata(), 100 * np.array(history(records=i)["val_acc_history"]))
        np.testing.assert_allclose(bottom.get_ydata(), history(records=i)["val_loss_history"])
        assert top.get_xdata().tolist() == list(range(1, i + 1))
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in accuracy.lines}
    assert len(looks) == 5
    words = [text.get_text() for text in fig.legends[0].get_texts()]
    assert [word.split("  ")[1] for word in words] == [
        f"hidden {16 * i}" for i in range(1, 6)
    ]  # what differs
    assert (
        "%" in accuracy.get_ylabel() and "epoch" in accuracy.get_xlabel() and "5 trials" in fig.get_suptitle()
    )


def test_curves_of_trials_that_tell_little():
    """No validation loss, and a setting that one of two trials does not name."""
    fig = plot_curves(
        [{"status": "ok", "history": {"val_acc_history": [accuracy]}} for accuracy in (0.5, 0.25)]
    )
    assert [text.get_text()[:6] for text in fig.legends[0].texts] == ["50.00%", "25.00%"]
    plot_curves([{**trial(), "history": history()}, {"status": "ok", "history": history()}])


def test_curves_of_none():
    with pytest.raises(ValueError, match="none"):
        plot_curves([{**trial(**DIVERGED), "history": None}])
    with pytest.raises(ValueError, match="count"):
        plot_curves([{**trial(), "history": history()}], count=9)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0, "0"),
        (1e-5, "1e-5"),
        (3e-4, "3e-4"),
        (2.5e-3, "2.5e-3"),
        (0.01, "0.01"),
        (0.25, "0.25"),
        (1, "1"),
        (10, "10"),
    ],
)
def test_numbers_are_short(value, label):
    assert tick_labels(maps(plot_sweep([trial(reg=value)]))[0].yaxis) == [label]


def without(key):
    return {name: value for name, value in trial().items() if name != key}


@pytest.mark.parametrize(
    ("trials", "error", "match"),
    [
        ([], ValueError, "trials"),
        ([trial(), 3], TypeError, r"trials\[1\]"),
        ([trial(), without("reg")], ValueError, r"trials\[1\].*reg"),
        ([without("status")], ValueError, "status"),
        ([trial(status="failed")], ValueError, "failed"),
        ([trial(status="lost")], ValueError, "lost"),
        ([trial(val_acc=97.5)], ValueError, "val_acc 97.5"),
        ([trial(val_acc=math.nan)], ValueError, "val_acc nan"),
        ([trial(val_acc=None)], ValueError, "val_acc None"),
        ([trial(learning_rate=math.nan)], ValueError, "learning_rate"),
        ([trial(reg=-1)], ValueError, "reg"),
        ([trial(hidden_size="50")], ValueError, "hidden_size"),
    ],
)
def test_sweep_refuses(trials, error, match):
    with pytest.raises(error, match=match):
        plot_sweep(trials)
