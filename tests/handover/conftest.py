import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "terminal"))  # for made_up
sys.path.insert(0, str(Path(__file__).parent))  # for trained
