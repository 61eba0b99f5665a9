"""The notebook as it is committed, and the checks of its exercises."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import data_utils
import gradient_check
import two_layer_net
from two_layer_net import TwoLayerNet

PATH = Path(two_layer_net.__file__).resolve().parent / "demo.ipynb"
CELLS = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
SOURCES = ["".join(cell["source"]) for cell in CELLS]


def test_it_is_executed_from_top_to_bottom_without_traces_of_a_machine():
    assert PATH.stat().st_size < 2e6 and len(CELLS) <= 100
    assert [cell["id"] for cell in CELLS] == [f"cell-{i + 1:03}" for i in range(len(CELLS))]
    assert not any(cell["metadata"] for cell in CELLS)
    code = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for output in (output for cell in code for output in cell["outputs"]):
        assert output["output_type"] != "error" and output.get("name") != "stderr", output
        text = "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
        assert not re.search(r"/tmp|/home|/root|/Users|[A-Z]:\\|0x[0-9a-f]{6}", text), text
        assert "False" not in text, text  # "by hand and from the class the same: ..."


def test_its_contents_lead_to_its_sections():
    sections = re.findall(r"^## (.*)", "\n".join(SOURCES), re.M)
    links = re.findall(r"^\d+\. \[.*\]\(#(.*?)\)", SOURCES[0], re.M)
    assert links == [section.replace(" ", "-") for section in sections]


@pytest.fixture(scope="module")
def notebook():
    """What the cells with the checks define, and those with functions that they use."""
    names = vars(two_layer_net) | vars(data_utils) | vars(gradient_check)
    names["data"] = data_utils.load_dataset("mnist5k")
    for source in SOURCES:
        if source.startswith(("# checks", "def softmax", "def train_by_hand")):
            exec(source.split("\n\n\nscores =")[0], names)
    return names


def test_training_by_hand_is_what_the_class_does(notebook):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 4)), rng.integers(0, 3, 50)
    losses, params = notebook["train_by_hand"](X, y, 6, 3, 0.5, 0.1, 4, 15, seed=1)
    net = TwoLayerNet(4, 6, 3, std="he", rng=1)
    history = net.train(X, y, X, y, 0.5, 1.0, reg=0.1, epochs=4, batch_size=15)
    assert np.allclose(losses, history["loss_history"], rtol=1e-12)
    assert all(map(np.allclose, params, net.params.values()))


def softmax(S, top=None, total=None):
    E = np.exp(S - (S.max(axis=1, keepdims=True) if top is None else top))
    return E / (E.sum(axis=1, keepdims=True) if total is None else total(E))


def weight_gradients(X, Z, dS, W1, W2, reg, A=None, slope=None):
    A, slope = np.maximum(Z, 0) if A is None else A, (Z > 0) if slope is None else slope
    return X.T @ (dS @ W2.T * slope) + 2 * reg * W1, A.T @ dS + 2 * reg * W2


def dropped(A, p, rng, shape=None, scale=None):
    return A * (rng.random(shape or A.shape) >= p) / (1 - p if scale is None else scale)


def shift(X, rng, low=-2, high=2, columns=2):
    moves = np.broadcast_to(rng.integers(low, high + 1, (len(X), columns)), (len(X), 2))
    return np.stack([np.roll(x, move, axis=(0, 1)) for x, move in zip(X, moves, strict=True)])


def warm_cosine(progress, top=0.2):
    t = (progress - 0.1) / 0.9
    return top * (progress / 0.1 if t < 0 else (1 + math.cos(math.pi * t)) / 2)


def net_with(wrong):
    """A net that reads all but so many of the test digits."""
    net, y = TwoLayerNet(784, 1, 10, rng=0), data_utils.load_dataset("mnist5k").y_test
    net.accuracy = lambda X, labels: np.mean(labels == (y + (np.arange(len(y)) < wrong)) % 10)
    return net


# An exercise with its arguments, then answers, each after words that the check must say.
ANSWERS = """
initial_losses
    right | (2.3026, 4.6052)
    fill in both | (None, None)
    swapped | (4.6052, 2.3026)
    the sign is wrong | (-2.3026, -4.6052)
    the same probability | (2.3026, 2.3026)
count D, H, C
    right | H * (D + 1) + C * (H + 1)
    biases are missing | D * H + H * C
softmax S
    right | softmax(S)
    changes the array | softmax(np.subtract(S, S.max(axis=1, keepdims=True), out=S))
    each row must sum to 1 | softmax(S, total=np.sum)
    wrong axis | softmax(S, 0, lambda E: E.sum(axis=0))
    overflows for scores near 10000 | softmax(S, 0)
    one maximum for the whole array | softmax(S, S.max())
relu_gradient dA, Z
    right | dA * (Z > 0)
    sign of Z that counts | dA * (dA > 0)
    multiply by dA | (Z > 0) * 1.0
l2_gradient W, reg
    right | 2 * reg * W
    the 2 is lost | reg * W
    not its gradient | reg * W**2
weight_gradients X, Z, dS, W1, W2, reg
    right | weight_gradients(X, Z, dS, W1, W2, reg)
    nothing | (None, None)
    swapped | weight_gradients(X, Z, dS, W1, W2, reg)[::-1]
    only dW1 | weight_gradients(X, Z, dS, W1, W2, reg)[0]
    the 2 of the penalty | weight_gradients(X, Z, dS, W1, W2, reg / 2)
    the penalty is missing | weight_gradients(X, Z, dS, W1, W2, 0)
    the slope of ReLU | weight_gradients(X, Z, dS, W1, W2, reg, slope=1)
    its input is A | weight_gradients(X, Z, dS, W1, W2, reg, Z)
momentum w, g, v, lr, m
    right | (w + m * v - lr * g, m * v - lr * g)
    nothing | None
    only w is returned | w + m * v - lr * g
    swapped | (m * v - lr * g, w + m * v - lr * g)
    not by the old one | (w + v, m * v - lr * g)
    other sign | (w - m * v - lr * g, m * v + lr * g)
    learning rate belongs into v | (w - lr * (m * v + g), m * v + g)
dropout A, p, rng
    right | dropped(A, p, rng)
    nothing | None
    rng is ignored | dropped(A, p, np.random.default_rng(0))
    must be scaled | dropped(A, p, rng, scale=1)
    divide by the share that is kept | dropped(A, p, rng, scale=p)
    you keep that share | dropped(A, 1 - p, rng)
    40% of the numbers | dropped(A, 0.4, rng)
    rows or columns | dropped(A, p, rng, A.shape[1])
shift X, rng
    right | shift(X, rng)
    nothing | None
    rng is ignored | shift(X, np.random.default_rng(0))
    moved alike | np.roll(X, rng.integers(-2, 3, 2), axis=(1, 2))
    the moves are [-2, -1, 0, 1] | shift(X, rng, high=1)
    at most 2 | shift(X, rng, -5, 5)
    independently | shift(X, rng, columns=1)
    np.stack | list(shift(X, rng))
schedule progress
    right | warm_cosine(progress)
    must be 0.1, not 0.05 | warm_cosine(progress, top=0.1)
    at progress 0.325 | 0.2 * min(progress / 0.1, (1 - progress) / 0.9)
test_digits
    right | net_with(49)
    train a net | None
    95.0% of the test digits | net_with(50)
"""
EXERCISES = re.split(r"\n(?=\w)", ANSWERS.strip())


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda text: text.split()[0])
def test_exercise_knows_right_from_wrong_and_says_what_is_wrong(exercise, notebook, capsys):
    head, *answers = exercise.split("\n")
    name, _, arguments = head.partition(" ")
    for words, answer in (line.strip().split(" | ") for line in answers):
        function = f"lambda {arguments}: {answer}" if arguments else answer
        notebook[f"check_{name}"](eval(function))
        said = capsys.readouterr().out
        assert said == "right\n" if words == "right" else re.match("not yet: .*", said), answer
        assert words in said, (answer, said)


def test_every_exercise_is_tested(notebook):
    tested = {f"check_{exercise.split()[0]}" for exercise in EXERCISES} | {"check_gradients"}
    assert tested == {name for name in notebook if name.startswith("check_")}
