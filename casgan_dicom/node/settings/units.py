"""Units of settings."""

MEBIBYTE = 1024 * 1024
