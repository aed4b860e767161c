"""The classes of the PyTorch layout that smlp replaces, on native tensors and with real keys.

    from smlp.torch import EncryptedTensor, encrypted_operations, use

    phe = use(encrypted_operations(2048, 2**10))
    a = EncryptedTensor(torch.tensor([1024, -512]), 2**10)       # 1 and -0.5, encrypted here
    b = torch.div(a * a, 2, rounding_mode="floor")
    b.decrypt().tensor()                                           # tensor([512, 128])

``q`` is the scale: a tensor stands for its integers divided by q, and ``*`` and ``matmul`` divide
by q again. Every division is smlp's, ``(x + r) // d`` with r uniform below d: off by less than one,
unbiased. :class:`IntegerTensor` does the same in the clear.
"""

from ._networks import EncryptedMLP, IntegerMLP
from ._operations import P1, P2, encrypted_operations, integer_operations, pallier_ops
from ._tensors import EncryptedTensor, IntegerTensor, use

__all__ = [
    "P1",
    "P2",
    "EncryptedMLP",
    "EncryptedTensor",
    "IntegerMLP",
    "IntegerTensor",
    "encrypted_operations",
    "integer_operations",
    "pallier_ops",
    "use",
]
