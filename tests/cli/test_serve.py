"""The web server of runs: what is in run folders and nothing else."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_pins.cli.main import main
from prompt_pins.cli.serve import find, make_server
from prompt_pins.errors import StoreError
from prompt_pins.store import Runs

from tests.patience import HUNG


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root") / "runs"
    for name in (
        "index.html",
        "00000001/index.html",
        "00000001/a b.png",
        "00000001/merged.txt",
        "analysis/00000000/index.html",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    for name in ("notes.html", "00000001/.hidden.html", "00000001/journal.lock", "other/index.html", "../secret.html"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("secret")
    (root / "00000001" / "out.html").symlink_to(root.parent / "secret.html")
    (root / "00000002").symlink_to(root.parent)
    (root / "00000003").symlink_to("00000003")
    return root


@pytest.fixture(scope="module")
def port(runs: Path) -> Iterator[int]:
    with make_server(runs, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, address: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HUNG)
    connection.putrequest(method, address, skip_host=True)
    for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.getheader("Content-Type", ""), answer.read()


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html?x=1", "text/html; charset=utf-8"),
        ("/00000001/", "text/html; charset=utf-8"),
        ("/00000001/a%20b.png", "image/png"),
        ("/analysis/00000000/index.html", "text/html; charset=utf-8"),
        ("/00000001/merged.txt", "text/plain; charset=utf-8"),
    ],
)
def test_what_is_shown(port: int, address: str, kind: str) -> None:
    status, found, body = ask(port, address)
    assert (status, found) == (200, kind) and body
    assert ask(port, address, "HEAD") == (200, kind, b"")


@pytest.mark.parametrize(
    "address",
    [
        "/notes.html", "/other/index.html", "/other/", "/00000001/.hidden.html", "/00000001/journal.lock", "/00000009",
        "/other",
        "/../secret.html", "/00000001/../../secret.html", "/%2e%2e/secret.html",
        "/00000001/%2e%2e%2f%2e%2e%2fsecret.html",
        "/00000001/..%5c..%5csecret.html", "/00000001/out.html", "/00000002/secret.html", "//etc/passwd", "/%00.html",
        "/00000001/%ff.html", "/C:/secret.html", "/nowhere.html",
    ],
)  # fmt: skip
def test_what_is_not(port: int, address: str) -> None:
    status, _, body = ask(port, address)
    assert status == 404 and b"secret" not in body.replace(b"secret.html", b"")


@pytest.mark.parametrize("address", ["/00000001", "//00000001", "/00000001?x=1", "/analysis/00000000"])
def test_the_folder_of_a_page_leads_to_the_page(port: int, address: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", address)
    answer = connection.getresponse()
    assert answer.status == 302
    assert answer.getheader("Location") == "/" + address.partition("?")[0].strip("/") + "/"


@pytest.mark.parametrize("name", ["n" * 300, "00000001/" + "n" * 300 + ".html", "/".join(["00000001"] * 2000)])
def test_a_name_that_is_too_long_is_not_found(port: int, name: str) -> None:
    assert ask(port, f"/{name}")[0] == 404
    assert find(Path(), f"/{name}") is None


@pytest.mark.parametrize(
    ("address", "status"),
    [("http://[x/", 302), ("?", 302), ("/00000003/eye/", 404), ("/00000003/eye/state.json", 404)],
)
def test_an_address_that_is_none_and_a_circle_of_links_are_answered(port: int, address: str, status: int) -> None:
    assert ask(port, address)[0] == status
    assert ask(port, address.replace("state.json", "answer"), "POST")[0] == 403


def test_a_dropped_connection_is_no_news(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        dropped = socket.create_connection(("127.0.0.1", port))
        dropped.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        dropped.sendall(b"GET /00000001/ HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        dropped.close()
    assert ask(port, "/")[0] == 200
    with make_server(Path(), 0) as server:
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            server.handle_error(None, ("127.0.0.1", 1))
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_can_only_be_read_is_served_and_no_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[Path] = []

    def refuse(runs: Runs) -> None:
        raise StoreError("read only")

    def stop(root: Path, port: int) -> None:
        served.append(root)
        raise OSError("stop here")

    monkeypatch.setattr("prompt_pins.report.build_index", refuse)
    monkeypatch.setattr("prompt_pins.cli.serve.make_server", stop)
    for folder, message in (
        (tmp_path, "port: 8137 cannot be used"),
        (tmp_path / "mistyped", "is not allowed; allowed: a folder of runs"),
    ):
        monkeypatch.setattr(sys, "argv", ["prompt-pins", "serve", "--out", str(folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2 and message in capsys.readouterr().err
    assert served == [tmp_path] and not (tmp_path / "mistyped").exists()


def test_other_names_and_methods_are_refused(port: int, runs: Path) -> None:
    assert ask(port, "/", Host="evil.example")[0] == 403
    assert ask(port, "/", "POST")[0] == 403
    assert ask(port, "/", "PUT")[0] == 501
    assert find(runs, "/index.html") is not None


def test_the_command_prints_its_address_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "prompt_pins.cli.main", "serve", "--out", str(tmp_path), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        program,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background ignores it
    )
    assert running.stdout is not None
    line = running.stdout.readline()
    assert "http://127.0.0.1:" in line
    port = int(line.split("127.0.0.1:")[1].split("/")[0])
    assert ask(port, "/")[0] == 200
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=HUNG)
    assert running.returncode == 0 and not errors
