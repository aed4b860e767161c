"""smlp.torch: EncryptedTensor and IntegerTensor under torch's names, and the models."""

import copy

import pytest
import torch

import smlp
from smlp.torch import (
    P1,
    P2,
    EncryptedMLP,
    EncryptedTensor,
    IntegerMLP,
    IntegerTensor,
    encrypted_operations,
    integer_operations,
    pallier_ops,
    use,
)

Q = 2**10
A = torch.tensor([[1024, -512, 0], [3000, 7, -1]])
B = torch.tensor([[-700, 2048, 11], [1024, -3, 8]])


@pytest.fixture(scope="module")
def phe():
    return use(encrypted_operations(512, Q, sigma=40, allow_insecure=True))


@pytest.fixture(params=["encrypted", "clear"])
def make(request, phe):
    """Makes tensors of one kind."""
    if request.param == "encrypted":
        return lambda values: EncryptedTensor(values, Q)
    ours = integer_operations(Q)
    return lambda values: IntegerTensor(values, Q, ours)


def opened(tensor):
    return tensor.decrypt().tensor()


def test_shapes_as_torch(make):
    a = make(A)
    changes = [
        lambda x: x.reshape(3, 2),
        lambda x: x.reshape((-1,)),
        lambda x: x.flatten(),
        lambda x: x.t(),
        lambda x: x.T,
        lambda x: x.permute(1, 0),
        lambda x: x.transpose(0, 1),
        lambda x: x.unsqueeze(-1).squeeze(-1),
        lambda x: x.unsqueeze(1).squeeze(),
        lambda x: x.squeeze(0),
        lambda x: x.repeat(2, 1),
        lambda x: x.repeat(2, 1, 1).permute(1, 0, 2),
        lambda x: x[1],
        lambda x: x[:, 1:],
        lambda x: x[0, -1],
        lambda x: x[torch.tensor([1, 1, 0])],
        lambda x: x.clone(),
        lambda x: x.long().to("cpu"),
        lambda x: torch.reshape(x, (6,)),
        lambda x: torch.cat([x, x], dim=1),
        lambda x: torch.stack([x, x]),
        lambda x: copy.deepcopy([x])[0],
    ]
    for change in changes:
        expected = change(A)
        assert torch.equal(opened(change(a)), expected)
        assert change(a).shape == expected.shape
    assert a.size() == (2, 3)
    assert a.size(1) == 3
    assert len(a) == 2
    assert "q 1024" in repr(a)


def test_assignment(make):
    for key in (0, (1, 2), (slice(None), 1), torch.tensor([True, False]), slice(0, 2)):
        for value in (7, torch.tensor(5)):
            ours, theirs = make(A), A.clone()
            ours[key] = value
            theirs[key] = value
            assert torch.equal(opened(ours), theirs)
    ours = make(A)
    view = ours[0]
    ours[0] = make(B)[1]
    assert torch.equal(opened(ours), torch.stack([B[1], A[1]]))
    assert torch.equal(opened(view), A[0]), "tensors are values, not views"


def test_arithmetic(make):
    a, b = make(A), make(B)
    exact = [
        (a + b, A + B),
        (a - b, A - B),
        (a + 1, A + 1),
        (5 - a, 5 - A),
        (-a, -A),
        (B + a, A + B),
        (B - a, B - A),
        (a + b[0], A + B[0]),
        (a.sum(), A.sum()),
        (a.sum(0), A.sum(0)),
        (torch.sum(a, 1), A.sum(1)),
        (torch.relu(a), A.relu()),
        (a.relu(5), A.clamp(min=5)),
        (a.max(b), torch.maximum(A, B)),
        (torch.maximum(a, b), torch.maximum(A, B)),
        (a.max(), A.max()),
        (make(A.flatten()[:5]).max(), A.flatten()[:5].max()),
    ]
    for ours, theirs in exact:
        assert torch.equal(opened(ours), theirs)
    rounded = [
        (a * b, A * B, Q),
        (a * 2048, A * 2048, Q),
        (B * a, A * B, Q),
        (a.matmul(b.t()), A @ B.T, Q),
        (a @ b.t(), A @ B.T, Q),
        (torch.matmul(a, B.T), A @ B.T, Q),
        (torch.div(a, 7, rounding_mode="floor"), A, 7),
        (torch.div(a, torch.full((2, 3), 7.0), rounding_mode="floor"), A, 7),
        (torch.div(a, -7, rounding_mode="floor"), A, -7),
        (a // 7, A, 7),
    ]
    for ours, exactly, d in rounded:
        apart = opened(ours).double() - exactly.double() / d
        assert float(apart.abs().max()) < 1
    value, slope = a.relu_with_derivative()
    assert torch.equal(opened(value), A.relu())
    assert torch.equal(opened(slope), Q * (A >= 0))


def test_division_has_no_bias(make):
    many = make(torch.full((2000,), 5))
    mean = opened(torch.div(many, 8, rounding_mode="floor")).double().mean()
    assert abs(float(mean) - 5 / 8) < 0.06


def test_what_needs_plaintexts(make):
    a = make(A)
    if isinstance(a, IntegerTensor):
        assert torch.equal(a > 0, A > 0)
        assert torch.equal(a <= make(B), A <= B)
        assert torch.equal(a.argmax(1), A.argmax(1))
        assert torch.equal(torch.argmax(a), A.argmax())
        return
    for refused in (lambda: a > 0, lambda: a <= a, lambda: a == a, a.argmax):
        with pytest.raises(TypeError, match=r"relu_with_derivative|decrypt\(\) first"):
            refused()
    with pytest.raises(TypeError, match="truth value"):
        bool(a)


def test_what_is_refused(make, phe):
    a = make(A)
    cases = [
        (TypeError, "only 'floor'", lambda: torch.div(a, 2)),
        (TypeError, "only 'floor'", lambda: torch.div(a, 2, rounding_mode="trunc")),
        (TypeError, "no true quotient", lambda: a / 2),
        (TypeError, "divisors are integers", lambda: torch.div(a, 2.5, rounding_mode="floor")),
        (TypeError, "one each", lambda: torch.div(a, A, rounding_mode="floor")),
        (ZeroDivisionError, "0", lambda: torch.div(a, 0, rounding_mode="floor")),
        (TypeError, "fractions", lambda: make(torch.tensor([0.5]))),
        (TypeError, "torch.sigmoid is not there", lambda: torch.sigmoid(a)),
        (ValueError, "scale", lambda: a + type(a)(A, 2 * Q, a.operations)),
        (OverflowError, "44 bits", lambda: make(torch.tensor([2**44]))),
        (TypeError, "operations", lambda: EncryptedTensor(A, Q, integer_operations(Q))),
        (TypeError, "other is not", lambda: EncryptedTensor(A, Q) + IntegerTensor(A, Q)),
    ]
    for error, message, refused in cases:
        with pytest.raises(error, match=message):
            refused()


def test_the_twin_gives_the_same_integers(phe):
    fresh = encrypted_operations(512, Q, sigma=40, allow_insecure=True)
    secret = EncryptedTensor(A, Q, fresh), EncryptedTensor(B, Q, fresh)

    def compute(a, b):
        return torch.div(a * b + a, 3, rounding_mode="floor").matmul((a - b).t()).relu()

    result = opened(compute(*secret))
    for _ in range(2):  # each twin repeats the record from its start
        twin = fresh.twin()
        clear = IntegerTensor(A, Q, twin), IntegerTensor(B, Q, twin)
        assert torch.equal(result, compute(*clear).tensor())
    with pytest.raises(ValueError, match="it has 3 divisions"):
        compute(*clear)


def test_bounds_are_checked_in_the_clear():
    small = integer_operations(Q, bound_bits=12)
    with pytest.raises(OverflowError, match="12 bits"):
        IntegerTensor(A, Q, small) + IntegerTensor(A, Q, small)


def test_parties_apart(phe):
    """P1 with a P2 behind a function of bytes; only the owner decrypts, and repeats the record."""
    key, record = smlp.keygen(512, allow_insecure=True), smlp.Record()
    apart = pallier_ops(
        P1(key.public, sigma=40, allow_insecure=True), P2(key.private).answer, Q, record=record
    )
    a = EncryptedTensor(A, Q, apart)
    product = (a * a).tensor()
    with pytest.raises(TypeError, match="only the data owner"):
        a.decrypt()
    product = torch.from_numpy(product.decrypt(key.private))
    assert float((product.double() - A.double() ** 2 / Q).abs().max()) < 1
    clear = IntegerTensor(A, Q, integer_operations(Q, record=record))
    assert torch.equal((clear * clear).tensor(), product)


def test_models_agree_method_by_method():
    """The twin repeats the record, so each method gives the same integers."""
    torch.manual_seed(0)
    phe = encrypted_operations(512, Q, sigma=40, allow_insecure=True)
    bits = torch.randint(0, 2, (12, 2))
    x, y = Q * bits, Q * torch.nn.functional.one_hot(bits[:, 0] ^ bits[:, 1], 2)
    layers = [2, 5, 4, 2], ["relu", "relu", "linear"]
    encrypted = EncryptedMLP(*layers, Q, operations=phe, seed=4)
    clear = IntegerMLP(*layers, Q, operations=phe, seed=4)
    data, labels = EncryptedTensor(x, Q, phe), EncryptedTensor(y, Q, phe)
    zs, outputs = encrypted.feedforward(data)
    for ours, theirs in zip(zs + outputs, [z for part in clear.feedforward(x) for z in part]):
        assert ours.shape == theirs.shape
        assert torch.equal(opened(ours), theirs.tensor())
    for ours, theirs in zip(encrypted.backprop(data, labels), clear.backprop(x, y)):
        for mine, clears in zip(ours, theirs):
            assert mine.shape == clears.shape
            assert torch.equal(opened(mine), clears.tensor())
    for lr in (4, 50):
        encrypted.update_mini_batch(data, labels, lr)
        clear.update_mini_batch(x, y, lr)
    encrypted.train(data, labels, 5, 2, 10, progress=False)
    clear.train(x, y, 5, 2, 10, progress=False)
    for again in (encrypted, clear.encrypt(phe)):
        pairs = zip(again.decrypt().net.weights, clear.net.weights)
        assert all((ours.integers() == theirs.integers()).all() for ours, theirs in pairs)
    outputs = encrypted.outputs(data)
    assert (clear.outputs(x) == outputs).all()
    assert encrypted.get_accuracy(data, y) == clear.get_accuracy(x, y)
    own = encrypted.decrypt().outputs(x)
    assert 0 < abs(own - outputs).max() <= 20 / Q
    assert encrypted.encrypt() is encrypted
    assert clear.decrypt() is clear


def test_backprop_is_the_gradient(phe):
    """A step of the network equals the gradients over lr · batch, up to rounding."""
    bits = torch.tensor([[0, 1], [1, 0], [1, 1], [0, 0]])
    x, y = Q * bits, Q * torch.nn.functional.one_hot(bits[:, 0] ^ bits[:, 1], 2)
    model = IntegerMLP([2, 6, 2], ["relu", "linear"], Q, seed=9)
    before = [torch.from_numpy(w.integers()) for w in model.net.weights]
    _, dw = model.backprop(x, y)
    model.update_mini_batch(x, y, 2)
    for old, new, gradient in zip(before, model.net.weights, dw):
        step = torch.from_numpy(new.integers()) - old
        assert float((step - gradient.tensor() / (2 * 4)).abs().max()) < 3


def test_scales_of_models():
    for t in (0, 1, 1000):
        with pytest.raises(ValueError, match="power of two"):
            IntegerMLP([2, 2], ["linear"], t)
