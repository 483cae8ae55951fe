"""The command `leanpose`: one module here per sub-command, imported when it is called."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

COMMANDS = {
    "predict": "find the keypoints of persons in pictures and draw them",
    "detect": "find the persons in pictures and videos and draw their boxes",
    "evaluate": "measure results against ground truth",
    "info": "show what a model file says of itself",
    "card": "write the model card of an ONNX file",
    "quantize": "write a smaller copy of a model, in fp16 or int8",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `leanpose` with the given arguments; returns the exit code, 0 only where everything worked."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="leanpose", description="Human pose inference with ONNX models.")
    parser.add_argument("--version", action="version", version=f"leanpose {version('leanpose')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # Only the command that is called is imported: `leanpose --help` stays quick.
    called = next((word for word in given if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        if name == called:
            import_module(f".{name}", __name__).add_arguments(command)
    options = parser.parse_args(given)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        code = int(import_module(f".{options.command}", __name__).run(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read has gone, as `head` does: there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
        print(f"leanpose {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"leanpose {options.command}: interrupted", file=sys.stderr)
        return 130
