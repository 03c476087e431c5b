// The AI SDK's own provider of OpenAI, as it is by default: Responses, with items that are named after the first step.
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai-v7";
import { base, describe, named, run } from "./scenarios.mjs";

const openai = createOpenAI({ apiKey: "k", baseURL: `${base}/v1` });
const city = jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] });
const tools = { weather: tool({ description: "The weather", inputSchema: city, execute: async () => "blue" }) };

await run(async (scenario) => {
  const model = openai(named(scenario));
  if (scenario === "json") {
    const { object } = await generateObject({ model, schema: city, prompt: "hi", maxRetries: 0 });
    return { object };
  }
  const request = { model, tools, prompt: "hi", stopWhen: stepCountIs(3), maxRetries: 0 };
  if (scenario === "agent") {
    const { text, steps } = await generateText(request);
    const said = steps.flatMap((step) => step.response.messages);
    const messages = [{ role: "user", content: "hi" }, ...said, { role: "user", content: "and?" }];
    const again = await generateText({ model: openai(named("text")), messages, maxRetries: 0 });
    return { text, steps: steps.length, again: again.text };
  }
  const seen = { text: "", error: null };
  const stream = streamText({ ...request, onError: ({ error }) => (seen.error = describe(error)) });
  for await (const piece of stream.textStream) seen.text += piece;
  if (!seen.error) {
    seen.finish = await stream.finishReason;
    seen.usage = await stream.totalUsage;
    seen.reasoning = await stream.reasoningText;
  }
  return seen;
});
