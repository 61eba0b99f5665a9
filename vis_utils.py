"""Pictures of a net, its training and its mistakes.

    history = net.train(X, y, X_val, y_val, epochs=10)
    vis_utils.plot_history(history)               # then plt.title, plt.savefig, plt.show() as usual
    vis_utils.show_net_weights(net, (28, 28), path="weights.png")       # written, and not shown

The pictures are pyplot's: in a notebook each shows below its cell, and `plt.show()` in a script
opens windows. All functions but `visualize_grid` return Axes, several as an array. With `path` the
picture is written, in the format of the suffix (.png, .pdf, .svg), whole or not at all, and closed.
"""

import math
import os

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm, ListedColormap, to_rgb

# Okabe and Ito's colours, which colour-blind readers can tell apart
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
BLUE, RED, GREEN = COLORS[:3]
MARKERS = "os^vD*Xp"
PLACE = ("hidden_size", "learning_rate", "reg")  # of a trial in the picture of a sweep
OTHERS = ("activation", "dropout", "optimizer", "std", "batch_size", "learning_rate_decay")
SMALL = 9  # points


def visualize_grid(Xs, ubound=255.0, padding=1):
    """Lay images out on a square grid, row by row, each stretched to 0..ubound by itself.

    Xs: (N, H, W, C) or (N, H, W). padding: pixels between images; these, places left over and
    images of one colour are 0. Returns floats, a side of which holds ceil(sqrt(N)) images.
    """
    Xs = np.asarray(Xs, np.float64)
    N, H, W = Xs.shape[:3]
    side = math.ceil(math.sqrt(N))
    grid = np.zeros((side * (H + padding) - padding, side * (W + padding) - padding, *Xs.shape[3:]))
    for i, image in enumerate(Xs):
        top, left = i // side * (H + padding), i % side * (W + padding)
        low, high = image.min(), image.max()
        if high > low:
            grid[top : top + H, left : left + W] = ubound * (image - low) / (high - low)
    return grid


def show_net_weights(net, image_shape, *, path=None):
    """Show what each hidden unit looks for: the columns of W1 as pictures, each stretched alone.

    image_shape: (rows, columns) or (rows, columns, 3). Of more than 100 units those 100 are shown
    whose weights to the scores, the rows of W2, are the largest.
    """
    W1, W2 = net.params["W1"], net.params["W2"]
    title = f"{W1.shape[1]} hidden units"
    if W1.shape[1] > 100:
        title = f"the 100 of {title} with the largest weights to the scores"
        W1 = W1[:, np.argsort(-np.linalg.norm(W2, axis=1), kind="stable")[:100]]
    grid = visualize_grid(W1.T.reshape(-1, *image_shape), ubound=1.0, padding=2)
    side = math.ceil(math.sqrt(W1.shape[1]))
    grid = grid[: math.ceil(W1.shape[1] / side) * (image_shape[0] + 2) - 2]  # without empty rows
    height = min(max(6.5 * grid.shape[0] / grid.shape[1], 1), 13) + 0.5
    fig, ax = plt.subplots(figsize=(6.5, height), layout="constrained")
    ax.imshow(grid, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(f"First-layer weights\n{title}", fontsize=11)
    return _finish(fig, ax, path)


def plot_history(history, *, title=None, path=None):
    """Plot the loss and the accuracy, of training and of the validation rows, by step.

    history: what `TwoLayerNet.train` returns, or a dict with at least 'loss_history',
    'train_acc_history' and 'val_acc_history'; without 'step_history' the records are spread evenly.
    The validation loss is drawn with the penalty, where 'penalty_history' has it, so that it can be
    compared with the loss of the training batches, which has it, too.
    As a table: `pd.DataFrame({k: v for k, v in history.items() if k != "loss_history"})`.
    """
    loss, records = np.array(history["loss_history"], float), len(history["val_acc_history"])
    steps = history.get("step_history", np.linspace(0, len(loss), records + 1)[1:])
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    fig.suptitle(title)
    long, size = len(loss) >= 100, 5 if records <= 30 else 0
    batches = np.arange(1, len(loss) + 1)
    axes[0].plot(batches, loss, color=BLUE, alpha=0.35 if long else 1, label="training batch")
    if long:
        window = max(5, len(loss) // 50)
        means = np.convolve(loss, np.ones(window) / window, mode="valid")
        middles = np.arange(len(means)) + (window + 1) / 2
        axes[0].plot(middles, means, color=BLUE, label=f"mean of {window} batches")
    val_loss = np.array(history.get("val_loss_history", []), float)
    penalty = np.array(history.get("penalty_history", np.zeros(len(val_loss))), float)
    label = "validation, with the penalty" if penalty.any() else "validation"
    axes[0].plot(steps[: len(val_loss)], val_loss + penalty, "s-", ms=size, color=RED, label=label)
    axes[0].set(title="Loss", ylabel="loss")
    if len(loss) and loss.max() > 30 * loss.min():  # on a linear axis the end would lie flat at 0
        axes[0].set_yscale("log")
    acc = {name: 100 * np.array(history[f"{name}_acc_history"]) for name in ("train", "val")}
    axes[1].plot(steps, acc["train"], "o-", ms=size, color=BLUE, label="training")
    axes[1].plot(steps, acc["val"], "s-", ms=size, color=RED, label="validation")
    axes[1].set(title="Accuracy", ylabel="accuracy (%)")
    for ax in axes:
        ax.set(xlabel="step (mini-batch)", xlim=(0, 1.02 * max(len(loss), 1)))
        ax.grid(True, alpha=0.3)
        ax.legend(fontsize=SMALL)
    return _finish(fig, axes, path)


def plot_predictions(net, X, y, image_shape, *, images=None, class_names=None, path=None):
    """Show the first ten right and the first ten wrong predictions, with label and prediction.

    net: has predict(X) -> (N,) labels. X: what it takes. y: (N,) integer labels.
    image_shape: (rows, columns) or (rows, columns, 3). class_names: a name for each label.
    images: shown in place of X, say with the mean still in; all but uint8 are stretched.
    """
    y, predicted = np.asarray(y), net.predict(X)
    images = np.asarray(X if images is None else images)
    names = range(1 + max(y.max(), predicted.max())) if class_names is None else class_names
    (height, width), hit = np.array(image_shape[:2]) / max(image_shape[:2]), predicted == y
    ax = plt.figure(figsize=(12, 3.6), layout="none").add_axes((0, 0.01, 1, 0.89))
    for word, color, top in (("right", GREEN, 0), ("wrong", RED, 1.5)):
        chosen = np.flatnonzero(hit if word == "right" else ~hit)[:10]
        look = {"color": color, "weight": "bold", "rotation": 90, "va": "center", "ha": "right"}
        ax.text(-0.1, top + height / 2, word if len(chosen) else f"none {word}", look)
        for i, left in zip(chosen, 1.1 * np.arange(10), strict=False):
            image, place = images[i].reshape(image_shape), (left, left + width, top + height, top)
            image = image / 255 if image.dtype == np.uint8 else visualize_grid(image[None], 1.0)
            ax.imshow(image, "gray", vmin=0, vmax=1, interpolation="nearest", extent=place)
            ax.add_patch(plt.Rectangle((left, top), width, height, fc="none", ec=color, lw=2.5))
            text = f"label {names[y[i]]}\npred. {names[predicted[i]]}"
            ax.text(left + width / 2, top - 0.06, text, ha="center", fontsize=SMALL)
    ax.set(xlim=(-0.4, 11), ylim=(2.55, -0.5))  # the unit is an image's longer side
    ax.set_title(f"Predictions: {hit.sum()} of {len(y)} right ({hit.mean():.1%})")
    ax.set_axis_off()
    return _finish(ax.figure, ax, path)


def plot_confusion(y_true, y_pred, class_names=None, *, path=None):
    """Count how often each class (row) was predicted as each class (column), coloured by row share.

    y_true, y_pred: (N,) integer labels. class_names: a name for each label; default the numbers.
    Zeros are left out, so that the mistakes stand out.
    """
    y_true, y_pred = np.ravel(y_true), np.ravel(y_pred)
    names = range(1 + max(y_true.max(), y_pred.max())) if class_names is None else class_names
    names = [str(name) for name in names]
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (y_true, y_pred), 1)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 0.55 * max(len(names), 5)
    fig, ax = plt.subplots(figsize=(size + 2.2, size + 1.2), layout="constrained")
    image = ax.imshow(share, cmap="viridis", vmin=0, vmax=100, interpolation="nearest")
    for row, column in np.argwhere(counts):
        _write(ax, column, row, counts[row, column], image.to_rgba(share[row, column]))
    fig.colorbar(image, ax=ax, label="share of the true class (%)", shrink=0.8)
    ax.set_xticks(range(len(names)), labels=names, rotation=90 if max(map(len, names)) > 3 else 0)
    ax.set_yticks(range(len(names)), labels=names)
    right = f"{counts.trace() / len(y_true):.1%} ({counts.trace()} of {len(y_true)})"
    ax.set(title=f"Accuracy {right}", xlabel="predicted class", ylabel="true class")
    return _finish(fig, ax, path)


def plot_decision_regions(net, X, y, *, ax=None, path=None):
    """Colour the plane by what net predicts, and draw the points X (N, 2) with labels y over it.

    ax: Axes to draw in, a new picture by default. Classes have a colour and a marker each, up to 8.
    """
    X, y = np.asarray(X), np.asarray(y)
    if X.shape[1:] != (2,):
        raise ValueError(f"X must be (N, 2), points in a plane, got shape {X.shape}")
    ax = ax or plt.subplots(figsize=(6, 5.5), layout="constrained")[1]
    margin = 0.08 * np.ptp(X, axis=0)
    across, up = np.linspace(X.min(axis=0) - margin, X.max(axis=0) + margin, 200).T
    plane = np.stack(np.meshgrid(across, up), axis=-1)
    classes = net.predict(plane.reshape(-1, 2)).reshape(200, 200)
    ax.pcolormesh(across, up, classes, cmap=ListedColormap(COLORS), vmin=0, vmax=8, alpha=0.3)
    for label in np.unique(y):
        look = {"color": COLORS[label % 8], "marker": MARKERS[label % 8], "edgecolors": "white"}
        ax.scatter(*X[y == label].T, s=20, linewidths=0.4, label=f"class {label}", **look)
    right = f"{np.mean(net.predict(X) == y):.1%}"
    ax.set(xlabel="x1", ylabel="x2", title=f"Decision regions: {right} of the points right")
    ax.legend(fontsize=SMALL, loc="upper right")
    return _finish(ax.figure, ax, path)


def plot_sweep(trials, *, path=None):
    """Show the validation accuracy of a sweep over hidden size, learning rate and regularization.

    trials: as `tune.sweep` returns, dicts with "hidden_size", "learning_rate", "reg", "epochs",
        "status" ("ok" or "diverged") and "val_acc" (0..1).
    A grid becomes a heat map for each hidden size, settings drawn from ranges become points. Of
    trials in one place the best is shown; those that halving stopped early are marked.
    """
    cells = {tuple(trial[name] for name in PLACE): trial for trial in sorted(trials, key=_score)}
    best = max(cells.values(), key=_score)
    scores = [_score(trial) for trial in cells.values() if trial["status"] == "ok"] or [0.0]
    # by the logarithm of the error, so that 97 and 98 % differ as much as 40 and 60 %
    log = (lambda a: -np.log(101 - np.asarray(a)), lambda b: 101 - np.exp(-np.asarray(b)))
    colors = ScalarMappable(FuncNorm(log, min(scores), max(*scores, min(scores) + 0.1)), "viridis")
    values = [sorted(set(found)) for found in zip(*cells, strict=True)]
    places = math.prod(map(len, values))
    mapped = len(cells) >= places / 2 and max(map(len, values)) <= 16
    fig, axes = (_heat_maps if mapped else _scatter)(cells, best, values, colors)
    diverged = sum(trial["status"] == "diverged" for trial in trials)
    title = f"Validation accuracy (%) of {len(trials)} trials, {diverged} diverged"
    others = [name for name in OTHERS if len({trial.get(name) for trial in trials}) > 1]
    if best["status"] == "ok":
        title += f"\nbest, framed: {_score(best):.1f} % with {_named(best, (*PLACE, *others))}"
    if len(cells) < len(trials):
        title += f"\n(each place shows its best trial, over {' and '.join(others) or 'repeats'})"
    if len({trial["epochs"] for trial in trials if trial["status"] == "ok"}) > 1:
        title += "\nsome were stopped early by halving"
    fig.suptitle(title.replace("_", " "), fontsize=11, wrap=True)
    fig.colorbar(colors, ax=axes, label="validation accuracy (%)", fraction=0.05, aspect=40)
    return _finish(fig, axes, path)


def _heat_maps(cells, best, values, colors):
    sizes, rates, regs = values
    columns, rows = min(len(sizes), 3), math.ceil(len(sizes) / 3)
    width, height = max(2.2, 0.66 * len(rates) + 0.9), max(2.2, 0.45 * len(regs) + 1.1)  # inches
    shape = (max(8, columns * width + 1), rows * height + 0.9)
    fig, axes = plt.subplots(rows, columns, squeeze=False, figsize=shape, layout="constrained")
    for ax in axes.flat[len(sizes) :]:
        ax.set_axis_off()
    for ax, size in zip(axes.flat, sizes, strict=False):
        ax.set(title=f"{size} hidden units", xlabel="learning rate", ylabel="regularization")
        ax.set_xticks(range(len(rates)), labels=[f"{rate:.3g}" for rate in rates], fontsize=SMALL)
        ax.set_yticks(range(len(regs)), labels=[f"{reg:.3g}" for reg in regs], fontsize=SMALL)
        ax.set(xlim=(-0.5, len(rates) - 0.5), ylim=(-0.5, len(regs) - 0.5))
    full = max(trial["epochs"] for trial in cells.values())
    for (size, rate, reg), trial in cells.items():
        ax, x, y = axes.flat[sizes.index(size)], rates.index(rate), regs.index(reg)
        color, text = "0.85", "diverged"
        if trial["status"] == "ok":
            color, text = colors.to_rgba(_score(trial)), f"{_score(trial):.1f}"
            text += f"\n{trial['epochs']} ep." if trial["epochs"] < full else ""
        edge = {"ec": RED, "lw": 3, "zorder": 3} if trial is best else {"ec": "0.6"}
        ax.add_patch(plt.Rectangle((x - 0.5, y - 0.5), 1, 1, fc=color, clip_on=False, **edge))
        _write(ax, x, y, text, color)
    return fig, axes


def _scatter(cells, best, values, colors):
    sizes, rates, regs = values
    fig, ax = plt.subplots(figsize=(9, 5.6), layout="constrained")
    area = {size: 40 + 200 * i / max(len(sizes) - 1, 1) for i, size in enumerate(sizes)}
    full = max(trial["epochs"] for trial in cells.values())
    for (size, rate, reg), trial in sorted(cells.items(), key=lambda cell: -cell[0][0]):
        look = {"c": "0.3", "marker": "x"}
        if trial["status"] == "ok":
            marker = "v" if trial["epochs"] < full else "o"
            look = {"c": [colors.to_rgba(_score(trial))], "marker": marker, "edgecolors": "0.3"}
        ax.scatter(rate, reg, area[size], **look)
        if trial is best:
            look = {"marker": "s", "edgecolors": RED, "linewidths": 3}
            ax.scatter(rate, reg, area[size] + 250, "none", **look)
    for set_scale, found in ((ax.set_xscale, rates), (ax.set_yscale, regs)):
        smallest = min(filter(None, found), default=1)  # 0 has no logarithm: linear from 0 to this
        set_scale("symlog", linthresh=smallest) if 0 in found else set_scale("log")
    ax.scatter([], [], 60, "0.3", marker="v", label="stopped early by halving")
    ax.scatter([], [], 60, "0.3", marker="x", label="diverged")
    for size in sizes[:: max(len(sizes) - 1, 1)]:
        ax.scatter([], [], area[size], "0.8", edgecolors="0.3", label=f"{size} hidden units")
    ax.set(xlabel="learning rate (log scale)", ylabel="regularization (log scale)")
    ax.grid(True, alpha=0.3)
    fig.legend(loc="outside lower center", ncols=5, fontsize=SMALL)
    return fig, ax


def plot_curves(trials, *, count=5, path=None):
    """Plot validation accuracy and loss by epoch of a sweep's best trials, best first, up to 8.

    A trial's "history" has 'val_acc_history' and 'val_loss_history', which is without the penalty,
    with which nets of different reg could not be compared.
    """
    chosen = [trial for trial in trials if trial["status"] == "ok"][: min(count, 8)]
    if not chosen:
        raise ValueError("no trial is ok, so there are no curves to draw")
    varied = [name for name in PLACE + OTHERS if len({trial.get(name) for trial in chosen}) > 1]
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.9), layout="constrained")
    fig.suptitle(f"The best {len(chosen)} trials by epoch")
    for trial, color, marker in zip(chosen, COLORS, MARKERS, strict=False):
        found = {name: np.array(values) for name, values in trial["history"].items()}
        epochs = np.arange(1, len(found["val_acc_history"]) + 1)
        look = {"color": color, "marker": marker, "ms": 5 if len(epochs) <= 30 else 0}
        label = f"{_score(trial):.2f} %  {_named(trial, varied)}"
        axes[0].plot(epochs, 100 * found["val_acc_history"], label=label, **look)
        axes[1].plot(epochs, found["val_loss_history"], **look)
    axes[0].set(title="Validation accuracy", ylabel="accuracy (%)")
    axes[1].set(title="Validation loss, without the penalty", ylabel="loss")
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(True, alpha=0.3)
    fig.legend(loc="outside lower center", fontsize=SMALL, ncols=2 if len(varied) < 3 else 1)
    return _finish(fig, axes, path)


def _score(trial):
    """The validation accuracy in %, or -1, below all others, for a trial that diverged."""
    return 100 * trial["val_acc"] if trial["status"] == "ok" else -1.0


def _named(trial, settings):
    found = {name: trial[name] for name in settings}
    found |= {k: f"{v:.4g}" for k, v in found.items() if not isinstance(v, str)}
    return ", ".join(f"{name} {text}" for name, text in found.items()).replace("_", " ")


def _write(ax, x, y, text, color):
    """Write text on a cell of this colour, in black or white, by WCAG 2's luminance."""
    bright = np.dot((0.2126, 0.7152, 0.0722), np.power(to_rgb(color), 2.2)) > 0.179
    look = {"ha": "center", "va": "center", "fontsize": SMALL, "zorder": 4, "in_layout": False}
    ax.text(x, y, text, color="black" if bright else "white", **look)


def _finish(fig, axes, path):
    """Return axes; given a path, write the picture and close it."""
    if path is not None:
        fig.savefig(f"{path}.part", format=os.path.splitext(path)[1][1:] or "png")
        os.replace(f"{path}.part", path)
        plt.close(fig)
    return axes
