"""Saved nets, checkpoints and going on from them."""

import contextlib
import itertools
import os

import numpy as np
import pytest

from two_layer_net import OPTIMIZERS, TwoLayerNet

RNG = np.random.default_rng(0)
X, y = RNG.standard_normal((50, 6)), RNG.integers(0, 3, 50)
DATA = X, y, X[:20], y[:20]


def make(rng=0, **options):
    return TwoLayerNet(6, 7, 3, 0.3, rng=rng, **options)


def noise(X_batch, rng):
    return X_batch + 0.1 * rng.standard_normal(X_batch.shape)


def run(path, interrupted, own_rng, dtype, **options):
    """Train to the end, stopped by Ctrl-C in the epochs `interrupted`, resumed by a new net."""
    seed = 3
    for epoch in (*interrupted, None):
        np.random.seed(seed)
        net = make(rng=seed if own_rng else None, dropout=0.4, dtype=dtype)

        def callback(net, history, epoch=epoch):
            if len(history["step_history"]) == epoch:
                raise KeyboardInterrupt

        options |= {"batch_size": 20, "callback": callback, "checkpoint": path, "resume": True}
        with contextlib.suppress(KeyboardInterrupt):
            net.train(*DATA, **options)
        seed = 99  # of a new process: it must not matter
    return net.params, net.history, (net.rng or np.random).random(3)


@pytest.mark.parametrize("loop", [{"epochs": 4}, {"num_iters": 12}])
@pytest.mark.parametrize("own_rng", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_training_ends_with_the_same_bits(optimizer, own_rng, loop, tmp_path):
    cases = itertools.product((0.1, lambda t: 0.1 * (1 - t)), (None, noise), (False, True))
    for i, (rate, augment, keep_best) in enumerate(cases):
        options = {"learning_rate": rate, "augment": augment, "keep_best": keep_best, **loop}
        options |= {"optimizer": optimizer, "dtype": (np.float32, np.float64)[i % 3 // 2]}
        whole = run(tmp_path / f"whole{i}.npz", (), own_rng, **options)
        parts = run(tmp_path / f"parts{i}.npz", (2, 3), own_rng, **options)
        assert all(np.array_equal(whole[0][name], parts[0][name]) for name in whole[0])
        assert whole[1] == parts[1] and np.array_equal(whole[2], parts[2])


@pytest.mark.parametrize("loop", ["epochs", "num_iters"])
def test_longer_training_continues_what_a_shorter_one_began(loop, tmp_path):
    options = {"optimizer": "momentum", "batch_size": 50}  # of which each is an epoch
    whole, first, second = make(), make(), make(9)
    whole.train(*DATA, **options, **{loop: 5})
    first.train(*DATA, **options, **{loop: 2}, checkpoint=tmp_path / "c.npz", resume=True)
    os.rename(tmp_path / "c.npz", tmp_path / "moved.npz")
    options |= {"checkpoint": str(tmp_path / "moved.npz"), "resume": True, "verbose": True}
    assert second.train(*DATA, **options, **{loop: 5}) == whole.history
    assert all(np.array_equal(w, whole.params[name]) for name, w in second.params.items())


def test_a_training_that_its_callback_ended_stays_ended(tmp_path):
    options = {"epochs": 5, "checkpoint": tmp_path / "c.npz", "resume": True}
    first = make().train(*DATA, callback=lambda net, h: len(h["step_history"]) == 2, **options)
    assert make().train(*DATA, **options) == first and len(first["step_history"]) == 2


@pytest.mark.parametrize(
    "change, name",
    [
        ({"learning_rate": 0.2}, "learning_rate was 0.1, not 0.2"),
        ({"learning_rate": lambda t: 0.1}, "learning_rate was 0.1"),
        ({"reg": 0.5}, "reg was 0.01, not 0.5"),
        ({"batch_size": 9}, "batch_size was 200, not 9"),
        ({"optimizer": "adam"}, "optimizer was sgd, not adam"),
        ({"momentum": 0.8}, "momentum was 0.9, not 0.8"),
        ({"keep_best": True}, "keep_best was False, not True"),
        ({"X": X + 1}, "data was"),
        ({"y": 2 - y}, "data was"),
        ({"X_val": X[20:40]}, "data was"),
        ({"y_val": y[20:40]}, "data was"),
    ],
)
def test_a_checkpoint_of_other_settings_names_one(change, name, tmp_path):
    data = dict(zip(("X", "y", "X_val", "y_val"), DATA, strict=True))
    settings = {"learning_rate": 0.1, "reg": 0.01, "epochs": 2, "checkpoint": tmp_path / "c.npz"}
    make().train(**data, **settings)
    content = (tmp_path / "c.npz").read_bytes()
    net = make()
    before = net.params["W1"].copy()
    with pytest.raises(ValueError, match=rf"c\.npz.*{name}"):
        net.train(**data | settings | {"resume": True} | change)
    assert (tmp_path / "c.npz").read_bytes() == content
    assert np.array_equal(net.params["W1"], before)


@pytest.mark.parametrize("options", [{"dropout": 0.1}, {"activation": "tanh"}, {"leak": 0.2}])
def test_a_checkpoint_of_another_net_names_the_difference(options, tmp_path):
    make().train(*DATA, epochs=1, checkpoint=tmp_path / "c.npz")
    with pytest.raises(ValueError, match=f"its {next(iter(options))} was"):
        make(**options).train(*DATA, epochs=1, checkpoint=tmp_path / "c.npz", resume=True)


def test_without_resume_a_checkpoint_is_overwritten(tmp_path):
    options = {"epochs": 1, "checkpoint": tmp_path / "c.npz"}
    make().train(*DATA, 0.1, **options)
    make().train(*DATA, 0.5, **options)
    history = make().train(*DATA, 0.5, **options, resume=True)
    assert history["learning_rate_history"] == [0.5] and os.listdir(tmp_path) == ["c.npz"]


# ---- saved nets


def test_a_saved_net_comes_back_with_its_options(tmp_path):
    path = tmp_path / "any name"
    options = {"activation": "leaky_relu", "leak": 0.2, "dropout": 0.3, "criterion": "mse"}
    net = make(**options, dtype=np.float32)
    net.save(path)
    back = TwoLayerNet.load(path)
    assert np.array_equal(back.loss(X), net.loss(X)) and back.dtype == np.float32
    sizes = {"input_size": 6, "hidden_size": 7, "output_size": 3, "rng": None}
    for name, value in {**options, **sizes}.items():
        assert getattr(back, name) == value, name
    with np.load(path, allow_pickle=False) as data:
        assert np.array_equal(data["W1"], net.params["W1"])
    assert os.listdir(tmp_path) == ["any name"]


def loaded(path):
    return TwoLayerNet.load(path).params


def resumed(path):
    net = make(9)
    net.train(*DATA, epochs=2, checkpoint=path, resume=True, optimizer="adam")
    return net.params


@pytest.mark.parametrize("read", [loaded, resumed])
def test_damaged_files_are_named(read, tmp_path):
    path = tmp_path / "file.npz"
    net = make()
    net.train(*DATA, epochs=2, checkpoint=path, optimizer="adam")
    if read is loaded:
        net.save(path)
    whole = path.read_bytes()
    cuts = [whole[:i] for i in range(0, len(whole), 97)]
    for content in (b"W1, W2", b"\x80\x04K\x01.", *cuts):  # text, a pickle
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"file\.npz is damaged"):
            read(path)
    flaws = 0
    for i in range(0, len(whole), 29):  # a flipped byte is found, or is one that says nothing
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 255]) + whole[i + 1 :])
        try:
            assert all(np.array_equal(w, net.params[name]) for name, w in read(path).items())
        except ValueError as error:
            assert "file.npz is damaged" in str(error)
            flaws += 1
    assert flaws > len(whole) // 29 / 2


def test_other_or_missing_files_are_named(tmp_path):
    np.savez(tmp_path / "other.npz", W1=np.ones(3))
    for read in (loaded, resumed):
        with pytest.raises(ValueError, match=r"other\.npz"):
            read(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        TwoLayerNet.load(tmp_path / "none.npz")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("bomb.npz", W1=np.array([Bomb()], object), b2=np.ones(2))
    with pytest.raises(ValueError, match=r"bomb\.npz"):
        TwoLayerNet.load("bomb.npz")
    assert not os.path.exists("executed")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"

    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    for write in (make().save, lambda path: make().train(*DATA, epochs=1, checkpoint=path)):
        write(path)
        content = path.read_bytes()
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr(np, "savez", full_disk)
            write(path)
        assert path.read_bytes() == content


def test_the_other_loop_is_refused_and_nothing_is_changed(tmp_path):
    X, y = np.random.default_rng(0).standard_normal((50, 6)), np.arange(50) % 3
    options = {"checkpoint": tmp_path / "c.npz", "batch_size": 16}
    TwoLayerNet(6, 7, 3, rng=0).train(X, y, X, y, num_iters=2, **options)
    for rng, loop in ((0, {"epochs": 2}), (None, {"num_iters": 3})):
        net = TwoLayerNet(6, 7, 3, rng=rng)
        before = net.params["W1"].copy()
        with pytest.raises(ValueError, match=r"c\.npz"):
            net.train(X, y, X, y, resume=True, **options, **loop)
        assert np.array_equal(net.params["W1"], before)


def test_what_a_callback_adds_to_the_history_survives_an_interruption(tmp_path):
    def callback(net, history):
        history.setdefault("norm_history", []).append(float(np.linalg.norm(net.params["W1"])))

    X, y = np.random.default_rng(0).standard_normal((50, 6)), np.arange(50) % 3
    options = {"checkpoint": tmp_path / "c.npz", "resume": True, "callback": callback}
    for epochs in (2, 3):
        history = TwoLayerNet(6, 7, 3, rng=0).train(X, y, X, y, epochs=epochs, **options)
    assert len(history["norm_history"]) == 3


def test_keep_best_counts_the_end_of_training_too(tmp_path):
    """With 100 steps of 5,000 rows in batches of 20 the only epoch ends with the first step."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 5000)
    X = rng.standard_normal((3, 6))[y] + 0.3 * rng.standard_normal((5000, 6))
    net = TwoLayerNet(6, 7, 3, "he", rng=0)
    history = net.train(X, y, X[:500], y[:500], 0.1, batch_size=20, keep_best=True)
    assert history["step_history"] == [1] and net.accuracy(X, y) > 0.95
    with pytest.raises(ValueError, match="resume=True needs checkpoint"):
        net.train(X, y, X, y, resume=True)
