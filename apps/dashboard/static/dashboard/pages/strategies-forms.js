/** Dialogs and forms of the pages about strategies: opened by a button, sent by a function, refused in place. */

import { whileBusy } from "../js/busy.js";

/** Buttons with `data-opens="id"` open that dialog; those with `data-closes` close theirs. */
export function wireDialogs() {
  document.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-opens], [data-closes]"));
    if (!button) return;
    if (button.dataset.opens) dialogOf(button.dataset.opens)?.showModal();
    else button.closest("dialog")?.close();
  });
}

/** @param {string} id */
export const dialogOf = (id) => /** @type {HTMLDialogElement | null} */ (document.getElementById(id));

/**
 * While `send` works the form cannot be sent again; what it throws is shown in the form, in the server's words.
 * @param {HTMLFormElement | null | undefined} form @param {(data: FormData) => Promise<void>} send
 */
export function onSubmit(form, send) {
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = /** @type {Element} */ (form.querySelector('[type="submit"]'));
    whileBusy(button, async () => {
      refuse(form, "");
      await send(new FormData(form)).catch((error) => refuse(form, /** @type {Error} */ (error).message));
    });
  });
}

/**
 * Says in the form why not; an empty text takes it away.
 * @param {HTMLFormElement} form @param {string} text @param {{href: string, text: string}} [link]
 */
export function refuse(form, text, link) {
  const place = /** @type {HTMLElement} */ (form.querySelector("[data-said]"));
  place.replaceChildren(text);
  if (link) place.append(" ", anchor(link));
  place.hidden = !text;
}

/** @param {{href: string, text: string}} link */
function anchor({ href, text }) {
  const made = document.createElement("a");
  made.href = href;
  made.textContent = text;
  return made;
}

/** @param {FormData} data @param {string} name */
export const text = (data, name) => String(data.get(name) ?? "").trim();

/** Null where nothing was written. @param {FormData} data @param {string} name */
export const number = (data, name) => (text(data, name) === "" ? null : Number(text(data, name)));

/** Parameters, as they are written; throws what is wrong with them. @param {FormData} data @param {string} name */
export function jsonObject(data, name) {
  const written = text(data, name) || "{}";
  let value;
  try {
    value = JSON.parse(written);
  } catch (error) {
    throw new Error(`The parameters are not JSON: ${/** @type {Error} */ (error).message}. Expected an object, as in {"days": 20}.`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Error('The parameters are no object. Expected one, as in {"days": 20}.');
  }
  return value;
}

/** What a textarea has, with the line ends of a file. @param {FormData} data @param {string} name */
export const code = (data, name) => String(data.get(name) ?? "").replaceAll("\r\n", "\n");
