"""Kernels of a cine: from tissues and off-resonance to magnetisation, and to counts of tissues in pixels."""

from __future__ import annotations

from typing import Any

from mrsim.bloch.jit import kernel

Array = Any


@kernel(entry=True, fast=True)
def sum_layers(labels: Array, column: Array, share: Array, table: Array, gain: Array, out: Array) -> None:
    """Mean magnetisation over the layers of a slice: out (x, y) complex64.

    labels : (layer, x, y) uint8;  column share : (layer, x, y) of `SignalTable.place`
    table : (tissue, frequency) complex64;  gain : (tissue,) float32
    """
    n_layers, n_x, n_y = labels.shape
    for i in range(n_x):
        for j in range(n_y):
            total = table[0, 0] * 0
            for z in range(n_layers):
                tissue, at, w = labels[z, i, j], column[z, i, j], share[z, i, j]
                low, high = table[tissue, at], table[tissue, at + 1]
                total += gain[tissue] * (low + w * (high - low))
            out[i, j] = total / n_layers


@kernel(entry=True, allocates=True)
def count_tissues(labels: Array, cuts: Array, counts: Array) -> None:
    """Count the spins of each tissue in each pixel: counts (y, x, tissue) uint16, zero before.

    labels : (layer, x, y) uint8;  cuts : (x, y) spins to a pixel
    """
    n_layers, n_x, n_y = labels.shape
    for z in range(n_layers):
        for i in range(n_x):
            for j in range(n_y):
                counts[j // cuts[1], i // cuts[0], labels[z, i, j]] += 1


@kernel(entry=True, allocates=True)
def winners(counts: Array, group: Array, rank: Array, shares: Array, best: Array) -> None:
    """Put the group with the most spins of each pixel into best (y, x), the counts of all into shares.

    counts : (y, x, tissue);  group : (tissue,);  rank : (group,) the lower one wins a tie
    shares : (y, x, group) uint16, zero before
    """
    n_y, n_x, n_tissues = counts.shape
    for j in range(n_y):
        for i in range(n_x):
            for t in range(n_tissues):
                shares[j, i, group[t]] += counts[j, i, t]
            winner = 0
            for g in range(1, rank.size):
                more = shares[j, i, g] > shares[j, i, winner]
                tie = shares[j, i, g] == shares[j, i, winner] and rank[g] < rank[winner]
                if more or tie:
                    winner = g
            best[j, i] = winner
