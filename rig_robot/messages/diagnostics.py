"""Makes `diagnostic_msgs/DiagnosticStatus` messages."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def diagnostic(
    name: str, level: bytes, message: str, values: dict[str, Any] | None = None, hardware_id: str = ""
) -> DiagnosticStatus:
    """Make a `DiagnosticStatus`; the values become text."""
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in (values or {}).items()],
    )
