"""Loads ahead what a call and its window need.

Loading a library or a model holds Python's interpreter, and longest where the disk is busy. While
the start page is shown nobody minds; in a call it would stop sound and window alike.
"""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def load() -> None:
    """Takes some seconds, the first time. What is missing is told by whoever needs it."""
    import numpy as np
    import torch

    import app.engine_worker  # noqa: F401
    from app import export
    from app.devices import list_devices
    from app.processing import EchoGuard
    from engine.dvector import embed
    from engine.encoder import SpeechEncoder
    from engine.mel import SAMPLE_RATE_HZ

    torch.set_num_threads(1)
    silence = np.zeros(SAMPLE_RATE_HZ // 4, np.float32)
    steps = (
        lambda: SpeechEncoder().push(silence),
        lambda: embed(silence),
        EchoGuard,
        lambda: list_devices("output"),  # PortAudio brings some sixty libraries along
        export.load,
    )
    for step in steps:
        try:
            step()
        except Exception as error:
            log.info("not loaded ahead: %s", error)
