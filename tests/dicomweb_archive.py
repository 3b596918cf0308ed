"""A DICOMweb server of tests that can be told to fail."""

import json
import re
import ssl
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.dicom_files import ct_series

STUDY = "1.2.3"
SECRET = "Mustermann"


class Archive:
    """A server that can be told to fail. ``fault(path, times asked)`` → a status, or "cut"."""

    def __init__(self):
        self.series = {f"1.2.3.{n}": ct_series(STUDY, f"1.2.3.{n}") for n in (1, 2)}
        self.fault = lambda path, times: None
        self.found = None
        self.listed = None
        self.repeats = 1
        self.page = 1000
        self.asked = Counter()
        self.authorized = None
        self.headers = {}

    def answer(self, path, query, headers):
        """(status, headers, body, whether the connection is cut before its end)."""
        self.asked[path] += 1
        fault = self.fault(path, self.asked[path])
        if self.authorized and headers.get("Authorization") != self.authorized:
            fault = 401
        if isinstance(fault, int):
            return fault, self.headers, SECRET.encode(), False
        if self.found is not None and path.endswith("/series"):
            body = self.found
        elif found := re.fullmatch(r"(?:/studies/[^/]+)?/series", path):
            body = [
                {"0020000D": {"vr": "UI", "Value": [STUDY]}, "0020000E": {"Value": [series]}}
                for series in self.series
                if query.get("SeriesInstanceUID", [series]) == [series]
            ]
        elif found := re.fullmatch(r"/studies/[^/]+/series/([^/]+)/instances", path):
            listed = self.listed or self.series[found[1]]
            body = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in listed]
        else:
            found = re.fullmatch(r"/studies/[^/]+/series/([^/]+)(?:/instances/(.+))?", path)
            files = self.series[found[1]]
            if found[2] and found[2] not in files:
                return 404, {}, b"", False
            sent = [files[found[2]]] if found[2] else list(files.values()) * self.repeats
            parts = [b"\r\n--x\r\nContent-Type: application/dicom\r\n\r\n" + f for f in sent]
            kind = 'multipart/related; type="application/dicom"; boundary=x'
            body = b"".join(parts) + b"\r\n--x--"
            return 200, {"Content-Type": kind}, body, fault == "cut"
        if fault == "page":
            return 200, {"Content-Type": "text/html"}, b"<h1>hello</h1>", False
        offset = int(query.get("offset", ["0"])[0])
        shown = body[offset : offset + self.page] if isinstance(body, list) else body
        content = json.dumps(shown).encode()
        return 200, {"Content-Type": "application/dicom+json"}, content, False


@contextmanager
def serving(archive, certificate=None):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            status, headers, body, cut = archive.answer(parts.path, query, self.headers)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
