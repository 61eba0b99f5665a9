"""Saved nets, checkpoints, and training that goes on from them."""

import concurrent.futures
import copy
import os

import numpy as np
import pytest

from two_layer_net import TwoLayerNet

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 6))
y = RNG.integers(0, 3, 50)
X_val = X[:20]
y_val = y[:20]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.npz"


def make_net(rng=0, hidden_size=7, **options):
    return TwoLayerNet(6, hidden_size, 3, 0.3, rng=rng, **options)


def train(net, learning_rate=0.1, batch_size=20, **options):
    """Three steps are an epoch with `epochs`, two with `num_iters`."""
    return net.train(X, y, X_val, y_val, learning_rate, batch_size=batch_size, **options)


def resume(net, path, **options):
    return train(net, checkpoint=path, resume=True, **options)


def assert_same_params(params, expected):
    assert list(params) == list(expected)
    for name, w in expected.items():
        assert params[name].dtype == w.dtype, name
        assert np.array_equal(params[name], w), name


# ---- Going on to the same bits


def interrupt_after(epochs):
    """A callback that does what Ctrl-C does."""

    def callback(net, history):
        if len(history["step_history"]) == epochs:
            raise KeyboardInterrupt

    return callback


def nesterov(w, g, state, learning_rate, momentum=0.9):
    """An update rule of one's own, which remembers an array and a number."""
    v = momentum * state.get("last v", 0) - learning_rate * g
    w += momentum * v - learning_rate * g / (1 + state.get("steps", 0))
    state["last v"] = v
    state["steps"] = state.get("steps", 0) + 1


def noise(X_batch, rng):
    return X_batch + 0.1 * rng.standard_normal(X_batch.shape)


def half_cosine(progress):
    return 0.05 * (1 + np.cos(np.pi * progress))


@pytest.mark.parametrize("loop", [{"epochs": 5}, {"num_iters": 12}])
@pytest.mark.parametrize("own_rng", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam", "beta1": 0.5, "eps": 0.1},
        {"optimizer": nesterov},
        {"augment": noise},
        {"learning_rate": half_cosine},
        {"keep_best": True},
        # With this rate the best epoch comes before the last interruption.
        {"keep_best": True, "learning_rate": 3.0},
    ],
)
def test_resumed_training_ends_with_the_same_bits(options, own_rng, loop, path):
    """Train at one go, then interrupted again and again, with a new net for each part."""

    def start(seed):
        np.random.seed(seed)
        return make_net(rng=seed if own_rng else None, dropout=0.4)

    whole = start(seed=3)
    train(whole, **options, **loop)
    next_number = (whole.rng or np.random).random()

    # The second part ends before its first epoch is written: what it resumed must still be there.
    for seed, epochs in [(3, 2), (7, 2), (8, 4)]:
        callback = interrupt_after(epochs)
        with pytest.raises(KeyboardInterrupt):
            resume(start(seed), path, callback=callback, **options, **loop)
    resumed = start(seed=9)
    resume(resumed, path, **options, **loop)

    assert_same_params(resumed.params, whole.params)
    assert resumed.history == whole.history
    assert (resumed.rng or np.random).random() == next_number


def test_an_epoch_is_on_disk_before_the_next_begins(path):
    """So it is not lost if the process is killed."""
    ends = []

    def callback(net, history):
        if ends:
            assert_same_params(TwoLayerNet.load(path).params, ends[-1])
        ends.append(copy.deepcopy(net.params))

    train(make_net(), epochs=3, callback=callback, checkpoint=path)


def test_training_and_resuming_change_the_parameters_in_place(path):
    net = make_net()
    before = dict(net.params)
    resume(net, path, epochs=1, keep_best=True)
    resume(net, path, epochs=2, keep_best=True)
    for name, w in before.items():
        assert net.params[name] is w


def test_without_resume_training_begins_anew(path):
    train(make_net(), epochs=2, checkpoint=path)
    history = train(make_net(), epochs=1, checkpoint=path)
    assert history["step_history"] == [3]


def test_resuming_a_training_that_had_all_its_steps_says_that_nothing_is_left(path):
    train(make_net(), epochs=2, checkpoint=path)
    with pytest.warns(match="give another file"):
        resume(make_net(), path, epochs=2)


def test_resume_needs_a_checkpoint():
    with pytest.raises(ValueError, match="resume=True needs checkpoint"):
        train(make_net(), resume=True)


@pytest.mark.filterwarnings("ignore:.*has ended")
def test_a_training_that_its_callback_ended_stays_ended(path):
    stopped = make_net()
    train(stopped, epochs=5, callback=lambda net, history: True, checkpoint=path)
    resume(make_net(), path, epochs=5)  # writes a checkpoint, too
    resumed = make_net(rng=9)
    history = resume(resumed, path, epochs=5)
    assert history["step_history"] == [3]
    assert_same_params(resumed.params, stopped.params)


def test_verbose_lines_go_on(path, capsys):
    train(make_net(), epochs=2, checkpoint=path)
    resume(make_net(), path, epochs=3, verbose=True)
    assert capsys.readouterr().out.startswith("epoch 3 / 3: ")


def test_what_a_callback_adds_to_the_history_is_there_after_resuming(path):
    def callback(net, history):
        place = net.params["W1"].argmax()  # a number of numpy's
        history.setdefault("largest weight", []).append(place)

    first = train(make_net(), epochs=2, callback=callback, checkpoint=path)
    second = resume(make_net(), path, epochs=3, callback=callback)
    assert second["largest weight"][:2] == first["largest weight"]


def test_labels_may_be_a_column_of_a_table(path):
    column = np.column_stack([y, y])[:, 1]
    make_net().train(X, column, X_val, column[:20], epochs=1, checkpoint=path)
    assert path.exists()


def test_after_a_divergence_the_parameters_are_those_of_the_checkpoint(path):
    first = make_net()
    train(first, epochs=1, checkpoint=path)

    def explode(net, history):
        net.params["W1"][...] = np.inf

    resumed = make_net(rng=9)
    with pytest.raises(FloatingPointError):
        resume(resumed, path, epochs=3, callback=explode)
    assert_same_params(resumed.params, first.params)


# ---- Before the first step


def test_the_checkpoint_is_written_before_the_first_step(path):
    def augment(X_batch, rng):
        raise KeyboardInterrupt

    net = make_net()
    with pytest.raises(KeyboardInterrupt):
        train(net, augment=augment, checkpoint=path)
    assert_same_params(TwoLayerNet.load(path).params, net.params)


# ---- Checkpoints of other settings


def refusal(net, path, arguments):
    """The message of a training that may not be resumed with these arguments."""
    before = copy.deepcopy(net.params)
    content = path.read_bytes()
    with pytest.raises(ValueError) as caught:
        net.train(checkpoint=path, resume=True, **arguments)
    assert_same_params(net.params, before)
    assert path.read_bytes() == content
    message = str(caught.value)
    assert path.name in message
    return message


def arguments(**changed):
    given = {
        "X": X,
        "y": y,
        "X_val": X_val,
        "y_val": y_val,
        "learning_rate": 0.25,
        "reg": 0.01,
        "batch_size": 20,
        "epochs": 1,
        "optimizer": "momentum",
        "momentum": 0.5,
    }
    given.update(changed)
    return given


@pytest.fixture
def written(path):
    """The path of a checkpoint of a training with `arguments`."""
    make_net().train(checkpoint=path, **arguments())
    return path


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"learning_rate": 0.5}, "learning_rate = 0.25, not learning_rate = 0.5;"),
        ({"learning_rate": half_cosine}, "learning_rate = 0.25, not learning_rate = a function;"),
        (
            {"learning_rate_decay": 0.8},
            "learning_rate_decay = 0.95, not learning_rate_decay = 0.8;",
        ),
        ({"reg": 0.5}, "reg = 0.01, not reg = 0.5;"),
        ({"batch_size": 9}, "batch_size = 20, not batch_size = 9;"),
        ({"optimizer": nesterov}, "optimizer = momentum, not optimizer = a function;"),
        ({"momentum": 0.75}, "{'momentum': 0.5}, not options = {'momentum': 0.75};"),
        ({"augment": noise}, "augment = None, not augment = a function;"),
        ({"keep_best": True}, "keep_best = False, not keep_best = True;"),
        ({"epochs": None}, "epochs given: True, not epochs given: False;"),
        ({"X": X + 1}, "checksum of X "),
        ({"y": 2 - y}, "checksum of y "),
        ({"X_val": X[20:40]}, "checksum of X_val "),
        ({"y_val": y[20:40]}, "checksum of y_val "),
    ],
)
def test_another_argument_is_named_with_both_values(changed, words, written):
    assert words in refusal(make_net(), written, arguments(**changed))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"hidden_size": 11}, "hidden_size = 7, not hidden_size = 11;"),
        ({"activation": "tanh"}, "activation = relu, not activation = tanh;"),
        ({"leak": 0.5}, "leak = 0.01, not leak = 0.5;"),
        ({"dropout": 0.25}, "dropout = 0.0, not dropout = 0.25;"),
        ({"criterion": "mse"}, "criterion = softmax, not criterion = mse;"),
        ({"dtype": np.float32}, "dtype = float64, not dtype = float32;"),
        ({"rng": None}, "generator = PCG64, not generator = MT19937;"),
    ],
)
def test_another_option_of_the_net_is_named_with_both_values(options, words, written):
    assert words in refusal(make_net(**options), written, arguments())


def test_a_saved_net_is_not_taken_for_a_checkpoint(path):
    make_net().save(path)
    message = refusal(make_net(), path, arguments())
    assert "no checkpoint of train; give another file" in message


# ---- Saved nets


def test_a_saved_net_comes_back_with_its_options(tmp_path):
    options = {"activation": "leaky_relu", "leak": 0.2, "dropout": 0.3, "criterion": "mse"}
    net = make_net(**options, dtype=np.float32)
    net.save(tmp_path / "any name")
    assert os.listdir(tmp_path) == ["any name"]
    back = TwoLayerNet.load(str(tmp_path / "any name"))
    assert_same_params(back.params, net.params)
    for name, value in options.items():
        assert getattr(back, name) == value, name
    assert back.rng is None


def test_loading_draws_no_random_numbers(path):
    make_net().save(path)
    np.random.seed(0)
    TwoLayerNet.load(path)
    assert np.random.random() == np.random.RandomState(0).random()


def test_a_subclass_loads_nets_of_its_own_kind(path):
    class Mine(TwoLayerNet):
        pass

    make_net().save(path)
    assert type(Mine.load(path)) is Mine


@pytest.fixture
def arrays():
    """Parameters as others save them, with np.savez(path, **arrays): the biases are rows."""
    return {
        "W1": np.ones((6, 7)),
        "b1": np.ones((1, 7)),
        "W2": np.ones((7, 3)),
        "b2": np.array([[0.0, 1.0, 2.0]]),
    }


def test_a_file_of_parameters_alone_is_a_net_with_the_default_options(arrays, path):
    np.savez(path, **arrays)
    net = TwoLayerNet.load(path)
    assert net.loss(np.ones((1, 6))).tolist() == [[49, 50, 51]]
    assert (net.activation, net.dropout, net.criterion) == ("relu", 0, "softmax")
    assert net.dtype == np.float64


@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
def test_an_array_that_is_missing_is_named(name, arrays, path):
    del arrays[name]
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=rf"file\.npz has no {name}"):
        TwoLayerNet.load(path)


@pytest.mark.parametrize(
    "name, shape", [("W1", 42), ("W1", (7, 6)), ("b1", 1), ("W2", (1, 3)), ("b2", 7)]
)
def test_arrays_that_do_not_fit_name_their_file(name, shape, arrays, path):
    arrays[name] = np.ones(shape)
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"file\.npz.*fit"):
        TwoLayerNet.load(path)


def test_an_unknown_option_in_a_file_names_the_file(arrays, path):
    np.savez(path, activation="step", **arrays)
    with pytest.raises(ValueError, match=r"file\.npz.*activation.*step"):
        TwoLayerNet.load(path)


# ---- Damaged files


def load_params(path):
    return TwoLayerNet.load(path).params


def resume_params(path):
    net = make_net(rng=9)
    resume(net, path, epochs=1, optimizer="adam")
    return net.params


both_readers = pytest.mark.parametrize("read", [load_params, resume_params])


def write_checkpoint(path):
    net = make_net()
    train(net, epochs=1, optimizer="adam", checkpoint=path)
    return net


@both_readers
def test_cut_files_are_named(read, path):
    write_checkpoint(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"file\.npz is damaged"):
            read(path)


@pytest.mark.filterwarnings("ignore:.*has ended")
@both_readers
def test_a_flipped_byte_is_found_or_changes_nothing(read, path):
    net = write_checkpoint(path)
    whole = path.read_bytes()
    found = 0
    places = range(0, len(whole), 89)
    for i in places:
        flipped = bytearray(whole)
        flipped[i] ^= 255
        path.write_bytes(flipped)
        try:
            assert_same_params(read(path), net.params)
        except ValueError as error:
            assert "file.npz" in str(error)
            found += 1
    assert found > len(places) / 2


def test_a_file_of_one_array_is_named(tmp_path):
    np.save(tmp_path / "W1.npy", np.ones((6, 7)))
    with pytest.raises(ValueError, match=r"W1\.npy"):
        TwoLayerNet.load(tmp_path / "W1.npy")


def test_a_file_that_is_not_there_is_called_that(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        TwoLayerNet.load(tmp_path / "none.npz")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@both_readers
def test_nothing_in_a_file_is_executed(read, arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays["b1"] = np.array([Bomb()], object)
    np.savez("bomb.npz", **arrays)
    with pytest.raises(ValueError, match=r"bomb\.npz"):
        read("bomb.npz")
    assert not os.path.exists("executed")


# ---- Writing


@pytest.mark.parametrize("write", [make_net().save, write_checkpoint])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(write, path, tmp_path):
    resource = pytest.importorskip("resource")
    write(path)
    content = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))  # as if the disk were full
    try:
        with pytest.raises(OSError):
            write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["file.npz"]


def test_several_may_save_to_the_same_path(path, tmp_path):
    def save_again_and_again(net):
        for _ in range(60):
            net.save(path)
            TwoLayerNet.load(path)  # a whole file, whoever was the last to save

    with concurrent.futures.ThreadPoolExecutor() as threads:
        # list raises what a thread raised
        list(threads.map(save_again_and_again, [make_net(), make_net()]))
    assert os.listdir(tmp_path) == ["file.npz"]


def test_files_have_the_usual_permissions(path, tmp_path):
    (tmp_path / "usual").touch()
    make_net().save(path)
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
