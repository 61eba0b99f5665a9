"""Pictures of a net, its training and its mistakes.

    import vis_utils
    from data_utils import load_dataset
    from two_layer_net import TwoLayerNet

    data = load_dataset("mnist5k", validation=500)
    net = TwoLayerNet(784, 100, 10, std="he")
    history = net.train(data.X_train, data.y_train, data.X_val, data.y_val, learning_rate=0.1, epochs=10)
    vis_utils.plot_history(history, path="history.png")  # saved to a file
    vis_utils.show_net_weights(net, data.image_shape)  # the last line of a notebook cell: shown below it

Every function but `visualize_grid` returns a matplotlib Figure and, given `path`, saves it too, in the
format of the suffix (.png, .pdf, .svg ...); an old file is replaced once the new one is whole. No
`plt.show()` or `plt.close()` is needed: the figures are not pyplot's. Bad values raise ValueError, wrong
types TypeError.
"""

import io
import math
import textwrap
from collections.abc import Mapping
from numbers import Integral, Real

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from two_layer_net import _array, _number, _path, _replacing, _room

BLUE, GREEN, RED = "#0072B2", "#009E73", "#D55E00"  # from Okabe and Ito's palette for colour-blind readers
COLORMAP = matplotlib.colormaps["viridis"]
CURVES = ((BLUE, "o-"), (RED, "s--"), (GREEN, "^-."), ("#CC79A7", "v:"), ("black", "D-"))  # colours of theirs
SETTINGS = {  # of a trial, as a legend says them
    "hidden_size": "hidden", "learning_rate": "lr", "reg": "reg", "activation": "", "dropout": "dropout",
    "optimizer": "", "std": "std", "batch_size": "batch", "learning_rate_decay": "decay",
}  # fmt: skip
SMALL = 9  # points; smaller text is hard to read at 100%


class Picture(Figure):
    """A matplotlib Figure that a notebook shows even where pyplot was never imported."""

    def _repr_png_(self):
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def visualize_grid(Xs, ubound=255.0, padding=1):
    """Lay images out on a square grid, row by row, each stretched from its own min..max to 0..ubound.

    Xs : (N, H, W, C) or (N, H, W), N >= 1, real and finite; not changed. A constant image becomes 0.
    ubound : value of an image's brightest pixel, > 0.
    padding : pixels between images, >= 0; they are 0, and so are the places left over.
    Returns float64 (s * (H + padding) - padding, s * (W + padding) - padding[, C]), s = ceil(sqrt(N)).
    """
    Xs = _real_array("Xs", Xs)
    if Xs.ndim not in (3, 4) or Xs.size == 0:
        raise ValueError(f"Xs: shape {Xs.shape}; must be (N, H, W, C) or (N, H, W), each at least 1")
    ubound, padding = _number("ubound", ubound, "(0, inf)"), _number("padding", padding, "[0, inf)", Integral)
    N, H, W = Xs.shape[:3]
    side = math.isqrt(N - 1) + 1  # ceil(sqrt(N))
    shape = side * (H + padding) - padding, side * (W + padding) - padding, *Xs.shape[3:]
    _room("padding", padding, *shape)
    grid = np.zeros(shape)
    for i, image in enumerate(Xs):
        half = image / 2  # so that high - low cannot overflow
        low, high = half.min(), half.max()
        if high > low:
            top, left = i // side * (H + padding), i % side * (W + padding)
            grid[top : top + H, left : left + W] = ubound * ((half - low) / (high - low))
    return grid


def show_net_weights(net, image_shape, *, path=None):
    """Show what each hidden unit looks for: the columns of W1 as pictures, each stretched by itself.

    net : has params["W1"] (D, H) and params["W2"] (H, C).
    image_shape : (rows, columns) or (rows, columns, 3), with the product D.
    Of more than 100 units the 100 with the largest outgoing weights (norms of W2's rows) are shown,
    the largest first.
    """
    params = getattr(net, "params", None)
    if not isinstance(params, Mapping) or not {"W1", "W2"} <= set(params):
        raise TypeError(f"net: {net!r}; must have params with W1 and W2")
    W1, W2 = (_real_array(f"net.params[{name!r}]", params[name]) for name in ("W1", "W2"))
    if W1.ndim != 2 or W2.ndim != 2 or W1.size == 0 or W1.shape[1] != len(W2):
        raise ValueError(f"net: W1 {W1.shape} and W2 {W2.shape}; must be (D, H) and (H, C)")
    D, H = W1.shape
    image_shape = _image_shape(image_shape, D, "W1.T")
    title = "1 hidden unit" if H == 1 else f"{H} hidden units"
    if H > 100:
        sizes = np.linalg.norm(W2 / (np.abs(W2).max() or 1), axis=1)  # a norm of large numbers would overflow
        W1 = W1[:, np.argsort(-sizes, kind="stable")[:100]]
        title = f"the 100 of {H} hidden units with the largest outgoing weights"
    grid = visualize_grid(W1.T.reshape(-1, *image_shape), ubound=1.0, padding=2)
    side = math.isqrt(W1.shape[1] - 1) + 1
    grid = grid[: math.ceil(W1.shape[1] / side) * (image_shape[0] + 2) - 2]  # without empty rows
    height = np.clip(6.5 * grid.shape[0] / grid.shape[1], 1, 13) + 0.5
    fig = Picture(figsize=(6.5, height), layout="constrained")
    ax = fig.subplots()
    ax.imshow(grid, cmap="gray", vmin=0, vmax=1, origin="upper", interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(f"First-layer weights: {title}", fontsize=11)
    return _saved(fig, path)


def plot_history(history, *, title=None, path=None):
    """Plot the loss over the steps, and the accuracy on training batches and validation rows.

    history : the dict that `TwoLayerNet.train` returns: 'loss_history', 'train_acc_history' and
        'val_acc_history' (0..1), and 'val_loss_history' if there is one. Each may be empty.
    title : above both panels; default none.
    The steps are divided equally among the records of the validation loss, each drawn at the end of its
    share: exact with `epochs`, up to one share late with `num_iters`. NaN and infinite losses leave gaps.
    """
    names = ("loss_history", "val_loss_history", "train_acc_history", "val_acc_history")
    loss, val_loss, train_acc, val_acc = _records("history", history, *names)
    fig = Picture(figsize=(11, 4.2), layout="constrained")
    fig.suptitle("" if title is None else str(title), parse_math=False)
    left, right = fig.subplots(1, 2)

    def line(ax, x, values, label, color, style, size):
        if len(values):
            ax.plot(x, values, style, color=color, label=label, markersize=size if len(values) <= 30 else 0)

    steps = len(loss)
    window = max(5, steps // 50)
    if steps < 100:
        line(left, np.arange(1, steps + 1), loss, "training batch", BLUE, "o-", 6)
    else:
        left.plot(np.arange(1, steps + 1), loss, color=BLUE, lw=0.8, alpha=0.35, label="training batch")
        means = np.convolve(loss / window, np.ones(window), mode="valid")
        middles = np.arange(len(means)) + (window + 1) / 2
        line(left, middles, means, f"mean of {window} batches", BLUE, "-", 0)
    ends = np.arange(1, len(val_loss) + 1) * steps / max(len(val_loss), 1)
    line(left, ends, val_loss, "validation", RED, "s--", 4)
    left.set(title="Loss", xlabel="step (mini-batch)", **_loss_axis(loss, val_loss))
    line(right, np.arange(1, len(train_acc) + 1), 100 * train_acc, "training batch", BLUE, "o-", 6)
    line(right, np.arange(1, len(val_acc) + 1), 100 * val_acc, "validation", RED, "s--", 4)
    right.set(title="Accuracy", xlabel="epoch", ylabel="accuracy (%)")
    for ax, length in ((left, steps), (right, max(len(train_acc), len(val_acc)))):
        ax.grid(True, alpha=0.3)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if ax.lines:
            pad = max(0.5, 0.03 * length)
            ax.set_xlim(1 - pad, length + pad)
            ax.legend(fontsize=SMALL)
        else:
            ax.set(xticks=[], yticks=[])
            ax.text(0.5, 0.5, "nothing recorded", ha="center", transform=ax.transAxes)
    return _saved(fig, path)


def plot_predictions(net, X, y, image_shape, *, images=None, class_names=None, path=None):
    """Show the first ten right and the first ten wrong predictions, with label and prediction.

    net : has predict(X) -> (N,) labels. X : what it takes, N rows. y : (N,) integer labels.
    image_shape : (rows, columns) or (rows, columns, 3).
    images : N pictures of that size, in any shape, to show in place of X, say pixels as they were before
        the mean was subtracted. uint8 is shown as it is, all else stretched, each picture by itself.
    class_names : one for each label; default the numbers.
    """
    if not hasattr(net, "predict"):
        raise TypeError(f"net: {net!r}; must have predict")
    y, predicted = _labels("y", y), _labels("net.predict(X)", net.predict(X))
    name, images = ("X", _array("X", X)) if images is None else ("images", _array("images", images))
    if images.ndim < 2 or not len(images) == len(y) == len(predicted):
        found = f"{images.shape}, {len(y)} labels in y, {len(predicted)} predictions of X"
        raise ValueError(f"{name}: shape {found}; must have a picture, a label and a prediction each")
    image_shape = _image_shape(image_shape, math.prod(images.shape[1:]), name)
    names = _class_names(class_names, y, predicted)
    hit = predicted == y
    fig = Picture(figsize=(12, 3.6), layout="constrained")
    fig.suptitle(f"Predictions: {hit.sum()} of {len(y)} right ({hit.mean():.1%})")
    rows = (("right", hit, GREEN, "solid"), ("wrong", ~hit, RED, "dashed"))
    for axes, (word, chosen, color, line) in zip(fig.subplots(2, 10), rows, strict=True):
        chosen = np.flatnonzero(chosen)[:10]
        axes[0].set_ylabel(word.upper() if len(chosen) else f"none {word}", color=color, weight="bold")
        for ax in axes:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(color=color, linestyle=line, linewidth=2.5, visible=False)
        for ax, i in zip(axes, chosen, strict=False):
            image, brightest = images[i].reshape(image_shape), 255
            if image.dtype != np.uint8:
                image, brightest = visualize_grid(_real_array(name, image)[None], ubound=1.0), 1
            ax.imshow(image, cmap="gray", vmin=0, vmax=brightest, origin="upper", interpolation="nearest")
            ax.spines[:].set_visible(True)
            text = f"label {_short(names[y[i]], 11)}\npred. {_short(names[predicted[i]], 11)}"
            ax.set_title(text, fontsize=SMALL, parse_math=False)
    return _saved(fig, path)


def plot_confusion(y_true, y_pred, class_names=None, *, path=None):
    """Count how often each class (row) was predicted as each class (column), coloured by share of the row.

    y_true, y_pred : (N,) integer labels, 0..99. class_names : one for each label; default the numbers.
    Zeros are not written, so that the mistakes stand out.
    """
    y_true, y_pred = _labels("y_true", y_true), _labels("y_pred", y_pred)
    if len(y_true) != len(y_pred):
        raise ValueError(f"y_pred: {len(y_pred)} labels; must be as many as in y_true, {len(y_true)}")
    names = _class_names(class_names, y_true, y_pred)
    C = len(names)
    if C > 100:
        raise ValueError(f"y_true, y_pred, class_names: {C} classes; at most 100 can be drawn")
    names = [_short(name, 16) for name in names]
    counts = np.bincount(C * y_true + y_pred, minlength=C * C).reshape(C, C)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 0.55 * max(C, 5)
    fig = Picture(figsize=(size + 2.2, size + 1.2), layout="constrained")
    ax = fig.subplots()
    image = ax.imshow(share, cmap=COLORMAP, vmin=0, vmax=100, origin="upper", interpolation="nearest")
    for row, column in np.argwhere(counts):
        ink = _ink(image.to_rgba(share[row, column]))
        ax.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=SMALL)
    fig.colorbar(image, ax=ax, label="share of the true class (%)", shrink=0.8)
    tilt = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 3 else {}
    ax.set_xticks(range(C), labels=names, parse_math=False, **tilt)
    ax.set_yticks(range(C), labels=names, parse_math=False)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.set_title(f"Accuracy {counts.trace() / len(y_true):.1%} ({counts.trace()} of {len(y_true)})")
    ax.grid(False)
    return _saved(fig, path)


def plot_sweep(trials, *, path=None):
    """Show the validation accuracy of a sweep over learning rate and regularization, for each hidden size.

    trials : dicts with "hidden_size", "learning_rate", "reg", "status" ("ok", "diverged" or "failed") and
        "val_acc" (0..1; not looked at unless ok).
    Trials that fill at least half of a grid of at most 16 x 16 x 16 become a heat map for each hidden size; a
    cell without a trial is blank, a diverged one hatched. Other trials, as of a random search, become a
    scatter plot, where size stands for hidden units and a cross for one that diverged. Of trials in the same
    place, as when other settings vary too, the best is shown. The best of all is framed, of equals the first.
    """
    trials = _trials(trials)
    cells = {}  # (hidden size, learning rate, regularization): accuracy in %, or -1 where diverged
    for i, trial in enumerate(trials):
        if missing := {"hidden_size", "learning_rate", "reg", "val_acc"} - set(trial):
            raise ValueError(f"trials[{i}]: has no {sorted(missing)}, only {sorted(map(str, trial))}")
        cell = trial["hidden_size"], trial["learning_rate"], trial["reg"]
        cell = tuple(value.item() if isinstance(value, np.generic) else value for value in cell)
        if not all(isinstance(value, Real) and 0 <= value < math.inf for value in cell):
            raise ValueError(f"trials[{i}]: hidden_size, learning_rate, reg {cell}; must be finite and >= 0")
        status, accuracy = trial["status"], trial["val_acc"]
        if status == "ok" and not (isinstance(accuracy, Real) and 0 <= accuracy <= 1):
            raise ValueError(f"trials[{i}]: val_acc {accuracy!r}; must be in 0..1")
        if status != "failed":
            cells[cell] = max(cells.get(cell, -1), 100 * accuracy if status == "ok" else -1)
    if not cells:
        raise ValueError("trials: empty; must hold at least one that has not failed")
    best = max(cells, key=cells.get)
    scored = [accuracy for accuracy in cells.values() if accuracy >= 0]
    # the colours tell good settings from each other: all that is 20 points below the best looks alike
    low, high = min(scored, default=0), max(scored, default=100)
    colors = ScalarMappable(Normalize(max(low, high - 20), high), COLORMAP)
    lengths = [len(set(values)) for values in zip(*cells, strict=True)]
    mapped = len(cells) >= math.prod(lengths) / 2 and max(lengths) <= 16
    fig = (_heat_maps if mapped else _scatter)(cells, best if scored else None, colors)

    counts = [sum(trial["status"] == status for trial in trials) for status in ("diverged", "failed")]
    title = f"Validation accuracy (%), {len(trials)} trial{'s' * (len(trials) != 1)}, {counts[0]} diverged"
    title += f", {counts[1]} failed" * (counts[1] > 0)
    if scored:
        rate, reg = map(_short_number, best[1:])
        title += f"\nbest \u2605 {cells[best]:.1f}%: {best[0]} hidden units, learning rate {rate}, reg {reg}"
        told = [name for name in list(SETTINGS)[3:] if all(name in trial for trial in trials)]
        others = [name for name in told if len({trial[name] for trial in trials}) > 1]
        if others:
            first = max((t for t in trials if t["status"] == "ok"), key=lambda t: t["val_acc"])
            words = ", ".join(f"{SETTINGS[name]} {_word(first[name])}".strip() for name in others)
            title += f", {words}"
        if others and len(trials) > len(cells):
            names = ", ".join(name.replace("_", " ") for name in others)
            title += f"\n(in each place the best of all choices of {names})"
    if len(set(scored)) > 1:
        extend = "min" if low < high - 20 else "neither"
        fig.colorbar(
            colors, ax=fig.axes, label="validation accuracy (%)", fraction=0.05, aspect=40, extend=extend
        )
    width = int(11 * fig.get_figwidth())  # characters
    text = "\n".join(textwrap.fill(line, width) for line in title.split("\n"))
    fig.suptitle(text, parse_math=False)
    return _saved(fig, path)


def _heat_maps(cells, best, colors):
    sizes, rates, regs = (sorted(set(values)) for values in zip(*cells, strict=True))
    width = max(2.2, min(0.66 * len(rates), 10) + 0.9)  # of a map, inches
    height = max(2.2, min(0.45 * len(regs), 7) + 1.1)
    rows = math.ceil(len(sizes) / max(1, int(12 / width)))
    columns = math.ceil(len(sizes) / rows)
    fig = Picture(figsize=(max(7, columns * width + 1), rows * height + 0.7), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(sizes) :]:
        ax.set_axis_off()
    for ax, size in zip(axes.flat, sizes, strict=False):
        ax.set_title(f"{size} hidden unit{'s' * (size != 1)}", fontsize=10)
        for axis, values in ((ax.xaxis, rates), (ax.yaxis, regs)):
            axis.set_ticks(range(len(values)), labels=map(_short_number, values), fontsize=SMALL)
        ax.set(xlabel="learning rate", ylabel="regularization")
        ax.set(xlim=(-0.5, len(rates) - 0.5), ylim=(-0.5, len(regs) - 0.5))
        ax.grid(False)
    for cell, accuracy in cells.items():
        ax, x, y = axes.flat[sizes.index(cell[0])], rates.index(cell[1]), regs.index(cell[2])
        text, color, hatch = f"{accuracy:.1f}", colors.to_rgba(accuracy), None
        if accuracy < 0:
            text, color, hatch = "diverged", "0.9", "///"
        corner, ink = (x - 0.5, y - 0.5), _ink(color)
        ax.add_patch(Rectangle(corner, 1, 1, facecolor=color, edgecolor="0.6", hatch=hatch))
        box = {"facecolor": color, "edgecolor": "none", "pad": 1}  # keeps the hatching off the text
        ax.text(x, y, text, color=ink, bbox=box, ha="center", va="center", fontsize=SMALL)
        if cell == best:
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, ec=RED, lw=3, zorder=3, clip_on=False))
            ax.plot(x + 0.34, y + 0.26, "*", color=ink, markersize=8, zorder=4)
    return fig


def _scatter(cells, best, colors):
    sizes, rates, regs = (sorted(set(values)) for values in zip(*cells, strict=True))
    fig = Picture(figsize=(9, 5.4), layout="constrained")
    ax = fig.subplots()
    # a logarithm has no 0: its place is a tick of its own, a decade below the smallest value
    zero = {"x": 10 ** (math.log10(min(filter(None, rates), default=1)) - 1),
            "y": 10 ** (math.log10(min(filter(None, regs), default=1)) - 1)}  # fmt: skip

    def area(size):  # points squared, growing with the logarithm, as the sizes are drawn
        share = math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0]) if sizes[-1] > sizes[0] > 0 else 0
        return 40 + 160 * share

    places = {cell: (cell[1] or zero["x"], cell[2] or zero["y"], area(cell[0])) for cell in cells}
    if crosses := [places[cell] for cell, accuracy in cells.items() if accuracy < 0]:
        ax.scatter(*zip(*crosses, strict=True), marker="x", color="0.3", linewidths=1.5)
    if circles := [cell for cell, accuracy in cells.items() if accuracy >= 0]:
        rgba = colors.to_rgba([cells[cell] for cell in circles])
        x, y, areas = zip(*map(places.get, circles), strict=True)
        ax.scatter(x, y, areas, color=rgba, edgecolors="0.3", linewidths=0.8, zorder=3)
    if best:
        (x, y, size), ink = places[best], _ink(colors.to_rgba(cells[best]))
        ax.scatter(x, y, size + 260, marker="s", color="none", edgecolors=RED, linewidths=3)
        ax.scatter(x, y, 30, marker="*", color=ink, linewidths=0, zorder=4)
    for axis, name, values in ((ax.xaxis, "x", rates), (ax.yaxis, "y", regs)):
        positive = [value for value in values if value]
        if not positive:
            axis.set_ticks([zero[name]], labels=["0"])
            continue
        ax.set(**{f"{name}scale": "log"})
        if len(positive) < len(values):
            decades = range(math.floor(math.log10(positive[0])), math.ceil(math.log10(positive[-1])) + 1)
            ticks = [10.0**k for k in decades if 10.0**k > 2 * zero[name]]
            axis.set_ticks([zero[name], *ticks], labels=["0", *map(_short_number, ticks)])
            axis.set_ticks([], minor=True)
    ax.set(xlabel="learning rate (log scale)", ylabel="regularization (log scale)")
    ax.margins(0.08)
    ax.grid(True, alpha=0.3)
    for size in sorted({sizes[0], sizes[len(sizes) // 2], sizes[-1]}):
        units = f"{size} hidden unit{'s' * (size != 1)}"
        ax.scatter([], [], area(size), color="0.8", edgecolors="0.3", label=units)
    if min(cells.values()) < 0:
        ax.scatter([], [], 60, marker="x", color="0.3", label="diverged")
    fig.legend(loc="outside lower center", ncols=4, fontsize=SMALL)
    return fig


def plot_curves(trials, *, count=5, path=None):
    """Plot validation accuracy and validation loss by epoch of the best trials of a sweep.

    trials : as `tune.sweep` returns them, best first: dicts with "status", "history" (as for `plot_history`)
        and settings; those that are not ok are left out. count : how many of them to draw, 1..5.
    The legend names the settings in which they differ.
    """
    count = _number("count", count, f"[1, {len(CURVES) + 1})", Integral)
    chosen = [trial for trial in _trials(trials) if trial["status"] == "ok"][:count]
    if not chosen:
        raise ValueError("trials: none of them is ok; there are no curves to draw")
    varied = [name for name in SETTINGS if len({trial.get(name) for trial in chosen}) > 1]
    fig = Picture(figsize=(11, 4.9), layout="constrained")
    title = "The best trial by epoch" if len(chosen) == 1 else f"The best {len(chosen)} trials by epoch"
    alike = [name for name in list(SETTINGS)[:3] if name in chosen[0] and name not in varied]
    if alike and len(chosen) > 1:
        title += ", all with " + ", ".join(f"{SETTINGS[name]} {_word(chosen[0][name])}" for name in alike)
    fig.suptitle(title, parse_math=False)
    left, right = fig.subplots(1, 2)
    losses = []
    for trial, (color, style) in zip(chosen, CURVES, strict=False):
        where = f"trials: trial {trial.get('trial', '?')}: history"
        accuracy, loss = _records(where, trial.get("history"), "val_acc_history", "val_loss_history")
        if not accuracy.size:
            raise ValueError(f"{where}: must have an epoch at least")
        losses.append(loss)
        words = [f"{SETTINGS[name]} {_word(trial[name])}".strip() for name in varied if name in trial]
        label = f"{accuracy[-1]:.2%}  " + ", ".join(words or ["all settings alike"])
        for ax, values in ((left, 100 * accuracy), (right, loss)):
            epochs = np.arange(1, len(values) + 1)
            ax.plot(epochs, values, style, color=color, label=label, markersize=5 if len(values) <= 30 else 0)
    left.set(title="Validation accuracy", ylabel="accuracy (%)", xlabel="epoch")
    right.set(title="Validation loss, penalty included", xlabel="epoch", **_loss_axis(*losses))
    for ax in (left, right):
        ax.grid(True, alpha=0.3)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    handles, labels = left.get_legend_handles_labels()
    columns = 1 + (max(map(len, labels)) < 60)
    legend = fig.legend(handles, labels, loc="outside lower center", fontsize=SMALL, ncols=columns)
    for text in legend.texts:
        text.set_parse_math(False)
    return _saved(fig, path)


def _list(name, values):
    if isinstance(values, str) or not np.iterable(values):
        raise TypeError(f"{name}: {values!r}; must be a list")
    return list(values)


def _records(name, history, *records):
    """Lists of a history, as arrays; without 'val_loss_history' that is empty."""
    if not isinstance(history, Mapping):
        raise TypeError(f"{name}: {type(history).__name__}; must be the dict that train returns")
    given, arrays = {"val_loss_history": [], **history}, []
    for record in records:
        if record not in given:
            raise ValueError(f"{name}: has no {record!r}, only {sorted(map(str, history))}")
        values = _real_array(f"{name}[{record!r}]", given[record], finite="acc" in record)
        if values.ndim != 1 or ("acc" in record and not ((values >= 0) & (values <= 1)).all()):
            raise ValueError(f"{name}[{record!r}]: must be a flat list of numbers, accuracies in 0..1")
        arrays.append(values)
    return arrays


def _loss_axis(*losses):
    """Only a loss that falls far needs a log axis: on a linear one its end would lie flat at 0."""
    both = np.concatenate(losses)
    both = both[np.isfinite(both)]
    if both.size and both.max() / 30 > both.min() > 0:
        return {"yscale": "log", "ylabel": "loss (log scale)"}
    return {"ylabel": "loss"}


def _trials(trials):
    """A list of dicts with a status and settings that a legend can name."""
    trials = _list("trials", trials)
    for i, trial in enumerate(trials):
        if not isinstance(trial, Mapping):
            raise TypeError(f"trials[{i}]: {trial!r}; must be a dict")
        status = trial.get("status")
        if not isinstance(status, str) or status not in ("ok", "diverged", "failed"):
            raise ValueError(f'trials[{i}]: status {status!r}; must be "ok", "diverged" or "failed"')
        for name in SETTINGS:
            if not isinstance(trial.get(name, 0), Real | str):
                raise TypeError(f"trials[{i}]: {name} {trial[name]!r}; must be a number or a name")
    return trials


def _real_array(name, values, finite=True):
    values = _array(name, values)
    if values.dtype.kind not in "buif":
        raise TypeError(f"{name}: dtype {values.dtype}; must hold real numbers")
    with np.errstate(over="ignore"):
        values = values.astype(np.float64, copy=False)
    if finite and not np.isfinite(values).all():  # a long double may be finite and too large
        raise ValueError(f"{name}: holds NaN or infinity; must be finite")
    return values


def _image_shape(image_shape, D, name):
    """image_shape as imshow takes it, once it is known to hold D numbers, as each row of the named array."""
    shape = tuple(image_shape) if np.iterable(image_shape) else ()
    whole = all(isinstance(size, Integral) and not isinstance(size, bool) and size > 0 for size in shape)
    if not whole or len(shape) < 2 or shape[2:] not in ((), (1,), (3,)) or math.prod(shape) != D:
        must = f"must be (rows, columns[, 1 or 3]) with the product {D}, the numbers of a picture in {name}"
        raise ValueError(f"image_shape={image_shape}; {must}")
    return shape[:2] if shape[2:] == (1,) else shape


def _labels(name, labels):
    labels = _array(name, labels)
    if labels.size and labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: dtype {labels.dtype}; must be integers")
    if labels.ndim != 1 or labels.size == 0 or labels.min() < 0 or labels.max() >= 2**31:
        raise ValueError(f"{name}: {labels}; must be (N,) labels in 0..2**31 - 1, N >= 1")
    return labels.astype(np.int64)


def _class_names(class_names, *labels):
    """A name for every label up to the largest of `labels`."""
    count = int(np.concatenate(labels).max()) + 1
    names = range(count) if class_names is None else _list("class_names", class_names)
    if len(names) < count:
        raise ValueError(f"class_names: {len(names)} names; must be {count} or more, for label {count - 1}")
    return names


def _short(name, length):
    return str(name) if len(str(name)) <= length else str(name)[: length - 1] + "\u2026"


def _short_number(value):
    """0.03, 3e-4, 1e3"""
    if value == 0 or 0.01 <= value < 1000:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _word(value):
    return value if isinstance(value, str) else _short_number(value)


def _ink(color):
    """Black or white, whichever has the higher contrast (of WCAG 2) on this background."""
    luminance = np.dot((0.2126, 0.7152, 0.0722), np.power(to_rgb(color), 2.2))
    return "black" if luminance > 0.179 else "white"


def _saved(fig, path):
    """Return fig, written to path unless that is None."""
    if path is not None:
        kind = _path("path", path).suffix[1:].lower()
        if kind not in fig.canvas.get_supported_filetypes() or kind == "pgf":  # which needs LaTeX
            raise ValueError(f"path={str(path)!r}; must end in .png, .pdf, .svg or the like")
        picture = io.BytesIO()  # a full disk would make matplotlib's own writing fail in many ways
        fig.savefig(picture, format=kind)
        with _replacing(path) as file:
            file.write(picture.getbuffer())
    return fig
