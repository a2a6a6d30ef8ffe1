"""Lambda's edge: one file per function, which decodes what arrives, calls one step and publishes what it returns."""

import gc

# The garbage collector would walk a hundred times through what the large imports make, and find nothing to free: more
# than a tenth of a cold start. So it waits until they are done, and leaves them out afterwards.
gc.disable()
import orders.aws.store  # noqa: E402, F401 # and with it boto3, pydantic and the models

gc.freeze()
gc.enable()
