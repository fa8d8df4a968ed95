"""What this machine's folders are: where the data lie whose disk must not fill up."""

import tempfile
from pathlib import Path

from django.conf import settings

from nautilus.local.home import Home

_database_folder: list[Path] = []


def remember_database_folder(folder: str) -> None:
    """PostgreSQL's own word, kept for when it does not answer any more, as with a full disk."""
    _database_folder[:] = [Path(folder)]


def data_folders() -> dict[str, Path]:
    """Folders by what lies there, of those that are on this machine; PostgreSQL's may be on another one."""
    home = Home(settings.NAUTILUS_HOME)
    named = {
        "PostgreSQL's data": next(iter(_database_folder), home.postgres_data),
        "NAUTILUS_HOME": home.path,
        "price matrices": settings.MATRIX_DIR or home.path,
        "temporary files": Path(tempfile.gettempdir()),
    }
    return {name: folder for name, folder in named.items() if _is_here(folder)}


def _is_here(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:
        return False
