/** Rolling back: a dialog that says what will happen to the deployment, and asks why. */

import { post } from "../js/api.js";
import { dialogOf, number, onSubmit, refuse, text } from "./strategies-forms.js";

const ROLL_BACK = "/api/v1/sprint3/strategy/rollback";

/** @param {(answering: string, asked: string) => void} done The deployment that goes on from here, and the one that was named. */
export function offerRollBack(done) {
  const dialog = dialogOf("roll-back");
  const form = dialog?.querySelector("form");
  if (!dialog || !form) return;
  let asked = "";
  let forced = false;
  document.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-roll-back]"));
    if (!button) return;
    asked = button.dataset.rollBack ?? "";
    forced = button.dataset.right === "forced";
    fill(form, asked, forced, button.dataset.words ?? "");
    dialog.showModal();
  });
  onSubmit(form, async (data) => {
    const to = number(data, "to_version");
    const force = forced || data.has("force");
    const answer = await post(ROLL_BACK, { deployment_id: asked, force, reason: text(data, "reason"), ...(to !== null && { to_version: to }) });
    dialog.close();
    done(answer.deployment_id, asked);
  });
}

/** @param {HTMLFormElement} form @param {string} id @param {boolean} forced @param {string} words */
function fill(form, id, forced, words) {
  form.reset();
  refuse(form, "");
  put(form, "[data-name]", id);
  put(form, "[data-words]", words);
  const force = /** @type {HTMLInputElement} */ (form.elements.namedItem("force"));
  force.checked = forced;
  force.disabled = forced;
  /** @type {HTMLElement} */ (form.querySelector("[data-forced]")).hidden = !forced;
}

/** @param {HTMLFormElement} form @param {string} where @param {string} words */
function put(form, where, words) {
  const place = form.querySelector(where);
  if (place) place.textContent = words;
}
