"""The web pages: one built application, served under the addresses of its three parts."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from app.api.limits import Router

# Put there by `make web`, or shipped in the package.
BUILT = Path(__file__).parent.parent / "web"

router = Router(include_in_schema=False)

_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sfumato</title>
<p>The pages are not built here: run <code>make web</code> in the checkout and reload.
The HTTP interface works without them: see <a href="/openapi.json">/openapi.json</a>.</p></html>
"""


@router.get("/")
@router.get("/review")
@router.get("/dashboard")
def page() -> Response:
    """The application; which of its parts is shown, its script reads from the address."""
    index = BUILT / "index.html"
    if not index.is_file():
        return HTMLResponse(_NOT_BUILT, status_code=503)
    # Names of scripts change with their content, so only this file must be asked for anew.
    return FileResponse(index, headers={"Cache-Control": "no-cache"})


def mount_assets(app: FastAPI) -> None:
    """Serve the scripts and styles that the page names."""
    app.mount("/assets", StaticFiles(directory=BUILT / "assets", check_dir=False))
