"""Revisions on the Hugging Face Hub: what a branch holds, which files are needed, and bringing them here whole.

The client library resolves, authenticates and transfers (``HF_ENDPOINT``, ``HF_TOKEN``, proxies and ``HF_HUB_OFFLINE``
are its own); this module chooses one weight format, resumes, tries again, and lets nothing pass whose hash is not the listed one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import HfApi, ModelInfo, constants, get_token, try_to_load_from_cache

from w2sg.revisions.environment import TOKEN, check_endpoint, check_environment, check_token, proxy_for
from w2sg.revisions.facts.descriptions import side_files
from w2sg.revisions.folders import SIDE_FILES, RevisionError, choose_weights, is_tokenizer
from w2sg.revisions.retries import DamagedFile, Patience, persist
from w2sg.runtime.files import file_sha256


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a revision as the Hub lists it."""

    name: str
    """Name in the repository, or in the folder of it that holds the revision; only files at the top are of use here."""
    size: int
    """Bytes."""
    sha256: str = ""
    """SHA-256 of the content, for large files."""
    blob: str = ""
    """Git's SHA-1 of the content as a blob, for the files kept in Git itself."""

    def check(self, path: Path) -> None:
        """Raises :class:`w2sg.revisions.retries.DamagedFile` unless the file at ``path`` has the listed size and hash."""
        size = path.stat().st_size
        if size != self.size:
            raise DamagedFile(f"{self.name} has {size:,} bytes, the Hub lists {self.size:,}")
        if self.sha256:
            kind, wanted, found = "SHA-256", self.sha256, file_sha256(path)
        else:
            blob = f"blob {size}\0".encode() + path.read_bytes()
            kind, wanted, found = "Git hash", self.blob, hashlib.sha1(blob, usedforsecurity=False).hexdigest()
        if found != wanted:
            raise DamagedFile(f"{self.name} is not what the Hub lists: its {kind} is {found}, expected {wanted}")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a branch holds."""

    repo: str
    """owner/name."""
    revision: str
    """Branch."""
    commit: str
    """Commit hash that the branch points to."""
    files: tuple[HubFile, ...]
    """Every file; of a revision in a folder of the repository those below it."""
    subfolder: str = ""
    """Folder of the repository that holds the revision; empty: its top."""
    tokenizer: Listing | None = None
    """What holds the files of the tokenizer, where that is another repository or revision."""

    def address(self, file: HubFile) -> tuple[str, str, str]:
        """Returns repository, name in it and commit of a file."""
        if self.tokenizer is not None and is_tokenizer(file.name):
            return self.tokenizer.address(file)
        return self.repo, f"{self.subfolder}/{file.name}" if self.subfolder else file.name, self.commit

    def __str__(self) -> str:
        inside = f" {self.subfolder}/" if self.subfolder else ""
        return f"{self.repo} {self.revision}{inside} (commit {self.commit[:8]})"


def list_revision(repo: str, revision: str, *, subfolder: str = "", patience: Patience | None = None) -> Listing:
    """Returns the commit and the files of a branch or commit, in one request; ``subfolder``: of those below it only.

    Raises:
        RevisionError: If the repository or branch is not there, or the Hub cannot be reached.
    """
    address = endpoint()

    def ask() -> Listing:
        try:
            timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
            return _listing(
                repo, revision, HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=timeout)
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # Text that was cut or garbled on its way is no JSON any more, or lacks a field.
            raise DamagedFile(f"the answer cannot be read ({type(error).__name__}: {error})") from None

    found = persist(
        ask, what=f"look up {repo} {revision} on {address}{proxy_for(address)}", patience=patience or Patience()
    )
    return _inside(found, subfolder) if subfolder else found


def with_tokenizer(listing: Listing, other: Listing) -> Listing:
    """Returns the listing of a revision whose tokenizer is that of another listing."""
    own = (file for file in listing.files if not is_tokenizer(file.name))
    files = (*own, *(file for file in other.files if is_tokenizer(file.name)))
    return replace(listing, tokenizer=other, files=files)


def split_tokenizer(text: str) -> tuple[str, str]:
    """Returns repository and revision of ``owner/name@revision``, whose revision is ``main`` if it names none."""
    repo, _, revision = text.partition("@")
    return repo, revision or "main"


def _inside(listing: Listing, subfolder: str) -> Listing:
    start = f"{subfolder}/"
    inside = (file for file in listing.files if file.name.startswith(start))
    return replace(
        listing, subfolder=subfolder, files=tuple(replace(f, name=f.name.removeprefix(start)) for f in inside)
    )


def endpoint() -> str:
    """Returns the Hub that is asked, without the user name and password that a mirror's address may hold.

    Raises:
        RevisionError: If a variable of the environment rules out every answer; what the client says then names none.
    """
    check_environment()
    try:
        check_token(get_token() or "")
    except (OSError, UnicodeDecodeError) as error:
        kept = f"what HF_TOKEN_PATH or HF_HOME names, {constants.HF_TOKEN_PATH}"
        raise RevisionError(f"{TOKEN}: {kept}, cannot be read as a file of text ({error})") from None
    return check_endpoint(constants.ENDPOINT)


def _listing(repo: str, revision: str, info: ModelInfo) -> Listing:
    files = []
    for item in info.siblings or []:
        sha256, blob = item.lfs.sha256 if item.lfs else "", item.blob_id or ""
        if item.size is None or not re.fullmatch(r"[0-9a-f]{40}", blob):
            raise ValueError(f"size or hash of {item.rfilename} is missing")
        files.append(HubFile(name=item.rfilename, size=item.size, sha256=sha256, blob=blob))
    commit = info.sha or ""
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise ValueError(f"{commit!r} is no commit")
    return Listing(repo=repo, revision=revision, commit=commit, files=tuple(files))


def weights_of(listing: Listing) -> tuple[HubFile, ...]:
    """Returns a revision's weight files in one format: one file, or every shard of a set.

    Raises:
        RevisionError: If there are none, or shards are missing; the message names them.
    """
    by_name = {file.name: file for file in listing.files}
    try:
        names = choose_weights(by_name)
    except RevisionError as error:
        raise RevisionError(f"{listing}: {error}") from None
    if not names:
        found = ", ".join(sorted(by_name)) or "nothing"
        raise RevisionError(f"{listing}: no weights (model*.safetensors or pytorch_model*.bin); it holds {found}")
    return tuple(by_name[name] for name in names)


def choose_files(listing: Listing, *, tokenizer: bool = True) -> tuple[HubFile, ...]:
    """Returns the files to fetch: weights in one format with their index, configuration and, unless it is not wanted, tokenizer.

    Raises:
        RevisionError: If weights, configuration or tokenizer are missing.
    """
    weights = weights_of(listing)
    index = {"model.safetensors.index.json", "pytorch_model.bin.index.json"}
    kind = weights[0].name.rsplit(".", 1)[1]
    sharded = "-of-" in weights[0].name
    wanted = {name for name in index if sharded and kind in name.split(".")}
    side = [file for file in listing.files if SIDE_FILES.fullmatch(file.name) or file.name in wanted]
    missing = ({"config.json"} | wanted) - {file.name for file in side}
    if missing:
        raise RevisionError(f"{listing}: {', '.join(sorted(missing))} is missing")
    if not tokenizer:
        side = [file for file in side if not is_tokenizer(file.name)]
    else:
        described_files(listing)
    return (*sorted(side, key=lambda file: file.name), *weights)


def described_files(listing: Listing) -> list[HubFile]:
    """Returns the small files that say whether a revision can be run, and with which settings.

    Raises:
        RevisionError: If it has no tokenizer.
    """
    by_name = {file.name: file for file in listing.files}
    try:
        return [by_name[name] for name in side_files(by_name)]
    except ValueError as error:
        raise RevisionError(f"{listing}: {error}; it holds {', '.join(sorted(by_name)) or 'nothing'}") from None


def find_cached(
    repo: str,
    revision: str,
    files: Sequence[HubFile] | None = None,
    *,
    subfolder: str = "",
    tokenizer: bool = True,
) -> Path | None:
    """Returns the folder of a revision in the local Hub cache; None if it is not there in full.

    Args:
        repo: owner/name.
        revision: Branch, or commit hash.
        files: What is needed, as listed. Without (offline) it is what the revision needs by its own names, and the names
            of the cached blobs, which are their hashes, are the only witness.
        subfolder: Folder of the repository that holds the revision.
        tokenizer: Whether its tokenizer is needed.

    Raises:
        RevisionError: If a cached file is damaged; the cache is the user's, so nothing is deleted.
    """
    folder = cached_folder(repo, revision, subfolder)
    if folder is None:
        return None
    needed = choose_files(cached_listing(repo, revision, folder), tokenizer=tokenizer) if files is None else files
    if not all((folder / file.name).is_file() for file in needed):
        return None
    try:
        for file in needed:
            if file.sha256 or file.blob:
                file.check(folder / file.name)
    except DamagedFile as error:
        raise RevisionError(f"{repo} {revision} in the cache {folder}: {error}; remove it there") from None
    return folder


def cached_folder(repo: str, revision: str, subfolder: str = "") -> Path | None:
    """Returns the folder that the local Hub cache has for a branch or commit, whole or not; None if there is none."""
    name = f"{subfolder}/config.json" if subfolder else "config.json"
    found = try_to_load_from_cache(repo, name, revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def cached_commit(folder: Path) -> str:
    """Returns the commit of a revision in the local cache: the name of the folder below the last one called snapshots."""
    parts = folder.parts[::-1]
    return parts[parts.index("snapshots") - 1]


def cached_listing(repo: str, revision: str, folder: Path) -> Listing:
    """Returns what a cached snapshot holds; hashes are read off the names of the blobs that its links point to."""
    files = []
    for path in sorted(item for item in folder.iterdir() if item.is_file()):
        blob = path.resolve().name
        hashed = {64: "sha256", 40: "blob"}.get(len(blob)) if re.fullmatch(r"[0-9a-f]+", blob) else None
        files.append(HubFile(name=path.name, size=path.stat().st_size, **({hashed: blob} if hashed else {})))
    return Listing(repo=repo, revision=revision, commit=cached_commit(folder), files=tuple(files))


def cached_tokenizer(text: str) -> Path:
    """Returns the folder in the local cache that holds the tokenizer ``owner/name@revision``.

    Raises:
        RevisionError: If it is not there; the message says how to put it there.
    """
    repo, revision = split_tokenizer(text)
    found = try_to_load_from_cache(repo, "tokenizer.json", revision=revision)
    if isinstance(found, str):
        return Path(found).parent
    raise RevisionError(
        f"the tokenizer {text} is not in the cache {constants.HF_HUB_CACHE} and HF_HUB_OFFLINE is set; "
        f"where there is a network: hf download {repo} tokenizer.json --revision {revision}"
    )


def offline_revision(repo: str, revision: str, subfolder: str = "", *, tokenizer: bool = True) -> Path:
    """Returns the folder of a revision in the local cache; its files are checked, once. ``tokenizer``: whether it needs one.

    Raises:
        RevisionError: If it is not there, or damaged; the message says how to put it there.
    """
    folder = find_cached(repo, revision, subfolder=subfolder, tokenizer=tokenizer)
    if folder is None:
        raise RevisionError(
            f"{repo} {revision} is not in the cache {constants.HF_HUB_CACHE} and HF_HUB_OFFLINE is set; "
            f"where there is a network: hf download {repo} --revision {revision}"
        )
    return folder
