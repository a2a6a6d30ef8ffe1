"""Tests of the simulator: its schedules, its crashes, its checker, and the planted bugs."""
