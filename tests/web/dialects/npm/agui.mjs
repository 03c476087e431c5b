// AG-UI's own agent: events as its checks let them through, and the messages it makes of them.
import { HttpAgent } from "@ag-ui/client";
import { base, describe, named, run } from "./scenarios.mjs";

async function play(model, messages, tools) {
  const agent = new HttpAgent({ url: `${base}/agui`, threadId: "t-1" });
  agent.setMessages(messages);
  const seen = { events: [], error: null };
  const subscriber = {
    onEvent: ({ event }) => {
      seen.events.push(event);
      if (model === "stall" && event.type === "TEXT_MESSAGE_CONTENT") agent.abortRun();
    },
    onRunFailed: ({ error }) => {
      seen.error = describe(error);
    },
  };
  const context = [{ description: "The page", value: "home" }];
  try {
    const forwardedProps = { model: named(model) };
    seen.result = await agent.runAgent({ runId: `r-${model}`, tools, context, forwardedProps }, subscriber);
  } catch (error) {
    seen.error = describe(error);
  }
  seen.messages = agent.messages;
  return seen;
}

await run(async (name) => {
  const hi = { id: "u-1", role: "user", content: "hi" };
  const tools = [{ name: "weather", description: "The weather", parameters: { type: "object", properties: {} } }];
  if (name !== "converse") return play(name, name === "empty" ? [] : [hi], tools);
  const first = await play("tools", [hi], tools);
  const calls = first.messages.flatMap((message) => message.toolCalls ?? []);
  const answers = calls.map(({ id }) => ({ id: `a-${id}`, role: "tool", toolCallId: id, content: "blue" }));
  const second = await play("reasoning", [...first.messages, ...answers], tools);
  return play("text", [...second.messages, { id: "u-2", role: "user", content: "and now?" }], tools);
});
