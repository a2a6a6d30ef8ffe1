"""AuditLogger: every event on the bus ─▶ AuditLog"""

from handlers.edge import Context, Envelope, logged
from handlers.wiring import audit_log
from orders.choreography import record_event


def handler(envelope: Envelope, context: Context) -> None:
    with logged(envelope, context):
        record_event(envelope, audit_log())
