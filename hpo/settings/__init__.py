"""The words after a verb, `key=value …`, as validated settings.

Each verb has one class of settings: its fields are the keys that the verb takes, their descriptions are
its help, and `from_words` reads what was typed. Every mistake is found before anything starts, all at once.
"""

from hpo.settings.base import Settings
from hpo.settings.values import (
    AUTO,
    OFF,
    PLACE_THERE,
    ParallelName,
    PrunerName,
    SamplerName,
    as_name,
    is_there,
)
from hpo.settings.verbs import (
    UNHEARD_THERE,
    ExportSettings,
    FetchSettings,
    NameSettings,
    PlotSettings,
    ReplaySettings,
    ResumeSettings,
    SearchSettings,
    ServiceSettings,
    StopSettings,
    StoreSettings,
    SubmitSettings,
    SyncSettings,
    TrackingSettings,
    TrainSettings,
)
from hpo.settings.views import (
    CompletionSettings,
    CompressSettings,
    CopySettings,
    DiffSettings,
    ExtendSettings,
    LedSettings,
    NewSettings,
    PromoteSettings,
    ReportSettings,
    RollbackSettings,
    SpaceSettings,
)
from hpo.settings.words import parse

__all__ = [
    "AUTO",
    "OFF",
    "PLACE_THERE",
    "UNHEARD_THERE",
    "CompletionSettings",
    "CompressSettings",
    "CopySettings",
    "DiffSettings",
    "ExportSettings",
    "ExtendSettings",
    "FetchSettings",
    "LedSettings",
    "NameSettings",
    "NewSettings",
    "ParallelName",
    "PlotSettings",
    "PromoteSettings",
    "PrunerName",
    "ReplaySettings",
    "ReportSettings",
    "ResumeSettings",
    "RollbackSettings",
    "SamplerName",
    "SearchSettings",
    "ServiceSettings",
    "Settings",
    "SpaceSettings",
    "StopSettings",
    "StoreSettings",
    "SubmitSettings",
    "SyncSettings",
    "TrackingSettings",
    "TrainSettings",
    "as_name",
    "is_there",
    "parse",
]
