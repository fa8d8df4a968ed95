/**
 * Fragments that are asked for again every some seconds: `hx-trigger="nautilus:refresh"` on the element. Not while nobody
 * looks at the page, nor while somebody is in the middle of something: a question is open, a text of it is marked, the
 * reason of a dash in it is read.
 */

/** @param {Element | null} element */
export const refresh = (element) => element?.dispatchEvent(new Event("nautilus:refresh"));

/** @param {() => Element | null} find Asked each time: a fragment may bring a new element. @param {number} seconds */
export function refreshEvery(find, seconds) {
  setInterval(() => {
    const element = find();
    if (element && !document.hidden && !isInUse(element)) refresh(element);
  }, 1000 * seconds);
}

/** @param {Element} element */
function isInUse(element) {
  const marked = document.getSelection();
  const isMarked = marked && !marked.isCollapsed && element.parentElement?.contains(marked.anchorNode);
  const isRead = element.contains(document.querySelector("[data-why]:focus"));
  return Boolean(isMarked) || isRead || document.querySelector("dialog[open]") !== null;
}

/** Once for a burst of news. @param {() => void} work @param {number} [milliseconds] */
export function settled(work, milliseconds = 300) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(work, milliseconds);
  };
}
