from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from app import voice_worker
from app.voice_worker import VoiceWorker
from engine.adaptation import Refinement
from engine.events import PhonemeEvent, VoiceDescriptor
from engine.voice import VoiceEncoder
from tests.app.calls import wait_for
from tests.speech import any_speech


def test_the_voice_is_learned_while_they_talk_and_forgotten_at_the_end() -> None:
    speech = any_speech(6.0)
    measured = VoiceEncoder().describe(speech)
    worker = VoiceWorker()
    try:
        worker.measured(measured)
        for start in range(0, len(speech), 1600):
            worker.push(speech[start : start + 1600])
            time.sleep(0.005)
        wait_for(lambda: worker.voice is not None and worker.similarity is not None, "a voice")
        assert worker.voice is not None
        assert worker.voice.stages == measured.stages
        assert worker.similarity is not None
        assert worker.similarity > 0.6
        assert worker.steps >= 1
    finally:
        worker.close()
    assert worker.voice is None


def test_a_voice_is_more_like_its_talker_than_another_one() -> None:
    speech = any_speech(6.0)
    own = VoiceEncoder().describe(speech)
    worker = VoiceWorker()
    worker.close()  # this test is its thread
    worker._kept = speech
    likeness = []
    for voice in (own, VoiceDescriptor(0, 100, tuple(64 - stage for stage in own.stages))):
        worker._compare(voice)
        assert worker.similarity is not None and -1.0 <= worker.similarity <= 1.0
        likeness.append(worker.similarity)
    assert likeness[0] > likeness[1] + 0.1


def test_silence_gives_no_voice_and_a_flood_is_dropped() -> None:
    worker = VoiceWorker()
    try:
        for _ in range(40):
            worker.push(np.zeros(16_000, np.float32))
        wait_for(lambda: worker._queued == 0, "the silence to be looked at")
        worker.push(np.zeros(16_000, np.float32))
        wait_for(lambda: worker._queued == 0, "all that came before to be done with")
        assert worker.voice is None
        assert worker.similarity is None
        assert worker.steps == 0
        assert worker.dropped > 0
    finally:
        worker.close()


def test_talking_on_while_the_voice_is_refined_hurts_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = PhonemeEvent(0, 3, 0, 8, True, (14, 16), 15)
    seen: list[int] = []

    def look(
        voice: object, mel: object, events: list[PhonemeEvent], steps: int, wanted: object
    ) -> Refinement:
        seen.append(len(events))
        return Refinement(descriptor=voice, before=0.0, after=0.0)  # type: ignore[arg-type]

    monkeypatch.setattr(voice_worker, "refine", look)
    worker = VoiceWorker()
    worker.close()  # this test is its thread
    worker._kept = np.zeros(16_000, np.float32)
    stop = threading.Event()

    def talk() -> None:
        while not stop.is_set():
            worker.said(event)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    talker = threading.Thread(target=talk)
    talker.start()
    try:
        for _attempt in range(60):
            worker._refine(VoiceDescriptor(0, 100, (1,)))
    finally:
        stop.set()
        talker.join()
        sys.setswitchinterval(interval_s)
    assert len(seen) == 60


FORGETFUL = """
import time
import numpy as np
import torch
from app import voice_worker
from engine.events import VoiceDescriptor
from engine.adaptation import Refinement

begun = []

def refine(voice, mel, events, steps, wanted):
    begun.append(True)
    while wanted():
        torch.ones(200, 200).exp().sum()
    print("let go", flush=True)
    return Refinement(voice, 0.0, 0.0)

voice_worker.refine, voice_worker.REFINE_AFTER_S = refine, 0.1
voice_worker.embed = lambda pcm: None
worker = voice_worker.VoiceWorker()
worker.measured(VoiceDescriptor(1, 100, (1, 2, 3)))
while not begun:
    worker.push(np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32))
    time.sleep(0.05)
"""


def test_a_program_that_ends_while_the_voice_is_refined_ends_cleanly() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FORGETFUL], capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "let go\n" and "terminate" not in ended.stderr
