/**
 * What somebody has opened or scrolled to stays so when a fragment is drawn anew: `<details id>` and `.scroll` with an id.
 * htmx itself keeps the focus, of elements with an id; where that element is gone, as the button of an alert that is
 * acknowledged, the row that has come into its place has the focus, else the fragment. Not the next button: a key that is
 * held down would press one after the other.
 */

const ROWS = "li, tr";

/** @type {WeakMap<Element, {open: string[], scrolled: [string, number][], row: number | null}>} */
const kept = new WeakMap();
/** Where somebody is; what is switched off or taken away meanwhile does not change it. @type {Element | null} */
let at = null;

document.addEventListener("focusin", ({ target }) => {
  at = /** @type {Element} */ (target);
});
document.addEventListener("pointerdown", ({ target }) => {
  if (!at?.contains(/** @type {Element} */ (target))) at = null;
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const target = /** @type {Element} */ (/** @type {CustomEvent} */ (event).detail.target);
  kept.set(target, {
    open: [...target.querySelectorAll("details[id][open]")].map(({ id }) => id),
    scrolled: [...target.querySelectorAll(".scroll[id]")].map(({ id, scrollLeft }) => [id, scrollLeft]),
    row: at && at !== target && target.contains(at) ? rowOf(at, target) : null,
  });
});

document.addEventListener("htmx:afterSwap", (event) => {
  const target = /** @type {Element} */ (/** @type {CustomEvent} */ (event).detail.target);
  const { open, scrolled } = kept.get(target) ?? { open: [], scrolled: [] };
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, left] of scrolled) {
    const region = document.getElementById(id);
    if (region && left) region.scrollLeft = left;
  }
});

document.addEventListener("htmx:afterSettle", (event) => {
  const target = /** @type {HTMLElement} */ (/** @type {CustomEvent} */ (event).detail.target);
  const { row = null } = kept.get(target) ?? {};
  kept.delete(target);
  if (row === null || !target.isConnected || document.activeElement !== document.body) return;
  const rows = /** @type {NodeListOf<HTMLElement>} */ (target.querySelectorAll(ROWS));
  const place = rows[Math.min(row, rows.length - 1)] ?? target;
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
});

/** Its number among those of the fragment; -1: in none. @param {Element} element @param {Element} target */
function rowOf(element, target) {
  const row = element.closest(ROWS);
  return row && target.contains(row) ? [...target.querySelectorAll(ROWS)].indexOf(row) : -1;
}
