"""Where this checkout is: the one place that says so."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
