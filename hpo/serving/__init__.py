"""A trained model in the forms that servers run: a `torch.export` program, ONNX."""

from hpo.serving.forms import FORMS, Written
from hpo.serving.served import Served, train_again

__all__ = ["FORMS", "Served", "Written", "train_again"]
