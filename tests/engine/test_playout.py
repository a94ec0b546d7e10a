"""The jitter buffer on a virtual clock: in time, in order, once, whatever the link does."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.packet_policy import talk
from engine.events import TICK_MS, PhonemeEvent
from engine.phonemes import PHONEME_ID, SILENCE
from engine.playout import BUFFER_EVENTS, Playout, PlayoutAction, PlayoutStep


def sentence(seconds: float, seed: int) -> list[PhonemeEvent]:
    """Speech that ends in a pause."""
    events = talk(seconds, seed)
    return [*events, PhonemeEvent(len(events), SILENCE, events[-1].end_tick, 20)]


SPEECH = sentence(60.0, seed=11)


@dataclass
class Run:
    playout: Playout
    steps: list[tuple[float, PlayoutStep]] = field(default_factory=list)

    @property
    def spoken(self) -> list[int]:
        """Indices of the events spoken as they were sent."""
        silent = (PlayoutAction.EXPAND, PlayoutAction.CONCEAL)
        return [s.spoken.event.index for _, s in self.steps if s.spoken and s.action not in silent]

    def delay_ms(self) -> dict[int, float]:
        silent = (PlayoutAction.EXPAND, PlayoutAction.CONCEAL)
        return {
            s.spoken.event.index: now - s.spoken.event.start_tick * TICK_MS
            for now, s in self.steps
            if s.spoken and s.action not in silent
        }


def play(arrivals: list[tuple[float, PhonemeEvent]], until_ms: float) -> Run:
    """Pull whenever less than 20 ms are left to play, as the far end does."""
    run = Run(Playout())
    queue = sorted(arrivals, key=lambda a: a[0])
    now_ms, played_until_ms = 0.0, 0.0
    while now_ms < until_ms:
        while queue and queue[0][0] <= now_ms:
            at_ms, event = queue.pop(0)
            run.playout.push(event, at_ms)
        while played_until_ms < now_ms + 20.0:
            step = run.playout.pull(now_ms)
            run.steps.append((now_ms, step))
            played_until_ms = max(played_until_ms, now_ms) + step.play_ticks * TICK_MS
        now_ms += 10.0
    return run


def regular(
    events: list[PhonemeEvent], delay_ms: float = 300.0
) -> list[tuple[float, PhonemeEvent]]:
    return [(e.start_tick * TICK_MS + delay_ms, e) for e in events]


def test_a_regular_link_plays_every_event_once_in_order_and_unchanged() -> None:
    run = play(regular(SPEECH), 70_000)
    assert run.spoken == [e.index for e in SPEECH]
    stats = run.playout.stats()
    assert stats.events_lost == stats.events_concealed == 0
    spoken = [s for _, s in run.steps if s.spoken]
    assert all(s.action is PlayoutAction.NORMAL for s in spoken[40:])


def test_before_anything_arrives_there_is_silence() -> None:
    step = Playout().pull(0.0)
    assert step.action is PlayoutAction.SILENCE and step.spoken is None and step.play_ticks >= 1


def test_a_missing_event_is_predicted_from_its_neighbours_and_spoken_more_softly() -> None:
    arrivals = [(t, e) for t, e in regular(SPEECH) if e.index != 50]
    run = play(arrivals, 70_000)
    concealed = [s for _, s in run.steps if s.action is PlayoutAction.CONCEAL]
    assert [s.spoken.event.index for s in concealed if s.spoken] == [50]
    assert concealed[0].spoken is not None and concealed[0].spoken.gain_db < 0
    assert run.playout.stats().events_lost == run.playout.stats().events_concealed == 1
    assert run.spoken == [e.index for e in SPEECH if e.index != 50]


def test_a_late_event_stretches_the_one_before_and_time_is_made_up() -> None:
    tail = next(e.index for e in SPEECH if e.index > 60 and not e.is_silence)
    resumed_ms = SPEECH[tail + 1].start_tick * TICK_MS + 300.0 + 150.0
    arrivals = [(max(t, resumed_ms) if e.index > tail else t, e) for t, e in regular(SPEECH)]
    run = play(arrivals, 75_000)
    stats = run.playout.stats()
    assert any(s.action is PlayoutAction.EXPAND for _, s in run.steps)
    assert stats.events_lost == 0 and run.spoken == [e.index for e in SPEECH]
    delays = run.delay_ms()
    assert delays[SPEECH[-1].index] < delays[tail - 10] + 60.0


def test_expansion_fades_and_ends_in_silence() -> None:
    vowel = PhonemeEvent(0, PHONEME_ID["ɑː"], 0, 10, True, (20, 20), 15)
    run = play([(300.0, vowel)], 2000.0)
    gains = [
        s.spoken.gain_db for _, s in run.steps if s.action is PlayoutAction.EXPAND and s.spoken
    ]
    assert gains == sorted(gains, reverse=True) and gains[-1] <= -5.0
    assert run.steps[-1][1].action is PlayoutAction.SILENCE
    assert run.playout.stats().expanded_ticks <= 30


@pytest.mark.parametrize("drift_ppm", [-300.0, 300.0])
def test_clock_drift_is_absorbed(drift_ppm: float) -> None:
    events = sentence(600.0, seed=12)
    arrivals = [((e.start_tick * TICK_MS + 300.0) * (1.0 + drift_ppm * 1e-6), e) for e in events]
    run = play(arrivals, 612_000)
    waits = [
        now - s.spoken.event.start_tick * TICK_MS * (1.0 + drift_ppm * 1e-6)
        for now, s in run.steps
        if s.spoken and s.action not in (PlayoutAction.EXPAND, PlayoutAction.CONCEAL)
    ]
    assert run.spoken == [e.index for e in events]
    assert max(waits[100:]) - min(waits[100:]) < 120.0
    changed = [abs(s.play_ticks - s.spoken.event.duration_ticks) for _, s in run.steps if s.spoken]
    assert sum(change > 0 for change in changed[100:]) < len(changed) * 0.05


def test_a_copy_with_more_codes_replaces_the_first_one() -> None:
    playout = Playout()
    bare = PhonemeEvent(0, 1, 0, 8, codes=())
    full = PhonemeEvent(0, 1, 0, 8, codes=(1, 2, 3))
    playout.push(bare, 300.0)
    playout.push(full, 310.0)
    steps = [playout.pull(310.0 + 10.0 * i) for i in range(20)]
    spoken = [s.spoken.event for s in steps if s.spoken and s.action is PlayoutAction.NORMAL]
    assert spoken == [full] and playout.stats().events_received == 1


def test_after_an_outage_old_events_are_not_replayed() -> None:
    outage = [(max(t, 40_000.0) if t > 20_000 else t, e) for t, e in regular(SPEECH)]
    run = play(outage, 75_000)
    silent = {e.index for e in SPEECH if e.is_silence}
    late = [i for i, d in run.delay_ms().items() if d > 300.0 + 2500.0 and i not in silent]
    assert late == []
    assert run.spoken[-1] == SPEECH[-1].index
    assert run.playout.stats().events_skipped > 50


def test_a_new_talkspurt_starts_on_the_line_again() -> None:
    speech = [e for e in SPEECH if not 20_000 < e.start_tick * TICK_MS < 35_000]
    renumbered = [
        PhonemeEvent(i, e.phoneme, e.start_tick, e.duration_ticks, e.voiced, e.pitch, e.energy)
        for i, e in enumerate(speech)
    ]
    run = play(regular(renumbered), 70_000)
    delays = list(run.delay_ms().values())
    assert run.spoken == list(range(len(renumbered)))
    assert max(delays[50:]) - min(delays[50:]) <= 40.0


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_order_loss_or_copy_makes_it_stall_or_repeat(data: st.DataObject) -> None:
    events = SPEECH[:150]
    seed = data.draw(st.randoms(use_true_random=False))
    loss, jitter_ms = data.draw(st.floats(0, 0.9)), data.draw(st.floats(0, 1200.0))
    arrivals = []
    for event in events:
        for _ in range(seed.choice([1, 1, 2, 3])):
            if seed.random() >= loss:
                arrivals.append(
                    (event.start_tick * TICK_MS + 200 + seed.uniform(0, jitter_ms), event)
                )
    run = play(arrivals, events[-1].end_tick * TICK_MS + 6000)
    assert len(run.spoken) == len(set(run.spoken)) and run.spoken == sorted(run.spoken)
    assert all(1 <= step.play_ticks <= 60 for _, step in run.steps)
    assert all(d <= 200 + 1200 + 1500 + 900 for d in run.delay_ms().values())
    assert run.steps[-1][1].action is PlayoutAction.SILENCE
    assert set(run.spoken) <= {e.index for _, e in arrivals}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 70_000), st.integers(0, 1 << 31), st.integers(1, 20), st.floats(0, 1e7)
        ),
        max_size=60,
    )
)
def test_nonsense_events_never_break_it(pushed: list[tuple[int, int, int, float]]) -> None:
    playout = Playout()
    for index, tick, ticks, now_ms in pushed:
        playout.push(PhonemeEvent(index, SILENCE, tick, ticks), now_ms)
        step = playout.pull(now_ms)
        assert 1 <= step.play_ticks <= 60
    assert playout.pull(2e7).play_ticks >= 1


def test_a_flood_of_events_is_bounded() -> None:
    playout = Playout()
    for index in range(5000):
        playout.push(PhonemeEvent(index, 1, index * 5, 5), 10.0)
    assert len(playout._waiting) <= BUFFER_EVENTS and len(playout._arrived_ms) <= BUFFER_EVENTS


def test_a_pause_that_is_known_only_when_it_ends_neither_drawls_nor_delays() -> None:
    pauses = {e.index for e in SPEECH if e.is_silence}
    arrivals = [(t + (1500.0 if e.index in pauses else 0.0), e) for t, e in regular(SPEECH)]
    starts = {e.index: t for t, e in regular(SPEECH)}
    arrivals = [
        (max(t, starts.get(e.index + 1, t)) if e.index in pauses else t, e) for t, e in arrivals
    ]
    run = play(arrivals, 75_000)
    assert run.playout.stats().target_delay_ms < 60.0
    longest = run_length = 0
    for _, step in run.steps:
        run_length = run_length + step.play_ticks if step.action is PlayoutAction.EXPAND else 0
        longest = max(longest, run_length)
    assert longest * TICK_MS <= 100
