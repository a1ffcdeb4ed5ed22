"""A small web server for the pages of runs: this machine only, read only.  Standard library only."""

from __future__ import annotations

import http.server
import logging
import re
import sys
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".jsonl": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
SHOWN = re.compile(r"\d{8,}|analysis")  # folders of runs, and of analyses
log = logging.getLogger(__name__)


def find(root: Path, address: str) -> Path | None:
    """The file that an address names: `index.html`, or a file of a known kind below a run's folder; else None.

    Links that lead out of the root, hidden files and the journal's lock are not shown.
    """
    try:
        path = urllib.parse.unquote(urllib.parse.urlsplit(address).path, errors="strict")
    except (ValueError, UnicodeDecodeError):
        return None
    parts = [part for part in path.split("/") if part]
    if path.endswith("/"):
        parts.append("index.html")
    if any(part.startswith(".") or "\\" in part or ":" in part or "\0" in part for part in parts):
        return None
    if not parts or (len(parts) > 1 and not SHOWN.fullmatch(parts[0])) or (len(parts) == 1 and parts != ["index.html"]):
        return None
    base = root.resolve()
    try:
        found = base.joinpath(*parts).resolve()
        fine = found.is_relative_to(base) and found.suffix.lower() in TYPES and found.is_file()
    except (OSError, ValueError, RuntimeError):  # such as a name that is too long
        return None
    return found if fine else None


def folder_address(root: Path, address: str) -> str | None:
    """The address of a folder's page, where `address` is that of the folder without the slash at its end."""
    path = urllib.parse.urlsplit(address).path
    if path.endswith("/") or find(root, path + "/") is None:
        return None
    return "/" + path.strip("/") + "/"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    root: Path
    server_version = "prompt-pins"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """A file, or 404."""
        self._answer(True)

    def do_HEAD(self) -> None:
        """The same without the file."""
        self._answer(False)

    def _answer(self, whole: bool) -> None:
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in ("127.0.0.1", "localhost"):  # another name for this machine is a page that rebinds its own
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        moved = folder_address(self.root, self.path)
        if moved is not None:
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", moved)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        found = find(self.root, self.path)
        try:
            data = found.read_bytes() if found is not None else None
        except OSError:
            data = None
        if found is None or data is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", TYPES[found.suffix.lower()])
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if whole:
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """To the log, not to the terminal."""
        log.info(format, *args)


class _Server(http.server.ThreadingHTTPServer):
    """Each connection on a thread of its own."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that its other end has dropped is no news; anything else goes to the log."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            log.exception("a request of %s failed", client_address)


def make_server(root: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server of the runs below `root`, on this machine only; port 0: any that is free.  Raises OSError."""
    handler = type("Handler", (_Handler,), {"root": root})
    return _Server((HOST, port), handler)
