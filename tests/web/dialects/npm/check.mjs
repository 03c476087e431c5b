// Feeds streams, as text, to the clients' own readers and prints what they object to: null is nothing.
// Input: [{client: text, …}, …] on stdin; output: [{client: null | message, …}, …].
import { EventSchemas } from "@ag-ui/core/schemas";
import { verifyEvents } from "@ag-ui/client";
import * as v6 from "ai-v6";
import * as v7 from "ai-v7";
import { from, lastValueFrom } from "rxjs";

async function checkUi(sdk, text) {
  const bytes = new Blob([text]).stream();
  let failed = null;
  const chunks = sdk.parseJsonEventStream({ stream: bytes, schema: sdk.uiMessageChunkSchema }).pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        if (!chunk.success) throw chunk.error;
        if (chunk.value.type !== "error") controller.enqueue(chunk.value); // the server's own word is no objection
      },
    }),
  );
  const onError = (error) => (failed ??= error.message);
  for await (const _ of sdk.readUIMessageStream({ stream: chunks, onError })) continue;
  return failed;
}

async function checkAgUi(text) {
  const events = text
    .split("\n\n")
    .filter(Boolean)
    .map((frame) => EventSchemas.parse(JSON.parse(frame.slice("data: ".length))));
  await lastValueFrom(verifyEvents()(from(events)));
  return null;
}

const checks = {
  "ai-v6": (text) => checkUi(v6, text),
  "ai-v7": (text) => checkUi(v7, text),
  "ag-ui": checkAgUi,
};
let input = "";
for await (const piece of process.stdin.setEncoding("utf8")) input += piece;
const verdicts = [];
for (const stream of JSON.parse(input)) {
  const verdict = {};
  for (const [client, text] of Object.entries(stream)) {
    verdict[client] = await checks[client](text).catch((error) => String(error.message ?? error));
  }
  verdicts.push(verdict);
}
process.stdout.write(JSON.stringify(verdicts), () => process.exit(0));
