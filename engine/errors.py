"""The one exception the program shows to people; its message says what to do."""

from __future__ import annotations


class SottovoceError(Exception):
    """Bad input or a missing part. ``str(error)`` is one line for the user."""
