#!/usr/bin/env python3
"""Compiles kernels/module.cu to PTX, one file a size, with a pinned NVRTC: no GPU, no toolkit.

    generate.py           writes ptx/*.ptx, ptx/SHA256SUMS and ptx/resources.txt
    generate.py --check   compiles and compares with them; changes nothing

Needs the wheel nvidia-cuda-nvrtc-cu11 in the version below. Newer compilers emit PTX that older
drivers refuse: 11.8 gives PTX 7.8, which every driver from r520 on takes, and compute_70 serves
every GPU since Volta.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib.metadata
import re
import sys

from device import HERE, sizes

COMPILER = ("nvidia-cuda-nvrtc-cu11", "11.8.89")
VIRTUAL = "compute_70"
# Registers and spills are those of the assembler for these real architectures.
REAL = ("sm_80", "sm_90")


def nvrtc() -> ctypes.CDLL:
    """The pinned compiler."""
    name, version = COMPILER
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        sys.exit(f"please install {name}=={version}")
    if distribution.version != version:
        sys.exit(f"{name} is {distribution.version}, the PTX is made with {version}")
    files = {f.name: f for f in distribution.files or []}
    # It looks for its builtins by name: they must be there already.
    ctypes.CDLL(str(files["libnvrtc-builtins.so.11.8"].locate()), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(files["libnvrtc.so.11.2"].locate()))


def compile_size(library: ctypes.CDLL, bits: int, architecture: str) -> tuple[bytes, str]:
    """PTX (or a cubin, for a real architecture) and the compiler's log."""
    threads, limbs = sizes()[bits]
    real = architecture.startswith("sm_")
    options = [
        f"--gpu-architecture={architecture}",
        "--std=c++17",
        "--device-as-default-execution-space",
        f"--include-path={HERE / 'kernels'}",
        f"--define-macro=MODULE_BITS={bits}",
        f"--define-macro=MODULE_TPI={threads}",
        f"--define-macro=MODULE_LIMBS={limbs}",
    ] + (["--ptxas-options=-v"] if real else [])
    program = ctypes.c_void_p()

    def text(kind: str) -> bytes:
        size = ctypes.c_size_t()
        getattr(library, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(max(size.value, 1))
        getattr(library, f"nvrtcGet{kind}")(program, buffer)
        return buffer.raw[: size.value]

    source = (HERE / "kernels" / "module.cu").read_bytes()
    library.nvrtcCreateProgram(ctypes.byref(program), source, b"module.cu", 0, None, None)
    encoded = [o.encode() for o in options]
    failed = library.nvrtcCompileProgram(
        program, len(encoded), (ctypes.c_char_p * len(encoded))(*encoded)
    )
    log = text("ProgramLog").rstrip(b"\0").decode()
    if failed:
        sys.exit(f"{bits} bits, {architecture}: {log}")
    code = text("CUBIN" if real else "PTX")
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return (code if real else code.rstrip(b"\0")), log


def resources(library: ctypes.CDLL) -> str:
    """Registers, spilled bytes, shared memory and code size of every kernel, as a table."""
    lines = ["# architecture kernel registers spilled-bytes shared-bytes code-bytes"]
    for architecture in REAL:
        for bits in sizes():
            cubin, log = compile_size(library, bits, architecture)
            codes = code_sizes(cubin)
            for name, spilled, used in re.findall(
                r"entry function '(\w+)'.*?(\d+) bytes spill stores.*?Used ([^\n]*)", log, re.S
            ):
                registers = re.search(r"(\d+) registers", used)
                shared = re.search(r"(\d+) bytes smem", used)
                assert registers, used
                row = (registers[1], spilled, shared[1] if shared else "0", str(codes[name]))
                lines.append(" ".join((architecture, name, *row)))
    return "\n".join([lines[0], *sorted(lines[1:])]) + "\n"


def code_sizes(cubin: bytes) -> dict[str, int]:
    """Bytes of the sections .text.<kernel> of a 64-bit ELF file."""
    start, entry, count, names_at = (
        int.from_bytes(cubin[at : at + size], "little")
        for at, size in ((40, 8), (58, 2), (60, 2), (62, 2))
    )
    headers = [cubin[start + i * entry : start + (i + 1) * entry] for i in range(count)]

    def field(header: bytes, at: int, size: int) -> int:
        return int.from_bytes(header[at : at + size], "little")

    names = cubin[field(headers[names_at], 24, 8) :]
    found = {}
    for header in headers:
        at = field(header, 0, 4)
        name = names[at : names.index(b"\0", at)].decode()
        if name.startswith(".text."):
            found[name[len(".text.") :]] = field(header, 32, 8)
    return found


def main() -> None:
    """Writes, or checks, everything in ptx/."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    library = nvrtc()
    made: dict[str, bytes] = {}
    for bits in sizes():
        made[f"{bits}.ptx"], _ = compile_size(library, bits, VIRTUAL)
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(made.items())]
    made["SHA256SUMS"] = ("\n".join(sums) + "\n").encode()
    made["resources.txt"] = resources(library).encode()
    different = []
    for name, data in made.items():
        path = HERE / "ptx" / name
        if check:
            if not path.exists() or path.read_bytes() != data:
                different.append(name)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
    if different:
        sys.exit(f"not what the sources give: {', '.join(different)}; run cuda/generate.py")


if __name__ == "__main__":
    main()
