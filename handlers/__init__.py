"""Lambda's edge: one file per function, which decodes what arrives, calls one step and publishes what it returns."""
