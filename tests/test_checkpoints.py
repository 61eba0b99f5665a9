"""Saved nets, checkpoints, and training that goes on from them."""

import concurrent.futures
import multiprocessing
import os
import signal

import numpy as np
import pytest

from two_layer_net import TwoLayerNet

rng = np.random.default_rng(0)
X = rng.standard_normal((50, 6))
y = rng.integers(0, 3, 50)
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


def copy_params(net):
    return {name: w.copy() for name, w in net.params.items()}


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


def assert_resumes_to_the_same_end(path, own_rng=True, dtype=np.float64, **options):
    """Train at one go, then interrupted again and again, with a new net for each part."""

    def start(seed):
        np.random.seed(seed)
        return make_net(seed if own_rng else None, dropout=0.4, dtype=dtype)

    whole = start(seed=3)
    train(whole, **options)
    next_number = (whole.rng or np.random).random()

    options["checkpoint"] = path
    options["resume"] = True
    # The second part ends before its first epoch is written: what it resumed must still be there.
    for seed, epochs in [(3, 2), (7, 2), (8, 4)]:
        with pytest.raises(KeyboardInterrupt):
            train(start(seed), callback=interrupt_after(epochs), **options)
    resumed = start(seed=9)
    train(resumed, **options)

    assert_same_params(resumed.params, whole.params)
    assert resumed.history == whole.history
    assert (resumed.rng or np.random).random() == next_number


@pytest.mark.parametrize("loop", [{"epochs": 5}, {"num_iters": 12}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("own_rng", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", nesterov])
def test_resumed_training_ends_with_the_same_bits(optimizer, own_rng, dtype, loop, path):
    assert_resumes_to_the_same_end(path, own_rng, dtype, optimizer=optimizer, **loop)


@pytest.mark.parametrize("loop", [{"epochs": 5}, {"num_iters": 12}])
@pytest.mark.parametrize(
    "options",
    [
        {"augment": noise},
        {"learning_rate": half_cosine},
        {"learning_rate_decay": 0.5},
        {"keep_best": True},
        # With this rate the best epoch comes before the last interruption.
        {"keep_best": True, "learning_rate": 3.0},
        {"optimizer": "adam", "beta1": 0.5, "eps": 0.1},
    ],
)
def test_resumed_training_with_options_ends_with_the_same_bits(options, loop, path):
    assert_resumes_to_the_same_end(path, **options, **loop)


def train_until_killed(path):
    net = make_net()

    def augment(X_batch, rng):
        if len(net.history["loss_history"]) == 4:  # in the middle of the second epoch
            os.kill(os.getpid(), signal.SIGKILL)
        return noise(X_batch, rng)

    train(net, epochs=4, optimizer="adam", augment=augment, checkpoint=path)


def test_training_goes_on_after_its_process_was_killed(path):
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=train_until_killed, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL

    options = {"epochs": 4, "optimizer": "adam", "augment": noise}
    whole = make_net()
    train(whole, **options)
    resumed = make_net(rng=9)
    history = train(resumed, checkpoint=path, resume=True, **options)
    assert history == whole.history
    assert_same_params(resumed.params, whole.params)


def test_training_and_resuming_change_the_parameters_in_place(path):
    net = make_net()
    before = dict(net.params)
    options = {"keep_best": True, "checkpoint": path, "resume": True}
    train(net, epochs=1, **options)
    train(net, epochs=2, **options)
    for name, w in before.items():
        assert net.params[name] is w


def test_without_resume_training_begins_anew(path):
    train(make_net(), epochs=2, checkpoint=path)
    history = train(make_net(), epochs=1, checkpoint=path)
    assert history["step_history"] == [3]


def test_resume_needs_a_checkpoint():
    with pytest.raises(ValueError, match="resume=True needs checkpoint"):
        train(make_net(), resume=True)


def test_a_training_that_its_callback_ended_stays_ended(path):
    options = {"epochs": 5, "checkpoint": path, "resume": True}
    stopped = make_net()
    train(stopped, callback=lambda net, history: len(history["step_history"]) == 2, **options)
    train(make_net(rng=8), **options)  # writes a checkpoint, too
    resumed = make_net(rng=9)
    history = train(resumed, **options)
    assert history["step_history"] == [3, 6]
    assert_same_params(resumed.params, stopped.params)


@pytest.mark.parametrize(
    "loop, first, all_in_all, line",
    [("epochs", 2, 3, "epoch 3 / 3: "), ("num_iters", 150, 250, "iteration 200 / 250: ")],
)
def test_verbose_lines_go_on(loop, first, all_in_all, line, path, capsys):
    train(make_net(), verbose=True, checkpoint=path, **{loop: first})
    capsys.readouterr()
    train(make_net(), verbose=True, checkpoint=path, resume=True, **{loop: all_in_all})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1
    assert printed[0].startswith(line)


def test_what_a_callback_adds_to_the_history_survives(path):
    def callback(net, history):
        norms = history.setdefault("norms", [])
        norms.append(np.linalg.norm(net.params["W1"]))  # a number of numpy's

    options = {"checkpoint": path, "callback": callback}
    first = train(make_net(), epochs=2, **options)
    second = train(make_net(), epochs=3, resume=True, **options)
    assert second["norms"][:2] == first["norms"]
    assert len(second["norms"]) == 3


def test_attributes_of_ones_own_do_not_prevent_resuming(path):
    train(make_net(), epochs=1, checkpoint=path)
    net = make_net()
    net.note = "x"
    history = train(net, epochs=2, checkpoint=path, resume=True)
    assert history["step_history"] == [3, 6]


def test_labels_may_be_a_column_of_a_table(path):
    table = np.column_stack([y, y])
    options = {"batch_size": 20, "checkpoint": path}
    make_net().train(X, table[:, 1], X_val, table[:20, 1], epochs=1, **options)
    # The same labels in another place of memory are the same data.
    history = make_net().train(X, y, X_val, y_val, epochs=2, resume=True, **options)
    assert history["step_history"] == [3, 6]


def test_after_a_divergence_the_parameters_are_those_of_the_checkpoint(path):
    first = make_net()
    train(first, epochs=1, checkpoint=path)

    def explode(net, history):
        net.params["W1"][...] = np.inf

    resumed = make_net(rng=9)
    options = {"epochs": 3, "checkpoint": path, "resume": True}
    with pytest.raises(FloatingPointError):
        train(resumed, callback=explode, **options)
    assert_same_params(resumed.params, first.params)


# ---- Before the first step


def test_the_checkpoint_is_written_before_the_first_step(path):
    def augment(X_batch, rng):
        raise KeyboardInterrupt

    net = make_net()
    with pytest.raises(KeyboardInterrupt):
        train(net, augment=augment, checkpoint=path)
    assert_same_params(TwoLayerNet.load(path).params, net.params)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_that_is_not_there_is_an_error_before_the_first_step(resume, tmp_path):
    net = make_net()
    before = copy_params(net)
    with pytest.raises(FileNotFoundError, match="nosuch"):
        train(net, checkpoint=tmp_path / "nosuch" / "c.npz", resume=resume)
    assert_same_params(net.params, before)


# ---- Checkpoints of other settings


def refusal(net, path, arguments):
    """The message of a training that may not be resumed with these arguments."""
    before = copy_params(net)
    content = path.read_bytes()
    with pytest.raises(ValueError) as caught:
        net.train(checkpoint=path, resume=True, **arguments)
    assert_same_params(net.params, before)
    assert path.read_bytes() == content
    message = str(caught.value)
    assert path.name in message
    assert "damaged" not in message
    return message


def arguments(**changed):
    given = {"X": X, "y": y, "X_val": X_val, "y_val": y_val}
    given.update(learning_rate=0.25, reg=0.01, batch_size=20, epochs=1)
    given.update(optimizer="momentum", momentum=0.5)
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


def test_of_several_differences_the_first_is_named(written):
    changed = arguments()
    changed["keep_best"] = True
    changed["reg"] = 0.5
    changed["learning_rate"] = 0.5
    assert "learning_rate = 0.25" in refusal(make_net(), written, changed)


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
    assert back.dtype == np.float32
    assert back.rng is None


def test_loading_draws_no_random_numbers(path):
    make_net().save(path)
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    TwoLayerNet.load(path)
    assert np.random.random() == expected


def test_a_saved_net_can_be_read_with_numpy(path):
    net = make_net()
    net.save(path)
    with np.load(path, allow_pickle=False) as data:
        for name, w in net.params.items():
            assert np.array_equal(data[name], w)


def test_a_subclass_loads_nets_of_its_own_kind(path):
    class Mine(TwoLayerNet):
        pass

    make_net().save(path)
    assert type(Mine.load(path)) is Mine


def write_params(path, **changed):
    """A file of W1, b1, W2, b2 as others write it. None leaves an array out."""
    arrays = {"W1": np.ones((6, 7)), "b1": np.ones(7), "W2": np.ones((7, 3)), "b2": np.arange(3.0)}
    arrays.update(changed)
    for name, array in changed.items():
        if array is None:
            del arrays[name]
    np.savez(path, **arrays)


def test_a_file_of_parameters_alone_is_a_net_with_the_default_options(path):
    write_params(path)
    net = TwoLayerNet.load(path)
    assert net.loss(np.ones((1, 6))).tolist() == [[49, 50, 51]]
    assert (net.activation, net.dropout, net.criterion) == ("relu", 0, "softmax")
    assert net.dtype == np.float64


@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
def test_an_array_that_is_missing_is_named(name, path):
    write_params(path, **{name: None})
    with pytest.raises(ValueError, match=rf"file\.npz has no {name}"):
        TwoLayerNet.load(path)


@pytest.mark.parametrize(
    "name, shape",
    [("W1", 42), ("W1", (7, 6)), ("b1", 1), ("W2", (1, 3)), ("b2", 7)],
)
def test_arrays_that_do_not_fit_name_their_file(name, shape, path):
    write_params(path, **{name: np.ones(shape)})
    with pytest.raises(ValueError, match=r"file\.npz.*fit"):
        TwoLayerNet.load(path)


def test_an_unknown_option_in_a_file_names_the_file(path):
    write_params(path, activation="step")
    with pytest.raises(ValueError, match=r"file\.npz.*activation.*step"):
        TwoLayerNet.load(path)


# ---- Damaged files


def load(path):
    return TwoLayerNet.load(path).params


def resume(path):
    net = make_net(rng=9)
    train(net, epochs=1, optimizer="adam", checkpoint=path, resume=True)
    return net.params


def write_checkpoint(path):
    net = make_net()
    train(net, epochs=1, optimizer="adam", checkpoint=path)
    return net


@pytest.mark.parametrize("read", [load, resume])
def test_cut_files_are_named(read, path):
    write_checkpoint(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"file\.npz is damaged"):
            read(path)


@pytest.mark.parametrize("read", [load, resume])
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


@pytest.mark.parametrize("content", [b"W1, W2", b"\x80\x04K\x01."])  # the last: a pickle
@pytest.mark.parametrize("read", [load, resume])
def test_files_of_another_kind_are_named(read, content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.npz"):
        read(path)


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


@pytest.mark.parametrize("read", [load, resume])
def test_nothing_in_a_file_is_executed(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params("bomb.npz", b1=np.array([Bomb()], object))
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
    nets = [make_net(rng=1), make_net(rng=2)]

    def save_again_and_again(net):
        for _ in range(60):
            net.save(path)
            scores = TwoLayerNet.load(path).loss(X)  # of whichever was the last to save
            assert any(np.array_equal(scores, each.loss(X)) for each in nets)

    with concurrent.futures.ThreadPoolExecutor() as threads:
        list(threads.map(save_again_and_again, nets))  # raises what a thread raised
    assert os.listdir(tmp_path) == ["file.npz"]


def test_files_have_the_usual_permissions(path, tmp_path):
    (tmp_path / "usual").touch()
    make_net().save(path)
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
