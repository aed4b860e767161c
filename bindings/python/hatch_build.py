"""Builds libsmlp with cargo and puts it inside the wheel, next to the Python files.

The wheel needs no particular Python, only the platform: its tag is py3-none-<platform>.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FILE_NAME = {"darwin": "libsmlp.dylib", "win32": "smlp.dll"}.get(sys.platform, "libsmlp.so")
# GMP is built from source.
_TOOLS = {
    "cargo": "a Rust toolchain (1.89 or newer)",
    "m4": "m4",
    "make": "make",
    "gcc": "a C compiler",
}


class CustomBuildHook(BuildHookInterface):
    """What hatchling calls before it packs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the library for wheels; an editable install uses the checkout's own."""
        if version == "editable":
            return
        library = os.environ.get("SMLP_LIBRARY") or _build(_rust_sources(Path(self.root)))
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["force_include"][str(library)] = f"smlp/{_FILE_NAME}"
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False


def _rust_sources(here: Path) -> Path:
    """The checkout that this folder stands in."""
    checkout = here.parent.parent
    if (checkout / "Cargo.toml").is_file() and (checkout / "src" / "ffi").is_dir():
        return checkout
    raise SystemExit(
        "the Rust sources of smlp were not found two folders above: install from a checkout "
        "(pip install bindings/python), or set SMLP_LIBRARY to a built library"
    )


def _build(sources: Path) -> Path:
    missing = [what for tool, what in _TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise SystemExit("building libsmlp needs " + ", ".join(missing) + ", not found in PATH")
    command = ["cargo", "build", "--release", "--locked", "--lib"]
    # "net" adds smlp.connect, and a few minutes to the build.
    if features := os.environ.get("SMLP_FEATURES"):
        command += ["--features", features]
    subprocess.run(command, cwd=sources, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return sources / target / "release" / _FILE_NAME
