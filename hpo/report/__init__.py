"""The report of a search: one HTML file that needs nothing else, with the answer first.

The charts are SVG of our own making (`chart`), each a function from what is known to a figure. Plain data in,
text out; the page is readable without its script, on a phone, in the dark and on paper.
"""

from hpo.report.page import glance, page, write

__all__ = ["glance", "page", "write"]
