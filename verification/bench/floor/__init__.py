"""The floor: the same topology, whose functions only publish the next event. Deployed in place of handlers/."""
