"""The cells of recurrent networks: what one time step computes of K trials, and its gradient.

Units come before the batch, [K, units, batch], so that each gate of a trial is one piece of memory. A cell
gets `gates`, the product of its weights with [inputs; hidden state; 1], and works in place.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_relu_backward = torch.ops.aten.threshold_backward.grad_input


def _tanh_(numbers: Tensor) -> Tensor:
    """Put the tanh in the place of these numbers: on a CPU by 2 sigmoid(2x) - 1, in a quarter of the time."""
    return numbers.mul_(2).sigmoid_().mul_(2).sub_(1) if numbers.is_cpu else numbers.tanh_()


class Weights(NamedTuple):
    """The parameters of one layer: [K, gates, inputs], [K, gates, units], and biases [K, gates] or None."""

    inputs: Tensor
    hidden: Tensor
    input_bias: Tensor | None = None
    hidden_bias: Tensor | None = None

    def joined(self) -> Tensor:
        """Return the matrix that is multiplied with [inputs; hidden state; 1]."""
        return torch.cat([self.inputs, self.hidden, self.bias.unsqueeze(2)], 2)

    @property
    def bias(self) -> Tensor:
        """Return the sum of both biases."""
        if self.input_bias is None or self.hidden_bias is None:
            return self.hidden.new_zeros(self.hidden.shape[:2])
        return self.input_bias + self.hidden_bias

    def rows(self, gate: int, gates: int) -> "Weights":
        """Return those of one gate."""
        return self._each(lambda part: part.chunk(gates, 1)[gate])

    def expand(self, trials: int) -> "Weights":
        """Return those of every trial."""
        return self._each(lambda part: part.expand(trials, *part.shape[1:]))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Weights":
        return Weights(*(part if part is None else change(part) for part in self))  # type: ignore[arg-type]


class Cell(Protocol):
    """A kind of cell. The tensors of a time step are views into those of all steps, to be filled."""

    keeps: int
    """How many times its units a cell keeps beside gates and hidden state."""

    def join(self, weights: Weights) -> Tensor:
        """Return the matrix [K, gates, inputs + units + 1] for this cell's order of gates."""

    def step(self, gates: Tensor, before: Tensor, kept_before: Tensor, kept: Tensor, hidden: Tensor) -> None:
        """Compute `hidden` and `kept` from `gates` (which become what the gradient needs) and from before."""

    def step_back(
        self,
        gates: Tensor,
        before: Tensor,
        kept_before: Tensor,
        kept: Tensor,
        hidden: Tensor,
        to_hidden: Tensor,
        to_kept: Tensor,
        to_gates: Tensor,
    ) -> Tensor | None:
        """Fill `to_gates`, bring `to_kept` one step back; return what reaches the hidden state directly."""


class Lstm:
    """Long short-term memory (Hochreiter and Schmidhuber 1997), as `torch.nn.LSTM` has it."""

    keeps = 2  # the memory, and its tanh

    def join(self, weights: Weights) -> Tensor:
        """Order input, forget, output, new: three sigmoids in a row."""
        whole = weights.joined()
        into, forget, new, out = whole.chunk(4, 1)
        return torch.cat([into, forget, out, new], 1)

    def step(self, gates: Tensor, before: Tensor, kept_before: Tensor, kept: Tensor, hidden: Tensor) -> None:
        """C = forget * c + input * new; h = output * tanh(c)."""
        del before
        units = hidden.shape[1]
        gates[:, : 3 * units].sigmoid_()
        _tanh_(gates[:, 3 * units :])
        into, forget, out, new = gates.chunk(4, 1)
        memory, squashed = kept.chunk(2, 1)
        torch.mul(forget, kept_before[:, :units], out=memory).addcmul_(into, new)
        torch.mul(out, _tanh_(squashed.copy_(memory)), out=hidden)

    def step_back(
        self,
        gates: Tensor,
        before: Tensor,
        kept_before: Tensor,
        kept: Tensor,
        hidden: Tensor,
        to_hidden: Tensor,
        to_kept: Tensor,
        to_gates: Tensor,
    ) -> None:
        """The gradient of `step`."""
        del before
        units = hidden.shape[1]
        into, forget, out, new = gates.chunk(4, 1)
        to_into, to_forget, to_out, to_new = to_gates.chunk(4, 1)
        squashed, to_memory = kept[:, units:], to_kept[:, :units]
        torch.mul(to_hidden, squashed, out=to_out)
        to_squashed = to_hidden * out
        to_memory.add_(_tanh_backward(to_squashed, squashed, grad_input=to_squashed))
        torch.mul(to_memory, new, out=to_into)
        torch.mul(to_memory, kept_before[:, :units], out=to_forget)
        torch.mul(to_memory, into, out=to_new)
        to_memory.mul_(forget)
        sigmoids, to_sigmoids = gates[:, : 3 * units], to_gates[:, : 3 * units]
        _sigmoid_backward(to_sigmoids, sigmoids, grad_input=to_sigmoids)
        _tanh_backward(to_new, new, grad_input=to_new)


class Gru:
    """Gated recurrent unit (Cho et al. 2014), as `torch.nn.GRU` has it."""

    keeps = 0

    def join(self, weights: Weights) -> Tensor:
        """Order reset, update, new of the inputs, new of the hidden state; the last two stay apart."""
        reset, update, new = (weights.rows(gate, 3) for gate in range(3))
        from_inputs = Weights(
            new.inputs, torch.zeros_like(new.hidden), new.input_bias, _zeros(new.hidden_bias)
        )
        from_hidden = Weights(
            torch.zeros_like(new.inputs), new.hidden, _zeros(new.input_bias), new.hidden_bias
        )
        return torch.cat([part.joined() for part in (reset, update, from_inputs, from_hidden)], 1)

    def step(self, gates: Tensor, before: Tensor, kept_before: Tensor, kept: Tensor, hidden: Tensor) -> None:
        """New = tanh(new + reset * (new of the hidden state)); h = new + update * (h - new)."""
        del kept_before, kept
        units = hidden.shape[1]
        gates[:, : 2 * units].sigmoid_()
        reset, update, new, from_hidden = gates.chunk(4, 1)
        _tanh_(new.addcmul_(reset, from_hidden))
        torch.lerp(new, before, update, out=hidden)

    def step_back(
        self,
        gates: Tensor,
        before: Tensor,
        kept_before: Tensor,
        kept: Tensor,
        hidden: Tensor,
        to_hidden: Tensor,
        to_kept: Tensor,
        to_gates: Tensor,
    ) -> Tensor:
        """The gradient of `step`."""
        del kept_before, kept, to_kept
        units = hidden.shape[1]
        reset, update, new, from_hidden = gates.chunk(4, 1)
        to_reset, to_update, to_new, to_from_hidden = to_gates.chunk(4, 1)
        direct = to_hidden * update
        torch.sub(to_hidden, direct, out=to_new)
        _tanh_backward(to_new, new, grad_input=to_new)
        torch.sub(before, new, out=to_update).mul_(to_hidden)
        torch.mul(to_new, from_hidden, out=to_reset)
        torch.mul(to_new, reset, out=to_from_hidden)
        sigmoids, to_sigmoids = gates[:, : 2 * units], to_gates[:, : 2 * units]
        _sigmoid_backward(to_sigmoids, sigmoids, grad_input=to_sigmoids)
        return direct


def _zeros(like: Tensor | None) -> Tensor | None:
    return None if like is None else torch.zeros_like(like)


class Elman:
    """h = activation(gates) (Elman 1990), as `torch.nn.RNN` has it."""

    keeps = 0

    def __init__(self, activation: Callable[..., Tensor], backward: Callable[..., Any]) -> None:
        self._activation, self._backward = activation, backward

    def join(self, weights: Weights) -> Tensor:
        """There is one gate."""
        return weights.joined()

    def step(self, gates: Tensor, before: Tensor, kept_before: Tensor, kept: Tensor, hidden: Tensor) -> None:
        """Squash the gates."""
        del before, kept_before, kept
        hidden.copy_(self._activation(gates))

    def step_back(
        self,
        gates: Tensor,
        before: Tensor,
        kept_before: Tensor,
        kept: Tensor,
        hidden: Tensor,
        to_hidden: Tensor,
        to_kept: Tensor,
        to_gates: Tensor,
    ) -> None:
        """The gradient of `step`."""
        del gates, before, kept_before, kept, to_kept
        self._backward(to_hidden, hidden, grad_input=to_gates)


def _through_relu(gradient: Tensor, output: Tensor, *, grad_input: Tensor) -> Tensor:
    found: Tensor = _relu_backward(gradient, output, 0.0, grad_input=grad_input)
    return found


def tanh() -> Elman:
    """Return the cell with tanh."""
    return Elman(_tanh_, _tanh_backward)


def relu() -> Elman:
    """Return the cell with max(0, x)."""
    return Elman(torch.relu, _through_relu)
