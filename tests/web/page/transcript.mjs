// Reads streams of events from stdin, a JSON list of lists, and prints what of each stands for the page.
import { readFileSync } from 'node:fs';

const source = readFileSync(process.argv[2], 'utf8');
const { Transcript } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

function standing(events) {
  const transcript = new Transcript();
  for (const event of events) {
    const before = JSON.stringify(transcript.parts);
    const touched = transcript.add(event);
    const changed = JSON.stringify(transcript.parts) !== before;
    const voided = event.type === 'retry' && event.retry.discard;
    if (changed && !voided && touched.length === 0) throw new Error(`${event.type} changed a part and doesn't say so`);
  }
  const { parts, sources, model, usage } = transcript;
  const text = (type) => parts.filter((part) => part.type === type).map((part) => part.text).join('');
  const tools = parts.filter(({ type }) => type === 'tool');
  return {
    text: text('text'),
    reasoning: text('reasoning'),
    refusal: text('refusal'),
    calls: tools.filter(({ state }) => state === 'called' || state === 'done').map(({ id }) => id),
    results: tools.filter(({ result }) => result !== undefined).map(({ id }) => id),
    sources: sources.map(({ url }) => url),
    files: parts.filter(({ type }) => type === 'file').map(({ file }) => file.name),
    model: model ?? null,
    usage: usage?.output_tokens ?? null,
  };
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(standing)));
