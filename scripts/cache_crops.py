"""Packs the persons of COCO-format folders into crop caches for training.

    python scripts/cache_crops.py FOLDER... -o OUT

Each FOLDER holds annotations.json and images/; OUT gets one cache per folder, named after it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import _repository  # noqa: F401  (makes model_defs importable)
from training.cache import SIDE, build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument(
        "--side", type=int, default=SIDE, help="largest crop in pixels, 1.6 times the input's height (%(default)s)"
    )
    options = parser.parse_args()
    for folder in options.folders:
        count = build(folder, options.out / folder.name, options.jobs, options.side)
        print(f"{folder.name}: {count} persons", flush=True)


if __name__ == "__main__":
    main()
