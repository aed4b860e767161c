"""The kernels from Python, through the CUDA driver alone: for tests, and for measuring on a GPU.

Needs nothing but Python and a `libcuda.so.1`, which may be the test double.
"""

from __future__ import annotations

import contextlib
import ctypes
import pathlib
from collections.abc import Sequence

HERE = pathlib.Path(__file__).resolve().parent
THREADS = 128
NO_PRODUCT = 0xFFFFFFFF


class DeviceError(Exception):
    """A driver call failed."""


class Driver:
    """The first device, its primary context current on this thread."""

    def __init__(self, library: str = "libcuda.so.1") -> None:
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise DeviceError(f"no CUDA driver: {error}") from None
        self.call("cuInit", ctypes.c_uint(0))
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        self.device = device
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)

    def call(self, name: str, *arguments: object) -> None:
        """One driver function; an error code becomes an exception."""
        code = getattr(self._library, name)(*arguments)
        if code:
            raise DeviceError(f"{name} failed with CUDA error {code}")

    def attribute(self, number: int) -> int:
        """A number of `CUdevice_attribute`: 16 multiprocessors, 13 clock in kHz."""
        value = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(number), self.device)
        return value.value

    def name(self) -> str:
        """What the device calls itself."""
        text = ctypes.create_string_buffer(256)
        self.call("cuDeviceGetName", text, ctypes.c_int(256), self.device)
        return text.value.decode()

    def driver_version(self) -> int:
        """The CUDA version that the driver supports, e.g. 12040."""
        value = ctypes.c_int()
        self.call("cuDriverGetVersion", ctypes.byref(value))
        return value.value

    def synchronize(self) -> None:
        """Waits for all work."""
        self.call("cuCtxSynchronize")

    def event(self) -> ctypes.c_void_p:
        """A new event."""
        event = ctypes.c_void_p()
        self.call("cuEventCreate", ctypes.byref(event), ctypes.c_uint(0))
        return event

    def record(self, event: ctypes.c_void_p) -> None:
        """Marks what is launched so far."""
        self.call("cuEventRecord", event, ctypes.c_void_p())

    def elapsed(self, first: ctypes.c_void_p, second: ctypes.c_void_p) -> float:
        """Seconds between two events; waits for them."""
        self.call("cuEventSynchronize", second)
        milliseconds = ctypes.c_float()
        self.call("cuEventElapsedTime", ctypes.byref(milliseconds), first, second)
        return milliseconds.value / 1000


class Memory:
    """Words on the device, freed with the object."""

    def __init__(self, driver: Driver, words: int) -> None:
        self._driver, self.words = driver, words
        self.pointer = ctypes.c_uint64()
        driver.call("cuMemAlloc_v2", ctypes.byref(self.pointer), ctypes.c_size_t(4 * max(words, 1)))

    def write(self, words: Sequence[int]) -> Memory:
        """Fills it from the start."""
        assert len(words) <= self.words
        data = (ctypes.c_uint32 * len(words))(*words)
        self._driver.call("cuMemcpyHtoD_v2", self.pointer, data, ctypes.c_size_t(4 * len(words)))
        return self

    def read(self) -> list[int]:
        """All words, once everything launched is done."""
        self._driver.synchronize()
        data = (ctypes.c_uint32 * self.words)()
        self._driver.call("cuMemcpyDtoH_v2", data, self.pointer, ctypes.c_size_t(4 * self.words))
        return list(data)

    def __del__(self) -> None:
        # At the interpreter's end the driver may be gone already.
        if self.pointer.value and self._driver is not None:
            self._driver._library.cuMemFree_v2(self.pointer)


def words_of(values: Sequence[int], width: int) -> list[int]:
    """Little-endian 32-bit words, `width` a value."""
    return [(v >> 32 * i) & 0xFFFFFFFF for v in values for i in range(width)]


def values_of(words: Sequence[int], width: int) -> list[int]:
    """The numbers again."""
    data = b"".join(w.to_bytes(4, "little") for w in words)
    step = 4 * width
    return [int.from_bytes(data[i : i + step], "little") for i in range(0, len(data), step)]


def sizes() -> dict[int, tuple[int, int]]:
    """Bits of the modulus or root → threads a number, words a thread: what kernels/sizes.h says."""
    lines = (HERE / "kernels" / "sizes.h").read_text().splitlines()
    rows = [line.strip(" \\")[2:-1].split(",") for line in lines if line.startswith("  X(")]
    return {int(bits): (int(tpi), int(words)) for bits, tpi, words in rows}


class Kernels:
    """One size: its PTX, loaded."""

    def __init__(self, driver: Driver, bits: int, ptx: bytes | None = None) -> None:
        self.driver, self.bits = driver, bits
        self.threads, self.limbs = sizes()[bits]
        image = ptx if ptx is not None else (HERE / "ptx" / f"{bits}.ptx").read_bytes()
        self._module = ctypes.c_void_p()
        none = ctypes.c_void_p()
        driver.call(
            "cuModuleLoadDataEx",
            ctypes.byref(self._module),
            ctypes.c_char_p(image),
            ctypes.c_uint(0),
            none,
            none,
        )
        self._functions: dict[str, ctypes.c_void_p] = {}

    def launch(self, name: str, count: int, *arguments: Memory | int | None) -> None:
        """Runs `name` on as many groups as `count` numbers need; does not wait."""
        if name not in self._functions:
            function = ctypes.c_void_p()
            self.driver.call(
                "cuModuleGetFunction", ctypes.byref(function), self._module, name.encode()
            )
            self._functions[name] = function
        values = [
            ctypes.c_uint32(a)
            if isinstance(a, int)
            else ctypes.c_uint64(a.pointer.value if a is not None else 0)
            for a in arguments
        ]
        pointers = (ctypes.c_void_p * len(values))(
            *(ctypes.cast(ctypes.byref(v), ctypes.c_void_p) for v in values)
        )
        none, one = ctypes.c_void_p(), ctypes.c_uint(1)
        self.driver.call(
            "cuLaunchKernel",
            self._functions[name],
            ctypes.c_uint(-(-count * self.threads // THREADS)),
            one,
            one,
            ctypes.c_uint(THREADS),
            one,
            one,
            ctypes.c_uint(0),
            none,
            pointers,
            none,
        )


class Ring:
    """Arithmetic modulo `root` (form "plain") or `root`² (form "nadic")."""

    def __init__(self, kernels: Kernels, form: str, root: int) -> None:
        self.kernels, self.form = kernels, form
        height = kernels.threads * kernels.limbs
        r = 1 << 32 * height
        assert root % 2 == 1 and 1 < root < r
        self.modulus = root if form == "plain" else root * root
        self.words = height if form == "plain" else 2 * height

        def in_form(x: int) -> list[int]:
            x %= self.modulus
            digits = [x] if form == "plain" else [x % root, x // root]
            return words_of(digits, height)

        offset = -(-r // root) * root - r + 1 if form == "nadic" else 0
        constants = words_of([root, offset], height)
        constants += in_form(r) + in_form(r * r) + in_form(r**3)
        constants += [-pow(root, -1, 1 << 32) % (1 << 32), 0, 0, 0]
        self.constants = Memory(kernels.driver, len(constants)).write(constants)

    def memory(self, count: int) -> Memory:
        """Room for `count` numbers."""
        return Memory(self.kernels.driver, count * self.words)

    def launch(self, what: str, count: int, *arguments: Memory | int | None) -> None:
        """A kernel of this form, which gets the constants first and the count last."""
        name = f"{self.form}_{self.kernels.bits}_{what}"
        self.kernels.launch(name, count, self.constants, *arguments, count)

    def enter(self, values: Sequence[int]) -> Memory:
        """Numbers below the modulus to the device."""
        plain = self.memory(len(values)).write(words_of(values, self.words))
        out = self.memory(len(values))
        self.launch("enter", len(values), out, plain)
        return out

    def leave(self, numbers: Memory) -> list[int]:
        """The numbers again."""
        count = numbers.words // self.words
        out = self.memory(count)
        self.launch("leave", count, out, numbers)
        return values_of(out.read(), self.words)

    def multiply(self, a: Memory, b: Memory) -> Memory:
        """Products, element by element."""
        out = Memory(self.kernels.driver, a.words)
        self.launch("multiply", a.words // self.words, out, a, b)
        return out

    def tables(self, bases: Memory, window: int, start: Memory | None = None) -> Memory:
        """2^window powers of each base, times `start`."""
        count = bases.words // self.words
        out = self.memory(count << window)
        self.launch("tables", count, out, bases, start, window)
        return out

    def evaluate(
        self,
        count: int,
        table: Memory | None,
        steps: Sequence[tuple[int, int, int, int]],
        *,
        window: int = 0,
        start: Memory | None = None,
        slots: Sequence[int] | None = None,
        columns: int = 1,
        exponents: Sequence[int] = (0,),
        exponent_bits: int = 1,
        strides: tuple[int, int] = (0, 0),
        out: Memory | None = None,
        clock: contextlib.AbstractContextManager[object] | None = None,
    ) -> Memory:
        """`steps` are (squarings, column, first, at); kernels/kernels.h says what they do.

        The kernel alone, without its operands' transfer, is launched within `clock`.
        """
        driver = self.kernels.driver
        width = -(-exponent_bits // 32) + 1
        flat = [word for step in steps for word in step]
        step_memory = Memory(driver, len(flat)).write(flat)
        slot_memory = None if slots is None else Memory(driver, len(slots)).write(slots)
        exponent_words = words_of(exponents, width)
        exponent_memory = Memory(driver, len(exponent_words)).write(exponent_words)
        if out is None:
            out = self.memory(count)
        with clock or contextlib.nullcontext():
            self.launch(
                "evaluate",
                count,
                out,
                start,
                table,
                step_memory,
                len(steps),
                slot_memory,
                columns,
                exponent_memory,
                width,
                *strides,
                window,
            )
        # The arguments above must live until the kernel is done.
        driver.synchronize()
        return out


def power_steps(bits: int, window: int) -> list[tuple[int, int, int, int]]:
    """One exponentiation, most significant window first."""
    digits = -(-bits // window)
    return [(0 if j == digits - 1 else window, 0, 0, j * window) for j in reversed(range(digits))]
