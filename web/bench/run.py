"""Time three ways of drawing a slice without a GPU; prints a Markdown table (`make bench`)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
PORT = 5199
RIVALS = ("ours", "ours with uncertainty", "niivue", "cornerstone3d")
SIZES = (256, 1024)
# A machine without a GPU, and no waiting for a screen that is not there. WebGL runs in software.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-frame-rate-limit",
    "--disable-gpu-vsync",
]


def main() -> None:
    """Serve the page, let a browser measure, print."""
    vite = HERE.parent / "node_modules/.bin/vite"
    server = subprocess.Popen(
        [str(vite), "--port", str(PORT), "--strictPort", "--config", "vite.config.ts"],
        cwd=HERE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in server.stdout or ():
            if "Local:" in line:
                break
        print("| size | drawing | pen move | window drag | neighbour |")
        print("| ---: | --- | ---: | ---: | ---: |")
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or sys.exit("chromium is not installed")
            for size in SIZES:
                for rival in RIVALS:
                    browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
                    print(_row(browser.new_page(), size, rival), flush=True)
                    browser.close()
    finally:
        server.terminate()
        server.wait()


def _row(page, size: int, rival: str) -> str:
    page.goto(f"http://127.0.0.1:{PORT}/?rival={rival}&size={size}")
    page.wait_for_function(
        "() => document.title.startsWith('done') || document.title.startsWith('failed')",
        timeout=240_000,
    )
    state, _, rest = page.title().partition(" ")
    if state == "failed":
        return f"| {size} | {rival} | failed: {rest[:300]} |"
    found = json.loads(rest)
    cells = [
        "–" if found[part] is None else f"{found[part]:.1f} ms"
        for part in ("pen", "window", "neighbour")
    ]
    return f"| {size} | {rival} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
