"""Model files from a hub: only what is safe to read, and only when a model is asked for by name.

Environment variables of huggingface_hub apply (HF_HUB_OFFLINE, HF_HOME, HF_ENDPOINT, HF_TOKEN).
"""

from __future__ import annotations

from pathlib import Path

from gircse_core.errors import ModelNotFoundError

__all__ = ["fetch", "is_hub_id"]

# Never *.bin, *.pt or *.py: pickles and code of strangers are not even downloaded.
_SAFE_FILES = ["*.json", "*.safetensors", "*.txt", "1_Pooling/config.json"]


def is_hub_id(name: str) -> bool:
    """Whether a name has the form ``owner/model`` and is no path."""
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not name.startswith((".", "~"))


def fetch(name: str, *, revision: str | None = None, offline: bool = False) -> Path:
    """Return the local folder of a hub model, downloading what is missing.

    Args:
        name: ``owner/model``.
        revision: branch, tag or commit; None for the default branch.
        offline: look into the local cache only.

    Raises:
        ModelNotFoundError: it is not in the cache and cannot be downloaded.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        folder = snapshot_download(
            name, revision=revision, allow_patterns=_SAFE_FILES, local_files_only=offline
        )
    except HFValidationError as error:
        raise ModelNotFoundError(f"{name!r} is no valid model name: {error}") from error
    except LocalEntryNotFoundError as error:
        raise ModelNotFoundError(
            f"The model {name!r} is not on this machine and no hub can be reached. With a "
            f"connection run `gircse model pull {name}`, or give the folder of a local copy."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelNotFoundError(
            f"The model {name!r} could not be downloaded: {error} Check the name and, for gated "
            "models, log in with `hf auth login`."
        ) from error
    return Path(folder)
