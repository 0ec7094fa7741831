"""What is said of a folder without weights, and of one that holds an adapter."""

from __future__ import annotations

import pytest

from w2sg.revisions.folders import RevisionError, weight_files


def test_a_folder_without_weights_says_what_was_looked_for_and_how_to_train_again(tmp_path):
    folder = tmp_path / "step8"
    folder.mkdir()
    (folder / "model.fp16.safetensors").touch()
    with pytest.raises(RevisionError, match="step8 holds no weight files, expected model.safetensors, pyt") as caught:
        weight_files(folder)
    assert "trained" not in str(caught.value)
    (tmp_path / "manifest.tsv").touch()
    for place in (folder, tmp_path / "step9"):
        with pytest.raises(RevisionError, match=r"The workflow trained this model: delete manifest\.tsv"):
            weight_files(place)


def test_an_adapter_beside_weights_is_refused(tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert [path.name for path in weight_files(tmp_path)] == ["model.safetensors"]
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(RevisionError, match="adapter_config.json says that it holds an adapter; merge it"):
        weight_files(tmp_path)
