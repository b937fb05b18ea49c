// Checks GitHub workflow files: node check.mjs PACKAGE FILE…
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// Runners that are newer than the checker's list.
const newer = ["ubuntu-22.04-arm"];

const [at, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${at}/node.mjs`));
const lint = await createLinter();
const isNews = ({ kind, message }) =>
  !(kind === "runner-label" && newer.some((label) => message.startsWith(`label "${label}"`)));
const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file)).filter(isNews);
for (const { file, line, column, message } of found) {
  console.log(`${file}:${line}:${column}: ${message}`);
}
process.exit(found.length > 0 ? 1 : 0);
