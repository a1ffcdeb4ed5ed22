"""Asks one WebUI over HTTP.  Imports httpx2; nothing here logs a login, and no message holds one."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2

from ..errors import HostError, OptionError, shorten
from .answers import WorkerFault

CONNECT, READ = 10.0, 60.0
"""Seconds; an image is waited for as long as the pool's patience says."""
RETRIES, REST = 3, 0.5
"""Of questions that can be asked again, and the seconds before the second try: twice as long before each other one."""


class Client:
    """One WebUI.

    url: http://box:7860, or with a path.  auth: (user, password), () without; a login within the URL goes before it.
    Raises `OptionError` for what is no such URL.
    """

    def __init__(self, url: str, auth: tuple[str, ...] = ()) -> None:
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError as error:
            raise OptionError("webui", "an address", f"such as http://box1:7860 ({error})") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OptionError("webui", without_login(url), "an address such as http://box1:7860")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        if parts.username is not None:
            auth = (unquote(parts.username), unquote(parts.password or ""))
        self.name = f"{host}{port}{parts.path.rstrip('/')}"
        self.url = f"{parts.scheme}://{self.name}"
        timeout = httpx2.Timeout(READ, connect=CONNECT)
        self._http = httpx2.Client(
            base_url=self.url, auth=httpx2.BasicAuth(*auth) if auth else None, timeout=timeout, trust_env=False
        )

    def get(self, path: str, default: Any = None) -> Any:
        """The JSON of a path; `default` where the WebUI has no such path.

        Raises `WorkerFault`, and `OptionError` where it refuses the login.
        """
        for turn in range(RETRIES):
            try:
                return self._asked("GET", path, None, READ, default)
            except WorkerFault:
                if turn == RETRIES - 1:
                    raise
                time.sleep(REST * 2**turn)
        raise AssertionError

    def post(self, path: str, body: Any, patient: bool = False) -> Any:
        """The JSON of an answer, asked for once.  patient: however long it takes.

        Raises `HostError` where the WebUI says that it cannot, `WorkerFault`.
        """
        return self._asked("POST", path, body, None if patient else READ, None)

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def _asked(self, method: str, path: str, body: Any, read: float | None, default: Any) -> Any:
        try:
            timeout = httpx2.Timeout(read, connect=CONNECT)
            answer = self._http.request(method, path, json=body, timeout=timeout)
        except httpx2.TimeoutException as error:
            raise WorkerFault("it cannot be reached (it does not answer)") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, RuntimeError) as error:  # RuntimeError: closed
            raise WorkerFault(f"it cannot be reached ({shorten(str(error) or type(error).__name__)[1:-1]})") from error
        if answer.status_code in (401, 403):
            raise OptionError(
                "webui_auth", f"the login for {self.url}", "one that this WebUI accepts, as user:password"
            )
        if answer.status_code == 404 and method == "GET":
            return default
        try:
            found = answer.json()
        except ValueError as error:
            raise WorkerFault(f"it answered {answer.status_code} and no JSON") from error
        if answer.status_code >= 400:
            raise HostError(f"the WebUI could not render: {said(found) or answer.status_code}")
        return found


def said(answer: Any) -> str:
    """What a WebUI says of a fault, in one line."""
    if not isinstance(answer, dict):
        return ""
    words = [str(answer[key]) for key in ("error", "errors", "detail") if answer.get(key)]
    line = " ".join(": ".join(words).split())
    return line if len(line) <= 300 else line[:299] + "…"


def login(text: str) -> tuple[str, ...]:
    """`user:password`; () for "".  Raises `OptionError`, whose message does not hold it."""
    if not text:
        return ()
    user, colon, password = text.partition(":")
    if not colon or not user:
        raise OptionError("webui_auth", "what was given", "user:password")
    return user, password


def without_login(url: str) -> str:
    """An address as it may be shown."""
    scheme, mark, rest = url.rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
