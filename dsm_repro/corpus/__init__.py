"""Corpus curation, §2.1: from crawled pages to a ranked, deduplicated, decontaminated maths corpus."""
