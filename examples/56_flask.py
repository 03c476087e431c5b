"""Flask sends an answer as it comes. `flask --app examples/56_flask.py run`, then POST a question to /ask."""

# Its decorators have no types, or aren't installed.
# mypy: disallow-untyped-decorators=False

from collections.abc import Iterator

from flask import Flask, Response, request

from llmstream import LLMError, SyncLLMClient

app = Flask(__name__)
client = SyncLLMClient()  # one for all threads; a forked worker opens connections of its own


@app.post("/ask")
def ask() -> Response:
    """The answer as plain text."""
    messages = [{"role": "user", "content": request.get_data(as_text=True)}]

    def pieces() -> Iterator[str]:
        with client.stream(messages) as stream:
            try:
                yield from stream.text()
                yield f"\nMESSAGE_COMPLETE: {stream.message().finish_reason}\n"
            except LLMError as problem:
                yield f"\nERROR: {problem.info.kind}\n"

    return Response(pieces(), mimetype="text/plain")


if __name__ == "__main__":
    with app.test_client() as browser:
        print(browser.post("/ask", data="What's up?").text)
