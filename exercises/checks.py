"""Checks of the notebook's exercises: they print "right", or "not yet" and what is wrong.

    from exercises import checks
    checks.check_count(count)  # the function that you wrote

A check compares an answer with the right one, and with those that common mistakes lead to. The
arrays that it gives to a function are read-only, except where it says that they may be changed. If
you want to solve the exercises, read no further: the right answers are below.
"""

import numpy as np

from data_utils import load_dataset
from two_layer_net import TwoLayerNet, softmax

data = load_dataset("mnist5k")


# ---- What all checks need


def checked(check):
    """Make a check print what is wrong. It says so by an AssertionError."""

    @np.errstate(all="ignore")
    def checked_check(*answers):
        try:
            check(*answers)
            print("right")
        except AssertionError as error:
            print(f"not yet: {error}")
        except Exception as error:  # the answer is a function that does not work
            print(f"not yet: {type(error).__name__}: {error}")

    return checked_check


def draw(*shape):
    """Normal random numbers, read-only: a function that changes them fails with a ValueError."""
    numbers = np.random.default_rng(7).standard_normal(shape)
    numbers.flags.writeable = False
    return numbers


def are_equal(answer, other):
    """Whether two answers have the same shape and, but for rounding, the same numbers."""
    if np.shape(answer) != np.shape(other):
        return False
    # 4.6 will do for log(100) = 4.605. No mistake that is named below comes so near to the answer.
    return np.allclose(answer, other, rtol=0, atol=0.006)


def compare(answer, right, mistakes, name=""):
    """Check that an answer is right.

    mistakes: wrong answers, by what is to be said of each.
    name: of the answer, with a colon, where a check has several.
    """
    assert answer is not None, f"{name}nothing is returned"
    if are_equal(answer, right):
        return
    for problem, wrong in mistakes.items():
        assert not are_equal(answer, wrong), name + problem
    found = np.shape(answer)
    wanted = np.shape(right)
    assert found == wanted, f"{name}the shape must be {wanted}, not {found}"
    raise AssertionError(f"{name}the shape is right, but some numbers are wrong")


def call_with_rng(function, *arguments):
    """The array that a function returns. Check that it draws from rng and from nothing else."""
    rng = np.random.default_rng(0)
    answer = function(*arguments, rng)
    assert answer is not None, "nothing is returned"
    assert isinstance(answer, np.ndarray), "return an array: np.stack makes one of a list"
    wanted = arguments[0].shape
    assert answer.shape == wanted, f"the shape must be {wanted}, not {answer.shape}"
    second = function(*arguments, rng)
    assert not np.array_equal(answer, second), "rng is ignored: a second call draws the same"
    again = function(*arguments, np.random.default_rng(0))
    assert np.array_equal(answer, again), "rng is ignored: draw from it, not from np.random"
    return answer


# ---- Warm-up


@checked
def check_initial_losses(*losses):
    """losses: for 10 classes and for 100."""
    assert None not in losses, "fill in both numbers"
    C = np.array([10, 100])
    right = np.log(C)
    mistakes = {
        "the two are swapped": right[::-1],
        "the sign is wrong: the logarithm of 1 / C is negative": -right,
        "take the natural logarithm, math.log": np.log10(C),
        "that is 1 / C, take -log": 1 / C,
    }
    compare(losses, right, mistakes)


@checked
def check_count(count):
    weights = 784 * 100 + 100 * 10
    b1 = 100
    b2 = 10
    mistakes = {
        "the biases are missing": weights,
        "b1 is missing": weights + b2,
        "b2 is missing": weights + b1,
    }
    compare(count(784, 100, 10), weights + b1 + b2, mistakes)


@checked
def check_softmax(my_softmax):
    S = draw(6, 4)
    E = np.exp(S)
    mistakes = {
        "each row must sum to 1, not the whole array": E / E.sum(),
        "the sum runs over the wrong axis: each row is an example": E / E.sum(axis=0),
    }
    compare(my_softmax(S), softmax(S), mistakes)
    # Only the maximum of each row itself will do for all of these.
    S = np.array(
        [[1e4, 0, 0, 0], [1, 2, 3, 4], [1000, 1001, 1002, 0], [-9000, -9001, -9002, -9003]]
    )
    P = my_softmax(S)
    problem = "it overflows for large scores: subtract the maximum of each row, no other number"
    assert are_equal(P, softmax(S)), problem


@checked
def check_relu_gradient(relu_gradient):
    dA, Z = draw(2, 5, 6)
    relu = np.maximum(0, Z)
    slope = Z > 0
    mistakes = {
        "that is ReLU: its slope is 1 or 0, and dA is missing": relu,
        "the slope of ReLU is 1 or 0, not ReLU itself": dA * relu,
        "it is the sign of Z that counts, not that of dA": np.maximum(0, dA),
        "that is the slope of ReLU: multiply by dA (chain rule)": slope,
        "where Z is below 0 nothing passes": dA,
    }
    compare(relu_gradient(dA, Z), dA * slope, mistakes)


@checked
def check_l2_gradient(l2_gradient):
    W = draw(3, 4)
    reg = 0.3
    penalties = reg * W**2
    right = 2 * reg * W
    mistakes = {
        "the 2 is lost: the derivative of w**2 is 2 * w": right / 2,
        "each weight has its own gradient: no sum": right.sum(),
        "that is the penalty, not its gradient": penalties.sum(),
        "that is the penalty of each weight, not its gradient": penalties,
        "the derivative of w**2 is 2 * w, not 2 * w**2": 2 * penalties,
    }
    compare(l2_gradient(W, reg), right, mistakes)


# ---- Training


@checked
def check_weight_gradients(weight_gradients):
    X = draw(5, 4)
    W1 = draw(4, 6)
    W2 = draw(6, 3)
    dS = draw(5, 3)
    Z = X @ W1
    Z.flags.writeable = False
    answer = weight_gradients(X, Z, dS, W1, W2, 0.1)
    assert isinstance(answer, tuple) and len(answer) == 2, (
        "end with: return dW1, dW2  (both, without brackets)"
    )
    dW1, dW2 = answer
    assert np.shape(dW1) != W2.shape, "the answers are swapped: return dW1, dW2"
    A = np.maximum(0, Z)
    dA = dS @ W2.T
    dZ = dA * (Z > 0)
    check_weight_gradient("dW1: ", dW1, X.T @ dZ, X.T @ dA, W1)
    check_weight_gradient("dW2: ", dW2, A.T @ dS, Z.T @ dS, W2)


def check_weight_gradient(name, answer, without_penalty, without_relu, W):
    penalty = 2 * 0.1 * W  # its gradient
    right = without_penalty + penalty
    mistakes = {
        "the 2 of the penalty is lost": right - penalty / 2,
        "the penalty is missing": without_penalty,
        "2 * reg * W is the gradient of the penalty, not W**2": without_penalty + penalty * W,
        "dS is divided by N already, not twice": without_penalty / 5 + penalty,
        "neither dS nor the penalty is divided by N here": right / 5,
        "ReLU is missing: Z > 0 for dW1, A = max(0, Z) for dW2": without_relu + penalty,
    }
    compare(answer, right, mistakes, name)


@checked
def check_momentum(momentum_step):
    w, g, v = draw(3, 4, 5)
    # The step may change these arrays.
    answer = momentum_step(w.copy(), g.copy(), v.copy(), 0.1, 0.8)
    assert isinstance(answer, tuple) and len(answer) == 2, (
        "end with: return w, v  (both, without brackets)"
    )
    answer_w, answer_v = answer
    kept = 0.8 * v
    step = 0.1 * g
    mean = (1 - 0.8) * g
    new_v = kept - step
    new_w = w + new_v
    mistakes_in_v = {
        "the answers are swapped: return w, v": new_w,
        "the gradient is missing, - learning_rate * g": kept,
        "v has the other sign here: - learning_rate * g": kept + step,
        "the learning rate belongs into v": kept + g,
        "the learning rate is missing": kept - g,
        "v is not a mean: not (1 - momentum) * g": kept + mean,
        "v is not a mean: not - (1 - momentum) * g": kept - mean,
    }
    compare(answer_v, new_v, mistakes_in_v, "v: ")
    mistakes_in_w = {
        "w takes a step by the new v, not by the old one": w + v,
        "w + v, as the minus is in v": w - new_v,
    }
    compare(answer_w, new_w, mistakes_in_w, "w: ")


@checked
def check_dropout(my_dropout):
    A = draw(200, 300)
    out = call_with_rng(my_dropout, A, 0.4)
    zero = out == 0
    assert not zero.all(axis=0).any(), "drop each number on its own, not whole columns"
    assert not zero.all(axis=1).any(), "drop each number on its own, not whole rows"
    share = zero.mean()
    assert abs(share - 0.6) > 0.02, "p is the share that is dropped, you keep that share"
    assert abs(share - 0.4) < 0.02, f"{share:.0%} of the numbers are 0, not 40%"
    kept = A[~zero]
    mistakes = {
        "what is kept must be scaled, so that the mean stays": kept,
        "divide by the share that is kept": kept / 0.4,
    }
    compare(out[~zero], kept / 0.6, mistakes)


@checked
def check_shift(shift):
    # Each image has one bright pixel, in row 14 and column 14, with a value of its own.
    values = np.arange(1, 2001)
    X = np.zeros((2000, 28, 28))
    X[:, 14, 14] = values
    X.flags.writeable = False
    out = call_with_rng(shift, X)
    pixels = out[out != 0]
    assert np.array_equal(pixels, values), "an image is not moved by whole pixels"
    places = out.any(axis=0)  # of 28 x 28 pixels those that are bright in some image
    count = places.sum()
    assert count > 1, "all images of the batch are moved alike"
    for name, axis in (("rows", 1), ("columns", 0)):
        moves = np.flatnonzero(places.any(axis)) - 14
        problem = f"the {name} are moved by {moves}, not by -2 to 2"
        assert np.array_equal(moves, range(-2, 3)), problem
    assert count == 25, "draw the moves along rows and columns independently"


@checked
def check_schedule(schedule):
    # By progress: a line from 0 up to 0.2, then half a cosine, a quarter of which is over at 0.325.
    rates = {0: 0, 0.05: 0.1, 0.1: 0.2, 0.325: 0.17071, 1: 0}
    for progress, rate in rates.items():
        found = schedule(progress)
        assert found is not None, "nothing is returned"
        problem = f"at progress {progress} the rate must be {rate:g}, not {found:g}"
        assert abs(found - rate) < 1e-4, problem


# ---- Measurements


@checked
def check_gap(gap, narrower):
    net = TwoLayerNet(784, 20, 10, rng=6)
    training = net.accuracy(data.X_train[:100], data.y_train[:100])
    validation = net.accuracy(data.X_val, data.y_val)
    all_rows = net.accuracy(data.X_train, data.y_train)
    mistakes = {
        "that is validation minus training accuracy": validation - training,
        "score the first rows, which the net was trained on": all_rows - validation,
    }
    compare(gap(net, 100), training - validation, mistakes)
    assert len(narrower) == 4, "answer all four"
    for change, answer in narrower.items():
        # The other changes make it narrower; more units learn the training digits by heart.
        right = change != "1 to 10 hidden units"
        assert answer == right, f"{change}: True or False? Look at the gaps that are printed"


@checked
def check_reg(nets, losses, accuracies, best_reg):
    for reg, net in nets.items():
        answer = (losses[reg], accuracies[reg])
        assert None not in answer, f"fill in the loss and the accuracy for reg {reg:g}"
        loss, accuracy = net.evaluate(data.X_val, data.y_val)
        penalized, _ = net.loss(data.X_val, data.y_val, reg)
        mistakes = {
            "those are of the training digits": net.evaluate(data.X_train, data.y_train),
            "the penalty is in the loss: evaluate leaves it out": (penalized, accuracy),
            "the two are swapped": (accuracy, loss),
        }
        compare(answer, (loss, accuracy), mistakes)
    assert best_reg == min(nets, key=losses.get), "best_reg: the reg with the lowest loss"


# ---- The project


@checked
def check_test_digits(net):
    assert net is not None, "train a net first"
    accuracy = net.accuracy(data.X_test, data.y_test)
    assert accuracy > 0.95, (
        f"{accuracy:.1%} of the test digits: choose again, by the validation digits"
    )
