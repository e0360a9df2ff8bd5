import sys
from pathlib import Path

for folder in ("advice", "terminal"):  # for tales and made_up
    sys.path.insert(0, str(Path(__file__).parent.parent / folder))
