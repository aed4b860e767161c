"""The layout's models over :class:`smlp.MLP`: the same class and method names, real protocols.

An integer ``lr`` is a divisor, as in the layout: weights change by the sum of the gradients over
``lr · batch``, so it is :class:`smlp.MLP`'s learning rate 1 / lr.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

import smlp
from smlp.errors import InvalidArgumentError, UnsupportedError

from ._operations import encrypted_operations, integer_operations, pallier_ops
from ._tensors import EncryptedTensor, IntegerTensor, _current

#: Called after each epoch with its number, from 1.
EpochDone = Callable[[int], Any]


class _Network:
    """Fully connected layers with relu and linear activations, the last one linear.

    ``t`` is the scale q of data and weights, a power of two. ``seed`` fixes the initial weights.
    Weights and activations are promised to fit log2(t) + ``headroom`` bits.
    """

    def __init__(
        self,
        layers: Sequence[int],
        activations: Sequence[str] | None = None,
        t: int = 2**10,
        *,
        operations: Any = None,
        seed: int | None = None,
        headroom: int = 6,
    ) -> None:
        if t < 2 or t & (t - 1):
            raise InvalidArgumentError(f"t, the scale, is a power of two from 2 on, not {t}")
        self.q, self.bits = t, t.bit_length() - 1
        self.activations = list(activations or ["relu"] * (len(layers) - 2) + ["linear"])
        self.operations = self._operations(operations)
        self.session = self.operations.session
        bound = self.bits + headroom
        self.net = smlp.MLP(
            layers,
            self.activations,
            key=self._key(),
            seed=seed,
            fraction_bits=self.bits,
            weight_bits=bound,
            activation_bits=bound,
        )
        self.bound = bound

    def _operations(self, operations: Any) -> Any:
        raise NotImplementedError

    def _key(self) -> smlp.PublicKey | None:
        raise NotImplementedError

    def _data(self, values: Any) -> Any:
        """What callers pass, as a tensor of the network's kind, scale and bound."""
        raise NotImplementedError

    def _wrapped(self, native: smlp.Tensor) -> Any:
        """What callers get."""
        raise NotImplementedError

    def _twin_of(self, other: _Network, net: smlp.MLP) -> Any:
        self.q, self.bits, self.bound = other.q, other.bits, other.bound
        self.activations, self.net = other.activations, net
        self.session = self.operations.session
        return self

    # --- the layout's methods ---

    def feedforward(self, x: Any) -> tuple[list[Any], list[Any]]:
        """The sums of every layer, and its activations, the inputs first."""
        zs, outputs, _ = self._forward(self._data(x))
        return list(map(self._wrapped, zs)), list(map(self._wrapped, outputs))

    def backprop(self, x: Any, y: Any) -> tuple[list[Any], list[Any]]:
        """Sums over the samples of what biases and weights ask for, with the error
        ``target − output``."""
        _, outputs, slopes = self._forward(self._data(x))
        error = self._data(y) - outputs[-1]
        db: list[Any] = []
        dw: list[Any] = []
        for layer in reversed(range(len(self.activations))):
            db.insert(0, error.sum(0))
            inputs = outputs[layer].transpose()
            dw.insert(0, self._rescaled(self.session.matmul(inputs, error)))
            if layer:
                weight = self._parameters()[0][layer].transpose()
                error = self._rescaled(self.session.matmul(error, weight))
                if slopes[layer - 1] is not None:
                    error = self.operations.single(self.session.select(slopes[layer - 1], error))
        return list(map(self._wrapped, db)), list(map(self._wrapped, dw))

    def update_mini_batch(self, batch: Any, labels: Any, lr: float) -> None:
        """One step on a batch; ``lr`` is a divisor."""
        self.net.train_step(self.session, self._data(batch), self._data(labels), 1 / lr)

    def train(
        self,
        data: Any,
        labels: Any,
        batch_size: int,
        epochs: int,
        lr: float,
        *,
        progress: bool = True,
        epoch_done: EpochDone | None = None,
    ) -> None:
        """Epochs over shuffled batches; ``lr`` is a divisor. A true result of ``epoch_done`` ends
        it."""
        x, y = self._data(data), self._data(labels)
        for epoch in range(1, epochs + 1):
            self.net.fit(self.session, x, y, batch_size=batch_size, lr=1 / lr, progress=progress)
            if epoch_done is not None and epoch_done(epoch):
                break

    def get_accuracy(self, data: Any, labels: Any) -> float:
        """The share of samples whose largest output is where the clear, one-hot labels say."""
        outputs = self.outputs(data)
        if isinstance(labels, IntegerTensor):
            labels = labels.tensor()
        truth = np.asarray(torch.as_tensor(labels)).argmax(axis=1)
        return float((outputs.argmax(axis=1) == truth).mean())

    def outputs(self, data: Any) -> np.ndarray[Any, Any]:
        """The clear outputs, as floats."""
        raise NotImplementedError

    # --- helpers ---

    def _forward(self, x: Any) -> tuple[list[Any], list[Any], list[Any]]:
        zs, outputs, slopes = [], [x], []
        weights, biases = self._parameters()
        for weight, bias, activation in zip(weights, biases, self.activations):
            z = self._rescaled(self.session.matmul(outputs[-1], weight)) + bias
            z = z.assume_bound(self.bound)
            zs.append(z)
            if activation == "relu":
                z, slope = map(self.operations.single, self.session.relu_with_derivative(z))
                z = z.assume_bound(self.bound)
            else:
                slope = None
            outputs.append(z)
            slopes.append(slope)
        return zs, outputs, slopes

    def _rescaled(self, product: Any) -> Any:
        return self.operations.single(self.session.rescale(product, self.bits))

    def _parameters(self) -> tuple[list[Any], list[Any]]:
        """Weights and biases, one value a ciphertext."""
        single = self.operations.single
        return list(map(single, self.net.weights)), list(map(single, self.net.biases))


class EncryptedMLP(_Network):
    """Encrypted weights. Operations are those of :func:`smlp.torch.use` unless given."""

    def _operations(self, operations: Any) -> pallier_ops:
        if operations is None and _current:
            operations = _current[0]
        if not isinstance(operations, pallier_ops):
            raise UnsupportedError("pass operations, or call use(encrypted_operations(bits, q))")
        return operations

    def _key(self) -> smlp.PublicKey:
        return self.operations.p1.key

    def _data(self, values: Any) -> smlp.EncryptedTensor:
        if isinstance(values, EncryptedTensor):
            values = values.tensor().as_scale(self.bits)
        if not isinstance(values, smlp.EncryptedTensor):
            clear = IntegerTensor(values, self.q).tensor()
            values = self.operations.encrypt(clear).as_scale(self.bits)
        return values.assume_bound(self.bound)

    def _wrapped(self, native: smlp.Tensor) -> EncryptedTensor:
        single = self.operations.single(native)
        return EncryptedTensor(single.as_scale(0), self.q, self.operations)

    def encrypt(self) -> EncryptedMLP:
        """Itself."""
        return self

    def decrypt(self) -> IntegerMLP:
        """The clear twin, with roundings of its own. Needs operations with the private key."""
        twin = IntegerMLP.__new__(IntegerMLP)
        twin.operations = integer_operations(self.q)
        return twin._twin_of(self, self.net.decrypt(self._private()))

    def outputs(self, data: Any) -> np.ndarray[Any, Any]:
        """The decrypted outputs, as floats."""
        prediction: Any = self.net.predict(self.session, self._data(data))
        return prediction.decrypt(self._private())

    def _private(self) -> smlp.PrivateKey:
        if self.operations.key is None:
            raise UnsupportedError("only the data owner, who has the private key, can decrypt")
        return self.operations.key


class IntegerMLP(_Network):
    """The same network in the clear. With ``operations=phe``, :class:`encrypted_operations`, it
    repeats their record: the same integers for the same seed, data and steps."""

    def _operations(self, operations: Any) -> integer_operations:
        if isinstance(operations, encrypted_operations):
            return operations.twin()
        return integer_operations(self.q) if operations is None else operations

    def _key(self) -> None:
        return None

    def _data(self, values: Any) -> smlp.IntegerTensor:
        if isinstance(values, smlp.IntegerTensor):
            return values
        clear = IntegerTensor(values, self.q).tensor()
        return smlp.encode_integers(clear, self.bits, self.bound)

    def _wrapped(self, native: smlp.Tensor) -> IntegerTensor:
        return IntegerTensor(native.as_scale(0), self.q, self.operations)

    def encrypt(self, operations: Any = None) -> EncryptedMLP:
        """The same network, encrypted."""
        network = EncryptedMLP.__new__(EncryptedMLP)
        network.operations = network._operations(operations)
        return network._twin_of(self, self.net.encrypt(network._key()))

    def decrypt(self) -> IntegerMLP:
        """Itself."""
        return self

    def outputs(self, data: Any) -> np.ndarray[Any, Any]:
        """The outputs, as floats."""
        prediction: Any = self.net.predict(self.session, self._data(data))
        return prediction.numpy()
