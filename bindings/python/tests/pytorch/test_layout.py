"""Programs of the layout, unchanged but for the import, at 30 and at 2048 bits."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LAYOUT = Path(__file__).parent / "layout"
# The layout's divisions are off by one downwards; a step adds up some of them.
APART_A_STEP = 8.0


def train(steps, batch, bits, folder=None):
    """Runs the training program; what it printed: sizes of the store, megabytes, and distance."""
    path = [str(folder)] if folder else []
    path += filter(None, [os.environ.get("PYTHONPATH")])
    environment = {**os.environ, "BITS": str(bits), "PYTHONPATH": os.pathsep.join(path)}
    result = subprocess.run(
        [sys.executable, "model_enc.py", str(steps), str(batch)],
        cwd=LAYOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    sizes = [int(size) for size in re.findall(r"store (\d+)", result.stdout)]
    megabytes = [float(size) for size in re.findall(r"MB ([\d.]+)", result.stdout)]
    assert len(sizes) == steps
    return sizes, megabytes, float(re.search(r"apart ([\d.]+)", result.stdout).group(1))


@pytest.mark.parametrize(("bits", "steps", "batch"), [(30, 5, 40), (2048, 2, 20)])
def test_training_by_ctypes(bits, steps, batch):
    _, _, apart = train(steps, batch, bits)
    assert apart < APART_A_STEP * steps


@pytest.mark.parametrize(("bits", "steps", "batch"), [(30, 5, 40), (2048, 1, 10)])
@pytest.mark.parametrize("build", ["setup", "jit"])
def test_training_by_the_extension(built, build, bits, steps, batch):
    _, _, apart = train(steps, batch, bits, built[build])
    assert apart < APART_A_STEP * steps


@pytest.mark.parametrize("build", ["ctypes", "setup"])
def test_memory_stays_flat_over_200_mini_batches(request, build):
    """References under a reduced key, so that they are many: a million pass through."""
    folder = None if build == "ctypes" else request.getfixturevalue("built")[build]
    sizes, megabytes, _ = train(200, 10, 256, folder)
    assert max(sizes[100:]) <= 1.1 * max(sizes[:100])
    assert max(megabytes[100:]) <= 1.1 * max(megabytes[:100])
