/** Dialogs of the page: one that asks for a reason, one that shows what channels said, one that shows a secret once. */

import { post } from "../js/api.js";
import { whileBusy } from "../js/busy.js";

const LONGEST_REASON = 1000;
let number = 0;

/**
 * An element with its text, attributes and children.
 * @param {string} tag @param {string | Node[]} content @param {Record<string, string>} [attributes]
 */
export function made(tag, content = [], attributes = {}) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...(typeof content === "string" ? [content] : content));
  return element;
}

/** Opens a dialog that is gone when it is closed. @param {string} title @param {Node[]} content */
function opened(title, content) {
  number += 1;
  const heading = made("h2", title, { id: `dialog-${number}` });
  const dialog = /** @type {HTMLDialogElement} */ (made("dialog", content, { "aria-labelledby": heading.id, class: "wide" }));
  dialog.prepend(heading);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

const closing = (words = "Close") => made("button", words, { type: "button", "data-action": "close" });

/**
 * Asks, with the reason, and does it; what the server refuses is said in the dialog, which then stays.
 * @param {{title: string, text: string, action: string, danger: boolean, work: (reason: string) => Promise<any>}} question
 * @returns {Promise<boolean>} Whether it was done.
 */
export function askReason({ title, text, action, danger, work }) {
  const reason = /** @type {HTMLTextAreaElement} */ (
    made("textarea", "", { id: `reason-${number}`, rows: "2", maxlength: String(LONGEST_REASON), required: "" })
  );
  const fault = made("p", "", { class: "failed", role: "alert", hidden: "" });
  const submit = made("button", action, { type: "submit", class: danger ? "danger" : "primary" });
  const field = made("div", [made("label", "Reason", { for: reason.id }), reason], { class: "field" });
  const buttons = made("div", [closing("Back"), submit], { class: "row end" });
  const form = made("form", [made("p", text), field, fault, buttons], { class: "stack" });
  const dialog = opened(title, [form]);
  return new Promise((resolve) => {
    let done = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      whileBusy(submit, async () => {
        try {
          await work(reason.value.trim());
          done = true;
          dialog.close();
        } catch (error) {
          fault.textContent = /** @type {Error} */ (error).message;
          fault.hidden = false;
        }
      });
    });
    dialog.addEventListener("close", () => resolve(done));
  });
}

/** Sends a test message to every channel of a portfolio and shows what each said. @param {string} portfolio */
export async function showTrial(portfolio) {
  const said = made("div", [made("p", "Asking every channel that is switched on …")], { role: "status", class: "stack" });
  opened(`Test message for ${portfolio}`, [said, made("div", [closing()], { class: "row end" })]);
  try {
    const { results, websocket } = await post(`/api/v1/sprint3/risk/alerts/${encodeURIComponent(portfolio)}/test`);
    said.replaceChildren(made("ul", [...results.map(outcome), overSocket(websocket)], { class: "list" }));
  } catch (error) {
    said.replaceChildren(made("p", /** @type {Error} */ (error).message, { class: "failed", role: "alert" }));
  }
  return false;
}

/** @param {{kind: string, target: string, delivered: boolean, answer: string, elapsed_ms: number}} result */
const outcome = ({ kind, target, delivered, answer, elapsed_ms: elapsed }) =>
  told(delivered, `${kind} ${target}`, `${Math.round(elapsed)} ms`, answer);

/** @param {{topic: string, published: boolean, seq: number | null}} websocket */
const overSocket = ({ topic, published, seq }) =>
  told(published, `WebSocket ${topic}`, "", published ? `message ${seq}` : "Redis is away: it is published later");

/** @param {boolean} good @param {string} whom @param {string} time @param {string} answer */
function told(good, whom, time, answer) {
  const badge = made("span", good ? "delivered" : "failed", { class: `badge ${good ? "good" : "bad"}` });
  const name = made("strong", whom, { class: "name whole" });
  const words = made("span", answer, { class: "name grow answer" });
  return made("li", [badge, name, made("span", time, { class: "subtle" }), words], { class: "row" });
}

/** @param {string} secret Of a new webhook. */
export function showSecret(secret) {
  const words = made("p", "It signs the messages. Keep it now: it is not shown again.");
  const code = made("code", secret, { class: "secret", tabindex: "0" });
  opened("The secret of this webhook", [made("div", [words, code, made("div", [closing()], { class: "row end" })], { class: "stack" })]);
}
