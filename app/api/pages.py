"""The web pages: one built application, served under the addresses of its three parts."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Put there by `make web`, or shipped in the package.
BUILT = Path(__file__).parent.parent / "web"

router = APIRouter(include_in_schema=False)

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


_HEADERS = {
    # Nothing from elsewhere, no inline script, nobody frames us. Pictures are drawn from bytes.
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; worker-src 'self'; "
    b"manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
}


class SecurityHeaders:
    """ASGI middleware: what a browser may do with our replies."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).extend(_HEADERS.items())
            await send(message)

        await self.app(scope, receive, send_with_headers)
