/** Whether a strategy's history is what its hashes say: asked for by a button, answered in a dialog. */

import { post } from "../js/api.js";
import { whileBusy } from "../js/busy.js";
import { confirmed } from "../js/confirm.js";
import { say } from "../js/messages.js";
import { dialogOf } from "./strategies-forms.js";

/** @typedef {{versions: number, valid: boolean, problems: {version: number | null, detail: string}[], renumbered: {from: number, to: number}[], canonical_mended: number[]}} Verified */

const QUESTION = {
  title: "Verify the history?",
  text: "Every hash and every parent is checked. Numbers that do not follow the order of creation, and marks of the main line, are put right; contents are never changed.",
  action: "Verify",
  danger: false,
};

/** Where anything was put right, the page is loaded anew with the numbers of now. @param {string} path */
export function offerToVerify(path) {
  const button = document.querySelector("[data-verify]");
  button?.addEventListener("click", async () => {
    if (!(await confirmed(QUESTION))) return;
    try {
      const found = await whileBusy(button, () => post(path));
      if (!found) return;
      tell(found);
      if (found.renumbered.length > 0 || found.canonical_mended.length > 0) {
        dialogOf("verified")?.addEventListener("close", () => location.assign(location.pathname), { once: true });
      }
    } catch (error) {
      say(/** @type {Error} */ (error).message, "bad");
    }
  });
}

/** @param {Verified} found */
function tell(found) {
  const dialog = dialogOf("verified");
  dialog?.querySelector("[data-verdict]")?.replaceChildren(verdict(found));
  dialog?.querySelector("[data-lines]")?.replaceChildren(...lines(found).map(item));
  dialog?.showModal();
}

/** @param {Verified} found */
function verdict({ versions, valid, problems }) {
  if (!valid) return `${problems.length} ${problems.length === 1 ? "problem" : "problems"} in ${versions} versions.`;
  return versions === 1 ? "The version is what its hash says." : `All ${versions} versions are what their hashes say.`;
}

/** @param {Verified} found @returns {string[]} */
function lines({ problems, renumbered, canonical_mended: mended }) {
  return [
    ...problems.map(({ detail }) => detail),
    ...renumbered.map(({ from, to }) => `Version ${from} is version ${to} now: numbers follow the order of creation.`),
    ...mended.map((number) => `Whether version ${number} is of the main line was put right.`),
  ];
}

/** @param {string} words */
function item(words) {
  const made = document.createElement("li");
  made.textContent = words;
  return made;
}
