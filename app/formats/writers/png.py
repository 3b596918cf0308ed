"""Pictures: images/CASE/INDEX.png, masks/CASE/INDEX.png of class indices, sfumato.json.

Images are the integers that are stored; sfumato.json has the way from these to values. A slice
that nobody has drawn has no file among the masks.
"""

from collections.abc import Sequence

from app.formats.descriptions import OwnDescription, rescale_of
from app.formats.pictures_out import picture_name, write_pictures
from app.formats.writer import About, ExportedCase, OpenFormat, Reading, Target, Writer


class Pictures:
    """A picture a slice; no place in space."""

    words = "Pictures: images/CASE/INDEX.png, masks/CASE/INDEX.png, sfumato.json"
    images = True

    def open(self, target: Target, about: About) -> OpenFormat:
        """Begin a data set."""
        return _Pictures(target, about)


class _Pictures:
    def __init__(self, target: Target, about: About) -> None:
        self._target, self._about = target, about
        self._description = OwnDescription(about, "png")

    def add(self, case: ExportedCase) -> Sequence[str]:
        write_pictures(case, self._target, self._about)
        self._write(case, case.labels, ("masks",))
        for one in case.readings[1:]:
            self._write(case, one, ("readings", str(one.reader)))
        labelled = [case.indices[n] for n in case.labels.labelled]
        geometry = case.geometry.to_list() if case.geometry else None
        self._description.add(
            case,
            {
                "labelled": labelled,
                "affine": geometry,
                "rescale": rescale_of(case, self._about),
            },
        )
        return ()

    def _write(self, case: ExportedCase, reading: Reading, folder: tuple[str, ...]) -> None:
        for slice_ in reading.labelled:
            path = self._target.path(*folder, case.name, picture_name(case.indices[slice_]))
            path.write_bytes(reading.pngs[slice_] or b"")

    def close(self) -> Sequence[str]:
        self._description.write(self._target.path("sfumato.json"))
        return ()


WRITER: Writer = Pictures()
