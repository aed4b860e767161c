"""Packed tensors, fused products and estimates."""

from __future__ import annotations

import numpy as np
import pytest

import smlp


@pytest.fixture(scope="module", params=[False, True], ids=["usual", "short"])
def pair(request):
    return smlp.keygen(2048, short_exponents=request.param)


@pytest.fixture(scope="module")
def session(pair):
    return smlp.Session(smlp.P1(pair.public, sigma=40, allow_insecure=True), smlp.P2(pair.private))


X = np.linspace(-3, 3, 60).reshape(3, 20).round(2)


def test_packed_tensors_hold_the_same_numbers_in_fewer_ciphertexts(pair):
    packed = smlp.encrypt(pair.public, X, 8, 12, packed=True, sigma=40)
    single = smlp.encrypt(pair.public, X, 8, 12)
    assert (packed.values_per_ciphertext, single.values_per_ciphertext) == (20, 1)
    assert len(packed.to_bytes()) < len(single.to_bytes()) / 15
    np.testing.assert_array_equal(packed.decrypt(pair.private), single.decrypt(pair.private))
    again = smlp.EncryptedTensor.from_bytes(packed.to_bytes(), pair.public)
    np.testing.assert_array_equal(again[1:].decrypt(pair.private), single[1:].decrypt(pair.private))
    with pytest.raises(smlp.InvalidArgumentError, match="unpack"):
        packed.sum()


def test_sessions_take_packed_tensors_and_unpack_them(pair, session):
    twin = smlp.encode(X, 8, 12)
    packed = twin.encrypt(pair, packed=True, sigma=40)
    unpacked = session.unpack(packed)
    assert unpacked.values_per_ciphertext == 1
    np.testing.assert_array_equal(unpacked.sum(0).decrypt(pair.private), twin.sum(0).numpy())
    np.testing.assert_array_equal(
        session.relu(packed).decrypt(pair.private), np.maximum(twin.numpy(), 0)
    )
    narrow = twin.encrypt(pair, packed=True, sigma=20)
    with pytest.raises(smlp.InvalidArgumentError, match="room for masks of 20 bits"):
        session.unpack(narrow)


def test_products_are_divided_at_once(pair):
    record = smlp.Record()
    session = smlp.Session(
        smlp.P1(pair.public, sigma=40, allow_insecure=True), smlp.P2(pair.private), record=record
    )
    a, b = smlp.encode(X, 8, 12), smlp.encode(X.T.copy(), 8, 12)
    product = session.matmul_divide(a.encrypt(pair), b.encrypt(pair), 1 << 8, 8)
    assert product.scale == 8
    exact = a.numpy() @ b.numpy()
    assert np.abs(product.decrypt(pair.private) - exact).max() < 2**-8
    clear = smlp.ClearSession(record).matmul_divide(a, b, 1 << 8, 8)
    assert (clear.scale, clear.bound) == (product.scale, product.bound)
    opened = product.decrypt_tensor(pair.private).integers()
    np.testing.assert_array_equal(clear.integers(), opened)
    with pytest.raises(smlp.InvalidArgumentError, match="division by 0"):
        session.matmul_divide(a.encrypt(pair), b.encrypt(pair), 0)


def test_an_estimate_tells_what_a_session_then_counts(pair):
    form = {"fraction_bits": 8, "weight_bits": 12, "activation_bits": 12}
    short = pair.public.exponent_bits == 448
    job = {"rows": 16, "batch_size": 8, "key_bits": 2048, "short_exponents": short}
    told = smlp.estimate([4, 6, 2], **job, **form)
    assert ("short exponents" in str(told)) == short
    assert (told.steps, told.step_rounds) == (2, 8)
    assert told.seconds > 0
    assert "P2 decryption" in str(told)
    net = smlp.MLP([4, 6, 2], key=pair.public, seed=1, **form)
    x = smlp.encrypt(pair, np.zeros((16, 4)), 8, 12, packed=True)
    y = smlp.encrypt(pair, np.zeros((16, 2)), 8, 12, packed=True)
    session = smlp.Session(smlp.P1(pair.public), smlp.P2(pair.private))

    def after_the_first(done, _total):
        if done == 1:
            session.reset_statistics()

    net.fit(session, x, y, batch_size=8, progress=after_the_first)
    done = session.statistics
    assert 40 <= -told.log2_advantage <= session.kept_bits
    assert told.sigma > 40
    assert done.rounds == told.step_rounds
    assert done.bytes_sent == told.step_bytes_sent
    assert done.bytes_received == told.step_bytes_received
    for bad in ({"rows": 0}, {"rows": 4, "batch_size": 0}, {"rows": 4, "key_bits": 1024}):
        with pytest.raises(smlp.SmlpError):
            smlp.estimate([4, 2], **bad)
