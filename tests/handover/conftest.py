import sys
from pathlib import Path

import pytest
from optuna import load_study
from optuna.storages import RDBStorage

sys.path.insert(0, str(Path(__file__).parent.parent / "terminal"))  # for made_up
sys.path.insert(0, str(Path(__file__).parent))  # for trained


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
