"""What is said of a folder without weights or without a model, and of one that holds an adapter."""

from __future__ import annotations

import pytest

from w2sg.revisions.folders import RevisionError, folder_fault, weight_files


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


@pytest.mark.parametrize(
    ("held", "fault"),
    [
        ([], "the folder is empty"),
        (
            ["global_step400/zero_pp_rank_0.pt"],
            "no config.json; the folder holds global_step400, expected what save_pre",
        ),
        (
            ["tokenizer.json", "model.safetensors"],
            "no config.json; the folder holds model.safetensors, tokenizer.json, exp",
        ),
        (["f", "e", "d", "c", "b", "a"], "no config.json; the folder holds a, b, c, d, e, ..., expected what save_pre"),
        (["config.json/a"], "config.json is a folder, expected a file"),
        (["adapter_config.json"], "adapter_config.json says"),
    ],
)
def test_a_folder_without_a_model_says_what_it_holds(tmp_path, held, fault):
    folder = tmp_path / "checkpoint-400"
    assert folder_fault(folder) == f"no folder {folder}"
    folder.mkdir()
    for name in held:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert folder_fault(folder).startswith(fault)
    if "config.json/a" not in held:
        (folder / "config.json").symlink_to("gone")
        assert folder_fault(folder).startswith(("config.json is a link that leads nowhere", "adapter_config.json says"))
