"""The odds of events: the same on every machine, never zero, and near their entropy."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.packet_policy import talk
from engine.event_odds import (
    FIELDS,
    ODDS_STEPS,
    READ_GRID,
    STATE_GRID,
    WEIGHT_GRID,
    EventNetwork,
    EventOdds,
    default_network,
    network_of,
)
from engine.events import PhonemeEvent
from engine.probability import Odds
from engine.weights import WeightsError, load_weights
from tests.speech import SPEECH_REASON, dev_readers, load_pcm

ENTROPY_TOLERANCE = 1.05


def odds_of(reader: EventOdds, event: PhonemeEvent) -> list[Odds]:
    """What ``reader`` says of every field of ``event``; then it knows the event."""
    phoneme, ticks, energy = event.phoneme, event.duration_ticks, event.energy
    given = [
        reader.phoneme(),
        reader.duration(phoneme),
        reader.voiced(phoneme, ticks),
        reader.energy(phoneme, ticks, event.voiced),
        reader.pitch_first(phoneme, energy),
        reader.pitch_second(phoneme, ticks, event.pitch[0]),
    ]
    reader.advance(phoneme, False, ticks, event.voiced, energy, event.pitch)
    return given


@pytest.mark.parametrize("even", [False, True])
def test_everything_that_can_be_sent_has_odds(even: bool) -> None:
    reader = EventOdds(default_network(), even)
    for event in talk(20.0, seed=11):
        for odds in odds_of(reader, event):
            assert np.array_equal(odds.weights, np.rint(odds.weights)) and odds.weights.min() >= 1
            assert odds.probabilities.sum() == pytest.approx(1.0)


def whole(numbers: np.ndarray, grid: int) -> np.ndarray:
    """Numbers on a grid as integers, which they must be."""
    scaled = numbers.astype(np.float64) * grid
    assert np.array_equal(scaled, np.rint(scaled))
    return scaled.astype(np.int64)


def test_floating_point_computes_what_whole_numbers_would() -> None:
    network = default_network()
    matrix = whole(network.matrix, WEIGHT_GRID)
    reader = EventOdds(network, True)
    for event in talk(15.0, seed=12):
        state = np.rint(reader._state * READ_GRID).astype(np.int64)
        read = (matrix @ state) * (STATE_GRID * 16 // (READ_GRID * WEIGHT_GRID))
        read += whole(network.bias, STATE_GRID) * 16
        assert np.array_equal(whole(reader._read, STATE_GRID * 16), read)
        layer = network.layers["energy"]
        known = layer.known[[b + v for b, v in zip(layer.begins, (7, 3, 1), strict=True)]]
        hidden = read[layer.part] + whole(known, STATE_GRID).sum(0) * 16
        out = whole(layer.out / ODDS_STEPS, STATE_GRID) @ np.maximum(hidden, 0)
        out += whole(layer.bias / ODDS_STEPS, STATE_GRID) * STATE_GRID * 16
        logits = reader._logits("energy", 7, 3, 1)
        assert np.array_equal(logits * (STATE_GRID**2 * 16 / ODDS_STEPS), out.astype(np.float64))
        odds_of(reader, event)


def test_the_order_of_summation_changes_nothing() -> None:
    network = default_network()
    order = np.random.default_rng(3).permutation(network.matrix.shape[1])
    turned = EventNetwork(**{
        name: getattr(network, name) for name in EventNetwork.__slots__
    } | {"matrix": np.asfortranarray(network.matrix)})  # fmt: skip
    one, other = EventOdds(network, True), EventOdds(turned, True)
    for event in talk(15.0, seed=13):
        coarse = (np.rint(one._state * READ_GRID) / READ_GRID).astype(np.float32)
        shuffled = network.matrix[:, order] @ coarse[order]
        assert np.array_equal(shuffled, network.matrix @ coarse)
        for a, b in zip(odds_of(one, event), odds_of(other, event), strict=True):
            assert np.array_equal(a.weights, b.weights)


def arrays() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    tensors = {name: tensor.numpy() for name, tensor in load_weights("event_odds")[0].items()}
    weights = tensors.pop("weights")
    return tensors, load_weights("ngram")[0]["table"].numpy(), weights


@pytest.mark.parametrize("broken", ["shape", "range", "weights"])
def test_weights_that_cannot_be_computed_exactly_are_refused(broken: str) -> None:
    tensors, ngram, weights = arrays()
    if broken == "shape":
        tensors["bias"] = tensors["bias"][:-1]
    elif broken == "range":
        tensors["matrix"] = np.full_like(tensors["matrix"], 32767)
    else:
        weights = weights * 0
    with pytest.raises(WeightsError):
        network_of(tensors, ngram, weights)


@pytest.mark.skipif(not dev_readers(), reason=SPEECH_REASON)
def test_unseen_speech_costs_its_entropy() -> None:
    from engine.encoder import SpeechEncoder
    from engine.training.bit_report import load_model, measure_bits
    from engine.weights import MODELS_DIR

    streams = []
    for _, path, _ in dev_readers()[:4]:
        encoder = SpeechEncoder(0, track_voice=False)
        streams.append(encoder.push(load_pcm(path)) + encoder.flush())
    coded, _ = measure_bits(streams, load_model(MODELS_DIR), 64)
    entropy = json.loads(load_weights("event_odds")[1]["entropy"])
    assert set(entropy) == set(FIELDS)
    # Four readers are not all of them: what they say may be a little rarer.
    assert sum(coded[name] for name in FIELDS) <= sum(entropy.values()) * ENTROPY_TOLERANCE
