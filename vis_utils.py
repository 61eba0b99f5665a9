"""Pictures of a net, its training and its mistakes.

    history = net.train(X, y, X_val, y_val, epochs=10)
    vis_utils.plot_history(history)        # then plt.suptitle, plt.savefig, plt.show() as usual
    vis_utils.plot_history({"SGD": history, "momentum": another})     # several in one picture
    vis_utils.show_net_weights(net, (28, 28), path="weights.png")     # written, and not shown

The pictures are pyplot's: in a notebook each shows below its cell, and `plt.show()` in a script
opens windows. All functions but `visualize_grid` return Axes, several as an array. With `path` the
picture is written, in the format of the suffix (.png, .pdf, .svg), whole or not at all, and closed.

A net is a TwoLayerNet or an object of your own class with `predict(X)`, which returns (N,) integer
labels, and for `show_net_weights` with `params`, a dict of W1 (D, H) and W2 (H, C).
"""

import math
import textwrap
import uuid
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, to_rgb
from matplotlib.ticker import MaxNLocator

COLORS = (  # of Okabe and Ito, which colour-blind readers can tell apart, too
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#F0E442",
    "#000000",
)
RED = COLORS[1]
GREEN = COLORS[2]
MARKERS = "os^vD*Xp"
SMALL_FONT = 9  # points


# ---- What several pictures need


def _check_labels(y, N, name):
    """y as an array (N,) of integers from 0; it may be a column (N, 1)."""
    y = np.asarray(y)
    if y.shape == (N, 1):
        y = y[:, 0]
    if y.shape != (N,):
        raise ValueError(
            f"{name} must have shape ({N},) or ({N}, 1), got {y.shape}; "
            f"give a label a row, for one-hot rows {name}.argmax(axis=1)"
        )
    if N == 0:
        raise ValueError(f"{name} is empty: there is nothing to draw")
    if y.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must hold integers, got {y.dtype}; "
            f"use {name}.astype(int), for names np.unique({name}, return_inverse=True)[1]"
        )
    if y.min() < 0:
        raise ValueError(f"{name} must hold labels from 0, got {y.min()}; leave them out")
    return y


def _predict(net, X):
    return _check_labels(net.predict(X), len(X), "net.predict(X)")


def _names_of_classes(class_names, y, predicted):
    """A text for each label: the names that were given, by default the numbers."""
    count = 1 + max(y.max(), predicted.max())
    if class_names is None:
        class_names = range(count)
    if len(class_names) < count:
        raise ValueError(
            f"label {count - 1}, but {len(class_names)} class_names; give one for each label from 0"
        )
    return [str(name) for name in class_names]


def _check_image_shape(image_shape, row_shape, advice):
    """See that a row, (D,) or of the shape of an image, can be shown in image_shape."""
    colors = tuple(image_shape[2:])  # () is gray, (1,) is gray as well
    if len(image_shape) < 2 or colors not in ((), (1,), (3,)):
        raise ValueError(
            f"image_shape must be (rows, columns) or (rows, columns, 3), got {image_shape}; "
            "X.transpose(0, 2, 3, 1) puts the colours last"
        )
    if row_shape not in (tuple(image_shape), (math.prod(image_shape),)):
        raise ValueError(
            f"image_shape {image_shape} does not fit numbers of shape {row_shape}; give {advice}"
        )


def _write_on(ax, x, y, text, background):
    """Write a small text on a cell of that colour, black or white, whichever is readable."""
    red, green, blue = to_rgb(background)
    brightness = 0.3 * red + 0.6 * green + 0.1 * blue
    color = "black" if brightness > 0.5 else "white"
    ax.text(x, y, text, color=color, fontsize=SMALL_FONT, ha="center", va="center")


def _finish(fig, axes, path):
    """Return axes; given a path, first write the picture and close it.

    The file at `path` stays as it is until the new one is whole.
    """
    if path is None:
        return axes
    suffix = Path(path).suffix
    # Written beside it, under a name that no other program uses, and then renamed.
    part = Path(f"{path}.{uuid.uuid4().hex}.part")
    try:
        fig.savefig(part, format=suffix[1:] or "png")
        part.replace(path)
    finally:
        plt.close(fig)
        part.unlink(missing_ok=True)
    return axes


# ---- Weights


def visualize_grid(Xs, ubound=255.0, padding=1):
    """Lay images out on a square grid, row by row, each stretched to 0..ubound by itself.

    Xs: (N, H, W, C) or (N, H, W). padding: pixels between images.
    Returns an array of floats: k rows of k images, where k is ceil(sqrt(N)). The pixels between
    them, places that are left over, and images whose numbers are all the same are 0.
    """
    Xs = np.asarray(Xs, np.float64)
    N, H, W = Xs.shape[:3]
    side = math.ceil(math.sqrt(N))
    height = side * (H + padding) - padding
    width = side * (W + padding) - padding
    grid = np.zeros((height, width, *Xs.shape[3:]))
    for i, image in enumerate(Xs):
        top = i // side * (H + padding)
        left = i % side * (W + padding)
        image = image - image.min()
        if image.max() > 0:
            grid[top : top + H, left : left + W] = ubound * (image / image.max())
    return grid


def show_net_weights(net, image_shape, layer=1, *, path=None):
    """Show the columns of W1, or of W2, as pictures, row by row, each stretched by itself.

    layer=1: what each hidden unit looks for. image_shape is that of the images that the net reads,
        (rows, columns) or (rows, columns, 3). If there are more than 100 units, only 100 are shown:
        those whose rows of W2, their weights to the scores, are the largest.
    layer=2: how each class weighs the hidden units. image_shape is any rectangle in which these
        are laid out, such as (10, 10) for 100 of them.
    Raises ValueError, saying what to give, if image_shape does not fit the weights.
    """
    W1 = np.asarray(net.params["W1"])
    W2 = np.asarray(net.params["W2"])
    D, H = W1.shape
    if layer == 1:
        _check_image_shape(image_shape, (D,), "the shape of the images that the net reads")
        W = W1
        title = f"First-layer weights\n{H} hidden units"
        if H > 100:
            importance = np.linalg.norm(W2, axis=1)
            W = W1[:, np.argsort(-importance)[:100]]
            title = f"First-layer weights: of {H} units those 100\nthat weigh most in the scores"
    elif layer == 2:
        _check_image_shape(image_shape, (H,), f"any rows and columns with {H} places")
        W = W2
        title = f"Second-layer weights\nof {H} hidden units, class 0, 1, ... row by row"
    else:
        raise ValueError(f"layer must be 1 or 2, got {layer!r}")

    images = W.T.reshape(-1, *image_shape)  # one for each column
    grid = visualize_grid(images, ubound=1.0)
    side = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / side)
    grid = grid[: rows * (image_shape[0] + 1)]  # without rows that are left over
    fig, ax = plt.subplots(figsize=(6.5, 7), layout="constrained")
    ax.imshow(grid, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(title)
    return _finish(fig, ax, path)


# ---- The history of a training, or of several

LISTS = {  # key in a history: (measured on which rows, what)
    "loss_history": ("training", "loss"),
    "val_loss_history": ("validation", "loss"),
    "train_acc_history": ("training", "accuracy"),
    "val_acc_history": ("validation", "accuracy"),
}


def plot_history(history, *, title=None, path=None):
    """Plot loss and accuracy, of training and of the validation rows, by step.

    history: what `TwoLayerNet.train` returns, or a dict with one or more of its lists
        'loss_history', 'val_loss_history', 'train_acc_history', 'val_acc_history' (0..1). They may
        have a number for each batch or for each epoch. 'step_history' has the steps after which
        those for each epoch were measured; without it they are spread evenly over the training.
        Or several such dicts by name, {"SGD": history, "momentum": another}: then training and
        validation have panels of their own, and each history has a colour.

    'penalty_history', if it is there, has the L2 penalty for each number in 'val_loss_history', and
    is added to it: so it can be compared with the training loss, which includes the penalty. A list
    of 100 batches or more is smoothed: drawn is the moving mean over 5 % of the batches. With a
    single history the batches are drawn behind it, faintly. Losses have a logarithmic axis if the
    largest is over 30 times the smallest.

    Returns an array of Axes, one for each panel; what no history has gets no panel. Raises
    ValueError if a history has none of the lists.
    """
    several = all(isinstance(value, dict) for value in history.values())
    histories = history if several else {"history": history}
    panels = {}  # by title, each a list of (label, history, key)
    for name, one in histories.items():
        keys = [key for key in LISTS if len(one.get(key, ())) > 0]
        if not keys:
            raise ValueError(f"{name} needs numbers in one of {list(LISTS)}, got {list(one)}")
        for key in keys:
            part, measure = LISTS[key]
            if several:
                # Panels such as "training loss", in each a line for every history
                panel = f"{part} {measure}"
                label = name
            else:
                # Panels "loss" and "accuracy", in each a line for training and for validation
                panel = measure
                label = part
            panels.setdefault(panel, []).append((label, one, key))
    if not panels:
        raise ValueError("history is empty; give what train returned")

    labels = list(histories) if several else ["training", "validation"]
    # Up to 3 panels stand in a row, 4 are 2 x 2. 0.2 and 0.9 inches are for legend and title.
    columns = 2 if len(panels) == 4 else len(panels)
    rows = len(panels) // columns
    size = (min(5.5 * columns, 12), 2.9 * rows + 0.2 * len(labels) + 0.9)  # inches
    fig = plt.figure(figsize=size, layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    lines = {}
    for ax, (panel, curves) in zip(axes, panels.items(), strict=True):
        for label, one, key in curves:
            # One line for each label will do in the legend.
            lines[label] = _draw_list(ax, one, key, labels.index(label), not several)
        _label_panel(ax, panel, curves)
    fig.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=2)
    fig.suptitle(title)
    return _finish(fig, axes, path)


def _draw_list(ax, history, key, number, each_batch):
    """Draw history[key] in the colour of that number; return the line, for the legend.

    each_batch: draw what is smoothed as it is, too, faintly.
    """
    y = np.array(history[key], float)
    x = np.array(history.get("step_history", ()), float)
    if len(x) != len(y):
        # step_history belongs to the lists with a number for each epoch, and has their length.
        # Others are spread evenly: 5 numbers over 100 steps are drawn at 20, 40, ..., 100.
        steps = max(len(history.get(other, ())) for other in LISTS)
        x = np.linspace(0, steps, len(y) + 1)[1:]
    if key == "val_loss_history" and _has_penalty(history):
        y += history["penalty_history"]
    if "acc" in key:
        y *= 100
    line_style = ("-", "--", ":")[number // 8 % 3]  # another where the 8 colours begin again
    look = {"color": COLORS[number % 8], "linestyle": line_style}
    if _is_noisy(history, key):
        if each_batch:
            ax.plot(x, y, alpha=0.25, **look)
        # The mean of y over each window; that of x is the window's middle.
        window = len(y) // 20
        weights = np.ones(window) / window
        x = np.convolve(x, weights, mode="valid")
        y = np.convolve(y, weights, mode="valid")
    if len(y) <= 30:
        look["marker"] = MARKERS[number % 8]
    (line,) = ax.plot(x, y, **look)
    return line


def _has_penalty(history):
    """Whether the history has penalties that are not all 0."""
    return np.any(history.get("penalty_history", 0))


def _is_noisy(history, key):
    """Whether the list has a number for each of 100 batches or more."""
    # loss_history is of batches, and so is a list of the same length. Others are of epochs.
    count = len(history[key])
    return count >= 100 and count == len(history.get("loss_history", ()))


def _label_panel(ax, title, curves):
    """Say what is in the panel. curves: those drawn in it, (label, history, key) each."""
    x_label = "number in the list"
    y_label = "accuracy (%)"
    if "loss" in title:
        y_label = "loss"
        y = np.concatenate([line.get_ydata() for line in ax.lines])
        if y.max() > 30 * y.min() > 0:  # on a linear axis the end would lie flat at 0
            ax.set_yscale("log")
    remark = ""
    for _, history, key in curves:
        if "loss_history" in history or "step_history" in history:
            x_label = "step (mini-batch)"
        if key == "val_loss_history" and _has_penalty(history):
            y_label = "loss, with the penalty"
        if _is_noisy(history, key):
            remark = ", batches smoothed"
    ax.set(title=title.capitalize() + remark, xlabel=x_label, ylabel=y_label)
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    ax.tick_params(labelbottom=True)  # not only in the last row
    ax.set_xlim(left=0)
    ax.grid(True, alpha=0.3)


# ---- Predictions


def plot_predictions(net, X, y, image_shape, *, images=None, class_names=None, path=None):
    """Show the first ten right and the first ten wrong predictions, with label and prediction.

    X: (N, ...) rows that net.predict takes. y: (N,) or (N, 1) integer labels.
    image_shape: (rows, columns) or (rows, columns, 3). class_names: a name for each label.
    images: N of them, shown in place of X, such as those whose mean was not subtracted. Images of
        uint8 are shown as they are, from 0 to 255, all others are stretched, each by itself.
    """
    y = _check_labels(y, len(X), "y")
    predicted = _predict(net, X)
    names = _names_of_classes(class_names, y, predicted)
    images = np.asarray(X if images is None else images)
    if len(images) != len(X):
        raise ValueError(f"X has {len(X)} rows, but there are {len(images)} images")
    _check_image_shape(image_shape, images.shape[1:], "the shape of one image")

    # One Axes for all: twenty of them would take twice as long. An image's longer side is 1.
    fig = plt.figure(figsize=(13, 3.9))
    ax = fig.add_axes((0, 0, 1, 0.9), xlim=(-0.4, 11), ylim=(2.6, -0.5))
    ax.set_axis_off()
    height, width = np.divide(image_shape[:2], max(image_shape[:2]))
    # So that neighbours do not touch, also where names are long.
    font_size = min(SMALL_FONT, 120 / max(map(len, names)))
    is_right = predicted == y
    rows = ((0, "right", is_right, GREEN), (1.55, "wrong", ~is_right, RED))
    for top, word, in_row, color in rows:
        ax.text(-0.2, top + height, word, color=color, weight="bold", rotation=90)
        for column, i in enumerate(np.flatnonzero(in_row)[:10]):
            image = images[i].reshape(image_shape)
            if image.dtype != np.uint8:
                image = visualize_grid([image])  # a grid of one: stretched to 0..255
            left = 1.1 * column
            place = (left, left + width, top + height, top)
            ax.imshow(image / 255, "gray", vmin=0, vmax=1, extent=place)
            ax.add_patch(
                plt.Rectangle((left, top), width, height, fill=False, color=color, linewidth=2.5)
            )
            text = f"label {names[y[i]]}\npred. {names[predicted[i]]}"
            ax.text(left, top - 0.06, text, fontsize=font_size, parse_math=False)

    right = is_right.sum()
    ax.set_title(f"Predictions: {right} of {len(y)} right ({right / len(y):.1%})")
    return _finish(fig, ax, path)


def plot_confusion(y_true, y_pred, class_names=None, *, path=None):
    """Count how often each class (row) was predicted as each class (column), coloured by row share.

    y_true, y_pred: (N,) or (N, 1) integer labels. class_names: a name for each label; default the
    numbers. Zeros are left out, so that the mistakes stand out.
    """
    y_true = _check_labels(y_true, len(y_true), "y_true")
    y_pred = _check_labels(y_pred, len(y_true), "y_pred")
    names = _names_of_classes(class_names, y_true, y_pred)
    C = len(names)
    counts = np.zeros((C, C), int)
    for row, column in zip(y_true, y_pred, strict=True):
        counts[row, column] += 1
    row_sums = counts.sum(axis=1, keepdims=True)
    share = 100 * counts / np.maximum(row_sums, 1)  # a class without examples: all 0

    size = 0.55 * max(C, 5)  # inches
    fig, ax = plt.subplots(figsize=(size + 2.2, size + 1.2), layout="constrained")
    image = ax.imshow(share, cmap="viridis", vmin=0, vmax=100)
    for row, column in np.argwhere(counts):
        _write_on(ax, column, row, counts[row, column], image.to_rgba(share[row, column]))
    fig.colorbar(image, ax=ax, label="share of the true class (%)")
    rotation = 90 if max(map(len, names)) > 3 else 0
    ax.set_xticks(range(C), labels=names, rotation=rotation, parse_math=False)
    ax.set_yticks(range(C), labels=names, parse_math=False)
    right = counts.trace()
    title = f"Accuracy {right / len(y_true):.1%} ({right} of {len(y_true)})"
    ax.set(title=title, xlabel="predicted class", ylabel="true class")
    return _finish(fig, ax, path)


def plot_decision_regions(net, X, y, *, ax=None, path=None):
    """Colour the plane by what net predicts, and draw the points X (N, 2) with labels y over it.

    y: (N,) or (N, 1) integer labels. ax: Axes to draw in, a new picture by default. Classes have a
    colour and a marker each, which begin again with the ninth class.
    """
    X = np.asarray(X)
    if X.shape[1:] != (2,):
        raise ValueError(f"X must be (N, 2), points in a plane, got shape {X.shape}")
    y = _check_labels(y, len(X), "y")
    is_right = _predict(net, X) == y
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 5.5), layout="constrained")

    # 200 places along each axis, from a little before the first point to a little after the last.
    margin = 0.08 * np.ptp(X, axis=0)
    # 200 points (200, 2) from one corner to the other; their columns are x1 and x2.
    x1, x2 = np.linspace(X.min(axis=0) - margin, X.max(axis=0) + margin, 200).T
    plane = np.stack(np.meshgrid(x1, x2), axis=-1)  # 200 x 200 points
    classes = _predict(net, plane.reshape(-1, 2)).reshape(200, 200)
    colors = ListedColormap(COLORS)
    # 0..8 are eight intervals, 0..1 with the first colour and so on.
    ax.pcolormesh(x1, x2, classes % 8, cmap=colors, vmin=0, vmax=8, alpha=0.3)
    for label in np.unique(y):
        points = X[y == label]
        ax.scatter(
            points[:, 0],
            points[:, 1],
            s=20,
            c=COLORS[label % 8],
            marker=MARKERS[label % 8],
            edgecolors="white",
            label=f"class {label}",
        )
    title = f"Decision regions: {is_right.mean():.1%} of the points right"
    ax.set(title=title, xlabel="x1", ylabel="x2")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return _finish(ax.figure, ax, path)


# ---- Sweeps. A trial is a dict, as `tune.sweep` returns them.

# The settings that say where in the picture of a sweep a trial is drawn
PLACE = ["hidden_size", "learning_rate", "reg"]
# The settings that only its texts mention
OTHERS = [
    "activation",
    "dropout",
    "optimizer",
    "momentum",
    "std",
    "batch_size",
    "learning_rate_decay",
    "criterion",
]


def _score(trial):
    """The validation accuracy in %, or -1, below all others, for a trial that diverged."""
    if trial["status"] == "ok":
        return 100 * trial["val_acc"]
    return -1.0


def _stopped_early(trial, trials):
    """Whether the trial was ended by successive halving, which trains only the best further.

    That is so if it did not diverge, and another has more epochs.
    """
    return trial["status"] == "ok" and trial["epochs"] < max(t["epochs"] for t in trials)


def _differing(settings, trials):
    """Those of the settings in which the trials differ."""
    return [name for name in settings if len({trial.get(name) for trial in trials}) > 1]


def _describe(trial, settings):
    """Such as "hidden size 64, learning rate 0.01"."""
    parts = []
    for name in settings:
        value = trial.get(name)
        if isinstance(value, float):
            value = f"{value:.4g}"
        parts.append(f"{name} {value}".replace("_", " "))
    return ", ".join(parts)


def plot_sweep(trials, *, path=None):
    """Show the validation accuracy of a sweep over hidden size, learning rate and regularization.

    trials: as `tune.sweep` returns, dicts with "hidden_size", "learning_rate", "reg", "epochs",
        "status" ("ok" or "diverged") and "val_acc" (0..1).
    A grid becomes a heat map for each hidden size, settings drawn from ranges become points. Of
    trials that differ in none of these three settings the best is shown, and the title says so.
    Those that halving stopped early are marked. Returns an array of Axes for a grid, else Axes.
    """
    if not trials:
        raise ValueError("there are no trials to draw")
    best_first = sorted(trials, key=_score, reverse=True)  # equal ones stay in tune's order
    best = best_first[0]
    shown = {}
    for trial in best_first:
        place = (trial["hidden_size"], trial["learning_rate"], trial["reg"])
        shown.setdefault(place, trial)  # only the first of a place
    if best["status"] != "ok":
        best = None  # all diverged
    # Colours follow the logarithm of the error, so that 97 and 98 % can be told apart where others
    # have 40 %. 1 is added to the error, as 0 has no logarithm.
    errors = [101 - _score(trial) for trial in shown.values() if _score(trial) >= 0]
    low = min(errors, default=1)
    high = max(errors, default=1) + 0.1  # above low, also if there is only one
    colors = ScalarMappable(LogNorm(low, high), "viridis_r")

    # The different values of each, in ascending order
    sizes, rates, regs = [sorted({trial[name] for trial in trials}) for name in PLACE]
    # Settings from lists fill much of a grid; n settings from ranges would have about n**3 cells.
    # More than 16 columns would be too many for the page.
    if len(shown) >= len(sizes) * len(rates) * len(regs) / 4 and len(rates) <= 16:
        fig, axes = _draw_heat_maps(shown, best, colors, sizes, rates, regs)
    else:
        fig, axes = _draw_points(shown, best, colors, sizes, rates, regs)
    fig.suptitle(_sweep_title(trials, shown, best))
    if best is not None:
        label = "validation accuracy (%),\nstretched towards the best"
        bar = fig.colorbar(colors, ax=fig.axes, label=label)
        bar.ax.invert_yaxis()  # the smallest error on top
        bar.set_ticks(np.geomspace(low, high, 7))  # at equal distances
        bar.ax.yaxis.set_major_formatter(lambda error, _: f"{101 - error:.1f}")
        bar.ax.minorticks_off()
    return _finish(fig, axes, path)


def _sweep_title(trials, shown, best):
    diverged = sum(trial["status"] == "diverged" for trial in trials)
    lines = [f"Validation accuracy (%) of {len(trials)} trials, {diverged} diverged"]
    others = _differing(OTHERS, trials)
    if best is not None:
        settings = _describe(best, PLACE + others)
        lines.append(f"best, framed: {_score(best):.1f} % with {settings}")
    if len(shown) < len(trials):
        line = "of several trials in a place the best is shown"
        if others:
            line += f"; they differ in {', '.join(others).replace('_', ' ')}"
        lines.append(line)
    if any(_stopped_early(trial, shown.values()) for trial in shown.values()):
        lines.append("some were stopped early by halving")
    return "\n".join(textwrap.fill(line, 95) for line in lines)


def _draw_heat_maps(shown, best, colors, sizes, rates, regs):
    """Draw a map for each hidden size, with the learning rate to the right, reg upwards."""
    width = 0.66 * len(rates) + 0.9  # inches; at most 11.5, as there are at most 16 rates
    height = max(2.2, 0.45 * len(regs) + 1.1)
    columns = min(len(sizes), int(15 / width))
    rows = math.ceil(len(sizes) / columns)
    size = (max(8, columns * width + 1), rows * height + 1.3)
    fig = plt.figure(figsize=size, layout="constrained")
    axes = {}
    for number, hidden_size in enumerate(sizes, 1):
        ax = fig.add_subplot(rows, columns, number)
        axes[hidden_size] = ax
        ax.set(
            title=f"{hidden_size} hidden units",
            xlabel="learning rate",
            ylabel="regularization",
            xlim=(-0.5, len(rates) - 0.5),
            ylim=(-0.5, len(regs) - 0.5),
        )
        ax.set_xticks(range(len(rates)), labels=[f"{rate:.3g}" for rate in rates])
        ax.set_yticks(range(len(regs)), labels=[f"{reg:.3g}" for reg in regs])
        ax.tick_params(labelsize=SMALL_FONT)

    for (hidden_size, rate, reg), trial in shown.items():
        ax = axes[hidden_size]
        x = rates.index(rate)
        y = regs.index(reg)
        color = "lightgray"
        text = "diverged"
        if trial["status"] == "ok":
            color = colors.to_rgba(101 - _score(trial))
            text = f"{_score(trial):.1f}"
        if _stopped_early(trial, shown.values()):
            text += f"\n{trial['epochs']} ep."
        edge = {"edgecolor": "gray"}
        if trial is best:
            edge = {"edgecolor": RED, "linewidth": 3, "zorder": 2}
        ax.add_patch(
            plt.Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=color, clip_on=False, **edge)
        )
        _write_on(ax, x, y, text, color)
    return fig, np.array(list(axes.values()))


def _draw_points(shown, best, colors, sizes, rates, regs):
    """Draw a point for each trial, at its learning rate and reg; its area tells the hidden size."""
    fig, ax = plt.subplots(figsize=(9, 5.6), layout="constrained")
    areas = dict(zip(sizes, np.linspace(40, 240, len(sizes)), strict=True))
    trials = shown.values()
    # By size, large points first, as they would hide the small ones.
    for (hidden_size, rate, reg), trial in sorted(shown.items(), reverse=True):
        area = areas[hidden_size]
        marker = "X"
        color = "lightgray"
        if trial["status"] == "ok":
            marker = "v" if _stopped_early(trial, trials) else "o"
            color = colors.to_rgba(101 - _score(trial))
        ax.scatter(rate, reg, area, c=[color], marker=marker, edgecolors="dimgray")
        if trial is best:
            ax.scatter(rate, reg, area + 250, "none", marker="s", edgecolors=RED, linewidths=3)
    ax.set(xlabel="learning rate", ylabel="regularization")
    _make_logarithmic(ax.set_xscale, ax.xaxis, rates)
    _make_logarithmic(ax.set_yscale, ax.yaxis, regs)
    ax.grid(True, alpha=0.3)

    # Points without a place, for the legend only: the smallest and the largest hidden size,
    # which may be the same, and the markers that are in the picture.
    for size in sorted({sizes[0], sizes[-1]}):
        ax.scatter([], [], areas[size], c="lightgray", label=f"{size} hidden units")
    if any(_stopped_early(trial, trials) for trial in trials):
        ax.scatter([], [], 60, c="dimgray", marker="v", label="stopped early by halving")
    if any(trial["status"] == "diverged" for trial in trials):
        ax.scatter([], [], 60, c="dimgray", marker="X", label="diverged")
    fig.legend(loc="outside lower center", ncols=4)
    return fig, ax


def _make_logarithmic(set_scale, axis, values):
    """Make an axis logarithmic, with ticks that do not touch and a place for 0 if it is there.

    set_scale and axis: ax.set_xscale and ax.xaxis, or ax.set_yscale and ax.yaxis.
    """
    positive = [value for value in values if value > 0]
    if not positive:
        return
    spaced = np.geomspace(min(positive), max(positive), 6)
    # Rounded to two digits, such as 0.0032; the set drops those that are equal then.
    ticks = sorted({float(f"{tick:.2g}") for tick in spaced})
    if 0 in values:
        # 0 has no logarithm: the axis is linear from 0 to the smallest of the others.
        set_scale("symlog", linthresh=min(positive))
        ticks = [0, *ticks]
    else:
        set_scale("log")
    axis.set_ticks(ticks)
    axis.set_major_formatter("{x:g}")
    axis.set_ticks([], minor=True)


def plot_curves(trials, *, count=5, path=None):
    """Plot validation loss and accuracy by epoch of a sweep's best trials, best first.

    trials: as `tune.sweep` returns them, best first. The "history" of each has 'val_acc_history'
        and 'val_loss_history', which is without the penalty: nets of different reg could not be
        compared with it. count: how many are drawn. Raises ValueError if all diverged.
    """
    chosen = [trial for trial in trials if trial["status"] == "ok"][:count]
    if not chosen:
        raise ValueError("no trial is ok, so there are no curves to draw")
    varied = _differing(PLACE + OTHERS, trials)
    histories = {}
    for rank, trial in enumerate(chosen, 1):
        name = textwrap.fill(f"{rank}. {_score(trial):.2f} %  {_describe(trial, varied)}", 60)
        # step_history is left out, so that x is the number of the epoch, and penalty_history, so
        # that the loss has no penalty.
        histories[name] = {
            "val_loss_history": trial["history"]["val_loss_history"],
            "val_acc_history": trial["history"]["val_acc_history"],
        }
    axes = plot_history(histories, title=f"The best {len(chosen)} trials by epoch")
    axes[0].set_title("Validation loss, without the penalty")
    for ax in axes:
        ax.set_xlabel("epoch")
    return _finish(axes[0].figure, axes, path)
