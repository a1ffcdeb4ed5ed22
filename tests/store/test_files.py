"""Files: whole or not at all, with the user's umask, through links, into streams; nothing leads out of a run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from prompt_pins.errors import StoreError
from prompt_pins.store import RunFolder, Runs
from prompt_pins.store.files import PART, inside, read_json, whole_file, write_bytes, write_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes, links and pipes of POSIX")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_users_umask_holds(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("before")
    (tmp_path / "link.txt").symlink_to("real/a.txt")
    (tmp_path / "new.txt").symlink_to("real/b.txt")
    for name in ("link.txt", "new.txt"):
        write_text(tmp_path / name, "after")
        assert (tmp_path / name).is_symlink()
    assert {path.name for path in (tmp_path / "real").iterdir()} == {"a.txt", "b.txt"}
    assert (tmp_path / "real" / "a.txt").read_text() == (tmp_path / "real" / "b.txt").read_text() == "after"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_bytes(tmp_path / "pipe", b"through the pipe")
    reader.join()
    assert read == [b"through the pipe"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("redirected", [False, True])
def test_standard_output_is_written_to(tmp_path: Path, redirected: bool) -> None:
    code = (
        "import pathlib, prompt_pins.store.files as files\n"
        "for text in 'abc': print(text, flush=True); files.write_text(pathlib.Path('/dev/stdout'), text)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    wanted = b"a\nab\nbc\nc"
    with open(tmp_path / "out", "wb") as file:
        target = file if redirected else subprocess.PIPE
        done = subprocess.run([sys.executable, "-c", code], stdout=target, env=environment, check=True)
    assert (tmp_path / "out").read_bytes() == (wanted if redirected else b"")
    assert redirected or done.stdout == wanted


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="a folder of files below /dev")
def test_a_file_in_memory_is_replaced_like_any_other() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for text in ("before", "after"):
            write_text(Path(folder, "a.txt"), text)
        assert Path(folder, "a.txt").read_text() == "after"


@pytest.mark.parametrize("block", ["folder", "loop"])
def test_what_cannot_be_replaced_is_said_and_stays(tmp_path: Path, block: str) -> None:
    path = tmp_path / "a"
    path.mkdir() if block == "folder" else path.symlink_to("a")
    with pytest.raises(StoreError, match="cannot be written"):
        write_text(path, "x")
    assert list(tmp_path.iterdir()) == [path]
    assert path.is_dir() or path.is_symlink()


def test_an_error_of_the_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"a\.txt: cannot be written .No space left"), whole_file(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


OUT = ["../x", "a/../../x", "/etc", "link", "link/x", "a\0b"]


@pytest.mark.parametrize("name", OUT, ids=range(len(OUT)))
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "run"
    (root / "a").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path)
    (root / "fine").symlink_to("a")
    assert inside(root, "fine/x.png") == root / "fine" / "x.png"
    with pytest.raises(StoreError, match="leads out of this folder") as caught:
        inside(root, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", ["link", "lock", "journal", "dangling", "pipe"])
def test_a_run_in_which_something_leads_out_is_not_opened(tmp_path: Path, make: str) -> None:
    """Writing into a folder that came from elsewhere could otherwise end up anywhere."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = Runs(tmp_path / "runs").claim()
    (folder.path / "00000001").mkdir()
    names = {"link": "00000001/index.html", "lock": "journal.lock", "journal": "journal.jsonl", "dangling": "a"}
    if make == "pipe":
        os.mkfifo(folder.path / "pipe")
    else:
        (folder.path / names[make]).symlink_to(tmp_path / ("nothing" if make == "dangling" else "victim"))
    with pytest.raises(StoreError, match=r"leads out of this folder|is no file and no folder"):
        folder.open()
    if make == "journal":
        with pytest.raises(StoreError, match=r"leads out of this folder"):
            folder.record()
    assert victim.read_text() == "precious" and not (tmp_path / "nothing").exists()


def test_what_a_killed_process_left_is_swept_by_the_next_writer(tmp_path: Path) -> None:
    folder = Runs(tmp_path).claim()
    ours = [folder.path / ".prompt-pins-0123abcd.part.png", folder.path / "00000001" / ".prompt-pins-0123abcd.part"]
    others = [folder.path / ".prompt-pins-settings.part.png", folder.path / "00000001" / "a.part.png"]
    ours[1].parent.mkdir()
    with folder.open():
        for path in (*ours, *others):
            path.write_text("")
        with pytest.raises(StoreError, match="another process"):
            RunFolder(folder.path).open()
        assert all(path.exists() for path in ours)
    folder.close()
    with RunFolder(folder.path).open():
        assert not any(path.exists() for path in ours) and all(path.exists() for path in others)


def test_unfinished_files_have_names_that_are_swept(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a b.png") as beside:
        assert PART.fullmatch(beside.name) and beside.suffix == ".png"


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": NaN}', "[" * 10**5, '{"a": ' + "[" * 40 + "]" * 40 + "}", "\xff"]
)
def test_what_is_no_json_object_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, "latin-1")
    assert read_json(tmp_path / "a.json") is None
    assert read_json(tmp_path) is None and read_json(tmp_path / "nothing") is None
