"""A suite like DataDecide on a (local) Hub: several seeds in the branch names of one repository, from the list to states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from tests import tiny
from tests.hub_branch import QUICK
from tests.hub_branch import server as server
from tests.unit.study.test_config import NOWHERE, ROOT, put, shipped
from w2sg.activations import forward
from w2sg.activations.models import load_model
from w2sg.revisions import access, published
from w2sg.revisions.audit import audit_table
from w2sg.revisions.scratch import Store
from w2sg.study.config import complete_config
from w2sg.study.definitions import identity
from w2sg.study.families import members, resolve_family

REPO = "allenai/DataDecide-c4-20M"
SEEDS = ("default", "small-aux-2", "small-aux-3")
STEPS = (0, 1250, 14584)
IDS = [[5, 9, 2, 7], [5, 9, 3], [250]]


@pytest.fixture
def suite(server, tmp_path, monkeypatch) -> dict[str, dict]:
    """The branches of three seeds with a model each; returns its weights by branch."""
    weights = {}
    for number, name in enumerate(f"step{step}-seed-{seed}" for seed in SEEDS for step in STEPS):
        weights[name] = tiny.save_datadecide(tmp_path / name, seed=number)
        server.publish(REPO, name, tmp_path / name)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return weights


def test_every_seed_of_the_shipped_family_is_swept_from_its_own_branches(suite, tmp_path):
    config = complete_config(
        put(shipped("datadecide_20m"), "families/datadecide-20m-c4/select", {"share": [0.0857, 1.0]}), NOWHERE
    )
    names = members("datadecide-20m-c4", config)
    assert names == [f"datadecide-20m-c4-{seed}" for seed in SEEDS]
    store = Store(root=tmp_path / "scratch", limit=1)
    for name, seed in zip(names, SEEDS, strict=True):
        family = resolve_family(name, config, ROOT)
        model = config["models"][family.strong]
        assert [one.name for one in family.revisions] == [f"step{step}-seed-{seed}" for step in STEPS[1:]]
        asked = [f"step{STEPS[0]}-seed-{seed}", *(one.name for one in family.revisions)]
        audit = audit_table(family.strong, published.ask_hub(model["repo"], asked, label="audit", patience=QUICK))
        assert not audit["flagged"].any(), audit["reason"].tolist()
        for revision in asked:
            opened = access.open_revision(identity(model), revision, name=family.strong, root=Path(), store=store)
            with opened as folder:
                loaded = load_model(folder.path, dtype="float32", device="cpu")
                found = forward.extract_states(loaded, IDS, layers=(2,), batch_tokens=100)
            states, _ = tiny.datadecide_states(suite[revision], IDS[0], tied=False)
            np.testing.assert_allclose(found[0, 0], states[-1][-1], rtol=0, atol=1e-5)
