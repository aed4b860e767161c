"""The programs of examples/pytorch, as a user starts them."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "pytorch"


def run(program, *options, output):
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / program), *options, "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    picture = output / program.replace(".py", ".png")
    assert picture.stat().st_size > 5000
    return result.stdout


def test_integers_with_the_layouts_job(tmp_path):
    printed = run("model_int.py", output=tmp_path)
    assert "epoch 1: accuracy 0." in printed
    assert "accuracy 1.0" in printed


def test_ciphertexts_at_a_real_key_size(tmp_path):
    """A larger step than the layout's lr 50, which takes four epochs."""
    printed = run("model_enc.py", "--lr", "4", output=tmp_path)
    assert "2048-bit key" in printed
    assert "accuracy 1.0" in printed
    assert "weights equal the clear twin's: yes, every integer" in printed


def test_sample_by_sample(tmp_path):
    options = ["--bits", "512", "--insecure", "--sigma", "40", "--batch", "6"]
    printed = run("model_th.py", *options, output=tmp_path)
    assert "times as fast" in printed
