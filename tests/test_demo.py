"""The notebook as it is committed, and the checks of its exercises."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from data_utils import load_dataset, one_hot_encode
from exercises import checks
from exercises.checks import (
    check_count,
    check_dropout,
    check_gap,
    check_initial_losses,
    check_l2_gradient,
    check_momentum,
    check_reg,
    check_relu_gradient,
    check_schedule,
    check_shift,
    check_softmax,
    check_test_digits,
    check_weight_gradients,
)
from two_layer_net import TwoLayerNet, softmax

PATH = Path(checks.__file__).resolve().parents[1] / "demo.ipynb"
CELLS = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
SOURCES = ["".join(cell["source"]) for cell in CELLS]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]

# ---- The notebook


def test_it_is_executed_from_top_to_bottom():
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    assert len(CELLS) <= 90
    assert PATH.stat().st_size < 2e6


def test_its_outputs_have_no_errors_and_no_traces_of_a_machine():
    for cell in CODE:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"
            text = str(output.get("text", output.get("data", {}).get("text/plain")))
            assert not re.search(r"/tmp|/home|/root|/Users|[A-Z]:\\|0x[0-9a-f]{6}", text)
            assert "False" not in text  # "by hand and from the class the same: ..."


def test_its_contents_lead_to_its_sections():
    sections = re.findall(r"^## (.*)", "\n".join(SOURCES), re.M)
    links = re.findall(r"^\d+\. \[.*\]\(#(.*?)\)", SOURCES[0], re.M)
    assert links == [section.replace(" ", "-") for section in sections]


def test_training_by_hand_is_what_the_class_does():
    names = {"np": np, "softmax": softmax, "one_hot_encode": one_hot_encode}
    (source,) = [source for source in SOURCES if source.startswith("def train_by_hand")]
    exec(source, names)
    X = np.random.default_rng(0).standard_normal((50, 4))
    y = np.arange(50) % 3
    losses, params = names["train_by_hand"](X, y, 6, 3, 0.5, 0.1, 4, 15, seed=1)
    net = TwoLayerNet(4, 6, 3, std="he", rng=1)
    history = net.train(X, y, X, y, 0.5, 1.0, reg=0.1, epochs=4, batch_size=15)
    assert np.allclose(losses, history["loss_history"], rtol=1e-12)
    for param, expected in zip(params, net.params.values(), strict=True):
        assert np.allclose(param, expected)


# ---- The exercises: answers, and what their checks must say. Of a function that is its docstring.


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ((math.log(10), math.log(100)), "right"),
        ((None, None), "fill in both"),
        ((4.605, 2.303), "swapped"),
        ((-2.303, -4.605), "the sign is wrong"),
        ((1.0, 2.0), "natural logarithm"),
        ((2.303, 2.303), "some numbers are wrong"),
    ],
)
def test_losses(answers, words, capsys):
    check_initial_losses(*answers)
    assert words in capsys.readouterr().out


def count(D, H, C):
    """right"""
    return H * (D + 1) + C * (H + 1)


def count_without_biases(D, H, C):
    """the biases are missing"""
    return D * H + H * C


def count_without_b1(D, H, C):
    """b1 is missing"""
    return D * H + H * C + C


def count_with_a_slip(D, H, C):
    """NameError"""
    return d * H + H * C  # noqa: F821


def right_softmax(S):
    """right"""
    return softmax(S)


def softmax_in_place(S):
    """read-only"""
    S -= S.max(axis=1, keepdims=True)
    return softmax(S)


def softmax_of_all(S):
    """each row must sum to 1"""
    return np.exp(S) / np.exp(S).sum()


def softmax_of_columns(S):
    """wrong axis"""
    return softmax(S.T).T


def softmax_that_overflows(S):
    """overflows for large scores"""
    return np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)


def softmax_less_the_minimum(S):
    """subtract the maximum of each row"""
    return softmax_that_overflows(S - S.min(axis=1, keepdims=True))


def softmax_less_one_maximum(S):
    """subtract the maximum of each row"""
    return softmax_that_overflows(S - S.max())


def relu_gradient(dA, Z):
    """right"""
    return dA * (Z > 0)


def relu_gradient_by_the_sign_of_dA(dA, Z):
    """the sign of Z that counts"""
    return dA * (dA > 0)


def relu_slope(dA, Z):
    """multiply by dA"""
    return Z > 0


def relu(dA, Z):
    """that is ReLU"""
    return np.maximum(0, Z)


def relu_for_its_slope(dA, Z):
    """not ReLU itself"""
    return dA * relu(dA, Z)


def l2_gradient(W, reg):
    """right"""
    return 2 * reg * W


def l2_gradient_without_2(W, reg):
    """the 2 is lost"""
    return reg * W


def l2_penalty(W, reg):
    """not its gradient"""
    return reg * W**2


def l2_penalty_twice(W, reg):
    """not 2 * w**2"""
    return 2 * reg * W**2


def weight_gradients(X, Z, dS, W1, W2, reg):
    """right"""
    dZ = relu_gradient(dS @ W2.T, Z)
    return X.T @ dZ + 2 * reg * W1, np.maximum(0, Z).T @ dS + 2 * reg * W2


def weight_gradients_in_a_list(*arguments):
    """end with: return dW1, dW2  (both, without brackets)"""
    return list(weight_gradients(*arguments))


def weight_gradients_without_2(X, Z, dS, W1, W2, reg):
    """dW1: the 2 of the penalty"""
    return weight_gradients(X, Z, dS, W1, W2, reg / 2)


def weight_gradients_without_penalty(X, Z, dS, W1, W2, reg):
    """the penalty is missing"""
    return weight_gradients(X, Z, dS, W1, W2, 0)


def weight_gradients_of_the_mean_again(X, Z, dS, W1, W2, reg):
    """divided by N already"""
    return weight_gradients(X, Z, dS / len(X), W1, W2, reg)


def weight_gradients_without_slope(X, Z, dS, W1, W2, reg):
    """dW1: ReLU is missing"""
    return X.T @ (dS @ W2.T) + 2 * reg * W1, weight_gradients(X, Z, dS, W1, W2, reg)[1]


def weight_gradients_from_Z(X, Z, dS, W1, W2, reg):
    """dW2: ReLU is missing"""
    return weight_gradients(X, Z, dS, W1, W2, reg)[0], Z.T @ dS + 2 * reg * W2


def momentum_step(w, g, v, rate, momentum):
    """right"""
    v = momentum * v - rate * g
    return w + v, v


def momentum_step_in_place(w, g, v, rate, momentum):
    """right"""
    v *= momentum
    v -= rate * g
    w += v
    return w, v


def momentum_step_swapped(*arguments):
    """swapped"""
    return momentum_step(*arguments)[::-1]


def momentum_step_by_the_old_v(w, g, v, rate, momentum):
    """not by the old one"""
    return w + v, momentum * v - rate * g


def momentum_step_with_minus(w, g, v, rate, momentum):
    """other sign"""
    v = momentum * v + rate * g
    return w - v, v


def momentum_step_uphill(w, g, v, rate, momentum):
    """other sign"""
    v = momentum * v + rate * g
    return w + v, v


def momentum_step_with_the_rate_outside(w, g, v, rate, momentum):
    """belongs into v"""
    v = momentum * v + g
    return w - rate * v, v


def momentum_step_of_a_mean(w, g, v, rate, momentum):
    """v is not a mean"""
    v = momentum * v + (1 - momentum) * g
    return w - rate * v, v


def dropout(A, p, rng):
    """right"""
    return A * (rng.random(A.shape) >= p) / (1 - p)


def dropout_from_a_generator_of_its_own(A, p, rng):
    """rng is ignored"""
    return dropout(A, p, np.random.default_rng(0))


def dropout_without_scaling(A, p, rng):
    """must be scaled"""
    return dropout(A, p, rng) * (1 - p)


def dropout_scaled_by_p(A, p, rng):
    """divide by the share that is kept"""
    return dropout_without_scaling(A, p, rng) / p


def dropout_of_the_others(A, p, rng):
    """you keep that share"""
    return dropout(A, 1 - p, rng)


def dropout_of_columns(A, p, rng):
    """not whole columns"""
    return A * dropout(np.ones(A.shape[1]), p, rng)


def dropout_of_rows(A, p, rng):
    """not whole rows"""
    return dropout_of_columns(A.T, p, rng).T


def shift(X, rng, largest=2):
    """right"""
    moves = rng.integers(-2, largest + 1, (len(X), 2))
    return np.stack([np.roll(x, move, axis=(0, 1)) for x, move in zip(X, moves, strict=True)])


def shift_by_a_generator_of_its_own(X, rng):
    """rng is ignored"""
    return shift(X, np.random.default_rng(0))


def shift_all_alike(X, rng):
    """moved alike"""
    return np.roll(X, rng.integers(-2, 3, 2), axis=(1, 2))


def shift_further(X, rng):
    """not by -2 to 2"""
    return shift(X, rng, largest=5)


def shift_along_the_diagonal(X, rng):
    """independently"""
    return np.stack([np.roll(x, rng.integers(-2, 3), axis=(0, 1)) for x in X])


def shift_less_along_the_rows(X, rng):
    """the rows are moved by [-1  0  1]"""
    moves = rng.integers((-1, -2), (2, 3), (len(X), 2))
    return np.stack([np.roll(x, move, axis=(0, 1)) for x, move in zip(X, moves, strict=True)])


def shift_into_a_list(X, rng):
    """np.stack"""
    return list(shift(X, rng))


def schedule(progress):
    """right"""
    if progress < 0.1:
        return 2 * progress
    return 0.1 + 0.1 * math.cos(math.pi * (progress - 0.1) / 0.9)


def schedule_of_half_the_rate(progress):
    """the rate must be 0.1, not 0.05"""
    return schedule(progress) / 2


ANSWERS = {
    check_count: [
        count,
        count_without_biases,
        count_without_b1,
        count_with_a_slip,
    ],
    check_softmax: [
        right_softmax,
        softmax_in_place,
        softmax_of_all,
        softmax_of_columns,
        softmax_that_overflows,
        softmax_less_the_minimum,
        softmax_less_one_maximum,
    ],
    check_relu_gradient: [
        relu_gradient,
        relu_gradient_by_the_sign_of_dA,
        relu_slope,
        relu,
        relu_for_its_slope,
    ],
    check_l2_gradient: [
        l2_gradient,
        l2_gradient_without_2,
        l2_penalty,
        l2_penalty_twice,
    ],
    check_weight_gradients: [
        weight_gradients,
        weight_gradients_in_a_list,
        weight_gradients_without_2,
        weight_gradients_without_penalty,
        weight_gradients_of_the_mean_again,
        weight_gradients_without_slope,
        weight_gradients_from_Z,
    ],
    check_momentum: [
        momentum_step,
        momentum_step_in_place,
        momentum_step_swapped,
        momentum_step_by_the_old_v,
        momentum_step_with_minus,
        momentum_step_uphill,
        momentum_step_with_the_rate_outside,
        momentum_step_of_a_mean,
    ],
    check_dropout: [
        dropout,
        dropout_from_a_generator_of_its_own,
        dropout_without_scaling,
        dropout_scaled_by_p,
        dropout_of_the_others,
        dropout_of_columns,
        dropout_of_rows,
    ],
    check_shift: [
        shift,
        shift_by_a_generator_of_its_own,
        shift_all_alike,
        shift_further,
        shift_along_the_diagonal,
        shift_less_along_the_rows,
        shift_into_a_list,
    ],
    check_schedule: [
        schedule,
        schedule_of_half_the_rate,
    ],
}
CASES = [(check, answer) for check, answers in ANSWERS.items() for answer in answers]


@pytest.mark.parametrize(("check", "answer"), CASES)
def test_check_says_what_the_answer_has_as_its_docstring(check, answer, capsys):
    check(answer)
    said = capsys.readouterr().out
    assert answer.__doc__ in said
    assert said.startswith(("right\n", "not yet: "))


def gap(net, rows):
    data = load_dataset("mnist5k")
    training = net.accuracy(data.X_train[:rows], data.y_train[:rows])
    return training - net.accuracy(data.X_val, data.y_val)


def gap_of_all_rows(net, rows):
    return gap(net, 3200)


def gap_with_the_other_sign(net, rows):
    return -gap(net, rows)


@pytest.mark.parametrize(
    ("answer", "units", "words"),
    [
        (gap, False, "right"),
        (gap, True, "1 to 10 hidden units: True or False"),
        (gap_of_all_rows, False, "the first rows"),
        (gap_with_the_other_sign, False, "validation minus training"),
    ],
)
def test_gap(answer, units, words, capsys):
    narrower = {
        "800 to 3200 rows": True,
        "1 to 10 hidden units": units,
        "10 to 100 hidden units": True,
        "reg 0 to 1e-2": True,
    }
    check_gap(answer, narrower)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("best_reg", "words"), [(0.1, "right"), (0.0, "the reg with the lowest loss")]
)
def test_reg(best_reg, words, capsys):
    data = load_dataset("mnist5k")
    nets = {0.0: TwoLayerNet(784, 5, 10, 1.0, rng=0), 0.1: TwoLayerNet(784, 5, 10, 0.01, rng=0)}
    losses = {}
    accuracies = {}
    for reg, net in nets.items():
        losses[reg], accuracies[reg] = net.evaluate(data.X_val, data.y_val)
    check_reg(nets, losses, accuracies, best_reg)
    assert words in capsys.readouterr().out
    losses[0.1], _ = nets[0.1].loss(data.X_val, data.y_val, 0.1)
    check_reg(nets, losses, accuracies, best_reg)
    assert "the penalty is in the loss" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "words"), [(49, "right"), (50, "95.0% of the test digits"), (None, "train a net")]
)
def test_project(wrong, words, capsys):
    net = None
    if wrong is not None:
        net = TwoLayerNet(784, 1, 10, rng=0)
        net.accuracy = lambda X, y: 1 - wrong / len(y)
    check_test_digits(net)
    assert words in capsys.readouterr().out
