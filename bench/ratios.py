"""openserd's figures as multiples of Kamailio's, from the lines of one run, with the targets beside them."""

import json
import statistics
import sys
from pathlib import Path

TARGETS = {"call": 2.0, "register": 2.5, "options": 2.0}


def medians(rows: list[dict[str, object]], server: str) -> dict[str, float]:
    """CPU microseconds per item by workload; runs on a disturbed machine only where there is no other."""
    found: dict[str, float] = {}
    for workload in TARGETS:
        mine = [row for row in rows if str(row["server"]).startswith(server) and row["workload"] == workload]
        quiet = [row for row in mine if not row.get("noisy")] or mine
        values = [float(str(row["cpu_us_per_item"])) for row in quiet if row.get("cpu_us_per_item")]
        if values:
            found[workload] = statistics.median(values)
    return found


def main() -> None:
    """Prints the table."""
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    ours, theirs = medians(rows, "openserd"), medians(rows, "kamailio")
    if not theirs:
        return
    print("| workload | openserd us | Kamailio us | ratio | target |\n| --- | ---: | ---: | ---: | ---: |")
    for workload, target in TARGETS.items():
        if workload in ours and workload in theirs:
            print(
                f"| {workload} | {ours[workload]:,.0f} | {theirs[workload]:,.0f} | "
                f"{ours[workload] / theirs[workload]:.2f} | {target} |"
            )


if __name__ == "__main__":
    main()
