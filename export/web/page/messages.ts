import { TinyTLError } from "../src/index.js";
import { byId } from "./dom.js";

/** Shows a status; screen readers read it out when they are idle. */
export function say(text: string): void {
  byId("status").textContent = text;
}

/** Shows an error at once, and clears the status. */
export function complain(error: unknown): void {
  say("");
  const alert = byId("alert");
  alert.textContent = words(error);
  alert.hidden = false;
}

/** Removes the last error. */
export function calm(): void {
  byId("alert").hidden = true;
}

/** Runs an action of the user and shows its error. */
export function attempt(work: () => Promise<void> | void): void {
  calm();
  void Promise.resolve().then(work).catch(complain);
}

function words(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  // A message may begin with the name of a file, which stays as it is.
  const sentence = /^\w+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return error instanceof TinyTLError
    ? `${sentence}.`
    : `Something went wrong: ${text}. Load the page again.`;
}
