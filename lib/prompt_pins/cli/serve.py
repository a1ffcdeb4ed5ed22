"""A small web server for the pages of runs, on this machine only.  It writes nothing but answers of runs by eye.

Standard library only.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import re
import secrets
import sys
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, PinError, StoreError

if TYPE_CHECKING:
    from ..store import RunFolder

HOST = "127.0.0.1"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".jsonl": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
SHOWN = re.compile(r"\d{8,}|analysis")  # folders of runs, and of analyses
EYE = re.compile(r"/(\d{8,12})/eye(?:/(|state\.json|answer))?")
MOST_BYTES = 2**20
"""Of an answer by eye."""
log = logging.getLogger(__name__)


def path_of(address: str) -> str:
    """The path that a request names; "" where its address is none, such as `http://[x/`."""
    try:
        return urllib.parse.urlsplit(address).path
    except ValueError:
        return ""


def find(root: Path, address: str) -> Path | None:
    """The file that an address names: `index.html`, or a file of a known kind below a run's folder; else None.

    Links that lead out of the root, hidden files and the journal's lock are not shown.
    """
    try:
        path = urllib.parse.unquote(path_of(address), errors="strict")
    except UnicodeDecodeError:
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
    path = path_of(address)
    if path.endswith("/") or find(root, path + "/") is None:
        return None
    return f"/{path.strip('/')}/" if path.strip("/") else "/"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD; POST for an answer by eye.  key: who sends one was shown its page by this server."""

    root: Path
    key: str
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

    def do_POST(self) -> None:
        """The answer to the question of a run by eye."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() and len(length) < 9 else MOST_BYTES + 1
        data = self.rfile.read(size) if size <= MOST_BYTES else b""
        if size > MOST_BYTES:
            self.close_connection = True  # the rest of it is not read
        name = self._eye("answer")
        folder = None if name is None else self._run(name)
        if self._strange() or not self._own():
            self._json(HTTPStatus.FORBIDDEN, "only this server's own pages may answer")
        elif size > MOST_BYTES:
            self._json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an answer has at most {MOST_BYTES} bytes")
        elif folder is None:
            self._json(HTTPStatus.NOT_FOUND, "there is no such run")
        else:
            self._json(*answered(folder, data))

    def _own(self) -> bool:
        """Whether a request comes of a page of this server: another site's cannot know the key, nor send the header."""
        from ..report.eye import KEY

        origin = self.headers.get("Origin", f"http://{self.headers.get('Host')}")
        known = secrets.compare_digest(self.headers.get(KEY, "").encode(), self.key.encode())
        plain = self.headers.get("Content-Type", "").partition(";")[0].strip() == "application/json"
        return known and plain and origin == f"http://{self.headers.get('Host')}"

    def _eye(self, what: str) -> str | None:
        """The run whose page by eye, or a part of it, is asked for."""
        found = EYE.fullmatch(path_of(self.path))
        return found[1] if found is not None and found[2] == what else None

    def _run(self, name: str) -> RunFolder | None:
        """A run by its number, where it has a journal that lies within it."""
        from ..store import RunFolder
        from ..store.files import inside
        from ..store.folder import has

        with contextlib.suppress(StoreError):
            if has(path := inside(self.root, name), "journal.jsonl"):
                return RunFolder(path)
        return None

    def _shown_by_eye(self, whole: bool) -> bool:
        """Send the page of a run by eye, or how it is; False for any other address."""
        found = EYE.fullmatch(path_of(self.path))
        folder = None if found is None or found[2] == "answer" else self._run(found[1])
        if found is None or folder is None:
            return False
        from ..report import eye

        if found[2] is None:
            self._moved(f"/{found[1]}/eye/")
            return True
        try:
            record = folder.record()
            text = json.dumps(eye.state(record)) if found[2] else eye.page(found[1], record, self.key)
        except PinError:
            return False
        self._send(HTTPStatus.OK, TYPES[".json" if found[2] else ".html"], text.encode(), whole)
        return True

    def _strange(self) -> bool:
        """Whether this machine is asked by another name: a page that rebinds its own."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        return host not in ("127.0.0.1", "localhost")

    def _answer(self, whole: bool) -> None:
        if self._strange():
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        if self._shown_by_eye(whole):
            return
        moved = folder_address(self.root, self.path)
        if moved is not None:
            self._moved(moved)
            return
        found = find(self.root, self.path)
        try:
            data = found.read_bytes() if found is not None else None
        except OSError:
            data = None
        if found is None or data is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._send(HTTPStatus.OK, TYPES[found.suffix.lower()], data, whole)

    def _moved(self, address: str) -> None:
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, status: HTTPStatus, said: str) -> None:
        self._send(status, TYPES[".json"], json.dumps({"detail": said}).encode(), True)

    def _send(self, status: HTTPStatus, kind: str, data: bytes, whole: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "frame-ancestors 'self'")
        self.end_headers()
        if whole:
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """To the log, not to the terminal."""
        log.info(format, *args)


def answered(folder: RunFolder, data: bytes) -> tuple[HTTPStatus, str]:
    """Take the body of a request for the answer to a run's question: the status, and what is said."""
    from ..report.eye import taken
    from ..store.framing import load

    try:
        return (HTTPStatus.OK, taken(folder, load(data)))
    except OptionError as error:
        return HTTPStatus.UNPROCESSABLE_ENTITY, str(error)
    except ValueError as error:
        return HTTPStatus.UNPROCESSABLE_ENTITY, f"the answer {error}"
    except PinError as error:
        return HTTPStatus.CONFLICT, str(error)


class _Server(http.server.ThreadingHTTPServer):
    """Each connection on a thread of its own."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that its other end has dropped is no news; anything else goes to the log."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            log.exception("a request of %s failed", client_address)


def make_server(root: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server of the runs below `root`, on this machine only; port 0: any that is free.  Raises OSError."""
    handler = type("Handler", (_Handler,), {"root": root, "key": secrets.token_urlsafe(24)})
    return _Server((HOST, port), handler)
