"""A torch-like wrapper over the global operations."""

import torch
from configs import phe


class EncryptedTensor:
    def __init__(self, tensor, q=None):
        self._tensor, self.q = tensor, q or phe.q

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.div:
            return cls(phe.div(args[0]._tensor, args[1]))
        return NotImplemented

    def tensor(self):
        return self._tensor

    @property
    def shape(self):
        return self._tensor.shape

    def __len__(self):
        return len(self._tensor)

    def __getitem__(self, index):
        return EncryptedTensor(self._tensor[index])

    def __add__(self, other):
        return EncryptedTensor(phe.add(self._tensor, other._tensor.expand(self.shape)))

    def __sub__(self, other):
        return EncryptedTensor(phe.sub(self._tensor, other._tensor.expand(self.shape)))

    def __mul__(self, other):
        return EncryptedTensor(phe.mul(self._tensor, other._tensor))

    def scaled(self):
        """A product brought back to scale q."""
        return torch.div(self, self.q, rounding_mode="floor")

    def matmul(self, other):
        return EncryptedTensor(phe.matmul(self._tensor, other._tensor)).scaled()

    def relu(self):
        return EncryptedTensor(phe.relu(self._tensor))

    def positive(self):
        zeros = phe.encrypt(torch.zeros(self.shape, dtype=torch.int64))
        return EncryptedTensor(phe.compare(self._tensor, zeros))

    def sum(self, axis):
        return EncryptedTensor(phe.sum(self._tensor, axis))

    def t(self):
        return EncryptedTensor(self._tensor.T)

    def decrypt(self):
        return phe.decrypt(self._tensor)


def encrypted(tensor):
    return EncryptedTensor(phe.encrypt(tensor))


def outer(left, right):
    """For each sample the products of all of one row with all of the other."""
    m, n = left.shape[1], right.shape[1]
    a = left.tensor().repeat(n, 1, 1).permute(1, 2, 0).flatten()
    b = right.tensor().repeat(m, 1, 1).permute(1, 0, 2).flatten()
    return EncryptedTensor(phe.mul(a, b).reshape(len(left), m, n))
