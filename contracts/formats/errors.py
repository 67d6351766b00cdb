"""What can be wrong with bytes that claim to be of a Causeway format.

::

    FormatError
    ├── ManifestBroken        a manifest or headers line that no writer of docs/formats.md makes
    ├── ArchiveMismatch       a file that is not as long as its manifest says
    ├── SealBroken            a sealed pack that is cut, altered or reordered
    │   └── CommitmentMismatch    the object key is not the one it was sealed with
    └── KeyProblem            a key file or key record that cannot be used
        ├── KeyMissing        it is not there
        └── KeyRefused        it is there, but does not open what it should

``reason`` is a fixed code of docs/formats.md, never text from the input, because it reaches logs and dead letters.
"""


class FormatError(Exception):
    """The root of the tree. ``reason`` is a code such as ``sealed-truncated``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ManifestBroken(FormatError):
    """A manifest or a headers line is not as docs/formats.md demands."""


class ArchiveMismatch(FormatError):
    """The bytes given for an entry are not those the manifest describes."""


class SealBroken(FormatError):
    """A sealed pack is not, byte for byte, what was sealed."""


class CommitmentMismatch(SealBroken):
    """The object key is not the one that the header commits to."""


class KeyProblem(FormatError):
    """A key cannot be used."""


class KeyMissing(KeyProblem):
    """The key is not there."""


class KeyRefused(KeyProblem):
    """The key is not what it should be, or does not open what it is asked to open."""
