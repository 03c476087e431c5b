"""The chat page as one person sees it, and what tests of it say often."""

from __future__ import annotations

from llmstream import EventType, StreamEvent
from llmstream.events.types import Retry

MARKDOWN = """# Title

A *word*, a **strong** one, `code`, ~~old~~ and snake_case_name 2 * 3 * 4.
Second line with <https://example.org/a> and https://example.org/b_(c).

1. first
   - inner
     ```js
     let x = 1;
     ```
2. second

- [x] done
- [ ] open

> quoted **text**

| A | B |
|:-:|--:|
| 1 | x\\|y |

```python
if a < b:
    pass
```

---
"""
"""Every kind of block."""


class Chat:
    """The page as one person sees it. `alarms`: what must never happen."""

    def __init__(self, page, server) -> None:
        self.page, self.server, self.alarms, self.requests = page, server, [], []
        page.set_default_timeout(10_000)
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda problem: self.alarms.append(f"error: {problem}"))
        page.on(
            "console", lambda line: self.alarms.append(line.text) if "Policy" in line.text else None
        )
        page.on("popup", lambda popup: self.alarms.append(f"popup: {popup.url}"))
        page.on(
            "request", lambda request: self.requests.append(request.url.removeprefix(server.url))
        )
        self.answer = page.locator(".answer").last
        self.prompt = page.get_by_label("Message")
        self.stop = page.get_by_role("button", name="Stop")
        self.retry = page.get_by_role("button", name="Retry")

    async def _dialog(self, dialog) -> None:
        self.alarms.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    async def open(self):
        await self.page.goto(self.server.url)
        await self.page.locator("#model option").first.wait_for(state="attached")
        return self

    async def ask(self, text="Hello?"):
        await self.prompt.fill(text)
        await self.prompt.press("Control+Enter")  # which sends with a touch screen, too
        return await self.server.asked()

    async def settled(self) -> None:
        await self.page.locator(".answer:last-child:not([aria-busy]) .meta").wait_for(
            state="attached"
        )

    async def told(self, *items) -> None:
        """Ask, and have these answer to the end."""
        asked = await self.ask()
        asked.start(*items)
        asked.end()
        await self.settled()


def retry(delay=4.0, **more):
    """A RETRY for a rate limit."""
    return StreamEvent(EventType.RETRY, retry=Retry(2, 3, delay, "busy", "rate_limit", **more))


def cut(text, size):
    """The text in pieces of `size` characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]
