"""Pictures drawn from evidence: rows of AuditLog, an order, deployed rules, measured times.

A row of AuditLog is a dict with `eventId`, `eventType`, `source`, `timestamp`, `loggedAt`, `domainEventId`,
`causationId` and `attempt`. A picture shows what the rows and the order say, and nothing else.
"""

from notebooks.pictures.sequence import sequence
from notebooks.pictures.svg import Picture
from notebooks.pictures.timeline import timeline
from notebooks.pictures.topology import topology
from notebooks.pictures.tree import tree

__all__ = ["Picture", "sequence", "timeline", "topology", "tree"]
