"""Every public function with every argument of a wrong kind: a right answer or an error that names it."""

import contextlib
import copy
import io
import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data_utils
import gradient_check
import vis_utils
from two_layer_net import TwoLayerNet

X, y, X3 = np.random.default_rng(0).standard_normal((3, 4)), np.array([0, 1, 1]), np.ones((3, 4))
IMAGES = np.random.default_rng(1).random((3, 5, 6))
DATA = data_utils.load_dataset("mnist5k")
READ_ONLY = X.copy()
READ_ONLY.flags.writeable = False
BAD = {
    "None": None, "True": True, "NaN": np.nan, "infinity": np.inf, "-infinity": -np.inf, "-1": -1, "0": 0,
    "1/2": 0.5, "10**400": 10**400, "2**63": 2**63, "1j": 1j, "text": "no/such/folder", "bytes": b"ab",
    "list": [1, 2], "empty list": [], "ragged": [[1], [1, 2]], "dict": {1: 2}, "set": {1, 2},
    "range": range(3),
    "object": object(), "module": sys, "0-dimensional": np.array(3.0), "0-dimensional integer": np.array(3),
    "empty": np.zeros((0, 4)), "no columns": np.zeros((3, 0)), "NaNs": np.full((3, 4), np.nan),
    "infinities": np.full((3, 4), np.inf), "huge": np.full((3, 4), 1e308), "integers": X3.astype(int),
    "labels": y.copy(), "labels as floats": y * 1.0, "negative labels": -y, "(N, 1) labels": y[:, None],
    "one-hot labels": np.eye(3), "labels as bools": y > 0, "labels as text": np.array(["a", "b", "c"]),
    "objects": np.array([0, 1, None], object), "numbers as objects": X3.astype(object),
    "records": np.zeros(3, "i4,f4"), "masked": np.ma.array(X3, mask=np.eye(3, 4)),
    "masked labels": np.ma.array(y, mask=[0, 1, 0]), "read-only": READ_ONLY,
    "columns first": np.asfortranarray(X),
    "every second": np.ones((6, 8))[::2, ::2], "backwards": X[::-1], "dates": np.zeros(3, "M8[s]"),
    "complex": X3 * 1j, "float16": X3.astype(np.float16), "long double": X3.astype(np.longdouble),
    "other byte order": X3.astype(">f8"), "three dimensions": np.ones((3, 2, 2)),
}  # fmt: skip
with contextlib.suppress(ImportError):
    import pandas

    BAD["Series"], BAD["DataFrame"] = pandas.Series(y), pandas.DataFrame(X)
    BAD["Series with a gap"] = pandas.Series([0, 1, None], dtype="Int64")
    BAD["Series of categories"] = pandas.Series(["a", "b", "c"], dtype="category")


def net():
    return TwoLayerNet(4, 3, 2, 0.1, rng=0)


def squares(x):
    with np.errstate(all="ignore"):
        return np.sum(x * x)


HISTORY = net().train(X, y, X, y, epochs=2)
TRIALS = [{"hidden_size": 5, "learning_rate": 0.1, "reg": 0.1, "status": "ok", "val_acc": 0.5}]
# Functions and their arguments as they are right.
CALLS = {
    "TwoLayerNet": (
        TwoLayerNet,
        {"input_size": 4, "hidden_size": 3, "output_size": 2, "std": 0.1, "activation": "relu", "leak": 0.1,
         "dropout": 0.0, "criterion": "mse", "dtype": float, "rng": 0},
    ),
    "loss": (lambda **options: net().loss(**options), {"X": X, "y": y, "reg": 0.1, "rng": 0}),
    "predict": (lambda **options: net().predict(**options), {"X": X}),
    "train": (
        lambda **options: net().train(**options),
        {"X": X, "y": y, "X_val": X, "y_val": y, "learning_rate": 0.1, "learning_rate_decay": 0.9, "reg": 0.1,
         "batch_size": 2, "verbose": False, "epochs": 1, "optimizer": "adam", "augment": None,
         "callback": None, "checkpoint": None, "resume": False, "keep_best": False, "beta1": 0.9, "eps": 0.1},
    ),
    "save": (lambda path: net().save(path), {"path": "no/such/folder/x"}),
    "load": (TwoLayerNet.load, {"path": "no/such/folder"}),
    "read_idx": (data_utils.read_idx, {"path": "no/such/folder"}),
    "write_idx": (data_utils.write_idx, {"path": "no/such/folder/x", "array": np.zeros(3, np.uint8)}),
    "load_dataset": (
        data_utils.load_dataset,
        {"name": "mnist5k", "directory": None, "validation": 3999, "normalize": False, "dtype": np.float32},
    ),
    "load_CIFAR10": (data_utils.load_CIFAR10, {"ROOT": "no/such/folder"}),
    "get_CIFAR10_data": (
        data_utils.get_CIFAR10_data,
        {"num_training": 9, "num_validation": 9, "num_test": 9, "subtract_mean": True},
    ),
    "download": (data_utils.download, {"name": "mnist5k", "directory": None}),
    "one_hot_encode": (data_utils.one_hot_encode, {"y": y, "num_classes": 2, "dtype": float}),
    "one_hot_decode": (data_utils.one_hot_decode, {"Y": np.eye(3)}),
    "transform": (DATA.transform, {"images": np.ones((2, 28, 28))}),
    "to_pixels": (DATA.to_pixels, {"X": np.ones((2, 784))}),
    "flip": (data_utils.flip, {"X_batch": IMAGES}),
    "distort": (
        data_utils.distort,
        {"X_batch": IMAGES, "pixels": 1, "degrees": 10, "zoom": 0.1, "elastic": 1.0, "sigma": 4},
    ),
    "drop_inputs": (data_utils.drop_inputs, {"X_batch": IMAGES, "p": 0.2}),
    "rel_error": (gradient_check.rel_error, {"x": X, "y": X + 1}),
    "eval_numerical_gradient": (
        gradient_check.eval_numerical_gradient,
        {"f": squares, "x": X.copy(), "verbose": False, "h": 1e-5},
    ),
    "eval_numerical_gradient_array": (
        gradient_check.eval_numerical_gradient_array,
        {"f": lambda x: x / 2, "x": X.copy(), "df": X, "h": 1e-5},
    ),
    "grad_check_sparse": (
        gradient_check.grad_check_sparse,
        {"f": squares, "x": X.copy(), "analytic_grad": 2 * X, "num_checks": 2, "h": 1e-5},
    ),
    "check_gradients": (
        gradient_check.check_gradients,
        {"net": net(), "X": X, "y": y, "reg": 0.1, "h": 1e-4},
    ),
    "visualize_grid": (vis_utils.visualize_grid, {"Xs": IMAGES, "ubound": 255.0, "padding": 1}),
    "show_net_weights": (vis_utils.show_net_weights, {"net": net(), "image_shape": (2, 2), "path": None}),
    "plot_history": (vis_utils.plot_history, {"history": HISTORY, "path": None}),
    "plot_predictions": (
        vis_utils.plot_predictions,
        {"net": net(), "X": X, "y": y, "image_shape": (2, 2), "images": X, "class_names": None, "path": None},
    ),
    "plot_confusion": (
        vis_utils.plot_confusion,
        {"y_true": y, "y_pred": y, "class_names": ["a", "b"], "path": None},
    ),
    "plot_sweep": (vis_utils.plot_sweep, {"trials": TRIALS, "path": None}),
}  # fmt: skip
LEFT_OUT = {  # they do as often or as much as they are asked to
    f"{call} {kind}"
    for call in ("grad_check_sparse num_checks", "visualize_grid padding", "train epochs")
    for kind in ("10**400", "2**63")
}
CASES = [
    (name, argument, kind)
    for name, (_, arguments) in CALLS.items()
    for argument in arguments
    for kind in BAD
    if f"{name} {argument} {kind}" not in LEFT_OUT
    and f"{name} {argument}" != "eval_numerical_gradient verbose"
]


def same(a, b):
    """Whether two values are equal, bit by bit."""
    if isinstance(a, np.ndarray):
        plain = a.dtype.kind in "biufc"
        return a.dtype == b.dtype and (np.array_equal(a, b, equal_nan=True) if plain else repr(a) == repr(b))
    return repr(a) == repr(b)


def call(name, argument, value):
    """What the call gives: its answer, or an exception; all arguments are left as they were."""
    function, arguments = CALLS[name]
    arguments = {**arguments, argument: value}
    if name in ("flip", "distort", "drop_inputs"):
        arguments["rng"] = np.random.default_rng(0)
    before = {key: copy.deepcopy(given) for key, given in arguments.items() if isinstance(given, np.ndarray)}
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return function(**arguments)
        finally:
            assert all(same(arguments[key], given) for key, given in before.items()), (
                "an argument was changed"
            )


def wrong(case):
    """What is wrong with a call, or None."""
    name, argument, kind = case
    try:
        call(name, argument, BAD[kind])
    except (ValueError, TypeError, OSError) as error:
        named = any(re.search(rf"\b{word}\b", str(error)) for word in (*CALLS[name][1], "mnist5k"))
        if named or isinstance(error, OSError):  # a path that is not there
            return None
        return f"{case}: the error does not name the argument: {error!r}"
    except Exception as error:
        return f"{case}: {error!r}"
    return None


@settings(derandomize=True, deadline=None, max_examples=600)
@given(st.sampled_from(CASES))
def test_a_wrong_argument_is_named(case):
    problem = wrong(case)
    assert problem is None, problem


# ---- the same numbers in another form give the same answer

FORMS = {
    "list": lambda a: a.tolist(),
    "columns first": np.asfortranarray,
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "every second": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "long double": lambda a: a.astype(np.longdouble) if a.dtype.kind == "f" else a.astype(np.uint8),
    "tuples": lambda a: tuple(a.tolist()),
}
ARRAYS = [
    (name, argument)
    for name, (_, arguments) in CALLS.items()
    for argument, value in arguments.items()
    if isinstance(value, np.ndarray) and argument != "x" and not name.startswith(("plot_", "write_"))
]


def numbers(answer):
    """All numbers in an answer, in order."""
    if isinstance(answer, dict | tuple | list):
        parts = answer.values() if isinstance(answer, dict) else answer
        return np.concatenate([numbers(part) for part in parts])
    return np.ravel([] if answer is None else answer)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "argument"), ARRAYS)
def test_another_form_of_an_array_gives_the_same_answer(name, argument, form):
    value = CALLS[name][1][argument]
    expected, found = call(name, argument, value), call(name, argument, FORMS[form](value))
    np.testing.assert_allclose(numbers(found), numbers(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("augment", [data_utils.flip, data_utils.distort, data_utils.drop_inputs])
@pytest.mark.parametrize("rng", [0, None, "a", np.random.default_rng])
def test_augmentations_name_a_wrong_generator(augment, rng):
    with pytest.raises(TypeError, match="rng must be"):
        augment(np.zeros((2, 4, 4)), rng)


@pytest.mark.parametrize(
    "trials", [None, 3, "abc", [None], [{}], [{"status": "ok"}], [{"status": "ok", "history": 3}]]
)
def test_curves_name_wrong_trials(trials):
    with pytest.raises((TypeError, ValueError), match="trials"):
        vis_utils.plot_curves(trials)
