"""Numerical gradients, to check derived ones against.

    python gradient_check.py                  # a table: every option of the class, every parameter
    check_gradients(net, X, y, reg=0.1)       # your own net, on a few rows of your own data

The slope of f at x is about (f(x + h) - f(x - h)) / 2h. The error of this is in proportion to h**2,
plus some 1e-16 / h, since f itself is rounded. A relative error of 1e-7 or less says that a
gradient is right, of 1e-2 or more that it is wrong. See the notes of cs231n,
https://cs231n.github.io/neural-networks-3/#gradcheck.
"""

import argparse
import copy
import itertools
import sys

import numpy as np

# Where numerical slopes are tried one after the other, a relative error this small is enough.
GOOD = 1e-8


def rel_error(x, y):
    """The largest relative difference of two arrays: max |x - y| / max(1e-8, |x| + |y|).

    With the 1e-8, numbers that are both 0 differ by 0, and tiny ones are compared as if they were
    larger. Raises ValueError if their shapes differ.
    """
    x = np.asarray(x, np.float64)
    y = np.asarray(y, np.float64)
    if x.shape != y.shape:
        raise ValueError(f"x and y must have the same shape, got {x.shape} and {y.shape}")
    return float(np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y))))


def _check_x(x):
    if getattr(x, "dtype", None) != np.float64:
        raise ValueError("x must be a float64 array: others lose a small step in rounding")


def _f_at_step(f, x, i, step):
    """f(x) with x[i] moved by step; i is a tuple of indices. Afterwards x is as it was before."""
    old = x[i]
    x[i] = old + step
    try:
        return np.array(f(x), np.float64)  # a copy: f may return the same array each time
    finally:  # also if f raises an exception
        x[i] = old


def _slope(f, x, i, h):
    """(f(x + h) - f(x - h)) / 2h, where only x[i] is moved by h."""
    right = _f_at_step(f, x, i, h)
    left = _f_at_step(f, x, i, -h)
    return (right - left) / (2 * h)


def eval_numerical_gradient(f, x, verbose=True, h=1e-5):
    """The numerical gradient at x of a function f(x) that returns a number.

    x: float64 array, changed while f is called and put back. verbose: print each slope.
    Returns an array like x. Raises ValueError if f returns more than a number.
    """
    _check_x(x)
    grad = np.zeros_like(x)
    for i in np.ndindex(x.shape):  # of a matrix (0, 0), (0, 1), ...
        slope = _slope(f, x, i, h)
        if slope.size != 1:
            raise ValueError(
                f"f must return a number, not {slope.shape}: see eval_numerical_gradient_array"
            )
        grad[i] = slope.item()
        if verbose:
            print(i, grad[i])
    return grad


def eval_numerical_gradient_array(f, x, df, h=1e-5):
    """The numerical gradient at x of sum(f(x) * df), for a function f(x) that returns an array.

    x: float64 array, changed while f is called and put back. df: dL/df(x) for some loss L, a fixed
    array of the shape of f(x). By the chain rule the result, an array like x, is then dL/dx.
    """
    _check_x(x)
    grad = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        slope = _slope(f, x, i, h)
        if slope.shape != np.shape(df):
            raise ValueError(f"df must be like f(x), {slope.shape}, got {np.shape(df)}")
        grad[i] = np.sum(slope * df)
    return grad


def grad_check_sparse(f, x, analytic_grad, num_checks=10, h=1e-5):
    """Print the numerical and the analytic slope of f at num_checks places drawn by np.random.

    f, x: as for eval_numerical_gradient. analytic_grad: the derived gradient, of the shape of x.
    """
    _check_x(x)
    if np.shape(analytic_grad) != x.shape:
        raise ValueError(f"analytic_grad must have the shape of x, {x.shape}")
    for _ in range(num_checks):
        i = tuple(np.random.randint(n) for n in x.shape)
        numerical = _slope(f, x, i, h)
        analytic = analytic_grad[i]
        print(
            f"numerical: {numerical:f} analytic: {analytic:f}, "
            f"relative error: {rel_error(numerical, analytic):e}"
        )


def check_gradients(net, X, y, reg=0.0):
    """rel_error between derived and numerical gradient for each parameter: {"W1": error, ...}.

    net: has `params`, a dict of arrays, and loss(X, y, reg) -> (loss, grads), like TwoLayerNet or
    your own class. With a `dropout` above 0 its loss must take rng=0, too, so that each call drops
    the same units. Works on a float64 copy, and calls loss five times or more for each number in
    params (see `_error_at`). Raises ValueError, saying what to do, if a gradient is missing or has
    a wrong shape.
    """
    net = copy.deepcopy(net)
    net.dtype = np.float64  # TwoLayerNet calculates in this dtype
    net.params = {name: np.asarray(w, np.float64) for name, w in net.params.items()}
    options = {}
    if getattr(net, "dropout", 0) > 0:
        options = {"rng": 0}  # a seed: each call draws the same dropout mask
    try:
        result = net.loss(X, y, reg, **options)
    except TypeError as error:
        raise ValueError(
            f"{error}; net.loss must take X, y and reg; "
            "with dropout, set net.dropout = 0 or let it take rng, a seed, too"
        ) from error
    if (
        not isinstance(result, tuple)
        or not isinstance(result[-1], dict)
        or np.ndim(result[0]) > 0  # one loss a row, say
    ):
        raise ValueError("net.loss must return (loss, grads), a number and a dict")
    grads = result[-1]
    _check_shapes(grads, net.params)

    # `_error_at` calls f(x) with x an array in net.params, after changing a number in it. As
    # net.loss reads net.params, it sees the change, and the argument itself is not needed.
    def loss_of(_):
        return net.loss(X, y, reg, **options)[0]

    errors = {}
    for name, w in net.params.items():
        errors[name] = max(_error_at(loss_of, w, i, grads[name][i]) for i in np.ndindex(w.shape))
    return errors


def _check_shapes(grads, params):
    """See that there is a gradient of the right shape for each parameter."""
    for name, w in params.items():
        if name not in grads:
            raise ValueError(f"net.loss has no gradient of {name}, only of {list(grads)}")
        shape = np.shape(grads[name])
        if shape != w.shape:
            hint = " (transposed?)" if shape == w.shape[::-1] else ""
            raise ValueError(f"{name} has shape {w.shape}, its gradient {shape}{hint}")


def _error_at(f, x, i, derived):
    """The relative error of the derived slope of f at x[i], compared with numerical ones.

    They are taken from five points, as in tables of finite differences (Fornberg 1988). Written out
    at x - 2h, x - h, x, x + h, x + 2h as Taylor series, the next terms after the slope cancel. So
    the first one, `centred` with h = 1e-3, is nearly always good to 1e-9. A step across the kink of
    ReLU mixes two slopes, though. Then a smaller step may be right, or a slope to one side only; a
    wrong derived slope agrees with none of them.
    """
    smallest = np.inf
    for h in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        left2 = _f_at_step(f, x, i, -2 * h)
        left = _f_at_step(f, x, i, -h)
        middle = _f_at_step(f, x, i, 0)
        right = _f_at_step(f, x, i, h)
        right2 = _f_at_step(f, x, i, 2 * h)
        # The error is about h**4 of the first, h**2 of the others.
        centred = (8 * (right - left) - (right2 - left2)) / (12 * h)
        rightward = (4 * right - 3 * middle - right2) / (2 * h)
        leftward = (3 * middle - 4 * left + left2) / (2 * h)
        # Each f is rounded by about 1e-16 of itself, and has a weight of up to 8.
        rounding = 1e-15 * abs(middle) / h
        for slope in (centred, rightward, leftward):
            error = rel_error(slope, derived)
            if abs(slope - derived) < rounding:  # they may well be equal
                error = min(error, GOOD)
            smallest = min(smallest, error)
        if smallest <= GOOD:
            break
    return smallest


def main(arguments=None):
    """The command: print the table, return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(arguments)
    from two_layer_net import TwoLayerNet  # here, so that the functions work without it

    rng = np.random.default_rng(0)
    X = rng.standard_normal((5, 4))
    y = rng.integers(0, 3, 5)
    wrong = 0
    print("largest |derived - numerical| / (|derived| + |numerical|) of a parameter\n")
    print("activation  criterion  dropout         W1       b1       W2       b2")
    activations = ("relu", "leaky_relu", "tanh", "sigmoid")
    criteria = ("softmax", "mse")
    for activation, criterion, dropout in itertools.product(activations, criteria, (0.0, 0.5)):
        net = TwoLayerNet(4, 6, 3, "xavier", activation=activation, rng=rng)
        net.criterion = criterion
        net.dropout = dropout
        errors = check_gradients(net, X, y, reg=0.1)
        row = f"{activation:<12}{criterion:<11}{dropout:<9g}"
        for error in errors.values():
            row += f"{error:9.1e}"
        if max(errors.values()) > 1e-7:
            row += "   WRONG"
            wrong += 1
        print(row)
    if wrong == 0:
        print("\nall within 1e-07")
        return 0
    print(f"\n{wrong} of 16 over 1e-07")
    return 1


if __name__ == "__main__":
    sys.exit(main())
