"""Makes `prove` importable, as scripts/prove does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
