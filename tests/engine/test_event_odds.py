"""The odds of events: the same on every machine, never zero, and near their entropy."""

from __future__ import annotations

import json
from dataclasses import replace

import numba
import numpy as np
import pytest

from benchmarks.packet_policy import talk
from engine import event_kernels
from engine.event_odds import (
    CURVE_REACH,
    CURVE_STEPS,
    FIELDS,
    INPUTS,
    LARGEST,
    LEVELS,
    ODDS_STEPS,
    READ_GRID,
    START_ENERGY,
    STATE,
    STATE_GRID,
    WEIGHT_GRID,
    default_network,
    network_of,
)
from engine.event_reader import EventOdds
from engine.events import ENERGY_LEVELS, PhonemeEvent
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
    tensors, _, _ = arrays()
    whole = {name: tensor.astype(np.int64) for name, tensor in tensors.items()}
    heads = slice(3 * STATE, None)
    part = default_network().layers["energy"].part
    matrix, bias = whole["matrix"], whole["bias"]
    reader, energy = EventOdds(default_network(), True), START_ENERGY
    for event in talk(15.0, seed=12):
        state = np.floor_divide(reader._state.astype(np.int64) * 2 * READ_GRID + STATE_GRID,
                                2 * STATE_GRID)  # fmt: skip
        halves = reader._state * READ_GRID / STATE_GRID % 1.0 == 0.5  # these go to the even one
        state -= halves & (state % 2 == 1)
        read = (matrix @ state) * (STATE_GRID * 16 // (READ_GRID * WEIGHT_GRID)) + bias * 16
        assert np.array_equal(reader._read[heads] * (STATE_GRID * 16), read[heads])
        assert np.array_equal(
            reader._read[: 3 * STATE] * (STATE_GRID * 16 // CURVE_STEPS), read[: 3 * STATE]
        )
        known = sum(
            whole[f"known_energy_{of}"][value]
            for of, value in (("phoneme", 7), ("duration", 3), ("voiced", 1))
        )
        out = whole["out_energy"] @ np.maximum(read[part] + known * 16, 0)
        out += whole["out_bias_energy"] * (STATE_GRID * 16)
        begin = 2 * ENERGY_LEVELS - 1 - energy  # changes from there
        out = out[:ENERGY_LEVELS] + out[begin : begin + ENERGY_LEVELS]
        steps = (out.max() - out) * ODDS_STEPS // (STATE_GRID**2 * 16)
        weights = load_weights("event_odds")[0]["weights"].numpy()
        expected = weights[np.minimum(steps, len(weights) - 1)]
        assert np.array_equal(reader.energy(7, 4, True).weights, expected)
        odds_of(reader, event)
        energy = event.energy


def test_the_order_of_summation_changes_nothing() -> None:
    network, dice = default_network(), np.random.default_rng(3)
    order = dice.permutation(network.matrix.shape[1])
    matrix, layers = np.ascontiguousarray(network.matrix), dict(network.layers)
    for name, layer in layers.items():  # the same hidden units in another order
        units = dice.permutation(layer.part.stop - layer.part.start)
        matrix[layer.part] = matrix[layer.part][units]
        layers[name] = layer._replace(
            phonemes=[row[units] for row in layer.phonemes],
            known=[row[units] for row in layer.known],
            out=[out[[0, *1 + units]] for out in layer.out],
        )
    even = layers["duration"]._replace(out=[layers["duration"].out[0][:, 1::2].copy()])
    turned = replace(network, matrix=matrix, layers=layers, even_duration=even)
    one, other = EventOdds(network, True), EventOdds(turned, True)
    for event in talk(15.0, seed=13):
        shuffled = network.matrix[:, order] @ one._coarse[order]
        assert np.array_equal(shuffled, one._read)
        for a, b in zip(odds_of(one, event), odds_of(other, event), strict=True):
            assert np.array_equal(a.weights, b.weights)


def test_odds_do_not_depend_on_what_else_was_asked() -> None:
    """Sums shared by several fields are of the phoneme that is asked about."""
    one, other = EventOdds(default_network(), False), EventOdds(default_network(), False)
    for number, event in enumerate(talk(10.0, seed=14)):
        for wrong in (number % 43, 0):
            other.duration(wrong)
            other.energy(wrong, 3, True)
            other.pitch_second(wrong, 5, 7)
        for a, b in zip(odds_of(one, event), odds_of(other, event), strict=True):
            assert np.array_equal(a.weights, b.weights)


def test_an_event_gives_the_gates_what_the_trained_rows_add_up_to() -> None:
    tensors, _, _ = arrays()
    rows = tensors["inputs"].astype(np.int64)
    at, begin = {}, 0
    for name in INPUTS:
        at[name], begin = begin, begin + LEVELS[name]
    for even in (False, True):
        reader, energy, pitch = EventOdds(default_network(), even), START_ENERGY, None
        for number, e in enumerate(talk(10.0, seed=15)):
            hole = number % 3 == 0
            wanted = tensors["kind"][int(even)] + sum(
                rows[at[name] + value]
                for name, value in (
                    ("phoneme", e.phoneme),
                    ("hole", hole),
                    ("duration", e.duration_ticks - 1),
                    ("voiced", e.voiced),
                    ("energy", e.energy),
                    ("louder", e.energy - energy + LARGEST["louder"]),
                )
            )
            if e.voiced:
                first, second = e.pitch
                jump = 0 if pitch is None else int(np.clip(first - pitch, -12, 12))
                glide = int(np.clip(second - first, -12, 12))
                wanted = wanted + rows[at["pitch_first"] + first] + rows[at["jump"] + jump + 12]
                wanted = wanted + rows[at["pitch_second"] + second] + rows[at["glide"] + glide + 12]
                pitch = second
            told = e.phoneme, hole, e.duration_ticks, e.voiced, e.energy, e.pitch
            given = sum(reader._given(*told))
            reader.advance(*told)
            energy = e.energy
            given = given.astype(np.float64) - (CURVE_REACH + 0.5)
            assert np.array_equal(given * (STATE_GRID // CURVE_STEPS), wanted)


def test_loops_are_compiled_where_no_folder_can_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def njit(signature: str, cache: bool = False) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(signature)

    monkeypatch.setattr(event_kernels, "njit", njit)
    assert event_kernels._compiled("i8(i8)")(lambda number: number + 1)(2) == 3


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
