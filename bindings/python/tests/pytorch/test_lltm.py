"""Every name of lltm_cpp against plain integers: shapes, signs, types, and what is refused."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch

A = torch.tensor([[3, -5, 0], [40, 7, -1]])
B = torch.tensor([[-7, 2, 11], [1, -3, 8]])


@pytest.fixture
def secret(ops, keys):
    """A and B, encrypted."""
    return ops.encrypt(A, keys[0]), ops.encrypt(B, keys[0])


def test_keys_are_those_of_the_textbook(ops, make_keys):
    for bits in (12, 30, 31, 64, 2048):
        public, private = make_keys(bits)
        n, g, n2 = public
        p, p2, q, q2, hp, hq, mu, lam = private[:8]
        assert all(type(number) is int for number in public + private)
        assert n.bit_length() == bits
        assert (g, n2, p * q, p2, q2, private[8:]) == (n + 1, n * n, n, p * p, q * q, [n, n2])
        assert lam == math.lcm(p - 1, q - 1)
        assert mu * lam % n == 1
        for prime, square, h in ((p, p2, hp), (q, q2, hq)):
            assert (pow(g, prime - 1, square) - 1) // prime * h % prime == 1
    assert ops.pcs_keys()[0][0].bit_length() == 12
    assert ops.pcs_keys(modsize=20)[0][0].bit_length() == 20


def test_ciphertexts_of_small_keys_are_textbook_paillier(ops, make_keys):
    public, private = make_keys(30)
    n, _, n2 = public
    lam, mu = private[7], private[6]
    numbers = ops.encrypt(A, public)
    for cipher, clear in zip(numbers.flatten().tolist(), A.flatten().tolist()):
        assert 0 < cipher < n2
        assert (pow(cipher, lam, n2) - 1) // n * mu % n == clear % n
    own = [(1 + m * n) * pow(12345, n, n2) % n2 for m in (5, n - 6)]
    assert ops.decrypt(torch.tensor(own), private).tolist() == [5, -6]


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (1, 2, 1, 3), (0,), (2, 0)], ids=str)
def test_shapes_come_back(ops, keys, shape):
    public, private = keys
    values = torch.arange(-3, 3)[: math.prod(shape)].reshape(shape)
    cipher = ops.encrypt(values, public)
    assert cipher.dtype == torch.int64
    assert cipher.shape == values.shape
    for result in (cipher, ops.modular_add(cipher, cipher, public)):
        assert ops.decrypt(result, private).shape == values.shape
    assert torch.equal(ops.decrypt(cipher, private), values)


def test_any_kind_of_operand(ops, keys):
    public, private = keys
    wide = ops.encrypt(A.T, public)
    assert torch.equal(ops.decrypt(wide.T, private), A), "not contiguous"
    assert torch.equal(ops.decrypt(wide[1:, :1], private), A.T[1:, :1])
    for kind in (torch.int32, torch.int16, torch.int8, torch.float32, torch.float64):
        assert torch.equal(ops.decrypt(ops.encrypt(A.to(kind), public), private), A)
    assert torch.equal(ops.decrypt(ops.encrypt(A.numpy(), public), private), A)
    assert ops.decrypt(ops.encrypt(A > 0, public), private).tolist() == (A > 0).long().tolist()
    assert ops.decrypt(ops.encrypt([1, [2][0]], public), private).tolist() == [1, 2]
    assert ops.decrypt(ops.encrypt(-9, public), private).item() == -9
    scalar = ops.encrypt_s(np.int64(-9), public)
    assert ops.decrypt(scalar, private).item() == -9
    assert ops.decrypt([scalar, scalar], private).tolist() == [-9, -9]
    assert ops.decrypt_s(ops.encrypt(torch.tensor([5]), public), private) == 5


def test_sums(ops, keys, secret):
    public, private = keys
    a, b = secret
    assert torch.equal(ops.decrypt(ops.modular_add(a, b, public), private), A + B)
    assert torch.equal(ops.decrypt(ops.modular_sub(a, b, public), private), A - B)
    assert torch.equal(ops.decrypt(ops.modular_add(a, b[0], public), private), A + B[0])
    assert torch.equal(ops.decrypt(ops.modular_sub(a[:, :1], b, public), private), A[:, :1] - B)
    assert torch.equal(ops.decrypt(ops.modular_sub(a[0, 0], b, public), private), 3 - B)
    rows = torch.tensor([ops.modular_sum(row, public) for row in a])
    assert rows.dtype == torch.int64
    assert ops.decrypt(rows, private).tolist() == A.sum(1).tolist()
    assert ops.decrypt_s(ops.modular_sum(a, public), private) == int(A.sum())
    assert ops.decrypt_s(ops.modular_sum(a[:, :0], public), private) == 0
    for axis in (0, 1, -1):
        sums = ops.sum_enc(a, axis, public, private)
        assert torch.equal(ops.decrypt(sums, private), A.sum(axis))
    assert ops.decrypt(ops.sum_enc(a[:0], 0, public, private), private).tolist() == [0, 0, 0]


def test_masking(ops, keys, secret):
    public, private = keys
    for r in (0, 4095, -4095):
        masked = ops.modular_mul(secret[0].flatten(), ops.encrypt_s(r, public), public[2])
        assert torch.equal(ops.decrypt(masked, private), A.flatten() + r)
    each = ops.modular_mul(secret[0], secret[1], public[2], 1)
    assert torch.equal(ops.decrypt(each, private), A + B)


def test_modular_mul_of_plain_numbers(ops):
    z = torch.tensor([10, -20, 30])
    assert ops.modular_mul(z, 7, 1000).tolist() == [70, 860, 210]
    assert ops.modular_mul(z, 7, 1000, 3).tolist() == [23, 286, 70]
    assert ops.modular_mul(z, torch.tensor([1, 2, 3]), 2**61 - 1).tolist()[2] == 90
    assert ops.modular_mul(torch.tensor([2**60]), 2**60, 2**62 - 57).item() == 2**120 % (2**62 - 57)
    for module, q in ((0, 1), (-5, 1), (7, 0), (7, -1)):
        with pytest.raises(ValueError, match="at least 1"):
            ops.modular_mul(z, 7, module, q)
    with pytest.raises(OverflowError):
        ops.modular_mul(torch.tensor([2**61]), 2**61, 2**127)


def test_clear_factors_keep_their_sign(ops, keys, secret):
    public, private = keys
    for r in (3, -3, 1, -1, 0, 2.0, torch.tensor(-2), np.int64(5)):
        assert torch.equal(ops.decrypt(ops.modular_pow(secret[0], public, r), private), A * int(r))
    assert torch.equal(ops.decrypt(ops.modular_pow(secret[0], public, B), private), A * B)
    assert ops.decrypt(ops.modular_pow(secret[0][0, 0], public, B[0]), private).tolist() == [
        3 * x for x in B[0].tolist()
    ]


@pytest.mark.parametrize("q", [1, 2, 1024])
def test_products(ops, keys, q):
    public, private = keys
    left, right = A * 900, B * 7
    a, b = ops.encrypt(left, public), ops.encrypt(right, public)
    products = ops.mul_enc(a, b, public, private, q)
    assert torch.equal(
        ops.decrypt(products, private), torch.div(left * right, q, rounding_mode="floor")
    )
    assert torch.equal(ops.decrypt(ops.mul_enc2(a, b, public, private), private), left * right)
    matrix = ops.dummy_matmul(a, b.T, public, private, q)
    terms = torch.div(left.unsqueeze(1) * right.unsqueeze(0), q, rounding_mode="floor")
    assert torch.equal(ops.decrypt(matrix, private), terms.sum(-1))
    vector = ops.dummy_matmul(a[0], b.T, public, private, q)
    assert torch.equal(ops.decrypt(vector, private), terms.sum(-1)[0])
    inner = ops.dummy_matmul(a[0], b[1], public, private, q)
    assert ops.decrypt(inner, private).item() == terms.sum(-1)[0, 1]


@pytest.mark.parametrize(("r", "s"), [(0, 0), (4095, 17), (-8, 4000)])
def test_masked_products(ops, keys, secret, r, s):
    public, private = keys
    a, b = (x.flatten() for x in secret)
    masked = [
        ops.modular_mul(x, ops.encrypt_s(mask, public), public[2]) for x, mask in ((a, r), (b, s))
    ]
    m = ops.mul_enc(*masked, public, private)
    product = ops.retrieve_mul(a, b, m, public, s, r)
    assert torch.equal(ops.decrypt(product, private), (A * B).flatten())
    literal = ops.retrieve_mul(a, b, m, public, r_a=2, r_b=-3)
    expected = (A + r) * (B + s) - 2 * A + 3 * B + 6
    assert torch.equal(ops.decrypt(literal, private), expected.flatten())
    matrix = ops.retrieve_matmul(
        a[:2].reshape(-1, 1), b[:3].reshape(-1, 1), secret[0], public, s, r
    )
    expected = A - s * A.flatten()[:2, None] - r * B.flatten()[None, :3] - r * s
    assert torch.equal(ops.decrypt(matrix, private), expected)


def test_division_by_either_half(ops, keys):
    public, private = keys
    values, r = torch.tensor([0, 17, -17, 5000, -5000]), 1234
    masked = ops.modular_mul(ops.encrypt(values, public), ops.encrypt_s(r, public), public[2])
    for d in (
        torch.full((5,), 7.0),
        torch.tensor([1.0, 2.0, 3.0, 4.0, 2.5]),
        8,
        8.0,
        [1, 2, 3, 4, 5],
    ):
        each = d if isinstance(d, list) else torch.as_tensor(d).expand(5).tolist()
        halves = torch.tensor(
            [(v + r) // Fraction(x) for v, x in zip(values.tolist(), each)], dtype=torch.int64
        )
        c = ops.encrypt(halves, public)
        result = ops.decrypt(ops.div_enc(c, d, r, public), private).tolist()
        expected = [h + -r // Fraction(x) for h, x in zip(halves.tolist(), each)]
        assert result == expected
        exact = [v // Fraction(x) for v, x in zip(values.tolist(), each)]
        assert all(e - 1 <= got <= e for got, e in zip(result, exact))
    assert ops.decrypt(masked, private).tolist() == (values + r).tolist()
    with pytest.raises(ZeroDivisionError):
        ops.div_enc(masked, torch.zeros(5), r, public)
    with pytest.raises(ValueError, match="divisors"):
        ops.div_enc(masked, [1, 2], r, public)


def test_comparison_of_the_layout(ops, keys, secret):
    public, private = keys
    a, b = (x.flatten() for x in secret)
    masks = ops.encrypt(torch.tensor(77).repeat(a.numel()), public)
    hidden = [ops.modular_add(ops.modular_pow(x, public, 13), masks, public) for x in (a, b)]
    bits = ops.decrypt(hidden[0], private) >= ops.decrypt(hidden[1], private)
    assert torch.equal(bits, (A >= B).flatten())
    chosen = ops.mul_enc(ops.encrypt(bits, public), ops.modular_sub(a, b, public), public, private)
    larger = ops.modular_add(chosen, b, public)
    assert torch.equal(ops.decrypt(larger, private), torch.maximum(A, B).flatten())


def test_outer_products_of_the_layout(ops, keys, secret):
    public, private = keys
    x = secret[0][0].repeat(3, 1, 1).permute(2, 0, 1).flatten()
    y = secret[1][0].repeat(3, 1, 1).permute(0, 2, 1).flatten()
    product = ops.mul_enc(x, y, public, private).reshape(3, 3)
    assert torch.equal(ops.decrypt(product, private), A[0][:, None] * B[0][None])


def test_signs(ops):
    assert [ops.gmp_sign(x) for x in (5, -(2**100), 0, 2.5, torch.tensor(-3))] == [1, -1, 0, 1, -1]
    assert ops.gmp_sign(A).tolist() == A.sign().tolist()


def test_self_tests_print(ops, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("test", "test_", "d_test_"):
            assert getattr(ops, name)() is None
    printed = capfd.readouterr().out
    assert printed.count("[3, -4]") >= 2
    assert "[15, -24]" in printed


def test_what_is_refused(ops, keys, secret):
    public, private = keys
    a = secret[0]
    cases = [
        (TypeError, lambda: ops.encrypt(torch.tensor([0.5]), public)),
        (TypeError, lambda: ops.encrypt("abc", public)),
        (TypeError, lambda: ops.encrypt(None, public)),
        (TypeError, lambda: ops.decrypt(a.double(), private)),
        (TypeError, lambda: ops.encrypt_s(0.5, public)),
        (TypeError, lambda: ops.encrypt_s(a, public)),
        (TypeError, lambda: ops.encrypt(a, private)),
        (TypeError, lambda: ops.decrypt(a, public)),
        (TypeError, lambda: ops.encrypt(A, "key")),
        (ValueError, lambda: ops.encrypt(A, [public[0], public[0], public[2]])),
        (ValueError, lambda: ops.decrypt(a, [7, *private[1:]])),
        (ValueError, lambda: ops.modular_add(a, a[:, :2], public)),
        (ValueError, lambda: ops.dummy_matmul(a, a, public, private)),
        (ValueError, lambda: ops.retrieve_mul(a[0], a, a, public, 1, 1)),
        (ValueError, lambda: ops.retrieve_matmul(a[0], a[0], a, public, 1, 1)),
        (ValueError, lambda: ops.mul_enc(a, a, public, private, 0)),
        (ValueError, lambda: ops.sum_enc(a, 2, public, private)),
        (ValueError, lambda: ops.decrypt(torch.tensor([0]), private)),
        (ValueError, lambda: ops.pcs_keys(5)),
        (ValueError, lambda: ops.pcs_keys(33)),
        (ValueError, lambda: ops.pcs_keys(-1)),
    ]
    for number, (error, refused) in enumerate(cases):
        with pytest.raises(error):
            refused()
            pytest.fail(f"case {number}")


def test_keys_of_two_pairs_do_not_mix(ops, keys, secret, large):
    with pytest.raises(ValueError, match="different pairs"):
        ops.mul_enc(*secret, large[0], keys[1])


def test_small_keys_say_when_numbers_wrap(ops, make_keys):
    public, private = make_keys(30)
    half = public[0] // 2
    with pytest.warns(RuntimeWarning, match="wrapped modulo n"):
        wrapped = ops.encrypt(torch.tensor([half, half + 1, -half]), public)
    assert ops.decrypt(wrapped, private).tolist() == [half, -half, -half]


def test_large_keys_refuse_what_does_not_fit(ops, large):
    public, private = large
    with pytest.raises(OverflowError):
        ops.encrypt_s(public[0] // 2 + 1, public)
    big = ops.encrypt_s(public[0] // 2, public)
    assert ops.decrypt_s(big, private) == public[0] // 2
    with pytest.raises(OverflowError, match="64 bits"):
        ops.decrypt(big, private)


def test_results_of_p2_wrap_and_only_p2_is_told(ops, large):
    public, private = large
    half = public[0] // 2
    big = ops.encrypt_s(half, public)
    with pytest.warns(RuntimeWarning, match="wrapped modulo n"):
        product = ops.mul_enc(big, big, public, private)
    (wrapped,) = {half * half % public[0], half * half % public[0] - public[0]} & {
        ops.decrypt_s(int(product), private)
    }
    assert abs(wrapped) <= half


def test_masks_of_any_size(ops, large):
    public, private = large
    a, b = ops.encrypt(A, public), ops.encrypt(B, public)
    for bits in (64, 100, 126, 200):
        r, s = 2**bits + 12345, -(2**bits) - 1
        masked = [
            ops.modular_mul(x, ops.encrypt_s(mask, public), public[2])
            for x, mask in ((a, r), (b, s))
        ]
        m = ops.mul_enc(*masked, public, private)
        product = ops.retrieve_mul(a, b, m, public, s, r)
        assert torch.equal(ops.decrypt(product, private), A * B)


def test_keys_made_of_numbers_alone(ops, make_keys):
    """Keys of another process: nothing is known but the lists."""
    for bits in (30, 512):
        public, private = make_keys(bits)
        # So many keys that the first ones are forgotten.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(40):
                ops.pcs_keys(64)
        cipher = ops.encrypt(A, [int(str(number)) for number in public])
        assert torch.equal(ops.decrypt(cipher, [int(str(number)) for number in private]), A)
