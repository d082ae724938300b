"""Decontamination, §2.1: no page may share 10 consecutive grams with a benchmark text.

A benchmark question of 3 to 9 grams is looked for as a whole. A gram is a word, a number or an operator
(:func:`dsm_repro.corpus.tokens.grams`).

The paper removes "any text segment" with a hit and does not say what a segment is. Here it is the whole page,
as in DeepSeek-Coder, whose method the paper takes over and which excludes the whole file: a page that copies a
problem in one paragraph solves it in the next, and with the paragraph gone the solution would stay.
"""

from dsm_repro.corpus.decontamination.evidence import benchmark_state, with_frequencies
from dsm_repro.corpus.decontamination.index import BenchmarkIndex, Evidence

__all__ = ["BenchmarkIndex", "Evidence", "benchmark_state", "with_frequencies"]
