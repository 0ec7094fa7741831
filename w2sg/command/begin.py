"""The files of a new study: its configuration, and the revision list of a repository on the Hub."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AllowInfNan

from w2sg.command.places import SHIPPED, CommandError
from w2sg.data.texts import count_documents
from w2sg.runtime.files import atomic_path
from w2sg.runtime.project import installed_project
from w2sg.study.config import lay_over
from w2sg.study.definitions import SHARED_NAMES
from w2sg.study.families import Dtype
from w2sg.study.fields import ConfigError, Positive, read
from w2sg.study.lists.folders import HERE, read_folder
from w2sg.study.sections import Evaluation
from w2sg.study.texts.corpora import TEXT_SUFFIXES, TextFile
from w2sg.study.texts.files import DATA_SUFFIXES

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""owner/name of the Hub."""


@dataclass(frozen=True, kw_only=True)
class NewStudy:
    """What a user says of a new study."""

    name: str
    """Name of the study, and of its file."""
    strong: str
    """Folder of checkpoints, or repository of the Hub whose branches are the revisions."""
    weak: str
    """Folder or repository of the supervisor."""
    pairs: Path
    """File or folder of preference pairs, with prompt, chosen and rejected."""
    tokens_per_step: float | None = None
    """Training tokens of a step, where neither folders nor names of branches say them."""
    text: Path | None = None
    """Text for the evaluation loss; default the shipped study's."""
    dtype: str = "float32"
    """Type of the forward passes."""
    rate: float | None = None
    """Millions of bytes per second of the line, for plans; default what plans assume."""


def write_study(new: NewStudy, folder: Path) -> list[Path]:
    """Writes ``<name>.yaml`` into a folder, for a repository ``<name>.tsv`` too; returns them, the configuration first.

    Raises:
        CommandError: If a file is there already, an input is missing, or the repository's branches make no list.
    """
    study, listed = folder / f"{new.name}.yaml", folder / f"{new.name}.tsv"
    if taken := [str(path) for path in (study, listed) if path.exists()]:
        raise CommandError(f"{', '.join(taken)}: there already; give another --name, or remove it")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", new.name):
        raise CommandError(f"--name {new.name!r}: expected letters, digits, dots, dashes and underscores")
    _check_name(new.name)
    _check_option("--dtype", Dtype, new.dtype)
    if new.tokens_per_step is not None:
        _check_option("--tokens-per-step", Annotated[Positive, AllowInfNan(False)], new.tokens_per_step)
    _check_pairs(new.pairs)
    strong = _model(new.strong, "--models", new.dtype)
    if strong["source"] == "hub":
        strong["revisions"] = str(listed.resolve())
    else:
        if new.tokens_per_step is not None:
            strong["tokens_per_step"] = new.tokens_per_step
        _check_folder(Path(new.strong), new.tokens_per_step)
    weak = _model(new.weak, "--weak", new.dtype)
    family: dict[str, Any] = {"strong": f"{new.name}-strong", "weak": f"{new.name}-weak"}
    if weak["source"] == "hub":
        family["weak_revision"] = "main"
    config: dict[str, Any] = {
        "study": new.name,
        "models": {family["strong"]: strong, family["weak"]: weak},
        "families": {new.name: family},
        "datasets": {f"{new.name}-pairs": _dataset(new.pairs)},
        "sweep": {"families": [new.name], "datasets": [f"{new.name}-pairs"]},
        "banded": [],
    }
    if new.text is not None:
        if not new.text.is_file():
            raise CommandError(f"--text: no file {new.text}")
        if not new.text.name.endswith(TEXT_SUFFIXES):
            raise CommandError(f"--text {new.text}: expected a file that ends in {', '.join(TEXT_SUFFIXES)}")
        entry = {"source": "file", "path": str(new.text.resolve())}
        config["corpora"] = {f"{new.name}-text": entry}
        config["evaluation"] = {"corpus": f"{new.name}-text", **_documents(entry)}
    if new.rate is not None:
        config["fetch"] = {"rate": new.rate}
    if strong["source"] == "hub":
        _write_list(new.strong, listed, new.tokens_per_step)
    with atomic_path(study) as temporary:
        head = f"# Study {new.name}; every key: config/README.md. Laid over the shipped configuration.\n"
        temporary.write_text(head + yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return [study, *([listed] if strong["source"] == "hub" else [])]


def is_repository(text: str) -> bool:
    """Returns whether a text names a repository of the Hub, and no folder that is there."""
    return not Path(text).exists() and REPOSITORY.fullmatch(text) is not None


def _model(text: str, option: str, dtype: str) -> dict[str, Any]:
    if is_repository(text):
        print(f"no folder {text} here; taken for a repository on the Hub", file=sys.stderr)
        return {"source": "hub", "repo": text, "dtype": dtype}
    if not Path(text).is_dir():
        raise CommandError(
            f"{option} {text}: no such folder, and no repository either (expected a folder, or owner/name)"
        )
    return {"source": "local", "path": str(Path(text).resolve()), "dtype": dtype}


def _check_name(name: str) -> None:
    """A new entry with the name of a shipped one would be laid over it."""
    project = installed_project()
    files = [project / "config" / f"{one}.yaml" for one in SHIPPED] if project else []
    shipped = lay_over(files, {})
    made = [("families", ""), ("models", "-strong"), ("models", "-weak"), ("datasets", "-pairs"), ("corpora", "-text")]
    taken = [f"{section}.{name}{end}" for section, end in made if f"{name}{end}" in shipped.get(section, {})]
    if name in SHARED_NAMES:
        raise CommandError(f"--name {name}: all studies share a folder of this name; give another --name")
    if taken:
        what = f"{', '.join(taken)} is an entry of the shipped configuration"
        raise CommandError(f"--name {name}: {what}; give another --name")


def _check_option(option: str, kind: Any, value: object) -> None:
    """Refuses what a configuration would refuse."""
    try:
        read(kind, value, (option,))
    except ConfigError as error:
        raise CommandError(str(error)) from None


def _check_folder(folder: Path, tokens_per_step: float | None) -> None:
    try:
        found = read_folder(folder, tokens_per_step)
    except ValueError as error:
        raise CommandError(f"--models: {error}") from None
    unknown = [one for one in found if one.tokens != one.tokens]
    if any(one.subfolder == HERE and not one.step for one in unknown):
        text = "it is one revision, and nothing in it says its step; give the folder around it, in which names such as step<N> say steps"
        raise CommandError(f"--models {folder}: {text}")
    if unknown:
        raise CommandError(f"--models {folder}: nothing says the training tokens of a step; give --tokens-per-step")


def _documents(entry: Mapping[str, Any]) -> dict[str, int]:
    """Returns how many documents a text has, where that is less than a study scores; nothing where a check will say what is wrong."""
    usual = Evaluation.model_fields["documents"].default
    try:
        count = count_documents(read(TextFile, entry), name="text", most=usual)
    except (ValueError, RuntimeError, ImportError):  # the last for Parquet, where pyarrow is not installed
        return {}
    return {"documents": count} if 0 < count < usual else {}


def _check_pairs(path: Path) -> None:
    if not path.exists():
        raise CommandError(f"--pairs: no file or folder {path}")
    if path.is_file() and not path.name.endswith(DATA_SUFFIXES):
        raise CommandError(f"--pairs {path}: expected a file that ends in {', '.join(DATA_SUFFIXES)}")


def _dataset(path: Path) -> Mapping[str, Any]:
    return {"source": "files", "file": str(path.resolve()), "split": {"seed": 0}}


def _write_list(repo: str, path: Path, tokens_per_step: float | None) -> None:
    from w2sg.revisions.list import write_list

    options = [] if tokens_per_step is None else ["--tokens-per-step", str(tokens_per_step)]
    if write_list([repo, *options, "--output", str(path)]):
        raise CommandError(f"no revision list of {repo} could be made, for the reason above")
