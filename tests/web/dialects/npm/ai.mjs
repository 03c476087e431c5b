// The AI SDK's transport and reader, and a chat as useChat keeps it. AI=ai-v6 or ai-v7 names the package.
import { base, describe, named, run } from "./scenarios.mjs";

const { AbstractChat, DefaultChatTransport, readUIMessageStream, lastAssistantMessageIsCompleteWithToolCalls } =
  await import(process.env.AI);
const user = (text) => ({ id: `u-${text}`, role: "user", parts: [{ type: "text", text }] });

class State {
  status = "ready";
  messages = [];
  pushMessage = (message) => (this.messages = [...this.messages, message]);
  popMessage = () => (this.messages = this.messages.slice(0, -1));
  replaceMessage = (index, message) => (this.messages = this.messages.with(index, message));
  snapshot = (value) => structuredClone(value);
}
class Chat extends AbstractChat {}

function transport(body) {
  return new DefaultChatTransport({ api: `${base}/api/chat`, body });
}

async function read(body, messages, signal) {
  const seen = { chunks: [], error: null, snapshots: 0 };
  const stream = await transport(body).sendMessages({
    chatId: "c",
    trigger: "submit-message",
    messages,
    abortSignal: signal?.signal,
  });
  const tapped = stream.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        seen.chunks.push(chunk);
        controller.enqueue(chunk);
      },
    }),
  );
  try {
    const onError = (error) => (seen.error = describe(error));
    for await (const message of readUIMessageStream({ stream: tapped, onError })) {
      seen.message = message;
      seen.snapshots += 1;
      if (signal && message.parts.some((part) => part.text)) signal.abort();
    }
  } catch (error) {
    seen.error = describe(error);
  }
  return seen;
}

async function converse() {
  // The tool is the app's own: it answers, and the chat goes on by itself. The second answer ends the round.
  const state = new State();
  let asked = 0;
  const model = () => named((asked += 1) === 1 ? "tools" : "reasoning");
  const body = () => ({ model: model(), tools: { weather: { parameters: {} } } });
  const chat = new Chat({
    id: "c",
    state,
    transport: transport(body),
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall }) => {
      chat.addToolOutput({ tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output: { sky: "blue" } });
    },
  });
  await chat.sendMessage({ text: "hi" });
  while (asked < 2 || chat.status !== "ready") await new Promise((done) => setTimeout(done, 5));
  await chat.sendMessage({ text: "and now?" });
  return { messages: state.messages, status: chat.status, asked };
}

async function fail(model) {
  const state = new State();
  const data = [];
  const chat = new Chat({ id: "c", state, transport: transport({ model: named(model) }), onData: (part) => data.push(part) });
  await chat.sendMessage({ text: "hi" });
  return { messages: state.messages, status: chat.status, error: chat.error && describe(chat.error), data };
}

await run(async (name) => {
  if (name === "converse") return converse();
  if (name === "resume") return { resumed: await transport({}).reconnectToStream({ chatId: "c" }) };
  const [model, option] = name.split("|");
  if (option === "chat") return fail(model);
  const body = { model: named(model), ...(option === "hold" ? { resetStep: false } : {}) };
  return read(body, name === "empty" ? [] : [user("hi")], model === "stall" ? new AbortController() : undefined);
});
