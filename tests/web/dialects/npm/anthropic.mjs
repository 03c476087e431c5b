// Anthropic's own client: its accumulating stream, whole answers, abort.
import Anthropic from "@anthropic-ai/sdk";
import { base, describe, named, run } from "./scenarios.mjs";

const client = new Anthropic({ apiKey: "k", baseURL: base, maxRetries: 0 });
const tools = [{ name: "weather", input_schema: { type: "object", properties: {} } }];

await run(async (model) => {
  const messages = model === "empty" ? [] : [{ role: "user", content: "hi" }];
  const request = { model: named(model), max_tokens: 100, messages, tools };
  const seen = { text: "", error: null };
  const stream = client.messages.stream(request);
  stream.on("text", (piece) => {
    seen.text += piece;
    if (model === "stall") stream.abort();
  });
  try {
    seen.added = await stream.finalMessage();
    seen.whole = await client.messages.create(request);
  } catch (error) {
    seen.error = describe(error);
  }
  return seen;
});
