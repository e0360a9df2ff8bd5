"""Ray: places workers, whose shifts are Ray Tune trials, and hosts the referee. Nothing else imports it."""

import os

# Ray reads these when it is imported or started.
os.environ.update(
    PL_DISABLE_FORK="1",  # as Tune has it: Lightning is not to fork a worker
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AIR_NEW_OUTPUT="0",
    RAY_CHDIR_TO_TRIAL_DIR="0",  # a recipe finds its files where the search was started
    RAY_TQDM_PATCH_PRINT="0",
    RAY_raylet_client_connect_timeout_milliseconds="50",  # it sleeps so long where its peer is not up yet
    RAY_raylet_client_num_connect_attempts="400",
    RAY_worker_niceness="5",  # as polite as Ray would have it (15), training would wait for uploading
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_DISABLE_SIGINT_HANDLER="1",
    TUNE_MAX_PENDING_TRIALS_PG="1000000",  # how many wait for a place is ours to say
    TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
)

from hpo.cluster.joined import capacity, joined
from hpo.cluster.local import local
from hpo.cluster.order import Order
from hpo.cluster.placement import train

__all__ = ["Order", "capacity", "joined", "local", "train"]
