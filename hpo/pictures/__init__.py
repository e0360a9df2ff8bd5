"""Pictures of a search: what its schedules, curves, gradients and layers look like, as figures and PNG files.

The only importer of matplotlib, which takes half a second. Each picture is one function from what is known
to a figure; one that does not apply says why.
"""

from hpo.pictures.gallery import Drawn, Gallery, draw, draw_space
from hpo.pictures.style import NotDrawnError

__all__ = ["Drawn", "Gallery", "NotDrawnError", "draw", "draw_space"]
