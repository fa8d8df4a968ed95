/**
 * What somebody has opened or scrolled to stays so when a fragment is drawn anew: `<details id>` and `.scroll` with an id.
 * (htmx itself keeps the focus, of elements with an id.)
 */

/** @type {WeakMap<Element, {open: string[], scrolled: [string, number][]}>} */
const kept = new WeakMap();

document.addEventListener("htmx:beforeSwap", (event) => {
  const target = /** @type {Element} */ (/** @type {CustomEvent} */ (event).detail.target);
  kept.set(target, {
    open: [...target.querySelectorAll("details[id][open]")].map(({ id }) => id),
    scrolled: [...target.querySelectorAll(".scroll[id]")].map(({ id, scrollLeft }) => [id, scrollLeft]),
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
  kept.delete(target);
});
