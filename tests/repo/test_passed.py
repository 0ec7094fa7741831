"""The hash by which `make test` knows a tree that has passed."""

import subprocess

from tests.passed import digest


def test_every_change_of_a_file_changes_the_hash_and_ignored_files_do_not(tmp_path):
    assert digest(tmp_path / "nowhere") == ""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("made\n")
    (tmp_path / "code.py").write_text("one")
    seen = [digest(tmp_path)]
    (tmp_path / "made").write_text("anything")
    assert digest(tmp_path) == seen[0]
    (tmp_path / "code.py").write_text("two")
    seen.append(digest(tmp_path))
    (tmp_path / "code.py").rename(tmp_path / "other.py")
    seen.append(digest(tmp_path))
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    assert digest(tmp_path) == seen[2]
    (tmp_path / "other.py").unlink()
    seen.append(digest(tmp_path))
    assert len(set(seen)) == 4 and all(seen)
