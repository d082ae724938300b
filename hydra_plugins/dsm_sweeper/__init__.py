"""Hydra finds the sweeper here: ``hydra/sweeper=dsm``."""
