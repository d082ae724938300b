"""What a program may use besides the limits that the config sets (time, memory, output)."""

from __future__ import annotations

#: processes and threads of one program, its own included
PROCESSES = 32
#: files that one program may hold open
OPEN_FILES = 64
#: one file, bytes
FILE_BYTES = 16 * 2**20
#: all files of one program: its temporary directory lives in memory
TMPFS_BYTES = 32 * 2**20
TMPFS_FILES = 2_000
#: end of standard error that is kept, bytes
ERROR_BYTES = 4_000
#: a longer program is refused, bytes
PROGRAM_BYTES = 200_000
#: what the warm interpreter imports by itself, once, when a program names the first of each: sympy loads the others
#: when it solves, integrates or simplifies for the first time, which is in every program anew
PRELOADABLE = {
    "sympy": (
        "sympy",
        "sympy.assumptions.wrapper",
        "sympy.combinatorics.perm_groups",
        "sympy.integrals.heurisch",
        "sympy.integrals.manualintegrate",
        "sympy.integrals.prde",
        "sympy.integrals.rde",
        "sympy.integrals.risch",
        "sympy.physics.units",
        "sympy.sets.setexpr",
        "sympy.tensor.tensor",
    ),
    "numpy": ("numpy",),
}
#: modules that nearly every program wants
PRELOADED = ("math", "fractions", "itertools", "collections", "random", "decimal", "functools", "re")
