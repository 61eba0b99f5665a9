"""Augmentation, callbacks, the best epoch, and training that is interrupted and goes on."""

import json
import os
import threading

import numpy as np
import pytest

from two_layer_net import TwoLayerNet

X = np.random.default_rng(0).standard_normal((50, 2, 4))
y = np.random.default_rng(1).integers(0, 3, 50)
X_val, y_val = X[:9] + 0.1, y[:9]
GENERATORS = {
    "global": None,
    "seed": 7,
    "MT19937": np.random.MT19937,
    "SFC64": np.random.SFC64,
    "Philox": np.random.Philox,
}


class Interrupted(Exception):
    pass


def jitter(X_batch, rng):
    return X_batch + 0.1 * rng.standard_normal(X_batch.shape)


def build(generator="seed", **options):
    np.random.seed(5)
    rng = GENERATORS[generator]
    rng = np.random.Generator(rng(3)) if callable(rng) else rng
    return TwoLayerNet(8, 6, 3, 0.5, **{"dropout": 0.3, "dtype": np.float32, "rng": rng, **options})


def fit(net, path=None, *, interrupt_at=None, **options):
    """Train; everything that must not depend on an interruption, or None if it was interrupted."""

    def callback(net, history):
        if len(history["val_acc_history"]) == interrupt_at:
            raise Interrupted

    settings = {"learning_rate": 0.05, "batch_size": 10, "augment": jitter, "keep_best": True, **options}
    if "num_iters" not in settings:
        settings.setdefault("epochs", 6)
    try:
        history = net.train(X, y, X_val, y_val, callback=callback, checkpoint=path, **settings)
    except Interrupted:
        return None
    generator = np.random.get_state(legacy=False) if net.rng is None else net.rng.bit_generator.state
    params = {name: w.tobytes() for name, w in net.params.items()}
    return params, history, json.dumps(generator, default=np.ndarray.tolist)


@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("schedule", [False, True])
@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("loop", [{"epochs": 6}, {"num_iters": 31}])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam"])
def test_resumed_training_ends_with_the_same_bits(tmp_path, optimizer, loop, generator, schedule, at):
    options = {"optimizer": optimizer, **loop}
    if schedule:
        options["learning_rate"] = lambda progress: 0.05 * (1 - progress)
    whole = fit(build(generator), **options)
    path = tmp_path / "checkpoint.npz"
    assert fit(build(generator), path, interrupt_at=at, **options) is None
    assert fit(build(generator), path, resume=True, **options) == whole
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("options", [{"keep_best": False}, {"augment": None}])
def test_resume_with_fewer_features(tmp_path, options):
    whole = fit(build(), **options)
    fit(build(), tmp_path / "a", interrupt_at=3, **options)
    assert fit(build(), tmp_path / "a", resume=True, **options) == whole


def test_interrupted_many_times(tmp_path):
    whole = fit(build(), optimizer="adam")
    for at in range(1, 7):
        fit(build(), tmp_path / "a", interrupt_at=at, resume=True, optimizer="adam")
    assert fit(build(), tmp_path / "a", resume=True, optimizer="adam") == whole


def test_resume_starts_at_the_beginning_where_there_is_no_file(tmp_path):
    assert fit(build(), tmp_path / "a", resume=True) == fit(build())


def test_resume_of_finished_training_trains_no_more(tmp_path):
    whole = fit(build(), tmp_path / "a")

    def never(X_batch, rng):
        raise AssertionError("it trained")

    assert fit(build(), tmp_path / "a", resume=True, augment=never) == whole


def test_resume_for_more_epochs(tmp_path):
    whole = fit(build(), epochs=9)
    fit(build(), tmp_path / "a", epochs=4)
    assert fit(build(), tmp_path / "a", resume=True, epochs=9) == whole


def test_without_resume_a_checkpoint_is_started_anew(tmp_path):
    first = fit(build(), tmp_path / "a")
    assert fit(build(), tmp_path / "a") == first


def test_stopping_by_callback_is_remembered(tmp_path):
    def run(resume):
        net = build()
        return net.train(X, y, X_val, y_val, epochs=5, callback=lambda net, history: True,
                         checkpoint=tmp_path / "a", resume=resume)  # fmt: skip

    assert len(run(False)["val_acc_history"]) == len(run(True)["val_acc_history"]) == 1


MISFITS = {
    "other sizes": ({"net": (8, 7, 3)}, "sizes"),
    "other activation": ({"build": {"activation": "tanh"}}, "activation"),
    "other dropout": ({"build": {"dropout": 0.2}}, "dropout"),
    "other dtype": ({"build": {"dtype": np.float64}}, "dtype"),
    "other generator": ({"build": {"rng": None}}, "generator"),
    "other optimizer": ({"optimizer": "adam"}, "optimizer"),
    "other option": ({"momentum": 0.8}, "momentum"),
    "other rate": ({"learning_rate": 0.04}, "learning_rate"),
    "other decay": ({"learning_rate_decay": 0.9}, "learning_rate_decay"),
    "other reg": ({"reg": 0.1}, "reg"),
    "other batch": ({"batch_size": 11}, "batch_size"),
    "other loop": ({"num_iters": 31}, "loop"),
    "no augmentation": ({"augment": None}, "augment"),
    "not the best": ({"keep_best": False}, "keep_best"),
    "fewer rows": ({"data": (X[:45], y[:45])}, "rows"),
    "other rows": ({"data": (X + 1, y)}, "checksums"),
    "other labels": ({"data": (X, (y + 1) % 3)}, "checksums"),
    "fewer epochs": ({"epochs": 2}, "epochs"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_checkpoint_of_other_training_is_refused_and_kept(tmp_path, misfit):
    change, word = MISFITS[misfit]
    path = tmp_path / "checkpoint.npz"
    fit(build(), path, optimizer="momentum", epochs=4)
    before = path.read_bytes()
    change = dict(change)
    data = change.pop("data", (X, y))
    options = {"dropout": 0.3, "dtype": np.float32, "rng": 7, **change.pop("build", {})}
    net = TwoLayerNet(*change.pop("net", (8, 6, 3)), 0.5, **options)
    params = {name: w.copy() for name, w in net.params.items()}
    state = np.random.get_state(legacy=False)["state"]["key"].tobytes()
    settings = {"learning_rate": 0.05, "batch_size": 10, "optimizer": "momentum", "augment": jitter,
                "keep_best": True, **change}  # fmt: skip
    if "num_iters" not in settings:
        settings.setdefault("epochs", 4)
    with pytest.raises(ValueError, match=word) as error:
        net.train(*data, X_val, y_val, checkpoint=path, resume=True, **settings)
    assert "checkpoint.npz" in str(error.value)
    assert path.read_bytes() == before
    assert all(np.array_equal(params[name], w) for name, w in net.params.items())
    assert np.random.get_state(legacy=False)["state"]["key"].tobytes() == state


@pytest.mark.parametrize("content", [b"", b"PK\3\4 nothing", "a saved net", "half"])
def test_broken_checkpoint_names_the_file(tmp_path, content):
    path = tmp_path / "checkpoint.npz"
    if content == "a saved net":
        build().save(path)
    elif content == "half":
        fit(build(), path)
        path.write_bytes(path.read_bytes()[:-200])
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint\.npz"):
        fit(build(), path, resume=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"steps": 30', '"steps": -1000000000'),
        ('"steps": 30', '"steps": 29'),
        ('"pos": ', '"pos": 1000000'),  # numpy would read beyond its array
        ('"pos": ', '"pos": -1000000'),
        ('"rate": ', '"rate": "'),
        ('"rate": ', '"rate": -'),
        ('"stopped": false', '"stopped": "no"'),
        ('"state": ', '"other": '),
        ('[', '[' * 100_000),
        ("", None),
    ],
)  # fmt: skip
def test_damaged_progress_is_refused_and_changes_nothing(tmp_path, old, new):
    path = tmp_path / "checkpoint.npz"
    fit(build("MT19937"), path)
    with np.load(path) as file:
        entries = dict(file)
    text = entries["checkpoint"].item()
    assert old in text
    entries["checkpoint"] = np.array("{" if new is None else text.replace(old, new, 1))
    with open(path, "wb") as file:
        np.savez(file, **entries)
    net = build("MT19937")
    before = {name: w.tobytes() for name, w in net.params.items()}, str(net.rng.bit_generator.state)
    with pytest.raises(ValueError, match=r"checkpoint\.npz"):
        fit(net, path, resume=True)
    assert before == ({name: w.tobytes() for name, w in net.params.items()}, str(net.rng.bit_generator.state))


@pytest.mark.parametrize("name", ["array_0", "array_1", "array_2", "loss_history", "val_acc_history"])
@pytest.mark.parametrize("value", [None, np.zeros(2), np.float64(3), np.array("x"), np.zeros((2**40, 0))])
def test_damaged_arrays_are_refused(tmp_path, name, value):
    path = tmp_path / "checkpoint.npz"
    fit(build(), path, optimizer="momentum")
    with np.load(path) as file:
        entries = {key: array for key, array in file.items() if key != name}
    with open(path, "wb") as file:
        np.savez(file, **(entries if value is None else {**entries, name: value}))
    with pytest.raises(ValueError, match=r"checkpoint\.npz"):
        fit(build(), path, resume=True, optimizer="momentum")


def test_failing_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    fit(build(), path, interrupt_at=2)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        fit(build(), path)
    monkeypatch.undo()
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == [path.name]
    assert fit(build(), path, resume=True) == fit(build())


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"resume": True}, ValueError, "checkpoint"),
        ({"checkpoint": "no/such/folder/a.npz"}, OSError, "no/such/folder"),
        ({"checkpoint": 5}, TypeError, "checkpoint"),
        ({"checkpoint": ""}, ValueError, "checkpoint"),
        ({"checkpoint": "."}, OSError, "checkpoint"),
        ({"augment": "flip"}, TypeError, "augment"),
        ({"callback": 1}, TypeError, "callback"),
    ],
)
def test_wrong_arguments(options, error, word):
    net = build()
    before = {name: w.copy() for name, w in net.params.items()}
    with pytest.raises(error, match=word):
        net.train(X, y, X_val, y_val, **options)
    assert all(np.array_equal(before[name], w) for name, w in net.params.items())


def test_a_last_step_that_diverges_is_noticed():
    with pytest.raises(FloatingPointError, match="step 11 of 12"):
        build().train(
            100 * X, y, X_val, y_val, lambda p: 0.01 if p < 0.9 else 1e200, num_iters=12, batch_size=10
        )


# ---- augment


def test_augment_sees_the_shape_of_X_and_the_nets_generator():
    seen = []
    for net in (build(), build("global")):

        def augment(X_batch, rng, net=net):
            seen.append((X_batch.shape, X_batch.dtype, rng is (net.rng or np.random)))
            return X_batch

        net.train(X, y, X_val, y_val, epochs=1, batch_size=47, augment=augment)
    assert seen == 2 * [((47, 2, 4), np.float32, True), ((3, 2, 4), np.float32, True)]


def test_augment_is_what_the_net_learns_from():
    def scaled(X_batch, rng):
        X_batch *= 3  # in place is fine, too
        return X_batch.astype(np.float64)

    kept = X.copy()
    one, other = build(dropout=0.0), build(dropout=0.0)
    one.train(X, y, X_val, y_val, epochs=3, augment=scaled)
    other.train((3 * X.astype(np.float32)), y, X_val, y_val, epochs=3)
    for name in one.params:
        np.testing.assert_allclose(one.params[name], other.params[name], rtol=1e-5, atol=1e-7)
    assert np.array_equal(X, kept)


@pytest.mark.parametrize(
    ("augment", "error"),
    [
        (lambda X_batch, rng: X_batch[:-1], ValueError),
        (lambda X_batch, rng: X_batch[:, :1], ValueError),
        (lambda X_batch, rng: None, (TypeError, ValueError)),
        (lambda X_batch, rng: X_batch.astype(complex), TypeError),
    ],
)
def test_augment_must_keep_the_shape(augment, error):
    with pytest.raises(error, match="augment"):
        build().train(X, y, X_val, y_val, epochs=1, augment=augment)


# ---- callback and keep_best


@pytest.mark.parametrize("answer", [1, "no", np.ones(3), [], None, np.False_])
def test_only_true_stops(answer):
    history = build().train(X, y, X_val, y_val, epochs=2, callback=lambda net, history: answer)
    assert len(history["val_acc_history"]) == 2


def smaller(net):
    net.hidden_size = 1
    net.params.update(W1=net.params["W1"][:, :1], b1=net.params["b1"][:1], W2=net.params["W2"][:1])


@pytest.mark.parametrize("change", [lambda net: setattr(net, "dtype", np.float64), smaller])
def test_a_callback_must_not_change_the_dtype_or_the_sizes(change):
    with pytest.raises(
        ValueError, match=r"params\['W1'\]: dtype must stay float32 during training, the shape"
    ):
        build().train(X, y, X_val, y_val, callback=lambda net, _: change(net))


def test_callback_comes_after_each_epoch_and_can_stop():
    lengths = []

    def callback(net, history):
        lengths.append((len(history["loss_history"]), len(history["val_acc_history"])))
        return len(lengths) == 3

    history = build().train(X, y, X_val, y_val, epochs=5, batch_size=20, callback=callback)
    assert lengths == [(3, 1), (6, 2), (9, 3)]
    assert len(history["loss_history"]) == 9


def test_keep_best_ends_with_the_best_validation_epoch():
    accuracies, params = [], []

    def callback(net, history):
        accuracies.append(history["val_acc_history"][-1])
        params.append({name: w.copy() for name, w in net.params.items()})

    settings = {"epochs": 12, "batch_size": 10, "learning_rate": 0.5, "optimizer": "momentum"}
    net = build()
    net.train(X, y, X_val, y_val, callback=callback, keep_best=True, **settings)
    best = int(np.argmax(accuracies))  # the first of equals
    assert best < 11 and accuracies[best] > accuracies[-1]  # else the test shows nothing
    assert all(np.array_equal(net.params[name], w) for name, w in params[best].items())
    last = build()
    last.train(X, y, X_val, y_val, **settings)
    assert all(np.array_equal(last.params[name], w) for name, w in params[-1].items())


def test_what_a_callback_adds_to_the_history_does_no_harm(tmp_path):
    path = tmp_path / "checkpoint.npz"

    def note(net, history):
        history.setdefault("notes", []).append({"at": len(history["loss_history"])})
        history.setdefault("my_history", []).append(None)
        history[5] = "five"

    options = {"learning_rate": 0.05, "batch_size": 10, "checkpoint": path}
    build().train(X, y, X_val, y_val, epochs=2, callback=note, **options)
    build().train(X, y, X_val, y_val, epochs=3, resume=True, **options)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda history: history["val_acc_history"].append(0.5),
        lambda history: history["loss_history"].append([1.0, 2.0]),
        lambda history: history["val_loss_history"].__setitem__(-1, None),
        lambda history: history["loss_history"].clear(),
        lambda history: history.clear(),
        lambda history: history.update(val_acc_history=np.zeros(1)),
    ],
)
def test_a_history_that_a_callback_spoils_is_not_written(spoil, tmp_path):
    """It could not be gone on from; that is to be said at once, not after hours of training."""
    path = tmp_path / "checkpoint.npz"
    options = {"learning_rate": 0.05, "batch_size": 10, "checkpoint": path}
    build().train(X, y, X_val, y_val, epochs=1, **options)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="history"):
        build().train(X, y, X_val, y_val, epochs=2, callback=lambda net, history: spoil(history), **options)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_a_callback_does_to_dropout_is_remembered(tmp_path):
    def anneal(net, history):
        net.dropout = 0.05 * len(history["val_acc_history"])

    options = {"learning_rate": 0.05, "batch_size": 10, "checkpoint": tmp_path / "c.npz", "callback": anneal}
    whole = build().train(X, y, X_val, y_val, epochs=6, **options)
    build().train(X, y, X_val, y_val, epochs=3, **options)
    net = build()
    assert net.train(
        X, y, X_val, y_val, epochs=6, resume=True, **options
    ) == whole and net.dropout == pytest.approx(0.3)


@pytest.mark.parametrize(("generator", "damage"), [("Philox", False), ("MT19937", True)])
def test_a_generator_whose_key_is_zero(generator, damage, tmp_path):
    """Philox may have one; the Mersenne twister would look for a normal number for ever."""
    options = {"learning_rate": 0.05, "batch_size": 10, "checkpoint": tmp_path / "c.npz"}
    zero = np.random.Philox(key=0) if generator == "Philox" else np.random.MT19937(0)

    def net():
        return build(rng=np.random.Generator(zero))

    net().train(X, y, X_val, y_val, epochs=1, **options)
    if damage:
        with np.load(tmp_path / "c.npz") as file:
            entries = dict(file)
        call, done, state = json.loads(entries["checkpoint"].item())
        state["state"]["key"] = [0] * 624
        np.savez(tmp_path / "c.npz", **{**entries, "checkpoint": json.dumps([call, done, state])})
        with pytest.raises(ValueError, match=r"c\.npz"):
            net().train(X, y, X_val, y_val, epochs=2, resume=True, **options)
    else:
        history = net().train(X, y, X_val, y_val, epochs=2, resume=True, **options)
        assert len(history["val_acc_history"]) == 2


def test_what_a_killed_training_left_is_removed(tmp_path):
    left, other = tmp_path / "c[1].npz.0123abcd.part", tmp_path / "c[1].npz.backup.part"
    left.write_bytes(b"half"), other.write_bytes(b"mine")
    build().train(X, y, X_val, y_val, epochs=1, checkpoint=tmp_path / "c[1].npz")
    assert not left.exists() and other.exists()


@pytest.mark.skipif(os.name != "posix", reason="other systems have no named pipes in folders")
def test_only_ordinary_files_are_replaced_and_their_permissions_stay(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe is not an ordinary file"):
        build().save(tmp_path / "pipe")
    with pytest.raises(OSError, match="checkpoint="):
        build().train(X, y, X_val, y_val, checkpoint=tmp_path / "pipe", resume=True)
    assert (tmp_path / "pipe").is_fifo()
    build().save(tmp_path / "net")
    (tmp_path / "net").chmod(0o600)
    build().save(tmp_path / "net")
    assert (tmp_path / "net").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net", "pipe"]


def test_two_threads_that_save_to_one_path(tmp_path):
    """A reader finds one net or the other, whole."""
    path, nets = tmp_path / "net.npz", [build(), build()]
    nets[0].save(path)
    threads = [threading.Thread(target=lambda net=net: [net.save(path) for _ in range(30)]) for net in nets]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        TwoLayerNet.load(path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.npz"]


def test_steps_that_end_no_epoch_are_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    options = {"learning_rate": 0.05, "batch_size": 10, "checkpoint": path}
    build().train(X, y, X_val, y_val, epochs=2, **options)
    with np.load(path) as file:
        entries = dict(file)
    steps = len(entries["loss_history"])
    entries["loss_history"] = entries["loss_history"][:-1]
    text = entries["checkpoint"].item().replace(f'"steps": {steps}', f'"steps": {steps - 1}')
    entries["checkpoint"] = np.array(text)
    np.savez(path, **entries)
    with pytest.raises(ValueError, match=r"checkpoint\.npz"):
        build().train(X, y, X_val, y_val, epochs=3, resume=True, **options)
