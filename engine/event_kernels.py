"""The event network's arithmetic as plain loops: a step of its state, and the weights it gives values.

Numba compiles them when this module is imported, never while a packet waits, and keeps the result
beside this file or in the user's cache: a second or two once, later a third of one. Numbers lie on
grids that floating point holds exactly (``engine.event_odds``), so neither compiler nor processor
changes a digit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_Function = TypeVar("_Function", bound=Callable[..., object])


def _compiled(signature: str) -> Callable[[_Function], _Function]:
    """``signature``: the result's type, then those of the arguments, as Numba writes them."""

    def compile_now(function: _Function) -> _Function:
        try:
            return cast(_Function, njit(signature, cache=True)(function))
        except RuntimeError:  # nowhere to keep it: compiled anew in every process
            return cast(_Function, njit(signature)(function))

    return compile_now


@_compiled("f8(f8[::1], f8)")
def _entry(table: F64, position: float) -> float:
    """The table is flat beyond its ends."""
    entry: float = table[min(max(int(position), 0), len(table) - 1)]
    return entry


@_compiled(
    "(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f8[::1], f8[::1], f8[::1], f4[::1], f8)"
)
def step(
    begun: F32, energy: F32, hole: F32, melody: F32, jump: F32, read: F32, sigmoid: F64, tanh: F64,
    state: F64, coarse: F32, coarseness: float,
) -> None:  # fmt: skip
    """One step of the gated recurrent unit (Cho et al., 2014).

    The first five, [gates] each, add up to what the event gives; ``read``: [gates …] what the matrix
    read of the state. ``state`` becomes the next one, ``coarse`` the same in larger steps.
    """
    size = len(state)
    for i in range(size):
        j, k = size + i, 2 * size + i
        used = begun[i] + energy[i] + hole[i] + melody[i] + jump[i] + read[i]
        kept = begun[j] + energy[j] + hole[j] + melody[j] + jump[j] + read[j]
        given = begun[k] + energy[k] + hole[k] + melody[k] + jump[k]
        fresh = _entry(tanh, given + _entry(sigmoid, used) * read[k])
        state[i] = np.rint((state[i] - fresh) * _entry(sigmoid, kept) + fresh)
        coarse[i] = np.rint(state[i] / coarseness)


@_compiled("(f4[::1], f8[::1], f8[::1], f8[:, ::1], f8[::1])")
def _find_logits(read: F32, phoneme: F64, known: F64, out: F64, logits: F64) -> None:
    for value in range(len(logits)):
        logits[value] = out[0, value]
    for unit in range(len(read)):
        hidden = read[unit] + phoneme[unit] + known[unit]
        if hidden > 0.0:
            for value in range(len(logits)):
                logits[value] += hidden * out[unit + 1, value]


@_compiled("f8(f8[::1], f8[::1])")
def _weigh(logits: F64, weights: F64) -> float:
    """Logits become weights, by how many whole steps they lie below the highest."""
    top, total = logits[0], 0.0
    for value in range(len(logits)):
        top = max(top, logits[value])
    for value in range(len(logits)):
        logits[value] = _entry(weights, top - logits[value])
        total += logits[value]
    return total


@_compiled("f8(f4[::1], f8[::1], f8[::1], f8[:, ::1], f8[::1], f8[::1])")
def weigh(read: F32, phoneme: F64, known: F64, out: F64, weights: F64, found: F64) -> float:
    """Find the weights of all values of a field; returns their sum.

    read, phoneme, known: [hidden], added; out: [1 + hidden, values], the bias first; weights: by steps
    below the likeliest; found: [values] becomes the result.
    """
    _find_logits(read, phoneme, known, out, found)
    return _weigh(found, weights)


@_compiled("f8(f4[::1], f8[::1], f8[:, ::1], u1[::1], f8[::1], f8[::1])")
def weigh_phonemes(
    read: F32, nothing: F64, out: F64, unlikely: NDArray[np.uint8], weights: F64, found: F64
) -> float:
    """The same of phonemes, of which ``nothing`` is known. ``out`` has one column more: how far the
    4-gram, which says what is ``unlikely``, is believed."""
    logits = np.empty(out.shape[1])
    _find_logits(read, nothing, nothing, out, logits)
    for value in range(len(found)):
        found[value] = logits[value] - logits[-1] * unlikely[value]
    return _weigh(found, weights)
