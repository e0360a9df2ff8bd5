BEGIN TRANSACTION;
CREATE TABLE attempts (
	search_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	worker TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	seq INTEGER NOT NULL, 
	PRIMARY KEY (search_id, seq), 
	FOREIGN KEY(search_id) REFERENCES searches (id)
);
INSERT INTO "attempts" VALUES(1,0,'elsewhere/4712',1.79525916926826596261e+09,2);
INSERT INTO "attempts" VALUES(1,1,'elsewhere/4712',1.79525917023929595947e+09,8);
INSERT INTO "attempts" VALUES(1,2,'elsewhere/4712',1.79525917026892924306e+09,12);
CREATE TABLE endings (
	search_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	outcome VARCHAR(20) NOT NULL, 
	reason TEXT NOT NULL, 
	score FLOAT, 
	notes TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	seq INTEGER NOT NULL, 
	PRIMARY KEY (search_id, trial), 
	FOREIGN KEY(search_id) REFERENCES searches (id)
);
INSERT INTO "endings" VALUES(1,0,'finished','',4.77083114661765428365e+00,'{}',1.79525917021178102496e+09,6);
INSERT INTO "endings" VALUES(1,1,'pruned','',2.55823939956474859518e+01,'{}',1.795259170246206522e+09,10);
CREATE TABLE points (
	search_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	score FLOAT, 
	loss FLOAT, 
	train_loss FLOAT, 
	lr FLOAT, 
	grad_norm FLOAT, 
	clipped_norm FLOAT, 
	seconds FLOAT, 
	clipped_share FLOAT, 
	grad_mean FLOAT, 
	grad_std FLOAT, 
	metrics TEXT NOT NULL, 
	notes TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	seq INTEGER NOT NULL, 
	PRIMARY KEY (search_id, trial, epoch), 
	FOREIGN KEY(search_id) REFERENCES searches (id)
);
INSERT INTO "points" VALUES(1,0,1,1.4621654219258980234e+01,1.4621654219258980234e+01,2.57411532374467419978e+01,0.1,1.1266057684113730986e+01,1.1266057684113730986e+01,4.5975349994478165172e-03,0.0,-7.61266620513588065932e+00,2.34719856852186481432e+00,'{}','{"completed_rung_0": 14.62165421925898}',1.79525917020199012757e+09,3);
INSERT INTO "points" VALUES(1,0,2,8.33066168134385,8.33066168134385,1.4621654219258980234e+01,0.1,8.47388767995935587862e+00,8.47388767995935587862e+00,1.33621199984190752729e-03,0.0,-5.7353688622308,1.73462682454666872189e+00,'{}','{"completed_rung_1": 8.33066168134385}',1.79525917020603871347e+09,4);
INSERT INTO "points" VALUES(1,0,3,4.77083114661765428365e+00,4.77083114661765428365e+00,8.33066168134385,0.1,6.37421995071182756475e+00,6.37421995071182756475e+00,1.14676300017890753224e-03,0.0,-4.32335639369858437675e+00,1.27433491794422604215e+00,'{}','{}',1.79525917020940899851e+09,5);
INSERT INTO "points" VALUES(1,1,1,2.55823939956474859518e+01,2.55823939956474859518e+01,2.57219243510551898168e+01,6.96081342268549830426e-03,1.12782669871269511927e+01,9.99999911331519331092e-01,2.5759589998415322043e-03,1.0,-6.76410925108409943895e-01,2.06078073033691216986e-01,'{}','{"completed_rung_0": 25.582393995647486}',1.7952591702459702492e+09,9);
INSERT INTO "points" VALUES(1,2,1,2.55387591115277068354e+01,2.55387591115277068354e+01,2.5703109719477570394e+01,0.00642883086676407,1.12725517204027134707e+01,9.99999911287005271987e-01,2.99680599982821149751e-03,1.0,-6.76410943584875079537e-01,2.06078012172295876869e-01,'{}','{"completed_rung_0": 25.538759111527707}',1.79525917027605152131e+09,13);
CREATE TABLE proposals (
	search_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	config TEXT NOT NULL, 
	origin VARCHAR(20) NOT NULL, 
	params TEXT NOT NULL, 
	distributions TEXT NOT NULL, 
	notes TEXT NOT NULL, 
	cohort VARCHAR(64) NOT NULL, 
	at FLOAT NOT NULL, 
	seq INTEGER NOT NULL, 
	PRIMARY KEY (search_id, number), 
	FOREIGN KEY(search_id) REFERENCES searches (id)
);
INSERT INTO "proposals" VALUES(1,0,'{"accumulate": 1, "batch_size": 100, "clip_norm": null, "clip_value": null, "ema": null, "init": "default", "l1": 0.0, "optimizer": "sgd", "optimizer.lr": 0.1, "optimizer.momentum": 0.0, "optimizer.nesterov": false, "optimizer.weight_decay": 0.0, "precision": "fp32", "schedule": "constant", "then": "same", "warmup": 0.0, "weight_decay_on": "all"}','baseline','{"optimizer": "sgd", "optimizer.sgd.lr": 0.1, "optimizer.sgd.nesterov": false, "schedule": "constant", "warmup": 0, "clip_norm": null}','{"optimizer": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"sgd\", \"adagrad\", \"rmsprop\", \"adam\", \"adamw\"]}}", "optimizer.sgd.lr": "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.001, \"high\": 2.0, \"log\": true}}", "optimizer.sgd.nesterov": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [true, false]}}", "schedule": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"constant\", \"step\", \"exponential\", \"cosine\"]}}", "warmup": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [0, 0.02, 0.05, 0.1]}}", "clip_norm": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [null, 0.5, 1, 5]}}"}','{"fixed_params": {"optimizer": "sgd", "optimizer.sgd.lr": 0.1, "optimizer.sgd.nesterov": false, "schedule": "constant", "warmup": 0, "clip_norm": null}}','0705af0f',1.79525916926075315479e+09,1);
INSERT INTO "proposals" VALUES(1,1,'{"accumulate": 1, "batch_size": 64, "clip_norm": 1, "clip_value": null, "ema": null, "init": "default", "l1": 0.0, "optimizer": "adamw", "optimizer.beta1": 0.8061873161160169, "optimizer.beta2": 0.9985350810379745, "optimizer.eps": 1e-08, "optimizer.lr": 0.006960813422685498, "optimizer.weight_decay": 0.00015584281242736332, "precision": "fp32", "schedule": "cosine", "schedule.end_factor": 0, "then": "same", "warmup": 0.1, "weight_decay_on": "all"}','prior','{"optimizer": "adamw", "optimizer.adamw.lr": 0.006960813422685498, "optimizer.adamw.one_minus_beta1": 0.19381268388398315, "optimizer.adamw.one_minus_beta2": 0.0014649189620254692, "optimizer.adamw.weight_decay": 0.00015584281242736332, "schedule": "cosine", "schedule.cosine.end_factor": 0, "warmup": 0.1, "clip_norm": 1}','{"optimizer": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"sgd\", \"adagrad\", \"rmsprop\", \"adam\", \"adamw\"]}}", "optimizer.adamw.lr": "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 1e-05, \"high\": 0.03, \"log\": true}}", "optimizer.adamw.one_minus_beta1": "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.005, \"high\": 0.3, \"log\": true}}", "optimizer.adamw.one_minus_beta2": "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.0005, \"high\": 0.1, \"log\": true}}", "optimizer.adamw.weight_decay": "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.0001, \"high\": 0.5, \"log\": true}}", "schedule": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"constant\", \"step\", \"exponential\", \"cosine\"]}}", "schedule.cosine.end_factor": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [0, 0.01, 0.1]}}", "warmup": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [0, 0.02, 0.05, 0.1]}}", "clip_norm": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [null, 0.5, 1, 5]}}"}','{"fixed_params": {"optimizer": "adamw", "optimizer.adamw.lr": 0.006960813422685498, "optimizer.adamw.one_minus_beta1": 0.19381268388398315, "optimizer.adamw.one_minus_beta2": 0.0014649189620254692, "optimizer.adamw.weight_decay": 0.00015584281242736332, "schedule": "cosine", "schedule.cosine.end_factor": 0, "warmup": 0.1, "clip_norm": 1}}','c9dc9631',1.79525917023534250255e+09,7);
INSERT INTO "proposals" VALUES(1,2,'{"accumulate": 1, "batch_size": 64, "clip_norm": 1, "clip_value": null, "ema": null, "init": "default", "l1": 0.0, "optimizer": "adam", "optimizer.beta1": 0.8918095610167762, "optimizer.beta2": 0.9986453085061113, "optimizer.eps": 1e-08, "optimizer.lr": 0.006890400156102828, "optimizer.weight_decay": 2.3837192442013855e-05, "precision": "fp32", "schedule": "cosine", "schedule.end_factor": 0, "then": "same", "warmup": 0.02, "weight_decay_on": "all"}','prior','{"optimizer": "adam", "optimizer.adam.lr": 0.006890400156102828, "optimizer.adam.one_minus_beta1": 0.10819043898322374, "optimizer.adam.one_minus_beta2": 0.001354691493888656, "optimizer.adam.weight_decay": 2.3837192442013855e-05, "schedule": "cosine", "schedule.cosine.end_factor": 0, "warmup": 0.02, "clip_norm": 1}','{"optimizer": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"sgd\", \"adagrad\", \"rmsprop\", \"adam\", \"adamw\"]}}", "optimizer.adam.lr": "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 1e-05, \"high\": 0.03, \"log\": true}}", "optimizer.adam.one_minus_beta1": "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.005, \"high\": 0.3, \"log\": true}}", "optimizer.adam.one_minus_beta2": "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.0005, \"high\": 0.1, \"log\": true}}", "optimizer.adam.weight_decay": "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 1e-06, \"high\": 0.005, \"log\": true}}", "schedule": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"constant\", \"step\", \"exponential\", \"cosine\"]}}", "schedule.cosine.end_factor": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [0, 0.01, 0.1]}}", "warmup": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [0, 0.02, 0.05, 0.1]}}", "clip_norm": "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [null, 0.5, 1, 5]}}"}','{"fixed_params": {"optimizer": "adam", "optimizer.adam.lr": 0.006890400156102828, "optimizer.adam.one_minus_beta1": 0.10819043898322374, "optimizer.adam.one_minus_beta2": 0.001354691493888656, "optimizer.adam.weight_decay": 2.3837192442013855e-05, "schedule": "cosine", "schedule.cosine.end_factor": 0, "warmup": 0.02, "clip_norm": 1}}','23a0cf02',1.79525917026518917079e+09,11);
CREATE TABLE searches (
	id INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	recipe VARCHAR(100) NOT NULL, 
	path TEXT NOT NULL, 
	source TEXT NOT NULL, 
	space TEXT NOT NULL, 
	objective TEXT NOT NULL, 
	settings TEXT NOT NULL, 
	versions TEXT NOT NULL, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "searches" VALUES(1,'linear-1','linear','recipes/linear.py','"""Linear regression, the smallest training there is: a line through 100 noisy points, y = 3 x + 2.

Points and start are NumPy''s of seed 0, so that the losses can be compared with those of other
implementations, digit by digit: gradient descent with learning rate 0.1, which is the baseline, has the
training loss 0.0196622 at step 100, 0.0105787 at step 200, and stays at 0.0099244 from step 600 on.
There is one step in each epoch; `epochs=700` sees it to its end.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

objective = "minimize loss"
epochs = 100

baseline = {
    "optimizer": "sgd",
    "optimizer.lr": 0.1,
    "schedule": "constant",
    "batch_size": 100,  # all of them: gradient descent, not stochastic
}


class Draws(NamedTuple):
    """The points, both arrays of shape [100, 1], and the line that training starts from."""

    inputs: np.ndarray
    targets: np.ndarray
    weight: float
    bias: float


def draw() -> Draws:
    """Draw everything from one stream of random numbers, in this order."""
    chance = np.random.RandomState(0)
    inputs = chance.rand(100, 1)
    targets = 3 * inputs + 2 + 0.1 * chance.randn(100, 1)
    return Draws(inputs, targets, weight=chance.randn(), bias=chance.randn())


def model() -> nn.Module:
    """One weight and one bias, in double precision: seven digits are compared.

    Takes numbers of shape [batch, 1], gives numbers of shape [batch, 1].
    """
    start = draw()
    line = nn.Linear(1, 1, dtype=torch.float64)
    nn.init.constant_(line.weight, start.weight)
    nn.init.constant_(line.bias, start.bias)
    return line


def data() -> dict[str, TensorDataset]:
    """All 100 points in each part: two numbers cannot learn them by heart, so nothing is held back."""
    points = draw()
    whole = TensorDataset(torch.tensor(points.inputs), torch.tensor(points.targets))
    return {"train": whole, "validation": whole, "test": whole}


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of the squared errors."""
    return F.mse_loss(outputs, targets)
','optimizer:
  one_of:
    sgd:
      lr: {log: [0.001, 2.0], prior: 0.05}
      momentum: {one_minus_log: [0.01, 0.3], prior: 0.9}
      nesterov: {choice: [true, false], prior: true}
      weight_decay: {log: [1.0e-06, 0.005], prior: 0.0001}
    adagrad:
      lr: {log: [0.001, 1.0], prior: 0.05}
      weight_decay: {log: [1.0e-06, 0.005], prior: 1.0e-05}
    rmsprop:
      lr: {log: [1.0e-05, 0.03], prior: 0.001}
      alpha: {one_minus_log: [0.001, 0.2], prior: 0.99}
      momentum: {choice: [0, 0.5, 0.9], prior: 0}
      weight_decay: {log: [1.0e-06, 0.005], prior: 1.0e-05}
    adam:
      lr: {log: [1.0e-05, 0.03], prior: 0.001}
      beta1: {one_minus_log: [0.005, 0.3], prior: 0.9}
      beta2: {one_minus_log: [0.0005, 0.1], prior: 0.999}
      weight_decay: {log: [1.0e-06, 0.005], prior: 1.0e-05}
    adamw:
      lr: {log: [1.0e-05, 0.03], prior: 0.001}
      beta1: {one_minus_log: [0.005, 0.3], prior: 0.9}
      beta2: {one_minus_log: [0.0005, 0.1], prior: 0.999}
      weight_decay: {log: [0.0001, 0.5], prior: 0.01}
  prior: {adamw: 0.4, sgd: 0.3, adam: 0.15, rmsprop: 0.1, adagrad: 0.05}
schedule:
  one_of:
    constant: {}
    step:
      step_size: {uniform: [0.1, 0.5], prior: 0.33}
      gamma: {log: [0.05, 0.7], prior: 0.1}
    exponential:
      end_factor: {log: [0.001, 0.3], prior: 0.01}
    cosine:
      end_factor: {choice: [0, 0.01, 0.1], prior: 0}
  prior: {cosine: 0.6, exponential: 0.15, constant: 0.15, step: 0.1}
warmup: {choice: [0, 0.02, 0.05, 0.1]}
clip_norm: {choice: [null, 0.5, 1, 5], prior: {null: 0.5, 1: 0.3, 0.5: 0.1, 5: 0.1}}
batch_size: 64
','minimize loss','{"epochs": 3, "space": "default", "trials": 3, "timeout": null, "sampler": "tpe", "pruner": "halving", "workers": 1, "gpus_per_trial": null, "seed": 0, "threads": 2, "device": "cpu"}','{"python": "3.11.7", "hpo": "0.1.0", "torch": "2.13.0+cpu", "optuna": "5.0.0", "ray": "2.60.0", "scikit-learn": "1.9.1", "numpy": "2.4.6"}',1.79525916441852688787e+09);
CREATE TABLE sessions (
	id INTEGER NOT NULL, 
	search_id INTEGER NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	started FLOAT NOT NULL, 
	ended FLOAT, 
	state VARCHAR(20), 
	reason TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(search_id) REFERENCES searches (id)
);
INSERT INTO "sessions" VALUES(1,1,'elsewhere',4711,1.79525916444827461247e+09,1.79525917163975811006e+09,'interrupted','stopped by hand');
CREATE INDEX ix_sessions_search_id ON sessions (search_id);
CREATE INDEX proposals_in_order ON proposals (search_id, seq);
CREATE INDEX points_in_order ON points (search_id, seq);
CREATE INDEX endings_in_order ON endings (search_id, seq);
COMMIT;
