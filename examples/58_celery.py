"""Celery asks in a worker. `celery -A 58_celery worker` in examples/, with a broker of your own in BROKER_URL."""

# Its decorators have no types, or aren't installed.
# mypy: disallow-untyped-decorators=False

import os

from celery import Celery
from celery.contrib.testing.worker import start_worker

from llmstream import SyncLLMClient

app = Celery(broker=os.environ.get("BROKER_URL", "memory://"), backend="cache+memory://")
client = SyncLLMClient()  # each worker that is forked opens connections of its own


@app.task
def summarize(text: str) -> str:
    """One answer. Celery's own retries aren't needed: the client retries what may pass."""
    asked = [{"role": "user", "content": f"Say it in five words: {text}"}]
    answer = client.complete(asked)
    return f"{answer.text}\nMESSAGE_COMPLETE: {answer.finish_reason}"


if __name__ == "__main__":
    with start_worker(app, perform_ping_check=False):
        print(summarize.delay("The sky is blue because of Rayleigh scattering.").get(timeout=60))
