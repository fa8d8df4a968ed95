/**
 * What somebody has chosen or typed is not taken back by an answer to what was there before. What was chosen is asked for by
 * itself; what a part has asked for by itself is asked for again.
 *
 * @param {(id: string) => void} askAgain Has the part with this id drawn anew.
 */
export function keepChosen(askAgain) {
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { detail } = /** @type {CustomEvent} */ (event);
    const { target, requestConfig } = detail;
    const chosen = /** @type {any} */ (globalThis).htmx.values(target, "get");
    const asked = /** @type {[string, any][]} */ ([...requestConfig.formData]);
    if (asked.every(([name, value]) => chosen[name] === undefined || chosen[name] === value)) return;
    detail.shouldSwap = false;
    if (requestConfig.elt === target) askAgain(target.id);
  });
}
