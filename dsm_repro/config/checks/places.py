"""One command has one store and one way to work: arms cannot differ in where they are kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError
from dsm_repro.config.factor import HOW_AND_WHERE, under

if TYPE_CHECKING:
    from dsm_repro.config.compose import Sweep


def check_places(sweep: Sweep) -> None:
    """Raise ConfigError for several values of what is no part of an arm, of which the first would silently hold for
    all, and for a name of the sweep that is no name of a folder.
    """
    if not re.fullmatch(r"\w[\w.-]*", sweep.name):
        raise ConfigError(
            f"sweep.name={sweep.name!r}: a folder of the store and of the reports gets this name. Use letters, digits, "
            "_, - and ., and begin with a letter or digit."
        )
    if not sweep.declared:
        for key in sweep.claim.factor.split(","):
            if under(key, HOW_AND_WHERE):
                raise ConfigError(
                    f"{key}: several values, but one command works in one place and in one way, which is no part of "
                    "an arm. Give one value, and run the command once for each."
                )
    first = sweep.arms[0]
    for arm in sweep.first_of_each():
        if arm.config.paths != first.config.paths:
            raise ConfigError(
                f"sweep={sweep.name}: arms {first.name} and {arm.name} have different paths (store "
                f"{first.config.paths.store!r} and {arm.config.paths.store!r}). Set paths for the command, not an arm."
            )
