"""A search over linear regression comes to the optimum that scikit-learn computes."""

import json

import pytest
from sklearn.linear_model import LinearRegression

from hpo import recipe
from hpo.training.execution import execute


@pytest.fixture(scope="module")
def optimum():
    found = recipe.find("linear")
    inputs, targets = execute(found.source, found.path).data()["train"].tensors
    line = LinearRegression().fit(inputs, targets)
    return float(((line.predict(inputs) - targets.numpy()) ** 2).mean())


@pytest.mark.slow
def test_the_winner_is_at_the_optimum_where_the_baseline_is_not_yet(folder, optimum):
    words = ("recipe=linear", "space=linear", "trials=12", "epochs=300", "workers=1", "seed=0")
    done = folder.run("search", *words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["best"]["trial"] > 0
    assert found["best"]["score"] == pytest.approx(optimum, rel=0, abs=1e-10)
    assert found["baseline"]["score"] > optimum + 1e-5
    memory = found["best"]["memory"]
    assert memory["predicted"] == memory["measured"]
