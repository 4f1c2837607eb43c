"""How a test reads what a check finds."""

from __future__ import annotations

from hskd_lightning.doctor.finding import Check, Finding, examined


def only(check: Check) -> Finding:
    """The one finding of a check, run as the doctor runs it."""
    (finding,) = examined(check)
    return finding
