"""Where the files of the workflow lie that are no modules: rules, configuration, revision lists, profiles."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def installed_project() -> Path | None:
    """Returns the folder with the workflow's files that belongs to this package: what the wheel carries, else the clone; None if there is neither."""
    places = (PACKAGE / "project", PACKAGE.parent)
    return next((place for place in places if (place / "workflow" / "Snakefile").is_file()), None)


def shipped_project(fetched: str) -> Path:
    """Returns the folder with the files that rules from elsewhere read.

    Args:
        fetched: Path of a copy of this package's ``__init__.py``, of the version that the rules have.

    Raises:
        ValueError: If the installed package has another version, or carries no such files.
    """
    version, own = (
        next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("__version__"))
        for path in (Path(fetched), PACKAGE / "__init__.py")
    )
    if version != own:
        raise ValueError(f"the rules have {version}, the installed package w2sg {own}: install that of the same tag")
    place = installed_project()
    if place is None:
        raise ValueError(f"the package w2sg in {PACKAGE} carries no configuration: install it with pip")
    return place
