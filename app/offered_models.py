"""Which models programs may ask for: loading one costs memory, so not just any.

Offered are that of the settings, those of the collections, and those known by name, as far as they
are on this machine.
"""

from __future__ import annotations

from app.services import Services
from indexer.embedder import ModelError, ModelInfo, list_models, model_info

__all__ = ["is_offered", "offered_models"]


def offered_models(services: Services) -> dict[str, ModelInfo]:
    """Return what is offered, by name; that of the settings first."""
    names = [services.settings.model]
    names += [summary.model for summary in services.library.summaries() if summary.model]
    names += [name for name, _ in list_models()]
    found = {}
    for name in dict.fromkeys(names):
        try:
            found[name] = model_info(name)
        except ModelError:  # not on this machine
            continue
    return found


def is_offered(services: Services, name: str) -> bool:
    """Return whether a model may be asked for; quick for those in use."""
    in_use = (services.settings.model, *services.models.names())
    return name in in_use or name in offered_models(services)
