"""The two parties and what they do together, in the layout that lltm_cpp is a drop-in for.

Written for the tests. It keeps the layout's habits (flattening, scalar masks, masks passed in
swapped order, sums through torch.tensor) and avoids its mistakes.
"""

import random

import torch

import lltm_cpp as ops

MASK_BITS = 12


class P1:
    """The cloud: the public key."""

    def __init__(self, public):
        self.public = public
        self.n2 = public[2]

    def masked(self, a, r):
        return ops.modular_mul(a.flatten(), ops.encrypt_s(r, self.public), self.n2, 1)


class P2:
    """The key holder."""

    def __init__(self, public, private):
        self.public, self.private = public, private

    def compare(self, a, b):
        bits = ops.decrypt(a, self.private) >= ops.decrypt(b, self.private)
        return ops.encrypt(bits.long(), self.public)

    def divide(self, masked, d):
        quotients = torch.div(ops.decrypt(masked, self.private), d, rounding_mode="floor").long()
        return ops.encrypt(quotients, self.public)


class pallier_ops:  # noqa: N801
    def __init__(self, p1, p2):
        self.p1, self.p2 = p1, p2
        self.public, self.private = p1.public, p2.private

    def encrypt(self, a):
        return ops.encrypt(a.flatten(), self.public).reshape(a.shape)

    def decrypt(self, a):
        return ops.decrypt(a.flatten(), self.private).reshape(a.shape)

    def add(self, a, b):
        return ops.modular_add(a.flatten(), b.flatten(), self.public).reshape(a.shape)

    def sub(self, a, b):
        return ops.modular_sub(a.flatten(), b.flatten(), self.public).reshape(a.shape)

    def mul(self, a, b):
        r_a, r_b = random.getrandbits(MASK_BITS), random.getrandbits(MASK_BITS)
        m = ops.mul_enc(self.p1.masked(a, r_a), self.p1.masked(b, r_b), self.public, self.private)
        product = ops.retrieve_mul(a.flatten(), b.flatten(), m, self.public, r_b, r_a)
        return product.reshape(a.shape)

    def matmul(self, a, b):
        r_a, r_b = random.getrandbits(MASK_BITS), random.getrandbits(MASK_BITS)
        masked_a = self.p1.masked(a, r_a).reshape(a.shape)
        masked_b = self.p1.masked(b, r_b).reshape(b.shape)
        m = ops.dummy_matmul(masked_a, masked_b, self.public, self.private)
        sum_a = ops.sum_enc(a, 1, self.public, self.private)
        sum_b = ops.sum_enc(b, 0, self.public, self.private)
        product = ops.retrieve_matmul(
            sum_a.reshape(-1, 1), sum_b.reshape(-1, 1), m, self.public, r_b, r_a
        )
        # retrieve_matmul takes r_a·r_b off once, there is one for each inner term.
        rest = ops.encrypt_s(-(a.shape[1] - 1) * r_a * r_b, self.public)
        return ops.modular_mul(product.flatten(), rest, self.p1.n2).reshape(product.shape)

    def compare(self, a, b):
        """Encryptions of 1 where a >= b, else 0."""
        r1, r2 = random.randint(1, 31), random.getrandbits(MASK_BITS)
        masks = ops.encrypt(torch.tensor(r2).repeat(a.numel()), self.public)
        hidden = [
            ops.modular_add(ops.modular_pow(x.flatten(), self.public, r1), masks, self.public)
            for x in (a, b)
        ]
        return self.p2.compare(*hidden).reshape(a.shape)

    def max(self, a, b):
        return self.add(self.mul(self.compare(a, b), self.sub(a, b)), b)

    def relu(self, a, val=0):
        other = ops.encrypt(torch.tensor(val).repeat(a.numel()), self.public)
        return self.max(a, other.reshape(a.shape))

    def div(self, a, d):
        r = random.getrandbits(MASK_BITS)
        divisors = torch.full((a.numel(),), float(d))
        c = self.p2.divide(self.p1.masked(a, r), divisors)
        return ops.div_enc(c, divisors, r, self.public).reshape(a.shape)

    def sum(self, a, axis):
        last = a.movedim(axis, -1)
        rows = last.reshape(-1, a.shape[axis])
        sums = torch.tensor([ops.modular_sum(row, self.public) for row in rows])
        return sums.reshape(last.shape[:-1])


def encrypted_operations(pres, q):
    public, private = ops.pcs_keys(pres)
    together = pallier_ops(P1(public), P2(public, private))
    together.q = q
    return together
