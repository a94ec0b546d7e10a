"""The small parts of a call, each on its own: states, words, delays, rates, sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.call_recording import CallRecording
from app.call_state import MOVES, CallState, may_move
from app.call_switches import CallSwitches, impairment_words
from app.call_words import CallWords
from app.delays import ClockOffset, FarDelays, NearDelays
from app.export import EventRow
from app.far_end import FarEnd
from app.far_sound import CROSSFADE, FarSound
from app.levels import LevelMeter
from app.loudness import LoudnessMatch, soft_limit
from app.near_end import NearEnd
from app.network import STREAM_VERSION, Network
from app.processing import EchoGuard
from app.rates import RateMeter
from app.side_messages import Ping, Pong, Timing, encode_side, parse_side
from app.stats import CallStats
from app.summary import summarise
from app.talker import conversation
from engine.events import PhonemeEvent
from engine.intelligibility import MISSING
from engine.opus import OpusEncoder
from tests.speech import any_speech
from transport.control import Hello, encode_control, parse_control
from transport.impair import ImpairmentSettings
from transport.link import ArmStats, LinkStats, MediaPacket
from transport.state import RtcSettings


def noise(seconds: float, level: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(int(seconds * 16_000))).astype(np.float32)


def test_an_ended_call_never_moves_again_and_every_state_can_end() -> None:
    assert not MOVES[CallState.ENDED]
    assert all(may_move(s, CallState.ENDED) for s in CallState if s is not CallState.ENDED)
    assert not may_move(CallState.IDLE, CallState.ACTIVE)


@pytest.mark.parametrize("message", [Ping(12.5), Pong(1.0, -2.0), Timing(99.0, 5.0, 160.0, 250.0)])
def test_side_messages_survive_the_wire_and_are_no_control_messages(message: object) -> None:
    data = encode_side(message)  # type: ignore[arg-type]
    assert parse_side(data) == message
    assert parse_control(data) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_rubbish_is_no_side_message(data: bytes) -> None:
    message = parse_side(data)
    assert message is None or encode_side(message) == data or isinstance(message, Timing)


def test_the_fastest_ping_tells_the_clock_offset() -> None:
    offset = ClockOffset()
    assert offset.ms is None
    offset.on_pong(Pong(1000.0, 6100.0), 1200.0)  # there slow, back fast
    offset.on_pong(Pong(2000.0, 7020.0), 2040.0)
    assert offset.ms == pytest.approx(5000.0)
    assert offset.round_trip_ms == pytest.approx(40.0)


def test_delay_stages_add_up_to_the_whole_way() -> None:
    near = NearDelays()
    for block in range(1, 51):
        near.on_samples(160, 160 * block, 8.0, 10.0 * block + 8.0)
    near.on_event(start_tick=20, now_ms=500.0)  # said at 200 ms
    near.on_packet(600.0)
    timing = near.timing()
    assert timing is not None
    far = FarDelays()
    far.timing = timing
    far.offset_ms = -5000.0  # their clock is 5 s behind
    far.on_arrival(20, 5660.0)
    far.on_spoken(30.0, 45.0)
    stages = far.stages()
    assert stages["capture"] + stages["recognise"] == pytest.approx(300.0)
    assert stages["packetise"] == pytest.approx(100.0)
    assert stages["network"] == pytest.approx(60.0, abs=1.0)
    assert sum(stages.values()) == pytest.approx(535.0, abs=1.0)


def test_rates_are_bits_a_second_and_losses_a_share_of_the_last_seconds() -> None:
    meter = RateMeter()
    for step in range(50):
        arm = ArmStats(
            packets_received=8 * step,
            packets_lost=2 * step,
            payload_bytes_received=25 * step,
            wire_bytes_sent=100 * step,
        )
        meter.sample(LinkStats(phonemes=arm), 200.0 * step)
    rates = meter.rates()["phonemes"]
    assert rates.received.payload_bps == pytest.approx(1000.0)
    assert rates.sent.wire_bps == pytest.approx(4000.0)
    assert meter.losses()["phonemes"] == pytest.approx(0.2)


def test_switching_the_arm_crossfades_without_a_gap_or_a_jump() -> None:
    sound = FarSound()
    t = np.arange(16_000) / 16_000
    sound.add("phonemes", (0.3 * np.sin(2 * np.pi * 200 * t)).astype(np.float32))
    # another moment of the same tone: changing over at once would be heard as a click
    sound.add("opus", (0.3 * np.sin(2 * np.pi * 200 * t + 2.0)).astype(np.float32))
    before, _, _ = sound.take(1600)
    sound.arm = "opus"
    after, _, _ = sound.take(1600)
    heard = np.concatenate([before, after])
    steady = np.abs(np.diff(before)).max()
    assert np.abs(np.diff(heard)).max() <= steady + 0.6 / CROSSFADE
    assert np.sqrt(np.mean(after[:CROSSFADE] ** 2)) > 0.1
    _, _, opus = sound.take(1600)
    assert sound._opus_share == 1.0 and np.abs(opus).max() > 0.2
    assert sound.queues["phonemes"].missing == 0


def test_both_arms_come_out_equally_loud() -> None:
    match = LoudnessMatch()
    quiet, loud = noise(8, 0.02), noise(8, 0.08, seed=2)
    out = [match.apply(quiet[i : i + 320], loud[i : i + 320]) for i in range(0, len(quiet), 320)]
    settled = np.concatenate(out)[-32_000:]
    difference_db = 20 * np.log10(np.std(settled) / np.std(loud[-32_000:]))
    assert abs(difference_db) < 1.0


def test_whichever_arm_is_heard_it_is_as_loud_and_the_volume_is_the_users() -> None:
    sound = FarSound()
    arms = {"phonemes": noise(12, 0.02), "opus": noise(12, 0.06, seed=2)}

    def hear(seconds: float) -> float:
        pieces = []
        for _ in range(int(seconds * 50)):
            for arm in ("phonemes", "opus"):
                piece, arms[arm] = arms[arm][:320], arms[arm][320:]
                sound.add("opus" if arm == "opus" else "phonemes", piece)
            pieces.append(sound.take(320)[0])
        return float(np.std(np.concatenate(pieces)[-8000:]))

    hear(6.0)
    phonemes = hear(1.0)
    sound.arm = "opus"
    opus = hear(1.0)
    assert abs(20 * np.log10(phonemes / opus)) < 1.0
    sound.volume = 0.5
    assert hear(1.0) == pytest.approx(opus / 2, rel=0.05)


def test_opus_waits_for_the_phonemes_without_a_seam() -> None:
    sound = FarSound("opus")
    said = noise(2, 0.1)
    heard = []
    for begin in range(0, len(said), 320):
        sound.add("phonemes", np.zeros(320, np.float32))
        sound.add("opus", said[begin : begin + 320])
        sound.lag = 4000 if begin >= 16_000 else 0
        heard.append(sound.take(320)[0])
    whole = np.concatenate(heard)
    assert np.array_equal(whole[:16_000], said[:16_000])
    assert np.array_equal(whole[16_000:], said[12_000:28_000])


def test_the_limiter_leaves_speech_alone_and_never_reaches_full_scale() -> None:
    assert np.array_equal(soft_limit(noise(0.1, 0.1)), noise(0.1, 0.1))
    assert np.abs(soft_limit(noise(0.1, 3.0))).max() <= 1.0


def test_a_clip_warning_stays_for_a_second() -> None:
    meter = LevelMeter()
    meter.push(np.array([0.0, 1.0], np.float32), 0.0)
    assert meter.level.clipped
    meter.push(noise(0.01, 0.01), 500.0)
    assert meter.level.clipped
    meter.push(noise(0.01, 0.01), 1600.0)
    assert not meter.level.clipped


def test_a_muted_microphone_or_a_key_that_is_up_closes_it() -> None:
    switches = CallSwitches(
        arm="phonemes",
        layers=3,
        volume=1.0,
        opus_rate_bps=6000,
        opus_frame_ms=60,
        processing=(False, False, False),
        tell=lambda notice: None,
        recording_info=lambda stats: {},
    )
    assert switches.microphone_open
    switches.push_to_talk = True
    assert not switches.microphone_open
    switches.talk_key = True
    assert switches.microphone_open
    switches.muted = True
    assert not switches.microphone_open


class Wire:
    """A link that counts what is given to it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []

    def send(self, arm: str, _timestamp: int, payload: bytes, _now_ms: float) -> None:
        self.sent.append((arm, len(payload)))


@pytest.mark.parametrize("opened", [True, False], ids=["open", "closed"])
def test_what_a_closed_microphone_hears_goes_nowhere(opened: bool) -> None:
    wire, sounds, events = Wire(), list[np.ndarray](), list[PhonemeEvent]()
    guard = EchoGuard(echo=False, noise=False, gain=False)
    near = NearEnd(2, guard, events.append, sounds.append)
    near.set_opus(6000, 60)
    near.open = opened
    speech, loudest = any_speech(3.0), -96.0
    for number in range(150):
        piece = speech[320 * number : 320 * (number + 1)]
        now_ms = 20.0 * (number + 1)
        near.step(piece, wire, now_ms, 10.0, 50.0)  # type: ignore[arg-type]
        near.send(wire, now_ms)  # type: ignore[arg-type]
        loudest = max(loudest, near.level.level.peak_dbfs)
    assert loudest > -40.0  # one sees that it would be heard
    assert bool(np.concatenate(sounds).any()) is opened  # nor is it recorded
    assert any(not event.is_silence for event in events) is opened
    opus = sum(size for arm, size in wire.sent if arm == "opus")
    assert opus > 1000 if opened else opus < 200


class Ear:
    """Counts what the talker is known to have said."""

    def __init__(self) -> None:
        self.missing = 0

    def said(self, arm: str, _position: int, phoneme: int) -> None:
        self.missing += arm == "phonemes" and phoneme == MISSING

    def listen(self, _arm: str, _pcm: np.ndarray) -> None:
        pass


def test_what_never_came_is_marked_and_counted_against_what_is_understood() -> None:
    ear, rows = Ear(), list[EventRow]()
    far = FarEnd(FarSound(), ear, rows.append)  # type: ignore[arg-type]
    gone = {10, 11, *range(20, 60)}
    for index in range(70):
        event = PhonemeEvent(index, 1 + index % 40, 8 * index, 8, True, (12, 14), 15)
        now_ms = event.end_tick * 10.0 + 200.0
        if index not in gone:
            far._arrived(event, now_ms)
        for step in range(8):
            far.produce(160, now_ms + 10.0 * step, 0.0)
    kinds = {mark.index: mark.kind for mark in far.marks}
    assert kinds[9] == "played" and kinds[10] == kinds[11] == "concealed"
    assert kinds[20] == "concealed" and kinds[59] == "missing" and kinds[60] == "played"
    assert {row.event.index for row in rows if row.status == "concealed"} >= {10, 11, 20}
    assert ear.missing == len(gone)


@pytest.mark.parametrize("late_ms", [100.0, 400.0])
def test_it_is_known_by_how_much_phonemes_are_heard_later(late_ms: float) -> None:
    """A blind test makes Opus wait for so long."""
    far = FarEnd(FarSound(), None, lambda row: None)
    assert far.phonemes_behind() == 0  # nothing was heard yet
    opus = OpusEncoder(6000, 60, False, 0, dtx=False)
    frames = events = 0
    for now_ms in range(0, 5000, 10):
        while 60 * (frames + 1) <= now_ms:  # a frame comes as soon as it is said
            payload = opus.encode(noise(0.06, 0.1, seed=frames))
            far.take([MediaPacket("opus", frames, 2880 * frames, payload, float(now_ms), 0)])
            frames += 1
        while 80 * (events + 1) + late_ms <= now_ms:
            event = PhonemeEvent(events, 1 + events % 40, 8 * events, 8, True, (12, 14), 15)
            far._arrived(event, float(now_ms))
            events += 1
        far.produce(160, float(now_ms), 0.0)
    behind_ms = far.phonemes_behind() / 16
    assert late_ms - 40.0 < behind_ms < late_ms + 160.0


def test_the_reports_table_holds_what_happened_while_it_was_recorded() -> None:
    first = CallStats(
        packets_received={"phonemes": 5, "opus": 50},
        packets_lost={"phonemes": 1, "opus": 10},
        events_received=20,
        events_lost=2,
        events_concealed=1,
    )
    last = CallStats(
        packets_received={"phonemes": 65, "opus": 350},
        packets_lost={"phonemes": 21, "opus": 110},
        events_received=320,
        events_lost=5,
        events_concealed=3,
    )
    rows = [
        {"opus_payload_bps": 6000.0, "opus_wire_bps": 9000.0, "opus_delay_ms": 100.0 + 10 * n}
        | {"phonemes_intelligibility": 90.0, "opus_intelligibility": None}
        for n in range(5)
    ]
    table = summarise(first, last, rows, 5.0)
    assert (table["phonemes"]["packets_sent"], table["phonemes"]["packets_lost"]) == (80, 20)
    assert (table["opus"]["packets_sent"], table["opus"]["packets_lost"]) == (400, 100)
    assert table["phonemes"]["events_lost"] == 3 and table["phonemes"]["events_sent"] == 303
    assert table["phonemes"]["events_concealed"] == 2
    assert (table["opus"]["payload_bps"], table["opus"]["wire_bps"]) == (6000.0, 9000.0)
    assert table["opus"]["delay_ms_median"] == 120.0
    assert table["phonemes"]["intelligibility"] == 0.9 and "intelligibility" not in table["opus"]


def test_a_name_from_the_network_is_safe_before_anything_sees_it(tmp_path: Path) -> None:
    """It goes to terminals, titles of recordings and files of settings, not to windows alone."""
    greeted: list[tuple[str, int, bool]] = []
    network = Network(RtcSettings(), lambda state: None)
    words = CallWords(
        network,
        CallRecording(network.say, tmp_path),
        lambda name, version, same: greeted.append((name, version, same)),
        lambda reason: None,
    )
    names = ("\x1b[31mred", "\u202eeve", "Eve   " + "W" * 60)
    hellos = [encode_control(Hello(name, STREAM_VERSION)) for name in names]
    words.hear([*hellos, b"\xff" * 40, b""], None, None, 0.0, 0.0)  # type: ignore[arg-type]
    ((name, version, _same),) = greeted
    assert (name[:5], version) == ("Eve W", STREAM_VERSION)
    assert name.isprintable() and len(name) <= 40


def test_a_link_is_described_in_words() -> None:
    assert impairment_words(None) == impairment_words(ImpairmentSettings()) == ""
    words = impairment_words(ImpairmentSettings(loss=0.2, delay_ms=60, jitter_ms=30))
    assert words == "20 % loss, 60 ± 30 ms"


def test_talkers_take_turns_and_sometimes_overlap() -> None:
    one, two = conversation(noise(20, 0.1), noise(20, 0.1, seed=2), 30.0)
    assert len(one) == len(two) == 30 * 16_000
    talking = np.stack([one, two]).reshape(2, -1, 1600).std(axis=2) > 0.01
    share = talking.mean(axis=1)
    assert (share > 0.25).all()
    assert 0 < talking.all(axis=0).mean() < 0.2
