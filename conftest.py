from pathlib import Path
from typing import Any

import pytest

from apps.portfolios import matrix


@pytest.fixture(autouse=True)
def _own_matrix_folder(settings: Any, tmp_path: Path) -> None:
    """Versions of a test's prices must not meet those of another's."""
    settings.MATRIX_DIR = tmp_path / "matrices"
    matrix._loaded.clear()
