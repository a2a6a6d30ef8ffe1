"""The system in a world of its own: the production code on a simulated AWS, with a virtual clock and every fault."""
