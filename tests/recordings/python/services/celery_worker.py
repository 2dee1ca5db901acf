"""The worker of the refunds, under a name that is the same on every machine."""

from celery.signals import worker_ready
from refunds import queue


@worker_ready.connect
def ready(**_: object) -> None:
    print("listening on 0", flush=True)


if __name__ == "__main__":
    queue.conf.worker_redirect_stdouts = False
    quiet = ["--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel", "warning"]
    queue.worker_main(["worker", "--pool", "solo", "--hostname", "worker@refunds", *quiet])
