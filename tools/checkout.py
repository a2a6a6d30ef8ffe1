"""The folder of this checkout, defined once."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
