"""Saved nets, checkpoints and going on from them."""

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


class Stopped(Exception):
    pass


def noise(X_batch, rng):
    return X_batch + 0.1 * rng.standard_normal(X_batch.shape)


def run(path, stops, rng, dropout=0.4, dtype=np.float64, **options):
    """Train, stopped after the epochs in stops and each time resumed by a fresh net."""
    for stop in (*stops, None):
        np.random.seed(3 if stop == (*stops, None)[0] else 99)  # as in a fresh process
        first = stop == (*stops, None)[0]
        net = make(rng=rng if first or rng is None else 77, dropout=dropout, dtype=dtype)

        def callback(net, history, stop=stop):
            if len(history["step_history"]) == stop:
                raise Stopped

        try:
            history = net.train(
                *DATA, batch_size=16, callback=callback, checkpoint=path, resume=True, **options
            )
        except Stopped:
            assert path.exists() or stop == 1
    after = net.rng.random(3) if net.rng else np.random.random(3)
    return net.params, history, after


@pytest.mark.parametrize("loop", [{"epochs": 4}, {"num_iters": 11}])
@pytest.mark.parametrize("rng", [None, 0])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_training_ends_with_the_same_bits(optimizer, rng, loop, tmp_path):
    cases = itertools.product((0.1, lambda t: 0.1 * (1 - t)), (None, noise), (False, True))
    for i, (rate, augment, keep_best) in enumerate(cases):
        options = {"learning_rate": rate, "augment": augment, "keep_best": keep_best, **loop}
        options |= {"optimizer": optimizer, "dtype": (np.float32, np.float64)[i % 2]}
        whole = run(tmp_path / f"whole{i}.npz", (), rng, **options)
        parts = run(tmp_path / f"parts{i}.npz", (2, 3), rng, **options)
        assert all(np.array_equal(whole[0][name], parts[0][name]) for name in whole[0])
        assert whole[1] == parts[1] and np.array_equal(whole[2], parts[2])


def test_more_epochs_continue_what_fewer_began(tmp_path):
    options = {"optimizer": "momentum", "checkpoint": tmp_path / "c.npz", "resume": True}
    whole, parts = make(), make()
    history = whole.train(*DATA, epochs=5, optimizer="momentum")
    parts.train(*DATA, epochs=2, **options)
    assert make().train(*DATA, epochs=5, **options) == history


def test_a_training_that_its_callback_ended_stays_ended(tmp_path):
    options = {"epochs": 5, "checkpoint": tmp_path / "c.npz", "resume": True}
    first = make().train(*DATA, callback=lambda net, h: len(h["step_history"]) == 2, **options)
    again = make()
    assert again.train(*DATA, **options) == first and len(first["step_history"]) == 2


def test_what_a_callback_adds_to_the_history_is_kept(tmp_path):
    def callback(net, history):
        history.setdefault("norm_history", []).append(float(np.linalg.norm(net.params["W1"])))

    options = {"checkpoint": tmp_path / "c.npz", "resume": True, "callback": callback}
    make().train(*DATA, epochs=2, **options)
    history = make().train(*DATA, epochs=3, **options)
    whole = make().train(*DATA, epochs=3, callback=callback)
    assert history["norm_history"] == whole["norm_history"] and len(history["norm_history"]) == 3


@pytest.mark.parametrize(
    "change, name",
    [
        ({"learning_rate": 0.2}, "learning_rate was 0.1, not 0.2"),
        ({"learning_rate": lambda t: 0.1}, "learning_rate was 0.1"),
        ({"reg": 0.5}, "reg was 0.01, not 0.5"),
        ({"batch_size": 9}, "batch_size was 200, not 9"),
        ({"optimizer": "adam"}, "optimizer was sgd, not adam"),
        ({"keep_best": True}, "keep_best was False, not True"),
        ({"X": X + 1}, "data was"),
        ({"y": 2 - y}, "data was"),
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


@pytest.mark.parametrize(
    "options, name", [({"dropout": 0.1}, "dropout"), ({"activation": "tanh"}, "activation")]
)
def test_a_checkpoint_of_another_net_names_the_difference(options, name, tmp_path):
    make().train(*DATA, epochs=1, checkpoint=tmp_path / "c.npz")
    with pytest.raises(ValueError, match=name):
        make(**options).train(*DATA, epochs=1, checkpoint=tmp_path / "c.npz", resume=True)


def test_without_resume_a_checkpoint_is_overwritten_and_with_it_may_be_missing(tmp_path):
    path = tmp_path / "c.npz"
    assert len(make().train(*DATA, epochs=2, checkpoint=path, resume=True)["step_history"]) == 2
    make().train(*DATA, 0.5, epochs=1, checkpoint=path)
    assert make().train(*DATA, 0.5, epochs=1, checkpoint=path, resume=True)[
        "learning_rate_history"
    ] == [0.5]
    assert os.listdir(tmp_path) == ["c.npz"]


# ---- saved nets


def test_a_saved_net_comes_back_with_its_options(tmp_path):
    path = tmp_path / "any name"
    net = make(activation="leaky_relu", leak=0.2, dropout=0.3, criterion="mse", dtype=np.float32)
    net.save(path)
    back = TwoLayerNet.load(path)
    assert (
        np.array_equal(back.loss(X), net.loss(X)) and back.dtype == np.float32 and back.rng is None
    )
    for name in (
        "activation",
        "leak",
        "dropout",
        "criterion",
        "input_size",
        "hidden_size",
        "output_size",
    ):
        assert getattr(back, name) == getattr(net, name)
    assert back.loss(X, y, rng=1)[0] == net.loss(X, y, rng=1)[0]
    with np.load(path, allow_pickle=False) as data:
        assert np.array_equal(data["W1"], net.params["W1"])


def test_loading_draws_no_random_numbers(tmp_path):
    make().save(tmp_path / "n.npz")
    np.random.seed(0)
    TwoLayerNet.load(tmp_path / "n.npz")
    assert np.random.random() == np.random.RandomState(0).random_sample()


def damaged(content):
    middle = len(content) // 2
    yield b""
    yield b"W1, W2"
    yield content[:middle]
    yield content[:-30]
    for i in (content.index(b"NUMPY"), content.rindex(b"descr"), content.rindex(b".npy")):
        yield content[:i] + bytes([content[i] ^ 255]) + content[i + 1 :]


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "file.npz"
    make().save(path)
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"file\.npz is damaged"):
            TwoLayerNet.load(path)
    make().train(*DATA, epochs=1, checkpoint=path)
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"file\.npz is damaged"):
            make().train(*DATA, epochs=1, checkpoint=path, resume=True)
    np.savez(path, W1=np.ones(3))
    with pytest.raises(ValueError, match=r"file\.npz"):
        TwoLayerNet.load(path)
    with pytest.raises(FileNotFoundError):
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
    make().save(path)
    content = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="No space"):
        make(1).save(path)
    assert path.read_bytes() == content
