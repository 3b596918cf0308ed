"""What answering a slice takes an annotator: seconds by what there is to look at and to draw."""

from pathlib import Path

from pydantic import Field, ValidationError

from app.core.errors import InvalidInput
from app.core.plain import Strict
from app.core.project_settings import in_words


class Effort(Strict):
    """Seconds of an annotator, by the length of outline that is drawn.

    Lengths are in sides of the pixels that somebody draws on. The defaults are an assumption, not
    a measurement: a few seconds to look at a slice and to send it, and a pen that follows five
    pixels a second. Fit them to a project of your own where that matters.
    """

    slice_seconds: float = Field(5.0, ge=0, description="To look at a slice and to send it.")
    pixel_seconds: float = Field(0.2, ge=0, description="To draw a pixel's side of outline.")
    clear_seconds: float = Field(
        1.0, ge=0, description="To take a suggestion away, before drawing from nothing."
    )

    def seconds(self, outline: float, suggested: bool = False, to_change: float = 0.0) -> float:
        """Of one slice: correcting its suggestion, or drawing from nothing, whichever is less.

        ``outline``: of the mask that is wanted; ``suggested``: whether something is suggested at
        all; ``to_change``: outline of the suggestion that has to go or to come.
        """
        drawn = self.pixel_seconds * outline
        if suggested:
            drawn = min(self.pixel_seconds * to_change, self.clear_seconds + drawn)
        return self.slice_seconds + drawn


def read_effort(path: Path) -> Effort:
    """Seconds from a JSON file. Raises ``InvalidInput``, naming the file."""
    try:
        return Effort.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise InvalidInput(f"{path} holds no seconds of an annotator: {in_words(error)}") from error
