"""Errors that a user can act on: they name the key or file, the value, and the fix."""

from __future__ import annotations


class DsmError(Exception):
    """Base of every error that the command line prints without a traceback."""


class ConfigError(DsmError):
    """A configuration value that cannot work."""


class DataError(DsmError):
    """A data or model file that is missing or cannot be read."""


class ServerError(DsmError):
    """A server that a stage works with is gone, silent, or answers wrongly."""


class StoreError(DsmError):
    """An artifact that is damaged, or a store that cannot be written."""


class DiskFullError(StoreError):
    """The store's disk, or the share of it that this user may fill, has no room left."""
