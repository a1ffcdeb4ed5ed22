"""`/prompt-pins/v1/…`: runs as JSON and their report's files, behind the host's own authentication."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import secrets
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import Response
from modules import shared

from ..errors import OptionError, PinError
from ..report import eye
from ..report.compared import comparison_page
from ..report.summary import summarised
from ..store import Record, RunFolder
from ..store.framing import load
from ..words import compare as comparing
from . import compat
from .declared import shown
from .library import SORTS, STATES, TASKS, Library
from .outlook import outlook

PREFIX = "/prompt-pins/v1"
INDEX = "index.html"
PAGE_KEY = secrets.token_urlsafe(24)
PAGE_COOKIE = "prompt-pins-page"
"""The page gives its visitors this key, so that who may see the page may see the runs, with --api-auth, too."""
EYE_KEY = secrets.token_urlsafe(24)
"""Answers by eye carry it: another site's page, which the same browser would log in, cannot know it."""
SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


def library() -> Library:
    """The runs of this host, where its settings say now."""
    return Library(compat.runs_folders())


def add_routes(_: Any, app: FastAPI) -> None:
    """Called by the host with each new app."""

    def allowed(request: Request) -> None:
        if not is_authorised(request, app):
            raise HTTPException(401, "Incorrect username or password", headers={"WWW-Authenticate": "Basic"})

    guard = [Depends(allowed)]
    app.add_api_route(PREFIX + "/runs", list_runs, methods=["GET"], dependencies=guard)
    app.add_api_route(PREFIX + "/runs/{tab}/{name}", one_run, methods=["GET"], dependencies=guard)
    by_eye = PREFIX + "/runs/{tab}/{name}/" + eye.FOLDER
    app.add_api_route(by_eye + "/", eye_page, methods=["GET"], dependencies=guard)
    app.add_api_route(f"{by_eye}/{eye.STATE}", eye_state, methods=["GET"], dependencies=guard)
    app.add_api_route(f"{by_eye}/{eye.ANSWER}", eye_answer, methods=["POST"], dependencies=guard)
    app.add_api_route(PREFIX + "/runs/{tab}/{name}/{path:path}", run_file, methods=["GET"], dependencies=guard)
    pair = PREFIX + "/compare/{tab}/{name}/{other_tab}/{other}"
    app.add_api_route(pair, compare, methods=["GET"], dependencies=guard)
    app.add_api_route(pair + "/" + INDEX, compare_page, methods=["GET"], dependencies=guard)
    app.add_api_route(PREFIX + "/options", list_options, methods=["GET"], dependencies=guard)
    app.add_api_route(PREFIX + "/plan", plan, methods=["POST"], dependencies=guard)


def list_runs(search: str = "", state: str = STATES[0], sort: str = SORTS[0], task: str = TASKS[0]) -> dict[str, Any]:
    """Every run and analysis in a few lines."""
    _one_of("state", state, STATES)
    _one_of("sort", sort, SORTS)
    _one_of("task", task, TASKS)
    return {"runs": library().summaries(search, state, sort, task)}


def compare(tab: str, name: str, other_tab: str, other: str) -> dict[str, Any]:
    """Two analyses of one prompt, word by word."""
    return _compared(tab, name, other_tab, other)[0]


def compare_page(tab: str, name: str, other_tab: str, other: str) -> Response:
    """The same as a page."""
    value, before, after = _compared(tab, name, other_tab, other)
    up = "../../../../../runs/"
    places = [f"{up}{tab}/{before.path.name}/", f"{up}{other_tab}/{after.path.name}/"]
    page = comparison_page(value, before.path, after.path, places, f"{up}{other_tab}/{INDEX}")
    return Response(page, media_type="text/html", headers=SAFE)


def _compared(tab: str, name: str, other_tab: str, other: str) -> tuple[dict[str, Any], RunFolder, RunFolder]:
    runs = library()
    try:
        before, after = runs.find(tab, name), runs.find(other_tab, other)
    except PinError as error:
        raise HTTPException(404, str(error)) from error
    try:
        return comparing.compare(before, after).to_json(), before, after
    except PinError as error:
        raise HTTPException(422, str(error)) from error


def one_run(tab: str, name: str) -> Any:
    """One run's state; under the name `index.html`, the page of all runs to which their reports link."""
    try:
        runs = library()
        if name == INDEX:
            return _sent(runs.index(tab))
        return {**summarised(runs.find(tab, name)), "tab": tab}
    except PinError as error:
        raise HTTPException(404, str(error)) from error


def run_file(tab: str, name: str, path: str) -> Response:
    """A file of a run's report."""
    try:
        return _sent(library().file(tab, name, path or INDEX))
    except PinError as error:
        raise HTTPException(404, str(error)) from error


def eye_page(tab: str, name: str) -> Response:
    """The page on which a run is ranked by eye."""
    record = _record(tab, name)
    framed = {**SAFE, "Content-Security-Policy": "frame-ancestors 'self'"}
    return Response(eye.page(name, record, EYE_KEY), media_type="text/html", headers=framed)


def eye_state(tab: str, name: str) -> dict[str, Any]:
    """What that page looks at while it is open."""
    return eye.state(_record(tab, name))


def _record(tab: str, name: str) -> Record:
    try:
        return library().find(tab, name).record()
    except PinError as error:
        raise HTTPException(404, str(error)) from error


def _sent(path: Path) -> Response:
    """A file as it is now.  It is read at once: a running job's files grow while they are sent."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    try:
        return Response(path.read_bytes(), media_type=kind, headers=SAFE)
    except OSError as error:
        raise HTTPException(404, f"{path.name}: cannot be read") from error


def list_options() -> dict[str, Any]:
    """The script's options, in the order of its positional arguments."""
    return {
        "options": [
            {
                "name": option.name,
                "label": option.declaration.label,
                "kind": option.kind,
                "default": option.default,
                "help": option.tooltip,
            }
            for option in shown()
        ]
    }


async def _question(request: Request) -> dict[str, Any]:
    """The body of a request, read here: FastAPI's own refusals fail on some of what they quote."""
    try:
        asked = load(await request.body())
    except ValueError as error:
        raise HTTPException(422, f"the body of the request {error}") from None
    if not isinstance(asked, dict):
        raise HTTPException(422, "the body of the request is not a JSON object")
    return asked


def plan(question: dict = Depends(_question)) -> dict[str, str]:  # noqa: B008 (how FastAPI is told)
    """What a run would be, in words."""
    try:
        words, tree = outlook(question, library().pace)
        return {"words": words, "tree": tree}
    except PinError as error:
        raise HTTPException(422, str(error)) from error


def eye_answer(
    request: Request,
    tab: str,
    name: str,
    answer: dict = Depends(_question),  # noqa: B008 (how FastAPI is told)
) -> dict[str, str]:
    """Take the answer to a run's question.  Only a page of this host can send it."""
    if not secrets.compare_digest(request.headers.get(eye.KEY, "").encode(), EYE_KEY.encode()):
        raise HTTPException(403, "only this WebUI's own pages may answer")
    try:
        folder = library().find(tab, name)
    except PinError as error:
        raise HTTPException(404, str(error)) from error
    try:
        return {"detail": eye.taken(folder, answer)}
    except OptionError as error:
        raise HTTPException(422, str(error)) from error
    except PinError as error:
        raise HTTPException(409, str(error)) from error


def is_authorised(request: Request, app: Any) -> bool:
    """True if nobody has to log in, or if this client has: to the page (--gradio-auth) or the API (--api-auth).

    A page without a login is open to all, and its visitors to what it shows.
    """
    api_auth = getattr(shared.cmd_opts, "api_auth", None)
    page_auth = getattr(app, "auth", None)
    if not api_auth and not page_auth:
        return True
    if secrets.compare_digest(request.cookies.get(PAGE_COOKIE, "").encode(), PAGE_KEY.encode()):
        return True
    if page_auth:
        tokens = getattr(app, "tokens", None) or {}
        cookies = [value for name, value in request.cookies.items() if name.startswith("access-token")]
        if any(tokens.get(cookie) for cookie in cookies):
            return True
    return bool(api_auth) and _basic(request.headers.get("authorization", ""), str(api_auth))


def _basic(header: str, api_auth: str) -> bool:
    kind, _, code = header.partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        given = base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError):
        return False
    known = [pair.strip().encode() for pair in api_auth.split(",")]
    return any(secrets.compare_digest(given, pair) for pair in known)


def _one_of(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise HTTPException(422, f"{field}: {value!r} is not allowed; allowed: {', '.join(allowed)}")
