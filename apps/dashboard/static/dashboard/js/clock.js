/**
 * The server's time, by which ages are told: a visitor's clock may be wrong by minutes. How far it is ahead is seen from
 * moments that the server names: the page's own, when it was drawn, and those of the messages that come.
 */

const KEPT_MILLISECONDS = 60_000;

// What a moment says of the clock is too much by as long as it was under way: the least of this minute and the one before
// holds. Not the least of all, since a clock may be put right while a page is open.
let [lowest, lowestBefore] = [aheadOfPage(), Infinity];
let keptSince = performance.now();

/** By the page, of which the first byte came soon after it was drawn. */
function aheadOfPage() {
  const drawnAt = document.querySelector('meta[name="drawn-at"]')?.getAttribute("content");
  const [navigation] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  if (!drawnAt || !navigation) return Infinity;
  const cameAt = Date.now() - (performance.now() - navigation.responseStart);
  return cameAt - Date.parse(drawnAt);
}

/** A moment of the server's that has just come. @param {string} moment ISO 8601 */
export function heardOf(moment) {
  if (performance.now() - keptSince > KEPT_MILLISECONDS) {
    [lowest, lowestBefore] = [Infinity, lowest];
    keptSince = performance.now();
  }
  lowest = Math.min(lowest, Date.now() - Date.parse(moment));
}

/** Milliseconds since 1970, as the server counts them. */
export function now() {
  const ahead = Math.min(lowest, lowestBefore);
  return Date.now() - (Number.isFinite(ahead) ? ahead : 0);
}
