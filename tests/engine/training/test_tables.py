"""Counting tables and drawing training blocks for the bitstream's odds."""

from __future__ import annotations

import json

import numpy as np
import torch

from benchmarks.packet_policy import talk
from engine.event_odds import NO_HISTORY, NO_PITCH, START_ENERGY, network_of, odds_weights
from engine.probability import SHAPES, Tables, costs_of_probabilities, weights_of_costs
from engine.training.bit_report import measure_bits
from engine.training.codes import codec_hash
from engine.training.event_net import EVEN, EventNet, columns, export, known_before
from engine.training.event_odds import bits_of, known_ngram, moved
from engine.training.heard import _to_events, _to_rows
from engine.training.tables import Tally, fit, too_few
from engine.weights import load_weights


def test_code_tables_belong_to_the_shipped_codec() -> None:
    """If this fails: python -m engine.training.tables --only-codes, after training the codec."""
    assert load_weights("tables")[1]["codec"] in ("none", codec_hash())


def test_counts_become_tables_without_impossible_values() -> None:
    tally = Tally()
    events = talk(60.0, seed=31)
    tally.add_stream(events)
    tally.add_sentences([[3, 24, 18]])
    spoken = [e for e in events if e.codes]
    tally.add_codes([(np.array([e.phoneme for e in spoken]), np.array([e.codes for e in spoken]))])
    probabilities = fit(tally)
    assert all(p.min() > 0 for p in probabilities.values())
    costs = {name: costs_of_probabilities(p) for name, p in probabilities.items()}
    assert {name: table.shape for name, table in costs.items()} == SHAPES
    tables = Tables(costs, weights_of_costs())
    often = spoken[0]
    assert tables.odds("code", (0, often.phoneme)).bits(often.codes[0]) < 8.0


def test_codes_never_counted_are_equally_likely() -> None:
    code = fit(Tally())["code"]
    assert np.allclose(code, code[0, 0, 0])


def test_a_short_run_does_not_count_anew() -> None:
    counted = json.loads(load_weights("tables")[1]["events"])["heard"]
    assert "they stay" in too_few(counted // 2)
    assert too_few(counted) == ""


def test_a_block_knows_what_it_told_before() -> None:
    events = talk(10.0, seed=32)[:12]
    pitch, energy, history = known_before(columns(events)[None])
    assert pitch[0, 0] == NO_PITCH and energy[0, 0] == START_ENERGY and history[0, 0] == NO_HISTORY
    voiced = [e.pitch[1] for e in events[:-1] if e.voiced]
    assert pitch[0, -1] == voiced[-1] and energy[0, -1] == events[-2].energy


def test_another_voice_says_the_same() -> None:
    part = columns(talk(10.0, seed=33))
    other = moved(part, np.random.default_rng(4))
    assert np.array_equal(other[:, :4], part[:, :4])
    assert not other[part[:, 3] == 0, 5:].any()


def test_whole_numbers_cost_what_the_trained_network_says() -> None:
    torch.manual_seed(5)
    net = EventNet(known_ngram()).eval()
    arrays = {name: tensor.numpy() for name, tensor in export(net).items()}
    ngram = load_weights("ngram")[0]["table"].numpy()
    from engine.bitstream import BlockModel
    from engine.probability import default_tables

    model = BlockModel(default_tables(), network_of(arrays, ngram, odds_weights()))
    events = talk(20.0, seed=34)[:64]
    told = bits_of(net, [(columns(events), EVEN)], 64)
    coded, _ = measure_bits([events], model, 64)
    for name, bits in told.items():
        assert abs(coded[name] - bits) < 0.03, name


def test_heard_events_are_kept_whole() -> None:
    events = talk(10.0, seed=35)
    kept = _to_events(_to_rows(events))
    assert [(e.phoneme, e.start_tick, e.pitch) for e in kept] == [
        (e.phoneme, e.start_tick, e.pitch) for e in events
    ]
