"""The sections of a sweep's page, each a pure function of what was read and measured."""
