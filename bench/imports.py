"""Times imports, as ratios within one run: against only reading and packing the same slices, and
what annotators notice while a large CT comes in.

    python bench/imports.py [FOLDER OF A DECATHLON TASK]
"""

import io
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
from PIL import Image

SFUMATO = [sys.executable, "-m", "app.cli"]


def plain_seconds(task: Path) -> float:
    """Read with nibabel and pack every slice as PNG: what no import can do without."""
    began = time.perf_counter()
    for folder in ("imagesTr", "labelsTr"):
        for path in sorted((task / folder).glob("*.nii.gz")):
            voxels = np.asanyarray(nib.load(path).dataobj)
            for n in range(voxels.shape[2]):
                plane = np.ascontiguousarray(voxels[:, :, n])
                plane = plane.astype(np.uint8) if folder == "labelsTr" else plane
                Image.fromarray(plane).save(io.BytesIO(), format="PNG")
    return time.perf_counter() - began


def import_seconds(task: Path, data: Path) -> float:
    """The same folder by `sfumato import`, its start included."""
    command = [*SFUMATO, "import", "msd", str(task), "--project", "p", "--with-masks", "pool"]
    began = time.perf_counter()
    subprocess.run([*command, "--data", str(data)], check=True, capture_output=True)
    return time.perf_counter() - began


def write_ct(path: Path, size: int, slices: int) -> None:
    """Noise of 12 bits over a smooth body."""
    rng = np.random.default_rng(0)
    body = np.hypot(*np.meshgrid(*[np.linspace(-1, 1, size)] * 2)) < 0.8
    voxels = np.empty((size, size, slices), dtype=np.int16)
    for n in range(slices):
        voxels[..., n] = body * 1000 - 1000 + rng.integers(0, 4096, (size, size)) // 8
    nib.save(nib.Nifti1Image(voxels, np.diag([0.7, 0.7, 1.5, 1.0])), path)


@contextmanager
def running(data: Path):
    """An embedded service; its address."""
    command = [*SFUMATO, "up", "--data", str(data), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as service:
        try:
            for line in service.stdout:
                if line.startswith(b"ready "):
                    yield line.split()[1].decode()
                    break
        finally:
            service.terminate()


class Annotator(threading.Thread):
    """Takes slices and posts masks until told to stop; keeps the seconds of each post."""

    def __init__(self, url: str, token: str, size: int) -> None:
        super().__init__(daemon=True)
        self.seconds: list[tuple[float, float]] = []
        self.failures: list[str] = []
        self.over = threading.Event()
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=url, headers=headers, timeout=60)
        self.size = size

    def run(self) -> None:
        """Work."""
        while not self.over.wait(0.2):
            taken = self.client.get("/query/next", params={"project": "desk"}).json()
            for item in taken.get("items", []):
                mask = io.BytesIO()
                pixels = np.zeros((self.size, self.size), dtype=np.uint8)
                pixels[: secrets.randbelow(self.size), :] = 1
                Image.fromarray(pixels).save(mask, format="PNG")
                began = time.perf_counter()
                reply = self.client.post(f"/slices/{item['slice']}/masks", content=mask.getvalue())
                self.seconds.append((began, time.perf_counter() - began))
                if reply.status_code != 201:
                    self.failures.append(reply.text)


def beside_an_import(folder: Path, size: int = 512, slices: int = 300) -> None:
    """The slowest mask of two annotators before and during the import of a CT."""
    (folder / "ct").mkdir()
    write_ct(folder / "ct" / "ct.nii.gz", size, slices)
    data = folder / "service"
    with running(data) as url:
        admin = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {(data / 'admin.token').read_text().strip()}"},
        )
        made = {"name": "desk", "classes": ["background", "target"], "query": {"size": 5000}}
        admin.post("/projects", json=made).raise_for_status()
        rng = np.random.default_rng(1)
        for n in range(1200):
            picture = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(picture, "PNG")
            where = {"case": f"c{n % 20}", "index": n // 20}
            admin.post(
                "/projects/desk/slices", params=where, content=picture.getvalue()
            ).raise_for_status()
        people, where = [], ["--data", str(data)]
        for name in ("ann", "bob"):
            made = subprocess.run(
                [*SFUMATO, "token", "create", "--role", "annotator", "--name", name, *where],
                check=True,
                capture_output=True,
                text=True,
            )
            people.append(Annotator(url, made.stdout.split()[-1], 64))
        for one in people:
            one.start()
        time.sleep(15)
        began = time.perf_counter()
        command = [*SFUMATO, "import", "nifti", str(folder / "ct"), "--project", "ct"]
        subprocess.run([*command, "--data", str(data)], check=True, capture_output=True)
        ended = time.perf_counter()
        for one in people:
            one.over.set()
            one.join()
        posts = [post for one in people for post in one.seconds]
        before = [seconds for at, seconds in posts if at < began]
        during = [seconds for at, seconds in posts if began <= at < ended]
        failures = [failure for one in people for failure in one.failures]
    print(
        f"a CT of {size} × {size} × {slices} took {ended - began:.1f} s; meanwhile "
        f"{len(during)} masks, {len(failures)} refused; slowest {max(during) * 1000:.0f} ms, "
        f"before {max(before) * 1000:.0f} (× {max(during) / max(before):.1f}); medians "
        f"{statistics.median(during) * 1000:.0f} and {statistics.median(before) * 1000:.0f} ms"
    )
    for failure in failures[:3]:
        print("  refused:", failure[:200])


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if len(sys.argv) > 1:
            task = Path(sys.argv[1])
        else:
            task = folder / "phantom"
            phantom = [*SFUMATO, "phantom", str(task), "--cases", "40", "--slices", "40"]
            subprocess.run([*phantom, "--size", "128"], check=True, capture_output=True)
        pairs = [(plain_seconds(task), import_seconds(task, folder / f"d{n}")) for n in range(3)]
        ratios = [imported / plain for plain, imported in pairs]
        print(
            f"import against only reading and packing: × {statistics.median(ratios):.2f} "
            f"({', '.join(f'{i:.2f} / {p:.2f} s' for p, i in pairs)})",
            flush=True,
        )
        beside_an_import(folder)


if __name__ == "__main__":
    main()
