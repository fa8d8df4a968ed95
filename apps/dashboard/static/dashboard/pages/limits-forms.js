/** The forms of limits and channels: what they send, and the server's words where it refuses. */

import { ApiError, ask, post } from "../js/api.js";
import { whileBusy } from "../js/busy.js";
import { say } from "../js/messages.js";
import { showSecret } from "./limits-dialogs.js";

const RISK = "/api/v1/sprint3/risk";

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */

/** @param {HTMLFormElement} form @returns {Field[]} Those that count: the others are disabled. */
const fieldsOf = (form) => /** @type {Field[]} */ ([...form.elements]).filter((each) => each.name && !each.disabled);

/**
 * What goes with a choice: fields `data-for` one of the option's `data-traits`, and its hint.
 * @param {HTMLSelectElement} select
 */
export function answerChoice(select) {
  const { traits = "", hint = "" } = select.selectedOptions[0]?.dataset ?? {};
  const form = select.form;
  if (!form) return;
  form.querySelectorAll("[data-hint-of-choice]").forEach((each) => (each.textContent = hint));
  form.querySelectorAll("[data-for]").forEach((each) => {
    const holder = /** @type {HTMLElement} */ (each);
    holder.hidden = !traits.split(" ").includes(holder.dataset.for ?? "");
    holder.querySelectorAll("input").forEach((input) => (input.disabled = holder.hidden));
  });
}

/** As the API takes it; null where nothing is said. @param {Field} field */
function valueOf(field) {
  if (field.type === "checkbox") return /** @type {HTMLInputElement} */ (field).checked;
  const text = field.value.trim();
  if (text === "") return null;
  if (field.type === "number") return Number(text);
  return field.type === "datetime-local" ? new Date(`${text}Z`).toISOString() : text;
}

/** @param {Field} field */
function isChanged(field) {
  if (field instanceof HTMLSelectElement) return [...field.options].some((each) => each.selected !== each.defaultSelected);
  if (field.type === "checkbox") return /** @type {HTMLInputElement} */ (field).checked !== /** @type {HTMLInputElement} */ (field).defaultChecked;
  return field.value !== field.defaultValue;
}

/** All that is said, of something new. @param {HTMLFormElement} form */
const whole = (form) => Object.fromEntries(fieldsOf(form).map((each) => [each.name, valueOf(each)]).filter(([, value]) => value !== null));
/** What was changed. @param {HTMLFormElement} form */
const changes = (form) => Object.fromEntries(fieldsOf(form).filter(isChanged).map((each) => [each.name, valueOf(each)]));

/** @param {HTMLFormElement} form @returns {Promise<boolean>} Whether it was taken. */
export async function sendForm(form) {
  const submit = form.querySelector("[type=submit]");
  return (submit && (await whileBusy(submit, () => sent(form)))) ?? false;
}

/** @param {HTMLFormElement} form @returns {Promise<boolean>} */
async function sent(form) {
  clearFaults(form);
  try {
    const told = await (form.dataset.form === "limit" ? sendLimit(form) : sendChannel(form));
    form.closest("dialog")?.close();
    told();
    return true;
  } catch (error) {
    showFault(form, /** @type {Error} */ (error));
    return false;
  }
}

/** @param {HTMLFormElement} form @returns {Promise<() => void>} What to say of it. */
async function sendLimit(form) {
  const id = form.dataset.limit;
  if (!id) {
    const limit = await post(`${RISK}/limits`, whole(form));
    return () => say(`Limit ${limit.id} is set.`, "good");
  }
  const { reason, ...terms } = changes(form);
  if (!Object.keys(terms).length) throw new Error("Nothing is changed yet.");
  const limit = await ask("PATCH", `${RISK}/limits/${id}`, { ...terms, reason });
  const words = waits(limit, terms) ? `The change of limit ${id} waits for somebody else's approval.` : `Limit ${id} is changed.`;
  return () => say(words, "good");
}

/** What tightens takes effect beside a change that waits already. @param {any} limit @param {Record<string, any>} terms */
const waits = (limit, terms) => Object.keys(terms).some((name) => limit.pending_change && name in limit.pending_change.changes);

/** @param {HTMLFormElement} form @returns {Promise<() => void>} */
async function sendChannel(form) {
  const { portfolio = "", channel } = form.dataset;
  const address = `${RISK}/alerts/${encodeURIComponent(portfolio)}/channels`;
  if (!channel) {
    const { secret } = await post(address, whole(form));
    return () => (secret ? showSecret(secret) : say("The channel is added. Send a test message to see that it works.", "good"));
  }
  const changed = changes(form);
  if (!Object.keys(changed).length) throw new Error("Nothing is changed yet.");
  await ask("PATCH", `${address}/${channel}`, changed);
  return () => say("The channel is changed.", "good");
}

/** @param {HTMLFormElement} form */
function clearFaults(form) {
  for (const field of fieldsOf(form)) field.removeAttribute("aria-invalid");
  const place = /** @type {HTMLElement | null} */ (form.querySelector("[data-fault]"));
  if (place) place.hidden = true;
}

/** In the form, beside the fields that it is about. @param {HTMLFormElement} form @param {Error} error */
function showFault(form, error) {
  const place = /** @type {HTMLElement | null} */ (form.querySelector("[data-fault]"));
  if (place) {
    place.textContent = error.message;
    place.hidden = false;
  }
  const named = error instanceof ApiError ? error.errors.map(({ attr }) => attr) : [];
  const wrong = fieldsOf(form).filter(({ name }) => named.includes(name));
  for (const field of wrong) field.setAttribute("aria-invalid", "true");
  wrong[0]?.focus();
}
