"""What a type checker says of the package, and of a program that uses every name of the specification."""

import inspect
import subprocess
import sys
from pathlib import Path

import typed_client
from forks import run_script

import multiindex_nb as mi

ROOT = Path(__file__).resolve().parents[1]


def test_mypy_finds_nothing_in_package_and_client():
    """A wrong annotation of a public function, or one that takes what it should refuse, shows in
    `typed_client.py`."""
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_client_calls_every_public_function():
    "A name added without a line there would be checked by nobody."
    text = Path(typed_client.__file__).read_text(encoding="utf-8")
    assert [name for name in mi.__all__ if inspect.isfunction(getattr(mi, name))
            and f"mi.{name}(" not in text] == []


def test_what_the_client_does_can_be_done_in_the_shapes_that_are_promised():
    """Types that promise what the code refuses, and arrays of another shape or kind than an annotation says,
    inside the package too."""
    code, said = run_script(Path(__file__).with_name("strict.py"))
    assert code == 0, said[-3000:]
