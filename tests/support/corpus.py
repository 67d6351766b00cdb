"""The big corpus of real data, where a developer has it."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def data_dir() -> Path:
    """``CAUSEWAY_TEST_DATA``, or ``shared/data`` beside the checkout; skips the test without either."""
    named = os.environ.get("CAUSEWAY_TEST_DATA")
    folder = Path(named) if named else _ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no corpus: set CAUSEWAY_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The corpus' folder."""
    return data_dir()
