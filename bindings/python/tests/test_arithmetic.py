"""Operators against numpy, with clear and encrypted operands on both sides."""

import numpy as np
import pytest

import smlp


@pytest.fixture
def pair(rng):
    # Multiples of 2^-8, so that products at 16 fraction bits are exact.
    return np.round(rng.normal(0, 3, (2, 3)) * 256) / 256, np.round(rng.normal(0, 3, 3) * 256) / 256


def test_sums(key, pair):
    a, b = pair
    x, y = smlp.encrypt(key, a), smlp.encrypt(key, b)
    for result, expected in [
        (x + y, a + b),
        (x - y, a - b),
        (y - x, b - a),
        (x + smlp.encode(b), a + b),
        (smlp.encode(b) - x, b - a),
        (x + b, a + b),
        (b + x, b + a),
        (b - x, b - a),
        (x - 2, a - 2),
        (2.5 - x, 2.5 - a),
        (x + np.float32(0.5), a + 0.5),
        (x + list(b), a + b),
        (-x, -a),
        (+x, a),
        (x.sum(), a.sum()),
        (x.sum(0), a.sum(0)),
        (x.sum(axis=-1), a.sum(-1)),
        (sum(x), a.sum(0)),
    ]:
        assert isinstance(result, smlp.EncryptedTensor)
        assert result.scale == 16
        np.testing.assert_array_equal(result.decrypt(key.private), expected)


def test_products(key, pair):
    a, b = pair
    x = smlp.encrypt(key, a)
    for result, expected in [
        (x * b, a * b),
        (b * x, b * a),
        (x * smlp.encode(b), a * b),
        (x * -0.5, a * -0.5),
        (x @ b, a @ b),
        (b[:2] @ x, b[:2] @ a),
        (np.eye(2) @ x, a),
        (x @ smlp.encode(b), a @ b),
        (smlp.encode(b[:2]) @ x, b[:2] @ a),
        (np.vstack([b, b])[:, :2] @ x, np.vstack([b, b])[:, :2] @ a),
    ]:
        assert result.scale == 32
        np.testing.assert_array_equal(result.decrypt(key.private), expected)
    for result, expected in [(x * 3, a * 3), (x @ [1, -2, 0], a @ [1, -2, 0]), (True * x, a)]:
        assert result.scale == 16
        np.testing.assert_array_equal(result.decrypt(key.private), expected)


def test_bounds_are_tight(key):
    x = smlp.encrypt(key, [1.0], bound_bits=20)
    assert (x * 3).bound == 22
    assert (x * 0).bound == 21
    assert (x + 1).bound == 21
    assert (x * 1.0).bound == 20 + 17
    assert (x * smlp.encode(1.0, bound_bits=30)).bound == 50


def test_clear_tensors_compute_alike(pair):
    a, b = (smlp.encode(values) for values in pair)
    np.testing.assert_array_equal((a * b).numpy(), pair[0] * pair[1])
    np.testing.assert_array_equal((a @ b).numpy(), pair[0] @ pair[1])
    assert isinstance(a + pair[1], smlp.IntegerTensor)


def test_integers(key, rng):
    a = rng.integers(-1000, 1000, (3, 3))
    x = smlp.encrypt(key, a)
    for result, expected in [(x * a, a * a), (a @ x, a @ a), (x - a.T, a - a.T), (x + 2.0, a + 2)]:
        back = result.decrypt(key.private)
        assert back.dtype == np.int64
        np.testing.assert_array_equal(back, expected)


def test_surprises_are_refused(key, other_key):
    x, y = smlp.encrypt(key, [1.5]), smlp.encrypt(key, [2])
    with pytest.raises(smlp.ScaleError, match=r"16.*0"):
        x + y
    with pytest.raises(smlp.ScaleError, match="rounded away"):
        y + 0.5
    with pytest.raises(smlp.KeyMismatchError):
        x + smlp.encrypt(other_key, [1.5])
    with pytest.raises(smlp.ShapeError):
        x + np.zeros((2, 3)) + np.zeros(4)
    with pytest.raises(smlp.ShapeError):
        smlp.encrypt(key, np.zeros((2, 3))) @ np.zeros((2, 3))
    with pytest.raises(smlp.NotFiniteError):
        x * float("nan")
    with pytest.raises(smlp.NotFiniteError):
        x + float("inf")
    with pytest.raises(smlp.BoundError, match=r"assume_bound|divide"):
        big = x
        for _ in range(40):
            big = big * (1 << 30)


def test_encrypted_products_name_the_session(key):
    x = smlp.encrypt(key, [1.5])
    with pytest.raises(TypeError, match=r"session\.multiply"):
        x * x
    with pytest.raises(smlp.UnsupportedError, match=r"session\.matmul"):
        x @ x


@pytest.mark.parametrize("encrypted", [True, False])
def test_values_cannot_be_looked_at(key, encrypted):
    x = smlp.encode([1.5])
    hint = r"\.numpy\(\)"
    if encrypted:
        x, hint = x.encrypt(key), "relu|maximum"
    for look in (
        lambda: x == x,
        lambda: x != 1,
        lambda: x < x,
        lambda: x <= 1.0,
        lambda: x > np.array([1.0]),
        lambda: np.array([1.0]) > x,
        lambda: x <= 3,
        lambda: bool(x),
    ):
        with pytest.raises(smlp.UnsupportedError, match=hint):
            look()
    with pytest.raises(TypeError, match=r"session\.divide"):
        x / 2
    with pytest.raises(TypeError, match=r"session\.divide"):
        2 // x
    with pytest.raises(TypeError):
        hash(x)


def test_strangers(key):
    x = smlp.encrypt(key, [1.5])
    for other in ("1", None, object(), {}):
        with pytest.raises(TypeError):
            x + other
        with pytest.raises(TypeError):
            other * x
    with pytest.raises(smlp.UnsupportedError, match="complex"):
        x * 1j


def test_assumed_bounds(key):
    clear = smlp.encode([3.0, -4.0])
    assert clear.assume_bound(20).bound == 20
    with pytest.raises(smlp.OutOfRangeError, match=r"\[1\]"):
        clear.assume_bound(18)
    x = clear.encrypt(key)
    assert x.assume_bound(19).bound == 19
    with pytest.raises(ValueError, match=r".+"):
        x.assume_bound(0)
    with pytest.raises(smlp.BoundError):
        x.assume_bound(100_000)


def test_chains_of_clear_operations(key, rng):
    for _ in range(10):
        a = rng.integers(-9, 9, (2, 3))
        x, exact = smlp.encrypt(key, a), a.astype(object)
        for _ in range(6):
            b = rng.integers(-9, 9, 3)
            name = rng.choice(["add", "sub", "mul"])
            if name == "add":
                x, exact = x + b, exact + b
            elif name == "sub":
                x, exact = b - x, b - exact
            else:
                x, exact = x * b, exact * b
        assert x.decrypt(key.private).tolist() == exact.tolist()
        assert max(map(abs, exact.ravel())) < 2**x.bound
