"""NAME.image.npy (D, H, W) or (C, D, H, W) with NAME.mask.npy (D, H, W) in one folder."""

from pathlib import Path

import numpy as np

from sfumato import CaseFiles, CaseVolume, ChannelStack, DataSet, ReadOptions, VolumeInvalid


class NpyPairs:
    """Arrays of NumPy."""

    words = "NAME.image.npy with NAME.mask.npy"

    def read(self, folder: Path, options: ReadOptions) -> DataSet:
        """A case each pair."""
        paths = sorted(folder.glob("*.image.npy"))
        if not paths:
            raise VolumeInvalid(f"{folder} has no NAME.image.npy")
        cases = [
            CaseFiles(path.name.removesuffix(".image.npy"), lambda path=path: _case(path, options))
            for path in paths
        ]
        channels = 1 if np.load(paths[0], mmap_mode="r").ndim == 3 else len(np.load(paths[0]))
        names = ["image"] if channels == 1 else [f"channel-{n}" for n in range(channels)]
        return DataSet(cases, ["background", "target"], names)


def _case(path: Path, options: ReadOptions) -> CaseVolume:
    image = np.load(path)
    stacks = image[None] if image.ndim == 3 else image
    mask = path.with_name(path.name.replace(".image.", ".mask."))
    return CaseVolume(
        channels=tuple(ChannelStack(stack) for stack in stacks),
        classes=np.load(mask).astype(np.uint8) if options.masks else None,
    )


LAYOUT = NpyPairs()
