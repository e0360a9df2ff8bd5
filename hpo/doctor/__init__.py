"""What works on this machine and what does not, each with how to mend it (`hpo doctor`)."""

from hpo.doctor.examination import examine
from hpo.doctor.finding import Finding

__all__ = ["Finding", "examine"]
