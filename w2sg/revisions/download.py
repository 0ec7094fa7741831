"""Bringing the files of a listed revision into a folder. The client transfers and resumes, over Xet where it can."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download
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


def download(
    listing: Listing,
    files: Sequence[HubFile],
    target: Path,
    *,
    on_bytes: Callable[[int], None] = lambda count: None,
    patience: Patience | None = None,
) -> None:
    """Brings files of a revision into a folder; one that is not what the Hub lists is deleted and fetched anew.

    Args:
        listing: The revision.
        files: Which of its files.
        target: The folder; it exists.
        on_bytes: Called with the number of new bytes; less than zero where those of an earlier attempt were thrown away.
        patience: How often and how long to try again.

    Raises:
        RevisionError: If a file cannot be fetched, or is again and again not what the Hub lists.
    """
    for file in files:
        action = partial(_fetch, listing, file, target, on_bytes)
        persist(action, what=f"fetch {listing} {file.name}", patience=patience or Patience())


def _fetch(listing: Listing, file: HubFile, target: Path, on_bytes: Callable[[int], None]) -> None:
    arrived, path = 0, target / file.name

    class Bar(silent_tqdm):
        """Counts bytes; a bar of the client's own would fill the log."""

        def update(self, n: float | None = 1) -> None:
            nonlocal arrived
            arrived += int(n or 0)
            on_bytes(int(n or 0))

        def ignore(self, *arguments: Any, **options: Any) -> None:
            pass

        close = set_postfix_str = update_transfer = set_transfer_postfix_str = ignore

    try:
        hf_hub_download(
            listing.repo,
            file.name,
            revision=listing.commit,
            local_dir=target,
            force_download=True,  # of what lies in the user's cache too: it may be what is damaged
            etag_timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
            tqdm_class=Bar,  # type: ignore[arg-type]
        )
        file.check(path)
    except Exception as error:
        path.unlink(missing_ok=True)
        on_bytes(-arrived)
        raise _judged(error) from None
    on_bytes(file.size - arrived)


def _judged(error: Exception) -> Exception:
    """Returns the failure of a download as one that ends it or, by its type, one that another attempt may not meet."""
    if isinstance(error, RevisionError) or getattr(error, "errno", None):
        return error
    if isinstance(error, ValueError):  # the client refuses what it was told of the file
        return RevisionError(str(error.__cause__ or error))
    if isinstance(error, OSError) and not isinstance(error, HfHubHTTPError):
        return DamagedFile("fewer bytes came than the Hub lists")
    if not constants.HF_HUB_DISABLE_XET:
        # Xet's failures have types of their own. Where its servers are out of reach (proxies, mirrors) HTTP often is not.
        constants.HF_HUB_DISABLE_XET = True
        return PassingFailure(f"{describe(error)}; the next attempts go without Xet, over plain HTTP")
    return error
