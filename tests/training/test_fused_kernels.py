"""K trials under `Kernels` compute what K modules compute one after the other."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hpo import recipe
from hpo.training.execution import execute
from hpo.training.fused.kernels import Chance, Kernels
from hpo.training.fused.kernels.dropout import Dropout
from hpo.training.fused.kernels.views import unbind

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
SEED = 5


class Apply(nn.Module):
    """A function with a parameter before it, so that its inputs differ between trials and have gradients."""

    def __init__(self, function: Callable[..., Tensor], *shape: int) -> None:
        super().__init__()
        self.function = function
        self.shift = nn.Parameter(torch.randn(*shape))

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(inputs[0] + self.shift, *inputs[1:])


def first(module: nn.Module) -> nn.Module:
    """Return a module that returns all that another does, as one tensor."""

    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, *inputs):
            return join(self.inner(*inputs))

    return Joined()


def join(found) -> Tensor:
    if isinstance(found, Tensor):
        return found.reshape(-1)
    return torch.cat([join(part) for part in found if part is not None])


@dataclass
class Row:
    make: Callable[[], nn.Module]
    inputs: list[Callable[[], Tensor]]
    options: dict = field(default_factory=dict)


def numbers(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(*shape)


def whole(limit: int, *shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randint(limit, shape)


IMAGES = numbers(5, 4, 6, 7)
SEQUENCES = numbers(5, 6, 3)  # [batch, time, features], or [time, batch, features]


def normalized(module: nn.Module) -> nn.Module:
    """Give every scale and shift a value that tells them apart."""
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


class Attending(nn.Module):
    def __init__(self, mask: Tensor | None = None, dropout: float = 0.0, **options) -> None:
        super().__init__()
        self.look = nn.Linear(8, 24)
        self.mask, self.dropout, self.options = mask, dropout, options

    def forward(self, states: Tensor) -> Tensor:
        query, key, value = self.look(states).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        rate = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(query, key, value, self.mask, rate, **self.options)


class Heads(nn.Module):
    def __init__(self, need_weights: bool = False, mask: Tensor | None = None, **options) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, **options)
        self.calls = {"need_weights": need_weights, "attn_mask": mask}

    def forward(self, states: Tensor) -> Tensor:
        return join(self.inner(states, states, states, **self.calls))


class Unrolled(nn.Module):
    """A single cell, called time step by time step."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, sequences: Tensor) -> Tensor:
        state = None
        for step in sequences:
            state = self.cell(step, state)
        return join(state)


class Part(nn.Module):
    def forward(self, found: tuple) -> Tensor:
        return found[0]


class Residual(nn.Module):
    """A small ResNet (He et al. 2016): two convolutions, and what went in."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, 6, 3, padding=1, bias=False)
        self.body = nn.Sequential(
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1),
        )
        self.head = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        states = self.stem(images)
        states = F.relu(states + self.body(states))
        states = F.max_pool2d(states + self.body(states), 2)
        return self.head(F.adaptive_avg_pool2d(states, 1).flatten(1))


def shipped(name: str, **options) -> nn.Module:
    found = recipe.find(name)
    return execute(found.source, found.path).model(**options)


ROWS = {
    "linear": Row(lambda: nn.Linear(3, 4), [SEQUENCES]),
    "linear-no-bias": Row(lambda: nn.Linear(3, 4, bias=False), [numbers(5, 3)]),
    "linear-vector": Row(lambda: nn.Linear(3, 4), [numbers(3)]),
    "unbind": Row(
        lambda: Apply(lambda x: sum(part * place for place, part in enumerate(x.permute(2, 0, 1))), 3),
        [SEQUENCES],
    ),
    "unbind-one-of": Row(lambda: Apply(lambda x: x.unbind(1)[2], 3), [SEQUENCES]),
    "unbind-last": Row(lambda: Apply(lambda x: torch.stack(torch.unbind(x, -1)[1:]), 3), [SEQUENCES]),
    "unbind-expanded": Row(lambda: Apply(lambda x: x.expand(2, -1, -1, -1).unbind()[1], 3), [SEQUENCES]),
    "embedding": Row(lambda: nn.Embedding(7, 3), [whole(7, 5, 6)]),
    "embedding-padding": Row(lambda: nn.Embedding(7, 3, padding_idx=2), [whole(7, 5, 6)]),
    "embedding-last-padding": Row(lambda: nn.Embedding(7, 3, padding_idx=-1), [whole(7, 5, 6)]),
    "relu": Row(lambda: Apply(F.relu, 3), [SEQUENCES]),
    "relu-inplace": Row(lambda: Apply(lambda x: F.relu_(x) + x, 3), [SEQUENCES]),
    "gelu": Row(lambda: Apply(F.gelu, 3), [SEQUENCES]),
    "gelu-tanh": Row(lambda: Apply(lambda x: F.gelu(x, approximate="tanh"), 3), [SEQUENCES]),
    "silu": Row(lambda: Apply(F.silu, 3), [SEQUENCES]),
    "layer-norm": Row(lambda: normalized(nn.LayerNorm(3)), [SEQUENCES]),
    "layer-norm-two-dimensions": Row(lambda: normalized(nn.LayerNorm((6, 3))), [SEQUENCES]),
    "layer-norm-no-bias": Row(lambda: normalized(nn.LayerNorm(3, bias=False)), [SEQUENCES]),
    "layer-norm-plain": Row(
        lambda: nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3, elementwise_affine=False)), [SEQUENCES]
    ),
    "group-norm": Row(lambda: normalized(nn.GroupNorm(2, 4)), [IMAGES]),
    "conv1d": Row(lambda: nn.Conv1d(6, 4, 2), [SEQUENCES]),
    "conv1d-same": Row(lambda: nn.Conv1d(6, 4, 3, padding="same"), [SEQUENCES]),
    "conv2d": Row(lambda: nn.Conv2d(4, 6, 3, padding=1), [IMAGES]),
    "conv2d-no-bias": Row(lambda: nn.Conv2d(4, 6, 3, bias=False), [IMAGES]),
    "conv2d-options": Row(
        lambda: nn.Conv2d(4, 6, (2, 3), stride=(2, 1), dilation=(1, 2), padding=2), [IMAGES]
    ),
    "conv2d-groups": Row(lambda: nn.Conv2d(4, 6, 3, groups=2), [IMAGES]),
    "conv2d-same-reflected": Row(
        lambda: nn.Conv2d(4, 6, 3, padding="same", padding_mode="reflect"), [IMAGES]
    ),
    "conv2d-one-image": Row(lambda: nn.Conv2d(4, 6, 3), [numbers(4, 6, 7)]),
    "conv2d-wide": Row(lambda: nn.Conv2d(32, 40, 3, padding=1), [numbers(4, 32, 12, 12)]),
    "conv3d": Row(lambda: nn.Conv3d(2, 3, 2), [numbers(5, 2, 3, 4, 5)]),
    "two-convolutions": Row(lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.Conv2d(6, 2, 3)), [IMAGES]),
    "batch-norm": Row(lambda: normalized(nn.BatchNorm2d(4)), [IMAGES]),
    "batch-norm-vectors": Row(lambda: normalized(nn.BatchNorm1d(3)), [numbers(7, 3)]),
    "batch-norm-sequences": Row(lambda: normalized(nn.BatchNorm1d(6)), [SEQUENCES]),
    "batch-norm-momentum": Row(lambda: normalized(nn.BatchNorm2d(4, momentum=0.3)), [IMAGES]),
    "batch-norm-mean-of-all": Row(lambda: normalized(nn.BatchNorm2d(4, momentum=None)), [IMAGES]),
    "batch-norm-plain": Row(
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, affine=False)), [IMAGES]
    ),
    "batch-norm-untracked": Row(lambda: normalized(nn.BatchNorm2d(4, track_running_stats=False)), [IMAGES]),
    "max-pool": Row(lambda: Apply(lambda x: F.max_pool2d(x, 2), 7), [IMAGES]),
    "max-pool-even": Row(lambda: Apply(lambda x: F.max_pool2d(x, 2), 8), [numbers(5, 4, 6, 8)]),
    "max-pool-of-ties": Row(
        lambda: Apply(lambda x: F.max_pool2d(x.round(), 2) * x[..., :3, :4], 8), [numbers(5, 4, 6, 8)]
    ),
    "max-pool-options": Row(lambda: Apply(lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), 7), [IMAGES]),
    "max-pool-indices": Row(lambda: Apply(lambda x: F.max_pool2d(x, 2, return_indices=True)[0], 7), [IMAGES]),
    "max-pool1d": Row(lambda: Apply(lambda x: F.max_pool1d(x, 2), 3), [SEQUENCES]),
    "average-pool": Row(lambda: Apply(lambda x: F.avg_pool2d(x, 2), 7), [IMAGES]),
    "cross-entropy": Row(lambda: Apply(F.cross_entropy, 4), [numbers(5, 4), whole(4, 5)]),
    "cross-entropy-of-images": Row(lambda: Apply(F.cross_entropy, 7), [IMAGES, whole(4, 5, 6, 7)]),
    "cross-entropy-smoothed": Row(
        lambda: Apply(lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1, ignore_index=1), 4),
        [numbers(9, 4), whole(4, 9)],
    ),
    "cross-entropy-ignoring": Row(
        lambda: Apply(lambda x, y: F.cross_entropy(x, y, ignore_index=1), 4), [numbers(9, 4), whole(4, 9)]
    ),
    "cross-entropy-weighted": Row(
        lambda: Apply(lambda x, y: F.cross_entropy(x, y, weight=torch.arange(1.0, 5.0).to(x)), 4),
        [numbers(5, 4), whole(4, 5)],
    ),
    "cross-entropy-sum": Row(
        lambda: Apply(lambda x, y: F.cross_entropy(x, y, reduction="sum"), 4), [numbers(5, 4), whole(4, 5)]
    ),
    "cross-entropy-of-shares": Row(
        lambda: Apply(lambda x, y: F.cross_entropy(x, y.softmax(1)), 4), [numbers(5, 4), numbers(5, 4)]
    ),
    "cross-entropy-one-sample": Row(lambda: Apply(F.cross_entropy, 4), [numbers(4), whole(4)]),
    "mse": Row(lambda: Apply(F.mse_loss, 3), [numbers(5, 3), numbers(5, 3)]),
    "mse-sum": Row(lambda: Apply(lambda x, y: F.mse_loss(x, y, reduction="sum"), 3), [numbers(5, 3)] * 2),
    "mse-exact": Row(lambda: Apply(lambda x: F.mse_loss(x, x.detach()), 3), [numbers(5, 3)]),
    "attention": Row(Attending, [numbers(5, 6, 8)]),
    "attention-causal": Row(lambda: Attending(is_causal=True), [numbers(5, 6, 8)]),
    "attention-masked": Row(lambda: Attending(torch.ones(6, 6).tril().bool()), [numbers(5, 6, 8)]),
    "attention-added-mask": Row(
        lambda: Attending(torch.linspace(-1.0, 1.0, 72).view(1, 2, 6, 6)), [numbers(5, 6, 8)]
    ),
    "attention-dropped": Row(lambda: Attending(dropout=0.3, is_causal=True), [numbers(5, 6, 8)]),
    "attention-dropped-masked": Row(
        lambda: Attending(torch.ones(6, 6).tril().bool(), dropout=0.3), [numbers(5, 6, 8)]
    ),
    "attention-scaled": Row(lambda: Attending(scale=0.3), [numbers(5, 6, 8)]),
    "attention-one-head": Row(
        lambda: Apply(lambda x: F.scaled_dot_product_attention(x, x, x), 3), [SEQUENCES]
    ),
    "attention-matrix": Row(
        lambda: Apply(lambda x: F.scaled_dot_product_attention(x, x, x), 3), [numbers(5, 3)]
    ),
    "multi-head": Row(Heads, [numbers(5, 6, 8)]),
    "multi-head-weights": Row(lambda: Heads(need_weights=True, dropout=0.2), [numbers(5, 6, 8)]),
    "multi-head-masked": Row(
        lambda: Heads(mask=torch.ones(5, 5).triu(1).bool(), batch_first=False), [numbers(5, 6, 8)]
    ),
    "multi-head-dropped": Row(lambda: Heads(dropout=0.2, batch_first=True), [numbers(5, 6, 8)]),
    "multi-head-one-sequence": Row(Heads, [numbers(6, 8)]),
    "encoder-layer": Row(lambda: nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), [numbers(5, 6, 8)]),
    "encoder": Row(
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation="gelu", batch_first=True), 2
        ),
        [numbers(5, 6, 8)],
    ),
    "decoder-layer": Row(
        lambda: nn.TransformerDecoderLayer(8, 2, 12, batch_first=True), [numbers(5, 6, 8), numbers(5, 4, 8)]
    ),
    "dropout": Row(lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.3), nn.Dropout(0.5)), [SEQUENCES]),
    "dropout-of-inputs": Row(lambda: nn.Sequential(nn.Dropout(0.3), nn.Linear(3, 4)), [SEQUENCES]),
    "dropout-none": Row(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.0), nn.Dropout(0.5)), [SEQUENCES]
    ),
    "dropout-all": Row(lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(1.0)), [SEQUENCES]),
    "dropout-inplace": Row(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.3, inplace=True)), [SEQUENCES]
    ),
    "dropout1d": Row(lambda: nn.Sequential(nn.Conv1d(6, 4, 1), nn.Dropout1d(0.3)), [SEQUENCES]),
    "dropout2d": Row(lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.Dropout2d(0.3)), [IMAGES]),
    "dropout-after-convolution": Row(lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.Dropout(0.3)), [IMAGES]),
    "lstm-then-dropout": Row(
        lambda: nn.Sequential(nn.LSTM(3, 4, batch_first=True), Part(), nn.Dropout(0.5)), [SEQUENCES]
    ),
    "lstm": Row(lambda: first(nn.LSTM(3, 4, batch_first=True)), [SEQUENCES]),
    "lstm-layers": Row(lambda: first(nn.LSTM(3, 4, 3, bias=False)), [SEQUENCES]),
    "lstm-both-ways": Row(lambda: first(nn.LSTM(3, 4, 2, bidirectional=True, dropout=0.4)), [SEQUENCES]),
    "lstm-dropout": Row(lambda: first(nn.LSTM(3, 4, 3, dropout=0.4, batch_first=True)), [SEQUENCES]),
    "lstm-one-sequence": Row(lambda: first(nn.LSTM(3, 4)), [numbers(6, 3)]),
    "gru": Row(lambda: first(nn.GRU(3, 4, batch_first=True)), [SEQUENCES]),
    "gru-layers": Row(lambda: first(nn.GRU(3, 4, 2, bias=False, bidirectional=True)), [SEQUENCES]),
    "gru-dropout": Row(lambda: first(nn.GRU(3, 4, 2, dropout=0.3)), [SEQUENCES]),
    "gru-state": Row(lambda: first(nn.GRU(3, 4, 2)), [SEQUENCES, numbers(2, 6, 4)]),
    "rnn": Row(lambda: first(nn.RNN(3, 4, batch_first=True)), [SEQUENCES]),
    "rnn-relu": Row(lambda: first(nn.RNN(3, 4, 2, nonlinearity="relu", bidirectional=True)), [SEQUENCES]),
    "rnn-state": Row(lambda: first(nn.RNN(3, 4, 2)), [SEQUENCES, numbers(2, 6, 4)]),
    "lstm-cell": Row(lambda: Unrolled(nn.LSTMCell(3, 4)), [SEQUENCES]),
    "gru-cell": Row(lambda: Unrolled(nn.GRUCell(3, 4, bias=False)), [SEQUENCES]),
    "rnn-cell": Row(lambda: Unrolled(nn.RNNCell(3, 4)), [SEQUENCES]),
    "rnn-cell-relu": Row(lambda: Unrolled(nn.RNNCell(3, 4, nonlinearity="relu")), [SEQUENCES]),
    "residual": Row(Residual, [IMAGES]),
    "recipe-mlp": Row(lambda: shipped("mlp"), [numbers(32, 30)]),
    "recipe-cnn": Row(lambda: shipped("cnn", width=4), [numbers(16, 1, 8, 8)]),
    "recipe-lstm": Row(lambda: shipped("rnn", width=8, depth=2), [numbers(6, 20, 2)]),
    "recipe-gru": Row(lambda: shipped("rnn", width=8, cell="gru"), [numbers(6, 20, 2)]),
    "recipe-rnn": Row(lambda: shipped("rnn", width=8, cell="rnn"), [numbers(6, 20, 2)]),
    "recipe-transformer": Row(lambda: shipped("transformer", width=16, dropout=0.1), [whole(128, 3, 64)]),
}


@pytest.fixture
def dtype(request):
    previous = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(previous)


def draw(row: Row, trials: int, shared: bool) -> tuple[list[nn.Module], list[list[Tensor]]]:
    torch.manual_seed(0)
    modules = [copy.deepcopy(row.make()) for _ in range(trials)]
    for module in modules[1:]:
        for parameter in module.parameters():
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    inputs = [[make() for make in row.inputs] for _ in range(trials)]
    return modules, [inputs[0] for _ in inputs] if shared else inputs


def alone(modules, inputs):
    """What each module computes by itself: outputs, gradients of inputs and parameters, buffers."""
    found = []
    for module, parts in zip(copy.deepcopy(modules), inputs, strict=True):
        given = [part.clone().requires_grad_(part.is_floating_point()) for part in parts]
        torch.manual_seed(SEED)
        output = module(*given)
        (output * weigh(output)).sum().backward()
        found.append(result(output, given, dict(module.named_parameters()), dict(module.named_buffers())))
    return {name: torch.stack([each[name] for each in found]) for name in found[0]}


def together(modules, inputs, shared, classes=None):
    """The same of all modules in one vmap under Kernels; inputs that are shared have no gradients."""
    template = copy.deepcopy(modules[0])
    parameters = {
        name: torch.stack(
            [dict(module.named_parameters())[name].detach() for module in modules]
        ).requires_grad_()
        for name, _ in template.named_parameters()
    }
    buffers = {
        name: torch.stack([dict(module.named_buffers())[name] for module in modules])
        for name, buffer in template.named_buffers()
        if buffer.is_floating_point()
    }
    given = inputs[0] if shared else [torch.stack(parts) for parts in zip(*inputs, strict=True)]
    given = [part.clone().requires_grad_(part.is_floating_point() and not shared) for part in given]

    def forward(parameters, buffers, *given):
        put(template, "_parameters", parameters)
        put(template, "_buffers", buffers)
        return template(*given)

    chance = Chance(classes or [0] * len(modules))
    chance.seed(SEED)
    stacked = torch.vmap(forward, in_dims=(0, 0, *[None if shared else 0] * len(given)), randomness="same")
    with Kernels(chance):
        output = stacked(parameters, buffers, *given)
    weights = torch.stack([weigh(each) for each in output])
    (output * weights).sum().backward()
    return result(output, given, parameters, buffers)


def put(template, room, tensors):
    for name, tensor in tensors.items():
        owner, _, leaf = name.rpartition(".")
        getattr(template.get_submodule(owner), room)[leaf] = tensor


def weigh(output: Tensor) -> Tensor:
    """Weights of a sum of outputs, so that each has another gradient."""
    return torch.linspace(-1.0, 2.0, output.numel(), dtype=output.dtype).view(output.shape)


def result(output, given, parameters, buffers):
    found = {"output": output.detach()}
    found |= {f"gradient of input {place}": part.grad for place, part in enumerate(given)}
    found |= {f"gradient of {name}": parameter.grad for name, parameter in parameters.items()}
    found |= {f"buffer {name}": buffer for name, buffer in buffers.items() if buffer.is_floating_point()}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


CASES = [  # trials, whether they share their input, whether they train, type
    (3, False, True, torch.float64),
    (3, False, False, torch.float64),
    (3, True, True, torch.float64),
    (3, True, False, torch.float64),
    (1, False, True, torch.float64),
    (16, True, True, torch.float64),
    (3, False, True, torch.float32),
]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("trials", "shared", "training", "dtype"), CASES, indirect=["dtype"])
def test_trials_together_compute_what_they_compute_alone(name, trials, shared, training, dtype):
    modules, inputs = draw(ROWS[name], trials, shared)
    for module in modules:
        module.train(training)
    expected, found = alone(modules, inputs), together(modules, inputs, shared)
    assert found.keys() == {key for key in expected if not shared or "of input" not in key}
    for key, tensor in found.items():
        limit = TOLERANCE[dtype]
        torch.testing.assert_close(
            tensor, expected[key], rtol=limit, atol=limit, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("dtype", [torch.float64], indirect=True)
def test_trials_are_evaluated_together_without_gradients(name, dtype):
    modules, inputs = draw(ROWS[name], 3, shared=True)
    modules = [module.eval() for module in modules]
    with torch.no_grad():
        expected = torch.stack([module(*given) for module, given in zip(modules, inputs, strict=True)])
        found = run_together(modules, Chance([0] * 3), inputs[0])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("dtype", [torch.float64], indirect=True)
def test_trials_may_share_all_parameters_but_one(name, place, dtype):
    modules, inputs = draw(ROWS[name], 3, shared=True)
    names = [name for name, _ in modules[0].named_parameters()]
    own = names[place]
    shared = {name: value for name, value in modules[0].state_dict().items() if name != own}
    for module in modules:
        module.eval().load_state_dict(shared, strict=False)
    with torch.no_grad():
        expected = torch.stack([module(*given) for module, given in zip(modules, inputs, strict=True)])
        found = run_together(modules, Chance([0] * 3), inputs[0], own={own})
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def run_together(modules, chance, inputs, change=lambda template, *values: None, values=(), own=None):
    """Run modules on one input.

    `change` gives the template what else differs between the trials; `own` names the parameters that differ.
    """
    template = copy.deepcopy(modules[0])
    states = [dict(module.named_parameters()) for module in modules]
    parameters = {name: torch.stack([state[name].detach() for state in states]) for name in own or states[0]}

    def forward(parameters, *values):
        put(template, "_parameters", parameters)
        change(template, *values)
        return template(*inputs)

    with Kernels(chance):
        return torch.vmap(forward, randomness="same")(parameters, *values)


def set_dropout(template, rate):
    for module in template.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        elif isinstance(module, (nn.LSTM, nn.MultiheadAttention)):
            module.dropout = rate


RATES, CLASSES = [0.1, 0.5, 0.1, 0.0, 1.0], [7, 3, 7, 0, 1]

DROPPING = {
    "dropout": Row(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.ReLU(), nn.Linear(4, 3), nn.Dropout()),
        [SEQUENCES],
    ),
    "lstm": Row(lambda: first(nn.LSTM(3, 4, 2, dropout=0.5)), [SEQUENCES]),
    "multi-head": Row(lambda: Heads(dropout=0.5), [numbers(5, 6, 8)]),
}


def each_alone(modules, inputs, rates):
    """What the modules compute one after the other, twice in a row from one seed."""
    found = []
    for module, rate in zip(modules, rates, strict=True):
        set_dropout(module, rate)
        torch.manual_seed(SEED)
        found.append(torch.stack([module(*inputs), module(*inputs)]))
    return torch.stack(found)


@pytest.mark.parametrize("name", DROPPING)
def test_each_trial_drops_at_its_own_rate_what_it_drops_alone(name):
    modules, inputs = draw(DROPPING[name], len(RATES), shared=True)
    expected = each_alone(modules, inputs[0], RATES)
    chance = Chance(CLASSES)
    chance.seed(SEED)
    for step in range(2):
        found = run_together(modules, chance, inputs[0], set_dropout, [torch.tensor(RATES)])
        torch.testing.assert_close(found, expected[:, step])


def test_those_who_go_on_drop_what_they_drop_alone():
    modules, inputs = draw(DROPPING["dropout"], len(RATES), shared=True)
    expected = each_alone(modules, inputs[0], RATES)
    chance = Chance(CLASSES)
    chance.seed(SEED)
    run_together(modules, chance, inputs[0], set_dropout, [torch.tensor(RATES)])
    rows = [3, 1, 2]
    chance.keep(rows)
    rates = torch.tensor([RATES[row] for row in rows])
    found = run_together([modules[row] for row in rows], chance, inputs[0], set_dropout, [rates])
    torch.testing.assert_close(found, expected[rows, 1])


def test_nothing_is_drawn_where_nobody_drops():
    states = torch.randn(2, 5, 3)
    dropout = Dropout(Chance([0, 1]))
    assert dropout.drop(states, torch.zeros(2)) is states
    assert dropout.drop(states, torch.tensor([0.0, 0.1])) is not states


def test_the_gradient_of_parts_lies_in_memory_as_the_whole_did():
    permuted = torch.randn(2, 5, 6, 3, requires_grad=True).permute(0, 3, 1, 2)
    first_part, *_ = unbind(permuted)
    (gradient,) = torch.autograd.grad(first_part.sum(), permuted)
    assert gradient.stride() == permuted.stride()


def test_label_smoothing_may_differ_between_trials():
    logits, targets = torch.randn(9, 4), torch.randint(4, (9,))
    shares = [0.0, 0.1, 0.5]
    with Kernels(Chance([0] * 3)):
        found = torch.vmap(lambda share: F.cross_entropy(logits, targets, label_smoothing=share))(
            torch.tensor(shares)
        )
    expected = [F.cross_entropy(logits, targets, label_smoothing=share) for share in shares]
    torch.testing.assert_close(found, torch.stack(expected))


class PerSample(nn.Module):
    """Calls a linear layer for each sample in a vmap of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 4)

    def forward(self, samples: Tensor) -> Tensor:
        return torch.vmap(self.inner)(samples)


def test_a_model_may_use_vmap_itself():
    modules, inputs = draw(Row(PerSample, [numbers(5, 3)]), 3, shared=True)
    expected = torch.stack([module(*inputs[0]) for module in modules])
    torch.testing.assert_close(run_together(modules, Chance([0] * 3), inputs[0]), expected)


def pack(sequences: Tensor) -> Tensor:
    return nn.utils.rnn.pack_padded_sequence(sequences, torch.tensor([5, 4, 3, 2, 2, 1]))


class Packed(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, sequences: Tensor) -> Tensor:
        return self.layer(pack(sequences))[0].data


REFUSED = [
    (Packed(nn.LSTM(3, 4)), SEQUENCES, "PackedSequence"),
    (Packed(nn.GRU(3, 4)), SEQUENCES, "PackedSequence"),
    (first(nn.LSTM(3, 4, proj_size=2)), SEQUENCES, "proj_size"),
    (nn.Sequential(nn.Embedding(7, 3, max_norm=1.0)), whole(7, 5), "max_norm"),
    (nn.Sequential(nn.Linear(3, 3), nn.AlphaDropout(0.5)), SEQUENCES, "alpha_dropout"),
    (nn.Sequential(nn.Linear(3, 3), nn.Dropout2d(0.5)), SEQUENCES, "dropout2d"),
]


@pytest.mark.parametrize(("module", "make", "reason"), REFUSED)
def test_what_has_no_kernel_says_so(module, make, reason):
    with pytest.raises(NotImplementedError, match=reason):
        run_together([module, copy.deepcopy(module)], Chance([0, 0]), [make()])
