"""Bringing the files of a listed revision into a folder. The client transfers and resumes, over Xet where it can.

A transfer over Xet can stand still for hours without an error, and nothing in the client ends it. So it runs in a process of its
own (this module as a program), which tells what arrives; one that is silent for too long is ended, and plain HTTP follows.
"""

from __future__ import annotations

import importlib.util
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import silent_tqdm

from w2sg.revisions.folders import RevisionError
from w2sg.revisions.hub import HubFile, Listing
from w2sg.revisions.retries import DamagedFile, PassingFailure, Patience, describe, persist

for _name, _value in {
    "CHUNK_CACHE_SIZE_BYTES": "0",  # chunks kept for another download would lie beside the snapshots, outside their bound
    "CLIENT_RETRY_MAX_DURATION": "5sec",  # the longest of five waits, six minutes by default: without Xet there is HTTP
    "CLIENT_CONNECT_TIMEOUT": "10sec",
}.items():
    os.environ.setdefault(f"HF_XET_{_name}", _value)


class XetFailure(Exception):
    """A transfer over Xet that did not end well; its text says how."""


def download(
    listing: Listing,
    files: Sequence[HubFile],
    target: Path,
    *,
    on_bytes: Callable[[int], None] = lambda count: None,
    patience: Patience | None = None,
) -> None:
    """Brings files of a revision into a folder; one that is not what the Hub lists is deleted and fetched again.

    Args:
        listing: The revision.
        files: Which of its files.
        target: The folder; it exists.
        on_bytes: Called with the number of new bytes; less than zero where those of an earlier attempt were thrown away.
        patience: How often and how long to try again.

    Raises:
        RevisionError: If a file cannot be fetched, or is again and again not what the Hub lists.
    """
    patience = patience or Patience()
    for file in files:
        action = partial(_fetch, listing, file, target, on_bytes, patience)
        persist(action, what=f"fetch {listing} {file.name}", patience=patience)


def _fetch(listing: Listing, file: HubFile, target: Path, on_bytes: Callable[[int], None], patience: Patience) -> None:
    arrived, path = 0, target / file.name
    repo, remote, commit = listing.address(file)

    def count(new: int) -> None:
        nonlocal arrived
        arrived += new
        on_bytes(new)

    try:
        if _is_on_xet(listing, file):
            command = [sys.executable, "-m", __name__, repo, remote, commit, str(target)]
            try:
                watch_transfer(command, count, silence=patience.silence)
            finally:
                _remove_parts(target)
        else:
            _bring(repo, remote, commit, target, count)
        (target / remote).replace(path)
        file.check(path)
    except Exception as error:
        path.unlink(missing_ok=True)
        on_bytes(-arrived)
        raise _judged(error) from None
    on_bytes(file.size - arrived)


def _is_on_xet(listing: Listing, file: HubFile) -> bool:
    """Returns whether the client would transfer a file over Xet."""
    if constants.HF_HUB_DISABLE_XET or not file.sha256 or importlib.util.find_spec("hf_xet") is None:
        return False
    repo, remote, commit = listing.address(file)
    address = hf_hub_url(repo, remote, revision=commit)
    return get_hf_file_metadata(address, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT).xet_file_data is not None


def watch_transfer(command: Sequence[str], count: Callable[[int], None], *, silence: float) -> None:
    """Runs a transfer as a process of its own until it ends, or ends it when it says nothing for too long.

    Args:
        command: Writes to its standard output a line for what arrives: the number of new bytes of the file; last
            ``done``, or how it failed. Ends when its standard input does, so that it does not outlive this process.
        count: Called with the number of new bytes.
        silence: Seconds without a line after which it is ended.

    Raises:
        XetFailure: If it failed or was silent.
    """
    package = str(Path(__file__).parents[2])
    environment = {**os.environ, "HF_ENDPOINT": constants.ENDPOINT, "PYTHONPATH": package}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment) as child:
        try:
            last = ""
            for last in _lines(child, silence):
                if last.isdigit():
                    count(int(last))
        finally:
            child.kill()
    if last != "done":
        raise XetFailure(last if last and not last.isdigit() else f"its process ended with status {child.returncode}")


def _lines(child: subprocess.Popen[bytes], silence: float) -> Iterator[str]:
    assert child.stdout is not None
    rest = b""
    while select.select([child.stdout], [], [], silence)[0]:
        new = os.read(child.stdout.fileno(), 1 << 16)
        if not new:
            return
        *lines, rest = (rest + new).split(b"\n")
        yield from (line.decode() for line in lines)
    raise XetFailure(f"no byte came over Xet for {silence:.0f} s")


def _remove_parts(target: Path) -> None:
    """Removes what a transfer that was ended left: HTTP cannot go on with it, and it takes the room of a whole file."""
    for path in (target / ".cache").rglob("*.incomplete"):
        path.unlink(missing_ok=True)


def _bring(repo: str, name: str, commit: str, target: Path, count: Callable[[int], None]) -> None:
    class Bar(silent_tqdm):
        """Counts bytes; a bar of the client's own would fill the log."""

        def update(self, n: float | None = 1) -> None:
            count(int(n or 0))

        def update_transfer(self, n: float | None = 1) -> None:
            """Bytes that came and are not written yet."""
            count(0)

        def ignore(self, *arguments: Any, **options: Any) -> None:
            pass

        close = set_postfix_str = set_transfer_postfix_str = ignore

    hf_hub_download(
        repo,
        name,
        revision=commit,
        local_dir=target,
        force_download=True,  # of what lies in the user's cache too: it may be what is damaged
        etag_timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        tqdm_class=Bar,  # type: ignore[arg-type]
    )


def _judged(error: Exception) -> Exception:
    """Returns the failure of a download as one that ends it or, by its type, one that another attempt may not meet."""
    if isinstance(error, XetFailure):
        # Where Xet's servers are out of reach (proxies, mirrors) or stand still, HTTP often does not.
        constants.HF_HUB_DISABLE_XET = True
        return PassingFailure(f"{error}; the next attempts go without Xet, over plain HTTP")
    if isinstance(error, RevisionError) or getattr(error, "errno", None):
        return error
    if isinstance(error, ValueError):  # the client refuses what it was told of the file
        return RevisionError(str(error.__cause__ or error))
    if isinstance(error, OSError) and not isinstance(error, HfHubHTTPError):
        return DamagedFile("fewer bytes came than the Hub lists")
    return error


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def transfer() -> None:
    """Brings one file as a process of its own, for :func:`watch_transfer`: repository, name, commit and folder are arguments."""
    repo, name, commit, target = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _bring(repo, name, commit, Path(target), lambda new: print(new, flush=True))
        last = "done"
    except Exception as error:
        last = f"Xet: {describe(error)}".replace("\n", " ")
    print(last, flush=True)


if __name__ == "__main__":
    transfer()
