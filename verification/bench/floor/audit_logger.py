"""Does nothing."""


def handler(_event, _context):
    return None
