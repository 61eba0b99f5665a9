"""Checks of the notebook's exercises: they print "right", or "not yet" and what is wrong.

    from exercises import checks
    checks.check_count(count)  # the function that you wrote

A check compares an answer with the right one, and with those that common mistakes lead to. If you
want to solve the exercises, read no further: the right answers are below.
"""

import numpy as np

from data_utils import load_dataset
from two_layer_net import TwoLayerNet, softmax

# ---- What all checks need


def checked(check):
    """Make a check print what is wrong. It says so by an AssertionError."""

    def checked_check(*answers):
        try:
            with np.errstate(all="ignore"):
                check(*answers)
        except AssertionError as error:
            print(f"not yet: {error}")
        except Exception as error:  # the answer is a function that does not work
            print(f"not yet: {type(error).__name__}: {error}")
        else:
            print("right")

    return checked_check


def parts_of(answer):
    """The arrays of an answer, which is an array or a tuple of arrays."""
    if isinstance(answer, tuple):
        return answer
    return (answer,)


def shapes_of(answer):
    return [np.shape(part) for part in parts_of(answer)]


def are_equal(answer, other, tolerance):
    """Whether two answers have the same shapes and, but for rounding, the same numbers."""
    if shapes_of(answer) != shapes_of(other):
        return False
    for part, other_part in zip(parts_of(answer), parts_of(other), strict=True):
        if not np.allclose(part, other_part, tolerance, tolerance):
            return False
    return True


def compare(answer, right, mistakes, tolerance=1e-6):
    """Check that an answer is right. mistakes: wrong answers, by what is to be said of each."""
    for part in parts_of(answer):
        assert part is not None, "nothing is returned"
    if are_equal(answer, right, tolerance):
        return
    for problem, wrong in mistakes.items():
        assert not are_equal(answer, wrong, tolerance), problem
    found = shapes_of(answer)
    wanted = shapes_of(right)
    assert found == wanted, f"the shape must be {wanted}, not {found}"
    raise AssertionError("the shape is right, but some numbers are wrong")


def call(function, *arguments):
    """What a function returns for these arguments, which it must not change."""
    before = [np.copy(argument) for argument in arguments]
    answer = function(*arguments)
    for old, argument in zip(before, arguments, strict=True):
        assert np.array_equal(old, argument), "it changes an array that it was given"
    assert answer is not None, "nothing is returned"
    return answer


def check_pair(answer, names):
    """Check that an answer is a tuple of two arrays, with these names."""
    assert answer is not None, "nothing is returned"
    is_list = isinstance(answer, list)
    assert not is_list, f"that is a list: return {names} without brackets"
    assert isinstance(answer, tuple), f"only one is returned: return {names}"


def check_randomness(function, *arguments):
    """Check that a function draws from rng, the last of its arguments, and from nothing else."""
    first = function(*arguments)
    second = function(*arguments)
    again = np.array_equal(first, second)
    assert not again, "rng is ignored: a second call draws the same"
    first = function(*arguments[:-1], np.random.default_rng(1))
    second = function(*arguments[:-1], np.random.default_rng(1))
    again = np.array_equal(first, second)
    assert again, "rng is ignored: draw from it, not from np.random"


def draw(*shape):
    return np.random.default_rng(7).standard_normal(shape)


# ---- Warm-up


@checked
def check_initial_losses(loss_10_classes, loss_100_classes):
    answers = (loss_10_classes, loss_100_classes)
    assert None not in answers, "fill in both numbers"
    C = np.array([10, 100])
    mistakes = {
        "the two are swapped": np.log(C[::-1]),
        "the sign is wrong: 1 / C is below 1": -np.log(C),
        "take the natural logarithm, math.log": np.log10(C),
        "that is 1 / C, take -log": 1 / C,
    }
    compare(np.array(answers), np.log(C), mistakes, tolerance=0.002)


@checked
def check_count(count):
    for D, H, C in ((784, 100, 10), (4, 10, 3)):
        right = D * H + H + H * C + C
        mistakes = {
            "the biases are missing": right - H - C,
            "b1 is missing": right - H,
            "b2 is missing": right - C,
        }
        compare(count(D, H, C), right, mistakes)


@checked
def check_softmax(my_softmax):
    S = 3 * draw(6, 4)
    P = call(my_softmax, S)
    E = np.exp(S)
    mistakes = {
        "each row must sum to 1, not the whole array": E / E.sum(),
        "the sum runs over the wrong axis: each row is an example": E / E.sum(axis=0),
    }
    compare(P, softmax(S), mistakes)
    for large in (1e3, -1e3):
        problem = f"it overflows for scores near {large:g}: subtract each row's maximum first"
        assert np.allclose(my_softmax(S + large), softmax(S), atol=1e-3), problem
    S[5] = [1e4, 0, 0, 0]
    problem = "subtract the maximum of each row: with another number some rows become 0 / 0 or inf"
    assert np.allclose(my_softmax(S), softmax(S), atol=1e-5), problem


@checked
def check_relu_gradient(relu_gradient):
    Z = draw(5, 6)
    dA = 1 + draw(6, 5).T
    slope = (Z > 0).astype(float)
    mistakes = {
        "that is ReLU: its slope is 1 or 0, and dA is missing": np.maximum(0, Z),
        "the slope of ReLU is 1 or 0, not ReLU itself": dA * np.maximum(0, Z),
        "it is the sign of Z that counts, not that of dA": np.maximum(0, dA),
        "that is the slope of ReLU: multiply by dA (chain rule)": slope,
        "where Z is below 0 nothing passes": dA,
    }
    compare(call(relu_gradient, dA, Z), dA * slope, mistakes)


@checked
def check_l2_gradient(l2_gradient):
    W = draw(3, 4)
    for reg in (0.3, 0.7):
        mistakes = {
            "the 2 is lost: the derivative of w**2 is 2 * w": reg * W,
            "each weight has its own gradient: no sum": 2 * reg * W.sum(),
            "that is the penalty, not its gradient": reg * np.sum(W**2),
            "that is the penalty of each weight, not its gradient": reg * W**2,
            "the derivative of w**2 is 2 * w, not 2 * w**2": 2 * reg * W**2,
        }
        compare(call(l2_gradient, W, reg), 2 * reg * W, mistakes)


# ---- Training


@checked
def check_weight_gradients(weight_gradients):
    X = draw(5, 4)
    W1 = draw(4, 6)
    W2 = draw(6, 3)
    dS = draw(5, 3)
    reg = 0.1
    Z = X @ W1
    A = np.maximum(0, Z)
    dA = dS @ W2.T
    answer = call(weight_gradients, X, Z, dS, W1, W2, reg)
    check_pair(answer, "dW1, dW2")
    swapped = shapes_of(answer) == [W2.shape, W1.shape]
    assert not swapped, "the answers are swapped: return dW1, dW2"
    check_weight_gradient("dW1", answer[0], X.T @ (dA * (Z > 0)), W1, reg, X.T @ dA)
    check_weight_gradient("dW2", answer[1], A.T @ dS, W2, reg, Z.T @ dS)


def check_weight_gradient(name, answer, without_penalty, W, reg, without_relu):
    penalty = 2 * reg * W
    mistakes = {
        "the 2 of the penalty is lost": without_penalty + penalty / 2,
        "the penalty is missing": without_penalty,
        "2 * reg * W is the gradient of the penalty, not W**2": without_penalty + penalty * W,
        "dS is divided by N already, not twice": without_penalty / 5 + penalty,
        "neither dS nor the penalty is divided by N here": (without_penalty + penalty) / 5,
        "ReLU is missing: Z > 0 for dW1, A = max(0, Z) for dW2": without_relu + penalty,
    }
    named = {f"{name}: {problem}": wrong for problem, wrong in mistakes.items()}
    compare(answer, without_penalty + penalty, named)


@checked
def check_momentum(momentum_step):
    w, g, v = draw(3, 4, 5)
    rate = 0.1
    momentum = 0.8
    new_v = momentum * v - rate * g
    new_w = w + new_v
    mistakes_in_v = {
        "the answers are swapped: return w, v": new_w,
        "the gradient is missing, - learning_rate * g": momentum * v,
        "v has the other sign here: - learning_rate * g": momentum * v + rate * g,
        "the learning rate belongs into v": momentum * v + g,
        "v is not a mean: not (1 - momentum) * g": momentum * v + (1 - momentum) * g,
        "v is not a mean: not - (1 - momentum) * g": momentum * v - (1 - momentum) * g,
    }
    mistakes_in_w = {
        "w takes a step by the new v, not by the old one": w + v,
        "w + v, as the minus is in v": w - new_v,
    }
    answer = momentum_step(w, g, v, rate, momentum)  # which may change these arrays
    check_pair(answer, "w, v")
    compare(answer[1], new_v, mistakes_in_v)
    compare(answer[0], new_w, mistakes_in_w)


@checked
def check_dropout(my_dropout):
    A = 3 + np.abs(draw(200, 300))
    for p in (0.4, 0.25):
        rng = np.random.default_rng(0)
        out = np.array(call(my_dropout, A, p, rng))
        zero = out == 0
        problem = "drop each number on its own, not whole rows or columns"
        assert not zero.all(axis=0).any(), problem
        assert not zero.all(axis=1).any(), problem
        share = zero.mean()
        problem = f"p = {p} is the share that is dropped, you keep that share"
        assert abs(share - (1 - p)) > 0.02, problem
        problem = f"{share:.0%} of the numbers are 0, not {p:.0%}"
        assert abs(share - p) < 0.02, problem
        kept = A[~zero]
        mistakes = {
            "what is kept must be scaled, so that the mean stays": kept,
            "divide by the share that is kept": kept / p,
        }
        compare(out[~zero], kept / (1 - p), mistakes)
        check_randomness(my_dropout, A, p, rng)


def find_move(image, moved):
    """By how many pixels, -2 to 2 along rows and columns, an image was moved; or None."""
    for rows in range(-2, 3):
        for columns in range(-2, 3):
            candidate = np.roll(image, (rows, columns), axis=(0, 1))
            if np.array_equal(candidate, moved):
                return rows, columns
    return None


@checked
def check_shift(shift):
    rng = np.random.default_rng(0)
    X = np.zeros((200, 28, 28), np.float32)
    X[:, 4:24, 4:24] = rng.random((200, 20, 20))
    out = call(shift, X, rng)
    assert isinstance(out, np.ndarray), "return an array: np.stack makes one of a list"
    problem = f"it returns {out.dtype} {out.shape}"
    assert out.shape == X.shape, problem
    assert out.dtype == X.dtype, problem
    moves = []
    for image, moved in zip(X, out, strict=True):
        moves.append(find_move(image, moved))
    assert None not in moves, "an image is not moved by whole pixels, at most 2"
    assert len(set(moves)) > 1, "all images of the batch are moved alike"
    for axis, name in enumerate(("rows", "columns")):
        ways = sorted({move[axis] for move in moves})
        problem = f"along the {name} the moves are {ways}, not all of -2 to 2"
        assert ways == [-2, -1, 0, 1, 2], problem
    assert len(set(moves)) > 15, "draw the moves along rows and columns independently"
    check_randomness(shift, X, rng)


@checked
def check_schedule(schedule):
    assert schedule(0.5) is not None, "nothing is returned"
    points = {0: 0, 0.05: 0.1, 0.1: 0.2, 0.325: 0.17071, 0.55: 0.1, 1.0: 0}
    for progress, rate in points.items():
        found = schedule(progress)
        problem = f"at progress {progress} the rate must be {rate:g}, not {found:g}"
        assert abs(found - rate) < 1e-4, problem


# ---- Measurements


@checked
def check_gap(gap, narrower):
    data = load_dataset("mnist5k")
    net = TwoLayerNet(784, 20, 10, rng=0)
    training = net.accuracy(data.X_train[:800], data.y_train[:800])
    validation = net.accuracy(data.X_val, data.y_val)
    all_rows = net.accuracy(data.X_train, data.y_train)
    mistakes = {
        "that is validation minus training accuracy": validation - training,
        "score the first rows, which the net was trained on": all_rows - validation,
    }
    compare(gap(net, 800), training - validation, mistakes, tolerance=1e-3)
    for change, answer in narrower.items():
        assert answer in (True, False), f"{change}: True or False?"
        # A net of one unit is as bad at the digits that it was trained on.
        right = change != "1 to 10 hidden units"
        assert answer == right, f"{change}: look again at the gaps that are printed"


@checked
def check_reg(nets, losses, accuracies, best_reg):
    data = load_dataset("mnist5k")
    for reg, net in nets.items():
        filled = losses[reg] is not None and accuracies[reg] is not None
        assert filled, f"fill in the loss and the accuracy for reg {reg:g}"
        loss, accuracy = net.evaluate(data.X_val, data.y_val)
        penalized, _ = net.loss(data.X_val, data.y_val, reg)
        mistakes = {
            "those are of the training digits": net.evaluate(data.X_train, data.y_train),
            "the penalty is in the loss: evaluate leaves it out": (penalized, accuracy),
            "the two are swapped": (accuracy, loss),
        }
        compare((losses[reg], accuracies[reg]), (loss, accuracy), mistakes, tolerance=1e-3)
    lowest = min(nets, key=losses.get)
    assert best_reg == lowest, "best_reg: the reg with the lowest loss of the validation digits"


# ---- The project


@checked
def check_test_digits(net):
    assert net is not None, "train a net first"
    data = load_dataset("mnist5k")
    accuracy = net.accuracy(data.X_test, data.y_test)
    problem = f"{accuracy:.1%} of the test digits: choose again, by the validation digits"
    assert accuracy > 0.95, problem
