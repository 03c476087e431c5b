"""A script without an event loop: one client for all threads."""

from concurrent.futures import ThreadPoolExecutor

from llmstream import EventType, SyncLLMClient


def main() -> None:
    """An answer as it comes, then several at once."""
    with SyncLLMClient() as client:
        messages = [{"role": "user", "content": "Name a colour."}]
        for event in client.chat_completion(messages):
            if event.type == EventType.TEXT_DELTA:
                print(event.text, end="", flush=True)
            elif event.type == EventType.MESSAGE_COMPLETE:
                print(f"\n{event.type.name}: {event.finish_reason}")
            elif event.type == EventType.ERROR:
                print(f"\n{event.type.name}: {event.error}")

        def ask(city: str) -> str:
            asked = [{"role": "user", "content": f"What is {city} known for?"}]
            return client.complete(asked).text

        with ThreadPoolExecutor() as threads:
            for answer in threads.map(ask, ["Rome", "Kyoto", "Lima"]):
                print(answer)


if __name__ == "__main__":
    main()
