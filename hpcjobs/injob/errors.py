"""What can be wrong with checkpoints.

CheckpointError
+-- Superseded   a newer attempt has the folder: this one may write nothing more
+-- Torn         a checkpoint is not what its manifest says, or has none
+-- Busy         others changed the folder's state again and again; try once more

A full disk is an OSError, as anywhere.
"""

from __future__ import annotations


class CheckpointError(Exception):
    """A checkpoint was not made or cannot be used; older ones are as they were."""


class Superseded(CheckpointError):
    """A newer attempt has the folder."""


class Torn(CheckpointError):
    """What is there is not what the manifest says."""


class Busy(CheckpointError):
    """The state changed each time that it was to be written."""
