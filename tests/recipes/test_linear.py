"""Linear regression, against the losses that the article prints and the optimum that scikit-learn finds."""

import pytest
import torch
from sklearn.linear_model import LinearRegression

PRINTED = {
    100: 0.0196622,
    200: 0.0105787,
    300: 0.0099683,
    400: 0.0099273,
    500: 0.0099246,
    600: 0.0099244,
    700: 0.0099244,
}


def test_gradient_descent_has_the_losses_of_the_article(train):
    found = {point.epoch: point.train_loss for point in train("linear", 700)}
    assert {step: found[step] for step in PRINTED} == pytest.approx(PRINTED, rel=0, abs=5e-7)


def test_validation_tells_the_loss_after_the_step(train):
    points = train("linear", 10)
    after = [point.loss for point in points[:-1]]
    assert after == pytest.approx([point.train_loss for point in points[1:]], rel=1e-12)


def test_it_ends_at_the_least_squares_line(run, train):
    inputs, targets = run("linear").data()["train"].tensors
    line = LinearRegression().fit(inputs, targets)
    optimum = ((line.predict(inputs) - targets.numpy()) ** 2).mean()
    assert train("linear", 2000)[-1].loss == pytest.approx(optimum, abs=1e-12)


def test_drawing_leaves_numpys_own_stream_alone(run):
    import numpy as np

    module = run("linear")
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    module.data()
    assert np.random.rand() == expected


def test_all_is_in_double_precision(run):
    module = run("linear")
    assert {tensor.dtype for tensor in module.data()["train"].tensors} == {torch.float64}
    assert {parameter.dtype for parameter in module.model().parameters()} == {torch.float64}
