"""Cross-field checks, before any compute: each message names the key, the value and the fix.

One small function per subject, in ``config.checks``; a check yields the messages of what cannot work. Checks import
nothing heavy and ask nothing of the disk: whether files are there is in ``config.files``.
"""

from __future__ import annotations

from dsm_repro.config.checks.budget import check_budget
from dsm_repro.config.checks.comparisons import check_comparisons
from dsm_repro.config.checks.corpus import check_corpus
from dsm_repro.config.checks.evaluation import check_evaluation, check_sandbox_and_grader
from dsm_repro.config.checks.execution import check_execution, check_until
from dsm_repro.config.checks.places import check_places
from dsm_repro.config.checks.rl import check_difficulty, check_reward, check_reward_model, check_rl
from dsm_repro.config.checks.seeds import check_seeds
from dsm_repro.config.checks.training import check_base, check_pretrain, check_problems, check_sft
from dsm_repro.config.checks.words import Check
from dsm_repro.config.compose import Sweep
from dsm_repro.config.errors import ConfigError
from dsm_repro.config.files import missing_files
from dsm_repro.config.gate import gate_faults
from dsm_repro.config.resolve import CURATION
from dsm_repro.config.schema import Config
from dsm_repro.config.sharing import sharing_faults
from dsm_repro.config.tuning import tuning_faults

CHECKS: tuple[Check, ...] = (
    check_until,
    check_corpus,
    check_base,
    check_pretrain,
    gate_faults,
    check_problems,
    check_sft,
    tuning_faults,
    check_rl,
    check_difficulty,
    check_reward,
    check_reward_model,
    check_evaluation,
    check_sandbox_and_grader,
    check_execution,
    sharing_faults,
)


#: curation alone (``until=crawl``, ``until=corpus``) asks for no model and no problems
CORPUS_ONLY: tuple[Check, ...] = (check_until, check_corpus, check_execution)


def faults(config: Config) -> list[str]:
    """What in the config itself cannot work: the messages of every check, in order."""
    return [message for check in (CORPUS_ONLY if config.until in CURATION else CHECKS) for message in check(config)]


def validate(config: Config) -> None:
    """Raise ConfigError with one line per fault or missing file."""
    found = faults(config) or missing_files(config)
    if found:
        raise ConfigError("\n".join(found))


def validate_sweep(sweep: Sweep) -> None:
    """Check each arm once (replicates differ in seeds only), that comparisons name arms that exist, and that what is
    said to be held equal is.

    Whether files are there is another question (``config.files``): a plan can be made without them.
    """
    check_seeds(sweep)
    check_places(sweep)
    arms = sweep.first_of_each()
    for arm in arms:
        found = faults(arm.config)
        if found:
            where = f"arm {arm.name}: " if len(arms) > 1 else ""
            raise ConfigError("\n".join(where + message for message in found))
    check_budget(sweep)
    check_comparisons(sweep)
