"""Puts one immutable ``CallStats`` together from everything the engine worker owns."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from app.audio import AudioPort
from app.call_state import CallState
from app.stats import CallStats, VoiceStats
from transport.link import LinkStats

if TYPE_CHECKING:
    from app.engine_worker import EngineWorker


def gather_stats(
    worker: EngineWorker,
    port: AudioPort,
    state: CallState,
    counters: LinkStats,
    now_ms: float,
    began_ms: float,
) -> CallStats:
    """The call at this moment, on the engine worker's thread."""
    switches, playout, words = worker.switches, worker.far.playout_stats(), worker.words
    plan = worker.near.packetizer.plan
    near_f0 = worker.voice.voice
    active = state in (CallState.ACTIVE, CallState.RECONNECTING)
    seconds = (now_ms - began_ms) / 1000.0 if active else 0.0
    if state is CallState.ENDED:
        seconds = worker.stats.seconds  # as long as it had lasted
    dropped = {f"audio {name}": count for name, count in port.dropped().items()}
    dropped |= {
        "near": worker.near.skipped,
        "meter": worker.meter.dropped,
        "voice": worker.voice.dropped,
        "recorder": worker.recording.dropped,
        "refused packets": worker.far.refused,
    }
    if worker.network.link is not None:
        dropped |= {f"link {name}": n for name, n in worker.network.link.drops().items()}
    jitter = counters.opus if counters.opus.packets_received else counters.phonemes
    arms: dict[str, Any] = {"phonemes": counters.phonemes, "opus": counters.opus}
    return CallStats(
        state=state,
        seconds=seconds,
        arm=switches.arm,
        synthetic=switches.arm == "phonemes",
        muted=switches.muted,
        push_to_talk=switches.push_to_talk,
        talking=worker.near.open and worker.near.talking(now_ms),
        far_talking=worker.far.talking(now_ms),
        peer_muted=words.peer_muted,
        volume=switches.volume,
        rates=worker.rates.rates(),
        intelligibility=worker.scores,
        loss=worker.rates.losses(),
        jitter_ms=jitter.jitter_ms,
        round_trip_ms=words.offset.round_trip_ms or counters.round_trip_ms,
        delay_stages_ms=worker.far.delays.stages(),
        opus_delay_ms=worker.far.delays.opus_ms,
        near=worker.near.level.level,
        far=worker.far.level.level,
        voice=VoiceStats(
            bits_sent=words.bits_sent,
            bits_received=words.bits_received,
            updates_sent=words.updates_sent,
            updates_received=words.updates_received,
            similarity=worker.voice.similarity,
            adaptation_steps=worker.voice.steps,
            f0_mean_hz=near_f0.f0_mean_hz if near_f0 else None,
            peer_f0_mean_hz=words.peer_voice.f0_mean_hz if words.peer_voice else None,
        ),
        events_sent=worker.near.events,
        events_received=playout.events_received,
        events_lost=playout.events_lost,
        events_concealed=playout.events_concealed,
        packets_sent={arm: stats.packets_sent for arm, stats in arms.items()},
        packets_received={arm: stats.packets_received for arm, stats in arms.items()},
        packets_lost={arm: stats.packets_lost for arm, stats in arms.items()},
        redundancy=plan.copies - 1,
        layers=min(plan.layers, worker.near.layers),
        opus_rate_bps=switches.opus_rate_bps,
        opus_frame_ms=switches.opus_frame_ms,
        impairment=switches.impairment_words,
        recording=worker.recording.state,
        recording_path=str(worker.recording.folder or ""),
        recording_seconds=worker.recording.seconds,
        microphone=port.microphone,
        loudspeaker=port.loudspeaker,
        echo_guard=worker.near.guard.name,
        dropped=MappingProxyType(dropped),
    )
