"""What the log leaves out."""

import logging


class ClientFaults(logging.Filter):
    """A log filter: what a client sends that is no text is no fault of ours, and no traceback each time."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "Invalid UTF-8 sequence received from client" not in record.getMessage()
