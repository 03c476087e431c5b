// OpenAI's own client: chunks, its accumulating stream, whole answers, abort.
import OpenAI from "openai";
import { base, describe, named, run } from "./scenarios.mjs";

const client = new OpenAI({ apiKey: "k", baseURL: `${base}/v1`, maxRetries: 0 });
const weather = { type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } };

await run(async (model) => {
  const messages = model === "empty" ? [] : [{ role: "user", content: "hi" }];
  const request = { model: named(model), messages, tools: [weather] };
  if (model === "models") return { ids: (await client.models.list()).data.map((each) => each.id) };
  const seen = { text: "", reasoning: "", error: null, finish: null, usage: null };
  try {
    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      const choice = chunk.choices[0];
      seen.text += choice?.delta.content ?? "";
      seen.reasoning += choice?.delta.reasoning_content ?? "";
      seen.finish = choice?.finish_reason ?? seen.finish;
      seen.usage = chunk.usage ?? seen.usage;
      if (model === "stall" && seen.text) stream.controller.abort();
    }
  } catch (error) {
    seen.error = describe(error);
  }
  if (!seen.error && model !== "stall") {
    seen.added = (await client.chat.completions.stream(request).finalChatCompletion()).choices[0].message;
    seen.whole = (await client.chat.completions.create(request)).choices[0].message;
  }
  return seen;
});
