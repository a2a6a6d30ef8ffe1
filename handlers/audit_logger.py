"""AuditLogger: every event on the bus ─▶ AuditLog"""

from collections.abc import Mapping
from typing import Any

from handlers.edge import logged
from handlers.wiring import audit_log
from orders.choreography import keep_record


def handler(envelope: Mapping[str, Any], context: Any) -> None:
    with logged(envelope, context):
        keep_record(envelope, audit_log())
