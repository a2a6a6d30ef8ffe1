"""The simulator: the code that is deployed, on a simulated AWS with a virtual clock and injected faults."""
