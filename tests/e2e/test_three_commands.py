"""The README: three commands from a DICOM folder to a segmentation, and a mask between them."""

import re
import shlex
import subprocess
from pathlib import Path

import highdicom
import httpx
import numpy as np
import pydicom

from tests.conftest import png_of
from tests.dicom_files import ct_series, new_uid
from tests.e2e.test_readme import README, environment, free_port, start, stop

(COMMANDS,) = re.findall(
    r"^```sh\n(sfumato import dicom .*?)^```", README, re.DOTALL | re.MULTILINE
)


def test_a_dicom_folder_becomes_a_segmentation_of_its_series(tmp_path):
    study = new_uid()
    series = f"{study}.1"
    folder, out = tmp_path / "FOLDER" / "anybody", tmp_path / "DIR"
    folder.mkdir(parents=True)
    for uid, content in ct_series(study, series).items():
        (folder / f"{uid}.dcm").write_bytes(content)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    sfumato = f"{shlex.quote(str(Path(__file__).parents[2] / '.venv/bin/sfumato'))}"
    import_, up, export = (
        line.replace("sfumato", sfumato, 1) for line in COMMANDS.strip().splitlines()
    )

    def run(command: str) -> str:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    assert "1 cases: 4 new slices" in run(import_)
    service = start(f"{up} --port {port} --workers 0", tmp_path, url)
    try:
        token = (tmp_path / "sfumato-data" / "admin.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            batch = client.get("/query/next", params={"project": "liver", "size": 1}).json()
            (item,) = batch["items"]
            mask = np.zeros((8, 6), dtype=np.uint8)
            mask[2:5, 1:4] = 1
            sent = client.post(f"/slices/{item['slice']}/masks", content=png_of(mask))
            assert sent.status_code == 201, sent.text
    finally:
        stop(service)
    run(export)
    (path,) = out.glob("segmentations/*.dcm")
    segmentation = highdicom.seg.segread(path)
    assert str(segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID) == series
    assert not str(pydicom.dcmread(path).PatientName)
    original = f"{series}.{item['index'] + 1}"
    found = segmentation.get_pixels_by_source_instance([original], combine_segments=True)
    np.testing.assert_array_equal(found[0], mask)
