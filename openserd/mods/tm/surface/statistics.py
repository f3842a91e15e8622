"""The statistics of group tm, in one object for those parts that count (OpenSER: t_stats.c)."""

from openserd.core.management.statistics import Statistic


class TmStats:
    """What transactions count.

    `refused_requests` is ours: requests for which there was no room.  `other_process_replies` and
    `other_process_requests` are ours: messages handled by a process that had not seen the transaction's request,
    possible because its state lives in shared memory.
    """

    def __init__(self) -> None:
        def one(name: str) -> Statistic:
            return Statistic("tm", name)

        self.received_replies = one("received_replies")
        self.relayed_replies = one("relayed_replies")
        self.local_replies = one("local_replies")
        self.uas_transactions = one("UAS_transactions")
        self.uac_transactions = one("UAC_transactions")
        self.classes = {first: one(f"{first}xx_transactions") for first in range(2, 7)}
        self.refused_requests = one("refused_requests")
        self.other_process_replies = one("other_process_replies")
        self.other_process_requests = one("other_process_requests")

    def all(self) -> list[Statistic]:
        """Every statistic."""
        return [
            self.received_replies,
            self.relayed_replies,
            self.local_replies,
            self.uas_transactions,
            self.uac_transactions,
            *self.classes.values(),
            self.refused_requests,
            self.other_process_replies,
            self.other_process_requests,
        ]

    def count_final(self, status: int) -> None:
        """Counts a transaction answered with a final status."""
        if status >= 200:
            self.classes[min(status // 100, 6)].bump()
