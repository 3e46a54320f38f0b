"""The errors of the model side.

GircseError
├── ModelNotFoundError     no such name, folder or hub id, or the hub cannot be reached
├── ModelIntegrityError    weights missing, altered, or not in safetensors
├── UnsupportedModelError  an architecture, head or adapter that this program cannot run faithfully
├── InputError             empty text, wrong type, half a character
├── StepCountError         refinement steps outside of what the backbone defines
├── TrainingInputError     training data or options that cannot be used
└── TrainingError          a training run that cannot go on, such as one whose loss is no number

Every message says what happened, with the values seen, and what to do.
"""

from __future__ import annotations

__all__ = [
    "GircseError",
    "InputError",
    "ModelIntegrityError",
    "ModelNotFoundError",
    "StepCountError",
    "TrainingError",
    "TrainingInputError",
    "UnsupportedModelError",
]


class GircseError(Exception):
    """Root of everything that the model side raises on purpose."""


class ModelNotFoundError(GircseError):
    """The model's files are not where the name says."""


class ModelIntegrityError(GircseError):
    """The model's files are damaged or of an unsafe format."""


class UnsupportedModelError(GircseError):
    """The model cannot be run faithfully."""


class InputError(GircseError, ValueError):
    """The text to embed is unusable."""


class StepCountError(GircseError, ValueError):
    """The number of refinement steps is outside of the backbone's range."""


class TrainingInputError(GircseError, ValueError):
    """The training data or options are unusable."""


class TrainingError(GircseError):
    """A training run cannot go on."""
