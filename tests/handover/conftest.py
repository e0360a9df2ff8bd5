import pytest
from optuna import load_study
from optuna.storages import RDBStorage


@pytest.fixture
def load():
    """Return what opens the study that was written, and closes it at the end."""
    opened = []

    def study():
        opened.append(RDBStorage("sqlite:///study.db"))
        return load_study(study_name="cnn-1", storage=opened[-1])

    yield study
    for storage in opened:
        storage.remove_session()
        storage.engine.dispose()
