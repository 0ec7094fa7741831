"""What the Hub says about a model's revisions, without downloading any weights."""

from __future__ import annotations

from collections.abc import Sequence

from w2sg import hub
from w2sg.audit import Published
from w2sg.retries import NoSuchRevision, Patience
from w2sg.revisions import RevisionError
from w2sg.runtime import Progress
from w2sg.sweep import HUB_DEFAULT


def ask_hub(repo: str, revisions: Sequence[str], *, label: str, patience: Patience | None = None) -> list[Published]:
    """Returns the published hashes of every revision in the given order, and of ``main``: one request each.

    A revision that is not there, or has no weights, is an answer and no error.

    Args:
        repo: owner/name.
        revisions: Names, by step.
        label: Name of the work in progress reports.
        patience: How often and how long to try again.

    Raises:
        RevisionError: If the repository is not there or the Hub cannot be reached.
    """
    names = list(dict.fromkeys([*revisions, HUB_DEFAULT]))
    progress = Progress(label, len(names), "revisions")
    found = []
    for name in names:
        found.append(_ask(repo, name, patience))
        progress.update(1)
    return found


def _ask(repo: str, revision: str, patience: Patience | None) -> Published:
    try:
        if hub.is_offline():
            folder = hub.cached_folder(repo, revision)
            if folder is None:
                return Published(revision=revision, missing="not in the local cache (HF_HUB_OFFLINE is set)")
            listing = hub.cached_listing(repo, revision, folder)
        else:
            listing = hub.list_revision(repo, revision, patience=patience)
    except NoSuchRevision:
        return Published(revision=revision, missing="the Hub has no such revision")
    try:
        weights = hub.weights_of(listing)
    except RevisionError as error:
        return Published(revision=revision, commit=listing.commit, missing=str(error))
    return Published(
        revision=revision,
        commit=listing.commit,
        hashes={file.name: file.sha256 or file.blob for file in weights},
        size=sum(file.size for file in weights),
    )
