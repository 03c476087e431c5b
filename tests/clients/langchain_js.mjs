import { ChatOpenAI } from "@langchain/openai";
import { tool } from "@langchain/core/tools";

const [url, provider] = process.argv.slice(2);
const make = (scenario, more = {}) =>
  new ChatOpenAI({ model: `${provider}:${scenario}`, apiKey: "k", maxRetries: 0, configuration: { baseURL: `${url}/v1` }, ...more });
const weather = tool(async () => "sun", {
  name: "weather",
  description: "The weather.",
  schema: { type: "object", properties: { city: { type: "string" } } },
});
const seen = [];
for (const more of [{}, { useResponsesApi: true }]) {
  seen.push({ text: (await make("text", more).invoke("hi")).text });
  let text = "";
  for await (const piece of await make("text", more).stream("hi")) text += piece.text;
  seen.push({ text });
  const called = await make("tools", more).bindTools([weather]).invoke("hi");
  seen.push({ call: called.tool_calls[0].args });
}
console.log(JSON.stringify(seen));
