"""``python -m w2sg.command``, in a clone that is not installed."""

from w2sg.command.app import enter

if __name__ == "__main__":
    enter()
