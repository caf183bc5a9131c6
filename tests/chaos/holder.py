"""``python -m tests.chaos.holder URL COUNT``: a consumer that takes so many messages, and does nothing with them."""

from __future__ import annotations

import sys
import time

from app.adapters.broker.rabbitmq import RabbitMqBroker

HOLDS = "holds all"


def main(url: str, count: int) -> None:
    subscription = RabbitMqBroker(url).subscribe(["work"], prefetch=count)
    held = 0
    while held < count:
        held += len(subscription.receive(count - held, 10))
    print(HOLDS, flush=True)
    time.sleep(3600)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
