import sys
import types

import numpy as np
import pytest

import smlp


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_floats(key, rng, dtype):
    array = rng.normal(0, 10, (3, 4)).astype(dtype)
    x = smlp.encrypt(key.public, array)
    assert (x.shape, x.ndim, x.size, len(x)) == ((3, 4), 2, 12, 3)
    assert (x.scale, x.bound) == (16, 40)
    back = x.decrypt(key.private)
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, np.round(array.astype(float) * 2**16) / 2**16)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">i4"])
def test_integers(key, rng, dtype):
    info = np.dtype(dtype)
    low = -100 if info.kind == "i" else 0
    array = rng.integers(low, 2 if dtype == "?" else 100, (2, 3)).astype(dtype)
    x = smlp.encrypt(key.public, array)
    assert (x.scale, x.bound) == (0, 56)
    back = x.decrypt(key.private)
    assert back.dtype == np.int64
    np.testing.assert_array_equal(back, array.astype(np.int64))


def test_layouts(key, rng):
    array = rng.normal(size=(4, 5))
    for view in (array.T, array[::-1, ::2], np.asfortranarray(array), array[:0], array[0, 0]):
        back = smlp.encode(view, fraction_bits=30, bound_bits=40).numpy()
        assert back.shape == np.shape(view)
        np.testing.assert_allclose(back, view, atol=2**-30)


def test_numbers_and_lists():
    assert smlp.encode(3).numpy() == 3
    assert smlp.encode(3).shape == ()
    assert smlp.encode([[1.5, -2.25]]).numpy().tolist() == [[1.5, -2.25]]
    assert smlp.encode([True, False]).integers().tolist() == [1, 0]
    assert smlp.encode([]).shape == (0,)


def test_formats(key):
    x = smlp.encrypt(key, [0.5, -0.25], fraction_bits=2, bound_bits=3)
    assert (x.scale, x.bound) == (2, 3)
    assert x.decrypt_tensor(key.private).integers().tolist() == [2, -1]
    # Integers with fraction bits are the same numbers, ready to meet fractions.
    y = smlp.encode([3, -4], fraction_bits=10)
    assert y.integers().tolist() == [3072, -4096]
    assert y.numpy().tolist() == [3.0, -4.0]
    raw = smlp.encode_integers([3072, -4096], scale=10)
    assert (raw.numpy().tolist(), raw.bound) == ([3.0, -4.0], 13)
    # Half to even, as numpy rounds.
    assert smlp.encode([0.5, 1.5, 2.5], fraction_bits=0).integers().tolist() == [0, 2, 2]


def test_extremes():
    low, high = -(2**63), 2**63 - 1
    edges = smlp.encode(np.array([low, high]), bound_bits=64)
    assert edges.integers().tolist() == [low, high]
    with pytest.raises(smlp.OutOfRangeError):
        smlp.encode(np.array([high]))
    with pytest.raises(smlp.OutOfRangeError):
        (edges + edges).integers()
    assert (edges + edges).sum().bound == 66


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([1.0, float("nan")], smlp.NotFiniteError, r"\[1\]"),
        ([float("inf")], ValueError, "finite"),
        ([[0.0], [1e30]], smlp.OutOfRangeError, r"\[1, 0\].*40"),
        ([2**56], OverflowError, "56"),
        (np.array([2**63], dtype=np.uint64), smlp.OutOfRangeError, str(2**63)),
        ([1 + 2j], smlp.UnsupportedError, "complex128"),
        ([2**70], TypeError, "integers beyond 64 bits"),
        (np.array([object()]), TypeError, "object"),
        (["1"], TypeError, "<U1"),
        (np.array(["2020-01-01"], dtype="M8[D]"), TypeError, "datetime64"),
        (np.zeros(2, dtype=np.longdouble), TypeError, r"float128|longdouble"),
        (None, TypeError, "object"),
    ],
)
def test_refusals(key, value, error, message):
    with pytest.raises(error, match=message):
        smlp.encrypt(key.public, value)


def test_refused_formats(key):
    for options in ({"fraction_bits": -1}, {"bound_bits": 0}, {"fraction_bits": 65}):
        with pytest.raises(ValueError, match=r".+"):
            smlp.encode([1.0], **options)
    with pytest.raises(TypeError):
        smlp.encode([1.0], fraction_bits=1.5)
    with pytest.raises(smlp.OutOfRangeError, match=r"2\^53"):
        smlp.encode([2**53 + 1], fraction_bits=8)
    with pytest.raises(smlp.UnsupportedError):
        smlp.encode_integers([0.5], scale=1)
    with pytest.raises(smlp.UnsupportedError, match=r"smlp\.encode"):
        smlp.IntegerTensor([1, 2])


def test_numpy_conversion(key):
    clear = smlp.encode([1.5, 2.5])
    assert np.asarray(clear).tolist() == [1.5, 2.5]
    assert np.asarray(clear, dtype=np.float32).dtype == np.float32
    with pytest.raises(smlp.UnsupportedError, match="decrypt"):
        np.asarray(clear.encrypt(key.public))


class FakeTorchTensor:
    """What is used of torch.Tensor: detach, cpu, numpy."""

    def __init__(self, array, on_host=False):
        self.array, self.on_host = array, on_host

    def detach(self):
        return self

    def cpu(self):
        return FakeTorchTensor(self.array, on_host=True)

    def numpy(self):
        assert self.on_host
        return self.array


def test_torch_tensors(key, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(Tensor=FakeTorchTensor))
    array = np.array([[1.5, -2.0]], dtype=np.float32)
    tensor = FakeTorchTensor(array)
    x = smlp.encrypt(key.public, tensor)
    np.testing.assert_array_equal(x.decrypt(key.private), array)
    np.testing.assert_array_equal((x + tensor).decrypt(key.private), 2 * array)
    np.testing.assert_array_equal((x * tensor).decrypt(key.private), array**2)


def test_torch_is_not_imported():
    assert "torch" not in sys.modules


def test_wrong_key(key, other_key):
    x = smlp.encrypt(key.public, [1.0])
    assert x.key_id == key.public.id
    with pytest.raises(smlp.KeyMismatchError) as caught:
        x.decrypt(other_key.private)
    assert key.public.id[:8] in str(caught.value)
    assert other_key.public.id[:8] in str(caught.value)


def test_tensor_bytes(key, other_key, tmp_path):
    x = smlp.encrypt(key, [[1.5, -2.5]], fraction_bits=12, bound_bits=20)
    for data in (x.to_bytes(), bytearray(x.to_bytes()), memoryview(x.to_bytes())):
        back = smlp.EncryptedTensor.from_bytes(data, key.public)
        assert (back.shape, back.scale, back.bound) == ((1, 2), 12, 20)
        assert back.decrypt(key.private).tolist() == [[1.5, -2.5]]
    clear = smlp.encode([1, 2, 3])
    clear.save(tmp_path / "clear")
    assert smlp.Tensor.load(tmp_path / "clear").numpy().tolist() == [1, 2, 3]
    x[:, ::-1].save(tmp_path / "x")
    assert smlp.Tensor.load(tmp_path / "x", key.public).decrypt(key.private)[0, 0] == -2.5
    with pytest.raises(smlp.MalformedError, match="expected EncryptedTensor"):
        smlp.EncryptedTensor.load(tmp_path / "clear")
    with pytest.raises(smlp.KeyMismatchError):
        smlp.Tensor.from_bytes(x.to_bytes(), other_key.public)
    with pytest.raises(smlp.SmlpError):
        smlp.Tensor.from_bytes(x.to_bytes())
    for bad in (b"", b"garbage", x.to_bytes()[:-1], x.to_bytes() + b"\0"):
        with pytest.raises(smlp.SmlpError):
            smlp.Tensor.from_bytes(bad, key.public)
