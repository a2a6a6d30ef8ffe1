"""Lambda's edge: one file per function, which decodes what arrives, calls one step and publishes what it returns."""

import gc

# During the large imports the garbage collector would run a hundred times and find nothing to free, which takes more
# than a tenth of a cold start. So it is off until they are done, and afterwards never scans what they made.
gc.disable()
import orders.aws.store  # noqa: E402, F401 # and with it boto3, pydantic and the models

gc.freeze()
gc.enable()
