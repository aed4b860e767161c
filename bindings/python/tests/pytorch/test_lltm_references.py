"""References: what torch may do with them, how long they live, and that a wrong one is noticed."""

import array
import copy
import gc
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

# Both ways of building the extension give the same code, so one of them has to do here.
pytestmark = pytest.mark.parametrize("ops", ["ctypes", "setup"], indirect=True)

A = torch.arange(-6, 6).reshape(3, 4)


@pytest.fixture
def secret(ops, large):
    return ops.encrypt(A, large[0])


def settle(ops):
    """Twice: the first time only warns."""
    ops.collect()
    return ops.collect()


def test_torch_moves_them_unchanged(ops, large, secret):
    _, private = large
    changes = [
        lambda x: x.reshape(4, 3),
        lambda x: x.repeat(2, 1, 1).permute(2, 0, 1),
        lambda x: x[1:, ::2],
        lambda x: x[torch.tensor([2, 0]), 1],
        lambda x: x.flatten()[x.flatten() >= 0] if x.max() > 100 else x.flatten(),
        lambda x: torch.cat([x, x[:1]]),
        lambda x: torch.stack([x, x], -1),
        lambda x: x.T.contiguous().squeeze(-1),
        lambda x: copy.deepcopy([x, x])[1],
        lambda x: x.long().clone(),
        lambda x: x.unsqueeze(0).expand(2, 3, 4),
        lambda x: torch.tensor(x.tolist()),
        lambda x: torch.from_numpy(x.numpy().copy()),
        lambda x: torch.zeros_like(x).copy_(x),
        lambda x: torch.index_select(x, 1, torch.tensor([3, 3])),
        lambda x: torch.split(x, 2, 1)[1],
    ]
    for change in changes:
        assert torch.equal(ops.decrypt(change(secret), private), change(A))


def test_scalars_survive_in_tensors(ops, large):
    public, private = large
    rows = ops.encrypt(A, public)
    sums = torch.tensor([ops.modular_sum(row, public) for row in rows])
    target = torch.empty(2, dtype=torch.int64)
    target[0] = ops.modular_sum(rows, public)
    target[1] = ops.encrypt_s(99, public)
    gc.collect()
    settle(ops)
    assert ops.decrypt(sums, private).tolist() == A.sum(1).tolist()
    assert ops.decrypt(target, private).tolist() == [int(A.sum()), 99]


def test_literals_are_residues(ops, large, secret):
    """What ReLU's derivative of the layout writes: 1 is a trivial encryption of 0."""
    public, private = large
    slope = secret.clone()
    slope[slope >= 0] = 1
    assert ops.decrypt(slope, private).tolist() == (0 * A).tolist()
    product = ops.mul_enc(slope, secret, public, private)
    assert ops.decrypt(product, private).tolist() == (0 * A).tolist()
    slope[0, 0] = 0
    with pytest.raises(ValueError, match="0, which encrypts nothing"):
        ops.mul_enc(slope, secret, public, private)


def test_plain_numbers_are_no_ciphertexts(ops, large, secret):
    public, private = large
    with pytest.raises(ValueError, match="encrypt it first"):
        ops.modular_add(secret, torch.tensor(-700), public)
    with pytest.raises(OverflowError, match="never encrypted"):
        ops.decrypt(torch.tensor([700]), private)
    with pytest.raises(ValueError, match="ciphertexts already"):
        ops.encrypt(secret, public)
    with pytest.raises(ValueError, match="ciphertext already"):
        ops.encrypt_s(ops.encrypt_s(5, public), public)


def test_arithmetic_on_references_is_noticed(ops, large, secret):
    _, private = large
    for wrong in (secret + 1, secret * 2, secret.sum(0), -secret, secret.double().long()):
        # The last one for what wrapped to a small number, which is a residue.
        with pytest.raises((RuntimeError, ValueError, OverflowError)):
            ops.decrypt(wrong, private)


def test_references_of_another_key_and_kind(ops, make_keys, secret):
    public, private = make_keys(64)
    with pytest.raises(ValueError, match="key mismatch"):
        ops.decrypt(secret, private)
    with pytest.raises(ValueError, match="key mismatch"):
        ops.modular_add(secret, secret, public)
    with pytest.raises(ValueError, match="key mismatch"):
        ops.modular_mul(secret, ops.encrypt_s(5, public), public[2])
    small, _ = make_keys(30)
    with pytest.raises(ValueError, match="larger key"):
        ops.modular_add(secret, secret, small)
    with pytest.raises(ValueError, match="not the n2"):
        ops.modular_mul(secret, 5, small[2])


def test_dividing_a_ciphertext_is_left_out_with_a_warning(ops, large, secret):
    public, private = large
    with pytest.warns(RuntimeWarning, match="does not divide ciphertexts"):
        masked = ops.modular_mul(secret, ops.encrypt_s(5, public), public[2], 1024)
    assert torch.equal(ops.decrypt(masked, private), A + 5)


def test_unused_ciphertexts_go(ops, large):
    settle(ops)
    before = ops.store_size()
    kept = ops.encrypt(A, large[0])
    for _ in range(5):
        ops.encrypt(A, large[0])
    assert ops.store_size() == before + 6 * 12
    settle(ops)
    assert ops.store_size() == before + 12
    assert torch.equal(ops.decrypt(kept, large[1]), A)
    del kept
    settle(ops)
    assert ops.store_size() == before


class Holder:
    __slots__ = ("inside",)

    def __init__(self, inside):
        self.inside = inside


def suspended(words):
    held = words.tolist()
    del words
    yield
    yield held


def closure(held):
    return lambda: held


def module_with(held):
    module = torch.nn.Module()
    module.register_buffer("held", held)
    return module


HOLDERS = {
    "tensor": lambda x: x,
    "view of a part": lambda x: x[1:2, 1:2],
    "list of tensors": lambda x: [[x.clone()]],
    "list of integers": lambda x: x.tolist(),
    "tuple of integers": lambda x: tuple(x.flatten().tolist()),
    "tuples in a tuple": lambda x: (tuple(x.flatten().tolist()),),
    "dict": lambda x: dict(enumerate(x.flatten().tolist())),
    "set": lambda x: set(x.flatten().tolist()),
    "numpy array": lambda x: x.numpy().copy(),
    "numpy view": lambda x: x.numpy().copy().T[1:],
    "numpy objects": lambda x: x.numpy().astype(object),
    "numpy scalars": lambda x: list(x.numpy().flatten().copy()),
    "array": lambda x: Holder(array.array("q", x.flatten().tolist())),
    "slots": lambda x: Holder(x.tolist()),
    "closure": lambda x: closure(x.tolist()),
    "parameter": lambda x: torch.nn.ParameterList(
        [torch.nn.Parameter(x.clone(), requires_grad=False)]
    ),
    "buffer": lambda x: module_with(x.clone()),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_whatever_holds_references_keeps_them(ops, large, name):
    public, private = large
    secret = ops.encrypt(A, public)
    held = HOLDERS[name](secret)
    places = sorted(secret.flatten().tolist()), A.flatten().tolist()
    order = secret.flatten().argsort().tolist()
    encoded = [word ^ 0x5555 for word in places[0]]  # not recognisable as references
    del secret, places
    gc.collect()
    settle(ops)
    settle(ops)
    words = torch.tensor([word ^ 0x5555 for word in encoded])
    assert ops.decrypt(words, private).tolist() == A.flatten()[order].tolist()
    del held, words
    settle(ops)
    words = torch.tensor([word ^ 0x5555 for word in encoded])
    with pytest.raises(RuntimeError, match="no reference to a ciphertext, or no longer"):
        ops.decrypt(words, private)


def test_local_variables_keep_them(ops, large):
    public, private = large
    local = ops.encrypt(A, public).tolist()
    one = int(ops.encrypt_s(77, public))
    generator = suspended(ops.encrypt(A, public))
    next(generator)

    def inner():
        settle(ops)
        return settle(ops)

    inner()
    assert torch.equal(ops.decrypt(local, private), A)
    assert ops.decrypt_s(one, private) == 77
    assert torch.equal(ops.decrypt(next(generator), private), A)


def test_single_ciphertexts_live_as_long_as_their_integer(ops, large):
    public, private = large
    settle(ops)
    before = ops.store_size()
    scalar = ops.encrypt_s(5, public)
    assert isinstance(scalar, int)
    copies = [copy.copy(scalar), copy.deepcopy(scalar)]
    del scalar
    settle(ops)
    assert ops.decrypt_s(copies[0], private) == 5
    with pytest.raises(TypeError, match="another process"):
        pickle.dumps(copies[0])
    del copies
    settle(ops)
    assert ops.store_size() == before


def test_frozen_objects_are_not_forgotten(ops, large):
    secret = ops.encrypt(A, large[0])
    gc.freeze()
    try:
        with pytest.warns(RuntimeWarning, match=r"gc\.freeze"):
            assert settle(ops) == 0
    finally:
        gc.unfreeze()
    assert torch.equal(ops.decrypt(secret, large[1]), A)


def test_the_store_tidies_itself_up(ops, make_keys):
    """16 MiB and more pass through; what is held at any time is a fraction."""
    public, private = make_keys(2048)
    settle(ops)
    one = ops.encrypt(torch.arange(512), public)
    sizes = []
    for _ in range(300):
        one = ops.modular_add(one, 1, public)  # 512 new ones, the old ones go
        sizes.append(ops.store_size())
    assert max(sizes) < 80_000 < 300 * 512
    assert min(sizes[150:]) < 40_000
    assert torch.equal(ops.decrypt(one[:8], private), torch.arange(8))


def test_references_lead_nowhere_in_another_process(ops, large):
    program = """
import sys, warnings, torch
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[2])
import lltm_cpp as ops
public, private = ops.pcs_keys(512)
ops.encrypt(torch.arange(12), public)
try:
    ops.decrypt(torch.tensor(eval(sys.argv[1])), private)
except RuntimeError as error:
    print(error)
"""
    words = ops.encrypt(torch.arange(12), large[0]).tolist()
    folder = Path(ops.__file__).parent
    folder = folder.parent if folder.name == "lltm_cpp" else folder
    printed = subprocess.run(
        [sys.executable, "-c", program, repr(words), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "of another process" in printed.stdout


def test_numpy_integers_of_other_types_are_words_too(ops, large, secret):
    assert torch.equal(ops.decrypt(secret.numpy().astype(np.uint64).astype(np.int64), large[1]), A)
