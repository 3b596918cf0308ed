"""A phantom: synthetic cases in the Decathlon layout, for the demo and the tests.

Honest in its name: nothing here is anatomy. It has what makes the real task hard: lesions that
are rare, small and irregular, most slices without any, look-alikes that are no lesions, and a
bias field, a texture and a noise that differ by case.
"""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from app.core.pixels import encode

Volume = npt.NDArray[np.float64]


def write_phantom(folder: Path, cases: int, slices: int, size: int, seed: int) -> None:
    """Write seeded cases of ``slices`` × ``size`` × ``size`` as 12-bit NIfTI with masks."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    pairs = []
    for number in range(cases):
        image, mask = phantom_case(slices, size, np.random.default_rng([seed, number]))
        name = f"phantom_{number:03d}.nii.gz"
        for part, stack in (("imagesTr", image), ("labelsTr", mask)):
            # Stored as (X, Y, Z) towards left, back and top: the axial view shows it as drawn.
            voxels = nib.Nifti1Image(stack.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))
            nib.save(voxels, folder / part / name)
        pairs.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    description = {
        "name": "Phantom",
        "description": f"synthetic, seed {seed}: no anatomy, no patient",
        "modality": {"0": "synthetic"},
        "labels": {"0": "background", "1": "lesion"},
        "numTraining": cases,
        "training": pairs,
        "test": [],
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=1))


def write_phantom_pictures(folder: Path, cases: int, slices: int, size: int, seed: int) -> None:
    """Write the same cases as PNG: images/CASE/INDEX.png with masks/CASE/INDEX.png."""
    for number in range(cases):
        image, mask = phantom_case(slices, size, np.random.default_rng([seed, number]))
        for part, stack in (("images", image), ("masks", mask)):
            case = folder / part / f"phantom_{number:03d}"
            case.mkdir(parents=True, exist_ok=True)
            for index, pixels in enumerate(stack):
                (case / f"{index:03d}.png").write_bytes(encode(pixels))


def phantom_case(
    slices: int, size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """One case: image (D, H, W) of 12 bits, and its lesions (D, H, W) as 0 and 1."""
    shape = (slices, size, size)
    body = _body(shape, rng)
    tissue = _tissue(shape, rng)
    lesions = np.zeros(shape, dtype=bool)
    for _ in range(rng.integers(1, 4)):
        lesions |= _blob(body, rng, radius=rng.uniform(0.1, 0.18) * size)
    lookalikes = np.zeros(shape, dtype=bool)
    for _ in range(rng.integers(2, 5)):
        lookalikes |= _blob(body, rng, radius=rng.uniform(0.06, 0.12) * size)
    lookalikes &= ~ndimage.binary_dilation(lesions, iterations=2)

    # A lesion is bright with a ragged texture, a look-alike as bright but smooth.
    contrast = rng.uniform(0.25, 0.45)
    ragged = contrast * (1 + 0.5 * _noise(shape, 1.0, rng))
    image = body * (0.45 + 0.12 * tissue)
    image += np.where(lesions, ragged, 0) + np.where(lookalikes, contrast, 0)
    image = ndimage.gaussian_filter(image, (0.3, 0.6, 0.6))
    bias = 1 + rng.uniform(0.1, 0.3) * _noise(shape, size / 3, rng)
    image = image * bias + rng.uniform(0.02, 0.05) * rng.standard_normal(shape)
    scaled = image * rng.uniform(1500, 2500) + 100
    return scaled.clip(0, 4095).astype(np.uint16), (lesions & (body > 0.5)).astype(np.uint8)


def _noise(shape: tuple[int, int, int], scale: float, rng: np.random.Generator) -> Volume:
    """Smooth noise of mean 0 and deviation 1, features ``scale`` pixels wide."""
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), (scale / 4, scale, scale))
    return np.asarray((smooth - smooth.mean()) / (smooth.std() + 1e-9))


def _tissue(shape: tuple[int, int, int], rng: np.random.Generator) -> Volume:
    """A texture of folds: two coarse noises against each other, and a fine one."""
    folds = np.sin(3 * _noise(shape, 6, rng)) + 0.5 * _noise(shape, 3, rng)
    return folds + 0.3 * _noise(shape, 1, rng)


def _body(shape: tuple[int, int, int], rng: np.random.Generator) -> Volume:
    """An ellipsoid that fills most of the volume, 1 inside and 0 outside, its rim uneven."""
    slices, size, _ = shape
    z, y, x = np.meshgrid(
        np.linspace(-1.1, 1.1, slices),
        *(np.linspace(-1.1, 1.1, size),) * 2,
        indexing="ij",
    )
    radii = rng.uniform(0.8, 1.0, 3)
    distance = (z / 1.15) ** 2 + (y / radii[1]) ** 2 + (x / radii[2]) ** 2
    inside = distance + 0.08 * _noise(shape, size / 8, rng) < 1
    return np.asarray(ndimage.gaussian_filter(inside.astype(np.float64), (0, 0.7, 0.7)))


def _blob(body: Volume, rng: np.random.Generator, radius: float) -> npt.NDArray[np.bool_]:
    """An irregular blob somewhere inside the body, flat along the slices."""
    shape = body.shape
    within_slices = np.ones((1, 3, 3), dtype=bool)
    inside = np.argwhere(ndimage.binary_erosion(body > 0.9, within_slices, iterations=2))
    centre = inside[rng.integers(len(inside))]
    z, y, x = np.indices(shape)
    depth = max(radius / 4, 1.0)
    stretch = rng.uniform(0.7, 1.3, 2)
    distance = np.sqrt(
        ((z - centre[0]) / depth) ** 2
        + ((y - centre[1]) / (radius * stretch[0])) ** 2
        + ((x - centre[2]) / (radius * stretch[1])) ** 2
    )
    ragged = distance + 0.25 * _noise((shape[0], shape[1], shape[2]), max(radius / 3, 1), rng)
    return np.asarray((ragged < 1) & (distance < 2))
