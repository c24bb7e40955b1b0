"""``python -m minitfm.exercises grade FOLDER [--seconds N]`` writes grades as CSV."""

import argparse
import sys
from pathlib import Path

from minitfm.exercises.grade import SECONDS, grade


def main(words: list[str] | None = None) -> None:
    """Read the command line and grade."""
    parser = argparse.ArgumentParser(prog="python -m minitfm.exercises")
    commands = parser.add_subparsers(dest="command", required=True)
    grading = commands.add_parser("grade", help="grade the notebooks under a folder")
    grading.add_argument("folder", type=Path)
    grading.add_argument(
        "--seconds", type=float, default=SECONDS, help="limit for one notebook"
    )
    options = parser.parse_args(words)
    try:
        grade(options.folder, sys.stdout, options.seconds)
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
