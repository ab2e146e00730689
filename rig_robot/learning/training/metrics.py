"""Computes the figures of an evaluation, the same for every command that prints them. No torch."""

from collections.abc import Sequence

import numpy as np


def summary(seconds: Sequence[float], distances_mm: Sequence[float]) -> dict:
    """Return `goals, mean_mm, median_mm, p90_mm, within_10mm, within_20mm, within_60mm, each`.

    The `within` are numbers of goals.

    Args:
        seconds: Duration of the episode of each goal [s].
        distances_mm: Final distance to each goal [mm].
    """
    distances = np.asarray(distances_mm, dtype=float)
    return {
        "goals": len(distances),
        "mean_mm": round(float(distances.mean()), 2),
        "median_mm": round(float(np.median(distances)), 2),
        "p90_mm": round(float(np.percentile(distances, 90)), 2),
        "within_10mm": int((distances <= 10).sum()),
        "within_20mm": int((distances <= 20).sum()),
        "within_60mm": int((distances <= 60).sum()),
        "each": [
            {"seconds": round(float(s), 2), "distance_mm": round(float(d), 2)}
            for s, d in zip(seconds, distances, strict=True)
        ],
    }


def sentence(result: dict) -> str:
    """Return the figures in one line for people."""
    return (
        f"{result['goals']} goals: final distance mean {result['mean_mm']:.1f} mm, "
        f"median {result['median_mm']:.1f} mm, 90th percentile {result['p90_mm']:.1f} mm; "
        f"within 6 cm {result['within_60mm']} of {result['goals']}, within 2 cm {result['within_20mm']}"
    )


def push_summary(object_mm: Sequence[float], tool_mm: Sequence[float]) -> dict:
    """Return `goals, mean_mm, median_mm, within_30mm, within_50mm, both_50mm, tool_median_mm`.

    All but the last are of the object; `both` counts goals at which object and tool are within 5 cm.

    Args:
        object_mm: Final distance of the object to each goal [mm].
        tool_mm: That of the tool [mm].
    """
    moved, tool = np.asarray(object_mm, dtype=float), np.asarray(tool_mm, dtype=float)
    return {
        "goals": len(moved),
        "mean_mm": round(float(moved.mean()), 2),
        "median_mm": round(float(np.median(moved)), 2),
        "within_30mm": int((moved <= 30).sum()),
        "within_50mm": int((moved <= 50).sum()),
        "both_50mm": int(((moved <= 50) & (tool <= 50)).sum()),
        "tool_median_mm": round(float(np.median(tool)), 2),
    }


def push_sentence(result: dict) -> str:
    """Return the figures of `push_summary` in one line for people."""
    return (
        f"{result['goals']} goals: object median {result['median_mm']:.1f} mm, mean {result['mean_mm']:.1f} mm; "
        f"within 3 cm {result['within_30mm']} of {result['goals']}, within 5 cm {result['within_50mm']}, "
        f"object and tool within 5 cm {result['both_50mm']}; tool median {result['tool_median_mm']:.0f} mm"
    )
