"""What can be known of a study within about a minute: every revision's small files, disk, rate limits, one text through one revision."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2sg.command.ending import duration, file_size
from w2sg.command.planning import Machine, make_plan
from w2sg.command.sizes import weights_size
from w2sg.revisions import access
from w2sg.revisions.facts.comparison import asked_fault, chat_fault, together, wanted_layers
from w2sg.revisions.offline import Published, is_offline, read_answers
from w2sg.revisions.scratch import Store
from w2sg.study.costs import PlannedStudy
from w2sg.study.lists.models import local_folder
from w2sg.study.lists.rows import RANDOM

STATES = ("ok", "note", "fault")
"""How a line of a check begins; a fault stops the study, or a part of it."""

LARGEST = 2_000_000_000
"""Bytes of a revision beyond which none is downloaded for a check."""

_REQUESTS = 6
"""Requests that the download of a revision takes, about: its listing and its files."""

_TEXT = "Human: What is the capital of France? Assistant: Paris."


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A model of a study."""

    entry: Mapping[str, Any]
    """Its entry, with what a job is told of the revision below (``at``, ``like``)."""
    revision: str
    """The used revision that is last in its list."""
    used: Sequence[str]
    """All used revisions."""
    root: str
    """Folder of the revisions of a model that is trained here."""
    kept: str
    """What audits learned of a Hub model."""
    folders: Mapping[str, str] = field(default_factory=dict)
    """Folders of a local model's used revisions, by name; of a random twin that of its configuration."""


def check_revisions(models: Mapping[str, Checked], config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields a fault for each used revision that cannot be run as the study asks, by what an audit learned of those of Hub models.

    Configuration and tokenizer of local ones were read before, when the study was; here the library makes a model of them.

    Returns:
        States (:data:`STATES`) and texts.
    """
    for name, model in models.items():
        used = [one for one in model.used if one != RANDOM]
        if model.entry["source"] == "local":
            wrong = {one: text for one, folder in model.folders.items() if (text := _misfit(Path(folder), one))}
            yield from (("fault", f"models.{name}: {line}") for line in together(wrong.items()))
            if not wrong:
                told = (
                    f"configuration, tokenizer and shapes of weights of {len(used):,} revision{'s' * (len(used) > 1)}"
                )
                yield "ok", f"models.{name}: {told}"
        if model.entry["source"] != "hub":
            continue
        answers = read_answers(Path(model.kept), model.entry["repo"])
        known = {one: answers[one] for one in used if one in answers}
        layers = wanted_layers(name, config)
        wrong = {one: text for one, answer in known.items() if (text := _fault(answer, layers, config))}
        unknown = {one: text for one, answer in known.items() if (text := answer.unknown)}
        yield from (("fault", f"models.{name}: {line}") for line in together(wrong.items()))
        yield from (("note", f"models.{name}: {line}") for line in together(unknown.items()))
        good = len(known) - len(wrong) - len(unknown)
        text = f"models.{name}: {good:,} of {len(used):,} revisions have weights, a configuration and a tokenizer"
        yield "ok" if good == len(used) else "note", text


def _misfit(folder: Path, revision: str) -> str:
    """Returns why the library makes no model of a local revision; names of files are those in its folder."""
    from w2sg.activations.models import check_fit

    try:
        check_fit(folder, drawn=revision == RANDOM)
    except access.RevisionError as error:
        return " ".join(str(error).replace(f"{folder}/", "").replace(str(folder), "its folder").split())
    return ""


def _fault(answer: Published, layers: str | Sequence[int], config: Mapping[str, Any]) -> str:
    """Returns why a revision cannot be run, or not as the study asks; empty text if it can, or nothing is known of it."""
    found = answer.missing or answer.description.fault
    if found or answer.unknown:
        return found
    return asked_fault(config, layers, answer.description) or chat_fault(config, answer.description)


def check_disk(study: PlannedStudy, scratch: Path, answers: Mapping[str, Published], **facts: Any) -> tuple[str, str]:
    """Returns whether the disk holds what the study needs at once, by listed sizes where there are any.

    Args:
        study: What is planned.
        scratch: Folder of downloads.
        answers: The largest known answer of each Hub model.
        facts: For :func:`w2sg.command.planning.make_plan`.
    """
    plan = make_plan(study, audits={}, benchmarks={}, **facts)
    total = plan.table.iloc[-1].fillna(0)
    largest = max([float(total["snapshot_gb"]) * 1e9, *(answer.size for answer in answers.values())])
    left = float(total["features_gb"]) * 1e9 - Machine.here(study.used).written
    snapshots, kept = study.snapshots * largest, max(left, 0.0)
    there = next(folder for folder in (scratch, *scratch.absolute().parents) if folder.is_dir())
    same = there.stat().st_dev == Path().stat().st_dev
    places = {Path(): kept + snapshots} if same else {Path(): kept, there: snapshots}
    lines = [(shutil.disk_usage(path).free, needed, path.resolve()) for path, needed in places.items()]
    text = "; ".join(
        f"{path}: {file_size(needed)} needed at once, {file_size(free)} free" for free, needed, path in lines
    )
    if plan.table.iloc[-1]["features_gb"] != plan.table.iloc[-1]["features_gb"]:
        text += "; features besides, as not every dataset says its pairs"
    return ("ok" if all(needed < free for free, needed, _ in lines) else "fault"), f"disk: {text}"


def check_requests(models: Mapping[str, Checked]) -> tuple[str, str] | None:
    """Returns how many requests the Hub still answers, against those of the study; None without Hub models or a network."""
    repos = [model.entry["repo"] for model in models.values() if model.entry["source"] == "hub"]
    if not repos or is_offline():
        return None
    from w2sg.revisions.published import requests_left

    found, wanted = requests_left(repos[0]), _REQUESTS * sum(len(model.used) for model in models.values())
    if found is None:
        return "note", f"rate limit: the Hub names none; the study asks about {wanted:,} times"
    left, seconds = found
    text = f"rate limit: {left:,} requests are left for {duration(seconds)}; the study asks about {wanted:,} times"
    return ("ok" if left > 50 else "note"), text + ("" if left > wanted else ", and waits where it must")


def try_smallest(models: Mapping[str, Checked], config: Mapping[str, Any]) -> tuple[str, str]:
    """Returns how one text went through the last revision of the smallest model that is, or may be brought, here."""
    sizes = {name: size for name, model in models.items() if (size := _size(model)) is not None}
    if not sizes:
        return "note", "no text was tried: no model is here yet, as they are trained here"
    name = min(sizes, key=lambda one: sizes[one])
    model = models[name]
    if model.entry["source"] == "hub" and sizes[name] > LARGEST:
        return "note", f"no text was tried: the smallest revision is {name} {model.revision}, {file_size(sizes[name])}"
    from w2sg.activations import extraction
    from w2sg.activations.check import check_model
    from w2sg.activations.forward import extract_states
    from w2sg.activations.models import load_model, read_model_config
    from w2sg.runtime import machine

    device = machine.pick_device(config["activations"]["device"])
    asked = config["activations"] | {"layers": "final", "dtype": machine.compute_type(model.entry["dtype"], device)}
    settings = extraction.Settings(**asked)
    root, store = Path(model.root), Store.of(config)
    named = f"{name} {model.revision}"
    try:
        with access.open_revision(model.entry, model.revision, name=name, root=root, store=store) as folder:
            fault = extraction.check_config(read_model_config(folder.path), settings, name=named)
            with machine.claim_device(device) as claimed:
                loaded = load_model(folder.path, dtype=settings.dtype, device=claimed, drawn="like" in model.entry)
                loaded = check_model(loaded, fault=fault)
                ids = loaded.tokenizer.encode(_TEXT)[: min(settings.max_tokens, loaded.context)]
                options = {"batch_tokens": settings.rows(loaded.device), "pool": "last", "on_batch": lambda done: None}
                states = extract_states(loaded, [ids], layers=[loaded.depth], **options)
    except (access.RevisionError, ValueError, OSError, RuntimeError) as error:  # also of the GPU's memory, or of shapes
        return "fault", f"{named}: {error}"
    return "ok", f"{named}: a text of {len(ids)} tokens went through it on {claimed}, {states.shape[-1]} numbers a text"


def _size(model: Checked) -> float | None:
    """Bytes of a model's weights; None where they are not here and cannot be brought."""
    source = model.entry["source"]
    if source == "hub":
        answer = read_answers(Path(model.kept), model.entry["repo"]).get(model.revision)
        return answer.size if answer is not None and not (answer.missing or answer.unknown) else None
    if source == "local":
        return weights_size(
            local_folder(model.entry, model.entry.get("like", model.revision), model.entry.get("at", {}))
        )
    folder = Path(model.root) / model.revision
    return weights_size(folder) if folder.is_dir() and Path(model.root, "manifest.tsv").is_file() else None
