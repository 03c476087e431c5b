// OpenAI's own client of Responses: events, its sum of a stream, structured output, whole answers.
import OpenAI from "openai";
import { base, describe, named, run } from "./scenarios.mjs";

const client = new OpenAI({ apiKey: "k", baseURL: `${base}/v1`, maxRetries: 0 });
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { type: "function", name: "weather", parameters: city, strict: false };
const format = { type: "json_schema", name: "place", schema: city };

await run(async (model) => {
  const request = { model: named(model), input: model === "empty" ? [] : "hi", tools: [weather] };
  if (model === "json") {
    const parsed = await client.responses.parse({ model: named(model), input: "hi", text: { format } });
    return { parsed: JSON.parse(parsed.output_text) };
  }
  const seen = { text: "", kinds: [], error: null };
  try {
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      seen.kinds.push(event.type);
      if (event.type === "response.output_text.delta") seen.text += event.delta;
      if (event.response) seen.last = event.response;
    }
  } catch (error) {
    seen.error = describe(error);
  }
  if (!seen.error) {
    seen.added = await client.responses.stream(request).finalResponse();
    seen.whole = await client.responses.create(request);
  }
  return seen;
});
