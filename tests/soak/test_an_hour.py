"""An hour of two people talking over a link that loses a fifth, on a virtual clock.

Real events of the real encoder, said over and over, go both ways through packetizers, links and
jitter buffers; every tenth minute is spoken aloud as well. Run with ``pytest -m soak tests/soak``;
SOTTOVOCE_SOAK_MINUTES sets another length.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.simulate import encode_stream
from app.simulated_arms import STEP_MS
from app.talker import conversation, find_talkers
from engine.decoder import SpeechDecoder
from engine.events import TICK_MS, PhonemeEvent
from engine.playout import BUFFER_EVENTS, Playout, PlayoutAction
from tests.soak.resident import resident_mb
from transport.control import encode_control, parse_control
from transport.depacketizer import WINDOW_EVENTS, Depacketizer
from transport.impair import ImpairmentSettings
from transport.loopback import LoopbackLink, loopback_pair
from transport.packetizer import HISTORY_EVENTS, Packetizer
from transport.reports import REPORT_INTERVAL_MS, WINDOW_PACKETS, ReceiverReport, ReceptionMeter

MINUTES = max(6, int(os.environ.get("SOTTOVOCE_SOAK_MINUTES", "60")))  # the first settle
LOOP_S = 40.0  # of speech, said again and again
SPOKEN_EVERY = 10  # minutes
LINK = ImpairmentSettings(loss=0.2, delay_ms=60, jitter_ms=30, reorder=True, drift_ppm=50)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

Known = list[tuple[float, PhonemeEvent]]


class End:
    """One of the two: says a loop of events over and over, hears the other."""

    def __init__(self, link: LoopbackLink, loop: Known) -> None:
        self.link = link
        self.loop = loop
        self.decoder = SpeechDecoder()
        self.packetizer, self.depacketizer = Packetizer(), Depacketizer()
        self.playout, self.meter = Playout(), ReceptionMeter()
        self.said = self.heard = 0
        self.spoken_ms = 0.0
        self.report_ms = REPORT_INTERVAL_MS
        self.delays: list[float] = []
        """Of this minute: from an event's start at the microphone to its start at the ear."""

    def speak(self, now_ms: float) -> None:
        while True:
            turn, place = divmod(self.said, len(self.loop))
            known_ms, event = self.loop[place]
            shift_ms = turn * LOOP_S * 1000.0
            if known_ms + shift_ms > now_ms:
                break
            ticks = event.start_tick + round(shift_ms / TICK_MS)
            self.packetizer.push([replace(event, index=self.said, start_tick=ticks)])
            self.said += 1
        for timestamp, payload in self.packetizer.poll(now_ms):
            self.link.send("phonemes", timestamp, payload, now_ms)

    def listen(self, now_ms: float) -> None:
        for packet in self.link.receive(now_ms):
            self.meter.on_packet(packet)
            for event in self.depacketizer.parse(packet) or ():
                self.playout.push(event, packet.arrival_ms)
        for message in self.link.receive_control():
            report = parse_control(message)
            if isinstance(report, ReceiverReport):
                self.packetizer.on_report(report)
        if now_ms >= self.report_ms:
            self.report_ms += REPORT_INTERVAL_MS
            report = self.meter.report(now_ms, self.depacketizer.acked_index)
            self.link.send_control(encode_control(report))

    def play(self, now_ms: float, aloud: bool) -> None:
        while self.spoken_ms < now_ms + STEP_MS:
            step = self.playout.pull(self.spoken_ms)
            if aloud and step.spoken is None:
                assert np.isfinite(self.decoder.silence(step.play_ticks)).all()
            elif aloud and step.spoken is not None:
                assert np.isfinite(self.decoder.speak(step.spoken)).all()
            made_up = step.action in (PlayoutAction.EXPAND, PlayoutAction.CONCEAL)
            if step.spoken is not None and not made_up:
                self.heard += 1
                if not step.spoken.event.is_silence:
                    clock = 1.0 + LINK.drift_ppm * 1e-6  # of this end against the talker's
                    begun_ms = step.spoken.event.start_tick * TICK_MS * clock
                    self.delays.append(self.spoken_ms - begun_ms)
            self.spoken_ms += step.play_ticks * TICK_MS

    def check_bounds(self) -> None:
        assert len(self.packetizer._history) <= HISTORY_EVENTS
        assert len(self.packetizer._pending) <= 64
        assert len(self.depacketizer._known) <= WINDOW_EVENTS + 64
        assert len(self.playout._waiting) <= BUFFER_EVENTS
        assert len(self.playout._arrived_ms) <= BUFFER_EVENTS
        assert len(self.meter._window) <= WINDOW_PACKETS
        assert len(self.link._inbox) <= 64


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_an_hour_of_talk_at_a_fifth_lost_neither_grows_nor_drifts() -> None:
    talkers = find_talkers()
    tracks = conversation(talkers[0].pcm, talkers[1].pcm, LOOP_S)
    loops: list[Known] = [list(encode_stream(track).events) for track in tracks]
    links = loopback_pair(LINK, seed=11)
    ends = [End(link, loop) for link, loop in zip(links, loops, strict=True)]
    medians: list[float] = []
    memory_mb: list[float] = []
    now_ms = 0.0
    for minute in range(MINUTES):
        while now_ms < (minute + 1) * 60_000.0:
            now_ms += STEP_MS
            for end in ends:
                end.speak(now_ms)
            for end in ends:
                end.listen(now_ms)
                end.play(now_ms, aloud=minute % SPOKEN_EVERY == 1)
        for end in ends:
            end.check_bounds()
        medians.append(float(np.median([d for end in ends for d in end.delays])))
        for end in ends:
            end.delays.clear()
        memory_mb.append(resident_mb())
    print("minute: median delay, memory", *zip(medians, memory_mb, strict=True), sep="\n")
    lost = 1 - sum(end.heard for end in ends) / sum(end.said for end in ends)
    print(f"{sum(end.said for end in ends)} events said, {lost:.2%} not spoken")
    assert lost <= 0.02
    assert max(memory_mb[2:]) <= 1.05 * memory_mb[2]
    early, late = medians[1 : len(medians) // 3], medians[-len(medians) // 3 :]
    assert abs(np.mean(late) - np.mean(early)) <= 40.0
    assert max(medians[1:]) - min(medians[1:]) <= 250.0
