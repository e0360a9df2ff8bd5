"""Recurrent layers: one product per time step for all trials, and a backward through time written by hand.

Autograd would record some 20 operations per time step.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hpo.training.fused.kernels import cells
from hpo.training.fused.kernels.cells import Cell, Weights
from hpo.training.fused.kernels.dropout import Dropout, Rate


def kernels(dropout: Dropout) -> dict[Any, Callable[..., Any]]:
    """Return the kernel of each recurrent layer and of each single cell; `dropout` drops between layers."""
    lstm, gru, tanh, relu = cells.Lstm(), cells.Gru(), cells.tanh(), cells.relu()
    return {
        torch.lstm: partial(_run_lstm, dropout, lstm),
        torch.gru: partial(_run_layers, dropout, gru),
        torch.rnn_tanh: partial(_run_layers, dropout, tanh),
        torch.rnn_relu: partial(_run_layers, dropout, relu),
        torch.lstm_cell: partial(_run_lstm_cell, lstm),
        torch.gru_cell: partial(_run_cell, gru),
        torch.rnn_tanh_cell: partial(_run_cell, tanh),
        torch.rnn_relu_cell: partial(_run_cell, relu),
    }


class _Recurrence(torch.autograd.Function):
    """A layer in one direction.

    Takes a cell, its joined weights [K, gates, inputs + units + 1], inputs [time, K, inputs, batch], and the
    first hidden state and kept tensor, [K, units, batch] and [K, keeps * units, batch]. Returns the hidden
    states [time, K, units, batch], and what is kept after the last step.
    """

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, weight: Tensor, inputs: Tensor, hidden: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        steps, trials, features, batch = inputs.shape
        units = hidden.shape[1]
        seen = inputs.new_empty(steps + 1, trials, features + units + 1, batch)
        seen[:steps, :, :features] = inputs
        seen[:, :, -1] = 1.0
        states = seen[:, :, features:-1]
        states[0] = hidden
        keep = inputs.new_empty(steps + 1, *kept.shape)
        keep[0] = kept
        gates = inputs.new_empty(steps, trials, weight.shape[1], batch)
        for now in range(steps):
            torch.bmm(weight, seen[now], out=gates[now])
            cell.step(gates[now], states[now], keep[now], keep[now + 1], states[now + 1])
        ctx.cell, ctx.features = cell, features
        ctx.save_for_backward(weight, seen, keep, gates)
        return states[1:], keep[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, to_kept: Tensor) -> tuple[Tensor | None, ...]:
        weight, seen, keep, gates = ctx.saved_tensors
        cell, features = ctx.cell, ctx.features
        states = seen[:, :, features:-1]
        first = 0 if ctx.needs_input_grad[2] else features
        back = weight[:, :, first:-1].mT
        gradient, to_kept = gradient.contiguous(), to_kept.clone()
        to_gates = torch.empty_like(gates[0])
        to_columns = weight.new_zeros(weight.mT.shape)  # the other way round each step would copy
        to_inputs = None if first else gradient.new_empty(*gradient.shape[:2], features, gradient.shape[3])
        to_hidden = torch.zeros_like(gradient[0])
        for now in reversed(range(len(gates))):
            to_hidden = to_hidden + gradient[now]
            direct = cell.step_back(
                gates[now],
                states[now],
                keep[now],
                keep[now + 1],
                states[now + 1],
                to_hidden,
                to_kept,
                to_gates,
            )
            to_columns.baddbmm_(seen[now], to_gates.mT)
            to_seen = torch.bmm(back, to_gates)
            to_hidden = to_seen[:, features - first :]
            if to_inputs is not None:
                to_inputs[now] = to_seen[:, :features]
            if direct is not None:
                to_hidden = to_hidden + direct
        return None, to_columns.mT, to_inputs, to_hidden, to_kept


class Run(NamedTuple):
    """What a layer starts with in one direction: weights, hidden state and memory [K or 1, units, batch].

    Cells without a memory are given their hidden state in its place, and leave it alone.
    """

    weights: Weights
    hidden: Tensor
    memory: Tensor


def _recur(cell: Cell, run: Run, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Run a layer in one direction on inputs [time, K or 1, inputs, batch].

    Returns the hidden states [time, K, units, batch] and the last memory [K, units, batch].
    """
    trials = max(inputs.shape[1], *(len(part) for part in (*run.weights, *run[1:]) if part is not None))
    hidden, memory = (part.expand(trials, -1, -1) for part in run[1:])
    kept = torch.cat([memory, *[torch.zeros_like(memory)] * cell.keeps], 1)
    kept = kept[:, : cell.keeps * memory.shape[1]]
    states, last = _Recurrence.apply(  # type: ignore[no-untyped-call]
        cell, cell.join(run.weights.expand(trials)), inputs.expand(-1, trials, -1, -1), hidden, kept
    )
    return states, last[:, : hidden.shape[1]] if cell.keeps else states[-1]


def _run_lstm(dropout: Dropout, cell: Cell, input: Tensor, hx: Any, *rest: Any) -> tuple[Tensor, ...]:
    if isinstance(hx, Tensor):
        raise NotImplementedError(_PACKED)
    return _run(dropout, cell, input, hx[0], hx[1], *rest)


def _run_layers(dropout: Dropout, cell: Cell, input: Tensor, hx: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    if not isinstance(rest[1], bool):
        raise NotImplementedError(_PACKED)
    return _run(dropout, cell, input, hx, hx, *rest)[:2]


_PACKED = "a PackedSequence in a recurrent layer has no kernel for several trials at once"
_PROJECTED = "proj_size of an LSTM has no kernel for several trials at once"


def _run(
    dropout: Dropout,
    cell: Cell,
    input: Tensor,
    hidden: Tensor,
    memory: Tensor,
    parameters: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    rate: Rate,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """Run all layers; torch's arguments. Returns outputs, last hidden states, and last memories."""
    each, directions = 4 if has_biases else 2, 2 if bidirectional else 1
    starts = range(0, each * directions * num_layers, each)
    if len(parameters) != each * len(starts):
        raise NotImplementedError(_PROJECTED)
    runs = [
        Run(Weights(*parameters[start : start + each]), hidden[:, place].mT, memory[:, place].mT)
        for place, start in enumerate(starts)
    ]
    trials = max(len(part) for part in (input, hidden, memory, *parameters))
    outputs = input.permute(2, 0, 3, 1) if batch_first else input.permute(1, 0, 3, 2)
    outputs = outputs.expand(-1, trials, -1, -1)
    last: list[tuple[Tensor, Tensor]] = []
    for layer in range(num_layers):
        if train and layer > 0:
            outputs = dropout.drop(_by_trial(outputs), rate).permute(1, 0, 3, 2)
        outputs, ends = _run_layer(cell, outputs, runs[layer * directions : (layer + 1) * directions])
        last += ends
    found = _by_trial(outputs).transpose(1, 2) if batch_first else _by_trial(outputs)
    return found, *(torch.stack(ends, 1) for ends in zip(*last, strict=True))


def _run_layer(cell: Cell, inputs: Tensor, runs: Sequence[Run]) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Run a layer forwards, and backwards if there is a second run; return outputs, and the ends of each."""
    outputs, ends = [], []
    for direction, run in enumerate(runs):
        states, memory = _recur(cell, run, inputs.flip(0) if direction else inputs)
        outputs.append(states.flip(0) if direction else states)
        ends.append((states[-1].mT, memory.mT))
    return torch.cat(outputs, 2) if len(outputs) > 1 else outputs[0], ends


def _by_trial(outputs: Tensor) -> Tensor:
    """Return [K, time, batch, units]; in torch's order in memory, in which dropout draws."""
    return outputs.mT.contiguous().transpose(0, 1)


def _run_cell(cell: Cell, input: Tensor, hx: Tensor, *weights: Tensor) -> Tensor:
    """Run one time step."""
    return _run_lstm_cell(cell, input, (hx, hx), *weights)[0]


def _run_lstm_cell(
    cell: Cell, input: Tensor, hx: Sequence[Tensor], *weights: Tensor
) -> tuple[Tensor, Tensor]:
    run = Run(Weights(*weights), hx[0].mT, hx[1].mT)
    states, memory = _recur(cell, run, input.mT.unsqueeze(0))
    return states[0].mT, memory.mT
