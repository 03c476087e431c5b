/**
 * What stands of one answer: the page's twin of `llmstream/events/transcript.py`. The same cases test both.
 *
 * A part is `{ type: 'text' | 'reasoning' | 'refusal', text }`, `{ type: 'file', file }`, or a tool's call with its
 * result: `{ type: 'tool', id, name, args, state, result, failed }`, whose state is "writing", "called", "done" or,
 * where it never became whole, "cut".
 */
export class Transcript {
  /** `parts` and `sources` are filled in place. */
  constructor(parts = [], sources = []) {
    this.parts = parts;
    this.sources = sources;
    this.model = undefined; // who answers in this round
    this.usage = undefined; // of the last answer that ended
    this.round = 0; // the first part of this round: a retry that discards takes back all from there
    this.found = 0; // the first source of this round
    this.calls = new Map(); // those that are being written, by their index
    this.open = null; // the text that the next delta of its type adds to
  }

  /** Take one event. Returns what it touched: each part that is new or was changed, with the `text` that it grew by. */
  add(event) {
    switch (event.type) {
      case 'text_delta': return this.#text('text', event.text_delta.content);
      case 'reasoning_delta': return this.#text('reasoning', event.reasoning_delta.content);
      case 'refusal_delta': return this.#text('refusal', event.refusal_delta.content);
      case 'tool_call_delta': return this.#toolDelta(event.tool_call_delta);
      case 'tool_call': return this.#toolCall(event.tool_call);
      case 'tool_result': return this.#toolResult(event.tool_result);
      case 'source': return this.#source(event.source);
      case 'file': return this.#push({ type: 'file', file: event.file });
      case 'message_start': return this.#start(event.start);
      case 'status': return this.#status(event);
      case 'retry': return event.retry.discard ? this.#discard() : this.#cut();
      case 'message_complete': return this.#complete(event);
      case 'error': return this.#report(event);
      default: return [];
    }
  }

  #push(part) {
    this.parts.push(part);
    this.open = 'text' in part ? part : null;
    return [{ part }];
  }

  #text(type, text) {
    const last = this.parts.at(-1);
    if (!last || last !== this.open || last.type !== type) return this.#push({ type, text });
    last.text += text;
    return [{ part: last, text }];
  }

  #tool(known, made) {
    if (!known) this.#push(made);
    return known ?? made;
  }

  #toolDelta({ index, id = '', name = '', arguments: args = '' }) {
    const part = this.#tool(this.calls.get(index), { type: 'tool', id, name, args: '', state: 'writing' });
    this.calls.set(index, part);
    Object.assign(part, { id: part.id || id, name: part.name || name, args: part.args + args });
    return [{ part }];
  }

  #toolCall({ id, name, arguments: args = '', complete = true }) {
    const known = this.parts.find((part, n) => n >= this.round && part.type === 'tool' && part.id === id && part.state !== 'cut');
    const part = this.#tool(known, { type: 'tool', id, name, args: '', state: 'writing' });
    Object.assign(part, { name, args, state: complete ? 'called' : 'cut' });
    return [{ part }];
  }

  #toolResult({ tool_call_id: id, name, content = '', is_error: failed = false }) {
    const known = this.parts.findLast((part) => part.type === 'tool' && part.id === id);
    const part = this.#tool(known, { type: 'tool', id, name, args: '', state: 'called' });
    Object.assign(part, { result: content, failed, state: 'done' });
    return [{ part }];
  }

  #source(source) {
    this.sources.push(source);
    return [];
  }

  #start(start) {
    this.model = start?.model ?? this.model;
    return [];
  }

  #status({ status, usage }) {
    if (status.kind !== 'step') return [];
    this.round = this.parts.length;
    this.found = this.sources.length;
    this.calls.clear();
    this.open = null;
    this.model = undefined;
    this.usage = usage;
    return [];
  }

  #discard() {
    this.parts.length = this.round;
    this.sources.length = this.found;
    this.calls.clear();
    this.open = null;
    return [];
  }

  /** The attempt was cut, and another goes on with its text: its calls never become whole, and its reasoning is over. */
  #cut() {
    const cut = [...this.calls.values()].filter(({ state }) => state === 'writing');
    for (const part of cut) part.state = 'cut';
    this.calls.clear();
    if (this.open?.type === 'reasoning') this.open = null;
    return cut.map((part) => ({ part }));
  }

  #report({ start, usage }) {
    this.usage = usage;
    return this.#start(start);
  }

  #complete(event) {
    this.#report(event);
    if (this.parts.length > this.round) return [];
    const { message, text_delta: text, refusal_delta: refusal } = event;
    if (message) return message.parts.flatMap((part) => this.#whole(part));
    return [...(text ? this.#text('text', text.content) : []), ...(refusal ? this.#text('refusal', refusal.content) : [])];
  }

  /** A part of an answer that came all at once. */
  #whole(part) {
    switch (part.type) {
      case 'text': case 'reasoning': case 'refusal': return part.text ? this.#text(part.type, part.text) : [];
      case 'tool_call': return this.#toolCall(part);
      case 'tool_result': return this.#toolResult(part);
      case 'source': return this.#source(part);
      case 'file': return this.#push({ type: 'file', file: part });
      default: return [];
    }
  }
}
