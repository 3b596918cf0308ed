"""The errors of the domain. ``api.problems`` gives each its status; messages are for the user.

A message names the thing, what was expected, what was got, and what to do.
"""

from app.core.vouched import Vouched


class SfumatoError(Exception):
    """Base of all errors that a user may see."""


class NotFound(SfumatoError):
    """A project, slice, mask, lease, job or model that is not there."""


class ProjectAmbiguous(SfumatoError):
    """No project was named and there is not exactly one."""


class AlreadyExists(SfumatoError):
    """Something of that name is there already, with other content."""


class ProjectArchived(SfumatoError):
    """A project that is only read: nobody changes it until it is brought back."""


class Removed(SfumatoError):
    """What was kept for some days alone, and has gone since."""


class TransferUnderWay(SfumatoError):
    """Something that has to wait until an import has ended."""


class InvalidInput(SfumatoError):
    """A value that cannot be right."""


class UnknownName(InvalidInput):
    """A measure, strategy, layout or network that nobody has registered."""


class CannotLoad(InvalidInput):
    """Something that is registered, but that cannot be used here."""


class NotAuthenticated(SfumatoError):
    """No token, or one that is unknown or revoked."""


class ProviderRefused(NotAuthenticated):
    """Whoever comes from the provider of sign-ins is not let in. ``why``: see ``BackToSignIn``.

    ``who``: whom the provider vouched for, if it did; for the audit trail and the log.
    """

    def __init__(self, why: str, message: str, who: Vouched | None = None) -> None:
        super().__init__(message)
        self.why = why
        self.who = who


class ProviderAway(SfumatoError):
    """The provider of sign-ins cannot be reached, or answers what it must not."""


class BackToSignIn(SfumatoError):
    """Shown by the page, to which a browser is sent back. ``why``: a word that the page knows."""

    def __init__(self, why: str) -> None:
        super().__init__(f"signing in failed: {why}")
        self.why = why


class NotAllowed(SfumatoError):
    """The account's role or identity does not permit this."""


class TooManyRequests(SfumatoError):
    """More than one account or address may ask for. ``seconds``: when it may ask again."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class LeaseLost(SfumatoError):
    """The lease has expired, was ended, or the slice was handed on."""


class BodyTooLarge(SfumatoError):
    """More bytes than the installation accepts."""


class BodyTooManyPixels(BodyTooLarge):
    """An image whose header promises more pixels than the installation decodes."""


class ImageUnreadable(SfumatoError):
    """Bytes that are not a whole image."""


class ImageNotGreyscale(SfumatoError):
    """A readable image of the wrong kind."""


class SliceIncomplete(SfumatoError):
    """A mask of a slice that lacks some of its channels: nobody has seen all of it."""


class MaskShapeMismatch(SfumatoError):
    """A mask of another size than its slice."""


class ClassUnknown(SfumatoError):
    """A mask with an index that the project has no class for."""


class NothingLabelled(SfumatoError):
    """Training was asked for and there is nothing to train on."""


class NothingScored(SfumatoError):
    """A batch was to be chosen and no slice has a score to choose by."""


class JobFinished(SfumatoError):
    """The job has ended and cannot be changed any more."""


class VolumeInvalid(SfumatoError):
    """A file of a data set that cannot be imported as it is."""


class DataFolderHeld(SfumatoError):
    """Another instance works on the data folder."""


class PortInUse(SfumatoError):
    """Another program listens on the port."""


class BackupInvalid(SfumatoError):
    """A file that is no backup, is damaged or not whole, or is of a newer version."""


class SchemaTooOld(SfumatoError):
    """The database lacks what this program's version needs of it."""


class NotEmpty(SfumatoError):
    """An installation that holds something, where an empty one is asked for."""
