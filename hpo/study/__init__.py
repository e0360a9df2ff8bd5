"""The study: what to try next and who may go on, by Optuna, which nothing else imports."""

from hpo.study.study import Study

__all__ = ["Study"]
