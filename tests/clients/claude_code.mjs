import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [url, provider] = process.argv.slice(2);
const program = join(dirname(fileURLToPath(import.meta.url)), "node_modules/.bin/claude");
const environment = {
  ...process.env,
  ANTHROPIC_BASE_URL: url,
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  DISABLE_AUTOUPDATER: "1",
};
const options = ["-p", "hi", "--model", `${provider}:text`, "--output-format", "json"];
const told = execFileSync(program, options, { env: environment, stdio: ["ignore", "pipe", "inherit"] });
const { result, stop_reason: stop } = JSON.parse(told);
if (stop !== "end_turn") throw new Error(stop);
console.log(JSON.stringify([{ text: result }]));
