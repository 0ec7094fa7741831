"""Moving the bytes of one Hub file: over Xet where the file is stored so, else over HTTP from where an earlier try stopped."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, disable_progress_bars
from huggingface_hub.utils._runtime import is_xet_available

from w2sg.revisions.hub import HubFile, Listing
from w2sg.revisions.retries import DamagedFile

# Chunks kept for another download would lie on the disk beside the snapshots, outside their bound.
os.environ.setdefault("HF_XET_CHUNK_CACHE_SIZE_BYTES", "0")


class _Counted:
    """A binary file that reports what is written to it; the client's own bars would fill the log."""

    def __init__(self, file: Any, on_bytes: Callable[[int], None]) -> None:
        self._file, self._on_bytes = file, on_bytes

    def write(self, data: bytes) -> int:
        written = self._file.write(data)
        self._on_bytes(len(data))
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class HubTransfer:
    """Transfers one file after another; see :data:`w2sg.revisions.hub.Transfer`.

    Args:
        on_bytes: Called with the number of new bytes; less than zero where those of an earlier attempt were thrown away.
    """

    def __init__(self, on_bytes: Callable[[int], None] = lambda count: None) -> None:
        """Keeps the observer; see the class for the arguments."""
        self._observer = on_bytes
        self._counted = 0
        self._file = ""
        disable_progress_bars()

    def _on_bytes(self, count: int) -> None:
        self._counted += count
        self._observer(count)

    def __call__(self, listing: Listing, file: HubFile, part: Path, attempt: int) -> None:
        """Brings ``file`` to ``part``; bytes that are there already are kept and continued."""
        url = hf_hub_url(listing.repo, file.name, revision=listing.commit)
        if file.name != self._file:
            self._file, self._counted = file.name, 0
        lost = self._counted - (part.stat().st_size if part.exists() else 0)
        if lost > 0:
            self._on_bytes(-lost)
        # Xet once: where its servers are out of reach (proxies, mirrors) plain HTTP often is not.
        if attempt == 0 and file.sha256 and not part.exists() and self._over_xet(url, listing, file, part):
            return
        with part.open("ab") as stream:
            start = stream.tell()
            if start > file.size:
                part.unlink()
                raise DamagedFile(f"{file.name}: {start:,} bytes arrived of {file.size:,}")
            http_get(
                url,
                _Counted(stream, self._on_bytes),  # type: ignore[arg-type]
                resume_size=start,
                headers=build_hf_headers(),
                expected_size=file.size,
                displayed_filename=file.name,
            )

    def _over_xet(self, url: str, listing: Listing, file: HubFile, part: Path) -> bool:
        if not is_xet_available() or get_hf_file_metadata(url).xet_file_data is None:
            return False
        try:
            found = _interruptible(
                lambda: hf_hub_download(listing.repo, file.name, revision=listing.commit, local_dir=part.parent)
            )
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            # Its failures have types of their own; whatever they are, the next attempt goes over HTTP, from the start.
            shutil.rmtree(part.parent / ".cache", ignore_errors=True)
            raise ConnectionError(f"Xet transfer: {type(error).__name__}") from None
        Path(found).replace(part)
        self._on_bytes(file.size)
        return True


def _interruptible(action: Callable[[], str]) -> str:
    """Returns what ``action`` returns, run beside the main thread.

    Compiled code that moves gigabytes does not look for signals; waiting in Python lets SIGTERM clean up at once.
    """
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(action())
        except BaseException as error:
            outcome.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(timeout=0.2)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
