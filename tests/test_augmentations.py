"""What the augmentations do to images, and what they leave alone."""

import numpy as np
import pytest

from data_utils import distort, drop_inputs, flip, load_dataset
from two_layer_net import TwoLayerNet

STILL = {"pixels": 0, "degrees": 0, "zoom": 0}
COLOUR = np.random.default_rng(0).random((40, 6, 5, 3)).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture(scope="module")
def digits():
    data = load_dataset("mnist5k", normalize=False)
    return data.X_test[:250].reshape(-1, 28, 28) / 255


@pytest.mark.parametrize("augment", [flip, distort, drop_inputs])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("grey", [False, True])
def test_shape_dtype_and_the_batch_given_stay(augment, dtype, grey, rng):
    X = COLOUR[..., 0].astype(dtype) if grey else COLOUR.astype(dtype)
    before = X.copy()
    result = augment(X, rng)
    assert result.shape == X.shape and result.dtype == dtype
    assert np.array_equal(X, before) and not np.array_equal(result, before)


@pytest.mark.parametrize("augment", [flip, distort, drop_inputs])
def test_same_generator_same_images_and_the_global_one_will_do(augment):
    one, two = (augment(COLOUR, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, two)
    np.random.seed(3)
    one = augment(COLOUR, np.random)
    np.random.seed(3)
    assert np.array_equal(one, augment(COLOUR, np.random))


def test_flip_mirrors_about_half_of_the_images_left_to_right(rng):
    X = np.tile(COLOUR, (25, 1, 1, 1))
    result = flip(X, rng)
    same = (result == X).all(axis=(1, 2, 3))
    mirrored = (result == X[:, :, ::-1]).all(axis=(1, 2, 3))
    assert np.all(same ^ mirrored)
    assert 440 < mirrored.sum() < 560


def test_distort_by_nothing_changes_nothing(rng, digits):
    np.testing.assert_allclose(distort(digits, rng, **STILL), digits, atol=1e-6)


@pytest.mark.parametrize("vertical", [False, True])
def test_distort_shifts_by_up_to_so_many_pixels(rng, vertical):
    # a ramp from left to right, or top to bottom: its value tells where a pixel comes from
    ramp = np.tile(np.arange(20.0), (500, 20, 1))
    ramp = ramp.transpose(0, 2, 1).copy() if vertical else ramp
    moved = (distort(ramp, rng, **{**STILL, "pixels": 3}) - ramp)[:, 8:12, 8:12]
    np.testing.assert_allclose(moved, moved[:, :1, :1] * np.ones((1, 4, 4)), atol=1e-4)
    shifts = moved[:, 0, 0]
    assert -3 <= shifts.min() < -2.8 and 2.8 < shifts.max() <= 3 and abs(shifts.mean()) < 0.25


def test_distort_turns_about_the_centre(rng):
    ramp = np.tile(np.arange(21.0), (300, 21, 1))
    turned = distort(ramp, rng, **{**STILL, "degrees": 20})
    np.testing.assert_allclose(turned[:, 10, 10], 10, atol=1e-4)
    slopes = turned[:, 10, 12] - turned[:, 10, 8]  # 4 cos(angle)
    across = turned[:, 12, 10] - turned[:, 8, 10]  # 4 sin(angle)
    np.testing.assert_allclose(np.hypot(slopes, across), 4, atol=1e-3)
    angles = np.degrees(np.arctan2(across, slopes))
    assert -20 <= angles.min() < -18.5 and 18.5 < angles.max() <= 20.001


def test_distort_zooms_each_direction_by_itself(rng):
    ramp = np.tile(np.arange(21.0), (300, 21, 1))
    for X in (ramp, ramp.transpose(0, 2, 1).copy()):
        zoomed = distort(X, rng, **{**STILL, "zoom": 0.2})
        ends = zoomed[:, 12, 12] - zoomed[:, 8, 8]
        factors = 4 / ends
        assert 0.8 <= factors.min() + 1e-4 < 0.83 and 1.17 < factors.max() <= 1.2001


def test_distort_bends_smoothly(rng):
    ramp = np.tile(np.arange(28.0), (400, 28, 1))
    moved = (distort(ramp, rng, **STILL, elastic=0.7, sigma=4) - ramp)[:, 6:22, 6:22]
    assert 0.6 < moved.std() < 0.8
    neighbours = np.diff(moved, axis=1).std()
    assert 0.1 < neighbours < 0.25  # smooth: independent displacements would give 0.7 * sqrt(2)


def test_distort_fills_from_the_edge_and_invents_no_values(rng, digits):
    assert np.all(distort(np.full((30, 9, 9), 0.3), rng, pixels=20) == pytest.approx(0.3))
    result = distort(digits, rng, pixels=2, elastic=1)
    assert result.min() >= 0 and result.max() <= 1 + 1e-6


def test_distorted_images_differ_from_each_other_in_every_part_of_a_large_batch(rng):
    result = distort(np.tile(COLOUR[:1], (250, 1, 1, 1)), rng)
    assert len({image.tobytes() for image in result}) == 250


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i8", "f2"])
def test_distort_of_other_types_is_that_of_floats_rounded(dtype):
    top = 100 if dtype == "i1" else 255
    images = np.random.default_rng(0).integers(0, top, (5, 9, 8, 3)).astype(dtype)
    expected = distort(images.astype(float), np.random.default_rng(1), elastic=1)
    found = distort(images, np.random.default_rng(1), elastic=1)
    assert found.dtype == images.dtype
    np.testing.assert_allclose(found, expected, atol=0.5 if dtype != "f2" else 0.2)


def test_drop_inputs_keeps_the_mean(rng):
    result = drop_inputs(np.ones((200, 30, 30), np.float32), rng, p=0.2)
    np.testing.assert_allclose(np.unique(result), [0, 1.25])
    assert abs(result.mean() - 1) < 0.005
    assert np.array_equal(drop_inputs(COLOUR, rng, p=0), COLOUR)
    assert drop_inputs(np.ones((3, 4)), rng).shape == (3, 4)  # rows will do, too


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda rng: flip(np.ones((5, 784)), rng), "reshape"),
        (lambda rng: distort(np.ones((5, 784)), rng), "reshape"),
        (lambda rng: distort(COLOUR, rng, pixels=-1), "pixels"),
        (lambda rng: distort(COLOUR, rng, degrees=np.nan), "degrees"),
        (lambda rng: distort(COLOUR, rng, zoom=1), "zoom"),
        (lambda rng: distort(COLOUR, rng, elastic=np.inf), "elastic"),
        (lambda rng: distort(COLOUR, rng, elastic=1, sigma=0), "sigma"),
        (lambda rng: drop_inputs(COLOUR, rng, p=1), "p must"),
    ],
)
def test_wrong_arguments(call, word, rng):
    with pytest.raises(ValueError, match=word):
        call(rng)


@pytest.mark.parametrize("augment", [flip, distort, drop_inputs])
def test_in_training(augment, digits):
    net = TwoLayerNet(784, 8, 10, dtype=np.float32, rng=0)
    history = net.train(
        digits, np.arange(250) % 10, digits[:5], np.arange(5), epochs=2, augment=augment
    )
    assert np.isfinite(history["loss_history"]).all()
