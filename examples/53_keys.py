"""A server for others: named keys in a file, a key's models and rate, and an audit with a line for each request."""

import asyncio
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from llmstream import LLMClient, LLMError
from llmstream.limits import Rate
from llmstream.web import Access, AuditLog, KeyFile, KeyLimits, create_app, running
from llmstream.web.keys import hash_line, new_key

MODELS = {"fast": "simulator:fast", "good": "simulator:good"}


async def ask(url: str, key: str, model: str) -> None:
    """Ask as any client of OpenAI would."""
    client = LLMClient(f"openai:{model}", base_url=f"{url}/v1", api_key=key)
    async with client:
        try:
            message = await client.complete([{"role": "user", "content": "hello"}])
            print(f"{model}: {message.text}\nMESSAGE_COMPLETE: {message.finish_reason}")
        except LLMError as problem:
            print(f"{model}: {problem.info.kind}")


async def main() -> None:
    """Ask with ann's key, then with one that isn't in the file yet, then with the old one."""
    logging.basicConfig(stream=sys.stdout, format="    %(name)s: %(message)s")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "keys.txt"
        old, new = new_key(), new_key()
        path.write_text(
            hash_line("ann", old), "utf-8"
        )  # `llmstream keys new ann` prints such a line
        access = Access(
            keys=KeyFile(path),
            key_limits={"ann": KeyLimits(models=["fast"], rate=Rate(requests=60))},
        )
        app = create_app(
            LLMClient("simulator"), models=MODELS, access=access, observers=[AuditLog()]
        )
        async with running(app) as url:
            await ask(url, old, "fast")
            await ask(url, old, "good")
            await ask(url, new, "fast")
            path.write_text(hash_line("ann", new), "utf-8")
            await asyncio.sleep(1.1)  # a file is looked at once a second
            await ask(url, new, "fast")
            await ask(url, old, "fast")


if __name__ == "__main__":
    asyncio.run(main())
