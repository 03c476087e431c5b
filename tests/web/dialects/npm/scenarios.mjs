// Runs one client through scenarios and prints what it saw as one JSON document: `node client.mjs URL scenario…`.
const [, , base, ...names] = process.argv;

export { base };

// The model of a scenario: behind `llmstream serve` it has a provider's name before its own.
export const named = (scenario) => (process.env.PROVIDER ?? "") + scenario;

export async function run(play) {
  const seen = {};
  for (const name of names) {
    try {
      seen[name] = await play(name);
    } catch (error) {
      seen[name] = { error: describe(error) };
    }
  }
  process.stdout.write(JSON.stringify(seen));
  process.exit(0); // some clients keep a timer
}

export function describe(error) {
  return {
    name: error?.constructor?.name ?? String(error),
    status: error?.status ?? error?.statusCode,
    type: error?.type ?? error?.error?.type,
    message: String(error?.message ?? error),
  };
}
