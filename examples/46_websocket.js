// A WebSocket client of /api/chat/stream: in a browser as it is, in Node 22 or with --experimental-websocket.
// What a model writes is only ever text: show it with textContent, never with innerHTML.

/** Ask once. `onChunk` gets {content, sources, is_complete}; resolves when the answer is whole, rejects otherwise. */
export function ask(url, question, onChunk) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    let whole = false;
    socket.addEventListener('open', () => socket.send(JSON.stringify(question)));
    socket.addEventListener('message', (event) => {
      const chunk = JSON.parse(event.data);
      if (chunk.error) {
        reject(new Error(`${chunk.error} (${chunk.request_id})`));
        return;
      }
      whole = chunk.is_complete;
      onChunk(chunk);
    });
    socket.addEventListener('error', () => reject(new Error('the connection failed')));
    socket.addEventListener('close', () => (whole ? resolve() : reject(new Error('the answer was cut'))));
  });
}

if (typeof process !== 'undefined') {
  const [server, ids] = process.argv.slice(2);
  const url = `${server.replace('http', 'ws')}/api/chat/stream`;
  await ask(url, { query: 'And from JavaScript?', ...JSON.parse(ids) }, (chunk) => {
    process.stdout.write(chunk.content ?? '');
    if (chunk.is_complete) process.stdout.write(`\nMESSAGE_COMPLETE: stop, ${chunk.sources.length} sources\n`);
  });
}
