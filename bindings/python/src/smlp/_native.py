"""Finds and loads libsmlp, declares its functions, and turns status codes into exceptions.

Nothing above this module touches a raw pointer: it sees :class:`Handle` (which frees what it
owns), :func:`create`, :func:`value_of` and :func:`bytes_of`. The library releases nothing of
Python's, and ctypes releases the interpreter lock during every call.
"""

from __future__ import annotations

import contextlib
import ctypes
import operator
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .errors import FinishedError, InvalidArgumentError, from_status

ABI_VERSION = 1
_FILE_NAME = {"darwin": "libsmlp.dylib", "win32": "smlp.dll"}.get(sys.platform, "libsmlp.so")


def _opaque(name: str) -> Any:
    """Pointer to a struct that only the library looks into; ctypes refuses to mix two of them."""
    return ctypes.POINTER(type(name, (ctypes.Structure,), {}))


BYTES = _opaque("smlp_bytes")
PRIVATE_KEY = _opaque("smlp_private_key")
PUBLIC_KEY = _opaque("smlp_public_key")
TENSOR = _opaque("smlp_tensor")
P1 = _opaque("smlp_p1")
P2 = _opaque("smlp_p2")
CALL = _opaque("smlp_call")
REPLY = _opaque("smlp_reply")
TRANSPORT = _opaque("smlp_transport")
RECORD = _opaque("smlp_record")
RECORD_KEY = _opaque("smlp_record_key")
SESSION = _opaque("smlp_session")
MLP_OPTIONS = _opaque("smlp_mlp_options")
MLP = _opaque("smlp_mlp")
ESTIMATE = _opaque("smlp_estimate")
FIT_OPTIONS = _opaque("smlp_fit_options")
STORE = _opaque("smlp_store")
STORE_KEY = _opaque("smlp_store_key")
NETWORK_OPTIONS = _opaque("smlp_network_options")

_U32, _U64, _I64 = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int64
_SIZE, _BOOL, _F64 = ctypes.c_size_t, ctypes.c_bool, ctypes.c_double
_STATUS = ctypes.c_int32
# Any array: accepts bytes, ctypes arrays, and addresses of numpy arrays without a copy.
_DATA = ctypes.c_void_p
_PATH = ctypes.c_char_p
_USERDATA = ctypes.c_void_p

EXCHANGE = ctypes.CFUNCTYPE(_STATUS, _USERDATA, ctypes.c_void_p, _SIZE, REPLY)
PROGRESS = ctypes.CFUNCTYPE(_STATUS, _USERDATA, _U64, _U64)


def _out(kind: Any) -> Any:
    return ctypes.POINTER(kind)


_TO_TENSOR = (TENSOR, _out(TENSOR))
_TWO_TO_TENSOR = (TENSOR, TENSOR, _out(TENSOR))
_OVER_SESSION = (SESSION, TENSOR, _out(TENSOR))
_TWO_OVER_SESSION = (SESSION, TENSOR, TENSOR, _out(TENSOR))
_BY_P1 = (P1, TENSOR, _out(CALL))
_ON_WORDS = (STORE, STORE_KEY, _DATA, _SIZE)
_NUMBERS = (_DATA, _SIZE, _SIZE)
_MASKS = (_DATA, _SIZE, _DATA, _SIZE)
_TWO_BY_P1 = (P1, TENSOR, TENSOR, _out(CALL))

# The C ABI as include/smlp.h declares it: arguments of every function that returns smlp_status.
_STATUS_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "smlp_backend_name": (_out(ctypes.c_char_p),),
    "smlp_private_key_generate": (_U32, _U32, _out(PRIVATE_KEY)),
    "smlp_private_key_from_primes": (_DATA, _SIZE, _DATA, _SIZE, _U32, _out(PRIVATE_KEY)),
    "smlp_private_key_public": (PRIVATE_KEY, _out(PUBLIC_KEY)),
    "smlp_private_key_to_bytes": (PRIVATE_KEY, _out(BYTES)),
    "smlp_private_key_from_bytes": (_DATA, _SIZE, _U32, _out(PRIVATE_KEY)),
    "smlp_private_key_save": (PRIVATE_KEY, _PATH),
    "smlp_private_key_load": (_PATH, _U32, _out(PRIVATE_KEY)),
    "smlp_public_key_from_modulus": (_DATA, _SIZE, _U32, _out(PUBLIC_KEY)),
    "smlp_public_key_modulus": (PUBLIC_KEY, _out(BYTES)),
    "smlp_public_key_bits": (PUBLIC_KEY, _out(_U32)),
    "smlp_public_key_exponent_bits": (PUBLIC_KEY, _out(_U32)),
    "smlp_public_key_id": (PUBLIC_KEY, _DATA),
    "smlp_public_key_is_foreign": (PUBLIC_KEY, _out(_BOOL)),
    "smlp_public_key_to_bytes": (PUBLIC_KEY, _out(BYTES)),
    "smlp_public_key_from_bytes": (_DATA, _SIZE, _U32, _out(PUBLIC_KEY)),
    "smlp_public_key_save": (PUBLIC_KEY, _PATH),
    "smlp_public_key_load": (_PATH, _U32, _out(PUBLIC_KEY)),
    "smlp_tensor_from_f64": (_DATA, _SIZE, _DATA, _SIZE, _U32, _U32, _out(TENSOR)),
    "smlp_tensor_from_f32": (_DATA, _SIZE, _DATA, _SIZE, _U32, _U32, _out(TENSOR)),
    "smlp_tensor_from_i64": (_DATA, _SIZE, _DATA, _SIZE, _U32, _out(TENSOR)),
    "smlp_tensor_from_raw": (_DATA, _SIZE, _DATA, _SIZE, _U32, _U32, _out(TENSOR)),
    "smlp_tensor_to_f64": (TENSOR, _DATA, _SIZE),
    "smlp_tensor_to_i64": (TENSOR, _DATA, _SIZE),
    "smlp_tensor_encrypt": (TENSOR, PUBLIC_KEY, _out(TENSOR)),
    "smlp_tensor_encrypt_with_private_key": (TENSOR, PRIVATE_KEY, _out(TENSOR)),
    "smlp_tensor_encrypt_packed": (TENSOR, PUBLIC_KEY, _U32, _out(TENSOR)),
    "smlp_tensor_encrypt_packed_with_private_key": (TENSOR, PRIVATE_KEY, _U32, _out(TENSOR)),
    "smlp_tensor_values_per_ciphertext": (TENSOR, _out(_SIZE)),
    "smlp_tensor_decrypt": (TENSOR, PRIVATE_KEY, _out(TENSOR)),
    "smlp_tensor_is_encrypted": (TENSOR, _out(_BOOL)),
    "smlp_tensor_key_id": (TENSOR, _DATA),
    "smlp_tensor_ndim": (TENSOR, _out(_SIZE)),
    "smlp_tensor_len": (TENSOR, _out(_SIZE)),
    "smlp_tensor_shape": (TENSOR, _DATA, _SIZE),
    "smlp_tensor_scale": (TENSOR, _out(_U32)),
    "smlp_tensor_bound": (TENSOR, _out(_U32)),
    "smlp_tensor_to_bytes": (TENSOR, _out(BYTES)),
    "smlp_tensor_from_bytes": (_DATA, _SIZE, PUBLIC_KEY, _out(TENSOR)),
    "smlp_tensor_to_ciphertexts": (TENSOR, _out(_SIZE), _out(BYTES)),
    "smlp_tensor_from_ciphertexts": (
        *(_DATA, _SIZE, _SIZE, _DATA, _SIZE, _U32, _U32),
        *(PUBLIC_KEY, _out(TENSOR)),
    ),
    "smlp_tensor_reshape": (TENSOR, _DATA, _SIZE, _out(TENSOR)),
    "smlp_tensor_permute": (TENSOR, _DATA, _SIZE, _out(TENSOR)),
    "smlp_tensor_transpose": _TO_TENSOR,
    "smlp_tensor_slice": (TENSOR, _I64, _I64, _SIZE, _I64, _out(TENSOR)),
    "smlp_tensor_index": (TENSOR, _I64, _I64, _out(TENSOR)),
    "smlp_tensor_take": (TENSOR, _I64, _DATA, _SIZE, _out(TENSOR)),
    "smlp_tensor_squeeze": (TENSOR, _I64, _out(TENSOR)),
    "smlp_tensor_squeeze_all": _TO_TENSOR,
    "smlp_tensor_unsqueeze": (TENSOR, _I64, _out(TENSOR)),
    "smlp_tensor_broadcast_to": (TENSOR, _DATA, _SIZE, _out(TENSOR)),
    "smlp_tensor_repeat": (TENSOR, _DATA, _SIZE, _out(TENSOR)),
    "smlp_tensor_concatenate": (_DATA, _SIZE, _I64, _out(TENSOR)),
    "smlp_tensor_stack": (_DATA, _SIZE, _I64, _out(TENSOR)),
    "smlp_tensor_add": _TWO_TO_TENSOR,
    "smlp_tensor_sub": _TWO_TO_TENSOR,
    "smlp_tensor_neg": _TO_TENSOR,
    "smlp_tensor_mul": _TWO_TO_TENSOR,
    "smlp_tensor_matmul": _TWO_TO_TENSOR,
    "smlp_tensor_sum": (TENSOR, _I64, _out(TENSOR)),
    "smlp_tensor_sum_all": _TO_TENSOR,
    "smlp_tensor_assume_bound": (TENSOR, _U32, _out(TENSOR)),
    "smlp_tensor_as_scale": (TENSOR, _U32, _out(TENSOR)),
    "smlp_p1_new": (PUBLIC_KEY, _U32, _U64, _out(P1)),
    "smlp_p1_new_with_sigma": (PUBLIC_KEY, _U32, _U32, _out(P1)),
    "smlp_p1_sigma": (P1, _out(_U32)),
    "smlp_p1_security": (P1, _out(_U32)),
    "smlp_p1_multiply": _TWO_BY_P1,
    "smlp_p1_matmul": _TWO_BY_P1,
    "smlp_p1_divide": (P1, TENSOR, _U64, _U32, _out(CALL)),
    "smlp_p1_relu": _BY_P1,
    "smlp_p1_select": _TWO_BY_P1,
    "smlp_p1_maximum": _TWO_BY_P1,
    "smlp_p1_refresh": _BY_P1,
    "smlp_call_request": (CALL, _out(ctypes.c_void_p), _out(_SIZE)),
    "smlp_call_resume": (CALL, _DATA, _SIZE, _out(_BOOL)),
    "smlp_call_result": (CALL, _SIZE, _out(TENSOR)),
    "smlp_p2_new": (PRIVATE_KEY, _out(P2)),
    "smlp_p2_new_with_limits": (PRIVATE_KEY, _U64, _U64, _out(P2)),
    "smlp_p2_answer_for": (P2, _DATA, _SIZE, _DATA, _SIZE, _out(BYTES)),
    "smlp_reply_write": (REPLY, _DATA, _SIZE),
    "smlp_transport_in_process": (P2, _out(TRANSPORT)),
    "smlp_transport_callback": (EXCHANGE, _USERDATA, _out(TRANSPORT)),
    "smlp_record_new": (_out(RECORD),),
    "smlp_record_append": (_PATH, _DATA, _SIZE, _out(RECORD)),
    "smlp_record_read": (_PATH, RECORD_KEY, _out(RECORD)),
    "smlp_record_lines": (RECORD, _out(_U64)),
    "smlp_record_key_generate": (_out(RECORD_KEY),),
    "smlp_record_key_public": (RECORD_KEY, _out(BYTES)),
    "smlp_record_key_save": (RECORD_KEY, _PATH),
    "smlp_record_key_load": (_PATH, _out(RECORD_KEY)),
    "smlp_session_new": (P1, TRANSPORT, RECORD, _out(SESSION)),
    "smlp_session_new_clear": (RECORD, _out(SESSION)),
    "smlp_session_is_encrypted": (SESSION, _out(_BOOL)),
    "smlp_session_multiply": _TWO_OVER_SESSION,
    "smlp_session_matmul": _TWO_OVER_SESSION,
    "smlp_session_matmul_divide": (SESSION, TENSOR, TENSOR, _U64, _U32, _out(TENSOR)),
    "smlp_session_divide": (SESSION, TENSOR, _U64, _out(TENSOR)),
    "smlp_session_rescale": (SESSION, TENSOR, _U32, _out(TENSOR)),
    "smlp_session_relu": (SESSION, TENSOR, _out(TENSOR), _out(TENSOR)),
    "smlp_session_select": _TWO_OVER_SESSION,
    "smlp_session_maximum": _TWO_OVER_SESSION,
    "smlp_session_refresh": _OVER_SESSION,
    "smlp_session_unpack": _OVER_SESSION,
    "smlp_session_statistic": (SESSION, _STATUS, _out(_U64)),
    "smlp_session_kept_bits": (SESSION, _out(_F64)),
    "smlp_session_reset_statistics": (SESSION,),
    "smlp_mlp_options_new": (_DATA, _SIZE, _out(MLP_OPTIONS)),
    "smlp_mlp_options_set_activation": (MLP_OPTIONS, _SIZE, _STATUS),
    "smlp_mlp_options_set_fraction_bits": (MLP_OPTIONS, _U32),
    "smlp_mlp_options_set_weight_bits": (MLP_OPTIONS, _U32),
    "smlp_mlp_options_set_activation_bits": (MLP_OPTIONS, _U32),
    "smlp_mlp_options_set_seed": (MLP_OPTIONS, _U64),
    "smlp_estimate_new": (MLP_OPTIONS, _SIZE, _SIZE, _U64, *[_U32] * 3, _out(ESTIMATE)),
    "smlp_estimate_number": (ESTIMATE, _STATUS, _out(ctypes.c_double)),
    "smlp_estimate_text": (ESTIMATE, _out(BYTES)),
    "smlp_mlp_new": (MLP_OPTIONS, _out(MLP)),
    "smlp_mlp_encrypt": (MLP, PUBLIC_KEY, _out(MLP)),
    "smlp_mlp_decrypt": (MLP, PRIVATE_KEY, _out(MLP)),
    "smlp_mlp_clone": (MLP, _out(MLP)),
    "smlp_mlp_is_encrypted": (MLP, _out(_BOOL)),
    "smlp_mlp_layers": (MLP, _out(_SIZE)),
    "smlp_mlp_step": (MLP, _out(_U64)),
    "smlp_mlp_fraction_bits": (MLP, _out(_U32)),
    "smlp_mlp_weight": (MLP, _SIZE, _out(TENSOR)),
    "smlp_mlp_bias": (MLP, _SIZE, _out(TENSOR)),
    "smlp_mlp_predict": (MLP, SESSION, TENSOR, _out(TENSOR)),
    "smlp_mlp_train_step": (MLP, SESSION, TENSOR, TENSOR, _F64),
    "smlp_fit_options_new": (_out(FIT_OPTIONS),),
    "smlp_fit_options_set_epochs": (FIT_OPTIONS, _SIZE),
    "smlp_fit_options_set_steps": (FIT_OPTIONS, _U64),
    "smlp_fit_options_set_batch_size": (FIT_OPTIONS, _SIZE),
    "smlp_fit_options_set_learning_rate": (FIT_OPTIONS, _F64),
    "smlp_fit_options_set_shuffle": (FIT_OPTIONS, _BOOL, _U64),
    "smlp_fit_options_set_checkpoint": (FIT_OPTIONS, _PATH, _U64),
    "smlp_mlp_fit": (MLP, SESSION, TENSOR, TENSOR, FIT_OPTIONS, PROGRESS, _USERDATA),
    "smlp_mlp_evaluate": (MLP, SESSION, TENSOR, TENSOR, PRIVATE_KEY, _out(_F64)),
    "smlp_mlp_to_bytes": (MLP, _out(BYTES)),
    "smlp_mlp_from_bytes": (_DATA, _SIZE, PUBLIC_KEY, _out(MLP)),
    "smlp_mlp_save": (MLP, _PATH),
    "smlp_mlp_load": (_PATH, PUBLIC_KEY, _out(MLP)),
    "smlp_store_new": (_out(STORE),),
    "smlp_store_len": (STORE, _out(_SIZE)),
    "smlp_store_is_due": (STORE, _out(_BOOL)),
    "smlp_store_mark": (STORE, _DATA, _SIZE),
    "smlp_store_sweep": (STORE, _out(_SIZE)),
    "smlp_store_pin": (STORE, _I64),
    "smlp_store_unpin": (STORE, _I64),
    "smlp_store_take_wrapped": (STORE, _out(_U64)),
    "smlp_store_key_generate": (_U32, _U32, _out(STORE_KEY)),
    "smlp_store_key_from_modulus": (_DATA, _SIZE, _U32, _out(STORE_KEY)),
    "smlp_store_key_from_primes": (_DATA, _SIZE, _DATA, _SIZE, _U32, _out(STORE_KEY)),
    "smlp_store_key_public": (STORE_KEY, _out(STORE_KEY)),
    "smlp_store_key_number": (STORE_KEY, _STATUS, _out(BYTES)),
    "smlp_store_encrypt": (STORE, STORE_KEY, *_NUMBERS, _DATA),
    "smlp_store_decrypt": (*_ON_WORDS, _out(_SIZE), _out(BYTES)),
    "smlp_store_add": (*_ON_WORDS, _DATA, _SIZE, _DATA),
    "smlp_store_subtract": (*_ON_WORDS, _DATA, _SIZE, _DATA),
    "smlp_store_add_numbers": (*_ON_WORDS, *_NUMBERS, _DATA),
    "smlp_store_multiply_numbers": (*_ON_WORDS, *_NUMBERS, _DATA),
    "smlp_store_sum": (*_ON_WORDS, _SIZE, _DATA),
    "smlp_store_p2_multiply": (*_ON_WORDS, _DATA, _SIZE, _U64, _DATA),
    "smlp_store_p2_power": (*_ON_WORDS, _DATA, _SIZE, _DATA),
    "smlp_store_p2_matmul": (STORE, STORE_KEY, *(_DATA,) * 2, *(_SIZE,) * 3, _U64, _DATA),
    "smlp_store_p2_sum": (*_ON_WORDS, _SIZE, _DATA),
    "smlp_store_unmask": (*_ON_WORDS, _DATA, _SIZE, _DATA, _SIZE, *_MASKS, _DATA),
    "smlp_store_unmask_matrix": (*_ON_WORDS, _DATA, _SIZE, _DATA, *_MASKS, _DATA),
}

# Result and arguments of the others.
_OTHER_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "smlp_abi_version": (_U32, ()),
    "smlp_version": (ctypes.c_char_p, ()),
    "smlp_last_error": (_SIZE, (ctypes.c_char_p, _SIZE)),
    "smlp_backend_report": (_SIZE, (ctypes.c_char_p, _SIZE)),
    "smlp_bytes_data": (ctypes.c_void_p, (BYTES,)),
    "smlp_bytes_len": (_SIZE, (BYTES,)),
}

# Those of libraries built with the cargo feature "net".
_NETWORK_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "smlp_network_options_new": (ctypes.c_char_p, _out(NETWORK_OPTIONS)),
    "smlp_network_options_set_identity": (
        *(NETWORK_OPTIONS, _DATA, _SIZE),
        *(_DATA, _SIZE, _DATA, _SIZE),
    ),
    "smlp_network_options_load_identity": (NETWORK_OPTIONS, _PATH, _PATH, _PATH),
    "smlp_network_options_set_server_name": (NETWORK_OPTIONS, ctypes.c_char_p),
    "smlp_network_options_set_deadline": (NETWORK_OPTIONS, _U64),
    "smlp_transport_connect": (NETWORK_OPTIONS, _out(TRANSPORT)),
}

_OWNED: tuple[Any, ...] = (BYTES, PRIVATE_KEY, PUBLIC_KEY, TENSOR, P1, P2, CALL, TRANSPORT, SESSION)
_OWNED += (RECORD, RECORD_KEY, MLP_OPTIONS, MLP, ESTIMATE, FIT_OPTIONS, STORE, STORE_KEY)


def _candidates() -> Iterator[Path]:
    """Where the library may be, best first."""
    package = Path(__file__).resolve().parent
    yield package / _FILE_NAME
    for folder in package.parents:
        if (folder / "Cargo.toml").is_file() and (folder / "bindings" / "python").is_dir():
            built = [folder / "target" / kind / _FILE_NAME for kind in ("release", "debug")]
            yield from built


def _load() -> Any:
    named = os.environ.get("SMLP_LIBRARY")
    if named:
        path = Path(named)
    else:
        found = next((path for path in _candidates() if path.is_file()), None)
        if found is None:
            raise ImportError(
                f"{_FILE_NAME} was not found: install the package with pip, or run "
                "`cargo build --release` in the checkout, or set SMLP_LIBRARY to its path"
            )
        path = found
    try:
        library = ctypes.CDLL(str(path))
        version = library.smlp_abi_version
    except (OSError, AttributeError) as error:
        raise ImportError(f"{path} cannot be loaded as libsmlp: {error}") from error
    version.restype, version.argtypes = _U32, ()
    if version() != ABI_VERSION:
        raise ImportError(
            f"{path} has version {version()} of the C ABI, this package needs {ABI_VERSION}"
        )
    return library


def has_network() -> bool:
    """Whether the library was built with the cargo feature "net"."""
    return hasattr(lib, "smlp_transport_connect")


def _declare(library: Any) -> None:
    functions, owned = _STATUS_FUNCTIONS, _OWNED
    if hasattr(library, "smlp_transport_connect"):
        functions, owned = functions | _NETWORK_FUNCTIONS, (*owned, NETWORK_OPTIONS)
    try:
        for name, arguments in functions.items():
            function = getattr(library, name)
            function.restype, function.argtypes = _STATUS, arguments
            function.errcheck = _check
        for name, (result, arguments) in _OTHER_FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        for kind in owned:
            function = getattr(library, f"{kind._type_.__name__}_free")
            function.restype, function.argtypes = None, (kind,)
            _FREE[kind] = function
    except AttributeError as error:
        raise ImportError(f"this libsmlp lacks a function of its own ABI: {error}") from error


def text_of(function: Any) -> str:
    """What a function that fills a buffer with text has to say."""
    length = function(None, 0)
    buffer = ctypes.create_string_buffer(length + 1)
    function(buffer, length + 1)
    return buffer.value.decode("utf-8", "replace")


def _check(status: int, _function: Any, _arguments: Any) -> int:
    """Called by ctypes after every function that returns a status, in the same thread."""
    if status != 0:
        raise from_status(status, text_of(lib.smlp_last_error))
    return status


class Handle:
    """Owns one object of the library and frees it when nothing refers to it any more.

    It can be passed to the functions of ``lib`` as it is; ctypes keeps it alive meanwhile.
    """

    __slots__ = ("_as_parameter_", "_free")

    def __init__(self, pointer: Any) -> None:
        self._as_parameter_ = pointer
        self._free: Callable[[Any], None] = _FREE[type(pointer)]

    def __del__(self) -> None:
        # Missing when __init__ did not finish.
        free = getattr(self, "_free", None)
        if free is not None:
            free(self._as_parameter_)


class NativeObject:
    """A Python object around a handle. It is never pickled: what is secret stays in the process."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __reduce_ex__(self, _protocol: Any) -> Any:
        raise TypeError(f"{type(self).__name__} cannot be pickled; use to_bytes or save")


class Exclusive:
    """Lets one thread at a time use an object that the library changes in place.

    Coming back from a callback of the same object is an error instead of a deadlock.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._owner: int | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Waits for other threads, then holds the object for a ``with`` block."""
        if self._owner == threading.get_ident():
            raise FinishedError(
                f"the {self._what} is busy: it cannot be used from its own callbacks"
            )
        with self._lock:
            self._owner = threading.get_ident()
            try:
                yield
            finally:
                self._owner = None


def create(function: Any, *inputs: Any) -> Handle:
    """Calls a function whose last argument receives a new object."""
    pointer = function.argtypes[-1]._type_()
    function(*inputs, ctypes.byref(pointer))
    return Handle(pointer)


def value_of(function: Any, *inputs: Any) -> Any:
    """Calls a function whose last argument receives a number, a truth value or a string."""
    value = function.argtypes[-1]._type_()
    function(*inputs, ctypes.byref(value))
    return value.value


def bytes_of(function: Any, *inputs: Any) -> bytes:
    """Calls a function whose last argument receives bytes, and copies them."""
    return take_bytes(create(function, *inputs))


def take_bytes(handle: Handle) -> bytes:
    """A copy of the bytes that a handle owns."""
    length = lib.smlp_bytes_len(handle)
    return ctypes.string_at(lib.smlp_bytes_data(handle), length) if length else b""


def filled(function: Any, handle: Handle, count: int) -> bytes:
    """Calls ``function(handle, buffer)`` with a buffer of so many bytes."""
    buffer = (ctypes.c_uint8 * count)()
    function(handle, buffer)
    return bytes(buffer)


def read_only(data: Any) -> bytes:
    """Any bytes-like object as bytes, without a copy where it is one already."""
    return data if isinstance(data, bytes) else bytes(memoryview(data))


def unsigned(what: str, value: Any, bits: int = 32) -> int:
    """An integer that fits so many bits; ctypes would cut others to their low bits in silence."""
    number = operator.index(value)
    if not 0 <= number < 1 << bits:
        raise InvalidArgumentError(f"{what} is {number}, outside 0 to 2^{bits} − 1")
    return number


def signed(what: str, value: Any) -> int:
    """An integer that fits an int64_t."""
    number = operator.index(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise InvalidArgumentError(f"{what} is {number}, which does not fit 64 bits")
    return number


def sizes(what: str, values: Iterable[Any]) -> Any:
    """An array of size_t."""
    numbers = [unsigned(what, value, 64) for value in values]
    return (_SIZE * len(numbers))(*numbers)


def signed_array(what: str, values: Iterable[Any]) -> Any:
    """An array of int64_t."""
    numbers = [signed(what, value) for value in values]
    return (_I64 * len(numbers))(*numbers)


def path_bytes(path: str | os.PathLike[str]) -> bytes:
    """A path as the library takes it: UTF-8 without NUL."""
    encoded = os.fspath(path).encode("utf-8")
    if b"\0" in encoded:
        raise ValueError("a path cannot contain a NUL character")
    return encoded


_FREE: dict[Any, Callable[[Any], None]] = {}
lib: Any = _load()
_declare(lib)
