"""Convolutional LSTM cell (Shi et al., NeurIPS 2015) without peepholes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # (h, c), each (batch, hidden, y, x)


class ConvLstmCell(nn.Module):
    """[i, f, o, g] = Conv3x3([input, h]);  c' = s(f) c + s(i) tanh(g);  h' = s(o) tanh(c')."""

    def __init__(self, n_in: int, n_hidden: int) -> None:
        super().__init__()
        self.n_hidden = n_hidden
        self.gates = nn.Conv2d(n_in + n_hidden, 4 * n_hidden, 3, padding=1)

    def open_forget_gate(self) -> None:
        """Set the bias of the forget gate to 1, so that an untrained cell remembers."""
        with torch.no_grad():
            assert self.gates.bias is not None
            self.gates.bias[self.n_hidden : 2 * self.n_hidden] = 1.0

    def forward(self, features: Tensor, state: State | None) -> State:
        """One step: (batch, n_in, y, x) and the last (h, c), None = zeros -> the new (h, c)."""
        if state is None:
            batch, _, ny, nx = features.shape
            zeros = torch.zeros(batch, self.n_hidden, ny, nx, device=features.device)  # float32: c adds up
            state = (zeros, zeros)
        h, c = state
        i, f, o, g = self.gates(torch.cat((features, h.to(features.dtype)), dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
