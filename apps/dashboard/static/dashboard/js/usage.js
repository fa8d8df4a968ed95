/** The bars that the tag `usage` draws (templatetags/figures.py), kept at what is used now. */

/** @param {Element} holder With data-threshold and data-warning, around the bar. @param {number | null | undefined} current */
export function fill(holder, current) {
  const { threshold, warning } = /** @type {HTMLElement} */ (holder).dataset;
  const bar = holder.querySelector(".usage");
  if (!bar || !threshold) return;
  const share = current === null || current === undefined ? null : Math.max(current / Number(threshold), 0);
  const width = `${Math.min(100 * (share ?? 0), 100).toFixed(1)}%`;
  const rect = bar.querySelector("rect");
  if (rect && rect.getAttribute("width") !== width) rect.setAttribute("width", width);
  const kind = share === null ? "unknown" : share > 1 ? "bad" : Number(warning) && Number(current) > Number(warning) ? "warning" : "";
  bar.setAttribute("class", `usage ${kind}`);
  const label = bar.getAttribute("aria-label")?.split(":")[0] ?? "";
  bar.setAttribute("aria-label", share === null ? `${label}: unknown` : `${label}: ${(100 * share).toFixed(0)} % of the limit`);
}
