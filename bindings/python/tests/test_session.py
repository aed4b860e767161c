"""Operations of both servers against numpy, and integer for integer against the clear twin."""

import numpy as np
import pytest

import smlp


@pytest.fixture
def twins(key, p2):
    """A session and a clear one that repeats its calls."""
    session = smlp.Session(
        smlp.P1(key.public, sigma=40, allow_insecure=True), p2, record=smlp.Record()
    )
    return session, smlp.ClearSession(session.record)


@pytest.fixture
def opened(key):
    def integers(tensor):
        if isinstance(tensor, smlp.EncryptedTensor):
            tensor = tensor.decrypt_tensor(key.private)
        return tensor.integers()

    return integers


def small(key, array, bits=20):
    """The same integers, encrypted and clear."""
    clear = smlp.encode(array, fraction_bits=8, bound_bits=bits)
    return clear.encrypt(key), clear


def test_kinds(twins):
    session, clear = twins
    assert session.is_encrypted
    assert not clear.is_encrypted
    assert "40" in repr(session)
    assert session.p1.sigma == 40
    assert session.record is clear.record
    assert smlp.ClearSession().record is None


def test_products(key, twins, opened, rng):
    a, b = rng.normal(0, 9, (3, 4)), rng.normal(0, 9, (4, 2))
    (x, cx), (y, cy) = small(key, a), small(key, b)
    session, clear = twins
    for result, twin, expected in [
        (session.matmul(x, y), clear.matmul(cx, cy), cx.integers() @ cy.integers()),
        (session.matmul(x[0], y), clear.matmul(cx[0], cy), cx.integers()[0] @ cy.integers()),
        (session.multiply(x, x), clear.multiply(cx, cx), cx.integers() ** 2),
        (
            session.multiply(x[:, None, :2], y[:2]),
            clear.multiply(cx[:, None, :2], cy[:2]),
            cx.integers()[:, None, :2] * cy.integers()[:2],
        ),
    ]:
        assert (result.shape, result.scale, result.bound) == (twin.shape, twin.scale, twin.bound)
        assert result.scale == 16
        np.testing.assert_array_equal(opened(result), expected)
        np.testing.assert_array_equal(opened(twin), expected)


@pytest.mark.parametrize("divisor", [1, 2, 3, 256, 1000, 2**40 + 1, 2**64 - 1])
def test_division(key, twins, opened, rng, divisor):
    values = np.concatenate([rng.integers(-(2**30), 2**30, 5), [0, 1, -1, divisor % 2**30]])
    clear = smlp.encode(values, bound_bits=31)
    session, clear_session = twins
    for _ in range(2):
        quotient = session.divide(clear.encrypt(key), divisor)
        twin = clear_session.divide(clear, divisor)
        assert quotient.bound == twin.bound
        np.testing.assert_array_equal(opened(quotient), opened(twin))
        floor = np.array([int(value) // divisor for value in values])
        assert set((opened(quotient) - floor).tolist()) <= {0, 1}


def test_rescaling(key, twins, opened, rng):
    x, cx = small(key, rng.normal(0, 9, (2, 3)))
    session, clear = twins
    result = session.rescale(session.multiply(x, x), 8)
    twin = clear.rescale(clear.multiply(cx, cx), 8)
    assert (result.scale, twin.scale) == (8, 8)
    np.testing.assert_array_equal(opened(result), opened(twin))
    np.testing.assert_allclose(result.decrypt(key.private), cx.numpy() ** 2, atol=1 / 256)
    with pytest.raises(smlp.SmlpError):
        session.rescale(x, 9)


def test_comparisons(key, twins, opened, rng):
    a, b = rng.normal(0, 9, (3, 4)), rng.normal(0, 9, 4)
    a[0] = [0, 1 / 256, -1 / 256, 500]
    (x, cx), (y, cy) = small(key, a), small(key, b)
    session, clear = twins
    relu, slope = session.relu_with_derivative(x)
    np.testing.assert_array_equal(opened(relu), np.maximum(cx.integers(), 0))
    np.testing.assert_array_equal(opened(slope), cx.integers() >= 0)
    assert (slope.scale, slope.bound) == (0, 1)
    np.testing.assert_array_equal(opened(session.relu(x)), opened(relu))
    chosen = session.select(slope, x.assume_bound(19))
    np.testing.assert_array_equal(opened(chosen), opened(relu))
    largest = np.maximum(cx.integers(), cy.integers())
    np.testing.assert_array_equal(opened(session.maximum(x, y)), largest)
    clear_relu, clear_slope = clear.relu_with_derivative(cx)
    np.testing.assert_array_equal(opened(clear_relu), opened(relu))
    np.testing.assert_array_equal(opened(clear_slope), opened(slope))
    np.testing.assert_array_equal(opened(clear.maximum(cx, cy)), largest)
    np.testing.assert_array_equal(opened(clear.select(clear_slope, cx)), opened(relu))


def test_views_go_in(key, twins, opened):
    array = np.arange(12).reshape(3, 4) - 5
    x = smlp.encrypt(key, array, bound_bits=8)
    session, _ = twins
    np.testing.assert_array_equal(
        opened(session.matmul(x[::-1, [2, 0]].T, x)), array[::-1, [2, 0]].T @ array
    )
    np.testing.assert_array_equal(opened(session.relu(x.T[1:3])), np.maximum(array.T[1:3], 0))


def test_refreshing(key, twins, opened):
    x = smlp.encrypt(key, [1, -2])
    session, _ = twins
    fresh = session.refresh(x)
    assert opened(fresh).tolist() == [1, -2]
    assert set(fresh.ciphertexts().tolist()).isdisjoint(x.ciphertexts().tolist())


def test_statistics(key, twins):
    session, _ = twins
    assert session.statistics.rounds == 0
    session.matmul(*[small(key, np.ones((2, 2)))[0]] * 2)
    cost = session.statistics
    assert cost.rounds == 1
    assert cost.bytes_sent > 0
    assert cost.bytes == cost.bytes_sent + cost.bytes_received
    assert cost.operations == cost.p1_operations + cost.p2_operations > 0
    assert cost.seconds == cost.p1_seconds + cost.exchange_seconds > 0
    assert cost.masked_values >= 8
    assert session.advantage == pytest.approx(cost.masked_values * 2.0**-40)
    session.reset_statistics()
    assert session.statistics.rounds == 0


def test_refusals(key, other_key, twins):
    session, clear = twins
    x, cx = small(key, np.ones((2, 3)))
    with pytest.raises(smlp.ShapeError):
        session.matmul(x, x)
    with pytest.raises(smlp.KeyMismatchError):
        session.relu(smlp.encrypt(other_key, [1]))
    with pytest.raises(smlp.InvalidArgumentError):
        session.divide(x, 0)
    with pytest.raises(smlp.InvalidArgumentError, match="divisor"):
        session.divide(x, -3)
    with pytest.raises(TypeError):
        session.divide(x, 2.0)
    with pytest.raises(smlp.UnsupportedError, match="ndarray"):
        session.multiply(x, np.ones(3))
    with pytest.raises(smlp.BoundError):
        session.multiply(x.assume_bound(300), x.assume_bound(300))
    with pytest.raises(smlp.SmlpError):
        session.relu(cx)
    with pytest.raises(smlp.SmlpError):
        clear.relu(x)
    for bits in (0, 39, 129, -1, 1 << 40):
        with pytest.raises(ValueError, match=r".+"):
            smlp.P1(key.public, sigma=bits)
        with pytest.raises(ValueError, match=r".+"):
            smlp.P1(key.public, security=bits)
    with pytest.raises(smlp.InvalidArgumentError, match="fixed sigma"):
        smlp.P1(key.public, allow_insecure=True)
    with pytest.raises(smlp.UnsupportedError, match="bytes"):
        smlp.ClearSession(b"record")
    with pytest.raises(smlp.UnsupportedError, match="bytes"):
        smlp.Session(session.p1, lambda request: request, record=b"record")


def test_a_twin_without_a_record_draws_its_own_roundings(rng):
    x = smlp.encode(rng.integers(-1000, 1000, 200))
    first, second = (smlp.ClearSession().divide(x, 7).integers() for _ in range(2))
    assert (first != second).any()
    assert set((first - second).tolist()) <= {-1, 0, 1}


def test_real_size():
    """2048 bits and the default promise, as in use."""
    key = smlp.keygen(2048)
    session = smlp.Session(smlp.P1(key.public), smlp.P2(key.private))
    a = np.array([[1.5, -2.0], [0.25, 3.0]])
    x = smlp.encrypt(key.public, a, bound_bits=24)
    product = session.rescale(session.matmul(x, x), 16)
    np.testing.assert_allclose(product.decrypt(key.private), a @ a, atol=2**-15)
    np.testing.assert_array_equal(session.relu(x).decrypt(key.private), np.maximum(a, 0))
    assert session.p1.security == 40 < session.kept_bits < 68 == session.p1.sigma


@pytest.mark.parametrize("chosen", [{"security": 60}, {"security": 40}, {"values": 8}])
def test_a_fixed_width_takes_no_promise_beside_it(key, chosen):
    with pytest.raises(smlp.InvalidArgumentError, match="leave out"):
        smlp.P1(key.public, sigma=80, **chosen)


def test_a_promise_is_kept_or_refused(key, p2):
    """Masks of 44 bits keep 2^-40 for sixteen values and ciphertexts."""
    session = smlp.Session(smlp.P1(key.public, sigma=44), p2)
    assert session.kept_bits == float("inf")
    assert session.advantage == 0
    x = smlp.encrypt(key, [1.0, 2.0, 3.0], bound_bits=20)
    session.multiply(x, x)
    assert session.kept_bits >= 40
    assert session.advantage == 2**-session.kept_bits
    before = session.statistics
    with pytest.raises(smlp.InsecureError, match=r"promise of 2\^-40"):
        for _ in range(4):
            session.multiply(x, x)
    assert session.kept_bits >= 40
    assert before.masked_values >= 8
    few = smlp.Session(smlp.P1(key.public, values=16), p2)
    assert few.p1.sigma == 44
    more = smlp.P1(key.public, security=60)
    assert (more.security, more.sigma) == (60, 88)
