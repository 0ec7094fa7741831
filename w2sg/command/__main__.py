"""``w2sg``, and ``python -m w2sg.command`` in a clone that is not installed."""

import sys


def launch() -> None:
    """Runs the command; where the package was installed without its extra, says so in one line."""
    try:
        from w2sg.command.app import enter
    except ModuleNotFoundError as error:
        sys.exit(f"w2sg needs {error.name}, which the package's extra brings: pip install 'w2sg[run]'")
    enter()


if __name__ == "__main__":
    launch()
