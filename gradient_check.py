"""Numerical gradients, to check the derived ones against.

    python gradient_check.py                    # a table: every option of the class, every parameter
    check_gradients(net, X, y, reg=0.1)         # your own net on your own data

A centred difference (f(x + h) - f(x - h)) / 2h has an error of order h**2, as long as f is smooth between
the two points. ReLU and leaky ReLU have a kink where a pre-activation is 0: a step across it measures a
mean of two slopes, which is neither, and says nothing about the derivation. So check on data that keep
every pre-activation further from 0 than a step can move it; `python gradient_check.py` draws such data.
"""

import argparse
import copy
import sys
from numbers import Integral

import numpy as np

from two_layer_net import ACTIVATIONS, CRITERIA, TwoLayerNet, _array, _number

TOLERANCE = 1e-7  # of the table


def rel_error(x, y):
    """Largest relative difference of two arrays: max |x - y| / max(1e-8, |x| + |y|)."""
    x, y = _real_array("x", x), _real_array("y", y)
    if x.shape != y.shape or x.size == 0:
        raise ValueError(f"x and y must have the same shape and not be empty, got {x.shape} and {y.shape}")
    with np.errstate(all="ignore"):  # infinite numbers give NaN
        x, y = (a.astype(np.float64) / 2 for a in (x, y))  # so that no sum can overflow
        return float(np.max(np.abs(x - y) / np.maximum(1e-8 / 2, np.abs(x) + np.abs(y))))


def eval_numerical_gradient(f, x, verbose=True, h=1e-5):
    """Gradient of f at x by centred differences.

    f : function of x that returns a number. x : float array, changed in place while f is called and
    restored. verbose : print each element. Returns an array like x.
    """
    _check_arguments(f, x, h)
    grad = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        grad[i] = _slope(f, x, i, h)
        if verbose:
            print(i, grad[i])
    return grad


def eval_numerical_gradient_array(f, x, df, h=1e-5):
    """Gradient at x of sum(f(x) * df), where f returns an array like df: x's gradient when df is f's."""
    _check_arguments(f, x, h)
    grad, df = np.zeros_like(x), _real_array("df", df)
    for i in np.ndindex(x.shape):
        change = _difference(f, x, i, h)
        if change.shape != df.shape:
            raise ValueError(f"df must have the shape of f(x), {change.shape}, got {df.shape}")
        with np.errstate(all="ignore"):  # infinity times 0 is NaN
            grad[i] = np.sum(change * df)
    return grad


def grad_check_sparse(f, x, analytic_grad, num_checks=10, h=1e-5):
    """Print numerical and analytic gradient at num_checks elements, drawn by numpy's global generator."""
    _check_arguments(f, x, h)
    analytic_grad = _real_array("analytic_grad", analytic_grad)
    if analytic_grad.shape != x.shape or x.size == 0:
        raise ValueError(f"analytic_grad must have x's shape {x.shape}, not empty, got {analytic_grad.shape}")
    for _ in range(_number("num_checks", num_checks, "[1, inf)", Integral)):
        i = tuple(np.random.randint(n) for n in x.shape)
        numerical, analytic = _slope(f, x, i, h), analytic_grad[i]
        error = rel_error(numerical, analytic)
        print(f"numerical: {numerical:f} analytic: {analytic:f}, relative error: {error:e}")


def _difference(f, x, i, h):
    """Centred difference of f in the element x[i], which is restored."""
    old, values = x[i], []
    if not np.isfinite(old):
        raise ValueError(f"x must be finite, got {old} in x{list(i)}")
    with np.errstate(all="ignore"):
        places = np.array([old + h, old - h], x.dtype)
        moved = places[0] - places[1]  # not 2h: they are rounded in x's dtype
    if not 0 < moved < np.inf:
        raise ValueError(f"h={h} is too small or too large beside x{list(i)}={old} in {x.dtype}")
    try:
        for place in places:
            x[i] = place
            value = _real_array("f(x)", f(x))
            values.append(value.astype(np.result_type(value, float)))  # a copy, as f may write to it again
    finally:
        x[i] = old
    with np.errstate(all="ignore"):  # infinite numbers give NaN
        return (values[0] - values[1]) / moved


def _slope(f, x, i, h):
    """Centred difference of an f that returns one number, as that number."""
    change = _difference(f, x, i, h)
    if change.size != 1:
        raise ValueError(f"f must return a number, got an array of shape {change.shape}")
    return change.item()


def _check_arguments(f, x, h):
    if not callable(f):
        raise TypeError(f"f must be a function, got {f!r}")
    if type(x) is not np.ndarray or x.dtype.kind != "f":  # a masked array or matrix is not one
        raise TypeError(f"x must be an array of floats, got {getattr(x, 'dtype', '')} {type(x).__name__}")
    if not x.flags.writeable:
        raise ValueError("x is changed while f is called, so it must not be read-only: give x.copy() instead")
    _number("h", h, "(0, inf)")


def _real_array(name, values):
    array = _array(name, values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {array.dtype}")
    return array


def check_gradients(net, X, y, reg=0.0, h=1e-4):
    """rel_error between derived and numerical gradient for each parameter: {"W1": error, ...}.

    Works on a float64 copy of the net and with one dropout mask throughout. Two centred differences, with
    steps h and 2h, are combined so that their h**2 errors cancel; what is left is rounding, about 1e-16 / h
    of the loss. Takes four calls of net.loss for each number in params: use a small net and few examples.
    """
    if not hasattr(net, "params") or not hasattr(net, "loss"):
        raise TypeError(f"net must be a TwoLayerNet, got {net!r}")
    if y is None:
        raise ValueError("y must hold labels, got None")
    _number("h", h, "(0, inf)")
    net = copy.deepcopy(net)
    net.dtype = np.dtype(np.float64)
    grads, errors = net.loss(X, y, reg, rng=0)[1], {}
    for name in grads:

        def loss(_):
            return net.loss(X, y, reg, rng=0)[0]

        once, twice = (eval_numerical_gradient(loss, net.params[name], False, step) for step in (h, 2 * h))
        errors[name] = rel_error((4 * once - twice) / 3, grads[name])
    return errors


def example(activation, criterion, dropout, seed=0):
    """A small net and data (net, X, y) with all pre-activations further than 0.05 from the kink at 0.

    That is more than a step of 2e-3 in one parameter moves them, as no |X| is above 25.
    """
    rng = np.random.default_rng(_number("seed", seed, "[0, inf)", Integral))
    while True:
        net = TwoLayerNet(
            4, 6, 3, "xavier", activation=activation, dropout=dropout, criterion=criterion, rng=rng
        )
        for name in ("b1", "b2"):
            net.params[name] += 0.1 * rng.standard_normal(net.params[name].shape)
        X, y = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
        if np.abs(X @ net.params["W1"] + net.params["b1"]).min() > 0.05:
            return net, X, y


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Check the derived gradients of every option of TwoLayerNet against numerical ones,\n"
        "(loss(w + h) - loss(w - h)) / 2h, one parameter w after the other. Prints the largest relative\n"
        f"error, |a - b| / (|a| + |b|), for each parameter; exit code 1 if one is over {TOLERANCE:g}.",
        epilog="""to check your own net, or your own formula:

    from gradient_check import check_gradients, eval_numerical_gradient, rel_error
    print(check_gradients(net, X, y, reg=0.1))    # float64; a few inputs, units and examples will do
    numerical = eval_numerical_gradient(lambda W: np.sum(W**2), W, verbose=False)
    print(rel_error(2 * W, numerical))            # 1e-7 or less: right; 1e-2 or more: wrong""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)

    print("largest |derived - numerical| / (|derived| + |numerical|) for each parameter\n")
    print(f"{'activation':<12}{'criterion':<11}{'dropout':<9}{'W1':>9}{'b1':>9}{'W2':>9}{'b2':>9}")
    failed = 0
    for activation in ACTIVATIONS:
        for criterion in CRITERIA:
            for dropout in (0.0, 0.5):
                net, X, y = example(activation, criterion, dropout)
                errors = check_gradients(net, X, y, reg=0.1, h=1e-3).values()
                wrong = not all(error <= TOLERANCE for error in errors)  # NaN is wrong, too
                failed += wrong
                row = "".join(f"{error:9.1e}" for error in errors)
                print(f"{activation:<12}{criterion:<11}{dropout:<9g}{row}{'   WRONG' if wrong else ''}")
    print(f"\n{failed} of 16 over {TOLERANCE:g}" if failed else f"\nall within {TOLERANCE:g}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
