"""What decides the content of a study's files, and whether the studies of a folder mean the same by the names they share.

Pre-trained models, corpora, pairs and features are made once for all studies of a folder, under the names that the studies
give them. Each study leaves its definitions in ``results/<study>/definitions.json``; one that means something else by a name
is refused, or the two would overwrite each other's files in turn. Every file carries what decided its content, so that one
made with another configuration is not taken for a new one (:mod:`w2sg.tables.origins`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2sg.study import recipes
from w2sg.study.families import Family, kept_layers, used_revisions
from w2sg.study.fields import ConfigError, Mistake
from w2sg.study.labels.supervisors import Supervisor
from w2sg.study.protocols import trained_kinds
from w2sg.study.texts.files import data_files

SHARED_NAMES = ("activations", "audit", "pretrained", "snapshots")
"""Folders below ``results/`` that all studies share; no study can go by these names."""

FILE = "definitions.json"
"""Name of the file that a study leaves in its folder."""

_MACHINE = ("batch_tokens", "device", "threads")


def identity(model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a model's entry that decides its numbers: how often it is saved, or listed, does not.

    Nor do ``at`` and ``like``, which a job is told besides: where its revision lies, and the one whose configuration a
    random twin has.
    """
    entry = {key: value for key, value in model.items() if key not in ("revisions", "tokens_per_step", "like", "at")}
    if entry["source"] == "pretrain":
        entry["pretraining"] = {k: v for k, v in entry["pretraining"].items() if k not in ("save_every", "state_every")}
    return entry


def forward_settings(activations: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of section ``activations`` that decides the numbers: how a machine is best used does not."""
    return {name: value for name, value in activations.items() if name not in _MACHINE}


def shared_definitions(config: Mapping[str, Any], families: Mapping[str, Family]) -> dict[str, Any]:
    """Returns what decides the files that a study shares with others, by section and name."""
    used = used_revisions(families)
    datasets = {name: config["datasets"][name] for name in config["sweep"]["datasets"]}
    models = {name: config["models"][name] for name in used}
    corpora = [entry["corpus"] for entry in (*datasets.values(), *models.values()) if "corpus" in entry]
    settings = forward_settings(config["activations"])
    places = {(o.name, o.revision): o.place for family in families.values() for o in family.supervisor.models}
    places |= {(f.strong, one.name): one.place for f in families.values() for one in f.revisions}
    return {
        "corpora": {name: config["corpora"][name] for name in {*corpora, config["evaluation"]["corpus"]}},
        "datasets": datasets,
        "models": {name: entry if entry["source"] == "pretrain" else identity(entry) for name, entry in models.items()},
        # Of the features of a revision: which layers are kept, how and on what text it is run, where a list says it lies.
        "features": {
            f"{model}/{revision}": {
                "activations": settings | {"layers": kept_layers(settings["layers"], families, model, revision)},
                "evaluation": config["evaluation"],
                **({"at": dict(place)} if (place := places.get((model, revision))) else {}),
            }
            for model, names in used.items()
            for revision in names
        },
    }


def check_others(study: str, own: Mapping[str, Any], results: Path) -> None:
    """Raises an error if another study of this folder means something else by a name that both use.

    Raises:
        ConfigError: Naming the key, both values and the other study's file; or if the study has the name of a shared folder.
    """
    if study in SHARED_NAMES:
        text = f"{study!r} is a folder that all studies share ({results / study}); choose another name"
        raise ConfigError([Mistake(("study",), text)])
    for path in sorted(results.glob(f"*/{FILE}")):
        if path.parent.name == study:
            continue
        theirs = json.loads(path.read_text(encoding="utf-8"))
        for section, entries in own.items():
            for name in sorted(set(entries) & set(theirs.get(section, {}))):
                for key, mine, other in differences(json.loads(as_json(entries[name])), theirs[section][name]):
                    named = f"models.{name.partition('/')[0]}" if section == "features" else f"{section}.{name}"
                    text = (
                        f"{key} is {mine!r} here and {other!r} in study {path.parent.name} ({path}); both studies "
                        f"would write the same files. Give {named} another name in this study, run with --directory in another "
                        f"folder, or delete {path.parent} if that study is no longer wanted"
                    )
                    raise ConfigError([Mistake((section, name), text)])


def differences(wanted: Any, found: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields the dotted key, the wanted and the found value wherever two plain values differ; None where one has no such key."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys([*wanted, *found]):
            yield from differences(wanted.get(name), found.get(name), f"{key}.{name}" if key else name)
    elif wanted != found:
        yield key or "it", wanted, found


def as_json(own: Mapping[str, Any]) -> str:
    """Returns :func:`shared_definitions` as the text of ``definitions.json``."""
    return json.dumps(own, indent=1, sort_keys=True) + "\n"


def dataset_settings(spec: Mapping[str, Any], content: Sequence[str]) -> dict[str, Any]:
    """Returns what decides a dataset's pairs: its entry, where local files count by the SHA-256 of each, not by their place.

    Of a split that is a folder, the number of its files counts too: it says which hashes are its own.
    """
    own = {key: value for key, value in spec.items() if key not in ("file", "files")} | {"content": list(content)}
    sizes = [len(data_files(path)) for path in spec.get("files", {}).values()]
    return own | ({"files": sizes} if set(sizes) - {1} else {})


def corpus_settings(spec: Mapping[str, Any], content: Sequence[str]) -> dict[str, Any]:
    """Returns what decides a corpus: its entry without the path of its file, which counts by its content."""
    entry = {key: value for key, value in spec.items() if key != "path"}
    return entry | {"content": list(content)} if content else entry


def listing(names: Sequence[Any]) -> str:
    """Returns how many there are, and a hash that tells these from others."""
    digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()
    return f"{len(names)} ({digest[:12]})"


@dataclass(frozen=True, kw_only=True)
class Deciding:
    """What decides the content of each kind of file: what its origin must say, by dotted key of the configuration.

    The jobs write the same from their parameters and from the origins of their inputs.
    """

    config: Mapping[str, Any]
    """The checked configuration."""
    families: Mapping[str, Family]
    """The study's families, resolved."""
    content: Callable[[Mapping[str, Any]], Sequence[str]]
    """Returns the SHA-256 of each local file of an entry of ``datasets`` or ``corpora``, unless its entry has it."""

    def documents(self, corpus: str) -> dict[str, Any]:
        """Returns it for a corpus; where its file lies does not count."""
        spec = self.config["corpora"][corpus]
        return {f"corpora.{corpus}": corpus_settings(spec, self.content(spec)), "recipes.CORPUS": recipes.CORPUS}

    def pairs(self, dataset: str) -> dict[str, Any]:
        """Returns it for a dataset's pairs."""
        spec = self.config["datasets"][dataset]
        own = {f"datasets.{dataset}": dataset_settings(spec, self.content(spec)), "recipes.PAIRS": recipes.PAIRS}
        return own | (self.documents(spec["corpus"]) if "corpus" in spec else {})

    def floors(self, dataset: str) -> dict[str, Any]:
        """Returns it for a dataset's floors."""
        return self.pairs(dataset) | {"intervals": self.config["intervals"], "recipes.FLOORS": recipes.FLOORS}

    def tokens(self, corpus: str) -> dict[str, Any]:
        """Returns it for a tokenizer and its token stream."""
        return self.documents(corpus) | {"recipes.TOKENIZER": recipes.TOKENIZER}

    def weights(self, model: str) -> dict[str, Any]:
        """Returns it for a model's revisions."""
        entry = self.config["models"][model]
        own = {f"models.{model}": identity(entry)}
        if entry["source"] != "pretrain":
            return own
        return own | self.tokens(entry["corpus"]) | {"recipes.PRETRAINING": recipes.PRETRAINING}

    def _passes(self, model: str) -> dict[str, Any]:
        settings = {
            key: value for key, value in forward_settings(self.config["activations"]).items() if key != "layers"
        }
        return self.weights(model) | {"activations": settings, "recipes.ACTIVATIONS": recipes.ACTIVATIONS}

    def loss(self, model: str) -> dict[str, Any]:
        """Returns it for the evaluation loss of a model's revisions."""
        evaluation = self.config["evaluation"]
        return self._passes(model) | self.documents(evaluation["corpus"]) | {"evaluation": evaluation}

    def features(self, model: str, revision: str, dataset: str) -> dict[str, Any]:
        """Returns it for the features of a revision."""
        layers = kept_layers(self.config["activations"]["layers"], self.families, model, revision)
        return self._passes(model) | self.pairs(dataset) | {"layers": layers}

    def supervision(self, family: str, dataset: str) -> dict[str, Any]:
        """Returns it for a supervisor's labels and metrics: a model's final layer is there whatever is kept.

        A model is tested on the study's other datasets too.
        """
        return self._labels(self.families[family].supervisor, dataset)

    def _labels(self, supervisor: Supervisor, dataset: str) -> dict[str, Any]:
        made = {name: self.config[name] for name in ("heads", "intervals")} | {"recipes.SUPERVISOR": recipes.SUPERVISOR}
        made |= self.pairs(dataset)
        if supervisor.own:
            made |= self.all_pairs() | self._passes(supervisor.own.name)
        else:
            made[f"supervisors.{supervisor.name}"] = self.supervisor_settings(supervisor.name, dataset)
        for one in supervisor.of:
            made |= {} if one is supervisor.own else self._labels(one, dataset)
        return made

    def supervisor_settings(self, name: str, dataset: str) -> dict[str, Any]:
        """Returns an entry of ``supervisors`` as far as it decides the labels of a dataset; its file counts by its content."""
        entry = self.config["supervisors"][name]
        if entry["source"] != "labels":
            return entry
        files = {"source": "labels", "path": entry["files"][dataset]}
        return {"source": "labels", "content": list(self.content(files))}

    def all_pairs(self) -> dict[str, Any]:
        """Returns it for the pairs of all datasets of the study: heads are tested on them."""
        return {key: value for name in self.config["sweep"]["datasets"] for key, value in self.pairs(name).items()}

    def heads(self, family: str, dataset: str) -> dict[str, Any]:
        """Returns it for the heads of a family's revisions."""
        strong = self.families[family]
        features = self.features(strong.strong, strong.revisions[0].name, dataset)
        own = {"probe": self.config["probe"], "recipes.HEADS": recipes.HEADS}
        return features | self.supervision(family, dataset) | self.all_pairs() | own

    def students(self, family: str, dataset: str, *, role: str) -> dict[str, Any]:
        """Returns it for the students whose backbone is trained; ``role``: of the ``strong`` or the ``weak`` model."""
        own = {name: self.config[name] for name in ("students", "heads", "intervals")}
        taught = self.families[family]
        model = taught.strong if role == "strong" or taught.supervisor.own is None else taught.supervisor.own.name
        made = {key: value for key, value in self.supervision(family, dataset).items() if key != "layers"}
        return self._passes(model) | made | own | {"recipes.STUDENTS": recipes.STUDENTS}

    def family(self, name: str, datasets: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
        """Returns it for the table that joins these files of a family, which was measured on these datasets."""
        family = self.families[name]
        entry = {"strong": family.strong, "weak": family.supervisor.name, "weak_revision": family.supervisor.revision}
        entry["revisions"] = listing([[one.name, one.step, one.tokens] for one in family.revisions])
        made = {f"families.{name}": entry, f"tables.{name}": listing(files), "recipes.COLLECT": recipes.COLLECT}
        for dataset in datasets:
            made |= self.heads(name, dataset)
            if trained_kinds(self.config["students"]["kinds"]):
                roles = ("strong", "weak") if family.supervisor.own else ("strong",)
                made |= {k: v for role in roles for k, v in self.students(name, dataset, role=role).items()}
        return made | self.loss(family.strong)

    def audit(self, model: str, listed: Sequence[str]) -> dict[str, Any]:
        """Returns it for the audit of a Hub model whose listed revisions are these."""
        return self.weights(model) | {f"audited.{model}": listing(listed), "recipes.AUDIT": recipes.AUDIT}
