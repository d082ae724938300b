"""``python -m dsm_repro.reasoning.reft_files FILE... --out OUT``: files of ReFT's repository as JSON lines.

github.com/lqtrung1998/mwp_ReFT has the solutions to SVAMP's training questions in words (``data/svamp_nl.json``) and as
programs (``data/svamp_python_sdp.json``), and its test questions (``data/svamp_test_set.json``). Each is one JSON list
of objects with ``item_id``, ``question``, ``answer_value`` and, but for the test, ``answer_cot``. What is written has
``id``, ``question``, ``answer``, and the solution as ``cot`` or ``pot``. Of several files, a question that one of them
lacks is left out. :mod:`dsm_repro.reasoning.solutions` reads the result.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from dsm_repro.config.errors import DataError, DsmError
from dsm_repro.reasoning.problemset import text_of, write_lines
from dsm_repro.reasoning.reft_programs import as_script


def lines_of(path: Path) -> dict[str, dict[str, str]]:
    """Id -> fields, in the file's order. Raises DataError for a file that is no such list."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {text_of(row, "item_id"): _fields(row) for row in rows}
    except OSError as error:
        raise DataError(f"FILE={path}: cannot be read ({error.strerror}). Give an existing file.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"FILE={path}: not a JSON list of objects with item_id, question and answer_value ({error!r}). Give a "
            "file of ReFT's folder data."
        ) from error


def _fields(row: dict[str, str]) -> dict[str, str]:
    fields = {
        "id": text_of(row, "item_id"),
        "question": text_of(row, "question"),
        "answer": text_of(row, "answer_value"),
    }
    if "answer_cot" not in row:
        return fields
    solution = text_of(row, "answer_cot")
    is_program = solution.lstrip().startswith(("def ", "import ", "from ")) or as_script(solution) is not None
    return {**fields, "pot" if is_program else "cot": solution}


def joined(files: Sequence[dict[str, dict[str, str]]]) -> list[dict[str, str]]:
    """The questions that every file has, in the first one's order, with the solutions of all."""
    first, *others = files
    return [
        {**row, **{field: text for other in others for field, text in other[name].items()}}
        for name, row in first.items()
        if all(name in other for other in others)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dsm_repro.reasoning.reft_files", description=__doc__.split("\n")[0]
    )
    parser.add_argument("file", type=Path, nargs="+", help="svamp_nl.json and svamp_python_sdp.json, or a test set")
    parser.add_argument("--out", type=Path, required=True, help="the JSON lines to write")
    options = parser.parse_args(arguments)
    try:
        rows = joined([lines_of(path) for path in options.file])
        if not rows:
            raise DataError(f"FILE={', '.join(map(str, options.file))}: no question stands in all of them.")
        write_lines(rows, options.out)
    except DsmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(rows):,} questions, written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
