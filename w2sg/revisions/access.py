"""From a model's entry and the name of a revision to a folder on disk, and off the disk again: one place for all sources."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2sg.revisions import offline
from w2sg.revisions.folders import (
    RevisionError,
    RevisionFolder,
    check_published,
    combine_digests,
    hash_weights,
    is_weights,
    link_files,
)
from w2sg.revisions.scratch import Store
from w2sg.runtime.files import atomic_path
from w2sg.runtime.jobs import Progress
from w2sg.study.lists.models import local_folder

DRAWN = "random initialisation"
"""What stands for the commit of a random twin."""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """What ``fetch_revision`` hands to the extraction (split mode)."""

    path: str
    """Folder of the revision."""
    commit: str
    """The Hub's commit hash."""
    snapshot: bool
    """Whether the folder is a snapshot, to be deleted; else it belongs to the user's Hub cache."""
    sizes: Mapping[str, int]
    """Bytes per file of the snapshot when its hashes were checked."""


@contextlib.contextmanager
def open_revision(
    model: Mapping[str, Any],
    revision: str,
    *,
    name: str,
    root: Path,
    store: Store,
    fetched: RevisionFolder | None = None,
) -> Iterator[RevisionFolder]:
    """Yields the folder of one revision; a downloaded one is deleted when the block ends, however it ends.

    Args:
        model: The model's entry in ``models``; of a random twin with ``like``, the revision whose configuration and
            tokenizer it has; the folder's weights, if it has any, are not the twin's then. ``at`` says where the revision
            lies (repo, subfolder, commit), as far as its name does not.
        revision: Name of the revision.
        name: Name of the model, for messages.
        root: Folder of the model's own revisions (``source: pretrain``).
        store: Where downloads are kept meanwhile.
        fetched: A Hub revision that is here already, see :func:`take_ticket`.

    Yields:
        The folder and its identity.

    Raises:
        RevisionError: If the folder is missing, its weights differ from what was published, or it cannot be fetched.
    """
    if model["source"] == "hub":
        if fetched is not None:
            yield fetched
            return
        with _fetched(model, revision, name, store, keep=False) as (folder, _):
            yield folder
        return
    opened = model.get("like", revision)
    local = model["source"] == "local"
    folder = local_folder(model, opened, model.get("at", {})) if local else root / opened
    commit, hashes = DRAWN, {}
    if "like" not in model:
        hashes = hash_weights(folder)
        digest = combine_digests([*hashes.values()])
        if model["source"] == "pretrain":
            check_published(root / "manifest.tsv", folder, revision, digest)
        commit = f"sha256:{digest}"
    if "tokenizer" not in model:
        yield RevisionFolder(path=folder, commit=commit, hashes=hashes)
        return
    with tempfile.TemporaryDirectory() as joined:
        link_files(Path(joined), folder, Path(model["tokenizer"]))
        yield RevisionFolder(path=Path(joined), commit=commit, hashes=hashes)


@contextlib.contextmanager
def take_ticket(ticket: str | Path | None, store: Store, *, keep: bool = False) -> Iterator[RevisionFolder | None]:
    """Yields what a ticket leads to, and deletes that when the block ends; without a ticket yields None.

    ``keep``: several jobs have this ticket, and after a good end the snapshot stays until the ticket is gone.

    Enter this before anything that takes long or may fail: whatever ends the job then also frees the place on the disk.
    The ticket itself stays after a failure: Snakemake ends a whole run when a job that is repeated lacks an input. The
    end of the run and the next one's beginning take it away, so that the revision is fetched again.

    Raises:
        SnapshotGone: If the ticket leads nowhere.
        RevisionError: If files of the snapshot came, went or changed their size since they were fetched.
    """
    if not ticket:
        yield None
        return
    path = Path(ticket)
    made = Ticket(**json.loads(path.read_text(encoding="utf-8")))
    folder = RevisionFolder(path=Path(made.path), commit=made.commit)
    taken = store.take(folder.path, ticket=path if keep else None) if made.snapshot else contextlib.nullcontext()
    with taken:
        found = _sizes(folder.path) if made.snapshot else made.sizes
        wrong = sorted(name for name in {*found, *made.sizes} if found.get(name) != made.sizes.get(name))
        if wrong:
            facts = (f"{name}: {made.sizes.get(name, 'no')} bytes then, {found.get(name, 'no')} now" for name in wrong)
            raise RevisionError(
                f"{folder.path} has changed since it was fetched ({'; '.join(facts)}); run snakemake again"
            )
        yield folder


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes per file; the store's own files, whose names begin with a dot, are not the revision's."""
    return {p.name: p.stat().st_size for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")}


def fetch_revision(
    model: Mapping[str, Any],
    revision: str,
    *,
    name: str,
    store: Store,
    ticket: Path,
    look: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Fetches a revision of a Hub model's entry and leaves it ready for its extraction; writes the ticket that leads there.

    ``look`` is called with the folder once its configuration is there, before its weights.

    Raises:
        RevisionError: If it cannot be fetched; nothing is left then.
    """
    opened = _fetched(model, revision, name, store, keep=True, look=look)
    with opened as (folder, snapshot), atomic_path(ticket) as temporary:
        path = folder.path.resolve()
        made = Ticket(path=str(path), commit=folder.commit, snapshot=snapshot, sizes=_sizes(path) if snapshot else {})
        temporary.write_text(json.dumps(made.__dict__) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _fetched(
    model: Mapping[str, Any],
    revision: str,
    name: str,
    store: Store,
    *,
    keep: bool,
    look: Callable[[Path], None] = lambda folder: None,
) -> Iterator[tuple[RevisionFolder, bool]]:
    from w2sg.revisions import download, hub

    place, twin = model.get("at", {}), "like" in model
    repo, subfolder = place.get("repo", model["repo"]), place.get("subfolder", "")
    branch = place.get("commit", model.get("like", revision))
    tokenizer = model.get("tokenizer", "")
    if offline.is_offline():
        cached = hub.offline_revision(repo, branch, subfolder, tokenizer=not tokenizer)
        commit = DRAWN if twin else hub.cached_commit(cached)
        if not tokenizer:
            yield RevisionFolder(path=cached, commit=commit), False
            return
        with store.snapshot(name, revision, size=0, keep=keep) as folder:
            link_files(folder, cached, hub.cached_tokenizer(tokenizer))
            yield RevisionFolder(path=folder, commit=commit), True
        return
    listing = hub.list_revision(repo, branch, subfolder=subfolder)
    if tokenizer:
        listing = hub.with_tokenizer(listing, hub.list_revision(*hub.split_tokenizer(tokenizer)))
    files = [file for file in hub.choose_files(listing) if not (twin and is_weights(file.name))]
    commit = DRAWN if twin else listing.commit
    cached = hub.find_cached(repo, listing.commit, files, subfolder=subfolder)
    if cached is not None and not tokenizer:
        yield RevisionFolder(path=cached, commit=commit), False
        return
    size = sum(file.size for file in files)
    with store.snapshot(name, revision, size=size, keep=keep) as folder:
        progress = Progress(f"fetch {name} {revision}", max(size, 1), "bytes")
        weights = [file for file in files if is_weights(file.name)]
        download.download(listing, [file for file in files if file not in weights], folder, on_bytes=progress.update)
        look(folder)
        download.download(listing, weights, folder, on_bytes=progress.update)
        yield RevisionFolder(path=folder, commit=commit), True
