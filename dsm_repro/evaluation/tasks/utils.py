"""What the task YAMLs call. lm-eval loads this file by path, so it holds imports and nothing else."""

from dsm_repro.evaluation.scoring import process_results
from dsm_repro.evaluation.taskdata import load_dataset

__all__ = ["load_dataset", "process_results"]
