"""Which file holds the labels of what, where nobody may choose between two."""

from pathlib import Path
from typing import Generic, TypeVar

from app.core.errors import VolumeInvalid

Key = TypeVar("Key")


class LabelFiles(Generic[Key]):
    """Label maps or masks by what they are of; what has two is refused when it is asked for."""

    def __init__(self) -> None:
        self.first: dict[Key, Path] = {}
        self._second: dict[Key, Path] = {}

    def add(self, key: Key, path: Path) -> None:
        """Note a file."""
        if self.first.setdefault(key, path) != path:
            self._second.setdefault(key, path)

    def get(self, key: Key) -> Path | None:
        """The file, None where there is none. Raises ``VolumeInvalid`` where there are two."""
        if key in self._second:
            raise VolumeInvalid(
                f"{self.first[key]} and {self._second[key]} are both the labels of one image: "
                "keep the one that is right"
            )
        return self.first.get(key)
