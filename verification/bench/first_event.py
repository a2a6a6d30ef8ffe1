"""A cold start in a process of its own, timed from its first line: imports, clients, the first event.

    python -I -B verification/bench/first_event.py FOLDER MODULE < event.json

FOLDER is the unpacked package; a MODULE of `-` is the reference: boto3 with one DynamoDB client, and no event. Only
the standard library until the clock runs.
"""

import importlib
import json
import sys
import time
from types import SimpleNamespace

folder, module = sys.argv[1:]
event = json.load(sys.stdin)
context = SimpleNamespace(
    aws_request_id="c0ffee00-0000-4000-8000-000000000000",
    function_name="bench",
    function_version="$LATEST",
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:bench",
    memory_limit_in_mb=512,
    get_remaining_time_in_millis=lambda: 10_000,
)
sys.path.insert(0, folder)
said, sys.stdout = sys.stdout, sys.stderr  # a handler's log is no result

wall, cpu = time.perf_counter(), time.process_time()
if module == "-":
    importlib.import_module("boto3").client("dynamodb")
else:
    importlib.import_module(module).handler(event, context)
print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}), file=said, flush=True)
