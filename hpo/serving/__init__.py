"""A trained model in the forms that servers run: a `torch.export` program, ONNX."""

from hpo.serving.forms import FORMS, Written
from hpo.serving.served import Network, Served, train_again, untrained

__all__ = ["FORMS", "Network", "Served", "Written", "train_again", "untrained"]
