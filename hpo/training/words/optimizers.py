"""The optimizers: each one definition with two readers.

An engine *builds* the call that an optimizer's hyperparameters amount to, an export *prints* it, so
what is printed cannot drift from what was trained. Names and defaults are PyTorch's, except that
`betas` is two numbers, `beta1` and `beta2`, which are searched apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpo.config import Config
from hpo.training.words.calls import Call
from hpo.training.words.optimizer import Optimizer
from hpo.training.words.state import adafactor, copies, lbfgs, muon, rmsprop, sgd
from hpo.vocabulary import Contradiction, Hyperparameter


def _lr(default: float) -> Hyperparameter:
    return Hyperparameter("lr", float, default, "learning rate", low=0, open_low=True)


def _share(name: str, default: float, doc: str) -> Hyperparameter:
    return Hyperparameter(name, float, default, doc, low=0, high=1, open_high=True)


def _weight_decay(default: float, doc: str = "times the weights, added to the gradient") -> Hyperparameter:
    return Hyperparameter("weight_decay", float, default, doc, low=0)


def _eps(default: float) -> Hyperparameter:
    return Hyperparameter("eps", float, default, "added to the denominator", low=0)


_BETAS: Final = (
    _share("beta1", 0.9, "decay of the running mean of gradients, for each step"),
    _share("beta2", 0.999, "decay of the running mean of squared gradients, for each step"),
)

_OF_LR: Final = "times lr: the share of the weights that each step takes away"
_DECOUPLED: Final = Hyperparameter(
    "decoupled_weight_decay",
    bool,
    False,  # noqa: FBT003
    "decay the weights apart from the gradient, as AdamW does",
)
_ADAMW: Final = (
    Hyperparameter("adamw_lr", float, 1e-3, "AdamW's learning rate", low=0, open_low=True),
    _share("adamw_beta1", 0.9, "AdamW's decay of the running mean of gradients"),
    _share("adamw_beta2", 0.999, "AdamW's decay of the running mean of squared gradients"),
    Hyperparameter("adamw_eps", float, 1e-8, "added to AdamW's denominator", low=0),
    Hyperparameter("adamw_weight_decay", float, 1e-2, "AdamW's weight decay, times adamw_lr", low=0),
)

_WORDS: Final = (
    Optimizer(
        name="sgd",
        doc="Stochastic gradient descent, with momentum or Nesterov momentum",
        formula="m <- momentum m + g; w <- w - lr m",
        hyperparameters=(
            _lr(1e-3),
            _share("momentum", 0.0, "share of the last step that is taken again"),
            Hyperparameter("nesterov", bool, False, "look ahead along the momentum"),  # noqa: FBT003
            _weight_decay(0.0),
        ),
        contradictions=(
            Contradiction({"nesterov": True, "momentum": 0}, "nesterov needs a momentum above 0"),
        ),
        reference="Sutskever et al. 2013, proceedings.mlr.press/v28/sutskever13",
        target="torch.optim.SGD",
        state=sgd,
    ),
    Optimizer(
        name="adagrad",
        doc="Steps divided by the root of the sum of all squared gradients",
        formula="s <- s + g^2; w <- w - lr g / (sqrt(s) + eps)",
        hyperparameters=(
            _lr(1e-2),
            Hyperparameter("lr_decay", float, 0.0, "lr is divided by 1 + lr_decay x steps", low=0),
            _weight_decay(0.0),
            Hyperparameter("initial_accumulator_value", float, 0.0, "where the sum starts", low=0),
            _eps(1e-10),
        ),
        reference="Duchi et al. 2011, jmlr.org/papers/v12/duchi11a.html",
        target="torch.optim.Adagrad",
        state=copies(1),
    ),
    Optimizer(
        name="rmsprop",
        doc="Steps divided by the root of the running mean of squared gradients",
        formula="v <- alpha v + (1 - alpha) g^2; w <- w - lr g / (sqrt(v) + eps)",
        hyperparameters=(
            _lr(1e-2),
            _share("alpha", 0.99, "decay of the running mean of squared gradients, for each step"),
            _eps(1e-8),
            _weight_decay(0.0),
            _share("momentum", 0.0, "share of the last step that is taken again"),
            Hyperparameter("centered", bool, False, "divide by the standard deviation instead"),  # noqa: FBT003
        ),
        reference="Tieleman and Hinton 2012, lecture 6.5; centered: arXiv:1308.0850",
        target="torch.optim.RMSprop",
        state=rmsprop,
    ),
    Optimizer(
        name="adam",
        doc="Running mean of gradients, divided by the root of that of their squares",
        formula=(
            "m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2; w <- w - lr m' / (sqrt(v') + eps)"
        ),
        hyperparameters=(_lr(1e-3), *_BETAS, _eps(1e-8), _weight_decay(0.0)),
        reference="Kingma and Ba 2014, arXiv:1412.6980",
        target="torch.optim.Adam",
        state=copies(2),
        fused=True,
    ),
    Optimizer(
        name="adamw",
        doc="Adam with weight decay apart from the gradient",
        formula="w <- (1 - lr weight_decay) w, then a step of adam",
        hyperparameters=(
            _lr(1e-3),
            *_BETAS,
            _eps(1e-8),
            _weight_decay(1e-2, _OF_LR),
        ),
        reference="Loshchilov and Hutter 2017, arXiv:1711.05101",
        target="torch.optim.AdamW",
        state=copies(2),
        fused=True,
    ),
    Optimizer(
        name="adadelta",
        doc="Steps as large as the recent ones were, divided by the root of recent squared gradients",
        formula=(
            "v <- rho v + (1 - rho) g^2; d = g sqrt(u + eps) / sqrt(v + eps); "
            "u <- rho u + (1 - rho) d^2; w <- w - lr d"
        ),
        hyperparameters=(
            _lr(1.0),
            _share("rho", 0.9, "decay of both running means, for each step"),
            _eps(1e-6),
            _weight_decay(0.0),
        ),
        reference="Zeiler 2012, arXiv:1212.5701",
        target="torch.optim.Adadelta",
        state=copies(2),
    ),
    Optimizer(
        name="nadam",
        doc="Adam with Nesterov momentum",
        formula="adam with mu_t+1 m' + (1 - mu_t) g' in place of m', mu_t rising to beta1",
        hyperparameters=(
            _lr(2e-3),
            *_BETAS,
            _eps(1e-8),
            _weight_decay(0.0),
            Hyperparameter("momentum_decay", float, 4e-3, "how fast beta1 comes to its full value", low=0),
            _DECOUPLED,
        ),
        reference="Dozat 2016, openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ",
        target="torch.optim.NAdam",
        state=copies(2, counters=2),
    ),
    Optimizer(
        name="radam",
        doc="Adam that takes plain momentum steps until its squared gradients can be trusted",
        formula=(
            "w <- w - lr r_t m' / (sqrt(v') + eps), r_t from the variance of v'; "
            "while that is unknown, w <- w - lr m'"
        ),
        hyperparameters=(_lr(1e-3), *_BETAS, _eps(1e-8), _weight_decay(0.0), _DECOUPLED),
        reference="Liu et al. 2019, arXiv:1908.03265",
        target="torch.optim.RAdam",
        state=copies(2),
    ),
    Optimizer(
        name="adamax",
        doc="Adam with the largest recent gradient in place of the root of the mean square",
        formula="u <- max(beta2 u, |g| + eps); w <- w - lr m' / u",
        hyperparameters=(_lr(2e-3), *_BETAS, _eps(1e-8), _weight_decay(0.0)),
        reference="Kingma and Ba 2014, arXiv:1412.6980, section 7.1",
        target="torch.optim.Adamax",
        state=copies(2),
    ),
    Optimizer(
        name="adafactor",
        doc="Steps divided by the root of squared gradients, of which only rows and columns are kept",
        formula=(
            "v = r c / mean(r) of rows r and columns c; u = g / sqrt(v); "
            "w <- w - a u / max(1, rms(u) / d), a = max(eps2, rms(w)) min(lr, 1 / sqrt(t))"
        ),
        hyperparameters=(
            _lr(1e-2),
            Hyperparameter("beta2_decay", float, -0.8, "step t forgets a share t^beta2_decay", high=0),
            Hyperparameter(
                "eps1", float, None, "least squared gradient; null: the type's epsilon", low=0, optional=True
            ),
            Hyperparameter("eps2", float, 1e-3, "least size of the weights that lr is relative to", low=0),
            Hyperparameter("d", float, 1.0, "largest root mean square of a step before lr", low=1),
            _weight_decay(0.0, _OF_LR),
        ),
        reference="Shazeer and Stern 2018, arXiv:1804.04235",
        target="torch.optim.Adafactor",
        state=adafactor,
        entrywise=False,
    ),
    Optimizer(
        name="muon",
        doc="Momentum made orthogonal for each matrix, AdamW for all that is no matrix",
        formula="m <- momentum m + (1 - momentum) g; w <- w - lr (orthogonal(m) + weight_decay w)",
        hyperparameters=(
            _lr(1e-3),
            _weight_decay(0.1, _OF_LR),
            _share("momentum", 0.95, "decay of the running mean of gradients, for each step"),
            Hyperparameter("nesterov", bool, True, "look ahead along the momentum"),  # noqa: FBT003
            Hyperparameter("eps", float, 1e-7, "least norm that a matrix is divided by", low=0),
            Hyperparameter("ns_steps", int, 5, "Newton-Schulz iterations", low=1, high=99),
            Hyperparameter(
                "adjust_lr_fn",
                str,
                None,
                "how lr follows a matrix's shape; null is original, match_rms_adamw suits AdamW's lr",
                choices=("original", "match_rms_adamw"),
                optional=True,
            ),
            *_ADAMW,
        ),
        reference="Jordan et al. 2024, kellerjordan.github.io/posts/muon; arXiv:2502.16982",
        target="hpo.training.loop.muon.MuonAdamW",
        state=muon,
        entrywise=False,
    ),
    Optimizer(
        name="lbfgs",
        doc="Quasi-Newton steps from the last gradients and steps; for small problems, on all data at once",
        formula="w <- w - lr H g, H the inverse curvature that the remembered steps and gradients tell",
        hyperparameters=(
            _lr(1.0),
            Hyperparameter("max_iter", int, 20, "iterations in one step", low=1),
            Hyperparameter("tolerance_grad", float, 1e-7, "stop below this largest gradient entry", low=0),
            Hyperparameter("tolerance_change", float, 1e-9, "stop below this change of loss or place", low=0),
            Hyperparameter("history_size", int, 100, "how many gradients and steps it remembers", low=1),
            Hyperparameter(
                "line_search_fn",
                str,
                None,
                "look for a good length along the direction",
                choices=("strong_wolfe",),
                optional=True,
            ),
        ),
        reference="Liu and Nocedal 1989, doi.org/10.1007/BF01589116",
        target="torch.optim.LBFGS",
        state=lbfgs,
        entrywise=False,
    ),
)

OPTIMIZERS: Final[Mapping[str, Optimizer]] = {word.name: word for word in _WORDS}


def optimizer_call(config: Config, recipe: str = "") -> Call:
    """Return the call that takes these parameters and makes the optimizer of a complete configuration.

    What is none of these optimizers is defined in the module `recipe`.
    """
    name, hyperparameters = str(config["optimizer"]), config.below("optimizer")
    return (
        OPTIMIZERS[name].call(hyperparameters)
        if name in OPTIMIZERS
        else Call(f"{recipe}.{name}", hyperparameters)
    )
