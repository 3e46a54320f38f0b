"""Shows a file in the file manager of this machine's desktop, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from indexer.errors import UsageError

__all__ = ["can_show_folder", "show_folder"]

_TIMEOUT_S = 10.0


def can_show_folder() -> bool:
    """Return whether there is a desktop to show a folder on."""
    if sys.platform == "darwin":
        return shutil.which("open") is not None
    has_desktop = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return has_desktop and shutil.which("xdg-open") is not None


def show_folder(path: Path) -> None:
    """Open the folder of a file; the file itself is never opened, let alone run.

    Raises:
        UsageError: the folder is gone, or the desktop does not open it.
    """
    folder = path.parent
    if not path.is_absolute() or not folder.is_dir():
        raise UsageError(f"The folder {folder} is not there any more.")
    # macOS would start a folder called something.app: there the file is pointed at instead
    command = ["open", "-R", str(path)] if sys.platform == "darwin" else ["xdg-open", str(folder)]
    try:
        subprocess.run(
            command,
            check=True,
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return  # some file managers stay in front until they are closed
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"The desktop did not open {folder}: {error}") from error
