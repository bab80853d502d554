"""What can go wrong with a registry or an artifact, named by what the receiver does next.

VersioningError
├── RegistryUnavailableError  keep what is served, try again later
├── NotFoundError             the caller named a model, version or alias that is not there
├── ConflictError             the roles changed meanwhile: read them again and decide again
├── ArtifactError             these files cannot be used (missing, corrupt, digest changed): keep the old version
└── ForbiddenModelError       the trust policy refuses this model: keep the old version; the message names the setting
"""


class VersioningError(Exception):
    """Root of this package's errors."""


class RegistryUnavailableError(VersioningError):
    """The registry did not answer in time or answered with a fault of its own."""


class NotFoundError(VersioningError):
    """No such model, version or alias."""


class ConflictError(VersioningError):
    """The roles are no longer what the caller saw."""


class ArtifactError(VersioningError):
    """A model's files are missing, corrupt, or not those seen first under this version."""


class ForbiddenModelError(VersioningError):
    """The trust policy does not allow this model to be loaded."""
