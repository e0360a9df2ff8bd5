"""Searches for `benchmarks/peers.py` as a good engineer writes them with other libraries, without hpo.

    python benchmarks/rivals.py optuna|tune|hydra RECIPE SEED

searches in the working directory until it is stopped. After each epoch of any trial a line goes to
`scores.txt`: the time and the validation loss. Two trials train at a time, one thread each. All begin with
the recipe's baseline, search the space of `benchmarks/peers.yaml`, train with `by_hand.py`, propose by TPE.

    optuna  Optuna alone: two processes on a journal, Hyperband
    tune    Ray Tune: ASHA, OptunaSearch, actors reused, Tune's loggers and checkpoints off
    hydra   Hydra's Optuna sweeper with its joblib launcher; it knows no pruning (`pip install 'hpo[bench]'`)
"""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from races import NAMES, RACES, SCORES, TRIALS, WORKERS

DIVERGED = 1e6  # for who takes no infinity

Params = Mapping[str, Any]


def suggest(trial: Any) -> None:
    """Ask Optuna for a configuration; the names are fit for Hydra's command line, too."""
    if trial.suggest_categorical("optimizer", ["sgd", "adamw"]) == "sgd":
        trial.suggest_float("sgd_lr", 1e-3, 2, log=True)
        trial.suggest_float("sgd_one_minus_momentum", 0.01, 0.3, log=True)
        trial.suggest_categorical("sgd_nesterov", [True, False])
        trial.suggest_float("sgd_weight_decay", 1e-6, 5e-3, log=True)
    else:
        trial.suggest_float("adamw_lr", 1e-5, 3e-2, log=True)
        trial.suggest_float("adamw_one_minus_beta1", 0.005, 0.3, log=True)
        trial.suggest_float("adamw_one_minus_beta2", 5e-4, 0.1, log=True)
        trial.suggest_float("adamw_weight_decay", 1e-4, 0.5, log=True)
    if trial.suggest_categorical("schedule", ["constant", "step", "cosine"]) == "step":
        trial.suggest_float("step_size", 0.1, 0.5)
        trial.suggest_float("gamma", 0.05, 0.7, log=True)
    trial.suggest_categorical("clip_norm", [0.0, 0.5, 1.0, 5.0])


def spell(params: Params) -> dict[str, Any]:
    """Return the configuration that `by_hand.train` understands; Hydra says None of a branch not taken."""
    said = {name: value for name, value in params.items() if value is not None}
    config = {name: said[name] for name in ("optimizer", "schedule", "clip_norm")}
    for name, value in said.items():
        owner, _, own = name.partition("_")
        if owner == said["optimizer"]:
            inverse = own.startswith("one_minus_")
            config[f"optimizer.{own.removeprefix('one_minus_')}"] = 1 - value if inverse else value
    return config | {f"schedule.{name}": said[name] for name in ("step_size", "gamma") if name in said}


@cache
def prepared(recipe: str, seed: int) -> tuple[Any, dict[str, Any]]:
    """Load torch and a recipe with its data, once in each process."""
    import torch
    from by_hand import load

    torch.set_num_threads(1)
    race = RACES[recipe]
    task, options = load(recipe, race.options, race.epochs, seed)
    return task, {**options, "batch_size": race.batch_size}


def train(recipe: str, seed: int, params: Params, folder: str = ".") -> Iterator[float]:
    """Yield the validation loss after each epoch, and write it down; a divergence is the last."""
    from by_hand import train

    task, options = prepared(recipe, seed)
    for score in train(task, {**options, **spell(params)}):
        with open(os.path.join(folder, SCORES), "a", encoding="utf-8") as file:
            file.write(f"{time.time()} {score}\n")
        if not math.isfinite(score):
            yield DIVERGED
            return
        yield score


def sampler(seed: int) -> Any:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def by_optuna(recipe: str, seed: int) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    epochs = RACES[recipe].epochs

    def opened() -> JournalStorage:
        """Open the journal: each process for itself, since by its storage it knows its own trials."""
        return JournalStorage(JournalFileBackend("journal.log"))

    optuna.create_study(study_name=recipe, storage=opened()).enqueue_trial(RACES[recipe].first)

    def objective(trial: optuna.Trial) -> float:
        suggest(trial)
        score = DIVERGED
        for epoch, score in enumerate(train(recipe, seed, trial.params), start=1):
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    def work(number: int) -> None:
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)
        study = optuna.load_study(
            study_name=recipe, storage=opened(), sampler=sampler(WORKERS * seed + number), pruner=pruner
        )
        study.optimize(objective, n_trials=TRIALS // WORKERS)

    workers = [multiprocessing.Process(target=work, args=(number,)) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def by_tune(recipe: str, seed: int) -> None:
    os.environ.update(TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_AIR_NEW_OUTPUT="0")
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    race, folder = RACES[recipe], os.getcwd()

    class Trial(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.scores, self.left = train(recipe, seed, new_config, folder), race.epochs
            return True

        def step(self) -> dict[str, Any]:
            score = next(self.scores)
            self.left -= 1
            return {"score": score, "done": not self.left or score >= DIVERGED}

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    goal = {"metric": "score", "mode": "min"}
    tune.Tuner(
        tune.with_resources(Trial, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(
                suggest, points_to_evaluate=[dict(race.first)], sampler=sampler(seed), **goal
            ),
            scheduler=ASHAScheduler(max_t=race.epochs, grace_period=1, reduction_factor=3, **goal),
            num_samples=TRIALS,
            max_concurrent_trials=WORKERS,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            verbose=0,
            storage_path=os.path.join(folder, "tune"),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()


def by_hydra(recipe: str, seed: int) -> None:
    import hydra
    import optuna

    storage = "sqlite:///hydra.db"
    optuna.create_study(study_name=recipe, storage=storage).enqueue_trial(RACES[recipe].first)
    folder = os.getcwd()
    Path("rival.yaml").write_text("".join(f"{name}: null\n" for name in NAMES), encoding="utf-8")
    words = {
        "hydra/sweeper": "optuna",
        "hydra/launcher": "joblib",
        "hydra.launcher.n_jobs": WORKERS,
        "hydra.sweeper.n_jobs": WORKERS,
        "hydra.sweeper.n_trials": TRIALS,
        "hydra.sweeper.storage": storage,
        "hydra.sweeper.study_name": recipe,
        "hydra.sweeper.custom_search_space": "rivals.suggest_to_hydra",
        "hydra.sweeper.sampler.seed": seed,
        **{f"hydra.sweeper.sampler.{name}": "true" for name in ("multivariate", "group", "constant_liar")},
    }
    sys.argv[1:] = ["--multirun", *(f"{name}={value}" for name, value in words.items())]

    def last(config: Any) -> float:
        *_, score = train(recipe, seed, config, folder)
        return score

    hydra.main(config_path=folder, config_name="rival")(last)()


def suggest_to_hydra(_config: Any, trial: Any) -> None:
    """Have Hydra's sweeper ask what the others ask."""
    suggest(trial)


WAYS = {"optuna": by_optuna, "tune": by_tune, "hydra": by_hydra}

if __name__ == "__main__":
    from rivals import WAYS as HOME  # not those of __main__, which other processes could not import

    HOME[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
