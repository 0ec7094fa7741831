"""What the Hub says about a model's revisions, without downloading any weights; where it cannot be asked, what is known of it.

Configuration and tokenizer of every revision are read: each content once, since a listing gives the hash of every file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from huggingface_hub.utils import RateLimitInfo, build_hf_headers, get_session, parse_ratelimit_headers

from w2sg.revisions import download, hub, offline
from w2sg.revisions.facts.descriptions import describe_files, describe_folder
from w2sg.revisions.folders import RevisionError, is_weights
from w2sg.revisions.offline import Published
from w2sg.revisions.retries import NoSuchRevision, Patience, persist
from w2sg.runtime.files import atomic_path, file_sha256
from w2sg.runtime.jobs import Progress


def ask_hub(
    repo: str,
    revisions: Sequence[str],
    *,
    label: str,
    places: Mapping[str, Mapping[str, str]] | None = None,
    tokenizer: str = "",
    earlier: Mapping[str, Published] | None = None,
    patience: Patience | None = None,
) -> list[Published]:
    """Returns what is published of every revision in the given order, and of ``main``: one request each, and their small files.

    A revision that is not there, or has no weights, is an answer and no error. Where the network is forbidden
    (``HF_HUB_OFFLINE``) an answer is what the Hub once said, else what the local cache holds, else what it once held; a
    revision without any of these is unknown.

    Args:
        repo: owner/name.
        revisions: Names, by step.
        label: Name of the work in progress reports.
        places: Where revisions lie, by name, as far as their names do not say it: repo, subfolder, commit.
        tokenizer: owner/name@revision of the tokenizer that all of them use instead of their own.
        earlier: What earlier audits learned, by revision; for use without a network.
        patience: How often and how long to try again.

    Raises:
        RevisionError: If the repository is not there or the Hub cannot be reached.
    """
    names = offline.asked_names(revisions)
    progress = Progress(label, len(names), "revisions")
    known, contents = earlier or {}, _Contents(patience)
    elsewhere = tokenizer and not offline.is_offline()
    other = hub.list_revision(*hub.split_tokenizer(tokenizer), patience=patience) if elsewhere else None
    found = []
    for name in names:
        place = (places or {}).get(name, {})
        place = {"repo": repo, "commit": name, "subfolder": ""} | dict(place)
        answer = _recall(place, known.get(name), tokenizer) if offline.is_offline() else _ask(place, contents, other)
        found.append(replace(answer, revision=name))
        progress.update(1)
    return found


def keep_answers(path: Path, repo: str, answers: Sequence[Published], *, earlier: Mapping[str, Published]) -> None:
    """Writes what an audit learned, for later ones without a network; what only an earlier one knew stays."""
    learned = {answer.revision: answer for answer in answers if not answer.unknown}
    kept = {name: asdict(answer) for name, answer in sorted({**earlier, **learned}.items())}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"repo": repo, "answers": kept}, indent=1) + "\n", encoding="utf-8")


def requests_left(repo: str, *, patience: Patience | None = None) -> tuple[int, float] | None:
    """Returns how many requests the Hub still answers, and for how many seconds that holds; None where it does not say.

    Raises:
        RevisionError: If the Hub cannot be reached.
    """
    address = hub.endpoint()

    def ask() -> RateLimitInfo | None:
        response = get_session().get(f"{address}/api/models/{repo}/refs", headers=build_hf_headers(), timeout=30)
        return parse_ratelimit_headers(response.headers)

    found = persist(ask, what=f"ask {address} for its rate limit", patience=patience or Patience())
    return None if found is None else (found.remaining, float(found.reset_in_seconds))


class _Contents:
    """The small files of revisions: each content is fetched once, whatever the number of revisions that have it."""

    def __init__(self, patience: Patience | None) -> None:
        self.patience = patience
        self._known: dict[str, bytes] = {}

    def read(self, listing: hub.Listing, file: hub.HubFile) -> bytes:
        digest = file.sha256 or file.blob
        if digest not in self._known:
            with tempfile.TemporaryDirectory() as folder:
                download.download(listing, [file], Path(folder), patience=self.patience)
                self._known[digest] = (Path(folder) / file.name).read_bytes()
        return self._known[digest]


def _ask(place: Mapping[str, str], contents: _Contents, tokenizer: hub.Listing | None) -> Published:
    revision = place["commit"]
    try:
        listing = hub.list_revision(place["repo"], revision, subfolder=place["subfolder"], patience=contents.patience)
    except NoSuchRevision:
        return Published(revision=revision, missing="the Hub has no such revision", origin=offline.HUB)
    listing = hub.with_tokenizer(listing, tokenizer) if tokenizer else listing
    try:
        known, small = _describe(listing, origin=offline.HUB), hub.described_files(listing)
    except RevisionError as error:
        return Published(revision=revision, commit=listing.commit, missing=str(error), origin=offline.HUB)
    return replace(known, description=describe_files({file.name: contents.read(listing, file) for file in small}))


def _recall(place: Mapping[str, str], earlier: Published | None, tokenizer: str) -> Published:
    if earlier is not None and earlier.origin == offline.HUB:
        return earlier
    repo, revision = place["repo"], place["commit"]
    folder = hub.cached_folder(repo, revision, place["subfolder"])
    reason = "it is not in the local cache"
    if folder is not None:
        try:
            listing = hub.cached_listing(repo, revision, folder)
            known = _describe(listing, origin=offline.CACHE, folder=folder)
            if tokenizer:
                other = hub.cached_tokenizer(tokenizer)
                return replace(known, description=describe_folder(folder, tokenizer=other))
            hub.described_files(listing)
            return replace(known, description=describe_folder(folder))
        except RevisionError as error:
            # What a cache lacks says nothing about the branch.
            reason = str(error)
    return earlier or Published(revision=revision, unknown=f"unknown, as HF_HUB_OFFLINE is set: {reason}")


def _describe(listing: hub.Listing, *, origin: str, folder: Path | None = None) -> Published:
    used = hub.weights_of(listing)
    spare = [file for file in listing.files if is_weights(file.name) and file not in used]

    def hashes(files: Sequence[hub.HubFile]) -> dict[str, str]:
        # A cache without links does not name its files by their hashes.
        known = {file.name: file.sha256 or file.blob for file in files}
        return {name: digest or (file_sha256(folder / name) if folder else "") for name, digest in known.items()}

    return Published(
        revision=listing.revision,
        commit=listing.commit,
        hashes=hashes(used),
        spare=hashes(spare),
        size=sum(file.size for file in used),
        origin=origin,
    )
