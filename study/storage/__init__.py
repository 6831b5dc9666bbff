"""Where studies are kept: sqlite, a journal file, PostgreSQL, or Optuna's proxy in front of a database."""

from study.storage.addresses import StorageAddress, default_url, without_password
from study.storage.locks import StudyLock, study_lock
from study.storage.opening import open_storage, storage_failures
from study.storage.studies import (
    OBJECTIVES,
    RESULT_KEY,
    StudyIdentity,
    compare_training,
    describe_genes,
    finished_trials,
    keep_reference,
    kept_reference,
    open_study,
    population_of,
    record_of,
    register_run,
    store_result,
    tell_result,
    told_values,
)

__all__ = [
    "OBJECTIVES",
    "RESULT_KEY",
    "StorageAddress",
    "StudyIdentity",
    "StudyLock",
    "compare_training",
    "default_url",
    "describe_genes",
    "finished_trials",
    "keep_reference",
    "kept_reference",
    "open_storage",
    "open_study",
    "population_of",
    "record_of",
    "register_run",
    "storage_failures",
    "store_result",
    "study_lock",
    "tell_result",
    "told_values",
    "without_password",
]
