"""A real DICOM archive for tests: Debian's Orthanc with its DICOMweb plug-in, on loopback."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@contextmanager
def orthanc(folder: Path, **settings: Any) -> Iterator[str]:
    """Its address, with an empty store in ``folder``; skips the test where it is not installed."""
    command = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if command is None or not _PLUGIN.exists():
        pytest.skip("Orthanc is not installed (Debian: orthanc and orthanc-dicomweb)")
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wanted = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **settings,
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(wanted))
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen([command, str(configuration)], stdout=log, stderr=log)
    try:
        _wait(child, port, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(timeout=60)


def upload(url: str, files: dict[str, bytes], **options: Any) -> None:
    """Put files into the archive."""
    with httpx.Client(base_url=url, timeout=60, **options) as client:
        for content in files.values():
            client.post("/instances", content=content).raise_for_status()


def _wait(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until it listens."""
    for _ in range(600):
        if child.poll() is not None:
            pytest.fail(f"Orthanc ended: {log.read_text(errors='replace')[-2000:]}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("Orthanc does not listen")
