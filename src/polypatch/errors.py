"""Every error polypatch raises on purpose, in one tree.

::

    PolypatchError (Exception)
    ├── InputError (ValueError)           what the caller passed cannot be used
    │   ├── EditError                     one edit is wrong: a language, a text, a target
    │   │   └── ContradictionError        two edits want different answers to one input
    │   ├── DataError                     a file or a folder is wrong: path, row, field
    │   ├── UnknownLabelError             a target that the model has no class for
    │   └── UnknownRecipeError            a recipe that is not in the table
    ├── UnsupportedModelError (TypeError) the model's architecture or head is not one we know
    ├── TailMismatchError                 the model and its frozen tail disagree: no number from it can be trusted
    ├── ArtefactError (ValueError)        a folder of saved edits is broken, or belongs to another base model
    ├── JournalError                      the journal of a run is broken, in use, or belongs to another run
    └── UnavailableError                  who could answer is busy or lost just now: ask again

A message names the value, the place and the fix. The command line prints it in one line and exits with code 2.
"""


class PolypatchError(Exception):
    """Base of every error that polypatch raises on purpose."""


class InputError(PolypatchError, ValueError):
    """What the caller passed cannot be used."""


class EditError(InputError):
    """One edit is wrong: a language, a text or a target."""


class ContradictionError(EditError):
    """Two edits want different answers to one input.

    Attributes:
        edit_ids: the two edits, the earlier one first; empty where that is not known.
    """

    def __init__(self, message: str, edit_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.edit_ids = edit_ids


class DataError(InputError):
    """A file or a folder is wrong; the message names path, row and field."""


class UnknownLabelError(InputError):
    """A target for which the model has no class."""


class UnknownRecipeError(InputError):
    """A recipe that is not in the table."""


class UnsupportedModelError(PolypatchError, TypeError):
    """The model's architecture or head is not one polypatch knows."""


class TailMismatchError(PolypatchError):
    """The model and its frozen tail disagree, so no number from the tail can be trusted."""


class ArtefactError(PolypatchError, ValueError):
    """A folder of saved edits is broken, or belongs to another base model."""


class JournalError(PolypatchError):
    """The journal of a run is broken, in use by another process, or belongs to another run."""


class UnavailableError(PolypatchError):
    """Who could answer is busy or lost just now: ask again."""


class PolypatchWarning(UserWarning):
    """Something that works, and that a careful user would want to know of."""


class StoppedError(Exception):
    """Ctrl-C was heard, and this is what was kept. Nothing was wrong, so it is none of polypatch's errors."""
