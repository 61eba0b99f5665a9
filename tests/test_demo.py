"""The notebook as it is committed, and the checks of its exercises."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import gradient_check
from data_utils import load_dataset
from two_layer_net import TwoLayerNet
from two_layer_net import momentum as momentum_of_the_class

PATH = Path(gradient_check.__file__).resolve().parent / "demo.ipynb"
CELLS = json.loads(PATH.read_text(encoding="utf-8"))["cells"]


def test_notebook_is_committed_whole_and_without_traces_of_a_machine():
    assert PATH.stat().st_size < 3e6
    count = 0
    for number, cell in enumerate(CELLS, start=1):
        assert cell["id"] == f"cell-{number:03}" and cell["metadata"] == {}
        if cell["cell_type"] != "code":
            continue
        count += 1
        assert cell["execution_count"] == count  # run from top to bottom, once
        assert "".join(cell["source"]).count("\n") < 35
        for output in cell["outputs"]:
            assert output["output_type"] != "error" and output.get("name") != "stderr", output
            text = "".join(output.get("text", "")) + json.dumps(
                output.get("data", {}).get("text/plain", "")
            )
            assert not re.search(r"/tmp|/home|/root|/Users|[A-Z]:\\|0x[0-9a-f]{6}", text), text


@pytest.fixture(scope="module")
def checks():
    """The functions check_... that the notebook's cells define."""
    names = {
        "np": np,
        "TwoLayerNet": TwoLayerNet,
        "momentum": momentum_of_the_class,
        **vars(gradient_check),
    }
    names["data"] = load_dataset("mnist5k")
    for cell in CELLS:
        source = "".join(cell["source"])
        if source.startswith("# checks"):
            exec(source, names)
    return names


def rolled(X, moves):
    return np.stack([np.roll(x, move, axis=(0, 1)) for x, move in zip(X, moves, strict=True)])


def softmax_in_place(S):
    S -= S.max(axis=1, keepdims=True)
    return np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)


def softmax_of_all(S):
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum()


def warm_cosine(progress, top=0.2, warm_up=0.1):
    if progress < warm_up:
        return top * progress / warm_up
    return top * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2


def momentum(w, g, v, lr, m):
    v = m * v - lr * g
    return w + v, v


ANSWERS = {  # check: a right answer, then plausible wrong ones
    "initial_losses": [
        (2.3026, 4.605),
        (None, None),
        (2.3026, 2.3026),
        (1.0, 2.0),
        (-2.3026, -4.605),
    ],
    "count": [
        lambda D, H, C: H * (D + 1) + C * (H + 1),
        lambda D, H, C: None,
        lambda D, H, C: D * H + H * C,
        lambda D, H, C: (D + H + C) * 2,
    ],
    "softmax": [
        lambda S: softmax_in_place(S.copy()),
        lambda S: None,
        softmax_in_place,
        softmax_of_all,
        lambda S: np.exp(S) / np.exp(S).sum(axis=1, keepdims=True),
        lambda S: np.exp(S - S.max()) / np.exp(S - S.max()).sum(axis=1, keepdims=True),
        lambda S: np.exp(S - S.max()) / np.exp(S - S.max()).sum(axis=0),
    ],
    "relu_gradient": [
        lambda dA, Z: dA * (Z > 0),
        lambda dA, Z: None,
        lambda dA, Z: dA * np.maximum(0, Z),
        lambda dA, Z: np.maximum(0, dA),
        lambda dA, Z: (Z > 0).astype(float),
    ],
    "l2_gradient": [
        lambda W, reg: 2 * reg * W,
        lambda W, reg: None,
        lambda W, reg: reg * W,
        lambda W, reg: 2 * reg * W.sum(),
        lambda W, reg: reg * W**2,
        lambda W, reg: 0.6 * W,
    ],
    "momentum": [
        momentum,
        lambda *arguments: None,
        lambda w, g, v, lr, m: (w + v, m * v - lr * g),
        lambda w, g, v, lr, m: (w - lr * (m * v + g), m * v + g),
        lambda w, g, v, lr, m: momentum(w, g, v, lr, m)[::-1],
    ],
    "dropout": [
        lambda A, p, rng: A * (rng.random(A.shape) >= p) / (1 - p),
        lambda A, p, rng: None,
        lambda A, p, rng: A * (rng.random(A.shape) >= p),
        lambda A, p, rng: A * (rng.random(A.shape) < p) / p,
        lambda A, p, rng: A * (rng.random(A.shape) >= 0.4) / 0.6,
        lambda A, p, rng: 3 * (rng.random(A.shape) >= p) / (1 - p),
        lambda A, p, rng: A * (np.random.default_rng(0).random(A.shape) >= p) / (1 - p),
        lambda A, p, rng: A * (rng.random(A.shape[1]) >= p) / (1 - p),
        lambda A, p, rng: A * (rng.random(A.shape) >= p) / p,
        lambda A, p, rng: A,
    ],
    "shift": [
        lambda X, rng: rolled(X, rng.integers(-2, 3, (len(X), 2))),
        lambda X, rng: None,
        lambda X, rng: X,
        lambda X, rng: np.roll(X, rng.integers(-2, 3, 2), axis=(1, 2)),
        lambda X, rng: rolled(X, rng.integers(0, 2, (len(X), 2))),
        lambda X, rng: rolled(X, rng.integers(-2, 2, (len(X), 2))),
        lambda X, rng: rolled(X, rng.integers(0, 3, (len(X), 2))),
        lambda X, rng: rolled(X, np.random.default_rng(0).integers(-2, 3, (len(X), 2))),
        lambda X, rng: list(rolled(X, rng.integers(-2, 3, (len(X), 2)))),
        lambda X, rng: rolled(X, rng.integers(-5, 6, (len(X), 2))),
        lambda X, rng: rolled(X, rng.integers(-2, 3, (len(X), 2)) * [0, 1]),
        lambda X, rng: rolled(X, rng.integers(-2, 3, (len(X), 1)).repeat(2, axis=1)),
        lambda X, rng: rolled(X, rng.integers(-2, 3, (len(X), 2))).astype(float),
    ],
    "schedule": [
        warm_cosine,
        lambda progress: None,
        lambda progress: warm_cosine(progress, top=0.1),
        lambda progress: warm_cosine(progress, warm_up=0.2),
        lambda progress: 0.2 * min(progress / 0.1, (1 - progress) / 0.9),
        lambda progress: 0.1 * (1 + math.cos(math.pi * progress)),
        lambda progress: max(0.1, warm_cosine(progress)),
    ],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_exercise_knows_right_from_wrong(name, checks, capsys):
    right, *wrong = ANSWERS[name]
    checks[f"check_{name}"](right)
    assert capsys.readouterr().out == "right\n"
    for answer in wrong:
        checks[f"check_{name}"](answer)
        assert capsys.readouterr().out.startswith("not yet: ")


def test_exercise_counts_right_test_digits(checks, capsys):
    class Oracle:
        def __init__(self, wrong):
            self.wrong = wrong

        def predict(self, X):
            y = checks["data"].y_test.copy()
            y[: self.wrong] = (y[: self.wrong] + 1) % 10
            return y

    for net, said in (
        (Oracle(49), "right\n"),
        (Oracle(50), "not yet: 95.0% of"),
        (None, "not yet: train"),
    ):
        checks["check_test_digits"](net)
        assert capsys.readouterr().out.startswith(said)


def test_every_exercise_is_tested(checks):
    found = {name.removeprefix("check_") for name in checks if name.startswith("check_")}
    assert found == {*ANSWERS, "test_digits", "gradients"}  # gradients: gradient_check's own
