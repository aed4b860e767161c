"""The network: drawn in the clear by the data owner, trained encrypted, decrypted at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ._native import (
    PROGRESS,
    Exclusive,
    Handle,
    NativeObject,
    bytes_of,
    create,
    lib,
    path_bytes,
    read_only,
    sizes,
    unsigned,
    value_of,
)
from ._progress import Progress, Watcher, interruptible, reporting
from .errors import CancelledError, InvalidArgumentError, UnsupportedError
from .keys import PrivateKey, PublicKey, private_handle, public_handle
from .session import BaseSession
from .tensor import Tensor, encode, tensor_handle, wrap

if TYPE_CHECKING:
    from typing_extensions import Self

_ACTIVATIONS = {"linear": 0, "relu": 1}


def network_options(
    layers: Sequence[int],
    activations: Sequence[str] | None,
    fraction_bits: int,
    weight_bits: int | None,
    activation_bits: int | None,
) -> Handle:
    """What a network looks like, for the library."""
    widths = sizes("layer width", layers)
    options = create(lib.smlp_mlp_options_new, widths, len(widths))
    for layer, activation in enumerate(_checked(activations, len(widths) - 1)):
        lib.smlp_mlp_options_set_activation(options, layer, _ACTIVATIONS[activation])
    # The fraction bits set both bounds, so they come first.
    lib.smlp_mlp_options_set_fraction_bits(options, unsigned("fraction_bits", fraction_bits))
    if weight_bits is not None:
        lib.smlp_mlp_options_set_weight_bits(options, unsigned("weight_bits", weight_bits))
    if activation_bits is not None:
        lib.smlp_mlp_options_set_activation_bits(
            options, unsigned("activation_bits", activation_bits)
        )
    return options


class MLP(NativeObject):
    """Fully connected layers, encrypted or clear (the twin).

    ``layers`` are the widths, e.g. ``[2, 10, 2]``; ``activations`` one of ``"relu"`` and
    ``"linear"`` for each weight matrix, the last one linear (default: relu, then linear). The
    initial weights are normal with standard deviation √(2/fan-in), biases 0. ``seed`` fixes them,
    so whoever knows or guesses it knows the initial model: for experiments that are to be repeated.
    With ``key`` the network is encrypted at once.

    ``fraction_bits`` is the scale of inputs, weights and activations. ``weight_bits`` and
    ``activation_bits`` declare how large their scaled integers become (default:
    fraction_bits + 8); training breaks if a value outgrows them, and the twin finds out.

    One thread at a time trains or evaluates a network; others wait.
    """

    def __init__(
        self,
        layers: Sequence[int],
        activations: Sequence[str] | None = None,
        *,
        key: PublicKey | None = None,
        seed: int | None = None,
        fraction_bits: int = 16,
        weight_bits: int | None = None,
        activation_bits: int | None = None,
    ) -> None:
        options = network_options(layers, activations, fraction_bits, weight_bits, activation_bits)
        if seed is not None:
            lib.smlp_mlp_options_set_seed(options, unsigned("seed", seed, 64))
        handle = create(lib.smlp_mlp_new, options)
        if key is not None:
            handle = create(lib.smlp_mlp_encrypt, handle, public_handle(key))
        self._adopt(handle)

    def _adopt(self, handle: Handle) -> None:
        super().__init__(handle)
        self._exclusive = Exclusive("network")

    @classmethod
    def _wrap(cls, handle: Handle) -> Self:
        network = cls.__new__(cls)
        network._adopt(handle)
        return network

    # --- what it is ---

    @property
    def is_encrypted(self) -> bool:
        """Whether weights and biases are ciphertexts."""
        return bool(self._read(lib.smlp_mlp_is_encrypted))

    @property
    def layers(self) -> tuple[int, ...]:
        """The widths, input first."""
        weights = self.weights
        return (weights[0].shape[0], *(weight.shape[1] for weight in weights))

    @property
    def step(self) -> int:
        """Training steps done."""
        return int(self._read(lib.smlp_mlp_step))

    @property
    def fraction_bits(self) -> int:
        """The scale of inputs, weights and activations."""
        return int(self._read(lib.smlp_mlp_fraction_bits))

    @property
    def weights(self) -> list[Tensor]:
        """One matrix (in × out) a layer."""
        return self._parameters(lib.smlp_mlp_weight)

    @property
    def biases(self) -> list[Tensor]:
        """One vector a layer."""
        return self._parameters(lib.smlp_mlp_bias)

    def __repr__(self) -> str:
        kind = "encrypted" if self.is_encrypted else "clear"
        widths = "-".join(map(str, self.layers))
        return f"<smlp.MLP {widths}, {kind}, step {self.step}>"

    # --- keys ---

    def encrypt(self, key: PublicKey) -> MLP:
        """The same network at the same step, encrypted."""
        with self._exclusive.held():
            return self._wrap(create(lib.smlp_mlp_encrypt, self._handle, public_handle(key)))

    def decrypt(self, private: PrivateKey) -> MLP:
        """The clear twin: the same integers at the same step. Trained with the same data it stays
        equal to the encrypted network up to roundings, and integer for integer in a
        :class:`smlp.ClearSession` that repeats its record."""
        with self._exclusive.held():
            return self._wrap(create(lib.smlp_mlp_decrypt, self._handle, private_handle(private)))

    # --- use ---

    def predict(self, session: BaseSession, x: Any) -> Tensor:
        """The outputs of the last layer (samples × width) for x (samples × inputs).

        Tensors have the network's ``fraction_bits`` as their scale. A clear network also takes
        arrays.
        """
        x = self._operand(x)
        with self._using(session) as (network, handle):
            return wrap(create(lib.smlp_mlp_predict, network, handle, x))

    def train_step(self, session: BaseSession, x: Any, y: Any, lr: float = 0.1) -> None:
        """One step on all the given samples (samples × inputs, samples × outputs).

        Raises :class:`InvalidArgumentError` for a learning rate whose divisors would be below 1.
        """
        x, y = self._operand(x), self._operand(y)
        with self._using(session) as (network, handle):
            lib.smlp_mlp_train_step(network, handle, x, y, lr)

    def fit(
        self,
        session: BaseSession,
        x: Any,
        y: Any,
        *,
        epochs: int = 1,
        steps: int | None = None,
        batch_size: int = 32,
        lr: float = 0.1,
        shuffle: bool = True,
        shuffle_seed: int = 0,
        progress: Progress = True,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 50,
    ) -> None:
        """Trains for ``epochs`` more passes over the data, or for exactly ``steps`` more steps.

        ``progress`` is True (a bar), False, or a callable ``(done, total)`` that is called after
        each step and may return True to stop. Ctrl-C stops after the current step, too, and raises
        KeyboardInterrupt; a second Ctrl-C does not wait. Either way the finished steps are kept,
        and calling ``fit`` again goes on from there.

        ``checkpoint`` is a file that follows the training: it is replaced before the first step,
        after every step whose number (:attr:`step`) is a multiple of ``checkpoint_every``, at the
        end, and when training is stopped. If the process dies, :meth:`load` the file in another one
        and train on with the same data and options: training goes on with the very next batch, and
        steps since the file are done anew, with roundings of their own. A step that fails saves
        nothing.
        """
        x, y = self._operand(x), self._operand(y)
        options = create(lib.smlp_fit_options_new)
        lib.smlp_fit_options_set_epochs(options, unsigned("epochs", epochs, 64))
        if steps is not None:
            lib.smlp_fit_options_set_steps(options, unsigned("steps", steps, 64))
        lib.smlp_fit_options_set_batch_size(options, unsigned("batch_size", batch_size, 64))
        lib.smlp_fit_options_set_learning_rate(options, lr)
        lib.smlp_fit_options_set_shuffle(
            options, shuffle, unsigned("shuffle_seed", shuffle_seed, 64)
        )
        if checkpoint is not None:
            every = unsigned("checkpoint_every", checkpoint_every, 64)
            lib.smlp_fit_options_set_checkpoint(options, path_bytes(checkpoint), every)
        with reporting(progress) as report, interruptible() as interrupted:
            watcher = Watcher(report, interrupted)
            callback = PROGRESS(watcher.step_done)
            with self._using(session) as (network, handle):
                try:
                    lib.smlp_mlp_fit(network, handle, x, y, options, callback, None)
                except CancelledError:
                    if not watcher.stopped:
                        raise
            if interrupted.is_set():
                raise KeyboardInterrupt
            if watcher.error is not None:
                raise watcher.error

    def evaluate(
        self, session: BaseSession, x: Any, labels: Any, private: PrivateKey | None = None
    ) -> float:
        """The share of samples whose largest output is where ``labels`` (clear, one-hot) is.

        The data owner's business: an encrypted network needs the private key.
        """
        key = None if private is None else private_handle(private)
        if not isinstance(labels, Tensor):
            labels = encode(labels)
        x = self._operand(x)
        with self._using(session) as (network, handle):
            answer = value_of(lib.smlp_mlp_evaluate, network, handle, x, labels._handle, key)
        return float(answer)

    # --- checkpoints ---

    def to_bytes(self) -> bytes:
        """A checkpoint: weights and step. It may be loaded as often as one likes; training goes on
        from where it stands. That of a clear network holds the clear weights."""
        with self._exclusive.held():
            return bytes_of(lib.smlp_mlp_to_bytes, self._handle)

    @classmethod
    def from_bytes(cls, data: Any, key: PublicKey | None = None) -> Self:
        """Reads what :meth:`to_bytes` wrote. Encrypted networks need their public key."""
        data = read_only(data)
        public = None if key is None else public_handle(key)
        return cls._wrap(create(lib.smlp_mlp_from_bytes, data, len(data), public))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a checkpoint that only its owner may read, replacing an older one at once."""
        with self._exclusive.held():
            lib.smlp_mlp_save(self._handle, path_bytes(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str], key: PublicKey | None = None) -> Self:
        """Reads a file that :meth:`save` wrote; as :meth:`from_bytes`."""
        public = None if key is None else public_handle(key)
        return cls._wrap(create(lib.smlp_mlp_load, path_bytes(path), public))

    def __copy__(self) -> MLP:
        """A network that is trained on its own."""
        with self._exclusive.held():
            return self._wrap(create(lib.smlp_mlp_clone, self._handle))

    def __deepcopy__(self, _memo: Any) -> MLP:
        return self.__copy__()

    # --- helpers ---

    def _read(self, function: Any) -> Any:
        with self._exclusive.held():
            return value_of(function, self._handle)

    def _parameters(self, function: Any) -> list[Tensor]:
        with self._exclusive.held():
            count = int(value_of(lib.smlp_mlp_layers, self._handle))
            return [wrap(create(function, self._handle, layer)) for layer in range(count)]

    def _operand(self, data: Any) -> Handle:
        if isinstance(data, Tensor):
            return data._handle
        if self.is_encrypted:
            raise UnsupportedError(
                "an encrypted network takes encrypted tensors: use smlp.encrypt(key, array, "
                f"fraction_bits={self.fraction_bits}) on the data owner's side"
            )
        return tensor_handle(encode(data, fraction_bits=self.fraction_bits))

    @contextlib.contextmanager
    def _using(self, session: BaseSession) -> Iterator[tuple[Handle, Handle]]:
        """Holds the network for a call over a session: the handles of both."""
        if not isinstance(session, BaseSession):
            raise UnsupportedError(f"expected an smlp session, got {type(session).__name__}")
        with self._exclusive.held(), session._calling():
            yield self._handle, session._handle


def _checked(activations: Sequence[str] | None, count: int) -> Sequence[str]:
    if activations is None:
        return ()
    unknown = [name for name in activations if name not in _ACTIVATIONS]
    if unknown or len(activations) != count:
        raise InvalidArgumentError(
            f"activations are {count} of 'relu' and 'linear', one for each layer; got "
            f"{list(activations)}"
        )
    return activations
