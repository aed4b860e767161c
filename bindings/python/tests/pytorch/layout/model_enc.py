"""Trains 2-10-2 on XOR, encrypted, and the same in the clear beside it: `model_enc.py STEPS BATCH`.

Prints how far the weights are apart, in units of 1/q, and what the store holds after each step.
"""

import copy
import os
import sys

import torch
from configs import phe
from encrypted_ops import encrypted, outer
from phe import ops

Q, LR = phe.q, 4


class EncryptedMLP:
    def __init__(self, weights, biases):
        self.w = [encrypted(w) for w in weights]
        self.b = [encrypted(b.reshape(1, -1)) for b in biases]

    def feedforward(self, x):
        z1 = x.matmul(self.w[0]) + self.b[0]
        a1 = z1.relu()
        return z1, a1, a1.matmul(self.w[1]) + self.b[1]

    def backprop(self, x, y):
        z1, a1, a2 = self.feedforward(x)
        d2 = y - a2
        d1 = d2.matmul(self.w[1].t()) * z1.positive()
        return [d1, d2], [outer(x, d1).sum(0), outer(a1, d2).sum(0)]

    def update_mini_batch(self, x, y, lr):
        db, dw = self.backprop(x, y)
        by = lr * len(x)
        for layer in (0, 1):
            step = torch.div(dw[layer], by * Q, rounding_mode="floor")
            self.w[layer] = self.w[layer] + step
            shift = torch.div(db[layer].sum(0), by, rounding_mode="floor")
            self.b[layer] = self.b[layer] + shift[None]


def clear_step(w, b, x, y):
    z1 = x @ w[0] + b[0]
    a1 = z1.clamp(min=0)
    d2 = y - (a1 @ w[1] + b[1])
    d1 = (d2 @ w[1].T) * (z1 >= 0)
    by = LR * len(x)
    return (
        [w[0] + x.T @ d1 / by, w[1] + a1.T @ d2 / by],
        [b[0] + d1.sum(0) / by, b[1] + d2.sum(0) / by],
    )


def resident():
    """Megabytes of memory in use now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(steps, batch):
    torch.manual_seed(3)
    w = [torch.randn(2, 10), torch.randn(10, 2) * 0.45]
    w = [(Q * x).long() for x in w]
    # Away from 0, where a quotient that is off by one would flip the derivative of ReLU.
    b = [Q // 4 * (-1) ** torch.arange(10), torch.zeros(2, dtype=torch.int64)]
    net = EncryptedMLP(w, b)
    w, b = [x.double() / Q for x in w], [x.double() / Q for x in b]
    bits = torch.randint(0, 2, (steps * batch, 2))
    labels = torch.nn.functional.one_hot(bits[:, 0] ^ bits[:, 1], 2)
    data, targets = encrypted(Q * bits), encrypted(Q * labels)
    for step in range(steps):
        rows = slice(step * batch, (step + 1) * batch)
        before = copy.deepcopy(net.w[0].tensor())
        net.update_mini_batch(data[rows], targets[rows], LR)
        assert not torch.equal(before, net.w[0].tensor())
        w, b = clear_step(w, b, bits[rows].double(), labels[rows].double())
        print(f"step {step} store {ops.store_size()} MB {resident():.1f}", flush=True)
    pairs = list(zip(net.w + net.b, w + [x.reshape(1, -1) for x in b]))
    apart = max(float((ours.decrypt() - Q * theirs).abs().max()) for ours, theirs in pairs)
    print(f"apart {apart:.1f} units")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
