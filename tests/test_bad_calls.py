"""Every public function with every argument of a wrong kind: an answer or an error that names it.

Where the argument is an array, and the answer consists of numbers, the answer is that for a plain copy of it.
"""

import atexit
import contextlib
import copy
import inspect
import io
import os
import re
import sys
import tempfile
from concurrent.futures import Executor, Future
from fractions import Fraction
from pathlib import Path
from unittest import mock

import matplotlib.image
import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from test_cifar_svhn import make_cifar10

import data_utils
import gradient_check
import tune
import two_layer_net
import vis_utils
from two_layer_net import TwoLayerNet

X, y, X3 = np.random.default_rng(0).standard_normal((3, 4)), np.array([0, 1, 1]), np.ones((3, 4))
IMAGES = np.random.default_rng(1).random((3, 5, 6))
READ_ONLY = X.copy()
READ_ONLY.flags.writeable = False
BAD = {
    "None": None, "True": True, "NaN": np.nan, "infinity": np.inf, "-infinity": -np.inf, "-1": -1, "0": 0,
    "1/2": 0.5, "10**11": 10**11, "2**63": 2**63, "10**400": 10**400, "1j": 1j,
    "text": "no/such/folder", "bytes": b"ab",
    "list": [1, 2], "empty list": [], "ragged": [[1], [1, 2]], "dict": {1: 2}, "set": {1, 2},
    "range": range(3),
    "a float32": np.float32(0.1), "a float16": np.float16(0.1), "an int8": np.int8(2), "a bool": np.True_,
    "a list of masked arrays": [np.ma.array([0.0, 1.0], mask=[0, 1])],
    "a list of lists of masked arrays": [(np.ma.array([0.0, 1.0, 2, 3], mask=[0, 1, 0, 0]),)] * 3,
    "masked": np.ma.masked,
    "object": object(), "module": sys, "0-dimensional": np.array(3.0), "0-dimensional integer": np.array(3),
    "empty": np.zeros((0, 4)), "no columns": np.zeros((3, 0)), "NaNs": np.full((3, 4), np.nan),
    "infinities": np.full((3, 4), np.inf), "huge": np.full((3, 4), 1e308), "integers": X3.astype(int),
    "labels": y.copy(), "huge labels": y * 10**11, "labels as floats": y * 1.0, "negative labels": -y,
    "(N, 1) labels": y[:, None],
    "one-hot labels": np.eye(3), "labels as bools": y > 0, "labels as text": np.array(["a", "b", "c"]),
    "objects": np.array([0, 1, None], object), "numbers as objects": X3.astype(object),
    "records": np.zeros(3, "i4,f4"), "masked numbers": np.ma.array(X3, mask=np.eye(3, 4)),
    "masked labels": np.ma.array(y, mask=[0, 1, 0]), "read-only": READ_ONLY,
    "columns first": np.asfortranarray(X),
    "every second": np.ones((6, 8))[::2, ::2], "backwards": X[::-1], "dates": np.zeros(3, "M8[s]"),
    "complex": X3 * 1j, "float16": X3.astype(np.float16), "long double": X3.astype(np.longdouble),
    "other byte order": X3.astype(">f8"), "three dimensions": np.ones((3, 2, 2)),
    "Series": pandas.Series(y), "DataFrame": pandas.DataFrame(X),
    "Series with a gap": pandas.Series([0, 1, None], dtype="Int64"),
    "Series of categories": pandas.Series(["a", "b", "c"], dtype="category"),
}  # fmt: skip
# What becomes of an argument that is an array as it should be; the shapes are right here.
SPOILED = {
    "its copy with NaN": lambda a: np.where(np.arange(a.size).reshape(a.shape) == 1, np.nan, a),
    "its copy with infinity": lambda a: np.where(np.arange(a.size).reshape(a.shape) == 1, np.inf, a),
    "its multiple by 1e308": lambda a: 1e308 * a,
    "its negative": lambda a: -a.astype(float),
    "its numbers as text": lambda a: a.astype(str),
    "its numbers as objects": lambda a: a.astype(object),
    "its numbers as complex": lambda a: a + 1j,
    "its numbers as bools": lambda a: a > 0,
    "its numbers as float16": lambda a: a.astype(np.float16),
    "its numbers as unsigned": lambda a: np.abs(a).astype(np.uint64) + 2**63,
    "its numbers as records": lambda a: a.astype([("r", "f4"), ("g", "f4")]),
    "its numbers masked": lambda a: np.ma.masked_greater(a, 0),
    "its numbers masked nowhere": np.ma.array,
    "its numbers as a matrix": lambda a: a.reshape(len(a), -1).view(np.matrix),
    "its numbers as a DataFrame": lambda a: pandas.DataFrame(a.reshape(len(a), -1)),
    "its first number": lambda a: a.ravel()[0],
    "its first row": lambda a: a[:1],
    "its rows but the first": lambda a: a[1:],
    "its rows but all": lambda a: a[:0],
    "its rows twice": lambda a: np.repeat(a, 2, axis=-1),
    "its transpose": lambda a: a.T,
    "its inside": lambda a: a[None],
    "its outside": lambda a: a[..., None],
}
FOLDER = tempfile.TemporaryDirectory()
atexit.register(FOLDER.cleanup)
for place in ("a/1", "a/2", "a/3", "b/1", "b/2", "b/3"):
    image = Path(FOLDER.name, "images", place).with_suffix(".png")
    image.parent.mkdir(parents=True, exist_ok=True)
    matplotlib.image.imsave(image, np.random.default_rng(len(place)).random((3, 4, 3)))
make_cifar10(Path(FOLDER.name, "cifar-10-batches-py"))
DATA = data_utils.load_image_folder(f"{FOLDER.name}/images", size=(2, 2), validation=0.4, test=0.3)


def net():
    return TwoLayerNet(4, 3, 2, 0.1, rng=0)


def squares(x):
    with np.errstate(all="ignore"):
        return np.sum(x * x)


def step(optimizer, w, g, state, **options):
    """On copies, as these arguments are to be changed."""
    w, g, state = (a.copy() if type(a) is np.ndarray else a for a in (w, g, state))
    two_layer_net.optimizer_step(optimizer, w, g, state, **options)
    return w, state


class Here(Executor):
    """Runs a task where it is submitted."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


SWEEP = {"data": DATA, "hidden": [2], "lr": [0.1], "reg": [0.1], "activation": ["tanh"], "dropout": [0.1],
         "optimizer": ["adam"], "std": [0.1], "batch_size": 2, "decay": [0.9], "epochs": 1, "trials": None,
         "halving": False, "seed": 0, "workers": 1, "executor": Here(), "host": "127.0.0.1", "out": None,
         "verbose": False}  # fmt: skip
HISTORY = net().train(X, y, X, y, epochs=2)
TRIALS = tune.sweep(**{**SWEEP, "out": f"{FOLDER.name}/sweep"})
DATA.save_transform(f"{FOLDER.name}/transform")
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
    "optimizer_step": (
        step,
        {"optimizer": "momentum", "w": X, "g": X + 1, "state": 0 * X, "learning_rate": 0.1, "step": 2,
         "l2": 0.1, "momentum": 0.8},
    ),
    "save": (lambda path: net().save(path), {"path": "no/such/folder/x"}),
    "load": (TwoLayerNet.load, {"path": "no/such/folder"}),
    "read_idx": (data_utils.read_idx, {"path": "no/such/folder"}),
    "write_idx": (data_utils.write_idx, {"path": "no/such/folder/x", "array": np.zeros(3, np.uint8)}),
    "load_dataset": (
        data_utils.load_dataset,
        {"name": "mnist5k", "directory": None, "validation": 3999, "normalize": False, "dtype": np.float32},
    ),
    "load_image_folder": (
        data_utils.load_image_folder,
        {"directory": f"{FOLDER.name}/images", "size": (2, 2), "validation": 0.4, "test": 0.3,
         "normalize": True, "dtype": np.float32, "seed": 0},
    ),
    "load_transform": (data_utils.load_transform, {"path": f"{FOLDER.name}/transform"}),
    "save_transform": (DATA.save_transform, {"path": "no/such/folder/x"}),
    "read": (DATA.read, {"path": f"{FOLDER.name}/images/a/1.png"}),
    "load_CIFAR10": (data_utils.load_CIFAR10, {"ROOT": "no/such/folder"}),
    "get_CIFAR10_data": (
        mock.patch.dict(os.environ, TWO_LAYER_NET_DATA=FOLDER.name)(data_utils.get_CIFAR10_data),
        {"num_training": 9, "num_validation": 9, "num_test": 5, "subtract_mean": True},
    ),
    "download": (data_utils.download, {"name": "mnist5k", "directory": None}),
    "one_hot_encode": (data_utils.one_hot_encode, {"y": y, "num_classes": 2, "dtype": float}),
    "one_hot_decode": (data_utils.one_hot_decode, {"Y": np.eye(3)}),
    "transform": (DATA.transform, {"images": np.ones((2, 2, 2, 3))}),
    "to_pixels": (DATA.to_pixels, {"X": np.ones((2, 12))}),
    "flip": (data_utils.flip, {"X_batch": IMAGES, "rng": np.random}),
    "distort": (
        data_utils.distort,
        {"X_batch": IMAGES, "rng": np.random, "pixels": 1, "degrees": 10, "zoom": 0.1, "elastic": 1.0,
         "sigma": 4},
    ),
    "drop_inputs": (data_utils.drop_inputs, {"X_batch": IMAGES, "rng": np.random, "p": 0.2}),
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
    "example": (
        gradient_check.example,
        {"activation": "tanh", "criterion": "mse", "dropout": 0.1, "seed": 0},
    ),
    "visualize_grid": (vis_utils.visualize_grid, {"Xs": IMAGES, "ubound": 255.0, "padding": 1}),
    "show_net_weights": (vis_utils.show_net_weights, {"net": net(), "image_shape": (2, 2), "path": None}),
    "plot_history": (vis_utils.plot_history, {"history": HISTORY, "title": None, "path": None}),
    "plot_predictions": (
        vis_utils.plot_predictions,
        {"net": net(), "X": X, "y": y, "image_shape": (2, 2), "images": X, "class_names": None, "path": None},
    ),
    "plot_confusion": (
        vis_utils.plot_confusion,
        {"y_true": y, "y_pred": y, "class_names": ["a", "b", "c"], "path": None},
    ),
    "plot_sweep": (vis_utils.plot_sweep, {"trials": TRIALS, "path": None}),
    "plot_curves": (vis_utils.plot_curves, {"trials": TRIALS, "count": 1, "path": None}),
    "sweep": (tune.sweep, SWEEP),
    "Range": (lambda lr: tune.sweep(**{**SWEEP, "lr": tune.Range(lr, 0.3), "trials": 1}), {"lr": 0.1}),
    "load_sweep": (tune.load_sweep, {"out": f"{FOLDER.name}/sweep"}),
    "report": (tune.report, {"out": f"{FOLDER.name}/sweep", "data": DATA}),
    "WorkerPool": (tune.WorkerPool, {"workers": -1}),
}  # fmt: skip
ANYTHING = {"eval_numerical_gradient verbose", "plot_history title"}  # is right for these
LEFT_OUT = {  # these would go on for ever; the last would make a folder where the test is run
    "grad_check_sparse num_checks 10**11", "grad_check_sparse num_checks 2**63", "train epochs 10**11",
    "train epochs 2**63", "sweep out text",
}  # fmt: skip
CASES = [
    (name, argument, kind)
    for name, (_, arguments) in CALLS.items()
    for argument, right in arguments.items()
    for kind in (*BAD, *(SPOILED if isinstance(right, np.ndarray) else ()))
    if f"{name} {argument} {kind}" not in LEFT_OUT and f"{name} {argument}" not in ANYTHING
]

ARRAYS = [  # arguments, and functions whose answers are numbers
    (name, argument)
    for name, (_, arguments) in CALLS.items()
    for argument, value in arguments.items()
    if isinstance(value, np.ndarray)
    and argument != "x"
    and not name.startswith(("plot_", "write_", "optimizer_step"))
]


def numbers(answer):
    """All numbers in an answer, in order."""
    if isinstance(answer, dict | tuple | list):
        parts = answer.values() if isinstance(answer, dict) else answer
        return np.concatenate([numbers(part) for part in parts])
    return np.ravel([] if answer is None else answer)


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
    np.random.seed(0)
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
    with np.errstate(all="ignore"):
        value = SPOILED[kind](CALLS[name][1][argument]) if kind in SPOILED else BAD[kind]
    try:
        answer = call(name, argument, value)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        if re.search(rf"\b{argument}\b|mnist5k|no/such/folder|{FOLDER.name}", str(error)):  # or the path
            return None
        return f"{case}: the error does not name the argument: {error!r}"
    except Exception as error:
        return f"{case}: {error!r}"
    if (name, argument) in ARRAYS and value is not None:  # None may stand for what is left out
        array = np.asarray(value)
        whole = array.dtype.kind in "iub" and array.max(initial=0) < 2**53
        precision = 1e-2 if array.dtype == np.float16 else 1e-6
        try:
            plain = call(name, argument, array.astype(np.int64 if whole else np.float64, order="C"))
            np.testing.assert_allclose(numbers(answer), numbers(plain), rtol=precision, atol=precision)
        except Exception as error:
            return f"{case}: not as with a plain copy: {error!r}"
    return None


@settings(derandomize=True, deadline=None, max_examples=1000)
@given(st.sampled_from(CASES))
def test_a_wrong_argument_is_named(case):
    problem = wrong(case)
    assert problem is None, problem


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: TwoLayerNet(10**9, 10**9, 2), "hidden_size"),
        (lambda: net().train(X, y, X, y, num_iters=1, batch_size=10**15), "batch_size"),
        (lambda: data_utils.one_hot_encode(y * 2**40), "num_classes"),
        (lambda: data_utils.one_hot_encode(y.astype(np.uint64) * 2**63), "num_classes"),
        (lambda: data_utils.load_image_folder(f"{FOLDER.name}/images", size=(10**7, 10**7)), "size"),
        (lambda: vis_utils.visualize_grid(IMAGES, padding=10**7), "padding"),
        (lambda: tune.sweep(DATA, lr=range(1, 10**9)), "lr"),
        (lambda: tune.sweep(DATA, lr=range(1, 1000), reg=range(1, 1000)), "lists"),
        (lambda: tune.sweep(DATA, lr=tune.Range(0.1, 1), trials=10**12), "trials"),
    ],
)
def test_a_size_beyond_all_memory_is_named(call, named):
    with pytest.raises(
        (ValueError, MemoryError), match=rf"\b{named}\b.*(small enough|fewer than|must be in)"
    ):
        call()


@pytest.mark.parametrize(
    ("name", "value"),
    [("leak", 2), ("leak", "x"), ("dropout", np.nan), ("rng", "a"), ("rng", np.random), ("activation", 3),
     ("criterion", None), ("dtype", np.float16), ("dtype", 5), ("params", None), ("params", {}),
     ("params", 3), ("params", {"W1": X}), ("input_size", 3), ("hidden_size", 2), ("output_size", 3)],
)  # fmt: skip
def test_an_attribute_that_is_wrong_is_named(name, value):
    named = "params" if name.endswith("size") else name  # whose shapes no longer fit
    for use in (
        TwoLayerNet.loss,
        TwoLayerNet.predict,
        lambda net, X: net.train(X, y, X, y),
        TwoLayerNet.save,
    ):
        changed = net()
        setattr(changed, name, value)
        with pytest.raises((TypeError, ValueError), match=named):
            use(changed, X if use is not TwoLayerNet.save else "no/such/folder")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_numbers_of_numpy_are_like_python_s(kind):
    """Also to the bit: they must not widen what is computed with them."""

    def answers(number):
        net = TwoLayerNet(
            4, 3, 2, number(0.5), leak=number(0.5), dropout=number(0.5), dtype=np.float32, rng=0
        )
        yield net.train(X, y, X, y, number(0.5), number(0.5), number(0.25), epochs=2)
        yield net.loss(X, y, number(0.5))
        options = {"pixels": number(1.5), "zoom": number(0.5), "elastic": number(0.5), "sigma": number(2)}
        yield data_utils.distort(IMAGES.astype(np.float32), np.random.default_rng(0), **options)

    assert all(map(same, answers(kind), answers(float)))


@pytest.mark.parametrize("path", ["", "a\0b", b"a", f"{FOLDER.name}/transform/x", FOLDER.name, "x" * 300])
def test_a_path_that_cannot_be_written_is_named(path):
    savers = {"save": net().save, "write_idx": lambda path: data_utils.write_idx(path, np.zeros(3, np.uint8)),
              "save_transform": DATA.save_transform}  # fmt: skip
    for save in savers.values():
        with pytest.raises(
            (TypeError, ValueError, OSError), match=rf"path must be|{FOLDER.name}|xxx"
        ) as caught:
            save(path)
        assert ".part" not in str(caught.value)
    assert not list(Path(FOLDER.name).glob("*.part"))


@pytest.mark.parametrize("value", [Fraction(10**20 - 1, 10**20), np.longdouble(1) - np.longdouble(1e-19)])
def test_a_number_that_is_rounded_to_an_end_of_its_interval(value):
    with pytest.raises(ValueError, match="dropout must be in"):
        TwoLayerNet(4, 3, 2, dropout=value)


def test_masks_in_lists_are_not_lost():
    row = np.ma.array([0.0, 1, 2, 3], mask=[0, 1, 0, 0])
    for examples in ([row] * 3, (row, row, row), [[row]] * 3, [[0, 1, 2, np.ma.masked]] * 3):
        with pytest.raises(TypeError, match=r"X has a masked array"):
            net().loss(examples)
    with pytest.raises(TypeError, match=r"y has a masked array"):
        net().loss(X, [np.ma.array(1, mask=True)] * 3)


@pytest.mark.parametrize("answer", [np.ones(3), [], None, "one", 1j, np.ma.array(1.0, mask=True)])
@pytest.mark.parametrize("check", ["eval_numerical_gradient", "grad_check_sparse"])
def test_a_function_that_returns_no_number_is_named(check, answer):
    with pytest.raises((TypeError, ValueError), match=r"\bf\b"):
        call(check, "f", lambda x: answer)


def test_no_public_function_is_missing_here():
    found = set()
    for module in (two_layer_net, data_utils, gradient_check, vis_utils, tune):
        for name, thing in vars(module).items():
            if getattr(thing, "__module__", "") == module.__name__ and not name.startswith("_"):
                found.add(name)
                if inspect.isclass(thing):
                    found.update(key for key, what in vars(thing).items() if inspect.isroutine(what))
    # the flags of the two command lines are below; what load_dataset returns, and parts of executors
    others = {"main", "Transform", "Dataset", "Picture", "set", "submit", "shutdown"}
    assert {name for name in found if not name.startswith("_")} - others == set(CALLS)


any_array = arrays.arrays(
    arrays.scalar_dtypes() | arrays.array_dtypes(max_size=2),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0),
)
examples = arrays.arrays(
    arrays.boolean_dtypes() | arrays.integer_dtypes() | arrays.floating_dtypes(sizes=(16, 32, 64)),
    st.sampled_from([(3, 4), (3, 2, 2), (3, 4, 1)]),
)
labels = arrays.arrays(
    arrays.integer_dtypes() | arrays.unsigned_integer_dtypes(), 3, elements=st.integers(0, 2)
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(examples | any_array, labels | any_array)
def test_any_arrays_as_examples_and_labels(X, y):
    before = copy.deepcopy((X, y))
    try:
        loss, grads = net().loss(X, y)
    except (ValueError, TypeError) as error:
        assert re.match(r"X|y", str(error)), error
    else:
        plain = [list(map(float, np.ravel(x))) for x in X], list(map(int, y))
        expected, expected_grads = net().loss(*plain)
        assert same(np.float64(loss), np.float64(expected))
        assert all(same(grads[name], expected_grads[name]) for name in grads)
    assert same(X, before[0]) and same(y, before[1])


# ---- the command lines

WORDS = [
    "", " ", "a", "-1", "0", "-0", "1", "nan", "inf", "-inf", "1e400", "1e-400", "0.5", "0x10", "1_0",
    "9" * 400, "9" * 5000, "1:2", "2:1", "0:1", ":", "1:", ":1", "1:2:3", "a:b", "nan:1", "1:inf", "\u0661",
    "True", "None", "[1]", "1,2", "--", "-", "1e9", "1" + 13 * "0", "mnist5k", "x" * 5000, "no/such/folder",
]  # fmt: skip


def flags(main):
    """The flags that take a word, as --help lists them."""
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        main(["--help"])
    return sorted(set(re.findall(r"^  (--[a-z-]+) \S", text.getvalue(), re.MULTILINE)))


TINY = ["--hidden", "2", "--lr", "0.1", "--reg", "0.1", "--epochs", "1", "--workers", "1"]
PROGRAMS = {tune: TINY, data_utils: ["mnist"]}  # with words that are right, before the wrong one
FLAGS = [(main, flag, word) for main in PROGRAMS for flag in flags(main.main) for word in WORDS]
FLAGS += [(data_utils, "NAME", word) for word in WORDS]


class Pool(Here):
    """In place of processes."""

    def __init__(self, workers):
        self.folder = Path(tempfile.mkdtemp(dir=FOLDER.name))


def no_network(*_):
    raise ConnectionError("there is no network")


def wrong_flag(case):
    """What is wrong with a run of tune.py or data_utils.py, or None."""
    program, flag, word = case
    words = [word] if flag == "NAME" else [*PROGRAMS[program], flag, word]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.callback(os.chdir, os.getcwd())
        os.chdir(folder)
        for module, name, other in ((tune, "WorkerPool", Pool), (tune, "load_dataset", lambda name: DATA),
                                    (tune, "report", lambda *_: 0), (tune, "_dask", no_network),
                                    (data_utils, "_fetch", no_network)):  # fmt: skip
            stack.enter_context(mock.patch.object(module, name, other))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        errors = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        try:
            code = program.main(words)
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:
            return f"{flag} {word[:20]}: {error!r}"
    last = (errors.getvalue().splitlines() or [""])[-1]
    named = flag.lstrip("-").replace("-", "_") in last.replace("-", "_")
    system = f"File name too long: '{word}" in last or "there is no network" in last
    if (code == 0 and not last) or (code in (1, 2) and (named or system)):
        return None
    return f"{flag} {word[:20]}: exit code {code}, {last!r}"


@pytest.mark.parametrize("word", WORDS)
def test_a_wrong_word_is_named_with_its_flag(word):
    assert [problem for case in FLAGS if case[2] == word and (problem := wrong_flag(case))] == []


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
    "pandas": lambda a: {1: pandas.Series, 2: pandas.DataFrame}.get(a.ndim, list)(a),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "argument"), ARRAYS)
def test_another_form_of_an_array_gives_the_same_answer(name, argument, form):
    value = CALLS[name][1][argument]
    expected, found = call(name, argument, value), call(name, argument, FORMS[form](value))
    np.testing.assert_allclose(numbers(found), numbers(expected), rtol=1e-6, atol=1e-9)
