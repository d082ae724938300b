"""Can every library that draws at random take the seeds?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from dsm_repro.config.errors import ConfigError

if TYPE_CHECKING:
    from dsm_repro.config.compose import Sweep

#: numpy's legacy generator takes no larger one, and transformers seeds it
SEEDS = 2**32


def check_seeds(sweep: Sweep) -> None:
    """Raise ConfigError for a seed out of range; all arms are asked, since replicates differ in nothing else."""
    found = list(_faults("sweep.replicates.seeds", sweep.claim.replicates.seeds)) if sweep.declared else []
    for arm in sweep.arms:
        # those that follow ${seed} are told by it
        own = {f"seeds.{stage}": seed for stage, seed in asdict(arm.config.seeds).items() if seed != arm.config.seed}
        for key, seed in {"seed": arm.config.seed, **own}.items():
            found += _faults(key, [] if sweep.declared and seed in sweep.claim.replicates.seeds else [seed])
    if found:
        raise ConfigError("\n".join(dict.fromkeys(found)))


def _faults(key: str, seeds: Iterable[int]) -> Iterator[str]:
    for seed in seeds:
        if not 0 <= seed < SEEDS:
            yield f"{key}={seed}: a seed must lie between 0 and 2**32 - 1. Give another number."
